"""The check, against bare HTTP that makes the same calls."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measure import Figure, Sizes, at_most, ratio, run, say, timed, whether, written
from simulator.host import ROOT, run_worker
from simulator.stack import Simulator
from simulator.tenant import many

SHORT = 3
"""Seconds that are too few for so many changes on most machines."""
BARE = Path(__file__).with_name("bare.py")
WORKER = ROOT / "simulator" / "worker.py"


def small(sim: Simulator, sizes: Sizes) -> list[Figure]:
    """Process start to finished check of one token, the worker included."""
    ours, bare, peak = [], [], 0.0
    with steady(sim, 1) as (env, rows):
        for number in range(sizes.rounds):
            say(f"one token, round {number + 1} of {sizes.rounds}")
            seconds, told = timed(env, WORKER, str(ROOT), "check_tokens")
            ours.append(seconds)
            peak = max(peak, told["peak_kib"] / 1024)
            bare.append(timed(env, BARE, str(rows))[0])
    return [
        at_most("1 token: process start to finished check, over httpx", ratio(ours, bare), 2.5),
        at_most("1 token: peak memory", peak, 120, "{:.0f} MiB"),
    ]


def large(sim: Simulator, sizes: Sizes) -> list[Figure]:
    """The invocation at many tokens; then every one of them changed at once."""
    tokens = sizes.tokens
    with steady(sim, tokens) as (env, rows):
        figures = invocations(env, rows, sizes, f"{tokens} tokens", 1.5)
        say(f"{tokens} changes at once")
        sim.graph.tenant = many(tokens, datetime(2027, 11, 23, tzinfo=UTC))
        changed = run_worker({**env, "CHECK_TIMEOUT_SECONDS": str(SHORT)}, "check_tokens")
        again = run_worker(env, "check_tokens")
    told = changed.success or "Time ran out" in (changed.exception or "")
    bounded = told and (changed.duration_ms or 0) < 1000 * (SHORT + 1)
    return [
        *figures,
        whether(f"{tokens} changes: a check of {SHORT} s ends in time and says so", good=bounded),
        whether(f"{tokens} changes: the next run is whole", good=again.success),
    ]


def invocations(env: dict[str, str], rows: Path, sizes: Sizes, what: str, limit: float) -> list[Figure]:
    """The invocation of a check that changes nothing; `limit` is what it may take of the bare one's time."""
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
    """A tenant of so many tokens whose check changes nothing any more; the app's environment and the rows it sends."""
    say(f"preparing {tokens} tokens")
    sim.reset()
    sim.graph.tenant = many(tokens, datetime.now(UTC))
    env = sim.env()
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):  # the second writes the first one's changes once more
            run(env, "check_tokens")
        yield env, written(sim, Path(folder) / "rows.json")
