"""An inspection fails: the counts of the last complete one stay, the row has the reason, and the others continue."""

import time
from itertools import pairwise

import pytest
from inspecting import (
    HQ,
    asked,
    counted,
    further,
    further_of,
    lists,
    of,
    owning,
    remembered,
    some,
    spread,
    the_row,
    tokens_asked,
)
from support import silent

from shared.graph import device_reader
from shared.inspection import AT_ONCE
from shared.storage.store import StoreError
from simulator import bearer, faults
from simulator.devices import fixed_id
from simulator.graph import ADE, DEVICES, PROFILES
from simulator.tenant import Tenant
from tests.scenes import DAY, HOUR, MINUTE, NOW

NAMES = ("Contoso HQ", "Contoso Labs")
WORSE = {"enrolled": 20, "waiting": 5, "failed": 5}

BUSY = 2
"""Seconds that a busy machine may add; nothing that hangs is over as soon."""


@pytest.fixture
async def known(monitor, sim):
    """Two tokens whose 24 devices were counted yesterday; since then things got worse, on three pages of each."""
    sim.graph.tenant = spread(*NAMES, enrolled=20, waiting=4)
    await monitor.check()
    await monitor.inspect()
    sim.graph.tenant = spread(*NAMES, **WORSE)
    sim.graph.largest_page = 10
    monitor.now += DAY
    sim.graph.requests.clear()
    return monitor


def expect_as_yesterday(monitor, before: dict, *parts: str) -> None:
    """Assert that the first token has yesterday's counts and the reason, and the other new ones."""
    row = the_row(monitor)
    assert counted(row) == before
    assert (row["InspectedOn"], row["Complete"], row["Devices"], row["Waiting"]) == (NOW, False, 24, 4)
    for part in parts:
        assert part in row["Error"], row["Error"]
    other = the_row(monitor, "Contoso Labs")
    assert (other["Complete"], other["Devices"], other["Waiting"], other["Failed"]) == (True, 30, 5, 5)
    assert (other["InspectedOn"], "Error" in other) == (monitor.now, False)


MIDDLE = {
    "500": (faults.status(500), ["Graph failed (HTTP 500; InternalServerError", "1 pages of the list are counted"]),
    "403": (faults.missing_role(), ["Graph refused access (HTTP 403", f"has the role {bearer.SERVICE_ROLE}"]),
    "410": (faults.status(410), ["HTTP 410"]),
    "broken JSON": (faults.broken_json(), ["the answer is not what Graph documents"]),
    "cut off": (faults.cut_off(), ["the connection failed"]),
    "redirect": (faults.redirect("https://example.com/"), ["redirect, which was not followed"]),
}


@pytest.mark.parametrize(("fault", "parts"), MIDDLE.values(), ids=MIDDLE)
@pytest.mark.sampled(1)
async def test_a_list_that_fails_in_the_middle_keeps_the_last_counts_and_continues_in_the_next_run(
    known, sim, fault, parts
):
    before = counted(the_row(known))
    sim.graph.fail(further_of("Contoso HQ"), fault)
    assert await known.inspect() == {"complete": 1, "failed": 1, "not_reached": 0}
    expect_as_yesterday(known, before, f"/{DEVICES}: ", *parts, "the next run goes on from there")
    run = await known.check(HOUR)
    assert run.outcome == "succeeded"
    assert known.stored("ade", "Contoso HQ")["devices_without_profile"]["facts"]["waiting"] == 4
    sim.graph.heal()
    sim.graph.requests.clear()
    assert await known.inspect() == {"complete": 1, "not_reached": 0}
    row = the_row(known)
    assert (row["Complete"], row["Devices"], row["Waiting"], row["Failed"]) == (True, 30, 5, 5)
    assert (row["InspectedOn"], "Error" in row) == (NOW + DAY, False)
    assert len(asked(known, of("Contoso HQ"))) == 2, "the first page is not asked for again"


