"""Whatever a list of devices holds, and wherever it leads: it is counted in bounds, followed nowhere, told nowhere."""

import json
import logging

import pytest
from inspecting import HQ, PLATFORMS, asked, further, lists, of, owning, remembered, some, spread, the_row
from support import DAY, HOUR, NOW, counting

from shared.publishing.rows import FINDINGS, RUNS
from shared.storage.device_rows import DEVICE_INSPECTION
from simulator import bearer, faults
from simulator.azurite import TABLES
from simulator.devices import PROFILE_SECRET, default_profiles, device, enrollment_event, profile
from simulator.graph import ADE, DEVICES
from simulator.tenant import Tenant

CONTROL = {"\x00", "\r", "\n", "\x1b", "\u202e"}


def one(serial="C02HOSTILE", kind="waiting", **others):
    return device("", token_id=HQ, now=NOW, kind=kind, **{"serialNumber": serial, **others})


async def looked(monitor, *items, **settings) -> dict:
    """The row of a token with these entries and nine sound ones, after a check, a look and a check."""
    monitor.sim.graph.tenant = owning({"Contoso HQ": [*items, *some(enrolled=9)]})
    await monitor.check()
    await monitor.inspect(**settings)
    assert (await monitor.check(HOUR)).outcome == "succeeded"
    return the_row(monitor)


# What an entry holds


