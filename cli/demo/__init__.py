"""`demo`: the app against a simulated tenant, on this machine."""

from typing import Annotated

import typer

from cli.command import guarded
from cli.session import Session


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Keep the tenant running until Ctrl-C.")] = False,
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=90, help="Play a story of DAYS days, and print its alerts.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Print a traceback with an error.")] = False,
) -> None:
    """Run the app against a simulated tenant.

    The timer functions check it once, with the real parts, and the command shows what an administrator would see.

    For example:
      python -m cli demo
      python -m cli demo --days 14
    """

    def work() -> int:
        from cli.demo.play import run

        return run(keep=keep, days=days)

    raise typer.Exit(guarded(Session(debug=debug), work))
