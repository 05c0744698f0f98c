"""`report`: everything on one page, written into a file."""

from pathlib import Path
from typing import Annotated

import typer

from cli import WELL, CommandError
from cli.command import command
from cli.judgement import Filters
from cli.session import Session


@command()
def report(
    session: Session,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="The file to write; - for the standard output.")
    ] = "report.html",
    days: Annotated[int, typer.Option("--days", "-d", min=1, max=3650, help="History of the last DAYS days.")] = 90,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE even if it is not an earlier report.")] = False,
) -> int:
    """Write one HTML page with everything.

    The page shows what needs attention, when tokens expire, each token with its steps and history, and the runs. It
    needs neither network nor script, and you can mail it. The command replaces an earlier report, but no other file.

    For example:
      python -m cli report
      python -m cli report --output /srv/www/tokens.html
      python -m cli report --output - > tokens.html
    """
    from cli import page

    file = None if output == "-" else Path(output)
    if file:
        page.check_file(file, "--output", force=force)
    judged, text = page.from_tables(session, Filters(), days)
    if judged.checked_on is None:
        raise CommandError("There is nothing to report.", " ".join(judged.messages))
    if file:
        page.write_file(session, file, text, "--output")
    else:
        session.write(text)
    for message in judged.messages:
        session.warn(message)
    return WELL
