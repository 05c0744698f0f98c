"""The commands that ask Graph, Azure or the app, and those that act: what they are called, take, and help with."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.app import command_with
from cli.session import Session

if TYPE_CHECKING:
    from cli.sign_in import GraphSignIn

DeviceCode = Annotated[bool, typer.Option("--device-code", help="The same as --credential device-code.")]
ByCredential = Annotated[
    Literal["browser", "device-code", "default"],
    typer.Option("--credential", help="How to sign in to Graph; default is the sign-in that everything else goes by."),
]
ByClient = Annotated[
    str | None,
    typer.Option("--client-id", metavar="ID", help="The public client to sign in to Graph with; else Microsoft's own."),
]
Write = Annotated[bool, typer.Option("--write", help="Do it, and do not only show what would change.")]
AtOnce = Annotated[bool, typer.Option("--now", help="Send it at once, even if the next check may end it unseen.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for the app's check that ends it.")]


@command_with(
    "FUNCTION_APP_ID",
    "TENANT_ID",
    "LOGS_INGESTION_ENDPOINT",
    "LOGS_INGESTION_RULE_ID",
    "DEPLOYMENT",
    "GRAPH_ENDPOINT",
    "AZURE_CLOUD",
    "ARM_ENDPOINT",
)
def check(
    session: Session,
    write: Write = False,
    credential: ByCredential = "browser",
    device_code: DeviceCode = False,
    client_id: ByClient = None,
) -> int:
    """Check the tokens now, from this machine.

    Reads Graph and the tables, judges as the app does, and shows what would change. Nothing is written unless --write
    is given. Then it stores what it found, and publishes the findings: an alert can fire by it. None resolves by it,
    and it is no heartbeat: only the app's own checks tell that the app is alive. Its run's id begins with cli-.

    Nothing is written where Graph does not show you all that the monitor knows, or the app's settings are not known.

    Graph is read with a sign-in of its own, since the Azure CLI's carries no Intune permission. The exit code is that
    of the tokens: 0 all well, 1 warnings, 2 critical or unknown, 3 could not tell.

    For example:
      python -m cli check
      python -m cli check --device-code
      python -m cli check --write
    """
    from cli import check as work  # noqa: PLC0415 # help is quick without Azure's packages

    return work.run(session, _graph(credential, device_code, client_id), write=write)


@command_with("FUNCTION_APP_ID", "TENANT_ID", "GRAPH_ENDPOINT", "AZURE_CLOUD", "ARM_ENDPOINT")
def inspect(
    session: Session,
    token: Annotated[str, typer.Argument(help="The ADE token's id, its name, or a part of it.")],
    write: Write = False,
    credential: ByCredential = "browser",
    device_code: DeviceCode = False,
    client_id: ByClient = None,
) -> int:
    """Count the devices of one ADE token now, from this machine.

    Shows how many there are, what is wrong with them with some serial numbers, and what the next check would make of
    it. Nothing is written unless --write is given; then the next check judges by it. Where several tokens fit, they are
    listed. Graph is read with a sign-in of its own, as by `check`. Exit code 0: inspected; 3: not, or not as a whole.

    For example:
      python -m cli inspect "Contoso Retail"
      python -m cli inspect retail --device-code --write
    """
    from cli import inspection as work  # noqa: PLC0415 # as above

    return work.run(session, _graph(credential, device_code, client_id), token, write=write)


@command_with("TENANT_ID", "GRAPH_ENDPOINT", "AZURE_CLOUD")
def device(
    session: Session,
    serial: Annotated[str, typer.Argument(help="The device's serial number, as Apple writes it.")],
    form: Annotated[Literal["table", "json"], typer.Option("--format", "-f", help="What it is shown as.")] = "table",
    credential: ByCredential = "browser",
    device_code: DeviceCode = False,
    client_id: ByClient = None,
) -> int:
    """Say which ADE token a device stands under.

    And with which profile, in what state, when it was last heard of, and whether Intune's list has it as deleted. Looks
    under every ADE token; only Graph is asked, with a sign-in of its own, as by `check`. Exit code 0: found; 3: not.

    For example:
      python -m cli device C02XK1ABJGH5
      python -m cli device C02XK1ABJGH5 --format json | jq -r '.devices[].token'

    JSON: serial, tokens, searched, failures (token_id, token, error), and
      devices: token_id, token, profile_id, profile, assigned_on, state, last_contact, platform, source, created_on,
      deleted.
    """
    from cli import device as work  # noqa: PLC0415 # as above

    return work.run(session, _graph(credential, device_code, client_id), serial, form)


@command_with("FUNCTION_APP_ID", "AZURE_CLOUD", "ARM_ENDPOINT")
def trigger(
    session: Session,
    what: Annotated[Literal["check", "inspect", "prune"], typer.Argument(help="What the app is asked for.")] = "check",
    timeout: Annotated[
        int | None,
        typer.Option("--timeout", metavar="SECONDS", min=0, max=3600, help="How long to wait for what the run writes."),
    ] = None,
) -> int:
    """Ask the app for a run now, and wait for it.

    It goes through Azure Resource Manager with your own sign-in, and takes a role on the function app such as Website
    Contributor. Exit code 0: it ran; 3: it was not asked, was not seen, or was not whole.

    For example:
      python -m cli trigger
      python -m cli trigger inspect
    """
    from cli import trigger as work  # noqa: PLC0415 # as above

    return work.run(session, what, timeout)


@command_with(
    "LOGS_INGESTION_ENDPOINT",
    "LOGS_INGESTION_RULE_ID",
    "TENANT_ID",
    "DEPLOYMENT",
    "FUNCTION_APP_ID",
    "AZURE_CLOUD",
    "ARM_ENDPOINT",
)
def test_alert(
    session: Session,
    at_once: AtOnce = False,  # noqa: PT028 # a command, and no test
    wait: Wait = False,  # noqa: PT028
) -> int:
    """Prove the way from a finding to somebody's phone.

    Sends one critical finding of a token called TEST, which does not exist, with your own sign-in; it takes the role
    Monitoring Metrics Publisher on the data collection rule. An alert fires within 20 minutes, and resolves by itself
    after the app's next whole check. Real tokens, their alerts and the tables are left alone, and it is no heartbeat.

    If the next check is so near that it would end the test unseen, it is sent after that check.

    Exit code 0: sent (and with --wait, ended); 3: not.

    For example:
      python -m cli test-alert
      python -m cli test-alert --wait
    """
    from cli import alert as work  # noqa: PLC0415 # as above

    return work.run(session, at_once=at_once, wait=wait)


@command_with(
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
    form: Annotated[
        Literal["table", "json"], typer.Option("--format", "-f", help="What it is shown as.", show_default=True)
    ] = "table",
) -> int:
    """Look whether everything is in place.

    Places, clock and sign-in; the app, its settings and alert rules; its identity, that one's Graph role and its right
    to publish; the tables, and what the app's own last checks say. Each line passed, failed with the command that mends
    it, or was not tried and says why. It takes no more than your own rights: what you may not see is not tried.

    Exit codes: 0 what was tried passed, 2 a line failed, 3 nothing could be tried.

    For example:
      python -m cli doctor
      python -m cli doctor --write
      python -m cli doctor --format json | jq -r '.lines[] | select(.state == "failed") | .command'

    JSON: exit_code, counts (passed, failed, not tried), and
      lines: what, state, said, remedy, command, then (null where there is none).
    """
    from cli import doctor as work  # noqa: PLC0415 # as above

    return work.run(session, write=write, form=form)


def _graph(credential: str, device_code: bool, client_id: str | None) -> "GraphSignIn":
    from cli.sign_in import CLIENT_ID, GraphSignIn, How  # noqa: PLC0415 # as above

    return GraphSignIn(How.DEVICE_CODE if device_code else How(credential), client_id or CLIENT_ID)
