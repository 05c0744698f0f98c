"""Runs a check: reads, judges, stores, and publishes. A failure is reported and doesn't stop the other steps."""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Awaitable, Collection
from datetime import datetime
from typing import Final

from shared.clients import Clients
from shared.graph import connectors
from shared.guidance.guidance import Guidance
from shared.judging.judge import Judgement, first_status, judge
from shared.model.runs import Failure, Outcome, Reading, Run
from shared.model.tokens import Connector, Health, Key, Status, Token
from shared.publishing.monitor import Monitor, PublishError
from shared.settings import Settings
from shared.storage.columns import Row
from shared.storage.store import Inspections, Loaded, Store, StoreError
from shared.text import bounded, unnamed

_log: Final = logging.getLogger(__name__)

READING_ENDS: Final = 0.5
"""Shares of the run's time at which its parts end; the rest is kept for those that follow."""
SAVING_ENDS: Final = 0.7
WORK_ENDS: Final = 0.8
RECORD_ENDS: Final = 0.85
CONNECTOR_ROWS_END: Final = 0.9
CLOSING_ENDS: Final = 0.96
RECORD_AGAIN_ENDS: Final = 0.99

_LONGEST_ERROR: Final = 4_000
"""Characters of what went wrong in a run; thousands of rows can go wrong, and a column holds 32,000."""


class CheckFailed(Exception):  # noqa: N818 # what the host shows as the invocation's error
    """Reports a failed run, which the host repeats."""


async def check(settings: Settings, clients: Clients, *, run_id: str, now: datetime, past_due: bool = False) -> Run:
    """Check every token, and store and publish the result, within `check_timeout_seconds`.

    `now` is the start of the run, which is the clock of the judgment and the time of every row. Return the run with all
    failures.
    """
    return await _Check(settings, clients, run_id, now, past_due=past_due).run()


