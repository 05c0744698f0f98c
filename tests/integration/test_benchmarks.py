"""The benchmark's program, small: what it prints, what it compares with, and that an inspection's memory is flat."""

import json

import pytest

from benchmarks.__main__ import figures, shown
from benchmarks.checks import BARE as BARE_CHECK
from benchmarks.inspections import BARE as BARE_INSPECTION
from benchmarks.inspections import one_token
from benchmarks.measure import Sizes, at_most, run, timed, whether, written

pytestmark = pytest.mark.exhaustive

SMALL = Sizes(rounds=1, tokens=3, devices=250, fewer_devices=50, sample=2)


def asked(sim) -> list[str]:
    """What Graph was asked for since the last time."""
    requests = [json.dumps([one.method, one.path, dict(one.query)], sort_keys=True) for one in sim.graph.requests]
    sim.graph.requests.clear()
    return sorted(requests)


def test_every_figure_is_measured_and_printed_with_its_limit(sim, capsys):
    measured = figures(sim, SMALL)
    shown(measured)
    printed = capsys.readouterr().out
    assert all(figure.what in printed and figure.measured in printed and figure.limit in printed for figure in measured)
    others = {figure.what: figure.good for figure in measured if " over " not in figure.what}
    assert len(others) == len(measured) - 5
    assert all(others.values()), others  # times depend on what else the machine does; nothing else may


def test_a_figure_over_its_limit_ends_the_program_with_1(capsys):
    assert shown([at_most("ratio", 1.4, 1.4), whether("whole", good=True)]) == 0
    assert shown([at_most("ratio", 1.401, 1.4)]) == 1
    assert shown([whether("whole", good=False)]) == 1
    assert capsys.readouterr().out.count("OVER") == 2


def test_the_bare_scripts_ask_graph_for_what_the_app_asks_for(sim, tmp_path):
    env = {**sim.env(), "CONNECTORS": "ade,apns,vpp"}
    run(env, "check_tokens")
    rows = written(sim, tmp_path / "rows.json")
    ours = asked(sim)
    timed(env, BARE_CHECK, str(rows))
    assert asked(sim) == ours
    token = next(iter(sim.graph.tenant.devices))
    run(env, "inspect_devices")
    ours = [request for request in asked(sim) if token in request]
    timed(env, BARE_INSPECTION, token)
    assert asked(sim) == ours


def test_the_memory_of_an_inspection_does_not_grow_with_the_devices(sim):
    _, peak, change = one_token(sim, Sizes(rounds=1, devices=60_000, fewer_devices=1_000))
    assert peak.good, peak
    assert change.good, change
