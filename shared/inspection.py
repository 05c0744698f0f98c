"""Runs an inspection, which counts the devices of each ADE token that is due, and judges nothing.

A run may die at any request, overlap another run, or end early. So a token's row is replaced as a whole, only if it is
unchanged since this run read it, and the counts of the last complete inspection stay until new ones replace them.
"""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from shared.clients import Clients
from shared.graph.connectors import EVENTS_ROLE, failure
from shared.graph.device_reader import DeviceReader
from shared.graph.devices import Event, by_category
from shared.graph.pace import Pace
from shared.graph.pages import GraphError
from shared.guidance.guidance import Guidance
from shared.model.counts import Events, Inspection
from shared.model.tokens import Connector, Status
from shared.settings import Settings
from shared.storage.store import Inspections, Store, StoreError
from shared.text import bounded
from shared.token_inspection import TokenInspection, due

_log: Final = logging.getLogger(__name__)

AT_ONCE: Final = 16
"""The number of tokens that are inspected side by side. All their calls share the pace of `shared.graph.pace`."""

READING_ENDS: Final = 0.85
"""Shares of the run's time at which its parts end; the rest is for saving, and for closing the clients."""
SAVING_ENDS: Final = 0.95

EVENTS_SHARE: Final = 0.1
"""The largest share of the run's time for the tenant's events: the tokens wait for them, and they raise no alert."""

_OLDEST_EVENTS: Final = timedelta(days=7)
_FIRST_EVENTS: Final = timedelta(days=1)
"""The age of the oldest events: since the last inspection within the first, or without an inspection the second."""

_LONGEST_ERROR: Final = 2_000
_MOST_LOGGED: Final = 20
"""The number of tokens whose failures are logged one by one; Graph can fail for thousands."""


async def inspect(settings: Settings, clients: Clients, *, run_id: str, now: datetime) -> Counter[str]:
    """Inspect every token that is due, as far as time permits, and log how many were inspected.

    `now` is the start of the run, which ends within `inspect_timeout_seconds`. A token's failure is in its row and log.

    Raises:
        StoreError: if the last inspections could not be read, or the new ones could not be saved.

    """
    return await _Inspector(settings, clients, run_id, now).run()


