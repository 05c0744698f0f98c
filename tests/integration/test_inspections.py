"""The inspection of devices: what it counts, which tokens are due, and what it does where Graph refuses an option."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from inspecting import HQ, asked, counted, lists, of, owning, remembered, some, spread, the_row, tokens_asked

from shared import inspection
from shared.storage.device_rows import DEVICE_INSPECTION
from simulator import bearer, faults
from simulator.devices import KINDS, enrollment_event, fixed_id, many_devices
from simulator.graph import EVENTS
from simulator.tenant import Tenant
from tests.scenes import DAY, HOUR, MINUTE, NOW

EVERY_PLATFORM = ("ios", "macOS", "tvOS", "visionOS", "unknown", "ios")
EVERYTHING = many_devices(
    6 * len(KINDS), HQ, NOW, kinds=[kind for kind in KINDS for _ in range(6)], platforms=EVERY_PLATFORM
)
"""Six devices of each kind, one for each way to write the same."""


def serials(*kinds: str) -> list[str]:
    places = [6 * list(KINDS).index(kind) + each for kind in kinds for each in range(6)]
    return [EVERYTHING[place]["serialNumber"] for place in places]


# Counts


@pytest.mark.parametrize("page_size", [7, 1000])
@pytest.mark.sampled(1)
async def test_a_list_with_every_kind_of_device_fills_every_column(monitor, sim, page_size):
    sim.graph.tenant = owning({"Contoso HQ": EVERYTHING})
    sim.graph.largest_page = page_size
    await monitor.check()
    assert await monitor.inspect(MINUTE, run_id="the run") == {"complete": 1, "not_reached": 0}
    row = the_row(monitor)
    memory = row.pop("Memory")
    assert row == {
        "PartitionKey": "ade",
        "RowKey": HQ,
        "TokenName": "Contoso HQ",
        "InspectedOn": NOW + MINUTE,
        "RunId": "the run",
        "Complete": True,
        # Neither deleted, nor of Apple Configurator, nor of a source that nobody listed.
        "Devices": 60,
        "Deleted": 6,
        "Imported": 12,
        "WithoutProfile": 18,  # bare, added, waiting
        "Waiting": 6,
        "NotContacted": 12,  # idle, odd
        "Failed": 6,
        "Blocked": 6,
        "ByState": {"enrolled": 12, "notContacted": 24, "pendingReset": 6, "failed": 6, "blocked": 6, "quarantined": 6},
        "ByPlatform": {"ios": 18, "macOS": 9, "tvOS": 9, "visionOS": 9, "unknown": 9, "watchOS": 6},
        "DefaultProfiles": dict.fromkeys(("ios", "macOS", "tvOS", "visionOS"), "Contoso devices"),
        "Examples": {
            "waiting": serials("waiting"),
            "not_contacted": serials("idle", "odd"),
            "failed": serials("failed"),
            "blocked": serials("blocked"),
        },
        "NewestDeviceOn": pytest.approx(NOW - 3 * HOUR, abs=timedelta(seconds=1)),
    }
    assert {*row, "Memory", "Error"} == {column.name for column in DEVICE_INSPECTION.columns}
    assert memory["last"]["counts"]["by_source"] == {"adminImport": 6, "unknownFutureValue": 6}
    assert (memory["last"]["profiles"], memory["last"]["synced_devices"]) == (1, 78)


# Due tokens


async def test_a_removed_token_is_not_inspected_and_its_row_leaves_with_it(monitor, sim):
    sim.graph.tenant = spread("Contoso HQ", "Contoso Labs", enrolled=3)
    await monitor.check()
    await monitor.inspect()
    sim.graph.tenant = spread("Contoso HQ", enrolled=3)
    await monitor.check(HOUR)
    await monitor.check(HOUR)
    assert "removed" in monitor.stored("ade", "Contoso Labs")
    sim.graph.requests.clear()
    assert await monitor.inspect(DAY) == {"complete": 1, "not_reached": 0}
    assert tokens_asked(monitor) == [HQ]
    await monitor.check(8 * DAY)
    assert ("ade", "Contoso Labs") not in monitor.statuses()
    assert monitor.invoke("prune_history").success
    assert set(remembered(monitor)) == {"Contoso HQ"}


async def test_nothing_is_inspected_without_ade(monitor, sim):
    sim.graph.tenant = spread("Contoso HQ", waiting=3)
    await monitor.check()
    sim.graph.requests.clear()
    assert await monitor.inspect(CONNECTORS="apns,vpp") == {}
    assert sim.graph.requests == []
    await monitor.check(HOUR, CONNECTORS="apns,vpp")
    assert monitor.run_rows()["devices"]["Outcome"] == "skipped"


async def test_no_token_is_due_before_a_check_has_seen_one(monitor, sim):
    sim.graph.tenant = spread("Contoso HQ", enrolled=3)
    assert await monitor.inspect(ENROLLMENT_EVENTS="true") == {"not_reached": 0}
    assert sim.graph.requests == []


@pytest.mark.exhaustive
async def test_many_tokens_are_inspected_a_few_at_a_time(monitor, sim):
    number = 2 * inspection.AT_ONCE
    names = [f"Contoso {each:02}" for each in range(number)]
    sim.graph.tenant = spread(*names, enrolled=2, waiting=1)
    await monitor.check()
    under_way, most = set(), []

    def begun(request):
        if lists(request):
            under_way.add(request.path.split("/")[-2])
            most.append(len(under_way))

    def ended(request):
        if "$expand" in request.query:
            under_way.discard(request.path.split("/")[-1])

    sim.graph.on_request, sim.graph.on_response = begun, ended
    sim.graph.fail("", faults.delay(0.01))
    assert await monitor.inspect() == {"complete": number, "not_reached": 0}
    assert 2 <= max(most) <= inspection.AT_ONCE
    assert {name: (row["Devices"], row["Waiting"]) for name, row in remembered(monitor).items()} == dict.fromkeys(
        names, (3, 1)
    )


# Refused options


@pytest.mark.parametrize("refused", [("select", "top"), ("select",), ("top",)], ids=" and ".join)
@pytest.mark.sampled(1)
async def test_an_inspection_works_without_select_and_large_pages(monitor, sim, refused):
    names = ("Contoso HQ", "Contoso Labs")
    sim.graph.tenant = owning({name: some(fixed_id(name), enrolled=150, waiting=7) for name in names})
    await monitor.check()
    await monitor.inspect()
    expected = {name: counted(row) for name, row in remembered(monitor).items()}
    for option in refused:
        setattr(sim.graph, f"refuses_{option}", True)
    sim.graph.requests.clear()
    await monitor.inspect(DAY)
    rows = remembered(monitor)
    assert [row["Complete"] for row in rows.values()] == [True, True]
    assert all("Error" not in row for row in rows.values())
    assert {name: {**counted(row), "NewestDeviceOn": None} for name, row in rows.items()} == {
        name: {**row, "NewestDeviceOn": None} for name, row in expected.items()
    }
    taken = [request.query for request in asked(monitor) if request.status == 200]
    assert {f"${option}" in query for query in taken for option in refused} == {False}
    if "top" not in refused:
        assert len(taken) == 2
    else:
        assert len(taken) == 4  # 157 devices at 100 a page
    assert all(("$select" in query) == ("select" not in refused) for query in taken)


# Intune's own record of failed enrollments


@pytest.fixture
def failing(monitor, sim):
    """A token whose enrollments fail, and events of yesterday and of three days ago, of which one is no Apple's."""
    tenant = owning({"Contoso HQ": some(enrolled=50, failed=10)})
    events = [
        enrollment_event(1, on=NOW - 2 * HOUR, failureCategory="authentication"),
        enrollment_event(2, on=NOW - 3 * HOUR, failureCategory="authentication"),
        enrollment_event(3, on=NOW - 4 * HOUR, failureCategory="\x1b[2Jnew"),
        enrollment_event(4, on=NOW - 4 * HOUR, enrollmentType="windowsAzureADJoin"),
        enrollment_event(5, on=NOW - 3 * DAY, failureCategory="authorization"),
    ]
    sim.graph.tenant = Tenant(
        tenant.ade,
        tenant.vpp,
        tenant.apns,
        devices=tenant.devices,
        profiles=tenant.profiles,
        defaults=tenant.defaults,
        events=events,
    )
    return monitor


