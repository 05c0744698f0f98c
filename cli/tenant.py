"""Reads a tenant with a person's sign-in to Graph, and judges it as the app does."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from azure.core.exceptions import AzureError
from msgspec.structs import replace

from cli import CommandError
from cli.graph_access import Access
from cli.progress import counting
from cli.refusals import tables_refused
from cli.session import Session
from shared.check import READING_ENDS
from shared.graph import connectors
from shared.graph.device_reader import DeviceReader
from shared.graph.pace import Pace
from shared.graph.pages import GraphError
from shared.guidance.guidance import Guidance
from shared.inspection import AT_ONCE
from shared.judging.judge import judge
from shared.model.counts import Inspection
from shared.model.runs import Outcome, Reading, Run
from shared.model.tokens import Code, Connector, Key, Status
from shared.settings import Settings
from shared.storage.device_rows import DEVICE_INSPECTION, InspectionRow
from shared.storage.reading import reader
from shared.storage.rows import CHECK_RUN, TOKEN_STATUS, RunRow, StatusRow, StatusSource
from shared.storage.store import Store, StoreError
from shared.token_inspection import TokenInspection
from shared.words import kind, listed

_MOST_NAMED: Final = 5


class Memory(NamedTuple):
    """What the monitor remembers; both parts are None if it is not known."""

    statuses: Mapping[Key, Status] | None
    inspections: Mapping[str, Inspection] | None
    problem: str | None = None
    """Why the monitor's tables could not be read."""


class Checked(NamedTuple):
    """A check of the tenant, as rows of the tables that the app would write."""

    statuses: list[StatusRow]
    run: RunRow
    guidance: Guidance
    inspections: list[InspectionRow]
    """The devices that were counted now."""
    examples: list[tuple[str, Mapping[str, Sequence[str]]]]
    """Serial numbers by symptom, beside the name of their token."""
    messages: tuple[str, ...]


async def check_tenant(session: Session, access: Access, *, devices: bool) -> Checked:
    """Read and judge every token, and with `devices` count the devices of the ADE tokens.

    Raises:
        CommandError: if Graph refuses to answer at all.

    """
    with session.working("Reading the tokens from Graph"):
        readings, memory = await asyncio.gather(_readings(access), _memory(session, access))
    refused = [one.failure for one in readings if one.failure and one.failure.status in {401, 403}]
    if len(refused) == len(readings):
        answer = f"{refused[0].asked} answered HTTP {refused[0].status}"
        raise CommandError(f"Graph does not let this sign-in read anything: {answer}.", refused[0].remedy)
    statuses = _judged(readings, memory, access.settings, session.now)
    counted: dict[str, Inspection] = {}
    if devices:
        counted = await _inspect(session, access, statuses, memory.inspections or {})
        memory = memory._replace(inspections={**(memory.inspections or {}), **counted})
        statuses = _judged(readings, memory, access.settings, session.now)
    messages = [*_missing(readings, memory), *([memory.problem] if memory.problem else [])]
    return _as_rows(readings, statuses, counted, access.settings, session.now, tuple(messages))


async def _readings(access: Access) -> list[Reading]:
    seconds = READING_ENDS * access.settings.check_timeout_seconds
    return await connectors.read_all(access.clients.graph, access.settings.connectors, seconds)


async def _memory(session: Session, access: Access) -> Memory:
    """Return what the monitor remembers, if its tables are known and can be read."""
    if session.places.get("TABLES_ENDPOINT") is None:
        return Memory(None, None)
    store = Store(access.clients.tables, access.clients.transactions, Guidance())
    try:
        loaded, inspections = await asyncio.gather(
            _loaded(session, store.load()), _loaded(session, store.load_inspections())
        )
    except CommandError as problem:
        return Memory(None, None, f"The tokens are judged without what the monitor remembers. {problem}")
    return Memory(loaded.statuses, inspections.known)


