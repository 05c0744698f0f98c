"""`status`: the tokens, worst first, what is wrong and what to do; and whether this can be believed."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from cli import COULD_NOT_TELL, WARNINGS, WELL, WRONG, CommandError, export, view
from cli.records import Records
from cli.rows import RunRow, StatusRow, worst_first
from cli.session import Session
from shared.model.tokens import Health
from shared.words import CLOCK_SKEW, ago, count, kind, listed, moment, span

LATE: Final = timedelta(hours=2)
"""Checks are hourly. Data older than this says that one was missed."""

STALE: Final = timedelta(hours=3)
"""Data older than this is no answer."""

_RUNS: Final = 4
"""Of the newest ones, those that are looked at: what `STALE` holds."""


class Freshness(StrEnum):
    """How far the data can be believed."""

    FRESH = "fresh"
    LATE = "late"
    STALE = "stale"
    AHEAD = "ahead"
    """Its instant is ahead of this machine's clock, so that its age cannot be told."""
    NONE = "none"
    """There is none."""

    @property
    def believed(self) -> bool:
        """Whether a judgement can go by it."""
        return self in {Freshness.FRESH, Freshness.LATE}


class Filters(NamedTuple):
    """What to show and judge; an empty one lets everything through."""

    connectors: frozenset[str] = frozenset()
    healths: frozenset[Health] = frozenset()

    def keep(self, connector: str, health: Health) -> bool:
        """Whether something of that connector and health is shown."""
        return (not self.connectors or connector in self.connectors) and (not self.healths or health in self.healths)


class Judged(NamedTuple):
    """What `status` has to tell."""

    rows: list[StatusRow]
    """Those that the filters leave, worst first."""
    total: int
    """Of all rows."""
    checked_on: datetime | None
    """When the newest row was written."""
    freshness: Freshness
    runs: Sequence[RunRow]
    """The newest ones, newest first."""
    unread: Mapping[str, str]
    """Why the newest run could not read a connector, for those that the filters leave."""
    messages: tuple[str, ...]
    """What stands in the way of believing the rows, a sentence or two each."""
    code: int
    """The exit code."""

    @property
    def counts(self) -> dict[Health, int]:
        """The rows by health, worst first."""
        found = Counter(row.health for row in self.rows)
        return {health: found[health] for health in sorted(Health, reverse=True)}


def judge(
    rows: Iterable[StatusRow],
    runs: Sequence[RunRow],
    now: datetime,
    filters: Filters = Filters(),  # noqa: B008 # immutable
    *,
    also: Iterable[str] = (),
) -> Judged:
    """Judge what the tables hold; `also` are messages about what could not be read of them."""
    ordered = worst_first(_doubted(list(rows)))
    checked_on = max((row.checked_on for row in ordered if row.checked_on), default=None)
    freshness = _freshness(checked_on, now)
    shown = [row for row in ordered if filters.keep(row.connector, row.health)]
    results = runs[0].connectors if runs else {}
    unread = {name: one.error for name, one in results.items() if one.error and filters.keep(name, Health.UNKNOWN)}
    messages = (*_of_age(freshness, checked_on, runs, now), *_of_runs(runs, unread, now), *also)
    if freshness.believed:
        worst = Health.worst([*(row.health for row in shown), *(Health.UNKNOWN for _ in unread)])
        code = WRONG if worst >= Health.UNKNOWN else WARNINGS if worst is Health.WARNING else WELL
    else:
        code = COULD_NOT_TELL
    return Judged(shown, len(ordered), checked_on, freshness, runs, unread, messages, code)


def _doubted(rows: list[StatusRow]) -> list[StatusRow]:
    """A row that others have left behind is no longer judged by anybody, so what it says is not known to hold."""
    newest = max((row.checked_on for row in rows if row.checked_on), default=None)

    def one(row: StatusRow) -> StatusRow:
        if newest is None or row.checked_on is None or newest - row.checked_on <= STALE:
            return row
        return row.doubted(f"it was last checked {span(newest - row.checked_on)} before the others")

    return list(map(one, rows))


