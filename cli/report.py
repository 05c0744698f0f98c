"""`report`: everything on one page, which is written into a file."""

import asyncio
import os
import tempfile
from collections.abc import Awaitable
from datetime import timedelta
from pathlib import Path
from typing import Final

from cli import WELL, CommandError
from cli.page import GENERATOR, Picture, render
from cli.page.monitor import DAYS as RUN_DAYS
from cli.records import Records
from cli.session import Session
from cli.status import Filters, Judged, judge

_HEAD: Final = 2_000
"""Bytes of a file in which a page names what it was written by."""


def run(session: Session, output: Path | None, *, days: int, force: bool) -> int:
    """Write the page into a file, or to the standard output; the exit code.

    Raises:
        CommandError: where there is nothing to show, or the file may not be replaced or cannot be written.

    """
    if output:
        _spare(output, force=force)
    judged, text = _page(session, Filters(), days)
    if judged.checked_on is None:
        raise CommandError("There is nothing to report.", " ".join(judged.messages))
    if output is None:
        session.write(text)
    else:
        _replace(output, text)
        if not session.quiet:
            session.warn(f"Wrote {output}, {max(len(text.encode()) // 1024, 1):,} KB.")
    for message in judged.messages:
        session.warn(message)
    return WELL


def show(session: Session, filters: Filters, days: int = 90) -> int:
    """The page of what the filters leave, to the standard output; the exit code says what the judgement is."""
    judged, text = _page(session, filters, days)
    session.write(text)
    for message in judged.messages:
        session.warn(message)
    return judged.code


def _page(session: Session, filters: Filters, days: int) -> tuple[Judged, str]:
    picture = session.read(lambda records: read(records, session, filters, days))
    with session.working("Writing the page"):
        return picture.judged, render(picture, session.guidance)


async def read(records: Records, session: Session, filters: Filters, days: int) -> Picture:
    """Everything that the page shows. Only the tokens are indispensable; it says what is missing of the rest.

    Raises:
        CommandError: where the tokens could not be read.

    """
    now, missing = session.now, list[str]()

    async def optional[T](what: str, reading: Awaitable[list[T]]) -> list[T]:
        try:
            return await reading
        except CommandError as error:
            missing.append(f"{what} could not be read, and is not on this page. {error}")
            return []

    rows = await records.statuses()
    changes, runs, inspections = await asyncio.gather(
        optional("What changed", records.history(since=now - timedelta(days=days))),
        optional("What the monitor did", records.runs(since=now - timedelta(days=RUN_DAYS))),
        optional("What is known of devices", records.inspections()),
    )
    judged = judge(rows, runs, now, filters)
    shown = {(row.connector, row.row_key) for row in judged.rows}
    return Picture(
        judged=judged,
        filters=filters,
        runs=runs,
        changes=[one for one in changes if filters == Filters() or (one.connector, one.row_key) in shown],
        inspections={(one.connector, one.row_key): one for one in inspections},
        missing=missing,
        now=now,
        endpoint=session.places.value("TABLES_ENDPOINT") or "",
        workbook=session.places.value("WORKBOOK_URL"),
    )


def _spare(output: Path, *, force: bool) -> None:
    """Leave a file alone that somebody keeps under that name.

    Raises:
        CommandError: where there is one, and it is no earlier report.

    """
    try:
        if force or not output.exists():
            return
        with output.open("rb") as file:
            ours = f'name="generator" content="{GENERATOR}'.encode() in file.read(_HEAD)
    except OSError as error:
        raise _unwritable(output, error) from error
    if not ours:
        raise CommandError(
            f"{output} is there already, and is no report of this program.",
            "Name another file with --output, or replace this one with --force.",
        )


def _replace(output: Path, text: str) -> None:
    """Write a file as a whole or not at all: somebody may be reading it."""
    try:
        handle, name = tempfile.mkstemp(dir=output.absolute().parent, prefix=".report-")
        written = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode())
            written.chmod(0o666 & ~_umask())
            written.replace(output)
        except BaseException:
            written.unlink()
            raise
    except OSError as error:
        raise _unwritable(output, error) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _unwritable(output: Path, error: OSError) -> CommandError:
    return CommandError(f"{output} cannot be written: {error.strerror}.", "Name another file with --output.")
