"""Renews the pictures of the report in docs/images: `PYTHONPATH=. .venv/bin/python tests/cli/pictures.py`."""

import asyncio
import logging
import sys
import tempfile
from pathlib import Path

import chromium
from cli_scene import CHECKED, Scene, now

from simulator import faults
from simulator.host import ROOT
from simulator.stack import Simulator
from simulator.tenant import default_tenant
from tests.scenes import DAY, HOUR, MINUTE

IMAGES = ROOT / "docs" / "images"

LOOKS = {
    "report-light": {"width": 1280, "height": 1000},
    "report-dark": {"width": 1280, "height": 1000, "dark": True},
    "report-phone": {"width": 390, "height": 844},
}


def busy(scene: Scene) -> None:
    """Create a tenant with every finding, inspected devices, and two days of checks with gaps."""
    on = now() - CHECKED
    of = default_tenant(on)
    for hour in range(50, 1, -1):
        if hour not in {33, 34, 20}:
            scene.ran(CHECKED + hour * HOUR)
    scene.check(of=of, ago=9 * DAY)
    for ago in (9 * DAY - HOUR, 8 * DAY - HOUR, CHECKED + 2 * HOUR):
        scene.inspect(ago=ago)
    scene.check(of=of, ago=CHECKED + HOUR)
    scene.sim.graph.fail("vppTokens", faults.status(403), times=1)
    scene.check(of=of, ago=CHECKED + 31 * MINUTE)
    scene.sim.graph.heal()
    scene.check(of=of)


async def take(file: Path) -> None:
    """Take the pictures of a page."""
    IMAGES.mkdir(exist_ok=True)
    async with chromium.browser() as page:
        for name, look in LOOKS.items():
            await page.open(file, **look)
            (IMAGES / f"{name}.png").write_bytes(await page.screenshot())


if __name__ == "__main__":
    logging.getLogger("shared").addHandler(logging.NullHandler())  # what goes wrong in the tenant is meant to
    with Simulator() as sim, tempfile.TemporaryDirectory() as folder:
        busy(Scene(sim))
        done = Scene(sim).run("report", "--output", f"{folder}/report.html")
        sys.stdout.write(done.stderr)
        asyncio.run(take(Path(folder) / "report.html"))
