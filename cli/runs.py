"""`runs`: what the monitor itself did, newest first."""

from collections import Counter
from datetime import timedelta
from typing import Annotated, Final

import typer

from cli import WELL, CommandError, export, program, view
from cli.command import Days, Form, command
from cli.session import Session
from shared.words import count

_SHOWN: Final = 24
"""Runs to show by default: those of a day."""


@command()
def runs(
    session: Session,
    days: Days = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="At most LIMIT runs. Default: 24 without --days.")
    ] = None,
    form: Form = "table",
) -> int:
    """Show what the monitor itself did, newest first.

    For each check: when it started, how it ended, how long it took, what it read, and what failed.

    For example:
      python -m cli runs
      python -m cli runs --days 7 --format csv > runs.csv

    JSON: runs, each with run_id, started_on, duration_ms, outcome, connectors (tokens, or error), tokens, counts,
      store_error, publish_error, past_due, version, problems.
    """
    since = session.now - timedelta(days=days) if days else None
    most = limit or (None if days else _SHOWN)
    rows = session.read(lambda records: records.runs(since=since, limit=most))
    if not rows:
        raise CommandError(
            f"The monitor has not run{f' in {count(days, "day")}' if days else ''}: the table CheckRun is empty.",
            f"Checks start at minute 7 of every hour; `{program()} doctor` shows why they do not.",
        )
    match form:
        case "json":
            session.write(export.json_text({"runs": [export.run_object(row) for row in rows]}))
        case "csv":
            session.write(export.runs_csv(rows))
        case _:
            view.print_runs(session.out, rows)
            outcomes = Counter(row.outcome for row in rows)
            numbers = ", ".join(f"{number:,} {outcome}" for outcome, number in outcomes.most_common())
            session.print(f"\n{count(len(rows), 'check')}, newest first: {numbers}.")
    return WELL
