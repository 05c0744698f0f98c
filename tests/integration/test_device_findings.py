"""The next check judges what an inspection counted, for as long as the inspection is not too old."""

from datetime import UTC, timedelta

import pytest
from inspecting import HQ, PLATFORMS, owning, remembered, some, spread

from simulator import faults
from simulator.devices import default_profiles
from simulator.tenant import Tenant
from tests.scenes import DAY, HOUR, MINUTE, NOW

SECOND = timedelta(seconds=1)
WAITING = ("token_warning", "Contoso HQ", "ade", "devices_without_profile", "devices without a policy")
SICK = {"waiting": 4, "enrolled": 40, "failed": 3, "blocked": 2}


@pytest.fixture(autouse=True)
def no_sync_is_stale(monitor):
    """Keeps the syncs from becoming stale in tests that take days."""
    hours = ("SYNC_STALE_WARNING_HOURS", "SYNC_STALE_CRITICAL_HOURS")
    monitor.settings = {f"{of}{name}": str(998 + step) for of in ("", "VPP_") for step, name in enumerate(hours)}


def without(tenant: Tenant, *platforms: str) -> Tenant:
    """That tenant without default profiles for `platforms`."""
    left = default_profiles(HQ, *(platform for platform in PLATFORMS if platform not in platforms))
    return Tenant(tenant.ade, tenant.vpp, tenant.apns, devices=tenant.devices, defaults={HQ: left})


def changes(monitor, code: str) -> list[tuple]:
    """When a finding came and went, as the history has it."""
    return [
        ("goes" if change["new"] is None else "comes", row["ChangedOn"])
        for row in monitor.history()
        for change in row["Changes"]
        if change["field"] == "finding" and code in {(change[side] or {}).get("code") for side in ("old", "new")}
    ]


# The check merges


async def test_each_symptom_becomes_a_finding_that_stays_while_graph_fails(monitor, sim):
    sim.graph.tenant = without(owning({"Contoso HQ": some(**SICK)}, synced={"Contoso HQ": 90}), "MacOs")
    for days in (0, 1, 8):
        await monitor.check(days * DAY)
        await monitor.inspect(MINUTE)
        if days == 0:
            assert monitor.stored() == {}, "an inspection writes no status"
    inspected = f"{monitor.now.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    run = await monitor.check(HOUR)
    assert run.outcome == "succeeded"
    stored = monitor.stored()
    assert {code: (each["severity"], each["tier"]) for code, each in stored.items()} == {
        "devices_without_profile": ("warning", None),
        "enrollment_failing": ("warning", None),
        "devices_missing": ("warning", None),
        "no_default_profile": ("info", None),
    }
    assert {code: each["facts"] for code, each in stored.items()} == {
        "devices_without_profile": {"waiting": 4, "without_profile": 4, "devices": 49, "inspected": inspected},
        "enrollment_failing": {"failing": 5, "failed": 3, "blocked": 2, "devices": 49, "inspected": inspected},
        "devices_missing": {
            "synced": 90,
            "devices": 49,
            "deleted": 0,
            "imported": 0,
            "since": f"{NOW:%Y-%m-%d}",
            "inspected": inspected,
        },
        "no_default_profile": {"platforms": "macOS", "profiles": 0, "inspected": inspected},
    }
    assert monitor.statuses()["ade", "Contoso HQ"]["Health"] == "warning"
    assert monitor.found(run.id) == {
        ("Contoso HQ", code, each["severity"], "begun"): 1 for code, each in stored.items()
    }
    assert all(row["Action"] not in {"", "none"} for row in monitor.published(run.id) if row["Connector"] == "ade")
    assert [rule[3] for rule in monitor.firing()] == [
        "devices_missing",
        "devices_without_profile",
        "enrollment_failing",
    ]
    sim.graph.fail("", faults.status(500))
    assert (await monitor.check(HOUR)).outcome == "degraded"
    assert set(monitor.stored()) == {*stored, "unread"}
    assert monitor.run_rows()["devices"]["Outcome"] == "succeeded"


