"""`trigger`: asks the deployed app for a run through Azure Resource Manager, and waits for the rows that it writes."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from cli import COULD_NOT_TELL, WELL, CommandError, program, view
from cli.command import command
from cli.progress import until
from cli.session import Session
from shared.storage.device_rows import InspectionRow
from shared.storage.rows import RunRow
from shared.words import count, moment, next_tick

if TYPE_CHECKING:
    from cli.arm import Arm
    from cli.records import Records

WAITS: Final = {"check": 300, "inspect": 180, "prune": 0}
"""Seconds to wait for the rows of a run; pruning writes none."""

_STARTING: Final = frozenset({500, 502, 503, 504})
"""HTTP statuses of a host that is still starting."""
_PAUSES: Final = (2, 4, 8, 10, 10, 10, 10, 10, 10, 10)
"""Seconds between two attempts while it starts."""
_POLL_SECONDS: Final = 3.0
_RUNS: Final = 5


@command("FUNCTION_APP_ID", "AZURE_CLOUD", "ARM_ENDPOINT")
def trigger(
    session: Session,
    what: Annotated[Literal["check", "inspect", "prune"], typer.Argument(help="The run to ask for.")] = "check",
    timeout: Annotated[
        int | None,
        typer.Option("--timeout", metavar="SECONDS", min=0, max=3600, help="How long to wait for the run's rows."),
    ] = None,
) -> int:
    """Ask the app for a run now, and wait for it.

    The request goes through Azure Resource Manager with your own sign-in, and takes a role on the function app such as
    Website Contributor. Exit code 0: the app ran; 3: it was not asked, its run was not seen, or the run failed.

    For example:
      python -m cli trigger
      python -m cli trigger inspect
    """
    try:
        return asyncio.run(_trigger(session, what, WAITS[what] if timeout is None else timeout))
    except CommandError as problem:
        if what != "check":
            raise
        due = f"The app also checks every hour, next at {next_tick(session.now):%H:%M} UTC."
        raise CommandError(problem.sentence, f"{problem.remedy} {due}") from problem


async def _trigger(session: Session, what: str, seconds: int) -> int:
    from cli.arm import FUNCTIONS, open_arm
    from cli.records import open_records

    places, function = session.places, FUNCTIONS[what]
    async with open_records(places) as records, open_arm(places, records.credential) as arm:
        with session.working("Reading the earlier runs"):
            before = await _run_ids(what, records) if seconds else frozenset()
        with session.working(f"Asking {arm.name} for {function}"):
            await _ask(arm, function)
        if not seconds:
            session.print(f"{arm.name} was asked for {function}.")
            return WELL
        if what == "check":
            return await _wait_for_check(session, records, before, seconds)
        return await _wait_for_inspection(session, records, before, seconds)


async def _run_ids(what: str, records: "Records") -> frozenset[str | None]:
    """Return the runs that wrote rows before."""
    if what == "check":
        return frozenset(run.run_id for run in await records.runs(limit=_RUNS))
    return frozenset(row.run_id for row in await records.inspections())


async def _ask(arm: "Arm", function: str) -> None:
    from cli.arm import ArmError

    for pause in _PAUSES:
        try:
            await arm.start(function)
        except ArmError as problem:
            if problem.status not in _STARTING:
                raise
            await asyncio.sleep(pause)
        else:
            return
    if await arm.state() == "Stopped":
        raise CommandError(
            f"The function app {arm.name} is stopped.",
            f"`az functionapp start --name {arm.name} --resource-group {arm.group}` starts it.",
        )
    await arm.start(function)


async def _wait_for_check(session: Session, records: "Records", before: frozenset[str | None], seconds: int) -> int:
    async def new_run() -> RunRow | None:
        return next((row for row in await records.runs(limit=_RUNS) if row.run_id not in before), None)

    with session.working(f"Waiting up to {seconds} seconds for the run's row in the table CheckRun"):
        run = await until(new_run, seconds, every=_POLL_SECONDS)
    if run is None:
        raise CommandError(
            f"The app was asked for a check, and after {seconds} seconds the table CheckRun has no row of it.",
            f"Its log is in Application Insights, table traces; `{program()} doctor` shows why it does not check.",
        )
    view.print_runs(session.out, [run])
    if run.outcome != "failed":
        return WELL
    session.print("The check failed; the app tries twice more, a minute apart.", warning=True)
    return COULD_NOT_TELL


async def _wait_for_inspection(
    session: Session, records: "Records", before: frozenset[str | None], seconds: int
) -> int:
    seen = -1

    async def new_rows() -> list[InspectionRow] | None:
        """Return the rows that the run wrote, once their number no longer grows."""
        nonlocal seen
        rows = [row for row in await records.inspections() if row.run_id not in before]
        settled = bool(rows) and len(rows) == seen
        seen = len(rows)
        return rows if settled else None

    with session.working(f"Waiting up to {seconds} seconds for rows in the table DeviceInspection"):
        rows = await until(new_rows, seconds, every=_POLL_SECONDS)
    if rows:
        _print_inspections(session, rows)
    else:
        session.print(
            f"The app was asked for an inspection, and wrote nothing within {seconds} seconds: no token was due, or it "
            "takes longer."
        )
    return WELL


def _print_inspections(session: Session, rows: list[InspectionRow]) -> None:
    complete = [row for row in rows if row.complete]
    session.print(f"{count(len(rows), 'token')} inspected, {len(complete):,} of them completely.")
    for row in rows:
        if row.error:
            session.print(f"{row.name}: {row.error}", warning=not row.complete)
    if any(row.inspected_on for row in complete):
        session.print(f"The next check, at {moment(next_tick(session.now))}, judges the new counts.")
