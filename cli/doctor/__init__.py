"""`doctor`: reads everything side by side, and then judges it line by line."""

import asyncio
from typing import Annotated, Literal

import typer

from cli import export
from cli.command import command
from cli.session import Session


@command(
    "FUNCTION_APP_ID",
    "TENANT_ID",
    "LOGS_INGESTION_ENDPOINT",
    "LOGS_INGESTION_RULE_ID",
    "DEPLOYMENT",
    "IDENTITY_PRINCIPAL_ID",
    "IDENTITY_CLIENT_ID",
    "GRAPH_ENDPOINT",
    "AZURE_CLOUD",
    "ARM_ENDPOINT",
)
def doctor(
    session: Session,
    write: Annotated[
        bool,
        typer.Option("--write", help="Also write to the tables, which is undone, and send a row that no rule counts."),
    ] = False,
    form: Annotated[Literal["table", "json"], typer.Option("--format", "-f", help="The form of the output.")] = "table",
) -> int:
    """Verify that everything is in place.

    Places, clock and sign-in; the app, its settings and alert rules; its identity, with its Graph role and its right to
    publish; the tables, and the app's last checks. Each line passed, failed with the command that fixes it, or was not
    tried, with the reason. The command uses only your own rights: what you may not see is not tried.

    Exit codes: 0 every line that was tried passed, 2 a line failed, 3 nothing could be tried.

    For example:
      python -m cli doctor
      python -m cli doctor --write
      python -m cli doctor --format json | jq -r '.lines[] | select(.state == "failed") | .command'

    JSON: exit_code, counts (passed, failed, not tried), and
      lines: what, state, said, remedy, command, then (null where there is none).
    """
    from cli.doctor import app, here, identity, record, show
    from cli.doctor.lines import exit_code, told_once
    from cli.doctor.looks import look

    with session.working("Reading the deployment"):
        facts = asyncio.run(look(session, write=write))
    lines = list(told_once(line for part in (here, app, identity, record) for line in part.judge(facts)))
    if form == "json":
        session.write(export.json_text(show.document(lines)))
    else:
        show.print_lines(session.out, lines)
    return exit_code(lines)
