"""Runs the app's checks in a simulated tenant, and commands as a person would."""

import asyncio
import contextlib
import io
import json
import os
import pty
import subprocess
import sys
import threading
from datetime import UTC, datetime
from itertools import count
from typing import NamedTuple

from cli.app import main
from shared.check import check
from shared.inspection import inspect
from shared.model.runs import Outcome, Run
from shared.model.tokens import Connector, Health
from shared.storage.rows import CHECK_RUN
from simulator.host import ROOT
from simulator.stack import Simulator, applied
from tests import scenes
from tests.scenes import MINUTE

CHECKED = 12 * MINUTE
"""The age of a check, if a test states no other."""
READING = (("status",), ("history", "Contoso HQ"), ("runs",), ("report", "--output", "-"))
"""The commands that only read, with their arguments."""


def now():
    return datetime.now(UTC)


def ade(name="Contoso HQ", **others):
    """Return an ADE token whose dates count from the present; see `tests.scenes`."""
    return scenes.ade(name, now=now(), **others)


def vpp(name="Contoso Apps", **others):
    return scenes.vpp(name, now=now(), **others)


def push(**others):
    return scenes.push(now=now(), **others)


def tenant(*ades, **others):
    return scenes.tenant(*ades, now=now(), **others)


class Done(NamedTuple):
    """The result of a command."""

    returncode: int
    stdout: str
    stderr: str


def _written(stream):
    stream.flush()
    return stream.buffer.getvalue().decode("utf-8")


class Scene:
    """Prepares a tenant, and runs a command in it."""

    def __init__(self, sim: Simulator) -> None:
        self.sim = sim
        self._runs = count(1)

    def check(self, *ades, ago=CHECKED, of=None, **settings):
        """Check a tenant, at that time in the past."""
        on = now() - ago
        self.sim.graph.tenant = of or tenant(*ades)
        self.sim.graph.clock = lambda: on
        environment = {**self.sim.env(), "CHECK_TIMEOUT_SECONDS": "20", **settings}
        return asyncio.run(scenes.ran(check, environment, run_id=f"run-{next(self._runs)}", now=on))

    def inspect(self, *, ago=CHECKED + MINUTE, of=None, **settings):
        """Inspect the devices of all ADE tokens, at that time in the past; the next check judges the result."""
        on = now() - ago
        self.sim.graph.tenant = of or self.sim.graph.tenant
        self.sim.graph.clock = lambda: on
        environment = {**self.sim.env(), **settings}
        return asyncio.run(scenes.ran(inspect, environment, run_id=f"inspection-{next(self._runs)}", now=on))

    def environment(self, **others):
        """Return the environment that connects a command to the tenant; None removes a variable."""
        merged = {**self.sim.env(), "COLUMNS": "100", **others}
        return {name: value for name, value in merged.items() if value is not None}

    def cli(self, *arguments, cwd=ROOT, **environment):
        """Run `python -m cli` with its output in pipes."""
        return subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            cwd=cwd,
            env=self.environment(PYTHONPATH=str(ROOT), **environment),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    def run(self, *arguments, cwd=ROOT, **environment):
        """Run a command in this process, which is faster; return its exit code and output."""
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
        with (
            applied(self.environment(**environment)),
            contextlib.chdir(cwd),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = main(list(arguments))
        return Done(code, *(_written(stream) for stream in (out, err)))

    def put(self, table, row):
        """Write a row unchanged."""
        with self.sim.tables.client() as client:
            client.get_table_client(table).upsert_entity(row, mode="replace")

    def remove(self, table, partition):
        """Delete every row of a partition."""
        with self.sim.tables.client() as client:
            for row in self.sim.table_rows(table):
                if row["PartitionKey"] == partition:
                    client.get_table_client(table).delete_entity(partition, row["RowKey"])

    @contextlib.contextmanager
    def without(self, table):
        """Remove the table until the context is left."""
        with self.sim.tables.client() as client:
            client.delete_table(table)
        try:
            yield
        finally:
            self.sim.tables.create_tables()

    def change_row(self, name, **columns):
        """Change columns of a token's status; None removes one."""
        (row,) = [row for row in self.sim.table_rows("TokenStatus") if row["TokenName"] == name]
        self.put("TokenStatus", {key: value for key, value in {**row, **columns}.items() if value is not None})

    def ran(self, ago=CHECKED, outcome="succeeded", **others):
        """Write a row of `CheckRun` as a check at that time would have written it."""
        on = now() - ago
        run = Run(
            id=f"run-{next(self._runs)}",
            started_on=on,
            duration_ms=250,
            outcome=Outcome(outcome),
            **{"connectors": {Connector.ADE: 1}, "counts": {Connector.ADE: {Health.HEALTHY: 1}}, "rows": 1, **others},
        )
        self.put("CheckRun", CHECK_RUN.row(run))
        return run

    def json(self, *arguments, **environment):
        """Return the JSON document that a command prints."""
        done = self.run(*arguments, "--format", "json", **environment)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def terminal(self, *arguments, columns=100, **environment):
        """Return a command's exit code and its output in a terminal, including escape codes."""
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            [sys.executable, "-m", "cli", *arguments],
            cwd=ROOT,
            env=self.environment(COLUMNS=str(columns), TERM="xterm-256color", **environment),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        ) as process:
            os.close(theirs)
            shown = []
            reader = threading.Thread(target=_drain, args=(ours, shown))
            reader.start()
            code = process.wait(120)
            reader.join(20)
        os.close(ours)
        return code, b"".join(shown).decode()


def _drain(terminal, shown):
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            return
        if not part:
            return
        shown.append(part)
