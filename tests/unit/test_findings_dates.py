"""Findings that follow from dates: expiry, last sync, never synced, and not set up."""

from datetime import UTC, datetime

import pytest

from shared.model.tokens import Code, Connector
from tests.unit.builders import (
    WIRE,
    a_status,
    ade,
    at,
    cannot_read,
    codes,
    decoded,
    each,
    found,
    healthy,
    held,
    last,
    severity,
    vpp,
)
from tests.unit.terms import ADE, APNS, CRITICAL, DAY, HEALTHY, HOUR, MINUTE, NOTHING, NOW, SECOND, VPP, WARNING

NO_SUCCESS = {"sync_status": "failed", "last_successful_sync": None}


@pytest.mark.parametrize("connector", Connector)
@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (60 * DAY + SECOND, []),
        (60 * DAY, ["expiring 60 warning"]),
        (30 * DAY + SECOND, ["expiring 60 warning"]),
        (30 * DAY, ["expiring 30 warning"]),
        (14 * DAY, ["expiring 14 warning"]),
        (7 * DAY + SECOND, ["expiring 14 warning"]),
        (7 * DAY, ["expiring 7 critical"]),
        (DAY + SECOND, ["expiring 7 critical"]),
        (DAY, ["expiring 1 critical"]),
        (SECOND, ["expiring 1 critical"]),
        (NOTHING, ["expired 0 critical"]),
        (-30 * DAY + SECOND, ["expired 0 critical"]),
        (-30 * DAY, ["expired 30 critical"]),
        (-365 * DAY, ["expired 360 critical"]),
    ],
)
def test_an_expiry_changes_its_tier_at_each_limit(connector, left, expected):
    assert found(last(at(NOTHING, healthy(connector, expires_on=NOW + left)))) == expected


def test_an_expiring_finding_keeps_its_since_until_the_token_expires():
    days = (0, 30, 46, 53, 59, 60)
    statuses = each(*(at(day * DAY, ade(expires_on=NOW + 60 * DAY)) for day in days))
    assert {held(status, Code.EXPIRING).since for status in statuses[:-1]} == {NOW}
    assert held(statuses[-1], Code.EXPIRED).since == NOW + 60 * DAY


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"expires_on": NOW + SECOND}, ["expired 0 critical"]),
        ({"expires_on": NOW + 300 * DAY}, ["expired 0 critical"]),
        ({"expires_on": NOW - 30 * DAY}, ["expired 30 critical"]),
        (cannot_read("expires_on"), ["expired 0 critical", "unreadable unknown"]),
    ],
)
def test_a_vpp_token_whose_state_is_expired_is_expired_whatever_its_date(fields, expected):
    assert found(last(at(NOTHING, vpp(state="expired", **fields)))) == expected


def stale_after(warning, critical, prefix=""):
    return {f"{prefix}sync_stale_warning_hours": warning, f"{prefix}sync_stale_critical_hours": critical}


@pytest.mark.parametrize(
    ("connector", "age", "overrides", "expected"),
    [
        (ADE, 36 * HOUR - SECOND, {}, []),
        (ADE, 36 * HOUR, {}, ["sync_stale warning"]),
        (ADE, 72 * HOUR - SECOND, {}, ["sync_stale warning"]),
        (ADE, 72 * HOUR, {}, ["sync_stale critical"]),
        (VPP, 48 * HOUR - SECOND, {}, []),
        (VPP, 48 * HOUR, {}, ["sync_stale warning"]),
        (VPP, 96 * HOUR - SECOND, {}, ["sync_stale warning"]),
        (VPP, 96 * HOUR, {}, ["sync_stale critical"]),
        (ADE, HOUR, stale_after("2", "3"), []),
        (ADE, 2 * HOUR, stale_after("2", "3"), ["sync_stale warning"]),
        (ADE, 3 * HOUR, stale_after("2", "3"), ["sync_stale critical"]),
        (VPP, HOUR, stale_after("2", "3", "vpp_"), []),
        (VPP, 2 * HOUR, stale_after("2", "3", "vpp_"), ["sync_stale warning"]),
        (VPP, 3 * HOUR, stale_after("2", "3", "vpp_"), ["sync_stale critical"]),
        (ADE, -5 * MINUTE, {}, []),
        (VPP, -5 * MINUTE, {}, []),
    ],
)
def test_a_sync_is_stale_from_the_hours_of_its_connector(connector, age, overrides, expected):
    status = last(at(NOTHING, healthy(connector, last_successful_sync=NOW - age)), **overrides)
    assert found(status) == expected


