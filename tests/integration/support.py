"""A tenant on the loopback for each xdist worker, empty at each test, and the app's own run in it with a clock to set.

`monitor.check()` is what the function calls, in this process and with the clock that the test gives; `monitor.invoke()`
is the function itself, in the Functions worker and with the real clock.
"""

import asyncio
import json
import socket
import threading
from collections import Counter
from collections.abc import Iterable
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache
from itertools import count
from typing import Literal

import compiler
import deployment

from shared.check import check
from shared.inspection import inspect
from shared.publishing.rows import FINDINGS, RUNS
from simulator.host import WorkerResult, run_worker
from simulator.rules import FREQUENCY, RULES, RULES_BY_CONNECTOR, AlertEngine, Event, Rule, firing
from simulator.server import Recorded, Server
from simulator.stack import Simulator
from tests.all_clear import condition
from tests.scenes import MINUTE, NOW, ran

STREAM_FINDINGS = f"Custom-{FINDINGS.name}"
STREAM_RUNS = f"Custom-{RUNS.name}"


@cache
def rules(grouping: Literal["Token", "Connector"] = "Token") -> tuple[Rule, ...]:
    """Return the stateful alert rules as deployed or, without the Bicep compiler, as in their files."""
    if compiler.find() is None:
        return RULES if grouping == "Token" else RULES_BY_CONNECTOR
    found = deployment.variant(f"param alertGrouping = '{grouping}'").rules
    return tuple(rule for rule in found if not rule.stateless)


class Monitor:
    """The app at work in a simulated tenant."""

    def __init__(self, sim: Simulator) -> None:
        self.sim = sim
        self.now = NOW
        self.settings: dict[str, str] = {}
        """Settings that override the simulator's in every run."""
        self.timeout = 20
        self._runs = count(1)
        sim.graph.clock = lambda: self.now

    # what is done

    def environment(self, *, proxied: bool = True, **settings: object) -> dict[str, str]:
        return {
            **self.sim.env(proxied=proxied),
            "CHECK_TIMEOUT_SECONDS": str(self.timeout),
            "INSPECT_TIMEOUT_SECONDS": str(self.timeout),
            **self.settings,
            **{name: str(value) for name, value in settings.items()},
        }

    async def check(self, after: timedelta = timedelta(), *, run_id: str | None = None, past_due=False, **settings):
        """Run a check `after` the last run; the tables are behind the proxy."""
        self.now += after
        run = {"run_id": run_id or f"run-{next(self._runs)}", "now": self.now, "past_due": past_due}
        return await ran(check, self.environment(**settings), **run)

    async def inspect(self, after: timedelta = timedelta(), *, run_id: str | None = None, **settings) -> Counter[str]:
        """Run an inspection `after` the last run, and return its counts of tokens."""
        self.now += after
        run = {"run_id": run_id or f"inspection-{next(self._runs)}", "now": self.now}
        return await ran(inspect, self.environment(**settings), **run)

    def invoke(self, function: str | None = "check_tokens", *, past_due=False, **settings) -> WorkerResult:
        """Run the function in a worker process, as in Azure."""
        return run_worker(self.environment(**settings), function, past_due=past_due, timeout=90)

    # what is seen

    @property
    def servers(self) -> tuple[Server, ...]:
        return self.sim.identity, self.sim.graph, self.sim.ingestion, self.sim.proxy

    def requests(self) -> list[Recorded]:
        return [request for server in self.servers for request in server.requests]

    def statuses(self) -> dict[tuple[str, str], dict]:
        """Return the rows of `TokenStatus` by connector and name, with `Findings` decoded."""
        rows = self.sim.table_rows("TokenStatus")
        return {
            (row["PartitionKey"], row["TokenName"]): {**row, "Findings": json.loads(row["Findings"])} for row in rows
        }

    def stored(self, connector: str = "ade", name: str | None = None) -> dict[str, dict]:
        """Return the stored findings, by code, of the connector's only token or of the named one."""
        (row,) = [
            row for (of, named), row in self.statuses().items() if of == connector and (name is None or named == name)
        ]
        return {finding["code"]: finding for finding in row["Findings"]}

    def history(self) -> list[dict]:
        """Return the rows of `TokenHistory`, oldest first, with `Changes` decoded."""
        rows = self.sim.table_rows("TokenHistory")
        decoded = [{**row, "Changes": json.loads(row["Changes"])} for row in rows]
        return sorted(decoded, key=lambda row: (row["ChangedOn"], row["PartitionKey"]))

    def runs(self) -> list[dict]:
        """Return the rows of `CheckRun`, oldest first, with `Connectors` decoded."""
        rows = self.sim.table_rows("CheckRun")
        return [{**row, "Connectors": json.loads(row["Connectors"])} for row in reversed(rows)]

    def published(self, run_id: str | None = None) -> list[dict]:
        """Return the finding rows that were sent, of that run or of all."""
        return [row for row in self.sim.log_rows(FINDINGS.name) if run_id in {None, row["RunId"]}]

    def found(self, run_id: str, connector: str = "ade") -> Counter:
        """Count the published findings of a run: name, code, severity, tier."""
        return Counter(
            (row["TokenName"], row["Finding"], row["Severity"], row["Tier"])
            for row in self.published(run_id)
            if row["Connector"] == connector
        )

    def run_rows(self, run_id: str | None = None) -> dict[str, dict]:
        """Return a run's rows by connector, in the order in which they were sent; by default of the newest run."""
        rows = self.sim.log_rows(RUNS.name)
        run_id = run_id or (rows[-1]["RunId"] if rows else None)
        return {row["Connector"]: row for row in rows if row["RunId"] == run_id}

    def closing(self, run_id: str | None = None) -> dict:
        return self.run_rows(run_id)["all"]

    def firing(self, of: Iterable[Rule] | None = None) -> list[tuple]:
        """Return the alerts whose conditions hold now; see `short`."""
        return [short(alert) for alert in firing(self.sim.con, self.now + MINUTE, of or rules())]

    def alerts(self, of: Iterable[Rule] | None = None) -> "Alerts":
        return Alerts(self, of or rules())


