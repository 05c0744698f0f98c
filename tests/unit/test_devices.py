"""A token's list of devices, counted: what counts as what, each side of each boundary, and entries of any kind."""

import json
from datetime import UTC, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.graph.devices import (
    MOST_NAMES,
    PROPERTIES,
    Device,
    Tally,
    by_category,
    devices,
    disagrees,
    events,
    has_profile,
    with_examples,
)
from shared.graph.pages import GraphError
from shared.model.counts import Counts
from tests.unit.terms import DAY, HOUR, NOW, SECOND

PROFILE = "34867b1a-9246-448b-bf8a-cad609162fcd"
TOKEN = "59a48111-7836-4822-8bc9-99fe2cfdbd08"
ZERO = "00000000-0000-0000-0000-000000000000"
YEAR_ONE = "0001-01-01T00:00:00Z"


def wire(instant):
    return instant if instant is None or isinstance(instant, str) else instant.isoformat().replace("+00:00", "Z")


def entry(serial="C02ABC", **properties):
    """A device as Graph sends it: enrolled, with a profile, heard of an hour ago; `properties` by Graph's names."""
    usual = {
        "id": "1",
        "serialNumber": serial,
        "requestedEnrollmentProfileId": PROFILE,
        "requestedEnrollmentProfileAssignmentDateTime": NOW - 99 * DAY,
        "isSupervised": True,
        "discoverySource": "deviceEnrollmentProgram",
        "isDeleted": False,
        "createdDateTime": NOW - 100 * DAY,
        "lastContactedDateTime": NOW - HOUR,
        "enrollmentState": "enrolled",
        "platform": "ios",
    }
    found = usual | properties
    return {name: wire(value) if name.endswith("DateTime") else value for name, value in found.items()}


def page(*entries, **others):
    body = json.dumps({"value": list(entries), **others}).encode()
    return devices(body, "GET /devices").value


def counted(*entries, now=NOW, contact_days=30, examples=20, before=None):
    tally = Tally(now, contact_days=contact_days, examples=examples, counted=before)
    tally.add(page(*entries))
    return tally.counts()


def numbers(counts):
    """Those that are not 0."""
    return {name: value for name, value in msgspec.structs.asdict(counts).items() if isinstance(value, int) and value}


# --- what an entry is


def test_devices_deleted_ones_and_those_of_other_sources_are_distinguished():
    found = counted(
        entry(),
        entry(),
        entry(isDeleted=True),
        entry(isDeleted=True, discoverySource="adminImport"),
        entry(discoverySource="adminImport"),
        entry(discoverySource="unknown"),
        entry(discoverySource="unknownFutureValue"),
        entry(discoverySource=None),
    )
    assert (found.devices, found.deleted, found.imported, found.unreadable) == (2, 2, 4, 0)
    assert found.by_source == {"adminImport": 1, "unknown": 1, "unknownFutureValue": 1, "missing": 1}
    assert (found.by_state, found.by_platform) == ({"enrolled": 2}, {"ios": 2})


def test_only_devices_are_looked_at_for_symptoms():
    amiss = {"requestedEnrollmentProfileId": None, "enrollmentState": "failed"}
    found = counted(entry(isDeleted=True, **amiss), entry(discoverySource="adminImport", **amiss))
    assert numbers(found) == {"deleted": 1, "imported": 1}
    assert (found.examples, found.newest_on) == ({}, None)


def test_beyond_so_many_names_the_rest_is_counted_together_on_any_page():
    tally = Tally(NOW, contact_days=30, examples=0)
    for first in (0, 15):
        tally.add(page(*(entry(enrollmentState=f"state {number}") for number in range(first, first + 15))))
    found = tally.counts().by_state
    assert len(found) == MOST_NAMES + 1
    assert (found["state 0"], found["other"], sum(found.values())) == (1, 10, 30)


def test_failed_and_blocked_are_counted_behind_any_number_of_other_names():
    states = [*(f"state {number}" for number in range(50)), "failed", "failed", "blocked"]
    found = counted(*(entry(enrollmentState=state) for state in states))
    assert (found.failed, found.blocked) == (2, 1)


