"""What an inspection counted becomes findings at the next check, for as long as the inspection is fresh; and then."""

from datetime import UTC, timedelta

import pytest
from inspecting import HQ, PLATFORMS, owning, remembered, some, spread
from support import DAY, HOUR, MINUTE, NOW

from simulator import faults
from simulator.devices import default_profiles
from simulator.tenant import Tenant

SECOND = timedelta(seconds=1)
WAITING = ("token_warning", "Contoso HQ", "ade", "devices_without_profile", "devices without a policy")
SICK = {"waiting": 4, "enrolled": 40, "failed": 3, "blocked": 2}


@pytest.fixture(autouse=True)
def no_sync_is_stale(monitor):
    """Days go by, and what is told of the token itself is none of this."""
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


async def test_each_symptom_becomes_a_finding_of_the_next_check_and_is_stored_and_published(monitor, sim):
    sim.graph.tenant = without(owning({"Contoso HQ": some(**SICK)}, synced={"Contoso HQ": 90}), "MacOs")
    for day in range(9):
        await monitor.check(DAY if day else timedelta())
        await monitor.inspect(MINUTE)
        if day == 0:
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


async def test_devices_are_missing_only_once_a_full_sync_lies_between(monitor, sim):
    sim.graph.tenant = owning({"Contoso HQ": some(enrolled=40)}, synced={"Contoso HQ": 52})
    await monitor.check()
    for wait in (timedelta(), 7 * DAY, SECOND):
        assert "devices_missing" not in monitor.stored()
        await monitor.inspect(wait, INSPECT_EVERY_HOURS=0)
        await monitor.check()
    assert "devices_missing" in monitor.stored()
    sim.graph.tenant = owning({"Contoso HQ": some(enrolled=42)}, synced={"Contoso HQ": 52})
    await monitor.check()
    await monitor.inspect(INSPECT_EVERY_HOURS=0)
    await monitor.check(HOUR)
    assert monitor.stored() == {}, "ten too few are within what may differ"


async def test_a_finding_is_told_once_and_is_over_when_the_next_inspection_says_so(monitor, sim):
    sim.graph.tenant = spread("Contoso HQ", **SICK)
    alerts = monitor.alerts()
    await monitor.check()
    await monitor.inspect(HOUR // 2)
    assert alerts.soon() == []
    await monitor.check(HOUR // 2)
    came = monitor.now
    failing = ("token_warning", "Contoso HQ", "ade", "enrollment_failing", "device enrollments fail")
    assert alerts.soon() == [("fired", *WAITING), ("fired", *failing)]
    sim.graph.tenant = spread("Contoso HQ", enrolled=49)  # repaired, which nobody has looked at yet
    told = []
    for _ in range(22):
        await monitor.check(HOUR)
        await monitor.inspect()
        told += alerts.soon()
    assert told == []
    assert monitor.stored()["devices_without_profile"]["since"].startswith(f"{came:%Y-%m-%dT%H:%M}")
    await monitor.check(HOUR)
    assert (await monitor.inspect(HOUR // 2))["complete"] == 1
    assert alerts.until(monitor.now) == []
    run = await monitor.check(HOUR // 2)
    assert sorted(alerts.until(monitor.now + 50 * MINUTE)) == [("resolved", *WAITING), ("resolved", *failing)]
    assert monitor.found(run.id) == {("Contoso HQ", "none", "none", "none"): 1}
    assert changes(monitor, "devices_without_profile") == [("comes", came), ("goes", run.started_on)]
    assert len(monitor.history()) == 5  # three first sights, and these


async def test_a_changed_threshold_works_at_the_next_check_and_needs_no_inspection(monitor, sim):
    sim.graph.tenant = spread("Contoso HQ", **SICK)
    await monitor.check()
    await monitor.inspect()
    await monitor.check(HOUR, DEVICES_WITHOUT_PROFILE_MINIMUM=4, ENROLLMENT_FAILING_MINIMUM=5)
    assert set(monitor.stored()) == {"devices_without_profile", "enrollment_failing"}
    await monitor.check(HOUR, DEVICES_WITHOUT_PROFILE_MINIMUM=5, ENROLLMENT_FAILING_MINIMUM=6)
    assert monitor.stored() == {}


async def test_what_was_found_stands_beside_what_a_check_finds_and_through_a_connector_that_fails(monitor, sim):
    sim.graph.tenant = spread("Contoso HQ", **SICK)
    await monitor.check()
    await monitor.inspect()
    await monitor.check(HOUR)
    found = set(monitor.stored())
    sim.graph.fail("", faults.status(500))
    run = await monitor.check(HOUR)
    assert run.outcome == "degraded"
    assert set(monitor.stored()) == {*found, "unread"}
    assert monitor.run_rows()["devices"]["Outcome"] == "succeeded"


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
async def test_while_the_inspections_cannot_be_read_what_they_found_stays_and_the_run_is_failed(
    monitor, sim, fault, why
):
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


async def test_what_was_found_stays_for_48_hours_and_then_the_token_is_unread_besides(monitor, sim):
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


@pytest.mark.parametrize(("known_for", "told"), [(48 * HOUR - SECOND, False), (48 * HOUR, True)])
async def test_a_token_that_was_never_inspected_is_unread_once_it_is_known_for_two_days(monitor, sim, known_for, told):
    sim.graph.tenant = spread("Contoso HQ", enrolled=3)  # a token of long ago
    await monitor.check()
    await monitor.check(known_for)
    assert unread(monitor) == ("its devices were never inspected as a whole" if told else None)
    row = monitor.run_rows()["devices"]
    assert row["Outcome"] == ("failed" if told else "succeeded")
    assert (row["Error"] is not None) is told


@pytest.mark.exhaustive
async def test_a_dead_inspection_raises_check_failing_and_a_new_one_ends_it(monitor, sim):
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


async def test_an_inspection_that_keeps_failing_is_told_with_its_reason_and_what_it_found_stays(monitor, sim):
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


async def test_one_token_without_an_inspection_is_told_and_the_others_are_well(monitor, sim):
    sim.graph.tenant = spread("Contoso HQ", "Contoso Labs", enrolled=3)
    await monitor.check()
    await monitor.inspect()
    sim.graph.fail(lambda request: HQ in request.path, faults.status(500))
    for _ in range(3):
        await monitor.inspect(DAY)
        await monitor.check()
    assert set(monitor.stored("ade", "Contoso HQ")) == {"unread"}
    assert monitor.stored("ade", "Contoso Labs") == {}
    assert monitor.run_rows()["devices"]["Error"].startswith("1 of 2 ADE tokens without a complete inspection")
