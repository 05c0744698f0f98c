"""Judges: takes readings, the last statuses, the clock, and the thresholds, and returns each token's status.

Pure: without I/O and a clock of its own, so the same values always give the same judgment.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from msgspec.structs import replace

from shared.guidance.guidance import Guidance
from shared.judging.device_findings import DEVICE_FINDINGS, age, lateness, overdue
from shared.judging.findings import FINDINGS, newly_synced
from shared.judging.history import changed
from shared.judging.steps import stepped, with_causes
from shared.judging.subject import Found, Subject, findings, stated
from shared.model.counts import Inspection
from shared.model.dates import believable
from shared.model.runs import Reading
from shared.model.tokens import Code, Connector, Finding, Health, Key, Status, Token
from shared.settings import Settings
from shared.text import labels, without_links

REMOVED_AFTER: Final = timedelta(minutes=30)
"""The time between the first and the last complete reading that a removed token is missing from."""

_FOLLOW_THE_CLOCK: Final = (Code.EXPIRED, Code.EXPIRING)
"""The findings that are judged again while a token cannot be read, because an expiry needs no further reading."""

_KEPT: Final[Mapping[str, tuple[Code, ...]]] = {
    "expires_on": (Code.EXPIRED, Code.EXPIRING),
    "last_successful_sync": (Code.SYNC_STALE,),
}
"""Values that do not become null while one of these findings holds, because a missing instant does not end it."""

_ORDER: Final[Mapping[str, int]] = {code: place for place, code in enumerate(Code)}


class Judgement(NamedTuple):
    """The result of a run."""

    statuses: tuple[Status, ...]
    departed: tuple[Key, ...]
    """Tokens whose rows are deleted: removed long enough, or of a connector that is not watched."""
    devices_error: str | None = None
    """Why the inspections of devices are not fresh."""


class _Run(NamedTuple):
    id: str
    now: datetime
    settings: Settings
    inspections: Mapping[str, Inspection] | None
    guidance: Guidance


def judge(
    readings: Iterable[Reading],
    remembered: Mapping[Key, Status] | None,
    *,
    inspections: Mapping[str, Inspection] | None,
    run_id: str,
    now: datetime,
    settings: Settings,
) -> Judgement:
    """Judge every token that was read, or is remembered.

    `remembered` is None if the store could not be read; then nothing is reported as removed or changed. `inspections`,
    by token ID, is None if these could not be read; then findings about devices stay as they are stored.
    """
    run = _Run(run_id, now, settings, inspections, Guidance(settings.sync_error_names, settings.cloud))
    before = remembered or {}
    judged: dict[Key, Status | None] = {key: None for key in before if key[0] not in settings.connectors}
    for reading in readings:
        for token in reading.tokens:
            judged[reading.connector, token.id] = _observed(
                token, before.get((reading.connector, token.id)), run, remembers=remembered is not None
            )
        for key, status in before.items():
            if key[0] is reading.connector and key not in judged:
                judged[key] = _unobserved(status, reading, run)
    statuses = tuple(_labelled([status for status in judged.values() if status is not None]))
    departed = tuple(key for key, status in judged.items() if status is None)
    return Judgement(statuses, departed, _lateness(statuses, run))


def first_status(token: Token, run_id: str, now: datetime) -> Status:
    """Return the status of a token that a run meets for the first time, before it is judged."""
    return Status(
        token=token,
        label=token.name,
        health=Health.HEALTHY,
        health_since=now,
        first_seen=now,
        checked_on=now,
        run_id=run_id,
        changed_on=now,
    )


def _observed(token: Token, before: Status | None, run: _Run, *, remembers: bool) -> Status:
    """Return the status of a token that Graph listed."""
    inspection = run.inspections.get(token.id) if run.inspections and token.connector is Connector.ADE else None
    subject = Subject(_settled(token, before, run.now), before, run.now, run.settings, inspection)
    held = [*findings(subject, FINDINGS), *_of_devices(subject, run)]
    codes = {finding.code for finding in held}
    known = subject.before
    apple_id, topic, serial = subject.token.apple_id, subject.token.topic, subject.token.serial_number
    if known and Code.APPLE_ID_CHANGED in codes:
        apple_id = known.known_apple_id
    if known and Code.PUSH_TOPIC_CHANGED in codes:
        topic, serial = known.known_topic, known.known_serial_number
    status = replace(
        first_status(subject.token, run.id, run.now),
        first_seen=subject.first_seen,
        observed_on=run.now,
        known_apple_id=apple_id,
        known_topic=topic,
        known_serial_number=serial,
        known_devices=_known_devices(subject, dropped=Code.DEVICES_DROPPED in codes),
    )
    return _concluded(status, held, before, run, remembers=remembers)


def _of_devices(subject: Subject, run: _Run) -> list[Finding]:
    """Return the findings about devices and their inspection; if inspections are unknown, the stored ones."""
    if subject.token.connector is not Connector.ADE:
        return []
    if subject.inspection and subject.inspection.last:
        held = findings(subject, DEVICE_FINDINGS)
    else:
        stored = subject.before.findings if subject.before else ()
        held = [replace(one, since=min(one.since, run.now)) for one in stored if one.code in DEVICE_FINDINGS]
    if run.inspections is None or not overdue(subject.first_seen, subject.inspection, run.now):
        return held
    found = Found(Health.UNKNOWN, facts={"reason": age(subject.inspection)})
    return [*held, stated(subject, Code.UNREAD, found)]


def _lateness(statuses: Iterable[Status], run: _Run) -> str | None:
    inspections = run.inspections
    if inspections is None:
        return None
    here = [one for one in statuses if one.token.connector is Connector.ADE and not one.finding(Code.REMOVED)]
    late = [one for one in here if overdue(one.first_seen, inspections.get(one.token.id), run.now)]
    return lateness(late, len(here), inspections)


def _unobserved(before: Status, reading: Reading, run: _Run) -> Status | None:
    """Return the status of a remembered token that the reading did not contain; None if its row is to be deleted."""
    status = replace(before, checked_on=run.now, run_id=run.id)
    removed = _removed(before, run) if before.finding(Code.REMOVED) else None
    if reading.failure:
        held = [removed] if removed else _carried(before, f"{before.token.connector} could not be read", run)
        return _concluded(status, held, before, run)
    if removed:
        ended = removed.until is not None and run.now >= removed.until
        return None if ended else _concluded(status, [removed], before, run)
    missing_since = min(before.missing_since or run.now, run.now)
    status = replace(status, missing_since=missing_since)
    if run.now - missing_since < REMOVED_AFTER:
        return _concluded(status, _carried(before, "missing from Intune's list", run), before, run)
    return _concluded(status, [_removed(before, run)], before, run)


def _removed(before: Status, run: _Run) -> Finding:
    subject = Subject(before.token, before, run.now, run.settings)
    severity = Health.CRITICAL if before.token.connector is Connector.APNS else Health.WARNING
    return stated(subject, Code.REMOVED, Found(severity, until=subject.until(Code.REMOVED)))


def _carried(before: Status, reason: str, run: _Run) -> list[Finding]:
    """Return the stored findings of a token that could not be read, with `unread`."""
    subject = Subject(before.token, before, run.now, run.settings)
    kept = [
        replace(finding, since=min(finding.since, run.now))
        for finding in before.findings
        if finding.code not in {*_FOLLOW_THE_CLOCK, Code.UNREAD}
    ]
    by_clock = findings(subject, {code: FINDINGS[code] for code in _FOLLOW_THE_CLOCK})
    return [*kept, *by_clock, stated(subject, Code.UNREAD, Found(Health.UNKNOWN, facts={"reason": reason}))]


def _concluded(
    status: Status, held: list[Finding], before: Status | None, run: _Run, *, remembers: bool = True
) -> Status:
    """Return the status with its findings, health, and change."""
    subject = Subject(status.token, before, run.now, run.settings)
    found = [stepped(finding, subject, run.guidance) for finding in with_causes(held)]
    ordered = sorted(found, key=_place)
    health = Health.worst(finding.severity for finding in ordered)
    same = before is not None and before.health is health
    status = replace(
        status,
        findings=tuple(ordered),
        health=health,
        health_since=min(before.health_since, run.now) if before and same else run.now,
    )
    change = changed(before, status) if remembers else None
    changed_on = run.now if change or before is None else min(before.changed_on, run.now)
    return replace(status, change=change, changed_on=changed_on)


def _place(finding: Finding) -> tuple[int, bool, int]:
    """Return the sort key of findings: the worst first, and among equals the ones that explain others."""
    return -finding.severity, finding.caused_by is not None, _ORDER.get(finding.code, len(_ORDER))


def _settled(token: Token, before: Status | None, now: datetime) -> Token:
    """Return `token` with the last readable value in place of each one that is unreadable, impossible, or left out."""
    token, known = believable(token, now), believable(before.token, now) if before else None
    values: dict[str, object] = {}
    for value in token.unreadable:
        if known is not None or value.field != "name":
            values[value.field] = getattr(known, value.field, None)
    if known is not None and token.apple_id is None:
        values["apple_id"] = known.apple_id
    if known is not None and token.connector is Connector.VPP and token.last_successful_sync is None:
        values["last_successful_sync"] = known.last_successful_sync
    raised = {finding.code for finding in before.findings if finding.steps} if before else set()
    values |= {
        field: getattr(known, field)
        for field, codes in _KEPT.items()
        if getattr(token, field) is None and raised.intersection(codes)
    }
    return replace(token, **values)


def _known_devices(subject: Subject, *, dropped: bool) -> int | None:
    """Return the most devices since the last new successful sync, or the number before the drop that holds."""
    count, known = subject.token.synced_devices, subject.before.known_devices if subject.before else None
    if dropped or count is None:
        return known
    recovered = subject.before is not None and subject.before.finding(Code.DEVICES_DROPPED) is not None
    return count if known is None or recovered or newly_synced(subject) else max(count, known)


def _labelled(statuses: list[Status]) -> list[Status]:
    """Return the statuses with unique labels. A finding keeps its first label."""
    tokens = [status.token for status in statuses]
    found = labels([(token.connector, token.name, token.id) for token in tokens])
    return [
        replace(status, label=label, findings=tuple(_named(finding, label) for finding in status.findings))
        for status, label in zip(statuses, found, strict=True)
    ]


def _named(finding: Finding, label: str) -> Finding:
    return finding if finding.name or not finding.steps else replace(finding, name=without_links(label))
