"""The commands that look: what they are called, what they take, and what their help says."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.app import app, command, guarded, kept
from cli.session import Session
from shared.model.tokens import Connector, Health


class OfHealth(StrEnum):
    """A health as it is typed; worst first."""

    CRITICAL = "critical"
    UNKNOWN = "unknown"
    WARNING = "warning"
    INFO = "info"
    HEALTHY = "healthy"


Days = Annotated[int | None, typer.Option("--days", "-d", min=1, max=3650, help="Only the last so many days.")]
AsForm = Annotated[
    Literal["table", "json", "csv"], typer.Option("--format", "-f", help="What it is shown as.", show_default=True)
]


@command
def status(
    session: Session,
    connector: Annotated[
        list[Connector] | None, typer.Option("--connector", "-c", help="Only this connector; repeatable.")
    ] = None,
    health: Annotated[list[OfHealth] | None, typer.Option("--health", help="Only this health; repeatable.")] = None,
    form: Annotated[
        Literal["table", "json", "csv", "html", "ics"], typer.Option("--format", "-f", help="What it is shown as.")
    ] = "table",
) -> int:
    """Show the tokens, what is wrong and what to do.

    The worst come first; the last lines say how old that is. The exit code judges what the filters leave: 0 all well,
    1 warnings, 2 critical or unknown, 3 could not tell (no data, or older than three hours).

    For example:
      python -m cli status
      python -m cli status --connector ade --health critical --health unknown
      python -m cli status --quiet --format csv > tokens.csv
      python -m cli status --format json | jq '.tokens[] | select(.days_left < 60) | .name'

      python -m cli status --quiet --format ics > apple-tokens.ics

    ICS: an entry of a calendar for each expiry that is known, with reminders on the days that the monitor warns on.

    JSON: checked_on, freshness (fresh, late, stale, ahead, none), exit_code, messages, unread, counts, run, and
      tokens: connector, id, name, type, apple_id, health, health_since, summary, expires_on, days_left,
      last_successful_sync, last_sync_error_code, synced_devices, first_seen, observed_on, checked_on, changed_on,
      run_id, problems, findings (code, severity, tier, since, until, caused_by, summary, action, facts).
      Instants are ISO 8601 in UTC, what is not known is null, and names are only ever added.
    """
    from cli import status as work  # noqa: PLC0415 # help is quick without Azure's packages

    healths = frozenset(Health[one.name] for one in health or ())
    return work.run(session, work.Filters(frozenset(one.value for one in connector or ()), healths), form)


@command
def history(
    session: Session,
    token: Annotated[str, typer.Argument(help="The token's id, its name, or a part of it.")],
    days: Days = None,
    form: AsForm = "table",
) -> int:
    """Show what changed about a token, newest first.

    A token that is gone is found, too, as long as its history is kept. Where several fit, they are listed.

    For example:
      python -m cli history "Contoso Retail"
      python -m cli history retail --days 30
      python -m cli history push --format json

    JSON: connector, id, name, health (null for a token that is gone), and
      changes: changed_on, connector, id, name, old_health, health, sentence, run_id, problems, and
      changes (field, old, new).
    """
    from cli import history as work  # noqa: PLC0415 # as above

    return work.run(session, token, days, form)


@command
def runs(
    session: Session,
    days: Days = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="At most so many; 24 unless --days is given.")
    ] = None,
    form: AsForm = "table",
) -> int:
    """Show what the monitor itself did, newest first.

    When each check started, how it ended, how long it took, what was read, and what went wrong.

    For example:
      python -m cli runs
      python -m cli runs --days 7 --format csv > runs.csv

    JSON: runs, each with run_id, started_on, duration_ms, outcome, connectors (tokens, or error), tokens, counts,
      store_error, publish_error, past_due, version, problems.
    """
    from cli import runs as work  # noqa: PLC0415 # as above

    return work.run(session, days, limit, form)


@command
def report(
    session: Session,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Where to write it; - for the standard output.")
    ] = "report.html",
    days: Annotated[int, typer.Option("--days", "-d", min=1, max=3650, help="History of so many days.")] = 90,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE even if it is no earlier report.")] = False,
) -> int:
    """Write one HTML page with everything.

    What needs attention, when tokens expire, each token with its steps and history, the runs. The page needs no network
    and no script, and may be mailed. An earlier report is replaced, any other file is not.

    For example:
      python -m cli report
      python -m cli report --output /srv/www/tokens.html
      python -m cli report --output - > tokens.html
    """
    from cli import report as work  # noqa: PLC0415 # as above

    return work.run(session, None if output == "-" else Path(output), days=days, force=force)


@app.command(
    help=kept("""Run the app against a simulated tenant.

    The timer function checks it once, with the real parts, and what an administrator would see is shown.

    For example:
      python -m cli demo
      python -m cli demo --days 14
    """)
)
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Keep the tables open to look at, until Ctrl-C.")] = False,
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=90, help="Play a story over so many days and print its alerts.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback with an error.")] = False,
) -> None:
    """Take no place of a deployment: it has a tenant of its own."""

    def played() -> int:
        from cli import demo as work  # noqa: PLC0415 # the simulator is there only where the app is developed

        return work.run(keep=keep, days=days)

    raise typer.Exit(guarded(Session(debug=debug), played))
