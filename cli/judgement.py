"""Judges the rows of the tables: whether they can be relied on, how many tokens have which health, the exit code."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from cli import COULD_NOT_TELL, WARNINGS, WELL, WRONG, program
from shared.guidance.guidance import Guidance
from shared.model.tokens import Connector, Finding, Health, Token
from shared.storage.rows import RunRow, StatusRow, StoredFinding
from shared.text import labels
from shared.words import CLOCK_SKEW, ago, count, kind, listed, moment, span

LATE: Final = timedelta(hours=2)
"""Checks are hourly. When the data is older than this, one is missing."""

STALE: Final = timedelta(hours=3)
"""Data older than this proves nothing."""


class Freshness(StrEnum):
    """How far the data can be relied on."""

    FRESH = "fresh"
    LATE = "late"
    STALE = "stale"
    AHEAD = "ahead"
    """It is dated after this machine's clock, so that its age is not known."""
    NONE = "none"
    """There is no data."""

    @property
    def reliable(self) -> bool:
        """Whether the data can be judged."""
        return self in {Freshness.FRESH, Freshness.LATE}


class Filters(NamedTuple):
    """What to show and judge; an empty filter keeps everything."""

    connectors: frozenset[str] = frozenset()
    healths: frozenset[Health] = frozenset()

    def keep(self, connector: str, health: Health) -> bool:
        """Return whether to show something of that connector and health."""
        return (not self.connectors or connector in self.connectors) and (not self.healths or health in self.healths)


class Judged(NamedTuple):
    """The tokens to show, and what they come to."""

    rows: list[StatusRow]
    """Those that the filters keep, worst first."""
    total: int
    """The number of all rows."""
    checked_on: datetime | None
    """When the newest row was written."""
    freshness: Freshness
    runs: Sequence[RunRow]
    """The newest runs, newest first."""
    unread: Mapping[str, str]
    """Why the newest run could not read a connector, for those that the filters keep."""
    messages: tuple[str, ...]
    """Why the rows may not hold, one or two sentences each."""
    code: int
    """The exit code."""

    @property
    def counts(self) -> dict[Health, int]:
        """The number of rows of each health, worst first."""
        numbers = Counter(row.health for row in self.rows)
        return {health: numbers[health] for health in sorted(Health, reverse=True)}


def judge(
    rows: Iterable[StatusRow],
    runs: Sequence[RunRow],
    now: datetime,
    filters: Filters = Filters(),  # noqa: B008 # immutable
    *,
    also: Iterable[str] = (),
    checked_on: datetime | None = None,
) -> Judged:
    """Judge tokens and the newest runs.

    `also` are further messages. `checked_on` is when the tokens were checked, if that is not what their rows say.
    """
    ordered = worst_first(_doubted(list(rows)))
    checked_on = checked_on or max((row.checked_on for row in ordered if row.checked_on), default=None)
    freshness = _freshness(checked_on, now)
    shown = [row for row in ordered if filters.keep(row.connector, row.health)]
    results = runs[0].connectors if runs else {}
    unread = {name: one.error for name, one in results.items() if one.error and filters.keep(name, Health.UNKNOWN)}
    messages = (*_age_messages(freshness, checked_on, runs, now), *_run_messages(runs, unread, now), *also)
    code = _exit_code([row.health for row in shown], unread) if freshness.reliable else COULD_NOT_TELL
    return Judged(shown, len(ordered), checked_on, freshness, runs, unread, messages, code)


def worst_first(rows: Iterable[StatusRow]) -> list[StatusRow]:
    """Return the rows by health, then by expiry, each with a label that distinguishes tokens of one name."""
    known = list(rows)
    found = labels([(row.connector, row.name, row.id) for row in known])
    labelled = [replace(row, label=label) for row, label in zip(known, found, strict=True)]
    end = datetime.max.replace(tzinfo=UTC)
    return sorted(labelled, key=lambda row: (-row.health, row.expires_on or end, row.name.casefold(), row.row_key))


def token_of(row: StatusRow) -> Token | None:
    """Return as much of the token as guidance needs; None if this release does not know its connector."""
    if row.connector not in list(Connector):
        return None
    connector, code = Connector(row.connector), row.last_sync_error_code
    return Token(connector=connector, id=row.id, name=row.name, type=row.type, sync_error_code=code)


