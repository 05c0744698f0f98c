"""`demo`: the app against a simulated tenant, on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from cli.command import guarded
from cli.session import Session


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the tenant running until Ctrl-C, for commands in another terminal.")
    ] = False,
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=90, help="Play a story of DAYS days, and print its alerts.")
    ] = None,
    report: Annotated[Path, typer.Option("--report", metavar="FILE", help="The file for the report page.")] = Path(
        "demo.html"
    ),
    debug: Annotated[bool, typer.Option("--debug", help="Print a traceback with an error.")] = False,
) -> None:
    """Run the app against a simulated tenant.

    The timer functions check it once, with the real parts. The command prints the administrator's view, and writes the
    report page of the tenant. With --keep, it prints how to use the other commands with this tenant.

    For example:
      python -m cli demo
      python -m cli demo --keep
      python -m cli demo --days 14
    """

    def work() -> int:
        from cli.demo.play import run

        return run(report, keep=keep, days=days)

    raise typer.Exit(guarded(Session(debug=debug), work))
