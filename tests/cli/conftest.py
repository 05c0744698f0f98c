"""Provides one simulated tenant for each xdist worker, which is empty at the start of each test."""

from collections.abc import Iterator

import pytest
from cli_scene import Scene

from simulator.stack import Simulator


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def scene(simulator):
    simulator.reset()
    return Scene(simulator)
