"""`doctor`: gathers the facts once, and judges them by a table of checks."""

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
    from cli.doctor.checks import judge
    from cli.doctor.facts import gather
    from cli.doctor.lines import document, exit_code, print_lines

    with session.working("Examining the deployment"):
        facts = asyncio.run(gather(session, write=write))
    lines = judge(facts)
    if form == "json":
        session.write(export.json_text(document(lines)))
    else:
        print_lines(session.out, lines)
    return exit_code(lines)
