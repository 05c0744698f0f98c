"""A hostile list of devices is counted within bounds, leads to no other address, and discloses no serial number."""

import json
import logging

import pytest
from inspecting import HQ, PLATFORMS, asked, lists, of, owning, remembered, some, spread, the_row
from support import counting

from shared.publishing.rows import FINDINGS, RUNS
from shared.storage.device_rows import DEVICE_INSPECTION
from simulator import bearer, faults
from simulator.azurite import TABLES
from simulator.devices import PROFILE_SECRET, default_profiles, device, enrollment_event, profile
from simulator.graph import ADE, DEVICES
from simulator.tenant import Tenant
from tests.scenes import DAY, HOUR, NOW

CONTROL = {"\x00", "\r", "\n", "\x1b", "\u202e"}


def one(serial="C02HOSTILE", kind="waiting", **others):
    return device("", token_id=HQ, now=NOW, kind=kind, **{"serialNumber": serial, **others})


async def inspected(monitor, *items, **settings) -> dict:
    """Return the row of a token with these entries and nine sound ones, after a check, an inspection, and a check."""
    monitor.sim.graph.tenant = owning({"Contoso HQ": [*items, *some(enrolled=9)]})
    await monitor.check()
    await monitor.inspect(**settings)
    assert (await monitor.check(HOUR)).outcome == "succeeded"
    return the_row(monitor)


# Entries


SERIALS = {
    "C02\r\nINFO shared: forged\x1b[2J\u202e": "C02��INFO shared: forged�[2J",
    "'); DROP TABLE x;--": "'); DROP TABLE x;--",
    "S" * 100_000: "S" * 31 + "…",
    "序列号" * 20: ("序列号" * 20)[:31] + "…",
    "\x00": "�",
}
UNREADABLE = [
    one(4711),
    one("\ud800"),
    one(enrollmentState=["failed"]),
    one(createdDateTime="9999-12-31T23:59:59.9999999Z"),
    one(lastContactedDateTime="2026-13-01T00:00:00Z"),
    {key: value for key, value in one().items() if key != "discoverySource"},
    7,
    None,
    json.loads("[" * 900 + "]" * 900),
]


async def test_hostile_and_malformed_entries_are_counted_within_bounds_and_hide_no_other(monitor, sim):
    edges = [
        one(None, createdDateTime="9999-12-31T23:59:59.999999Z", lastContactedDateTime="9999-12-31T23:59:59-14:00"),
        one("", createdDateTime="0001-01-01T00:00:00+14:00", isDeleted=None, description={"a": []}),
    ]
    sim.graph.fail(lists, faults.rewritten(lambda page: page["value"].extend(UNREADABLE)))
    odd = one(
        kind="enrolled", enrollmentState="state\r\n", platform="p" * 500, discoverySource="deviceEnrollmentProgram"
    )
    row = await inspected(monitor, *map(one, SERIALS), *edges, odd)
    assert row["Examples"] == {"waiting": list(SERIALS.values())}, "a device without a serial number is no example"
    assert (row["Complete"], row["Devices"], row["Waiting"]) == (True, 17, 7)
    assert (row["ByState"]["state��"], row["ByPlatform"]["p" * 39 + "…"]) == (1, 1)
    assert row["NewestDeviceOn"] <= NOW
    assert row["Memory"]["last"]["counts"]["unreadable"] == len(UNREADABLE)
    assert row["Error"] == "9 entries of the list are not what Graph documents."
    assert set(monitor.stored()) == {"devices_without_profile"}


async def test_a_list_with_more_bad_entries_than_good_ones_fails(monitor, sim):
    sim.graph.fail(lists, faults.rewritten(lambda page: page["value"].extend([7] * 10)))
    row = await inspected(monitor)
    assert (row["Complete"], "Devices" in row) == (False, False)
    assert "10 of 19 entries are not what Graph documents" in row["Error"]


async def test_hostile_names_of_profiles_are_bounded_and_disclose_no_password(monitor, sim):
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


# Addresses


LINKS = {
    "another host": "http://127.0.0.1:{port}{path}?$skiptoken=1",
    "another token's devices": "https://{graph}{path}/../../other/importedAppleDeviceIdentities",
    "another list": "https://{graph}/beta/deviceAppManagement/vppTokens?$skiptoken=1",
    "a file": "file:///etc/passwd",
    "long": "http://127.0.0.1:{port}/" + "x" * 8_000,
    "huge": "http://127.0.0.1:{port}/" + "x" * 100_000,
}


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
@pytest.mark.sampled(2)
async def test_a_next_page_elsewhere_gets_no_request_and_fails_the_inspection(monitor, sim, link, caplog):
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


# Disclosure


SERIAL = "C02PRIVATE"


def everything_but_inspections(monitor) -> str:
    rows = [monitor.sim.table_rows(table) for table in TABLES if table != DEVICE_INSPECTION.name]
    return str([*rows, *(monitor.sim.log_rows(table.name) for table in (FINDINGS, RUNS))])


@pytest.mark.parametrize("keep", [20, 0])
@pytest.mark.sampled(1)
async def test_serial_numbers_are_nowhere_but_among_the_examples_of_their_row(monitor, sim, caplog, keep):
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
    for days in (1, 7, 1):
        await monitor.inspect(days * DAY, **settings)
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
    "an error's message": '{"error":{"code":"C02","message":"x"}}',
    "no list": '{"value":{"serialNumber":"C02PRIVATE1"}}',
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
@pytest.mark.sampled(2)
async def test_a_page_that_cannot_be_read_discloses_no_serial_number(monitor, sim, caplog, body):
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
