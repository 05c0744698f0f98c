"""Explains findings: what they mean and what to do about them.

`guidance.json` contains the texts; this module selects them, and fills in dates and numbers. Nothing here raises for a
value that a status or a change can contain, of any release.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from msgspec import structs

from shared.clouds import CLOUDS, Cloud
from shared.guidance.catalogue import CATALOGUE, Entry
from shared.model.tokens import TERMS_NOT_ACCEPTED, Code, Connector, Finding, Status, Token
from shared.text import bounded, quoted, shortened
from shared.words import CLOCK_SKEW, ago, count, span

_DETAIL: Final = 160
"""The number of characters of another text from outside."""

_ERROR_NAME: Final = 40
"""The number of characters of a tenant's name for a code: an action has at most 200."""

_CONDITION: Final = 120
"""The number of characters of a condition, which the subject of an email contains."""

_NAMED: Final = re.compile(r"\{(\w+)\}")
"""A place where a text takes a value."""


class Guidance:
    """Describes findings.

    `sync_error_names` are a tenant's own names for codes (setting `SYNC_ERROR_NAMES`); links lead to the Intune admin
    center of `cloud`.
    """

    def __init__(self, sync_error_names: Mapping[int, str] | None = None, cloud: Cloud = CLOUDS["AzureCloud"]) -> None:
        errors = CATALOGUE.sync_errors.values()
        known = {name.casefold(): error for error in errors for name in (error.title, *error.aliases)}
        names = {code: name.strip() for code, name in (sync_error_names or {}).items() if name.strip()}
        self._intune = cloud.intune
        self._names = {code: shortened(name, _ERROR_NAME) for code, name in names.items()}
        self._errors = {code: known[name.casefold()] for code, name in names.items() if name.casefold() in known}
        self._errors |= {code.code: CATALOGUE.sync_errors[code.error] for code in CATALOGUE.sync_codes if code.error}

    def entry(self, code: str, connector: Connector, token: Token | None = None) -> Entry:
        """Return the entry of a finding; with `token`, the entry of its sync error if that is known or named.

        Without a token, manager and error code stay general. A code that is unknown to this release or connector gets a
        general entry.
        """
        entry, values = self._written(code, connector, token), self._values(token)
        texts = {name: _filled(text, values) for name, text in structs.asdict(entry).items() if isinstance(text, str)}
        texts |= {"summary": entry.summary}
        actions = {tier: _filled(text, values) for tier, text in entry.actions.items()}
        steps = tuple(
            structs.replace(step, text=_filled(step.text, values), role=_filled(step.role, values))
            for step in entry.steps
        )
        return structs.replace(entry, **texts, actions=actions, steps=steps)

    def action(self, token: Token, finding: Finding) -> str:
        """Return what to do, in one sentence of at most 200 characters.

        A step of the finding freezes it: it is a dimension of the alert rules, and another sentence is another alert.
        """
        token = _as_found(token, finding)
        entry = self._written(finding.code, token.connector, token)
        return _filled(entry.action_at(finding.tier), self._values(token))

    def condition(self, token: Token, finding: Finding, tier: str | None) -> str:
        """Return the condition that lasts, in at most 120 characters; with `tier`, if the step's name is meaningful."""
        topic = CATALOGUE.findings.get(finding.code)
        text = topic.condition if topic else finding.code
        values = {name: _CONDITIONS[name](token, finding) for name in _NAMED.findall(text) if name in _CONDITIONS}
        step = f" ({tier})" if tier else ""
        return f"{bounded(_filled(text, values), _CONDITION - len(step))}{step}"

    def summary(self, status: Status, finding: Finding) -> str:
        """Return the token and what is wrong with it at `status.checked_on`, in one sentence."""
        return self._summary(status, finding, more=0)

    def headline(self, status: Status) -> str:
        """Return the worst finding's summary and the number of the others; without a finding, the token's state."""
        if status.findings:
            more = sum(not finding.superseded for finding in status.findings[1:])
            return self._summary(status, status.findings[0], more=more)
        token, now = status.token, status.checked_on
        synced = token.last_successful_sync and f"last synced {_ago(token.last_successful_sync, now)}"
        details = " and ".join(part for part in (token.expires_on and _expiry(token.expires_on, now), synced) if part)
        return f"{quoted(status.label)} is {status.health}{details and ': it '}{details}."

    def probable_cause(self, status: Status) -> str | None:
        """Return a hedged explanation of an ADE sync error that neither the catalogue nor the tenant explains."""
        error, token = status.finding(Code.SYNC_ERROR), status.token
        if error is None or token.connector is not Connector.ADE or token.sync_error_code in self._errors:
            return None
        if status.finding(Code.EXPIRED):
            return None
        if status.finding(Code.SYNC_STALE):
            return "probably the token was replaced or revoked at Apple (selecting Download Token does that)"
        if token.last_successful_sync and token.last_successful_sync > error.since:
            return "probably a value in an enrollment policy is wrong, not the token, because it still syncs"
        return None

    def _written(self, code: str, connector: Connector, token: Token | None) -> Entry:
        error = None if token is None or token.sync_error_code is None else self._errors.get(token.sync_error_code)
        if error and code == Code.SYNC_ERROR and connector is Connector.ADE:
            return error
        topic = CATALOGUE.findings.get(code)
        return (topic and topic.entries.get(connector)) or CATALOGUE.unknown[connector]

    def _values(self, token: Token | None) -> dict[str, str]:
        kind, code = ("", None) if token is None else (token.type or "", token.sync_error_code)
        name = self._names.get(code) if code is not None else None
        return {
            **CATALOGUE.managers[CATALOGUE.token_types.get(kind, "either")],
            "intune": self._intune,
            "error": f"Sync error {f"'{name}' " if name else ''}(code {'N' if code is None else code})",
        }

    def _summary(self, status: Status, finding: Finding, *, more: int) -> str:
        token = _as_found(status.token, finding)
        text = self._written(finding.code, token.connector, token).summary
        named = set(_NAMED.findall(text))  # putting the others together, too, would double what a row costs
        values = {
            **{name: _detail(value) for name, value in finding.facts.items() if name in named and value is not None},
            **self._values(token),
            **{name: _PHRASES[name](status, finding) for name in named & _PHRASES.keys()},
        }
        cause = CATALOGUE.findings.get(finding.caused_by or "")
        parts = (
            _filled(text, values, "something not known"),
            finding.caused_by and f"explained by {quoted(cause.title if cause else finding.caused_by)}",
            more and f"and {count(more, 'more finding')}",
            finding.code == Code.SYNC_ERROR and self.probable_cause(status),
        )
        return f"{quoted(status.label)} {'; '.join(part for part in parts if part)}."