async def test_events_since_the_last_inspection_are_counted_by_category(failing, sim):
    sim.identity.roles.append(bearer.EVENTS_ROLE)
    await failing.check()
    await failing.inspect(ENROLLMENT_EVENTS="true")
    await failing.check(HOUR)
    facts = failing.stored()["enrollment_failing"]["facts"]
    assert facts["events"] == 3
    assert facts["event_categories"] == "authentication 2, �[2Jnew 1"
    assert facts["events_since"] == "2026-11-22 05:07 UTC"
    assert len(asked(failing, lambda request: request.path == EVENTS)) == 1


async def test_events_are_reported_as_not_checked_without_their_role(failing, caplog):
    await failing.check()
    assert await failing.inspect(ENROLLMENT_EVENTS="true") == {"complete": 1, "not_reached": 0}
    row = the_row(failing)
    assert (row["Complete"], row["Failed"]) == (True, 10)
    run = await failing.check(HOUR)
    error = failing.stored()["enrollment_failing"]["facts"]["events"]
    assert error.startswith(f"not checked: GET {EVENTS}: Graph refused access (HTTP 403; Forbidden")
    assert bearer.EVENTS_ROLE in error
    assert run.outcome == "succeeded"
    assert failing.run_rows()["devices"]["Outcome"] == "succeeded"
    assert [record.levelname for record in caplog.records if bearer.EVENTS_ROLE in record.getMessage()] == ["WARNING"]


