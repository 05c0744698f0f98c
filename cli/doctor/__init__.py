"""`doctor`: is everything in place? What is looked at is read first, side by side, and then judged line by line."""

import asyncio

from cli import export
from cli.doctor import app, here, identity, record, show
from cli.doctor.facts import Facts
from cli.doctor.lines import Line, exit_code, told_once
from cli.doctor.looks import look
from cli.session import Session


def run(session: Session, *, write: bool, form: str) -> int:
    """Look, judge and tell; the exit code."""
    with session.working("Looking at the deployment"):
        facts = asyncio.run(look(session, write=write))
    lines = judge(facts)
    if form == "json":
        session.write(export.json_text(show.document(lines)))
    else:
        show.print_lines(session.out, lines)
    return exit_code(lines)


def judge(facts: Facts) -> list[Line]:
    """Every line, in the order in which things depend on each other."""
    return list(told_once(line for part in (here, app, identity, record) for line in part.judge(facts)))
