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

ROUNDS = 7
TOKENS = 2_000
ROOT = Path(__file__).parent.parent
BARE = Path(__file__).with_name("bare.py")

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
    with prepared(sim, 1) as (env, rows):
        for number in range(ROUNDS):
            say(f"one token, round {number + 1} of {ROUNDS}")
            ours.append(timed(lambda: checked(env)))
            peak = max(peak, checked(env).peak_mib or 0)
            bare.append(timed(lambda: run_bare(env, rows)))
    ratio = statistics.median(ours) / statistics.median(bare)
    return [
        ("1 token: process start to end, over bare httpx", f"{ratio:.2f}", "2.5", ratio <= 2.5),
        ("1 token: peak memory", f"{peak:.0f} MiB", "120 MiB", peak < 120),
    ]


def large(sim: Simulator) -> list[Figure]:
    """The invocation at many tokens; then every one of them changed at once."""
    ours, bare, peak = [], [], 0.0
    with prepared(sim, TOKENS) as (env, rows):
        for number in range(ROUNDS):
            say(f"{TOKENS} tokens, round {number + 1} of {ROUNDS}")
            result = checked(env)
            ours.append(result.duration_ms or 0)
            peak = max(peak, result.peak_mib or 0)
            bare.append(run_bare(env, rows))
        say(f"{TOKENS} changes at once")
        sim.graph.tenant = many(TOKENS, datetime(2027, 11, 23, tzinfo=UTC))
        changed = run_worker({**env, "CHECK_TIMEOUT_SECONDS": "5"}, "check_tokens")
        again = run_worker(env, "check_tokens")
    ratio = statistics.median(ours) / statistics.median(bare)
    bounded = not changed.success and "Time ran out" in (changed.exception or "") and (changed.duration_ms or 0) < 6_000
    return [
        (f"{TOKENS} tokens: the invocation, over bare httpx", f"{ratio:.2f}", "1.5", ratio <= 1.5),
        (f"{TOKENS} tokens: peak memory", f"{peak:.0f} MiB", "160 MiB", peak < 160),
        (f"{TOKENS} changes within 5 s: ends in time and says so", "yes" if bounded else "no", "yes", bounded),
        (f"{TOKENS} changes: the next run is whole", "yes" if again.success else "no", "yes", again.success),
    ]


class prepared:
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


def run_bare(env: Mapping[str, str], rows: Path) -> float:
    command = [sys.executable, "-P", str(BARE), str(rows)]
    done = subprocess.run(command, env=dict(env), capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"The bare script failed: {done.stderr[-2000:]}")
    return float(json.loads(done.stdout)["ms"])


def timed(work: Any) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def say(what: str) -> None:
    print(f"Measuring: {what} ...", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
