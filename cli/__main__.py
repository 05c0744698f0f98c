"""`python -m cli COMMAND`.

A command parses, calls what does the work, and turns its outcome into words and an exit code.
"""

import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from cli import COULD_NOT_TELL
from shared import __version__

app = typer.Typer(
    help="Commands of ADE Token Monitor. Exit codes: 0 well, 3 could not tell.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"ADE Token Monitor {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[  # its callback does the work
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Take the options that stand before the command."""


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Keep the tables open to look at, until Ctrl-C.")] = False,
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=90, help="Play a story over so many days and print its alerts.")
    ] = None,
) -> None:
    """Check a simulated tenant once, with the real parts, and show what an administrator would see.

    Examples: `python -m cli demo`, `python -m cli demo --days 14`.
    """
    from cli import demo as command  # noqa: PLC0415 # the simulator is there only where the app is developed

    raise typer.Exit(command.run(keep=keep, days=days))


def main() -> int:
    """Run the command line; the exit code."""
    try:
        code = app(standalone_mode=False)
    except TyperException as error:
        typer.echo(f"{error.format_message()}\nSee python -m cli --help", err=True)
        return COULD_NOT_TELL
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
