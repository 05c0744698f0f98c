"""Writes the page into a file, and replaces no file of somebody else."""

from pathlib import Path
from typing import Final
from uuid import uuid4

from cli import CommandError
from cli.page.render import GENERATOR
from cli.session import Session

_HEAD: Final = 2_000
"""The first bytes of a file, in which a page names the program that wrote it."""


def check_file(file: Path, option: str, *, force: bool = False) -> None:
    """Verify that the page may replace `file`, which `option` names.

    Raises:
        CommandError: if there is a file of that name that is not an earlier page.

    """
    try:
        if force or not file.exists():
            return
        with file.open("rb") as earlier:
            ours = f'name="generator" content="{GENERATOR}'.encode() in earlier.read(_HEAD)
    except OSError as error:
        raise _unwritable(file, option, error) from error
    if not ours:
        forced = ", or replace this one with --force" if option == "--output" else ""
        raise CommandError(
            f"{file} exists, and is not a report of this program.", f"Name another file with {option}{forced}."
        )


def write_file(session: Session, file: Path, text: str, option: str) -> None:
    """Write the page as a whole or not at all, since somebody may be reading an earlier one.

    Raises:
        CommandError: if it cannot be written.

    """
    written = file.absolute().with_name(f".report-{uuid4().hex}")
    try:
        try:
            with written.open("xb") as temporary:
                temporary.write(text.encode())
            written.replace(file)
        finally:
            written.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(file, option, error) from error
    if not session.quiet:
        session.warn(f"Wrote {file}, {max(len(text.encode()) // 1024, 1):,} KB.")


def _unwritable(file: Path, option: str, error: OSError) -> CommandError:
    return CommandError(f"{file} cannot be written: {error.strerror}.", f"Name another file with {option}.")