def action(row: StatusRow, finding: StoredFinding, guidance: Guidance) -> str | None:
    """Return what to do; None if another finding explains this one: resolving that one resolves both."""
    token = token_of(row)
    if token is None or finding.caused_by:
        return None
    since = finding.since or datetime.min.replace(tzinfo=UTC)  # no action depends on it
    return guidance.action(token, Finding(code=finding.code, severity=finding.severity, tier=finding.tier, since=since))


def _exit_code(healths: Iterable[Health], unread: Iterable[str]) -> int:
    worst = Health.worst([*healths, *(Health.UNKNOWN for _ in unread)])
    return WRONG if worst >= Health.UNKNOWN else WARNINGS if worst is Health.WARNING else WELL


def _doubted(rows: list[StatusRow]) -> list[StatusRow]:
    """Return the rows, those in doubt that are much older than the newest: no check judges them any more."""
    newest = max((row.checked_on for row in rows if row.checked_on), default=None)

    def one(row: StatusRow) -> StatusRow:
        if newest is None or row.checked_on is None or newest - row.checked_on <= STALE:
            return row
        problem = f"it was last checked {span(newest - row.checked_on)} before the others"
        return replace(row, problems=(*row.problems, problem))

    return list(map(one, rows))


def _freshness(checked_on: datetime | None, now: datetime) -> Freshness:
    if checked_on is None:
        return Freshness.NONE
    if checked_on - now > CLOCK_SKEW:
        return Freshness.AHEAD
    age = now - checked_on
    return Freshness.STALE if age > STALE else Freshness.LATE if age > LATE else Freshness.FRESH


def _age_messages(
    freshness: Freshness, checked_on: datetime | None, runs: Sequence[RunRow], now: datetime
) -> Iterable[str]:
    remedy = f"`{program()} runs` shows what the monitor did, `{program()} doctor` why it does not work."
    checked = _since(checked_on, now)
    match freshness:
        case Freshness.LATE:
            yield f"This is older than it should be: the last of the hourly checks was {checked}. {remedy}"
        case Freshness.STALE:
            yield f"This is too old to rely on: the last of the hourly checks was {checked}. {remedy}"
        case Freshness.AHEAD:
            yield f"The age of this is not known: it is dated {checked}. Set the clock of this machine, or of the app."
        case Freshness.NONE:
            started = runs[0].started_on if runs else None
            ran = f"the monitor last ran {_since(started, now)}" if started else "the monitor has not run"
            yield f"There are no tokens in the table TokenStatus, and {ran}. {remedy}"


def _since(instant: datetime | None, now: datetime) -> str:
    return ago(instant, now) if instant else "at an unknown time"


def _run_messages(runs: Sequence[RunRow], unread: Mapping[str, str], now: datetime) -> Iterable[str]:
    for connector, error in unread.items():
        yield f"{kind(connector)} could not be read: {error}"
    if not runs:
        return
    newest, *others = runs
    if newest.outcome not in {"succeeded", "degraded"}:
        why = " ".join(one for one in (newest.store_error, newest.publish_error) if one) or "Its row gives no reason."
        yield f"The newest check, {_since(newest.started_on, now)}, ended as {newest.outcome}: {why}"
        return
    before = [run for run in others if run.outcome == "failed" and run.started_on and now - run.started_on <= STALE]
    if before:
        failed = _since(before[0].started_on, now)
        yield f"A check failed {failed}; later checks did not. `{program()} runs` shows why."


def summary(judged: Judged, filters: Filters, now: datetime) -> Iterable[str]:
    """Return how many tokens there are of each health, and when they were checked; a sentence each."""
    if judged.rows:
        counts = [f"{number:,} {health}" for health, number in judged.counts.items() if number]
        of = f" of {judged.total:,}" if len(judged.rows) < judged.total else ""
        yield f"{count(len(judged.rows), 'token')}{of}: {', '.join(counts)}."
    elif judged.total:
        kinds = listed(list(map(kind, sorted(filters.connectors))), "or")
        healths = listed(list(map(str, sorted(filters.healths, reverse=True))), "or")
        chosen = " and ".join(part for part in (kinds, healths) if part)
        yield f"None of {count(judged.total, 'token')} is {chosen}."
    if judged.checked_on:
        newest = judged.runs[0] if judged.runs else None
        how = f"; the newest check {newest.outcome}" if newest and newest.outcome in {"succeeded", "failed"} else ""
        yield f"Checked {ago(judged.checked_on, now)} ({moment(judged.checked_on)}){how}."
