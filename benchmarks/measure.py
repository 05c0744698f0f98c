"""Provides what every measurement needs: sizes, figures, and functions that run and time a process."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from shared.publishing.rows import CLOSING, FINDINGS, RUNS
from shared.storage.rows import CHECK_RUN, TOKEN_STATUS
from simulator.host import WorkerResult, run_worker
from simulator.stack import Simulator


class Sizes(NamedTuple):
    """The amounts that are measured."""

    rounds: int = 9
    """The number of rounds, which alternate with the bare script; the median counts."""
    tokens: int = 2_000
    devices: int = 200_000
    """The devices of one token."""
    fewer_devices: int = 20_000
    sample: int = 200
    """The tokens that are inspected at the pace limit for Graph: 2,000 would take five minutes."""


class Figure(NamedTuple):
    """A row of the printed table."""

    what: str
    measured: str
    limit: str
    good: bool


def at_most(what: str, measured: float, limit: float, shown: str = "{:.2f}") -> Figure:
    """Return the figure for a number and its limit, both formatted by `shown`."""
    return Figure(what, shown.format(measured), shown.format(limit), measured <= limit)


def whether(what: str, *, good: bool) -> Figure:
    return Figure(what, "yes" if good else "no", "yes", good)


def ratio(ours: Sequence[float], bare: Sequence[float]) -> float:
    return statistics.median(ours) / statistics.median(bare)


def run(env: Mapping[str, str], function: str, timeout: float = 300) -> WorkerResult:
    """Invoke a function of the app in a worker of its own; exit if it fails."""
    result = run_worker(env, function, timeout=timeout)
    if not result.success:
        raise SystemExit(f"{function} failed: {result.exception}")
    return result


def timed(env: Mapping[str, str], script: Path, *arguments: str) -> tuple[float, dict[str, Any]]:
    """Return the seconds from the start of the script's process until it prints its result, and the result."""
    return timed_command(env, [sys.executable, "-P", str(script), *arguments])


def timed_command(env: Mapping[str, str], command: Sequence[str]) -> tuple[float, dict[str, Any]]:
    """Return the seconds from the start of the process until it prints its result, and the result."""
    begun = time.perf_counter()
    with subprocess.Popen(command, env=dict(env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - begun
        _, error_output = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {error_output[-2000:]}")
    return seconds, json.loads(line)


def written(sim: Simulator, file: Path) -> Path:
    """Write the rows that the last check sent to `file`, so that a bare script can send them again."""
    closing = next(row for row in reversed(sim.log_rows(RUNS.name)) if row["Connector"] == CLOSING)
    runs = [row for row in sim.log_rows(RUNS.name) if row["RunId"] == closing["RunId"]]
    rows = {
        "status": [_stored(row) for row in sim.table_rows(TOKEN_STATUS.name)],
        "run": [_stored(row) for row in sim.table_rows(CHECK_RUN.name)[:1]],
        "findings": [_logged(row) for row in sim.log_rows(FINDINGS.name)[-closing["Rows"] :]],
        "runs": [_logged(row) for row in runs],
    }
    file.write_text(json.dumps(rows), encoding="utf-8")
    return file


def _stored(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table's row as it is sent."""
    entity: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, datetime):
            entity[name] = value.astimezone(UTC).isoformat().replace("+00:00", "Z")
            entity[f"{name}@odata.type"] = "Edm.DateTime"
        else:
            entity[name] = value
    return entity


def _logged(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a custom table as it is sent."""
    values = {name: f"{value.isoformat()}Z" if isinstance(value, datetime) else value for name, value in row.items()}
    return {name: value for name, value in values.items() if value is not None}


def say(what: str) -> None:
    print(f"Measuring: {what} ...", file=sys.stderr)