def _at(instant: datetime | None, time: str = "") -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d{time}}" if instant else "an unknown day"


def _as_found(token: Token, finding: Finding) -> Token:
    """Return `token` with the code of a sync error that terms which are not accepted do not end."""
    code = finding.facts.get("code")
    if finding.code != Code.SYNC_ERROR or token.sync_error_code != TERMS_NOT_ACCEPTED or not isinstance(code, int):
        return token
    return structs.replace(token, sync_error_code=code)


def _filled(text: str, values: Mapping[str, str], missing: str | None = None) -> str:
    """Return `text` with `values` in place of `{name}`, in one pass, so that a value is never itself filled."""
    return _NAMED.sub(lambda found: values.get(found[1], missing or found[0]), text)


def _detail(value: object) -> str:
    text = str(value)
    return text.rstrip(".") if len(text) <= _DETAIL else f"{text[: _DETAIL - 1]}…"


def _ago(instant: datetime, now: datetime) -> str:
    return f"on {instant.date()}" if instant > now + CLOCK_SKEW else ago(instant, now)


def _expiry(expires_on: datetime, now: datetime) -> str:
    if expires_on > now:
        return f"expires in {span(expires_on - now)}"
    return "expired today" if expires_on.date() == now.date() else f"expired {span(now - expires_on)} ago"


def _expiry_and_date(status: Status) -> str:
    expires_on, now, expired = status.token.expires_on, status.checked_on, status.finding(Code.EXPIRED)
    if expires_on is None:
        return f"{'has expired' if expired else 'expires'} on a date that is not known"
    changed = expired and expired.facts.get("modified")
    unseen = f", and changed on {changed}: a renewal may not show yet" if changed else ""
    if expired and expires_on > now:
        return f"has expired, says Intune, although its date is {expires_on.date()}{unseen}"
    return f"{_expiry(expires_on, now)}, on {expires_on.date()}{unseen}"


def _last_success(status: Status) -> str:
    last, other = status.token.last_successful_sync, status.token.last_sync
    if last is None and other is not None:
        return f"no successful sync on record, and the last other sync {_ago(other, status.checked_on)}"
    return f"last successful sync {_ago(last, status.checked_on)}" if last else "no successful sync on record"


def _known_since(status: Status) -> str:
    return f"{min(status.first_seen, status.token.last_modified or status.first_seen):%Y-%m-%d}"


def _seen(status: Status) -> str:
    return _ago(status.observed_on, status.checked_on) if status.observed_on else "at a time not known"


def _unless_seen_now(status: Status) -> str:
    """Return when the token was last seen; nothing if only its devices were not inspected."""
    return "" if status.observed_on == status.checked_on else f"; it was last seen {_seen(status)}"


def _listed(finding: Finding) -> str:
    """Return at most three of the unreadable values, and the number of the others."""
    values = [
        f"{shortened(name, _ERROR_NAME)} is {'missing' if raw in {None, 'missing'} else quoted(raw, _ERROR_NAME)}"
        for name, raw in finding.facts.items()
    ]
    more = [count(len(values) - 3, "more value")] if len(values) > 3 else []
    return ", ".join([*values[:3], *more]) or "a value could not be read"


_PHRASES: Final[Mapping[str, Callable[[Status, Finding], str]]] = {
    "finding": lambda _, finding: quoted(finding.code),
    "expiry": lambda status, _: _expiry_and_date(status),
    "last_success": lambda status, _: _last_success(status),
    "known_since": lambda status, _: _known_since(status),
    "seen": lambda status, _: _seen(status),
    "unless_seen_now": lambda status, _: _unless_seen_now(status),
    "topic": lambda status, _: _detail(status.known_topic or status.token.topic or "not known"),
    "serial": lambda status, _: _detail(status.known_serial_number or status.token.serial_number or "not known"),
    "unreadable": lambda _, finding: _listed(finding),
    "unproven": lambda _, finding: f"; {_detail(finding.facts['reason'])}" if "reason" in finding.facts else "",
}
"""Return the values that a summary may use in addition to a finding's facts."""


_CONDITIONS: Final[Mapping[str, Callable[[Token, Finding], str]]] = {
    "expires": lambda token, _: _at(token.expires_on),
    "expired": lambda token, finding: "according to Intune" if "state" in finding.facts else _at(token.expires_on),
    "synced": lambda token, _: _at(token.last_possible_sync, " %H:%M UTC"),
    "since": lambda _, finding: _at(finding.since),
    "until": lambda _, finding: _at(finding.until),
    "facts": lambda _, finding: ", ".join(f"{name} {value}" for name, value in finding.facts.items()),
}
"""Return the values that a condition may use."""
