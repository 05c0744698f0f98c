"""A look at devices that one run could not end: killed, out of time, overtaken. Nothing is counted twice, or lost."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from dying import Death, die
from inspecting import (
    HQ,
    asked,
    counted,
    forge,
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
from support import DAY, HOUR, MINUTE, counting, held, silent

from shared import inspection
from shared.graph.pace import CALLS
from simulator import faults
from simulator.devices import KINDS, fixed_id, many_devices
from simulator.graph import ADE, DEVICES
from simulator.host import worker

NAMES = ("Contoso HQ", "Contoso Labs")
EVERYTHING = dict.fromkeys(KINDS, 3)
BEFORE = {"enrolled": 9, "waiting": 9}


def all_counted(monitor) -> dict[str, dict]:
    return {name: counted(row) for name, row in remembered(monitor).items()}


async def undisturbed(monitor) -> dict[str, dict]:
    """What is remembered of two lists, four pages each, a day after the first check, where nothing goes wrong."""
    sim = monitor.sim
    sim.graph.tenant = spread(*NAMES, **EVERYTHING)
    sim.graph.largest_page = 10
    await monitor.check()
    await monitor.inspect(DAY)
    return all_counted(monitor)


async def changed_since_yesterday(monitor) -> dict[str, dict]:
    """The same lists, and what is remembered of others; no request is recorded yet."""
    sim = monitor.sim
    sim.graph.tenant = spread(*NAMES, **BEFORE)
    sim.graph.largest_page = 10
    await monitor.check()
    await monitor.inspect()
    yesterday = all_counted(monitor)
    sim.graph.tenant = spread(*NAMES, **EVERYTHING)
    monitor.now += DAY
    for server in monitor.servers:
        server.requests.clear()
    return yesterday


async def half_done(monitor) -> dict[str, dict]:
    """After a run in which Graph failed once two of four pages of each list were counted."""
    yesterday = await changed_since_yesterday(monitor)
    for name in NAMES:
        monitor.sim.graph.fail(of(name), faults.status(500), skip=2)
    assert await monitor.inspect() == {"failed": 2, "not_reached": 0}
    monitor.sim.graph.heal()
    monitor.sim.graph.requests.clear()
    return yesterday


def fail_where_it_goes_on(monitor, fault) -> None:
    """The first page that a run asks for on each list that it goes on with meets `fault`."""
    for name in NAMES:
        monitor.sim.graph.fail(further_of(name), fault, times=1)


def again(monitor) -> None:
    monitor.sim.reset()
    monitor.now = datetime(2026, 11, 23, 5, 7, tzinfo=UTC)
    monitor.sim.graph.clock = lambda: monitor.now


# Killed


@pytest.mark.exhaustive
@pytest.mark.parametrize("carried_out", [False, True], ids=["before it is carried out", "after it was carried out"])
@pytest.mark.parametrize("where", ["Identity", "Graph", "Proxy"])
async def test_a_run_that_dies_at_any_request_is_as_if_it_had_not_been_once_it_is_repeated(monitor, where, carried_out):
    expected = await undisturbed(monitor)
    at, died = 0, True
    while died:
        at += 1
        again(monitor)
        yesterday = await changed_since_yesterday(monitor)
        death = Death(where, at, carried_out)
        died = await die(monitor, death, monitor.inspect(run_id="dead"))
        for name, row in remembered(monitor).items():  # whole, whichever of the two it is
            assert counted(row) in (yesterday[name], expected[name]), death
            assert row["Complete"], death
        await monitor.inspect(MINUTE)
        assert all_counted(monitor) == expected, death
        assert {row["Complete"] for row in remembered(monitor).values()} == {True}, death
    assert at > {"Identity": 2, "Graph": 12, "Proxy": 4}[where]


@pytest.mark.exhaustive
async def test_a_run_that_dies_while_it_goes_on_with_a_list_counts_nothing_twice(monitor):
    expected = await undisturbed(monitor)
    for where, most in (("Graph", 8), ("Proxy", 4)):
        for at in range(1, most + 1):
            again(monitor)
            await half_done(monitor)
            assert await die(monitor, Death(where, at, carried_out=True), monitor.inspect(HOUR, run_id="dead"))
            await monitor.inspect(MINUTE)
            assert all_counted(monitor) == expected, (where, at)


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("server", "part", "method", "carried_out"),
    [
        ("proxy", "DeviceInspection", "GET", False),
        ("graph", DEVICES, "GET", True),
        ("proxy", "DeviceInspection", "POST", False),
        ("proxy", "DeviceInspection", "POST", True),
    ],
)
def test_a_killed_worker_that_the_host_starts_again_leaves_the_row_right(
    monitor, sim, server, part, method, carried_out
):
    now = datetime.now(UTC)
    sim.graph.tenant = owning({"Contoso HQ": some(now=now, **EVERYTHING)}, now=now)
    sim.graph.largest_page = 10
    assert monitor.invoke().success
    failing = getattr(sim, server)
    with worker(monitor.environment(), "inspect_devices") as running:
        end = faults.calling(running.kill, faults.dropped())
        failing.fail(part, faults.carried_out_then(end) if carried_out else end, method=method, times=1)
        assert running.wait(60).returncode == -9
    failing.heal()
    retried = monitor.invoke("inspect_devices")
    assert retried.success, retried.exception
    row = the_row(monitor)
    assert (row["Complete"], row["Devices"], row["Deleted"], row["Imported"]) == (True, 30, 3, 6)
    assert sum(row["ByState"].values()) == sum(row["ByPlatform"].values()) == 30


# Out of time


@pytest.mark.exhaustive
async def test_200_000_devices_at_100_a_page_are_counted_over_several_runs(monitor, sim):
    number = 200_000
    sim.graph.tenant = owning({"Contoso HQ": many_devices(number, HQ, monitor.now)})
    sim.graph.largest_page = 100
    await monitor.check()
    begun = monitor.now
    runs = -(-number // 100 // CALLS)  # the list comes first, and what else is asked for cannot end an inspection
    for run in range(1, runs):
        # With 20 seconds, the pace ends the run: after its first calls at once, the next turn comes too late.
        assert await monitor.inspect(INSPECT_TIMEOUT_SECONDS=20) == {"unfinished": 1, "not_reached": 0}
        row = the_row(monitor)
        assert "so many calls take longer" in row["Error"]
        assert f"{CALLS * run} pages of the list are counted" in row["Error"]
        assert not {"Devices", "InspectedOn"} & row.keys()
        assert row["Memory"]["pause"]["position"].startswith(f"{sim.graph.url}{ADE}/{HQ}/{DEVICES}?")
        await monitor.check(HOUR)
        assert monitor.stored() == {}
    assert (await monitor.inspect(INSPECT_TIMEOUT_SECONDS=20))["complete"] == 1
    row = the_row(monitor)
    assert runs > 3
    # Of every twenty, one is deleted and one imported.
    assert (row["Devices"], row["Deleted"], row["Imported"]) == (180_000, 10_000, 10_000)
    assert {row[name] for name in ("Waiting", "Failed", "Blocked")} == {10_000}
    assert sum(row["ByState"].values()) == sum(row["ByPlatform"].values()) == 180_000
    assert row["InspectedOn"] == begun
    assert len(asked(monitor)) == number / 100, "no page is asked for twice"
    await monitor.check(HOUR)
    assert monitor.stored()["devices_without_profile"]["facts"]["waiting"] == 10_000


async def test_what_is_half_counted_shows_in_no_column_and_in_no_finding(monitor):
    yesterday = await half_done(monitor)
    assert all_counted(monitor) == yesterday
    for row in remembered(monitor).values():
        assert (row["Complete"], row["InspectedOn"]) == (False, monitor.now - DAY)
        assert "2 pages of the list are counted, and the next run goes on from there" in row["Error"]
    await monitor.check(HOUR)
    assert monitor.stored("ade", "Contoso HQ")["devices_without_profile"]["facts"]["waiting"] == 9


async def test_a_run_goes_on_where_the_last_one_stopped_and_ends_in_the_same_counts(monitor):
    expected = await undisturbed(monitor)
    again(monitor)
    await half_done(monitor)
    assert await monitor.inspect(HOUR) == {"complete": 2, "not_reached": 0}
    assert all_counted(monitor) == expected
    assert {row["InspectedOn"] for row in remembered(monitor).values()} == {monitor.now - HOUR}
    assert len(asked(monitor)) == 4
    assert all(further(request) for request in asked(monitor))


async def test_what_is_left_unfinished_is_due_at_once_and_goes_first_of_those_that_wait_as_long(monitor, monkeypatch):
    monkeypatch.setattr(inspection, "AT_ONCE", 1)
    sim = monitor.sim
    sim.graph.tenant = spread("Contoso Archive", *NAMES, enrolled=30)
    sim.graph.largest_page = 10
    await monitor.check()
    sim.graph.fail(of("Contoso Labs"), faults.status(500), skip=1)
    sim.graph.fail(of("Contoso HQ"), faults.status(500))
    await monitor.inspect()
    sim.graph.heal()
    sim.graph.requests.clear()
    await monitor.inspect(MINUTE)
    assert tokens_asked(monitor) == [fixed_id("Contoso Labs"), HQ]


async def test_a_time_that_is_over_before_anything_was_read_leaves_what_is_known(monitor):
    yesterday = await changed_since_yesterday(monitor)
    monitor.sim.graph.fail("", silent())
    assert (await monitor.inspect(INSPECT_TIMEOUT_SECONDS=2))["unfinished"] == 2
    assert all_counted(monitor) == yesterday
    assert all("pause" not in row["Memory"] for row in remembered(monitor).values())


# Where it goes on is data from outside


@pytest.mark.parametrize(
    "place",
    [
        "http://127.0.0.1:{port}{path}?$skiptoken=1",
        "https://{graph}@127.0.0.1:{port}{path}",
        "http://{graph}{path}?$skiptoken=1",
        "https://{graph}/beta/deviceAppManagement/vppTokens",
        "//127.0.0.1:{port}{path}",
        "https://user:secret@{graph}{path}",
        "\x00\r\nHost: 127.0.0.1:{port}",
        "",
        "x" * 5_000,
    ],
)
@pytest.mark.sampled(2)
async def test_a_place_that_was_tampered_with_is_not_asked_for_and_the_list_starts_over(monitor, sim, caplog, place):
    expected = await undisturbed(monitor)
    again(monitor)
    await half_done(monitor)
    with counting() as (port, met):
        graph = sim.graph.url.removeprefix("https://")
        where = place.format(port=port, graph=graph, path=f"{ADE}/{HQ}/{DEVICES}")
        forge(monitor, pause={"position": where, "counts": {"devices": 999}})
        assert await monitor.inspect(HOUR) == {"complete": 2, "not_reached": 0}
        assert met == []
    assert all_counted(monitor) == expected
    assert {row["InspectedOn"] for row in remembered(monitor).values()} == {monitor.now, monitor.now - HOUR}
    (warning,) = [record.getMessage() for record in caplog.records if "position stored" in record.getMessage()]
    assert len(warning) < 400
    assert not {"\x00", "\r", "\n"} & set(warning)


async def test_a_place_below_graph_where_there_is_no_list_starts_over(monitor, sim):
    expected = await undisturbed(monitor)
    again(monitor)
    await half_done(monitor)
    forge(monitor, pause={"position": f"{sim.graph.url}/beta/users?$skiptoken=1", "counts": {"devices": 999}})
    assert await monitor.inspect(HOUR) == {"complete": 2, "not_reached": 0}
    assert all_counted(monitor) == expected


async def test_a_place_that_graph_no_longer_takes_starts_over_in_the_same_run(monitor, sim):
    expected = await undisturbed(monitor)
    for fault in (None, faults.status(410), faults.status(404)):
        again(monitor)
        await half_done(monitor)
        if fault is None:
            sim.graph.era += 1  # as a skip token that has expired: 400
        else:
            fail_where_it_goes_on(monitor, fault)
        assert await monitor.inspect(HOUR) == {"complete": 2, "not_reached": 0}
        assert all_counted(monitor) == expected
        assert {row["InspectedOn"] for row in remembered(monitor).values()} == {monitor.now}


async def test_a_place_at_which_graph_fails_starts_over_in_the_next_run(monitor):
    expected = await undisturbed(monitor)
    again(monitor)
    yesterday = await half_done(monitor)
    fail_where_it_goes_on(monitor, faults.status(500))
    assert await monitor.inspect(HOUR) == {"failed": 2, "not_reached": 0}
    assert all_counted(monitor) == yesterday
    assert await monitor.inspect(HOUR) == {"complete": 2, "not_reached": 0}
    assert all_counted(monitor) == expected
    assert {row["InspectedOn"] for row in remembered(monitor).values()} == {monitor.now}


@pytest.mark.parametrize(
    ("later", "goes_on"), [(DAY, True), (DAY + timedelta(seconds=1), False)], ids=["a day", "and a second"]
)
async def test_what_was_begun_more_than_a_day_ago_is_begun_anew(monitor, later, goes_on):
    await half_done(monitor)
    await monitor.inspect(later)
    assert {row["InspectedOn"] for row in remembered(monitor).values()} == {
        monitor.now - (later if goes_on else 0 * DAY)
    }
    assert len([request for request in asked(monitor) if further(request)]) == (4 if goes_on else 6)


async def test_a_list_that_never_ends_is_found_out_over_all_runs_together(monitor):
    await half_done(monitor)
    forge(monitor, pause={"pages": 9_999})
    assert await monitor.inspect(HOUR) == {"complete": 1, "failed": 1, "not_reached": 0}
    assert "do not end" in the_row(monitor)["Error"]


async def test_a_row_that_cannot_be_read_is_looked_at_like_a_new_one(monitor, sim):
    expected = await undisturbed(monitor)
    with sim.tables.client() as tables:
        keys = {"PartitionKey": "ade", "RowKey": HQ}
        tables.get_table_client("DeviceInspection").upsert_entity({**keys, "Memory": json.dumps({"last": 5})})
    assert await monitor.inspect(MINUTE) == {"complete": 1, "not_reached": 0}
    assert all_counted(monitor) == expected


# Overtaken


async def overlapping(monitor, where, skip: int) -> tuple:
    """A slow run that is held at a request, and a quick one that ends meanwhile: what became of both."""
    go, met = asyncio.Event(), asyncio.Event()
    monitor.sim.graph.fail(where, held(go, asyncio.get_running_loop(), met), skip=skip, times=1)
    slow = asyncio.ensure_future(monitor.inspect(HOUR, run_id="slow"))
    await met.wait()
    quick = await monitor.inspect(MINUTE, run_id="quick")
    go.set()
    return await slow, quick


@pytest.mark.parametrize("begin", [changed_since_yesterday, half_done], ids=["from the start", "from the middle"])
async def test_of_two_inspections_that_overlap_the_later_to_save_gives_way(monitor, begin):
    expected = await undisturbed(monitor)
    again(monitor)
    await begin(monitor)
    slow, quick = await overlapping(monitor, of("Contoso HQ"), 1)
    assert slow["gave_way"] >= 1
    assert slow["complete"] + quick["complete"] == 2
    assert all_counted(monitor) == expected
    assert the_row(monitor)["RunId"] == "quick"


async def test_one_that_ends_unfinished_does_not_replace_what_another_completed(monitor, sim):
    expected = await undisturbed(monitor)
    again(monitor)
    await half_done(monitor)
    met, loop = asyncio.Event(), asyncio.get_running_loop()
    hold = faults.calling(lambda: loop.call_soon_threadsafe(met.set), silent())
    sim.graph.fail(of("Contoso HQ"), hold, skip=1, times=1)
    slow = asyncio.ensure_future(monitor.inspect(HOUR, run_id="slow", INSPECT_TIMEOUT_SECONDS=5))
    await met.wait()
    assert (await monitor.inspect(MINUTE, run_id="quick"))["complete"] >= 1
    assert (await slow)["gave_way"] >= 1
    assert all_counted(monitor) == expected
    assert {row["Complete"] for row in remembered(monitor).values()} == {True}


async def test_two_first_inspections_at_the_same_time_leave_one_row_for_each_token(monitor, sim):
    sim.graph.tenant = spread(*NAMES, **EVERYTHING)
    await monitor.check()
    outcomes = await asyncio.gather(monitor.inspect(run_id="one"), monitor.inspect(run_id="two"))
    assert sum((each["complete"] for each in outcomes), 0) == 2
    assert {row["Devices"] for row in remembered(monitor).values()} == {30}
    assert len(asked(monitor, lists)) == 4