@pytest.mark.parametrize(("connector", "name"), [(ADE, "lastSuccessfulSyncDateTime"), (VPP, "lastSyncDateTime")])
def test_a_sync_more_than_five_minutes_ahead_is_unreadable(connector, name):
    ahead = NOW + 5 * MINUTE + SECOND
    before = healthy(connector, last_successful_sync=NOW - 100 * HOUR)
    status = last(at(-HOUR, before), at(NOTHING, healthy(connector, last_successful_sync=ahead)))
    assert codes(status) == ["sync_stale", "unreadable"]
    assert held(status, Code.UNREADABLE).facts == {name: ahead.isoformat()}
    assert status.token.last_successful_sync == NOW - 100 * HOUR


def test_a_sync_too_far_ahead_does_not_hide_another_unreadable_value():
    wire = {**WIRE[ADE], "lastSuccessfulSyncDateTime": "2027-01-01T00:00:00Z", "lastSyncErrorCode": None}
    finding = held(last(at(NOTHING, decoded(ADE, wire))), Code.UNREADABLE)
    assert set(finding.facts) == {"lastSuccessfulSyncDateTime", "lastSyncErrorCode"}


IMPOSSIBLE = [
    datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    NOW + 3654 * DAY,
    datetime(2006, 12, 31, 23, 59, 59, tzinfo=UTC),
    datetime(1, 1, 2, tzinfo=UTC),
]
DATES = {
    (ADE, "expires_on"): "tokenExpirationDateTime",
    (ADE, "last_successful_sync"): "lastSuccessfulSyncDateTime",
    (ADE, "last_modified"): "lastModifiedDateTime",
    (APNS, "expires_on"): "expirationDateTime",
    (VPP, "expires_on"): "expirationDateTime",
    (VPP, "last_successful_sync"): "lastSyncDateTime",
    (VPP, "last_sync"): "lastSyncDateTime",
    (VPP, "last_modified"): "lastModifiedDateTime",
}


@pytest.mark.parametrize(("connector", "field"), DATES)
@pytest.mark.parametrize("instant", IMPOSSIBLE, ids=str)
def test_an_impossible_date_is_unreadable_and_the_last_readable_one_is_kept(connector, field, instant):
    broken = healthy(connector, **{field: instant})
    facts = {DATES[connector, field]: instant.isoformat()}
    for before in ([], [at(-HOUR, healthy(connector))], [at(-HOUR, broken)]):
        status = last(*before, at(NOTHING, broken))
        assert [(one.code, one.facts) for one in status.findings] == [("unreadable", facts)]
    known = getattr(healthy(connector), field)
    assert getattr(last(at(-HOUR, healthy(connector)), at(NOTHING, broken)).token, field) == known


def test_an_impossible_date_of_an_older_release_is_not_judged_again():
    stored = a_status(ade(expires_on=datetime(1601, 1, 1, tzinfo=UTC)))
    status = last(at(NOTHING, ade(**cannot_read("expires_on"))), remembered=[stored])
    assert codes(status) == ["unreadable"]


@pytest.mark.parametrize("expires_on", [datetime(2007, 1, 1, tzinfo=UTC), NOW + 3653 * DAY])
def test_a_date_at_the_edge_of_the_possible_is_judged(expires_on):
    assert codes(last(at(NOTHING, ade(expires_on=expires_on)))) == (["expired"] if expires_on < NOW else [])


# --- never_synced


@pytest.mark.parametrize(
    ("connector", "modified", "seen_before", "expected"),
    [
        (ADE, NOW - 36 * HOUR + SECOND, NOTHING, []),
        (ADE, NOW - 36 * HOUR, NOTHING, ["never_synced warning"]),
        (ADE, NOW, 36 * HOUR - SECOND, []),
        (ADE, NOW, 36 * HOUR, ["never_synced warning"]),
        (ADE, NOW + DAY, NOTHING, []),
        (ADE, None, 36 * HOUR - SECOND, []),
        (ADE, None, 36 * HOUR, ["never_synced warning"]),
        (VPP, None, 48 * HOUR - SECOND, []),
        (VPP, None, 48 * HOUR, ["never_synced warning"]),
        (VPP, NOW - 3 * DAY, NOTHING, ["never_synced warning"]),
        (VPP, NOW - DAY, NOTHING, []),
    ],
)
def test_a_token_has_never_synced_once_it_is_known_or_modified_long_enough_ago(
    connector, modified, seen_before, expected
):
    token = healthy(connector, last_successful_sync=None, last_modified=modified)
    assert found(last(*(at(-span, token) for span in (seen_before, NOTHING)))) == expected


def test_a_first_sight_ahead_of_now_counts_as_now():
    token = ade(last_successful_sync=None, last_modified=None)
    status = last(at(NOTHING, token), remembered=[a_status(token, first_seen=NOW + DAY)])
    assert (status.first_seen, codes(status)) == (NOW, [])