# --- without a profile


@pytest.mark.parametrize(
    ("profile", "has"),
    [
        (PROFILE, True),
        (f"{TOKEN}_{PROFILE}", True),
        (f"ECV2_{TOKEN}_{PROFILE}", True),
        (None, False),
        ("", False),
        ("  ", False),
        (ZERO, False),
        (f"{TOKEN}_{ZERO}", False),
        (f"{TOKEN}_", False),
    ],
)
def test_a_profile_is_an_id_that_is_not_zero_alone_or_after_the_tokens(profile, has):
    assert has_profile(profile) is has
    assert counted(entry(requestedEnrollmentProfileId=profile)).without_profile == (not has)


def test_a_device_without_a_profile_waits_once_it_is_in_the_list_for_more_than_a_day():
    def waiting(created):
        return counted(
            entry(requestedEnrollmentProfileId=None, enrollmentState="notContacted", createdDateTime=created)
        ).waiting

    assert waiting(NOW - DAY) == 0
    assert waiting(NOW - DAY - SECOND) == 1
    assert waiting((NOW - DAY - SECOND).astimezone(UTC).isoformat().replace("+00:00", "-00:00")) == 1


IMPOSSIBLE = ["1601-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2006-12-31T00:00:00Z", "9999-12-31T00:00:00Z"]


@pytest.mark.parametrize("created", [None, YEAR_ONE, *IMPOSSIBLE])
def test_a_device_whose_age_graph_does_not_tell_waits(created):
    found = counted(entry(requestedEnrollmentProfileId="", enrollmentState="unknown", createdDateTime=created))
    assert (found.waiting, found.newest_on) == (1, None)


# --- not contacted


def test_contact_is_missed_once_it_is_longer_ago_than_the_setting_says():
    def silent(contacted, **others):
        return counted(entry(lastContactedDateTime=contacted, **others)).not_contacted

    assert silent(NOW - 30 * DAY) == 0
    assert silent(NOW - 30 * DAY - SECOND) == 1
    assert silent(NOW - 30 * DAY - SECOND, requestedEnrollmentProfileId=None) == 0


@pytest.mark.parametrize("offset", ["-12:00", "-08:00", "+00:00", "+14:00"])
def test_an_offset_moves_no_boundary(offset):
    hours = timedelta(hours=int(offset[:3]))

    def local(instant):
        return f"{instant + hours:%Y-%m-%dT%H:%M:%S}.0000000{offset}"

    assert counted(entry(lastContactedDateTime=local(NOW - 30 * DAY))).not_contacted == 0
    assert counted(entry(lastContactedDateTime=local(NOW - 30 * DAY - SECOND))).not_contacted == 1
    newest = counted(entry(createdDateTime=local(NOW - DAY)), entry(createdDateTime=NOW - DAY - SECOND)).newest_on
    assert newest == NOW - DAY


@pytest.mark.parametrize("never", [None, YEAR_ONE, *IMPOSSIBLE])
def test_a_device_that_never_made_contact_is_missed_from_its_assignment_on(never):
    def silent(assigned, created=NOW - 90 * DAY):
        dates = {"requestedEnrollmentProfileAssignmentDateTime": assigned, "createdDateTime": created}
        return counted(entry(lastContactedDateTime=never, **dates)).not_contacted

    assert silent(NOW - 30 * DAY) == 0
    assert silent(NOW - 31 * DAY) == 1
    assert silent(never) == 1  # then since it came into the list
    assert silent(never, NOW - 29 * DAY) == 0
    assert silent(never, never) == 0  # nobody knows how long


# --- the newest


def test_the_newest_device_is_the_last_that_came_into_the_list_on_any_page():
    tally = Tally(NOW, contact_days=30, examples=0)
    for created in (NOW - 3 * DAY, NOW - 2 * HOUR, NOW - HOUR, NOW - 2 * DAY):
        tally.add(page(entry(createdDateTime=created), entry(createdDateTime=YEAR_ONE), entry(createdDateTime=None)))
    assert tally.counts().newest_on == NOW - HOUR


