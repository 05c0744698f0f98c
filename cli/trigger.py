"""`trigger`: asks the deployed app for a run through Azure Resource Manager, and waits for what it leaves behind."""

import asyncio
from typing import Final

from cli import COULD_NOT_TELL, WELL, CommandError, view
from cli.arm import FUNCTIONS, Arm, ArmError, open_arm
from cli.by_hand import is_by_hand
from cli.progress import until
from cli.records import Records, open_records
from cli.rows import InspectionRow, RunRow
from cli.session import Session
from shared.words import count, moment, next_tick

WAITS: Final = {"check": 300, "inspect": 180, "prune": 0}
"""Seconds to wait for what a run leaves behind, by what was asked for; pruning leaves nothing."""

_STARTING: Final = frozenset({500, 502, 503, 504})
"""What a host answers that is still starting."""
_PAUSES: Final = (2, 4, 8, 10, 10, 10, 10, 10, 10, 10)
"""Seconds between two tries while it does."""
_LOOK_SECONDS: Final = 3.0
_RUNS: Final = 5


def run(session: Session, what: str, seconds: int | None) -> int:
    """Ask, wait, tell; the exit code.

    Raises:
        CommandError: where the app was not asked, or nothing is to be seen of the run.

    """
    try:
        return asyncio.run(_run(session, what, WAITS[what] if seconds is None else seconds))
    except CommandError as problem:
        if what != "check":
            raise
        due = f"An app that runs checks by itself, next at {next_tick(session.now):%H:%M} UTC."
        raise CommandError(problem.sentence, f"{problem.remedy} {due}") from problem


async def _run(session: Session, what: str, seconds: int) -> int:
    places = session.places
    async with open_records(places) as records, open_arm(places, records.credential) as arm:
        with session.working("Looking at what is there"):
            before = await _marks(what, records) if seconds else frozenset()
        with session.working(f"Asking {arm.name} for {FUNCTIONS[what]}"):
            await _ask(arm, FUNCTIONS[what])
        if not seconds:
            session.out.print(view.told(f"{arm.name} was asked for {FUNCTIONS[what]}."))
            return WELL
        if what == "check":
            return await _wait_for_check(session, records, before, seconds)
        return await _wait_for_inspection(session, records, before, seconds)


async def _marks(what: str, records: Records) -> frozenset[str | None]:
    """The runs that are known before."""
    if what == "check":
        return frozenset(run.run_id for run in await records.runs(limit=_RUNS))
    return frozenset(row.run_id for row in await records.inspections())


async def _ask(arm: Arm, function: str) -> None:
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


async def _wait_for_check(session: Session, records: Records, before: frozenset[str | None], seconds: int) -> int:
    async def look() -> RunRow | None:
        runs = await records.runs(limit=_RUNS)
        rows = [row for row in runs if row.run_id not in before and not is_by_hand(row)]
        return rows[0] if rows else None

    with session.working(f"Waiting up to {seconds} seconds for its row in the table CheckRun"):
        found = await until(look, seconds, every=_LOOK_SECONDS)
    if found is None:
        raise CommandError(
            f"The app was asked for a check, and after {seconds} seconds there is no row of it in the table CheckRun.",
            "Its log is in Application Insights, table traces; `python -m cli doctor` looks for what is in its way.",
        )
    view.print_runs(session.out, [found])
    if found.outcome != "failed":
        return WELL
    session.out.print(view.told("The check was not whole; the app tries twice more, a minute apart.", warning=True))
    return COULD_NOT_TELL


async def _wait_for_inspection(session: Session, records: Records, before: frozenset[str | None], seconds: int) -> int:
    seen = -1

    async def look() -> list[InspectionRow] | None:
        """The rows that the run wrote, once no more come."""
        nonlocal seen
        known = await records.inspections()
        rows = [row for row in known if row.run_id not in before and not is_by_hand(row)]
        settled = bool(rows) and len(rows) == seen
        seen = len(rows)
        return rows if settled else None

    with session.working(f"Waiting up to {seconds} seconds for rows in the table DeviceInspection"):
        rows = await until(look, seconds, every=_LOOK_SECONDS)
    if not rows:
        session.out.print(
            view.told(
                f"The app was asked for an inspection, and wrote nothing within {seconds} seconds: no token was due, "
                "or it takes longer."
            )
        )
        return WELL
    complete = [row for row in rows if row.complete]
    session.out.print(view.told(f"{count(len(rows), 'token')} inspected, {len(complete):,} of them to the end."))
    for row in rows:
        if row.error:
            session.out.print(view.told(f"{row.name}: {row.error}", warning=not row.complete))
    newest = max((row.inspected_on for row in complete if row.inspected_on), default=None)
    if newest:
        session.out.print(view.told(f"The next check, at {moment(next_tick(session.now))}, judges by it."))
    return WELL