async def test_events_raise_no_finding_and_are_only_read_with_their_setting(failing, sim):
    sim.identity.roles.append(bearer.EVENTS_ROLE)
    whole = sim.graph.tenant
    sim.graph.tenant = Tenant(
        whole.ade, whole.vpp, whole.apns, devices={HQ: some(enrolled=60)}, defaults=whole.defaults, events=whole.events
    )
    await failing.check()
    await failing.inspect()
    assert asked(failing, lambda request: request.path == EVENTS) == []
    await failing.inspect(DAY, ENROLLMENT_EVENTS="true")
    await failing.check(HOUR)
    assert failing.stored() == {}


# The function


def test_the_function_logs_one_line_for_the_run_and_one_for_a_failed_token(monitor, sim):
    now = datetime.now(UTC)
    sim.graph.tenant = owning({"Contoso HQ": some(now=now, enrolled=40, waiting=2), "Contoso Labs": ()}, now=now)
    assert monitor.invoke().success
    sim.graph.fail(of("Contoso Labs"), faults.status(500))
    result = monitor.invoke("inspect_devices")
    assert result.success, result.exception
    levels = ("INFO", "WARNING", "ERROR")
    lines = [one for one in result.logs.splitlines() if one.startswith(tuple(f"{level} shared" for level in levels))]
    warning, line = lines
    assert warning.startswith("WARNING shared.inspection: Devices could not be inspected: Contoso Labs: GET ")
    assert "HTTP 500" in warning
    assert line.startswith("INFO shared.inspection: inspect_devices ")
    counts = json.loads(line[line.index("{") :])
    assert counts == {"run": result.invocation_id, "due": 2, "complete": 1, "failed": 1, "not_reached": 0}
    row = the_row(monitor)
    assert (row["RunId"], row["Devices"], row["Waiting"]) == (result.invocation_id, 42, 2)
    assert monitor.invoke().success
    assert set(monitor.stored("ade", "Contoso HQ")) == {"devices_without_profile"}