def test_a_device_of_the_future_is_not_the_newest():
    ahead = "9999-12-31T23:59:59.9999999-12:00"
    assert counted(entry(createdDateTime=ahead), entry(createdDateTime=NOW - DAY)).newest_on == NOW - DAY
    assert counted(entry(createdDateTime=ahead)).newest_on is None


# --- examples


def test_serial_numbers_are_kept_for_each_symptom_up_to_a_number_and_for_nothing_else():
    many = [
        entry("fine"),
        *(entry(f"waits {number}", requestedEnrollmentProfileId=None, enrollmentState="failed") for number in range(3)),
        entry("silent", lastContactedDateTime=NOW - 40 * DAY),
        entry("blocked", enrollmentState="blocked"),
        entry(None, enrollmentState="blocked"),
        entry("", enrollmentState="blocked"),
        entry("gone", isDeleted=True, enrollmentState="failed"),
    ]
    assert counted(*many, examples=2).examples == {
        "waiting": ("waits 0", "waits 1"),
        "failed": ("waits 0", "waits 1"),
        "not_contacted": ("silent",),
        "blocked": ("blocked",),
    }
    assert counted(*many, examples=0).examples == {}


def test_fewer_examples_are_kept_of_earlier_counts_when_the_setting_is_lowered():
    before = counted(*(entry(f"F{number}", enrollmentState="failed") for number in range(5)))
    assert with_examples(before, 2).examples == {"failed": ("F0", "F1")}
    assert with_examples(before, 0) == counted(*(entry(enrollmentState="failed") for _ in range(5)), examples=0)
    assert counted(examples=1, before=before).examples == {"failed": ("F0",)}
    assert counted(entry("F5", enrollmentState="failed"), examples=6, before=before).examples["failed"][-1] == "F5"


# --- page after page


ENTRIES = st.builds(
    entry,
    st.sampled_from(["A", "B", None]),
    isDeleted=st.none() | st.booleans(),
    discoverySource=st.sampled_from(["deviceEnrollmentProgram", "deviceEnrollmentProgram", "adminImport", None]),
    requestedEnrollmentProfileId=st.sampled_from([PROFILE, None, ZERO]),
    requestedEnrollmentProfileAssignmentDateTime=st.none() | st.sampled_from([NOW - 31 * DAY, NOW, YEAR_ONE]),
    createdDateTime=st.none() | st.sampled_from([NOW - DAY, NOW - DAY - SECOND, YEAR_ONE]),
    lastContactedDateTime=st.none() | st.sampled_from([NOW - 31 * DAY, NOW, YEAR_ONE]),
    enrollmentState=st.sampled_from(["enrolled", "failed", "blocked", "notContacted", None]),
    platform=st.sampled_from(["ios", "macOS", None]),
)


@given(st.lists(ENTRIES, max_size=12), st.integers(0, 12), st.integers(0, 12))
def test_a_list_counts_the_same_however_it_is_cut_into_pages_and_runs(entries, one, other):
    first, second = sorted((one, other))
    parts = (entries[:first], entries[first:second], entries[second:])
    tally = Tally(NOW, contact_days=30, examples=2)
    for part in parts[:2]:
        tally.add(page(*part))
    stored = msgspec.json.decode(msgspec.json.encode(tally.counts()), type=Counts)  # between two runs
    assert counted(*parts[2], examples=2, before=stored) == counted(*entries, examples=2)


@given(st.lists(ENTRIES, max_size=12))
def test_each_entry_is_one_thing_and_each_device_has_one_state_and_one_platform(entries):
    found = counted(*entries)
    assert found.devices + found.deleted + found.imported + found.unreadable == len(entries)
    assert sum(found.by_state.values()) == sum(found.by_platform.values()) == found.devices
    assert sum(found.by_source.values()) == found.imported
    assert found.waiting + found.enrolled_without_profile <= found.without_profile
    assert found.enrolled_without_profile <= found.by_state.get("enrolled", found.devices)
    assert found.without_profile + found.not_contacted <= found.devices
    assert found.failed == found.by_state.get("failed", 0)