def test_never_synced_neither_begins_nor_ends_with_an_unreadable_success():
    unreadable = ade(**cannot_read("last_successful_sync", "5"))
    assert codes(last(at(-90 * DAY, ade()), at(NOTHING, unreadable))) == ["unreadable"]
    assert codes(last(at(NOTHING, unreadable))) == ["unreadable"]
    first, *later = each(at(-HOUR, ade(last_successful_sync=None)), *(at(hour * HOUR, unreadable) for hour in range(2)))
    assert [codes(status) for status in (first, *later)] == [["never_synced"], *[["unreadable", "never_synced"]] * 2]
    assert {held(status, Code.NEVER_SYNCED).since for status in later} == {NOW - HOUR}


def test_a_success_that_disappears_from_an_ade_token_makes_it_never_synced():
    assert codes(last(at(-HOUR, ade()), at(NOTHING, ade(last_successful_sync=None)))) == ["never_synced"]


# --- the last success of a VPP token


def test_the_last_success_of_a_vpp_token_is_remembered_until_a_sync_completes():
    failing = [at(day * DAY, vpp(**NO_SUCCESS)) for day in range(1, 5)]
    *statuses, synced = each(
        at(NOTHING, vpp(last_successful_sync=NOW)), *failing, at(6 * DAY, vpp(last_successful_sync=NOW + 6 * DAY))
    )
    assert {status.token.last_successful_sync for status in statuses} == {NOW}
    assert [severity(status, Code.SYNC_STALE) for status in statuses] == [None, None, WARNING, WARNING, CRITICAL]
    assert (synced.health, synced.token.last_successful_sync) == (HEALTHY, NOW + 6 * DAY)


@pytest.mark.parametrize("sync_status", ["none", "inProgress", "assigned"])
def test_a_remembered_success_counts_whatever_the_status_of_a_newer_attempt(sync_status):
    synced = at(-60 * DAY, vpp(last_successful_sync=NOW - 60 * DAY, last_sync=NOW - 60 * DAY))
    running = vpp(last_successful_sync=None, last_sync=NOW - HOUR, sync_status=sync_status)
    status = last(synced, at(NOTHING, running))
    assert (codes(status), severity(status, Code.SYNC_STALE)) == (["sync_stale"], CRITICAL)


SYNC_STATUSES = ["none", "inProgress", "completed", "failed", "paused", None]


@pytest.mark.parametrize("sync_status", SYNC_STATUSES)
@pytest.mark.parametrize(("days", "stale"), [(1, None), (2, WARNING), (60, CRITICAL)])
def test_the_date_of_the_last_vpp_sync_counts_whatever_its_status(days, stale, sync_status):
    dates = {"lastSyncDateTime": NOW - days * DAY, "lastModifiedDateTime": NOW - 70 * DAY}
    formatted = {name: f"{on:%Y-%m-%dT%H:%M:%SZ}" for name, on in dates.items()}
    token = decoded(VPP, {**WIRE[VPP], **formatted, "lastSyncStatus": sync_status})
    for status in each(at(NOTHING, token), at(HOUR, token)):
        assert severity(status, Code.SYNC_STALE) is stale
        assert Code.NEVER_SYNCED not in codes(status)
    assert (sync_status in {"paused", None}) == ("unreadable" in codes(status))


# --- not_set_up


NEVER_UPLOADED = {"type": "none", "expires_on": None, "last_successful_sync": None}


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (ade(**NEVER_UPLOADED), ["not_set_up info"]),
        (ade(**NEVER_UPLOADED | {"last_successful_sync": NOW - 90 * DAY}), ["not_set_up info"]),
        (ade(**NEVER_UPLOADED, sync_error_code=7), ["sync_error warning", "not_set_up info"]),
        (ade(type="none"), []),
        (ade(type="none", **cannot_read("expires_on", "soon")), ["unreadable unknown"]),
        (vpp(type="none", expires_on=None), []),
    ],
)
def test_only_an_ade_token_that_was_never_uploaded_is_not_set_up(token, expected):
    assert found(last(at(-HOUR, token), at(NOTHING, token))) == expected


@pytest.mark.parametrize("value", [None, "0001-01-01T00:00:00Z", "missing"])
@pytest.mark.parametrize(("kind", "finding"), [("none", "not_set_up"), ("dep", "unreadable")])
def test_an_ade_token_without_an_expiry_is_not_set_up_if_its_type_is_none_and_else_unreadable(value, kind, finding):
    wire = {**WIRE[ADE], "tokenType": kind, "tokenExpirationDateTime": value}
    if value == "missing":
        del wire["tokenExpirationDateTime"]
    assert codes(last(at(NOTHING, decoded(ADE, wire)))) == [finding]