async def test_a_finding_fires_once_and_resolves_after_the_next_inspection(monitor, sim):
    sim.graph.tenant = spread("Contoso HQ", **SICK)
    alerts = monitor.alerts()
    await monitor.check()
    await monitor.inspect(HOUR // 2)
    assert alerts.soon() == []
    await monitor.check(HOUR // 2)
    came = monitor.now
    failing = ("token_warning", "Contoso HQ", "ade", "enrollment_failing", "device enrollments fail")
    assert alerts.soon() == [("fired", *WAITING), ("fired", *failing)]
    sim.graph.tenant = spread("Contoso HQ", enrolled=49)  # repaired, and not inspected yet
    for hours in (1, 21):
        await monitor.check(hours * HOUR)
        await monitor.inspect()
        assert alerts.once() == []
    assert monitor.stored()["devices_without_profile"]["since"].startswith(f"{came:%Y-%m-%dT%H:%M}")
    await monitor.check(HOUR)
    assert (await monitor.inspect(HOUR // 2))["complete"] == 1
    assert alerts.until(monitor.now) == []
    run = await monitor.check(HOUR // 2)
    assert sorted(alerts.until(monitor.now + 50 * MINUTE)) == [("resolved", *WAITING), ("resolved", *failing)]
    assert monitor.found(run.id) == {("Contoso HQ", "none", "none", "none"): 1}
    assert changes(monitor, "devices_without_profile") == [("comes", came), ("goes", run.started_on)]
    assert len(monitor.history()) == 5  # three first sights, and these


# While the inspections cannot be read


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (faults.table_status(403, "AuthorizationPermissionMismatch"), "HTTP 403 AuthorizationPermissionMismatch"),
        (faults.table_status(404, "TableNotFound"), "HTTP 404 TableNotFound"),
        (faults.text(200, "<html>"), "A fault of the monitor while loading the inspections"),
    ],
    ids=["403", "404", "HTML"],
)
@pytest.mark.sampled(1)
async def test_findings_stay_and_the_run_fails_while_inspections_cannot_be_read(monitor, sim, fault, why):
    sim.graph.tenant = spread("Contoso HQ", **SICK)
    alerts = monitor.alerts()
    await monitor.check()
    await monitor.inspect()
    await monitor.check(HOUR)
    found, told = monitor.stored(), alerts.soon()
    sim.graph.tenant = spread("Contoso HQ", enrolled=49)
    sim.proxy.fail("DeviceInspection", fault)
    for _ in range(3):
        run = await monitor.check(HOUR)
        assert (run.outcome, why in run.store_error) == ("failed", True)
        assert monitor.stored() == found
        assert set(monitor.found(run.id)) == {("Contoso HQ", code, "warning", "begun") for code in found}
        row = monitor.run_rows()["devices"]
        assert (row["Outcome"], "nobody knows how old the inspections are" in row["Error"]) == ("unknown", True)
        told += [event for event in alerts.soon() if event[0] == "resolved"]
    assert [event[0] for event in told] == ["fired", "fired"]
    sim.proxy.heal()
    await monitor.check(HOUR)
    assert monitor.run_rows()["devices"]["Outcome"] == "succeeded"
    assert set(monitor.stored()) == set(found)


# Freshness


async def fresh(monitor, sim, **kinds):
    """A token known for long, whose devices were just inspected, and what that found stored."""
    sim.graph.tenant = spread("Contoso HQ", **kinds)
    await monitor.check()
    await monitor.inspect(9 * DAY)
    await monitor.check()


def unread(monitor) -> str | None:
    found = monitor.stored().get("unread")
    return found and found["facts"]["reason"]


async def test_a_token_is_unread_besides_its_findings_48_hours_after_its_inspection(monitor, sim):
    await fresh(monitor, sim, **SICK)
    inspected = monitor.now
    found = set(monitor.stored())
    await monitor.check(48 * HOUR)
    assert (set(monitor.stored()), monitor.run_rows()["devices"]["Outcome"]) == (found, "succeeded")
    history = monitor.history()
    run = await monitor.check(SECOND)
    assert set(monitor.stored()) == {*found, "unread"}
    assert unread(monitor) == f"its devices were last inspected as a whole on {inspected:%Y-%m-%d}"
    assert monitor.statuses()["ade", "Contoso HQ"]["Health"] == "unknown"
    assert monitor.history() == history, "to know less is no change"
    rows = monitor.run_rows(run.id)
    assert run.outcome == "succeeded"
    assert {of: row["Outcome"] for of, row in rows.items()} == {
        "ade": "succeeded",
        "apns": "succeeded",
        "vpp": "succeeded",
        "devices": "failed",
        "all": "succeeded",
    }
    assert rows["devices"]["Error"] == (
        "1 of 1 ADE tokens without a complete inspection in 48 hours; 'Contoso HQ': inspect_devices has not inspected "
        f"it since {inspected:%Y-%m-%d %H:%M} UTC; verify that it runs"
    )
    assert monitor.runs()[-1]["Connectors"]["ade"] == {"tokens": 1}


@pytest.mark.exhaustive
async def test_check_failing_fires_when_inspections_stop_and_resolves_with_the_next_one(monitor, sim):
    await fresh(monitor, sim, enrolled=9)
    alerts = monitor.alerts()
    told = []
    for hour in range(1, 51):
        await monitor.check(HOUR)
        told += [(hour, *event) for event in alerts.soon()]
    assert told == [(50, "fired", "check_failing", "devices")]
    await monitor.inspect()
    await monitor.check(HOUR)
    assert monitor.stored() == {}
    assert alerts.until(monitor.now + 50 * MINUTE) == [("resolved", "check_failing", "devices")]


async def test_an_inspection_that_keeps_failing_is_reported_and_keeps_its_findings(monitor, sim):
    await fresh(monitor, sim, **SICK)
    found = set(monitor.stored())
    sim.graph.fail("importedAppleDeviceIdentities", faults.missing_role())
    for _ in range(3):
        await monitor.inspect(DAY)
        run = await monitor.check()
    assert run.outcome == "succeeded"
    assert set(monitor.stored()) == {*found, "unread"}
    told = monitor.run_rows()["devices"]["Error"]
    assert "importedAppleDeviceIdentities: Graph refused access (HTTP 403" in told
    assert told.startswith("1 of 1 ADE tokens without a complete inspection in 48 hours; 'Contoso HQ': GET ")
    sim.graph.heal()
    await monitor.inspect(HOUR)
    await monitor.check()
    assert set(monitor.stored()) == found
    assert "Error" not in remembered(monitor)["Contoso HQ"]
