"""Measures the inspection of devices (time against bare HTTP, memory, pace) and the check that follows it."""

import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from benchmarks.checks import invocations
from benchmarks.measure import Figure, Sizes, at_most, ratio, run, say, timed, whether, written
from shared.graph.pace import CALLS, SECONDS
from shared.inspection import READING_ENDS
from shared.model.counts import Inspection
from shared.settings import Settings
from shared.storage.device_rows import DEVICE_INSPECTION
from shared.storage.transactions import MOST_OPERATIONS
from simulator.stack import Simulator
from simulator.tenant import many

BARE = Path(__file__).with_name("bare_devices.py")
EACH = 100
"""The number of devices of each token if there are many tokens."""
INSPECTED = 2.0
"""The allowed ratio if each token has three findings about devices, because the check sends three times the rows."""


def one_token(sim: Simulator, sizes: Sizes) -> list[Figure]:
    """Measure the inspection of a token with many devices, and its memory compared with fewer devices."""
    ours, bare, peak = _rounds(sim, sizes.devices, sizes.rounds)
    *_, before = _rounds(sim, sizes.fewer_devices, 1)
    change = peak / before - 1
    what = f"{sizes.devices} devices"
    return [
        at_most(f"{what}: the inspection, over httpx with msgspec", ratio(ours, bare), 1.4),
        at_most(f"{what}: peak memory", peak, 150, "{:.0f} MiB"),
        Figure(f"{what}: memory against {sizes.fewer_devices} devices", f"{change:+.1%}", "±10%", abs(change) <= 0.1),
    ]


def _rounds(sim: Simulator, devices: int, rounds: int) -> tuple[list[float], list[float], float]:
    """Return the milliseconds of inspections and of bare scripts, and the inspections' peak memory in MiB."""
    say(f"preparing {devices} devices")
    sim.reset()
    sim.graph.tenant = many(1, datetime.now(UTC), devices=devices)
    (token,) = sim.graph.tenant.tokens
    env = {**sim.env(), "INSPECT_EVERY_HOURS": "0"}
    run(env, "check_tokens")
    run(env, "inspect_devices")  # from now on, the simulator's pages are prepared
    ours, bare, peak = [], [], 0.0
    for number in range(rounds):
        say(f"{devices} devices, round {number + 1} of {rounds}")
        result = run(env, "inspect_devices")
        ours.append(result.duration_ms or 0)
        peak = max(peak, result.peak_mib or 0)
        bare_result = timed(env, BARE, token)[1]
        bare.append(bare_result["ms"])
        if bare_result["devices"] != devices:
            raise SystemExit(f"The bare script read {bare_result['devices']} of {devices} devices.")
    return ours, bare, peak


def many_tokens(sim: Simulator, sizes: Sizes) -> list[Figure]:
    """Measure many tokens with a few devices each: one run at the pace limit for Graph, and the checks after it."""
    say(f"{sizes.sample} tokens, at the pace at which Graph is asked")
    sim.reset()
    sim.graph.tenant = many(sizes.sample, datetime.now(UTC), devices=EACH)
    env = sim.env()
    run(env, "check_tokens")
    before = len(sim.graph.requests)
    result = run(env, "inspect_devices", timeout=600)
    calls = (len(sim.graph.requests) - before) / sizes.sample
    rows = sim.table_rows(DEVICE_INSPECTION.name)
    complete = sum(row["Complete"] for row in rows)
    # The time that a run needs in addition to the pace limit is assumed to grow with the tokens.
    beyond = (result.duration_ms or 0) / 1000 - _turns(calls * sizes.sample)
    seconds = _turns(calls * sizes.tokens) + beyond * sizes.tokens / sizes.sample
    limit = READING_ENDS * Settings.load(env).inspect_timeout_seconds
    what = f"{sizes.tokens} tokens, {EACH} devices each"
    basis = "" if sizes.sample == sizes.tokens else f", from {sizes.sample}"
    return [
        at_most(f"{what}: calls of Graph per token", calls, 3, "{:.1f}"),
        at_most(f"{what}: one run{basis}", seconds, limit, "{:.0f} s"),
        whether(f"{what}: the run is complete", good=complete == sizes.sample),
        at_most(f"{what}: peak memory", result.peak_mib or 0, 150, "{:.0f} MiB"),
        *_checks(sim, sizes, msgspec.json.decode(rows[0]["Memory"], type=Inspection)),
    ]


def _turns(calls: float) -> float:
    """Return the seconds that the pace limit requires for so many calls."""
    return max(calls - 1, 0) // CALLS * SECONDS


def _checks(sim: Simulator, sizes: Sizes, inspection: Inspection) -> list[Figure]:
    """Measure the check of many tokens that each have the result of `inspection`."""
    what = f"{sizes.tokens} inspected tokens"
    say(f"preparing {what}")
    sim.reset()
    sim.graph.tenant = many(sizes.tokens, datetime.now(UTC), devices=EACH)
    env = sim.env()
    first = run(env, "check_tokens").duration_ms or 0
    run(env, "check_tokens")
    _remember(sim, (replace(inspection, token_id=token_id) for token_id in sim.graph.tenant.tokens))
    changed = run(env, "check_tokens").duration_ms or 0
    run(env, "check_tokens")
    with tempfile.TemporaryDirectory() as folder:
        figures = invocations(env, written(sim, Path(folder) / "rows.json"), sizes, what, INSPECTED)
    return [at_most(f"{what}: the next check, over their first", changed / first, 2), *figures]


def _remember(sim: Simulator, inspections: Iterable[Inspection]) -> None:
    """Write the rows as an inspection does, without its pace limit."""
    rows = [DEVICE_INSPECTION.row(inspection) for inspection in inspections]
    with sim.tables.client() as tables:
        table = tables.get_table_client(DEVICE_INSPECTION.name)
        for start in range(0, len(rows), MOST_OPERATIONS):
            table.submit_transaction([("upsert", row) for row in rows[start : start + MOST_OPERATIONS]])
