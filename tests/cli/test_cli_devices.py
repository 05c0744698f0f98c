"""What the inspection of devices found, wherever somebody may look for it."""

import csv
import io
import re

import pytest
from cli_scene import CHECKED, DAY, HOUR, Scene, now

from simulator.tenant import default_tenant

FINDINGS = {
    "Fabrikam Academy": ("devices_without_profile", "has 9 of 120 devices waiting without an enrollment policy"),
    "Contoso Field Service": ("enrollment_failing", "has 16 of 120 devices that do not enroll (11 failed, 5 blocked)"),
    "Contoso Warehouse": ("devices_missing", "reports 120 synced devices, while Intune lists 74"),
    "Contoso Labs": ("no_default_profile", "has devices and no default enrollment policy for macOS"),
}
FACTS = {
    "devices_without_profile": {"waiting": 9, "without_profile": 20, "devices": 120},
    "enrollment_failing": {"failing": 16, "failed": 11, "blocked": 5, "devices": 120},
    "devices_missing": {"synced": 120, "devices": 74, "deleted": 3, "imported": 0},
    "no_default_profile": {"platforms": "macOS", "profiles": 1},
}


@pytest.fixture(scope="module")
def inspected(simulator):
    """A tenant in which each finding about devices holds."""
    simulator.reset()
    scene = Scene(simulator)
    of = default_tenant(now() - CHECKED)
    scene.check(of=of, ago=9 * DAY)
    for ago in (9 * DAY - HOUR, 8 * DAY - HOUR, HOUR):
        scene.inspect(ago=ago)
    scene.check(of=of)
    return scene


@pytest.mark.parametrize("name", FINDINGS)
def test_the_terminal_shows_it_with_what_to_do(inspected, name):
    code, told = FINDINGS[name]
    text = inspected.run("status", COLUMNS="250").stdout
    assert re.search(rf"  '{name}' {re.escape(told)}.*\.\n    → \w", text)
    assert f"{code} began" in inspected.run("history", name, COLUMNS="250").stdout


@pytest.mark.parametrize("name", FINDINGS)
def test_other_programs_get_its_numbers(inspected, name):
    code, _ = FINDINGS[name]
    (token,) = [token for token in inspected.json("status")["tokens"] if token["name"] == name]
    (finding,) = [finding for finding in token["findings"] if finding["code"] == code]
    assert finding["facts"].items() >= FACTS[code].items()
    assert finding["facts"]["inspected"].endswith(" UTC")
    rows = csv.DictReader(io.StringIO(inspected.run("status", "--format", "csv").stdout, newline=""))
    assert code in next(row["findings"] for row in rows if row["token"] == name).split()


@pytest.mark.parametrize("name", FINDINGS)
def test_the_page_shows_it_with_its_numbers(inspected, name):
    code, told = FINDINGS[name]
    page = inspected.run("report", "--output", "-").stdout
    assert told in page
    assert ", ".join(f"{fact.replace('_', ' ')} {value}" for fact, value in FACTS[code].items()) in page


def test_an_inspection_that_failed_tells_why_beside_the_counts_of_the_last_whole_one(inspected):
    (row,) = [row for row in inspected.sim.table_rows("DeviceInspection") if row["TokenName"] == "Contoso Labs"]
    inspected.put("DeviceInspection", {**row, "Complete": False, "Error": "Graph <refused>."})
    page = inspected.run("report", "--output", "-").stdout
    inspected.put("DeviceInspection", row)
    assert "<dt>Why it is not complete</dt><dd>Graph &lt;refused&gt;.</dd>" in page
    assert "<dt>By platform</dt><dd>ios" in page
