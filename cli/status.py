"""`status`: the tokens, worst first, what is wrong with them and what to do."""

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from cli import CommandError, export, view
from cli.command import command
from cli.judgement import Filters, Judged, judge
from cli.session import Session
from shared.model.tokens import Connector, Health

if TYPE_CHECKING:
    from cli.records import Records

_RUNS: Final = 4
"""The newest runs to read: those within `judgement.STALE`."""


class HealthName(StrEnum):
    """A health as the command line names it, worst first."""

    CRITICAL = "critical"
    UNKNOWN = "unknown"
    WARNING = "warning"
    INFO = "info"
    HEALTHY = "healthy"


@command()
def status(
    session: Session,
    connector: Annotated[
        list[Connector] | None, typer.Option("--connector", "-c", help="Only this connector; repeatable.")
    ] = None,
    health: Annotated[list[HealthName] | None, typer.Option("--health", help="Only this health; repeatable.")] = None,
    form: Annotated[
        Literal["table", "json", "csv", "html", "ics"], typer.Option("--format", "-f", help="The form of the output.")
    ] = "table",
) -> int:
    """Show the tokens, what is wrong and what to do.

    The worst come first, and the last lines show how old the data is. The exit code judges the tokens that the filters
    keep: 0 all healthy, 1 warnings, 2 critical or unknown, 3 not known (no data, or data older than three hours).

    For example:
      python -m cli status
      python -m cli status --connector ade --health critical --health unknown
      python -m cli status --quiet --format csv > tokens.csv
      python -m cli status --format json | jq '.tokens[] | select(.days_left < 60) | .name'

      python -m cli status --quiet --format ics > apple-tokens.ics

    ICS: a calendar entry for each known expiry, with reminders on the days on which the monitor warns.

    JSON: checked_on, freshness (fresh, late, stale, ahead, none), exit_code, messages, unread, counts, run, and
      tokens: connector, id, name, type, apple_id, health, health_since, summary, expires_on, days_left,
      last_successful_sync, last_sync_error_code, synced_devices, first_seen, observed_on, checked_on, changed_on,
      run_id, problems, findings (code, severity, tier, since, until, caused_by, summary, action, facts).
      Instants are ISO 8601 in UTC, and unknown values are null. New versions only add names.
    """
    healths = frozenset(Health[one.name] for one in health or ())
    filters = Filters(frozenset(one.value for one in connector or ()), healths)
    if form == "html":
        return _write_page(session, filters)
    judged = session.read(lambda records: _read(records, session, filters))
    messages: Iterable[str] = judged.messages
    match form:
        case "json":
            session.write(export.json_text(export.status_document(judged, session.guidance)))
        case "csv":
            session.write(export.status_csv(judged.rows, session.guidance))
        case "ics":
            messages = _write_calendar(session, judged)
        case _:
            view.print_judged(session.out, judged, filters, session.guidance, session.now)
            return judged.code
    for message in messages:
        session.warn(message)
    return judged.code


def _write_page(session: Session, filters: Filters) -> int:
    from cli.page import from_tables

    judged, text = from_tables(session, filters)
    session.write(text)
    for message in judged.messages:
        session.warn(message)
    return judged.code


def _write_calendar(session: Session, judged: Judged) -> Iterable[str]:
    """Write the expiries as a calendar; return the messages to print beside it."""
    from cli import expiries

    session.write(expiries.calendar_text(judged.rows, session.reminder_days, session.now))
    return [*judged.messages, *expiries.without_entry(judged.rows)]


async def _read(records: "Records", session: Session, filters: Filters) -> Judged:
    rows = await records.statuses()
    try:
        return judge(rows, await records.runs(limit=_RUNS), session.now, filters)
    except CommandError as problem:  # the tokens are worth showing without the runs
        return judge(rows, [], session.now, filters, also=[f"The monitor's runs are not known. {problem}"])