class _Inspector:
    """One run."""

    def __init__(self, settings: Settings, clients: Clients, run_id: str, now: datetime) -> None:
        begun = asyncio.get_running_loop().time()
        self._settings = settings
        self._graph = clients.graph
        self._store = Store(clients.tables, clients.transactions, Guidance())
        self._run_id = run_id
        self._now = now
        self._reads_until = begun + READING_ENDS * settings.inspect_timeout_seconds
        self._saves_until = begun + SAVING_ENDS * settings.inspect_timeout_seconds
        self._pace = Pace(self._reads_until)
        self._reader = DeviceReader(clients.graph, self._pace)
        self._events: list[Event] = []
        self._events_error: str | None = None
        self._counted: dict[datetime, dict[str, int]] = {}
        self._failures: list[str] = []
        self._outcomes = Counter[str]()
        self._problems = set[str]()

    async def run(self) -> Counter[str]:
        if Connector.ADE not in self._settings.connectors:
            return self._outcomes
        statuses, inspections = await self._load()
        waiting = due(statuses, inspections.known, self._now, timedelta(hours=self._settings.inspect_every_hours))
        await self._read_events([inspections.known.get(status.token.id) for status in waiting])
        queue = iter(waiting)
        await asyncio.gather(*(self._work(queue, inspections) for _ in range(AT_ONCE)))
        self._outcomes["not_reached"] = len(waiting) - self._outcomes.total()
        self._log_result(len(waiting))
        if self._problems:
            raise StoreError(" ".join(sorted(self._problems)))
        return self._outcomes

    async def _load(self) -> tuple[list[Status], Inspections]:
        try:
            async with asyncio.timeout_at(self._reads_until):
                loaded = await self._store.load()
                return list(loaded.statuses.values()), await self._store.load_inspections()
        except TimeoutError:
            raise StoreError(self._out_of_time("loading")) from None

    async def _read_events(self, inspections: list[Inspection | None]) -> None:
        """Return Intune's record of failed enrollments, once for all tokens; without it, the inspection continues."""
        if not self._settings.enrollment_events or not inspections:
            return
        try:
            async with asyncio.timeout(EVENTS_SHARE * self._settings.inspect_timeout_seconds):
                self._events = await self._reader.events(min(map(self._events_since, inspections)))
        except TimeoutError:
            self._events_error = "Graph did not return all of them in time."
        except GraphError as error:
            refused = failure(self._graph, Connector.ADE, error, EVENTS_ROLE)
            self._events_error = str(replace(refused, message=None))  # it is long, and the remedy says the same
        except Exception as error:  # noqa: BLE001 # as in `_inspected`
            self._events_error = _fault("reading events of failed enrollments", error)
        if self._events_error:
            self._events_error = bounded(self._events_error)
            _log.warning("Events of failed enrollments were not checked: %s", self._events_error)

    def _events_since(self, inspection: Inspection | None) -> datetime:
        last = inspection.last if inspection else None
        since = last.on if last else self._now - _FIRST_EVENTS
        return min(max(since, self._now - _OLDEST_EVENTS), self._now)

    def _events_of(self, inspection: Inspection | None) -> Events | None:
        if not self._settings.enrollment_events:
            return None
        since = self._events_since(inspection)
        if since not in self._counted:  # the same for most tokens
            self._counted[since] = by_category(self._events, since)
        return Events(since=since, by_category=self._counted[since], error=self._events_error)

    async def _work(self, queue: Iterator[Status], inspections: Inspections) -> None:
        """Inspect tokens from the queue that all workers share, as long as there is time."""
        while not self._pace.over and (status := next(queue, None)) is not None:
            outcome, found = await self._inspected(status, inspections.known.get(status.token.id))
            await self._save(outcome, found, inspections.etag(status.token.id))

    async def _inspected(self, status: Status, before: Inspection | None) -> tuple[str, Inspection]:
        """Return the outcome, and what is to be remembered of the token."""
        inspecting = TokenInspection(self._reader, status, before, self._settings, run_id=self._run_id, now=self._now)
        try:
            return "complete", await inspecting.complete(self._events_of(before))
        except TimeoutError as error:
            return "unfinished", inspecting.unfinished(self._out_of_time("reading the devices", str(error)))
        except GraphError as error:
            why = bounded(self._reader.explained(error), _LONGEST_ERROR)
            found = inspecting.unfinished(why)
        except Exception as error:  # noqa: BLE001 # a fault in one token's answer must not keep the others from theirs
            why = _fault("inspecting devices", error)
            found = inspecting.unfinished(why, keep=False)  # a page may be counted in part
        self._failures.append(f"{status.label}: {why}")
        return "failed", found

    async def _save(self, outcome: str, found: Inspection, etag: str | None) -> None:
        try:
            async with asyncio.timeout_at(self._saves_until):
                saved = await self._store.save_inspection(found, etag)
        except TimeoutError:
            self._problems.add(self._out_of_time("saving"))
        except StoreError as error:
            self._problems.add(str(error))
        else:
            self._outcomes[outcome if saved else "gave_way"] += 1
            return
        self._outcomes["not_saved"] += 1

    def _out_of_time(self, what: str, why: str = "") -> str:
        limit = f"INSPECT_TIMEOUT_SECONDS is {self._settings.inspect_timeout_seconds}"
        return f"Time ran out while {what} ({limit}{f'; {why}' if why else ''})."

    def _log_result(self, number: int) -> None:
        """Log a line for each token that failed, up to a number, and one for the run. No line names a device."""
        for failed in self._failures[:_MOST_LOGGED]:
            _log.warning("Devices could not be inspected: %s", failed)
        if len(self._failures) > _MOST_LOGGED:
            _log.warning("Devices of %s more tokens could not be inspected", len(self._failures) - _MOST_LOGGED)
        _log.info("inspect_devices %s", json.dumps({"run": self._run_id, "due": number, **self._outcomes}))


def _fault(what: str, error: Exception) -> str:
    """Log a bug of the app or a library, with its traceback."""
    _log.error("A fault while %s", what, exc_info=error)
    return f"A fault of the monitor while {what} ({type(error).__name__}); its log has the details."