def _freshness(checked_on: datetime | None, now: datetime) -> Freshness:
    if checked_on is None:
        return Freshness.NONE
    if checked_on - now > CLOCK_SKEW:
        return Freshness.AHEAD
    return (
        Freshness.STALE if now - checked_on > STALE else Freshness.LATE if now - checked_on > LATE else Freshness.FRESH
    )


def _of_age(freshness: Freshness, checked_on: datetime | None, runs: Sequence[RunRow], now: datetime) -> Iterable[str]:
    mend = "`python -m cli runs` shows what the monitor did, `python -m cli doctor` what is in its way."
    match freshness:
        case Freshness.LATE:
            yield (
                "This is older than it should be: checks are hourly, and the tokens were last checked "
                f"{_since(checked_on, now)}. {mend}"
            )
        case Freshness.STALE:
            yield (
                f"This is too old to go by: the tokens were last checked {_since(checked_on, now)}, and checks are "
                f"hourly. {mend}"
            )
        case Freshness.AHEAD:
            yield (
                f"How old this is cannot be told: it was written {_since(checked_on, now)}. Set the clock of this "
                "machine, or of the app."
            )
        case Freshness.NONE:
            started = runs[0].started_on if runs else None
            ran = f"the monitor last ran {_since(started, now)}" if started else "the monitor has not run"
            yield f"There are no tokens in the table TokenStatus, and {ran}. {mend}"


def _since(instant: datetime | None, now: datetime) -> str:
    return ago(instant, now) if instant else "at a time not known"


def _of_runs(runs: Sequence[RunRow], unread: Mapping[str, str], now: datetime) -> Iterable[str]:
    for connector, error in unread.items():
        yield f"{kind(connector)} could not be read: {error}"
    if not runs:
        return
    newest, *others = runs
    if newest.outcome not in {"succeeded", "degraded"}:
        why = " ".join(one for one in (newest.store_error, newest.publish_error) if one) or "It does not say why."
        yield f"The newest check, {_since(newest.started_on, now)}, ended as {newest.outcome}: {why}"
        return
    before = [run for run in others if run.outcome == "failed" and run.started_on and now - run.started_on <= STALE]
    if before:
        failed = _since(before[0].started_on, now)
        yield f"A check failed {failed}; what came after it did not. `python -m cli runs` says why."


def run(session: Session, filters: Filters, form: str) -> int:
    """Show it in one of the forms; the exit code says what the judgement is."""
    if form == "html":
        from cli import report  # noqa: PLC0415 # most of the time there is no page to write

        return report.show(session, filters)
    judged = session.read(lambda records: _read(records, session.now, filters))
    messages: Iterable[str] = judged.messages
    match form:
        case "json":
            session.write(export.json_text(export.status_document(judged, session.guidance)))
        case "csv":
            session.write(export.csv_text(export.STATUS_COLUMNS, export.status_lines(judged.rows, session.guidance)))
        case "ics":
            messages = _calendar(session, judged)
        case _:
            _print(session, judged, filters)
            return judged.code
    for message in messages:
        session.warn(message)
    return judged.code


def _calendar(session: Session, judged: Judged) -> Iterable[str]:
    """Write the expiries as a calendar; return what is to be said beside it."""
    from cli import expiries  # noqa: PLC0415 # its package is slow to import

    session.write(expiries.calendar_text(judged.rows, session.reminder_days, session.now))
    return [*judged.messages, *expiries.without_entry(judged.rows)]


async def _read(records: Records, now: datetime, filters: Filters) -> Judged:
    rows = await records.statuses()
    try:
        return judge(rows, await records.runs(limit=_RUNS), now, filters)
    except CommandError as problem:  # the tokens are worth showing without it
        return judge(rows, [], now, filters, also=[f"What the monitor did is not known. {problem}"])


def _print(session: Session, judged: Judged, filters: Filters) -> None:
    if judged.rows:
        view.print_statuses(session.out, judged.rows, session.guidance, session.now)
        session.out.print()
    for line in (*summary(judged, filters, session.now), *judged.messages):
        session.out.print(view.told(line, warning=line in judged.messages), soft_wrap=False)


def summary(judged: Judged, filters: Filters, now: datetime) -> Iterable[str]:
    """How many there are of each health, and how old that is."""
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
