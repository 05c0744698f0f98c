"""An inspection that one run could not finish: killed, out of time, overtaken. Nothing is counted twice, or lost."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from dying import Death, die
from inspecting import (
    EVERYTHING,
    HQ,
    NAMES,
    again,
    all_counted,
    asked,
    changed_since_yesterday,
    counted,
    forge,
    further,
    further_of,
    half_done,
    lists,
    of,
    owning,
    remembered,
    some,
    spread,
    the_row,
    undisturbed,
)
from support import counting, held, silent

from shared.graph.pace import CALLS
from simulator import faults
from simulator.devices import many_devices
from simulator.graph import ADE, DEVICES
from simulator.host import worker
from tests.scenes import DAY, HOUR, MINUTE


def fail_where_it_goes_on(monitor, fault) -> None:
    """The first page that a run asks for on each list that it goes on with meets `fault`."""
    for name in NAMES:
        monitor.sim.graph.fail(further_of(name), fault, times=1)


# Killed


@pytest.mark.exhaustive
@pytest.mark.parametrize("carried_out", [False, True], ids=["before it is carried out", "after it was carried out"])
@pytest.mark.parametrize("where", ["Identity", "Graph", "Proxy"])
async def test_counts_are_exact_when_a_run_that_dies_at_any_request_is_repeated(monitor, where, carried_out):
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
async def test_nothing_is_counted_twice_when_a_run_dies_while_it_continues_a_list(monitor):
    expected = await undisturbed(monitor)
    for where, most in (("Graph", 8), ("Proxy", 4)):
        for at in range(1, most + 1):
            again(monitor)
            await half_done(monitor)
            assert await die(monitor, Death(where, at, carried_out=True), monitor.inspect(HOUR, run_id="dead"))
            await monitor.inspect(MINUTE)
            assert all_counted(monitor) == expected, (where, at)


@pytest.mark.exhaustive
def test_counts_are_exact_when_a_killed_worker_is_started_again(monitor, sim):
    now = datetime.now(UTC)
    sim.graph.tenant = owning({"Contoso HQ": some(now=now, **EVERYTHING)}, now=now)
    sim.graph.largest_page = 10
    assert monitor.invoke().success
    with worker(monitor.environment(), "inspect_devices") as running:
        killed = faults.carried_out_then(faults.calling(running.kill, faults.dropped()))
        sim.proxy.fail("DeviceInspection", killed, method="POST", times=1)
        assert running.wait(60).returncode == -9
    sim.proxy.heal()
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


async def test_a_run_continues_the_last_one_whose_counts_show_nowhere_before(monitor):
    expected = await undisturbed(monitor)
    yesterday = await half_done(monitor)
    assert all_counted(monitor) == yesterday
    for row in remembered(monitor).values():
        assert (row["Complete"], row["InspectedOn"]) == (False, monitor.now - DAY)
        assert "2 pages of the list are counted, and the next run goes on from there" in row["Error"]
    await monitor.check(HOUR)
    assert monitor.stored("ade", "Contoso HQ")["devices_without_profile"]["facts"]["waiting"] == 9
    monitor.sim.graph.requests.clear()
    assert await monitor.inspect() == {"complete": 2, "not_reached": 0}
    assert all_counted(monitor) == expected
    assert {row["InspectedOn"] for row in remembered(monitor).values()} == {monitor.now - HOUR}
    assert len(asked(monitor)) == 4
    assert all(further(request) for request in asked(monitor))


@pytest.mark.exhaustive
async def test_a_run_that_reads_nothing_in_its_time_keeps_the_last_counts(monitor):
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
        "https://{graph}/beta/deviceAppManagement/vppTokens",
        "\x00\r\nHost: 127.0.0.1:{port}",
        "x" * 5_000,
    ],
)
@pytest.mark.sampled(2)
async def test_a_forged_position_gets_no_request_and_the_list_starts_over(monitor, sim, caplog, place):
    expected = await undisturbed(monitor)
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


async def test_a_list_starts_over_in_the_same_run_when_graph_refuses_its_position(monitor, sim):
    expected = await undisturbed(monitor)
    for fault in (None, faults.status(410)):
        again(monitor)
        await half_done(monitor)
        if fault is None:
            sim.graph.era += 1  # as a skip token that has expired: 400
        else:
            fail_where_it_goes_on(monitor, fault)
        assert await monitor.inspect(HOUR) == {"complete": 2, "not_reached": 0}
        assert all_counted(monitor) == expected
        assert {row["InspectedOn"] for row in remembered(monitor).values()} == {monitor.now}


async def test_a_list_starts_over_in_the_next_run_when_graph_fails_at_its_position(monitor):
    expected = await undisturbed(monitor)
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
async def test_an_inspection_that_began_more_than_a_day_ago_starts_over(monitor, later, goes_on):
    await half_done(monitor)
    await monitor.inspect(later)
    assert {row["InspectedOn"] for row in remembered(monitor).values()} == {
        monitor.now - (later if goes_on else 0 * DAY)
    }
    assert len([request for request in asked(monitor) if further(request)]) == (4 if goes_on else 6)


async def test_a_row_that_cannot_be_read_is_inspected_like_a_new_one(monitor, sim):
    expected = await undisturbed(monitor)
    await changed_since_yesterday(monitor)
    with sim.tables.client() as tables:
        keys = {"PartitionKey": "ade", "RowKey": HQ}
        tables.get_table_client("DeviceInspection").upsert_entity({**keys, "Memory": json.dumps({"last": 5})})
    assert await monitor.inspect() == {"complete": 2, "not_reached": 0}
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
async def test_the_later_save_of_two_overlapping_inspections_gives_way(monitor, begin):
    expected = await undisturbed(monitor)
    await begin(monitor)
    slow, quick = await overlapping(monitor, of("Contoso HQ"), 1)
    assert slow["gave_way"] >= 1
    assert slow["complete"] + quick["complete"] == 2
    assert all_counted(monitor) == expected
    assert the_row(monitor)["RunId"] == "quick"


@pytest.mark.exhaustive
async def test_an_unfinished_inspection_does_not_replace_a_complete_one(monitor, sim):
    expected = await undisturbed(monitor)
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


async def test_two_first_inspections_at_the_same_time_write_one_row_for_each_token(monitor, sim):
    sim.graph.tenant = spread(*NAMES, **EVERYTHING)
    await monitor.check()
    outcomes = await asyncio.gather(monitor.inspect(run_id="one"), monitor.inspect(run_id="two"))
    assert sum((each["complete"] for each in outcomes), 0) == 2
    assert {row["Devices"] for row in remembered(monitor).values()} == {30}
    assert len(asked(monitor, lists)) == 4