# --- what is not what Graph documents


BAD = {
    "a number": 5,
    "null": None,
    "a text": "device",
    "a list": [],
    "an object of another kind": {"a": 1},
    "a serial number that is a number": entry(5),
    "a flag that is a text": entry(isDeleted="no"),
    "a date that is none": entry(createdDateTime="2026-13-01T00:00:00Z"),
    "a date without a zone": entry(createdDateTime="2026-11-01T00:00:00"),
    "a state that is a list": entry(enrollmentState=["enrolled"]),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_an_entry_that_is_not_what_graph_documents_loses_itself_and_not_its_page(bad):
    found = counted(entry("A", enrollmentState="failed"), bad, entry("B", enrollmentState="failed"))
    assert numbers(found) == {"devices": 2, "unreadable": 1, "failed": 2}
    assert found.examples == {"failed": ("A", "B")}


def test_only_what_is_counted_is_asked_for_and_properties_beyond_it_do_no_harm():
    names = {field.encode_name for field in msgspec.structs.fields(Device)}
    assert set(PROPERTIES) == names
    assert numbers(counted(entry(description={"deep": [1]}, **{"@odata.type": "#microsoft.graph.x"}))) == {"devices": 1}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"value": {}}', b'{"value": null}', b"<html>", b'{"value": [{"id"'])
def test_a_page_that_is_none_is_reported(body):
    with pytest.raises(GraphError, match="not what Graph documents"):
        devices(body, "GET /devices")


# --- events


def event(on=NOW, kind="appleBulkWithUser", category="authentication"):
    return {"eventDateTime": wire(on), "enrollmentType": kind, "failureCategory": category}


def test_events_of_apple_bulk_enrollment_are_counted_by_category_from_an_instant_on():
    body = json.dumps(
        {
            "value": [
                event(),
                event(kind="appleBulkWithoutUser"),
                event(category=None),
                event(category="notYetListed"),
                event(on=NOW - DAY),
                event(on=NOW - DAY + SECOND),
                event(kind="userEnrollment"),
                {"eventDateTime": wire(NOW), "@odata.type": "#microsoft.graph.mobileAppTroubleshootingEvent"},
                {"eventDateTime": "yesterday"},
                None,
            ]
        }
    ).encode()
    found = [one for one in events(body, "GET /events").value if one is not None]
    assert [one.of_apple for one in found] == [True] * 6 + [False] * 2
    of_apple = [one for one in found if one.of_apple]
    assert by_category(of_apple, NOW - DAY) == {"authentication": 3, "missing": 1, "notYetListed": 1}
    assert by_category(of_apple, NOW) == {}


# --- list and count


@pytest.mark.parametrize(
    ("listed", "synced", "expected"),
    [
        (100, 100, False),
        (100, 111, False),  # 11 are not more than a tenth of 111
        (100, 112, True),
        (112, 100, True),
        (111, 100, False),
        (0, 10, False),  # a tenth, and not more than 10
        (0, 11, True),
        (11, 0, True),
        (10, 0, False),
        (1_000, 1_100, False),
        (1_000, 1_112, True),
        (0, 0, False),
    ],
)
def test_list_and_count_disagree_by_more_than_ten_and_more_than_a_tenth_of_the_larger(listed, synced, expected):
    assert disagrees(Counts(devices=listed), synced) is expected


@pytest.mark.parametrize(
    "parts", [{"deleted": 50}, {"imported": 50}, {"unreadable": 50}, {"deleted": 25, "imported": 25}]
)
def test_they_agree_if_there_is_a_way_to_count_that_makes_them(parts):
    assert disagrees(Counts(devices=100), 150)
    assert not disagrees(Counts(devices=100, **parts), 150)
    assert not disagrees(Counts(devices=100, **parts), 100)
    assert disagrees(Counts(devices=100, **parts), 400)