@pytest.mark.parametrize(
    ("serial", "kept"),
    [
        ("C02\r\nINFO shared: forged\x1b[2J\u202e", "C02��INFO shared: forged�[2J"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("'); DROP TABLE x;--", "'); DROP TABLE x;--"),
        ("S" * 100_000, "S" * 31 + "…"),
        ("序列号" * 20, ("序列号" * 20)[:31] + "…"),
        ("\x00", "�"),
    ],
    ids=["control characters", "markup", "quotes", "huge", "Chinese", "NUL"],
)
@pytest.mark.sampled(2)
async def test_a_hostile_serial_number_is_kept_bounded_and_without_control_characters(monitor, serial, kept):
    row = await looked(monitor, one(serial))
    assert row["Examples"] == {"waiting": [kept]}
    assert (row["Waiting"], row["Devices"], row["Complete"]) == (1, 10, True)


@pytest.mark.parametrize("serial", [None, ""])
async def test_a_device_without_a_serial_number_counts_and_is_no_example(monitor, serial):
    row = await looked(monitor, one(serial))
    assert (row["Waiting"], row["Devices"], row["Examples"]) == (1, 10, {})


UNREADABLE = {
    "a number for a serial number": one(4711),
    "a list for a state": one(enrollmentState=["failed"]),
    "a number for a platform": one(platform=3),
    "text for a truth value": one(isDeleted="false"),
    "a number for a date": one(createdDateTime=20261123),
    "an instant that rounds into the year 10000": one(createdDateTime="9999-12-31T23:59:59.9999999Z"),
    "no date": one(lastContactedDateTime="yesterday"),
    "a thirteenth month": one(lastContactedDateTime="2026-13-01T00:00:00Z"),
    "a date without a zone": one(createdDateTime="2026-11-01T00:00:00"),
    "an object for a profile": one(requestedEnrollmentProfileId={"id": 1}),
    "half a character": one("\ud800"),
    "no source": {key: value for key, value in one().items() if key != "discoverySource"},
    "a number": 7,
    "null": None,
    "text": "device",
    "a list": [one()],
    "another object": {"error": {"code": "x"}},
    "deep": json.loads("[" * 900 + "]" * 900),
}


async def looked_at_beside(monitor, *entries) -> dict:
    """The same for entries that may be no objects, at the end of the list."""
    monitor.sim.graph.fail(lists, faults.rewritten(lambda page: page["value"].extend(entries)))
    return await looked(monitor)


@pytest.mark.parametrize("entry", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.sampled(4)
async def test_a_malformed_entry_loses_itself_alone_and_is_counted_as_unreadable(monitor, entry):
    row = await looked_at_beside(monitor, entry)
    assert (row["Complete"], row["Devices"], row["Waiting"]) == (True, 9, 0)
    assert row["Memory"]["last"]["counts"]["unreadable"] == 1
    assert row["Error"] == "1 entries of the list are not what Graph documents."
    assert monitor.statuses()["ade", "Contoso HQ"]["Health"] == "healthy"


@pytest.mark.parametrize("bad", [9, 10])
async def test_a_list_of_more_bad_entries_than_good_ones_is_no_list(monitor, bad):
    row = await looked_at_beside(monitor, *[7] * bad)
    assert row["Complete"] is (bad == 9)
    if bad == 10:
        assert "10 of 19 entries are not what Graph documents" in row["Error"]
        assert "Devices" not in row


@pytest.mark.parametrize(
    "others",
    [
        {"createdDateTime": "9999-12-31T23:59:59.999999Z", "lastContactedDateTime": "9999-12-31T23:59:59-14:00"},
        {"createdDateTime": "0001-01-01T00:00:00+14:00", "lastContactedDateTime": "0001-01-01T00:00:00-14:00"},
        {"requestedEnrollmentProfileAssignmentDateTime": "0001-01-01T00:00:00+14:00", "createdDateTime": None},
        {"createdDateTime": "1500-01-01T00:00:00Z"},
        {"isDeleted": None, "isSupervised": "perhaps", "description": {"a": []}},
    ],
    ids=["year 9999", "year 1", "year 1 assigned", "year 1500", "of no matter"],
)
async def test_values_at_the_edges_are_counted_and_stored(monitor, others):
    row = await looked(monitor, one(**others), one(kind="idle", **others))
    assert (row["Complete"], row["Devices"], "Error" in row) == (True, 11, False)
    assert row["NewestDeviceOn"] <= NOW


# Names that nobody listed


async def test_unlisted_states_platforms_and_sources_are_counted_under_their_names_in_bounds(monitor):
    odd = [
        one(f"C{number}", "enrolled", enrollmentState=f"state {number}\r\n", platform="p" * 500, discoverySource=source)
        for number in range(60)
        for source in ("deviceEnrollmentProgram", f"source {number}")
    ]
    row = await looked(
        monitor, *odd, one(kind="failed", enrollmentState="failed"), one(enrollmentState=None, platform=None)
    )
    assert (row["Devices"], row["Imported"], row["Failed"]) == (71, 60, 1)
    assert row["ByState"]["state 0��"] == 1
    # Twenty names, and the rest together; what matters is counted whatever the others are called.
    assert len(row["ByState"]) == 21
    assert row["ByState"]["other"] == 40 + 11
    assert row["ByPlatform"] == {"p" * 39 + "…": 60, "ios": 8, "macOS": 2, "missing": 1}
    sources = row["Memory"]["last"]["counts"]["by_source"]
    assert (len(sources), sources["other"]) == (21, 40)


async def test_the_longest_examples_and_names_still_fit_into_the_row(monitor):
    kinds = ("waiting", "idle", "failed", "blocked")
    hostile = [one('😀\\"' * 30 + str(number), kind) for kind in kinds for number in range(120)]
    names = [one(str(number), "enrolled", enrollmentState="\\" * 90 + str(number)) for number in range(50)]
    row = await looked(monitor, *hostile, *names, DEVICE_EXAMPLES=100)
    assert {symptom: len(serials) for symptom, serials in row["Examples"].items()} == dict.fromkeys(
        ("waiting", "not_contacted", "failed", "blocked"), 100
    )
    monitor.sim.graph.fail(lists, faults.status(500))
    await monitor.inspect(DAY)
    assert (the_row(monitor)["Complete"], the_row(monitor)["Waiting"]) == (False, 120)


async def test_hostile_names_of_profiles_are_bounded_and_tell_of_no_password(monitor, sim):
    tenant = spread("Contoso HQ", enrolled=4)
    text = "Phones\r\n\x1b[2J\u202e" + "x" * 10_000
    named = {platform: profile(text, token_id=HQ, platform=platform) for platform in PLATFORMS}
    sim.graph.tenant = Tenant(
        tenant.ade,
        tenant.vpp,
        tenant.apns,
        devices=tenant.devices,
        profiles={HQ: [*named.values()]},
        defaults={HQ: named},
    )
    await monitor.check()
    await monitor.inspect()
    (row,) = sim.table_rows(DEVICE_INSPECTION.name)
    assert {len(name) for name in json.loads(row["DefaultProfiles"]).values()} == {512}
    assert not CONTROL & set("".join(json.loads(row["DefaultProfiles"]).values()))
    assert PROFILE_SECRET not in str(row)


# Where a page leads


LINKS = {
    "another host": "http://127.0.0.1:{port}{path}?$skiptoken=1",
    "another host behind ours": "https://{graph}@127.0.0.1:{port}{path}",
    "another scheme": "http://{graph}{path}?$skiptoken=1",
    "another list": "https://{graph}/beta/deviceAppManagement/vppTokens?$skiptoken=1",
    "another token's devices": "https://{graph}{path}/../../other/importedAppleDeviceIdentities",
    "no scheme": "//127.0.0.1:{port}{path}",
    "a password": "https://user:secret@{graph}{path}?$skiptoken=1",
    "another port": "http://127.0.0.1:{port}0{path}",
    "no address": "not an address",
    "relative": "{path}?$skiptoken=1",
    "empty": "",
    "a file": "file:///etc/passwd",
    "long": "http://127.0.0.1:{port}/" + "x" * 8_000,
    "huge": "http://127.0.0.1:{port}/" + "x" * 100_000,
}


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
@pytest.mark.sampled(3)
async def test_a_next_page_elsewhere_is_not_asked_for_and_fails_the_look(monitor, sim, link, caplog):
    sim.graph.tenant = spread("Contoso HQ", "Contoso Labs", enrolled=30)
    sim.graph.largest_page = 10
    await monitor.check()
    with counting() as (port, met):
        graph = sim.graph.url.removeprefix("https://")
        target = link.format(port=port, graph=graph, path=f"{ADE}/{HQ}/{DEVICES}")
        sim.graph.fail(of("Contoso HQ"), faults.next_link(target))
        assert await monitor.inspect() == {"complete": 1, "failed": 1, "not_reached": 0}
        assert met == []
    row = the_row(monitor)
    assert (row["Complete"], "Devices" in row) == (False, False)
    too_long = f"its next page has an address of {len(target):,} characters"
    assert (too_long if len(target) > 8_192 else "its next page lies elsewhere") in row["Error"]
    assert "pause" not in row["Memory"], "no page is counted whose successor is not"
    assert len(asked(monitor, of("Contoso HQ"))) == 1
    assert all(len(record.getMessage()) < 1_000 for record in caplog.records if record.name.startswith("shared"))


async def test_a_list_that_names_its_own_page_again_ends(monitor, sim):
    sim.graph.tenant = owning({"Contoso HQ": some(enrolled=30)})
    sim.graph.largest_page = 10
    await monitor.check()
    sim.graph.fail(lists, faults.next_link_loop())
    assert (await monitor.inspect())["failed"] == 1
    assert "round in a circle" in the_row(monitor)["Error"]
    assert len(asked(monitor)) <= 2


async def test_a_circle_over_several_pages_ends_in_a_failure_at_every_run_and_once_mended_nothing_counts_twice(
    monitor, sim
):
    sim.graph.tenant = owning({"Contoso HQ": some(enrolled=30)})
    sim.graph.largest_page = 10
    await monitor.check()
    links = []

    def back_to_the_second(page):
        links.append(page.get("@odata.nextLink"))
        page["@odata.nextLink"] = page.get("@odata.nextLink") or links[0]

    sim.graph.fail(lists, faults.rewritten(back_to_the_second))
    for _ in range(3):
        sim.graph.requests.clear()
        assert (await monitor.inspect(HOUR))["failed"] == 1
        assert "round in a circle" in the_row(monitor)["Error"]
        assert "Devices" not in the_row(monitor)
        assert len(asked(monitor)) <= 4
    sim.graph.heal()
    assert (await monitor.inspect(HOUR))["complete"] == 1
    assert the_row(monitor)["Devices"] == 30


async def test_an_empty_page_in_the_middle_ends_nothing(monitor, sim):
    sim.graph.tenant = owning({"Contoso HQ": some(enrolled=30)})
    sim.graph.largest_page = 10
    await monitor.check()
    sim.graph.fail(further, faults.value_is([]), times=1)
    assert (await monitor.inspect())["complete"] == 1
    assert the_row(monitor)["Devices"] == 20


async def test_a_redirect_is_not_followed(monitor, sim):
    sim.graph.tenant = owning({"Contoso HQ": some(enrolled=30)})
    await monitor.check()
    with counting() as (port, met):
        sim.graph.fail(lists, faults.redirect(f"http://127.0.0.1:{port}/"))
        assert (await monitor.inspect())["failed"] == 1
        assert met == []
    assert "redirect, which was not followed" in the_row(monitor)["Error"]


# Who is told


SERIAL = "C02PRIVATE"


def everything_but_inspections(monitor) -> str:
    rows = [monitor.sim.table_rows(table) for table in TABLES if table != DEVICE_INSPECTION.name]
    return str([*rows, *(monitor.sim.log_rows(table.name) for table in (FINDINGS, RUNS))])


@pytest.mark.parametrize("keep", [20, 0])
async def test_serial_numbers_are_examples_in_their_row_and_stand_nowhere_else(monitor, sim, caplog, keep):
    caplog.set_level(logging.DEBUG)
    sim.identity.roles.append(bearer.EVENTS_ROLE)
    kinds = ("waiting", "idle", "failed", "blocked", "enrolled", "deleted", "imported")
    listed = [one(f"{SERIAL}{number}", kind) for number, kind in enumerate(kinds * 3)]
    tenant = owning({"Contoso HQ": listed}, synced={"Contoso HQ": 500})
    sim.graph.tenant = Tenant(
        tenant.ade,
        tenant.vpp,
        tenant.apns,
        devices=tenant.devices,
        profiles={HQ: [profile(token_id=HQ, platform="MacOs")]},
        defaults={HQ: default_profiles(HQ, "MacOs")},
        events=[enrollment_event(1, on=NOW - HOUR, deviceId=SERIAL, failureReason=SERIAL, userId=SERIAL)],
    )
    sim.graph.largest_page = 5
    settings = {"DEVICE_EXAMPLES": keep, "ENROLLMENT_EVENTS": "true"}
    await monitor.check()
    for _ in range(9):
        await monitor.inspect(DAY, **settings)
        await monitor.check(**settings)
    assert {"devices_without_profile", "enrollment_failing", "devices_missing", "no_default_profile"} <= set(
        monitor.stored()
    )
    (row,) = sim.table_rows(DEVICE_INSPECTION.name)
    assert {column for column, value in row.items() if SERIAL in str(value)} == (
        {"Examples", "Memory"} if keep else set()
    )
    told = everything_but_inspections(monitor)
    assert "devices_without_profile" in told
    for secret in (SERIAL, PROFILE_SECRET):
        assert secret not in told
        assert secret not in caplog.text


BROKEN = {
    "cut off": '{"value":[{"serialNumber":"C02PRIVATE1","discoverySource":"dev',
    "no list": '{"value":{"serialNumber":"C02PRIVATE1"}}',
    "no object": '[{"serialNumber":"C02PRIVATE1"}]',
    "text": '"C02PRIVATE1"',
    "an error's message": '{"error":{"code":"C02","message":"x"}}',
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
@pytest.mark.sampled(2)
async def test_a_page_that_cannot_be_read_tells_nobody_a_serial_number(monitor, sim, caplog, body):
    sim.graph.tenant = owning({"Contoso HQ": some(enrolled=3)})
    await monitor.check()
    sim.graph.fail(lists, faults.text(200, body, "application/json"))
    for _ in range(3):
        assert (await monitor.inspect(DAY))["failed"] == 1
        await monitor.check()
    reason = "Graph did not answer as documented" if '"error"' in body else "the answer is not what Graph documents"
    assert reason in monitor.run_rows()["devices"]["Error"]
    for told in (everything_but_inspections(monitor), caplog.text, str(remembered(monitor))):
        assert SERIAL not in told
