"""The page: one HTML file that needs no network and no script. It shows everything as of when it was written."""

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from cli import CommandError
from cli.judgement import Filters, Judged, judge
from cli.page.file import check_file, write_file
from cli.page.monitor import DAYS as RUN_DAYS
from cli.page.render import Picture, render
from cli.session import Session
from shared.guidance.guidance import Guidance
from shared.storage.device_rows import InspectionRow
from shared.storage.rows import ChangeRow, RunRow

if TYPE_CHECKING:
    from cli.records import Records

__all__ = ["check_file", "from_check", "from_tables", "write_file"]

HISTORY_DAYS: Final = 90


def from_tables(session: Session, filters: Filters, days: int = HISTORY_DAYS) -> tuple[Judged, str]:
    """Return the page of what the monitor's tables hold, and how it was judged.

    Raises:
        CommandError: if the tokens cannot be read.

    """
    picture = session.read(lambda records: _read(records, session, filters, days))
    with session.working("Writing the page"):
        return picture.judged, render(picture, session.guidance)


async def from_check(session: Session, judged: Judged, inspections: Sequence[InspectionRow], guidance: Guidance) -> str:
    """Return the page of a check on this machine, with the history and runs of a monitor whose tables are known."""
    history, problems = _History([], [], []), list[str]()
    if session.places.get("TABLES_ENDPOINT"):
        from cli.records import open_records

        async with open_records(session.places) as records:
            history = await _History.read(records, session, HISTORY_DAYS, problems)
    picture = Picture(
        judged=judged,
        filters=Filters(),
        runs=history.runs,
        changes=history.changes,
        inspections={(one.connector, one.row_key): one for one in (*history.inspections, *inspections)},
        missing=problems,
        now=session.now,
        source="a check on one machine",
        workbook=session.places.value("WORKBOOK_URL"),
    )
    return render(picture, guidance)


class _History(NamedTuple):
    """What the tables hold beside the tokens; the page says which of it could not be read."""

    changes: list[ChangeRow]
    runs: list[RunRow]
    inspections: list[InspectionRow]

    @staticmethod
    async def read(records: "Records", session: Session, days: int, problems: list[str]) -> "_History":
        async def optional[T](what: str, reading: Awaitable[list[T]]) -> list[T]:
            try:
                return await reading
            except CommandError as error:
                problems.append(f"{what} could not be read, so this page does not show them. {error}")
                return []

        return _History(
            *await asyncio.gather(
                optional("The changes", records.history(since=session.now - timedelta(days=days))),
                optional("The monitor's runs", records.runs(since=session.now - timedelta(days=RUN_DAYS))),
                optional("The devices", records.inspections()),
            )
        )


async def _read(records: "Records", session: Session, filters: Filters, days: int) -> Picture:
    rows, problems = await records.statuses(), list[str]()
    history = await _History.read(records, session, days, problems)
    judged = judge(rows, history.runs, session.now, filters)
    shown = {(row.connector, row.row_key) for row in judged.rows}
    return Picture(
        judged=judged,
        filters=filters,
        runs=history.runs,
        changes=[one for one in history.changes if filters == Filters() or (one.connector, one.row_key) in shown],
        inspections={(one.connector, one.row_key): one for one in history.inspections},
        missing=problems,
        now=session.now,
        source=session.places.value("TABLES_ENDPOINT") or "",
        workbook=session.places.value("WORKBOOK_URL"),
    )