@pytest.mark.parametrize(
    ("where", "what", "path"),
    [
        (lambda request: request.path.endswith(f"/{PROFILES}"), "the enrollment profiles", f"{HQ}/{PROFILES}"),
        (lambda request: "$expand" in request.query, "the default profiles", HQ),
    ],
    ids=["profiles", "default profiles"],
)
@pytest.mark.parametrize(("fault", "why"), [(faults.status(403), "HTTP 403"), (faults.dropped(), "connection failed")])
@pytest.mark.sampled(2)
async def test_an_inspection_is_complete_without_profiles(known, sim, where, what, path, fault, why):
    sim.graph.fail(where, fault)
    assert await known.inspect(3 * DAY) == {"complete": 2, "not_reached": 0}
    run = await known.check()
    assert "unread" not in known.stored("ade", "Contoso HQ"), "the devices were read"
    assert run.devices_error is None
    assert known.stored("ade", "Contoso HQ")["devices_without_profile"]["facts"]["waiting"] == 5
    row = the_row(known)
    assert (row["Complete"], row["Devices"], row["InspectedOn"]) == (True, 30, known.now)
    assert f"Graph does not return {what}: GET {ADE}/{path}: " in row["Error"]
    assert why in row["Error"]
    assert ("DefaultProfiles" in row) == (what == "the enrollment profiles")
    asked_for = [request.query for request in sim.graph.requests if not lists(request) and HQ in request.path]
    assert all(query["$select"] == "id" for query in asked_for), "a profile can hold a password"


async def test_a_token_that_is_gone_since_the_check_fails_alone(known, sim):
    before = counted(the_row(known))
    whole = sim.graph.tenant
    sim.graph.tenant = Tenant(whole.ade[1:], whole.vpp, whole.apns, devices=whole.devices, defaults=whole.defaults)
    assert await known.inspect() == {"complete": 1, "failed": 1, "not_reached": 0}
    expect_as_yesterday(known, before, "Graph does not know it (HTTP 404; ResourceNotFound")


async def test_a_list_without_an_answer_fails_one_token(known, sim, monkeypatch):
    monkeypatch.setattr(device_reader, "ANSWER_SECONDS", 1)
    before = counted(the_row(known))
    sim.graph.fail(further_of("Contoso HQ"), silent())
    assert (await known.inspect())["failed"] == 1
    expect_as_yesterday(known, before, "no whole answer within 1 seconds", "goes on from there")


@pytest.mark.parametrize("fault", [silent(), faults.trickle()], ids=["silent", "trickling"])
@pytest.mark.exhaustive
async def test_a_run_ends_within_its_time_when_graph_does_not_answer(known, sim, fault):
    before = counted(the_row(known))
    sim.graph.fail(further_of("Contoso HQ"), fault)
    begun = time.monotonic()
    assert await known.inspect(INSPECT_TIMEOUT_SECONDS=3) == {"complete": 1, "unfinished": 1, "not_reached": 0}
    assert time.monotonic() - begun < 3 + BUSY
    expect_as_yesterday(
        known, before, "Time ran out while reading the devices (INSPECT_TIMEOUT_SECONDS is 3)", "1 pages"
    )


async def test_an_outage_of_graph_fails_each_token_and_the_log_stays_short(monitor, sim, caplog):
    names = [f"Contoso {number:02}" for number in range(30)]
    sim.graph.tenant = spread(*names, enrolled=1)
    await monitor.check()
    sim.graph.fail("", faults.status(500))
    assert await monitor.inspect() == {"failed": 30, "not_reached": 0}
    rows = remembered(monitor)
    assert {(row["Complete"], "Devices" in row, "InspectedOn" in row) for row in rows.values()} == {
        (False, False, False)
    }
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 21
    assert warnings[-1] == "Devices of 10 more tokens could not be inspected"
    await monitor.check(HOUR)
    assert monitor.run_rows()["devices"]["Outcome"] == "succeeded", "the tokens are not known for two days"


async def test_each_token_has_the_reason_when_no_sign_in_works(known, sim):
    resources = sim.identity.resources
    sim.identity.resources = resources - {bearer.GRAPH}
    try:
        assert await known.inspect() == {"failed": 2, "not_reached": 0}
    finally:
        sim.identity.resources = resources
    assert {(row["Complete"], row["Devices"]) for row in remembered(known).values()} == {(False, 24)}
    assert all("no sign-in" in row["Error"] for row in remembered(known).values())


# Throttling


