"""The look at the devices: what is counted of a list, who is due, and what Graph need not be able to do."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from inspecting import HQ, asked, counted, lists, of, owning, remembered, some, spread, the_row, tokens_asked
from support import DAY, HOUR, MINUTE, NOW

from shared import inspection
from shared.storage.device_rows import DEVICE_INSPECTION
from simulator import bearer, faults
from simulator.devices import KINDS, NEVER, ZERO_GUID, device, enrollment_event, fixed_id, many_devices
from simulator.graph import ADE, EVENTS
from simulator.tenant import Tenant

EVERY_PLATFORM = ("ios", "macOS", "tvOS", "visionOS", "unknown", "ios")
EVERYTHING = many_devices(
    6 * len(KINDS), HQ, NOW, kinds=[kind for kind in KINDS for _ in range(6)], platforms=EVERY_PLATFORM
)
"""Six devices of each kind, one for each way to write the same."""


def serials(*kinds: str) -> list[str]:
    places = [6 * list(KINDS).index(kind) + each for kind in kinds for each in range(6)]
    return [EVERYTHING[place]["serialNumber"] for place in places]


# What is counted


@pytest.mark.parametrize("page_size", [1000, 7, 1])
async def test_a_list_with_one_of_everything_fills_every_column(monitor, sim, page_size):
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


async def test_a_token_without_devices_is_inspected_like_any_other(monitor, sim):
    sim.graph.tenant = owning({"Contoso HQ": ()})
    await monitor.check()
    assert (await monitor.inspect())["complete"] == 1
    row = the_row(monitor)
    assert (row["Complete"], row["Devices"], row["ByState"], row["Examples"]) == (True, 0, {}, {})
    assert not {"Error", "NewestDeviceOn"} & row.keys()
    await monitor.check(HOUR)
    assert monitor.statuses()["ade", "Contoso HQ"]["Health"] == "healthy"


async def test_a_token_that_nothing_is_known_of_has_no_default_profile_and_no_profiles(monitor, sim):
    tenant = owning({"Contoso HQ": some(enrolled=1)})
    sim.graph.tenant = Tenant(tenant.ade, tenant.vpp, tenant.apns, devices=tenant.devices)
    await monitor.check()
    await monitor.inspect()
    row = the_row(monitor)
    assert row["DefaultProfiles"] == dict.fromkeys(("ios", "macOS", "tvOS", "visionOS"))
    assert row["Memory"]["last"]["profiles"] == 0


async def test_the_form_in_which_graph_writes_it_makes_no_difference(monitor, sim):
    def one(kind, **others):
        return device("C02FORM", token_id=HQ, now=NOW, kind=kind, **others)

    none = [one("waiting", requestedEnrollmentProfileId=value) for value in (None, "", ZERO_GUID, f"{HQ}_{ZERO_GUID}")]
    never = [one("idle", lastContactedDateTime=value) for value in (None, NEVER, "0001-01-01T00:00:00-08:00")]
    sim.graph.tenant = owning({"Contoso HQ": [*none, *never]})
    await monitor.check()
    await monitor.inspect()
    row = the_row(monitor)
    assert (row["Devices"], row["WithoutProfile"], row["Waiting"], row["NotContacted"]) == (7, 4, 4, 3)


@pytest.mark.parametrize(("keep", "kept"), [(0, {}), (2, 2), (20, 6)])
async def test_so_many_serial_numbers_are_kept_for_each_symptom_as_the_setting_says(monitor, sim, keep, kept):
    sim.graph.tenant = owning({"Contoso HQ": some(waiting=6, failed=6)})
    await monitor.check()
    await monitor.inspect(DEVICE_EXAMPLES=keep)
    examples = the_row(monitor)["Examples"]
    assert {name: len(serials) for name, serials in examples.items()} == (
        dict.fromkeys(("waiting", "failed"), kept) if kept else {}
    )
    assert (the_row(monitor)["Waiting"], the_row(monitor)["Failed"]) == (6, 6)


# Who is due


@pytest.mark.parametrize(
    ("every", "waited", "due"),
    [(24, 24 * HOUR - MINUTE, 0), (24, 24 * HOUR, 1), (1, 59 * MINUTE, 0), (1, HOUR, 1), (0, MINUTE, 1)],
)
async def test_a_token_is_due_again_after_the_hours_of_the_setting_and_with_0_at_every_run(
    monitor, sim, every, waited, due
):
    sim.graph.tenant = spread("Contoso HQ", enrolled=3)
    await monitor.check()
    await monitor.inspect()
    assert (await monitor.inspect(waited, INSPECT_EVERY_HOURS=every))["complete"] == due


async def test_who_was_never_looked_at_goes_first_then_whose_last_turn_is_longest_ago(monitor, sim, monkeypatch):
    monkeypatch.setattr(inspection, "AT_ONCE", 1)  # so that the order can be seen
    labs, retail, hq = (fixed_id(name) for name in ("Contoso Labs", "Contoso Retail", "Contoso HQ"))
    names = ("Contoso Labs", "Contoso Retail", "Contoso Retail", "Contoso HQ")
    looked_at = []
    for number in range(1, 5):
        sim.graph.tenant = spread(*dict.fromkeys(names[:number]), enrolled=1)
        if number == 3:
            sim.graph.fail(of("Contoso Labs"), faults.status(500))  # a turn that failed is a turn
        await monitor.check(HOUR)
        sim.graph.requests.clear()
        await monitor.inspect(INSPECT_EVERY_HOURS=2)
        looked_at.append(tokens_asked(monitor))
    assert looked_at == [[labs], [retail], [labs], [hq, retail, labs]]


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


async def test_a_token_that_is_missing_and_not_yet_removed_is_still_looked_at(monitor, sim):
    sim.graph.tenant = owning({"Contoso HQ": some(enrolled=3)})
    await monitor.check()
    whole = sim.graph.tenant
    sim.graph.tenant = Tenant((), whole.vpp, whole.apns, devices=whole.devices)
    await monitor.check(HOUR)
    assert "unread" in monitor.stored()
    assert await monitor.inspect() == {"failed": 1, "not_reached": 0}
    row = the_row(monitor)
    assert row["Complete"] is False
    assert "HTTP 404" in row["Error"]


async def test_without_ade_nothing_is_inspected(monitor, sim):
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


async def test_many_tokens_are_looked_at_a_few_at_a_time(monitor, sim):
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


# What Graph need not be able to do


@pytest.mark.parametrize("refused", [("select",), ("top",), ("select", "top")], ids=" and ".join)
async def test_select_and_large_pages_are_tried_and_done_without(monitor, sim, refused):
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


async def test_what_one_token_found_out_holds_for_the_others(monitor, sim):
    number = 3 * inspection.AT_ONCE
    sim.graph.tenant = spread(*(f"Contoso {each:02}" for each in range(number)), enrolled=1)
    sim.graph.refuses_select = sim.graph.refuses_top = True
    await monitor.check()
    assert (await monitor.inspect())["complete"] == number
    refused = [request for request in asked(monitor) if request.status == 400]
    assert len(refused) <= 3 * inspection.AT_ONCE  # at most those that set out together


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


async def test_with_the_further_role_events_since_the_last_inspection_are_told_by_category(failing, sim):
    sim.identity.roles.append(bearer.EVENTS_ROLE)
    await failing.check()
    await failing.inspect(ENROLLMENT_EVENTS="true")
    await failing.check(HOUR)
    facts = failing.stored()["enrollment_failing"]["facts"]
    assert facts["events"] == 3
    assert facts["event_categories"] == "authentication 2, �[2Jnew 1"
    assert facts["events_since"] == "2026-11-22 05:07 UTC"
    assert len(asked(failing, lambda request: request.path == EVENTS)) == 1


async def test_without_the_further_role_events_are_not_checked_and_it_says_so(failing, caplog):
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


async def test_events_raise_nothing_and_are_not_asked_for_unless_the_setting_says_so(failing, sim):
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


@pytest.mark.parametrize(
    "fault",
    [faults.status(500), faults.broken_json(), faults.next_link_loop(), faults.value_is({}), faults.html(200)],
    ids=["500", "broken JSON", "loop", "no list", "HTML"],
)
async def test_events_that_cannot_be_read_fail_no_inspection(failing, sim, fault):
    sim.identity.roles.append(bearer.EVENTS_ROLE)
    sim.graph.fail(EVENTS, fault)
    await failing.check()
    assert (await failing.inspect(ENROLLMENT_EVENTS="true"))["complete"] == 1
    await failing.check(HOUR)
    assert failing.stored()["enrollment_failing"]["facts"]["events"].startswith("not checked: ")


# The function


def told_by_the_app(result) -> list[str]:
    levels = ("INFO", "WARNING", "ERROR")
    return [line for line in result.logs.splitlines() if line.startswith(tuple(f"{level} shared" for level in levels))]


def test_the_function_inspects_and_logs_one_line_for_the_run(monitor, sim):
    now = datetime.now(UTC)
    sim.graph.tenant = owning({"Contoso HQ": some(now=now, enrolled=40, waiting=2)}, now=now)
    assert monitor.invoke().success
    result = monitor.invoke("inspect_devices")
    assert result.success, result.exception
    (line,) = told_by_the_app(result)
    assert line.startswith("INFO shared.inspection: inspect_devices ")
    told = json.loads(line[line.index("{") :])
    assert told == {"run": result.invocation_id, "due": 1, "complete": 1, "not_reached": 0}
    row = the_row(monitor)
    assert (row["RunId"], row["Devices"], row["Waiting"]) == (result.invocation_id, 42, 2)
    assert monitor.invoke().success
    assert set(monitor.stored()) == {"devices_without_profile"}
    again = monitor.invoke("inspect_devices")
    assert '"due": 0' in again.logs


def test_the_function_tells_of_a_token_that_failed_and_succeeds(monitor, sim):
    now = datetime.now(UTC)
    sim.graph.tenant = owning({"Contoso HQ": some(now=now, enrolled=4), "Contoso Labs": ()}, now=now)
    assert monitor.invoke().success
    sim.graph.fail(of("Contoso HQ"), faults.status(500))
    result = monitor.invoke("inspect_devices")
    assert result.success, result.exception
    line, _ = told_by_the_app(result)
    assert line.startswith(f"WARNING shared.inspection: Devices could not be inspected: Contoso HQ: GET {ADE}/{HQ}/")
    assert "HTTP 500" in line
    assert '"due": 2, "complete": 1, "failed": 1' in result.logs or '"due": 2, "failed": 1' in result.logs
