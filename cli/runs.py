"""`runs`: what the monitor itself did, newest first."""

from collections import Counter
from datetime import timedelta

from cli import WELL, CommandError, export, view
from cli.session import Session
from shared.words import count

SHOWN = 24
"""Runs that are shown unless somebody says otherwise: a day of them."""


def run(session: Session, days: int | None, limit: int | None, form: str) -> int:
    """Show them in one of the forms; the exit code.

    Raises:
        CommandError: where there is none.

    """
    since = session.now - timedelta(days=days) if days else None
    most = limit or (None if days else SHOWN)
    rows = session.read(lambda records: records.runs(since=since, limit=most))
    if not rows:
        raise CommandError(
            f"The monitor has not run{f' in {count(days, "day")}' if days else ''}: the table CheckRun is empty.",
            "`python -m cli doctor` looks for what is in its way; checks come every hour at minute 7.",
        )
    match form:
        case "json":
            session.write(export.json_text({"runs": [export.run_object(row) for row in rows]}))
        case "csv":
            session.write(export.csv_text(export.RUN_COLUMNS, export.run_lines(rows)))
        case _:
            view.print_runs(session.out, rows)
            outcomes = Counter(row.outcome for row in rows)
            told = ", ".join(f"{number:,} {outcome}" for outcome, number in outcomes.most_common())
            session.out.print(view.told(f"\n{count(len(rows), 'check')}, newest first: {told}."))
    return WELL