def short(alert) -> tuple:
    """Return an alert as rule, token or connector, finding and condition; by connector its tier."""
    names = ("TokenName", "Connector", "Finding", "Condition", "Tier")
    values = alert.dimensions | {"Condition": condition(alert.dimensions)}
    return (alert.rule, *(values[name] for name in names if name in alert.dimensions))


class Alerts:
    """Evaluates the rules every 15 minutes of the monitor's clock."""

    def __init__(self, monitor: Monitor, of: Iterable[Rule]) -> None:
        self._monitor = monitor
        deployed = monitor.now - MINUTE
        self._engine = AlertEngine(monitor.sim.con, [rule.deployed(deployed) for rule in of])
        self._next = monitor.now + MINUTE

    def events(self, now: datetime) -> list[Event]:
        """Evaluate up to `now` and return the events."""
        told = []
        while self._next <= now:
            told += self._engine.evaluate(self._next)
            self._next += FREQUENCY
        return told

    def until(self, now: datetime) -> list[tuple]:
        """Evaluate up to `now` and return each event's kind and `short`."""
        return [(event.kind, *short(event.alert)) for event in self.events(now)]

    def soon(self) -> list[tuple]:
        """Evaluate up to a minute after the run."""
        return self.until(self._monitor.now + MINUTE)

    def once(self) -> list[tuple]:
        """Evaluate once, a minute after the run, without the evaluations that were due before."""
        self.skip()
        return self.soon()

    def skip(self) -> None:
        """Skip the evaluations that are due until a minute after the run."""
        self._next = self._monitor.now + MINUTE

    @property
    def open(self) -> list[tuple]:
        return [short(alert) for alert in self._engine.open]


def silent():
    """Return a fault that gives no answer and doesn't carry out the request."""

    async def fault(request, _answer):
        while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110 (no event tells)
            await asyncio.sleep(0.02)
        raise ConnectionResetError

    return fault


def held(until: asyncio.Event, loop: asyncio.AbstractEventLoop, met: asyncio.Event):
    """Return a fault that carries out the request once `until` is set; `met` is set when the request arrives."""

    async def fault(_request, answer):
        loop.call_soon_threadsafe(met.set)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(until.wait(), loop))
        return await answer()

    return fault


@contextmanager
def counting():
    """Start a foreign host on the loopback; yield its port and its list of connections."""
    met: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(0.05)
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                connection, _ = listening.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(1)
                met.append(connection.recv(65536))
                connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"value":[]}')

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1], met
    finally:
        ended.set()
        thread.join()
        listening.close()
