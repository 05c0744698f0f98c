"""What every measurement needs: its sizes, its figures, and how a process is run and timed."""

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
    """How much is measured."""

    rounds: int = 9
    """Each is taken in turns with the bare one; what counts is the median."""
    tokens: int = 2_000
    devices: int = 200_000
    """Of one token."""
    fewer_devices: int = 20_000
    sample: int = 200
    """Tokens that are inspected at the pace at which Graph is asked: 2,000 take five minutes."""


class Figure(NamedTuple):
    """A row of what is printed."""

    what: str
    measured: str
    limit: str
    good: bool


def at_most(what: str, measured: float, limit: float, shown: str = "{:.2f}") -> Figure:
    """A number and its limit, both written as `shown`."""
    return Figure(what, shown.format(measured), shown.format(limit), measured <= limit)


def whether(what: str, *, good: bool) -> Figure:
    return Figure(what, "yes" if good else "no", "yes", good)


def ratio(ours: Sequence[float], bare: Sequence[float]) -> float:
    return statistics.median(ours) / statistics.median(bare)


def run(env: Mapping[str, str], function: str, timeout: float = 300) -> WorkerResult:
    """One invocation of a function of the app, in a worker of its own; it has to succeed."""
    result = run_worker(env, function, timeout=timeout)
    if not result.success:
        raise SystemExit(f"{function} failed: {result.exception}")
    return result


def timed(env: Mapping[str, str], script: Path, *arguments: str) -> tuple[float, dict[str, Any]]:
    """Seconds from the start of the script's process until it tells its result, and that."""
    return timed_command(env, [sys.executable, "-P", str(script), *arguments])


def timed_command(env: Mapping[str, str], command: Sequence[str]) -> tuple[float, dict[str, Any]]:
    """Returns the seconds from the start of the process until it prints its result, and that."""
    begun = time.perf_counter()
    with subprocess.Popen(command, env=dict(env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - begun
        _, said = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {said[-2000:]}")
    return seconds, json.loads(line)


def written(sim: Simulator, file: Path) -> Path:
    """The rows that the last check sent, in `file`, for a bare script to send once more."""
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
    """A table's row as the wire has it."""
    entity: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, datetime):
            entity[name] = value.astimezone(UTC).isoformat().replace("+00:00", "Z")
            entity[f"{name}@odata.type"] = "Edm.DateTime"
        else:
            entity[name] = value
    return entity


def _logged(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a custom table as the wire has it."""
    told = {name: f"{value.isoformat()}Z" if isinstance(value, datetime) else value for name, value in row.items()}
    return {name: value for name, value in told.items() if value is not None}


def say(what: str) -> None:
    print(f"Measuring: {what} ...", file=sys.stderr)