class _Check:
    """Runs one check, and collects its errors."""

    def __init__(self, settings: Settings, clients: Clients, run_id: str, now: datetime, *, past_due: bool) -> None:
        guidance = Guidance(settings.sync_error_names, settings.cloud)
        self._settings = settings
        self._graph = clients.graph
        self._store = Store(clients.tables, clients.transactions, guidance)
        self._monitor = Monitor(clients.logs, guidance, settings)
        self._run_id = run_id
        self._now = now
        self._past_due = past_due
        self._begun = asyncio.get_running_loop().time()
        self._store_errors: list[str] = []
        self._publish_errors: list[str] = []
        self._devices_known = True

    async def run(self) -> Run:
        readings, (loaded, unwritten), inspections = await asyncio.gather(
            self._read(), self._load(), self._load_inspections()
        )
        judgement, rows = self._judge(readings, loaded, inspections)
        # Without the last statuses, nothing is replaced.
        saved = await self._save(judgement, loaded, unwritten) if loaded else set[Key]()
        # An alert stays open only if it is remembered, so a new step is stored before it is raised.
        if unsaved := {status.key for status in judgement.statuses} - saved:
            rows = self._monitor.finding_rows(judgement.statuses, unsaved)
        sending = self._monitor.send_findings(rows)
        await self._in_time(WORK_ENDS, sending, self._publish_errors, "sending the findings")
        run = self._result(readings, judgement, len(rows))
        await self._in_time(RECORD_ENDS, self._store.record(run), self._store_errors, "recording the run")
        connector_rows = self._monitor.send_connectors(run)
        await self._in_time(CONNECTOR_ROWS_END, connector_rows, self._publish_errors, "sending the connectors' rows")
        recorded, run = run, self._result(readings, judgement, len(rows))
        closing = self._monitor.send_closing(run)
        await self._in_time(CLOSING_ENDS, closing, self._publish_errors, "sending the closing row")
        run = self._result(readings, judgement, len(rows))
        if (run.outcome, run.publish_error) != (recorded.outcome, recorded.publish_error):
            await self._in_time(
                RECORD_AGAIN_ENDS, self._store.record(run), self._store_errors, "recording the run's failure"
            )
            run = self._result(readings, judgement, len(rows))
        _log_result(run)
        return run

    async def _read(self) -> list[Reading]:
        """Read the connectors."""
        seconds = READING_ENDS * self._settings.check_timeout_seconds
        return await connectors.read_all(self._graph, self._settings.connectors, seconds)

    def _judge(
        self, readings: list[Reading], loaded: Loaded | None, inspections: Inspections | None
    ) -> tuple[Judgement, list[Row]]:
        """Return the judgment and its rows."""
        remembered = None if loaded is None else loaded.statuses | self._forgotten(readings, loaded)
        known = None if inspections is None else inspections.known
        try:
            judgement = judge(
                readings, remembered, inspections=known, run_id=self._run_id, now=self._now, settings=self._settings
            )
            rows = self._monitor.finding_rows(judgement.statuses)
        except Exception as error:  # noqa: BLE001 # as in `_in_time`
            self._store_errors.append(_fault("judging", error))
            judgement, rows = Judgement((), (), "Nothing was judged."), []
            self._devices_known = False
        if loaded is None or inspections is None:
            unknown = "TokenStatus or DeviceInspection could not be read, so nobody knows how old the inspections are."
            judgement = judgement._replace(devices_error=unknown)
            self._devices_known = False
        return judgement, rows

    def _forgotten(self, readings: list[Reading], loaded: Loaded) -> dict[Key, Status]:
        """Return the tokens that neither their row nor Graph lists, which count as missing since this run."""
        named = {reading.connector: {token.id for token in reading.tokens} for reading in readings}
        unread = {reading.connector for reading in readings if reading.failure}
        gone = (of for of in loaded.unreadable if of[0] not in unread and of[1] not in named.get(of[0], ()))
        tokens = (Token(connector=of[0], id=of[1], name=unnamed(of[1])) for of in gone)
        return {(one.connector, one.id): first_status(one, self._run_id, self._now) for one in tokens}

    async def _load(self) -> tuple[Loaded | None, Collection[Key]]:
        """Return the last statuses (None if they cannot be read), and the keys whose change the history still lacks."""
        loaded = await self._in_time(READING_ENDS, self._store.load(), self._store_errors, "loading")
        if loaded is None:
            return None, ()
        self._store_errors += [f"{problem}; it is judged anew." for problem in loaded.unreadable.values()]
        writing = self._store.write_changes(loaded.statuses.values())
        problems = await self._in_time(READING_ENDS, writing, self._store_errors, "writing the history")
        if problems is None:
            return loaded, [key for key, status in loaded.statuses.items() if status.change]
        self._store_errors += sorted({f"{problem}." for problem in problems.values()})
        return loaded, problems

    async def _load_inspections(self) -> Inspections | None:
        """Return the inspections of devices; None if they cannot be read."""
        if Connector.ADE not in self._settings.connectors:
            return Inspections({}, {})
        loading = self._store.load_inspections()
        return await self._in_time(READING_ENDS, loading, self._store_errors, "loading the inspections")

    async def _save(self, judgement: Judgement, loaded: Loaded, unwritten: Collection[Key]) -> set[Key]:
        """Save the statuses, except the `unwritten` ones, and return the keys of those that are saved."""
        saved: set[Key] = set()  # it grows with each transaction, so it is correct even if time runs out
        saving = self._store.save(judgement.statuses, judgement.departed, loaded, saved, except_for=unwritten)
        problems = await self._in_time(SAVING_ENDS, saving, self._store_errors, "saving")
        self._store_errors += [f"{problem}." for problem in problems or ()]
        return saved

    async def _in_time[T](self, share: float, work: Awaitable[T], errors: list[str], what: str) -> T | None:
        """Return the result of `work` within that share of the run's time; None after an error, added to `errors`."""
        try:
            async with asyncio.timeout_at(self._begun + share * self._settings.check_timeout_seconds):
                return await work
        except (StoreError, PublishError) as error:
            errors.append(str(error))
        except TimeoutError:
            seconds = self._settings.check_timeout_seconds
            errors.append(f"Time ran out while {what} (CHECK_TIMEOUT_SECONDS is {seconds}).")
        except Exception as error:  # noqa: BLE001 # no fault may keep the closing row from being sent
            errors.append(_fault(what, error))
        return None

    def _result(self, readings: list[Reading], judgement: Judgement, rows: int) -> Run:
        counts: dict[Connector, Counter[Health]] = {}
        for status in judgement.statuses:
            counts.setdefault(status.token.connector, Counter())[status.health] += 1
        whole = not self._store_errors and not self._publish_errors
        read = all(reading.failure is None for reading in readings)
        return Run(
            id=self._run_id,
            started_on=self._now,
            duration_ms=round(1000 * (asyncio.get_running_loop().time() - self._begun)),
            outcome=Outcome.FAILED if not whole else Outcome.SUCCEEDED if read else Outcome.DEGRADED,
            past_due=self._past_due,
            connectors={reading.connector: reading.failure or len(reading.tokens) for reading in readings},
            counts={connector: dict(counter) for connector, counter in counts.items()},
            rows=rows,
            graph_token=self._graph.token,
            devices_error=judgement.devices_error,
            devices_known=self._devices_known,
            store_error=bounded(" ".join(self._store_errors), _LONGEST_ERROR) or None,
            publish_error=bounded(" ".join(self._publish_errors), _LONGEST_ERROR) or None,
        )


def _fault(what: str, error: Exception) -> str:
    """Log a bug of the app or a library, with its traceback."""
    _log.error("A fault while %s", what, exc_info=error)
    return f"A fault of the monitor while {what} ({type(error).__name__}); its log has the details."


def _log_result(run: Run) -> None:
    """Log a line for each connector that failed, one if inspections are not fresh, and one for the run."""
    for failure in run.connectors.values():
        if isinstance(failure, Failure):
            _log.warning("Connector %s could not be read: %s", failure.connector.value, failure)
    if run.devices_error:
        _log.warning("Inspections of devices are not fresh: %s", run.devices_error)
    summary = {
        "run": run.id,
        "outcome": run.outcome.value,
        "started_on": run.started_on.isoformat(),
        "duration_ms": run.duration_ms,
        "past_due": run.past_due,
        "connectors": {
            connector.value: "failed" if isinstance(result, Failure) else result
            for connector, result in run.connectors.items()
        },
        "health": {str(health): run.total(health) for health in Health},
        "rows": run.rows,
    }
    _log.info("check_tokens %s", json.dumps(summary))
