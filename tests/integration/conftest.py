"""Provides one simulated tenant for each xdist worker, which is empty at the start of each test, and the app in it."""

import fcntl
import logging
import os
import platform
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import Monitor

from simulator.host import ROOT
from simulator.stack import Simulator
from tests.scenes import DAY, HOUR, ade, tenant


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


@pytest.fixture
async def known(monitor, sim):
    """A tenant that one check has seen: ADE expiring (tier 14) and stale, the others healthy."""
    sim.graph.tenant = tenant(ade("Contoso HQ", expires=10 * DAY, synced=40 * HOUR))
    await monitor.check()
    assert set(monitor.stored()) == {"expiring", "sync_stale"}
    for server in monitor.servers:
        server.requests.clear()
    return monitor


@pytest.fixture(scope="session")
def package(tmp_path_factory) -> Path:
    """The unpacked deployment package, read-only and one for all xdist workers; it runs on Linux on x86_64 alone."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64") or (ROOT / ".python_packages").is_dir():
        return ROOT  # in test_clean_interpreter, the tests are in the package
    session = tmp_path_factory.getbasetemp()
    folder = (session.parent if "PYTEST_XDIST_WORKER" in os.environ else session) / "package"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unpack_package(folder)
    return folder


def unpack_package(folder: Path) -> None:
    command = [sys.executable, ROOT / "infra" / "package.py"]
    built = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert built.returncode == 0, built.stderr
    incomplete = folder.with_suffix(".incomplete")
    with zipfile.ZipFile(built.stdout.splitlines()[-2]) as packed:
        packed.extractall(incomplete)
    for path in (incomplete, *incomplete.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    incomplete.rename(folder)
