"""The findings of an inspection, in every form in which the commands show them."""

import csv
import io
import re

import pytest
from cli_scene import CHECKED, Scene, now

from simulator.tenant import default_tenant
from tests.scenes import DAY, HOUR

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


def test_each_finding_is_in_the_terminal_in_json_in_csv_and_on_the_page(inspected):
    text = inspected.run("status", COLUMNS="250").stdout
    tokens = {token["name"]: token for token in inspected.json("status")["tokens"]}
    printed = io.StringIO(inspected.run("status", "--format", "csv").stdout, newline="")
    lines = {row["token"]: row for row in csv.DictReader(printed)}
    page = inspected.run("report", "--output", "-").stdout
    for name, (code, sentence) in FINDINGS.items():
        assert re.search(rf"  '{name}' {re.escape(sentence)}.*\.\n    → \w", text)
        assert f"{code} began" in inspected.run("history", name, COLUMNS="250").stdout
        (finding,) = [finding for finding in tokens[name]["findings"] if finding["code"] == code]
        assert finding["facts"].items() >= FACTS[code].items()
        assert finding["facts"]["inspected"].endswith(" UTC")
        assert code in lines[name]["findings"].split()
        assert sentence in page
        assert ", ".join(f"{fact.replace('_', ' ')} {value}" for fact, value in FACTS[code].items()) in page


def test_a_failed_inspection_has_its_reason_beside_the_last_counts(inspected):
    (row,) = [row for row in inspected.sim.table_rows("DeviceInspection") if row["TokenName"] == "Contoso Labs"]
    inspected.put("DeviceInspection", {**row, "Complete": False, "Error": "Graph <refused>."})
    page = inspected.run("report", "--output", "-").stdout
    inspected.put("DeviceInspection", row)
    assert "<dt>Why it is not complete</dt><dd>Graph &lt;refused&gt;.</dd>" in page
    assert "<dt>By platform</dt><dd>ios" in page