@pytest.mark.exhaustive
async def test_a_429_makes_every_token_wait_and_loses_none(monitor, sim):
    number = 3 * AT_ONCE
    sim.graph.tenant = spread(*(f"Contoso {each:02}" for each in range(number)), enrolled=3)
    await monitor.check()
    times = []
    sim.graph.on_request = lambda _: times.append(time.monotonic())
    sim.graph.fail(lists, faults.status(429, retry_after=2), skip=4, times=1)
    assert await monitor.inspect() == {"complete": number, "not_reached": 0}
    assert {row["Devices"] for row in remembered(monitor).values()} == {3}
    # Requests on their way still arrive, and then no token sends any until the time that Graph asked for is over.
    rest, before = max((after - earlier, count) for count, (earlier, after) in enumerate(pairwise(times), 1))
    assert rest > 1.5
    assert len(times) - before > 3 * AT_ONCE
    assert len(times) == 3 * number + 1, "no request but the throttled one is made twice"


async def test_a_503_makes_only_its_own_token_wait(known, sim):
    times = {name: [] for name in NAMES}
    sim.graph.on_request = lambda request: [times[name].append(time.monotonic()) for name in NAMES if of(name)(request)]
    sim.graph.fail(of("Contoso HQ"), faults.status(503, retry_after=1), times=1)
    sim.graph.fail(of("Contoso Labs"), faults.delay(0.2))  # so that it is still under way
    assert (await known.inspect())["complete"] == 2
    first, again = times["Contoso HQ"][:2]
    assert again - first >= 1
    assert max(times["Contoso Labs"]) < again


async def test_a_throttle_longer_than_the_run_ends_it_and_every_list_continues_in_the_next(monitor, sim):
    names = [f"Contoso {number:02}" for number in range(12)]
    sim.graph.tenant = owning({name: some(fixed_id(name), enrolled=30) for name in names})
    sim.graph.largest_page = 10
    await monitor.check()
    sim.graph.fail(further, faults.status(429, retry_after=3600), skip=1)
    begun = time.monotonic()
    outcomes = await monitor.inspect()
    assert time.monotonic() - begun < BUSY + 3, "nobody waits for what will not come"
    assert outcomes["complete"] == 0
    assert outcomes["unfinished"] + outcomes["not_reached"] == 12
    unfinished = [row for row in remembered(monitor).values() if "pause" in row["Memory"]]
    assert unfinished
    assert all("Graph throttled the app" in row["Error"] for row in unfinished)
    sim.graph.heal()
    sim.graph.requests.clear()
    assert await monitor.inspect(HOUR) == {"complete": 12, "not_reached": 0}
    assert {row["Devices"] for row in remembered(monitor).values()} == {30}
    assert set(tokens_asked(monitor)) == {fixed_id(name) for name in names}


# Tables


async def test_unreadable_tables_end_the_run_before_graph_is_asked(known, sim):
    before = remembered(known)
    denied = faults.table_status(403, "AuthorizationPermissionMismatch")
    for table in ("TokenStatus", "DeviceInspection"):
        sim.proxy.fail(table, denied)
        with pytest.raises(StoreError, match=f"{table} could not be read: HTTP 403 AuthorizationPermissionMismatch"):
            await known.inspect()
        sim.proxy.heal()
    assert sim.graph.requests == []
    assert remembered(known) == before


async def test_a_failed_save_fails_the_run_and_the_next_one_counts_again(known, sim):
    denied = faults.table_status(403, "AuthorizationPermissionMismatch")
    sim.proxy.fail("DeviceInspection", denied, method="POST", times=1)
    with pytest.raises(StoreError, match="DeviceInspection could not be written: HTTP 403") as failed:
        await known.inspect()
    assert "give the app's identity the role Storage Table Data Contributor" in str(failed.value)
    assert sorted(row["Devices"] for row in remembered(known).values()) == [24, 30], "the other row is saved"
    assert (await known.inspect(MINUTE))["complete"] == 1
    assert {row["Devices"] for row in remembered(known).values()} == {30}


async def test_a_lost_answer_to_a_save_is_no_failure(known, sim):
    sim.proxy.fail("DeviceInspection", faults.carried_out_then(faults.dropped()), method="POST", times=1)
    assert (await known.inspect())["complete"] == 2
    assert {row["Devices"] for row in remembered(known).values()} == {30}


@pytest.mark.exhaustive
async def test_a_run_ends_within_its_time_when_the_tables_do_not_answer_a_save(known, sim):
    sim.proxy.fail("DeviceInspection", silent(), method="POST")
    begun = time.monotonic()
    with pytest.raises(StoreError, match="Time ran out while saving"):
        await known.inspect(INSPECT_TIMEOUT_SECONDS=4)
    assert time.monotonic() - begun < 4 + BUSY
