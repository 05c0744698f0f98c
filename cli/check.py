"""`check`: the tokens of a tenant, read and judged now on this machine; nothing is stored."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.text import Text

from cli import COULD_NOT_TELL, view
from cli.command import command
from cli.judgement import Filters, Judged, judge
from cli.session import Session

if TYPE_CHECKING:
    from cli.graph_access import Access
    from cli.tenant import Checked

_TOKENS: Final = "Intune's Apple tokens (enrollment program tokens, the MDM push certificate and VPP tokens)"
_SYMPTOMS: Final = {
    "waiting": "waiting for an enrollment policy",
    "not_contacted": "without contact",
    "failed": "failed to enroll",
    "blocked": "blocked",
}
"""The symptoms of `Counts.examples`, in words."""


@command("FUNCTION_APP_ID", "TENANT_ID", "GRAPH_ENDPOINT", "AZURE_CLOUD", "ARM_ENDPOINT", reads_graph=True)
def check(
    session: Session,
    devices: Annotated[
        bool, typer.Option("--devices", help="Also count the devices of each enrollment program token.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Also write the page of `report` into FILE.")
    ] = None,
) -> int:
    """Check the tokens of your tenant now, and store nothing.

    Needs no deployed monitor and no Azure subscription, only a person who may sign in to Graph. Prints what `status`
    prints. Before you sign in, the command shows which permission it asks for, who may have to consent, and what it
    reads. If the tables of a monitor are known, the tokens are judged with what it remembers, and else without memory.

    Exit code: 0 all healthy, 1 warnings, 2 critical or unknown, 3 not known.

    For example:
      python -m cli check
      python -m cli check --device-code --devices
      python -m cli check --report tokens.html
    """
    from cli import page

    if report:
        page.check_file(report, "--report")
    judged, checked, text = asyncio.run(_check(session, devices=devices, writes=report is not None))
    view.print_judged(session.out, judged, Filters(), checked.guidance, session.now)
    if devices:
        _print_devices(session, checked)
    session.print("Nothing was stored or published.")
    if report:
        page.write_file(session, report, text, "--report")
    return COULD_NOT_TELL if len(judged.unread) == len(checked.run.connectors) else judged.code


async def _check(session: Session, *, devices: bool, writes: bool) -> tuple[Judged, "Checked", str]:
    """Return the judgement, what it is made from, and the page if it `writes` one."""
    from cli import page
    from cli.graph_access import open_access
    from cli.tenant import check_tenant

    reads = f"{_TOKENS} and their lists of devices" if devices else _TOKENS
    async with open_access(session, reads=reads) as access:
        checked = await check_tenant(session, access, devices=devices)
        notes = (*checked.messages, *_notes(access, checked))
    judged = judge(checked.statuses, [checked.run], session.now, also=notes, checked_on=session.now)
    text = await page.from_check(session, judged, checked.inspections, checked.guidance) if writes else ""
    return judged, checked, text


def _notes(access: "Access", checked: "Checked") -> list[str]:
    """Return what the reader has to know beside the tokens: whose settings apply, and that there are none."""
    notes = []
    if not checked.statuses and not any(one.error for one in checked.run.connectors.values()):
        notes.append("Graph shows you no tokens: there are none, or none in the scope of your Intune role.")
    if access.defaults_because:
        notes.append(f"The default thresholds apply instead of the app's: {access.defaults_because}.")
    return notes


def _print_devices(session: Session, checked: "Checked") -> None:
    from cli.device_table import print_devices

    session.print("")
    print_devices(session.out, checked.inspections, checked.statuses)
    for name, examples in checked.examples:
        for symptom, serials in examples.items():
            if serials:
                text = Text(f"{', '.join(serials)} ({_SYMPTOMS.get(symptom, symptom)})")
                view.print_hanging(session.out, f"{name}: ", text)
