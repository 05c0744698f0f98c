"""`make bench`: the check against bare HTTP that makes the same calls, as ratios; medians, taken in turns.

Exits with 1 where a figure is over its limit. The numbers are ratios because the machine's speed is nobody's promise.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from cli.view import print_table
from simulator.host import WorkerResult, run_worker
from simulator.stack import Simulator
from simulator.tenant import many

ROUNDS = 9
TOKENS = 2_000
SHORT = 3
"""Seconds that are too few for so many changes on most machines."""
ROOT = Path(__file__).parent.parent
BARE = Path(__file__).with_name("bare.py")
WORKER = ROOT / "simulator" / "worker.py"

type Figure = tuple[str, str, str, bool]


def main() -> int:
    console = Console(highlight=False)
    with Simulator(on_step=lambda step: print(f"Starting {step} ...", file=sys.stderr)) as sim:
        figures = [*small(sim), *large(sim)]
    rows = [(what, measured, limit, "ok" if good else "OVER") for what, measured, limit, good in figures]
    print_table(console, ("Figure", "Measured", "Limit", ""), rows)
    return 0 if all(good for *_, good in figures) else 1


def small(sim: Simulator) -> list[Figure]:
    """Process start to finished check of one token, the worker included."""
    ours, bare, peak = [], [], 0.0
    with Prepared(sim, 1) as (env, rows):
        for number in range(ROUNDS):
            say(f"one token, round {number + 1} of {ROUNDS}")
            seconds, told = timed(env, WORKER, str(ROOT), "check_tokens")
            ours.append(seconds)
            peak = max(peak, told["peak_kib"] / 1024)
            bare.append(timed(env, BARE, str(rows))[0])
    ratio = statistics.median(ours) / statistics.median(bare)
    return [
        ("1 token: process start to finished check, over bare httpx", f"{ratio:.2f}", "2.5", ratio <= 2.5),
        ("1 token: peak memory", f"{peak:.0f} MiB", "120 MiB", peak < 120),
    ]


def large(sim: Simulator) -> list[Figure]:
    """The invocation at many tokens; then every one of them changed at once."""
    ours, bare, peak = [], [], 0.0
    with Prepared(sim, TOKENS) as (env, rows):
        for number in range(ROUNDS):
            say(f"{TOKENS} tokens, round {number + 1} of {ROUNDS}")
            result = checked(env)
            ours.append(result.duration_ms or 0)
            peak = max(peak, result.peak_mib or 0)
            bare.append(timed(env, BARE, str(rows))[1]["ms"])
        say(f"{TOKENS} changes at once")
        sim.graph.tenant = many(TOKENS, datetime(2027, 11, 23, tzinfo=UTC))
        changed = run_worker({**env, "CHECK_TIMEOUT_SECONDS": str(SHORT)}, "check_tokens")
        again = run_worker(env, "check_tokens")
    ratio = statistics.median(ours) / statistics.median(bare)
    told = changed.success or "Time ran out" in (changed.exception or "")
    bounded = told and (changed.duration_ms or 0) < 1000 * (SHORT + 1)
    return [
        (f"{TOKENS} tokens: the invocation, over bare httpx", f"{ratio:.2f}", "1.5", ratio <= 1.5),
        (f"{TOKENS} tokens: peak memory", f"{peak:.0f} MiB", "160 MiB", peak < 160),
        (
            f"{TOKENS} changes: a check of {SHORT} s ends in time and says so",
            "yes" if bounded else "no",
            "yes",
            bounded,
        ),
        (f"{TOKENS} changes: the next run is whole", "yes" if again.success else "no", "yes", again.success),
    ]


class Prepared:
    """A tenant of so many tokens whose check is in its steady state, and the rows that a bare script sends."""

    def __init__(self, sim: Simulator, tokens: int) -> None:
        self._sim = sim
        self._tokens = tokens
        self._folder = tempfile.TemporaryDirectory()

    def __enter__(self) -> tuple[dict[str, str], Path]:
        say(f"preparing {self._tokens} tokens")
        self._sim.reset()
        self._sim.graph.tenant = many(self._tokens, datetime.now(UTC))
        env = self._sim.env()
        for _ in range(2):  # the second writes the first one's changes once more
            checked(env)
        rows = {
            "status": [plain(row) for row in self._sim.table_rows("TokenStatus")],
            "run": [plain(row) for row in self._sim.table_rows("CheckRun")[:1]],
            "findings": [logged(row) for row in self._sim.log_rows("AppleTokenFinding_CL")[-self._tokens :]],
            "runs": [logged(row) for row in self._sim.log_rows("AppleTokenRun_CL")[-4:]],
        }
        file = Path(self._folder.name) / "rows.json"
        file.write_text(json.dumps(rows))
        return env, file

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A table's row as the wire has it."""
    entity: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, datetime):
            entity[name] = value.isoformat().replace("+00:00", "Z")
            entity[f"{name}@odata.type"] = "Edm.DateTime"
        else:
            entity[name] = value
    return entity


def logged(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a custom table as the wire has it."""
    told = {name: f"{value.isoformat()}Z" if isinstance(value, datetime) else value for name, value in row.items()}
    return {name: value for name, value in told.items() if value is not None}


def checked(env: Mapping[str, str]) -> WorkerResult:
    result = run_worker(env, "check_tokens")
    if not result.success:
        raise SystemExit(f"The check failed: {result.exception}")
    return result


def timed(env: Mapping[str, str], script: Path, *arguments: str) -> tuple[float, dict[str, Any]]:
    """Seconds from the start of the script's process until it tells its result, and that."""
    begun = time.perf_counter()
    command = [sys.executable, "-P", str(script), *arguments]
    with subprocess.Popen(command, env=dict(env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - begun
        _, said = process.communicate()
    if process.returncode:
        raise SystemExit(f"{script.name} failed: {said[-2000:]}")
    return seconds, json.loads(line)


def say(what: str) -> None:
    print(f"Measuring: {what} ...", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
