"""One simulated tenant for each xdist worker, empty at each test, and the app in it."""

import logging
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import Monitor, tenant

from shared import __version__
from simulator.host import ROOT
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


@pytest.fixture(scope="session")
def package(tmp_path_factory) -> Iterator[Path]:
    """The app as it is deployed: the unpacked deployment package. Its wheels run on Linux on x86_64 alone."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        yield ROOT
        return
    built = subprocess.run(
        [sys.executable, ROOT / "infra" / "package.py"], capture_output=True, text=True, check=False, timeout=300
    )
    assert built.returncode == 0, built.stderr
    folder = tmp_path_factory.mktemp("package")
    with zipfile.ZipFile(ROOT / "dist" / f"ade-token-monitor-{__version__}.zip") as packed:
        packed.extractall(folder)
    yield folder
    shutil.rmtree(folder)  # a quarter of a gigabyte, which pytest would keep
