"""Measures the check against bare HTTP that makes the same calls."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measure import Figure, Sizes, at_most, ratio, run, say, timed, timed_command, whether, written
from simulator.host import ROOT, bare_python, run_worker, worker_command
from simulator.stack import Simulator
from simulator.tenant import many

SHORT = 3
"""A time limit in seconds that is too short for so many changes on most machines."""
BARE = Path(__file__).with_name("bare.py")
PACKAGES = ".python_packages/lib/site-packages"
CLEAN = """
import runpy, sys
sys.path.insert(0, sys.argv[1])
del sys.argv[:2]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""A program that runs a script with the packages in a folder."""


def small(sim: Simulator, sizes: Sizes) -> list[Figure]:
    """Measure the cold start with one token, from process start to finished check, with the package's Python packages.

    The bare script uses the same Python and the package's httpx; neither may write bytecode.
    """
    ours, bare, peak = [], [], 0.0
    app = packaged()
    with steady(sim, 1) as (env, rows):
        bare_script = [*bare_python(), "-c", CLEAN, str(app / PACKAGES), str(BARE), str(rows)]
        for number in range(sizes.rounds):
            say(f"one token, round {number + 1} of {sizes.rounds}")
            seconds, result = timed_command(env, worker_command(app, "check_tokens"))
            ours.append(seconds)
            peak = max(peak, result["peak_kib"] / 1024)
            bare.append(timed_command(env, bare_script)[0])
    return [
        at_most("1 token: cold start to finished check, over httpx", ratio(ours, bare), 2.0),
        at_most("1 token: peak memory", peak, 120, "{:.0f} MiB"),
    ]


def packaged() -> Path:
    """Build the deployment package and return the folder with its unpacked content."""
    subprocess.run([sys.executable, ROOT / "infra" / "package.py"], check=True, stdout=subprocess.DEVNULL)
    return ROOT / "dist" / "app"


def large(sim: Simulator, sizes: Sizes) -> list[Figure]:
    """Measure an invocation with many tokens, and one after all of them changed at once."""
    tokens = sizes.tokens
    with steady(sim, tokens) as (env, rows):
        figures = invocations(env, rows, sizes, f"{tokens} tokens", 1.5)
        say(f"{tokens} changes at once")
        sim.graph.tenant = many(tokens, datetime(2027, 11, 23, tzinfo=UTC))
        changed = run_worker({**env, "CHECK_TIMEOUT_SECONDS": str(SHORT)}, "check_tokens")
        again = run_worker(env, "check_tokens")
    reported = changed.success or "Time ran out" in (changed.exception or "")
    bounded = reported and (changed.duration_ms or 0) < 1000 * (SHORT + 1)
    return [
        *figures,
        whether(f"{tokens} changes: a check of {SHORT} s ends in time and reports it", good=bounded),
        whether(f"{tokens} changes: the next run is complete", good=again.success),
    ]


def invocations(env: dict[str, str], rows: Path, sizes: Sizes, what: str, limit: float) -> list[Figure]:
    """Measure the invocation of a check without changes; `limit` is the allowed ratio to the bare script's time."""
    ours, bare, peak = [], [], 0.0
    for number in range(sizes.rounds):
        say(f"{what}, round {number + 1} of {sizes.rounds}")
        result = run(env, "check_tokens")
        ours.append(result.duration_ms or 0)
        peak = max(peak, result.peak_mib or 0)
        bare.append(timed(env, BARE, str(rows))[1]["ms"])
    return [
        at_most(f"{what}: the invocation, over httpx", ratio(ours, bare), limit),
        at_most(f"{what}: peak memory", peak, 160, "{:.0f} MiB"),
    ]


@contextmanager
def steady(sim: Simulator, tokens: int) -> Iterator[tuple[dict[str, str], Path]]:
    """Create a tenant whose checks no longer change anything; yield the app's environment and the rows it sends."""
    say(f"preparing {tokens} tokens")
    sim.reset()
    sim.graph.tenant = many(tokens, datetime.now(UTC))
    env = sim.env()
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):  # the second check writes the changes of the first one again
            run(env, "check_tokens")
        yield env, written(sim, Path(folder) / "rows.json")