async def _loaded[T](session: Session, loading: Coroutine[Any, Any, T]) -> T:
    try:
        return await loading
    except StoreError as error:
        cause, place = error.__cause__, session.places.get("TABLES_ENDPOINT")
        if isinstance(cause, AzureError) and error.table and place:
            raise tables_refused(cause, error.table, place.value, place.source) from error
        raise CommandError(f"{error}".rstrip(".") + ".", "Try again in a minute.") from error


def _judged(readings: Sequence[Reading], memory: Memory, settings: Settings, now: datetime) -> tuple[Status, ...]:
    judgement = judge(readings, memory.statuses, inspections=memory.inspections, run_id="", now=now, settings=settings)
    return judgement.statuses


def _missing(readings: Sequence[Reading], memory: Memory) -> Iterable[str]:
    """Return a message about tokens that the monitor knows, and that Graph does not show to this sign-in."""
    read = {one.connector: {token.id for token in one.tokens} for one in readings if one.failure is None}
    known = [one for one in (memory.statuses or {}).values() if not one.finding(Code.REMOVED)]
    missing = [one for one in known if one.token.id not in read.get(one.token.connector, {one.token.id})]
    if missing:
        names = [f"'{one.label}' ({kind(one.token.connector)})" for one in missing[:_MOST_NAMED]]
        more = [f"{len(missing) - _MOST_NAMED:,} more"] if len(missing) > _MOST_NAMED else []
        yield f"Graph does not show you {listed([*names, *more])}: removed, or outside the scope of your Intune role."


async def _inspect(
    session: Session, access: Access, statuses: Iterable[Status], before: Mapping[str, Inspection]
) -> dict[str, Inspection]:
    """Count the devices of each ADE token, within the time of one inspection."""
    present = [one for one in statuses if one.token.connector is Connector.ADE and not one.finding(Code.REMOVED)]
    pace = Pace(asyncio.get_running_loop().time() + access.settings.inspect_timeout_seconds)
    reader, queue, inspections = DeviceReader(access.clients.graph, pace), iter(present), dict[str, Inspection]()

    async def work(step: Callable[[], None]) -> None:
        for status in queue:
            inspections[status.token.id] = await _inspection(reader, status, before.get(status.token.id), access)
            step()

    with counting(session, "Counting the devices", len(present)) as step:
        await asyncio.gather(*(work(step) for _ in range(AT_ONCE)))
    return inspections


async def _inspection(reader: DeviceReader, status: Status, before: Inspection | None, access: Access) -> Inspection:
    anew = before and replace(before, pause=None)
    inspecting = TokenInspection(reader, status, anew, access.settings, run_id="", now=datetime.now(UTC))
    try:
        return await inspecting.complete(None)  # events of failed enrollments take another permission
    except TimeoutError:
        seconds = access.settings.inspect_timeout_seconds
        return inspecting.unfinished(f"Graph did not list the devices within {seconds} seconds.", keep=False)
    except GraphError as error:
        return inspecting.unfinished(reader.explained(error), keep=False)


def _as_rows(
    readings: Sequence[Reading],
    statuses: Sequence[Status],
    counted: Mapping[str, Inspection],
    settings: Settings,
    now: datetime,
    messages: tuple[str, ...],
) -> Checked:
    guidance = Guidance(settings.sync_error_names, settings.cloud)
    run = Run(
        id="",
        started_on=now,
        duration_ms=round((datetime.now(UTC) - now).total_seconds() * 1000),
        outcome=Outcome.DEGRADED if any(one.failure for one in readings) else Outcome.SUCCEEDED,
        connectors={one.connector: one.failure or len(one.tokens) for one in readings},
        counts={},
        rows=0,
    )
    return Checked(
        statuses=[reader(StatusRow)(TOKEN_STATUS.row(StatusSource(one, guidance))) for one in statuses],
        run=reader(RunRow)(CHECK_RUN.row(run)),
        guidance=guidance,
        inspections=[reader(InspectionRow)(DEVICE_INSPECTION.row(one)) for one in counted.values()],
        examples=[(one.token_name, one.last.counts.examples) for one in counted.values() if one.last],
        messages=messages,
    )
