"""One simulated tenant for each xdist worker, empty at each test, and the app in it."""

import logging
from collections.abc import Iterator

import pytest
from support import Monitor, tenant

from simulator.stack import Simulator


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    with Simulator(proxied=True) as running:
        yield running


@pytest.fixture
def sim(simulator):
    simulator.reset()
    return simulator


@pytest.fixture
def monitor(sim, caplog):
    caplog.set_level(logging.INFO, "shared")
    sim.graph.tenant = tenant()
    return Monitor(sim)
