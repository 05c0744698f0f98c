"""Findings that follow from the values of a token: terms, sync errors, states, and values that cannot be read."""

import json

import pytest
from msgspec.structs import replace

from shared.guidance.catalogue import CATALOGUE
from shared.guidance.guidance import Guidance
from shared.model.tokens import Code, Connector, Token
from tests.unit.builders import (
    WIRE,
    a_status,
    ade,
    apns,
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
from tests.unit.terms import (
    ADE,
    APNS,
    CRITICAL,
    DAY,
    HEALTHY,
    HOUR,
    MINUTE,
    NOTHING,
    NOW,
    SECOND,
    UNKNOWN,
    VPP,
    WARNING,
)

WRONG: dict[Code, dict[str, object]] = {
    Code.EXPIRED: {"tokenExpirationDateTime": "2026-11-23T06:07:00Z", "expirationDateTime": "2026-11-23T06:07:00Z"},
    Code.EXPIRING: {"tokenExpirationDateTime": "2026-11-24T06:07:00Z", "expirationDateTime": "2026-11-24T06:07:00Z"},
    Code.TERMS_NOT_ACCEPTED: {"lastSyncErrorCode": 3},
    Code.SYNC_ERROR: {"lastSyncErrorCode": 7, "lastSyncStatus": "failed"},
    Code.SYNC_STALE: {
        "lastSuccessfulSyncDateTime": "2026-11-01T00:00:00Z",
        "lastSyncDateTime": "2026-11-01T00:00:00Z",
        "lastSyncStatus": "completed",
    },
    Code.NEVER_SYNCED: {"lastSuccessfulSyncDateTime": None, "lastSyncDateTime": None, "lastSyncStatus": "completed"},
    Code.NOT_SET_UP: {
        "tokenType": "none",
        "vppTokenAccountType": "none",
        "tokenExpirationDateTime": None,
        "expirationDateTime": None,
    },
    Code.INVALID: {"state": "invalid", "certificateUploadFailureReason": "It does not match the request."},
    Code.DUPLICATE_LOCATION: {"state": "duplicateLocationId"},
    Code.UNREADABLE: {"tokenExpirationDateTime": 5, "expirationDateTime": 5},
    Code.APPLE_ID_CHANGED: {"appleIdentifier": "new@contoso.com", "appleId": "new@contoso.com"},
    Code.PUSH_TOPIC_CHANGED: {"topicIdentifier": "com.apple.mgmt.External.2"},
    Code.DEVICES_DROPPED: {"syncedDeviceCount": 0, "lastSuccessfulSyncDateTime": "2026-11-23T06:07:00Z"},
}
"""What Graph would send for each finding, with the property names of every connector."""

EVERY_NAME = {name: value for wire in WIRE.values() for name, value in wire.items()}


@pytest.mark.parametrize("connector", Connector)
@pytest.mark.parametrize("code", WRONG)
def test_a_finding_applies_only_to_the_connectors_of_its_catalogue_entry(code, connector):
    before = decoded(connector, {**EVERY_NAME, **WIRE[connector]})
    after = decoded(connector, {**EVERY_NAME, **WIRE[connector], **WRONG[code]})
    days = 10  # of being seen before, for `never_synced`
    if code is Code.NEVER_SYNCED and connector is VPP:
        before = replace(before, last_successful_sync=None)
    status = last(at(-days * DAY, before), at(NOTHING, after))
    assert (code in codes(status)) is (connector in CATALOGUE.findings[code].entries)


# --- the last sync failed


@pytest.mark.parametrize(
    ("token", "overrides", "expected"),
    [
        (ade(sync_error_code=0), {}, []),
        (ade(sync_error_code=3), {}, ["terms_not_accepted critical"]),
        (ade(sync_error_code=1), {}, ["sync_error warning"]),
        (ade(sync_error_code=2**31 - 1), {}, ["sync_error warning"]),
        (ade(sync_error_code=-(2**31)), {}, ["sync_error warning"]),
        (ade(sync_error_code=7), {"sync_error_critical_hours": "1"}, ["sync_error warning"]),
        (ade(sync_error_code=7), {"sync_error_critical_hours": "0"}, ["sync_error critical"]),
        (ade(sync_error_code=7, last_successful_sync=NOW - 36 * HOUR + SECOND), {}, ["sync_error warning"]),
        (
            ade(sync_error_code=7, last_successful_sync=NOW - 36 * HOUR),
            {},
            ["sync_error critical", "sync_stale warning"],
        ),
        (vpp(sync_status="none"), {}, []),
        (vpp(sync_status="inProgress"), {}, []),
        (vpp(sync_status="assigned"), {}, []),
        (vpp(sync_status="failed"), {}, ["sync_error warning"]),
    ],
)
def test_a_failed_sync_is_a_finding_by_its_code_or_status(token, overrides, expected):
    assert found(last(at(NOTHING, token), **overrides)) == expected


@pytest.mark.parametrize(("age", "expected"), [(24 * HOUR - SECOND, WARNING), (24 * HOUR, CRITICAL)])
def test_a_sync_error_is_critical_after_a_day_even_if_its_code_changes(age, expected):
    status = last(
        *(
            at(span, ade(sync_error_code=code, last_successful_sync=NOW + span))
            for span, code in ((NOTHING, 7), (age, 9))
        )
    )
    finding = held(status, Code.SYNC_ERROR)
    assert (finding.severity, finding.since, finding.facts) == (expected, NOW, {"code": 9})


def test_a_sync_error_that_returns_begins_again():
    fine = {"last_successful_sync": NOW + 23 * HOUR}
    error = ade(sync_error_code=7, **fine)
    finding = held(last(at(NOTHING, error), at(23 * HOUR, ade(**fine)), at(24 * HOUR, error)), Code.SYNC_ERROR)
    assert (finding.severity, finding.since) == (WARNING, NOW + 24 * HOUR)


FAILING = {"sync_status": "failed", "last_successful_sync": None}


@pytest.mark.parametrize(
    ("age", "stale", "error"),
    [
        (48 * HOUR - SECOND, None, WARNING),
        (48 * HOUR, WARNING, WARNING),
        (96 * HOUR - SECOND, WARNING, WARNING),
        (96 * HOUR, CRITICAL, CRITICAL),
    ],
)
def test_a_vpp_sync_error_is_critical_when_the_stale_sync_is(age, stale, error):
    status = last(at(-age, vpp(last_successful_sync=NOW - age)), at(NOTHING, vpp(**FAILING)))
    assert (severity(status, Code.SYNC_STALE), severity(status, Code.SYNC_ERROR)) == (stale, error)


@pytest.mark.parametrize("code", [Code.SYNC_ERROR, Code.DUPLICATE_LOCATION])
@pytest.mark.parametrize(("age", "expected"), [(96 * HOUR - SECOND, WARNING), (96 * HOUR, CRITICAL)])
@pytest.mark.parametrize("known", ["last_sync", "last_modified", "first_seen"])
def test_a_vpp_token_that_failed_before_its_first_sight_is_critical_by_the_oldest_known_instant(
    known, age, expected, code
):
    dates = {"last_sync": NOW - HOUR, "last_modified": NOW - HOUR, "first_seen": NOW - HOUR, known: NOW - age}
    first_seen = dates.pop("first_seen")
    state = "duplicateLocationId" if code is Code.DUPLICATE_LOCATION else "valid"
    token = vpp(**FAILING, state=state, **dates)
    status = last(at(NOTHING, token), remembered=[a_status(token, first_seen=first_seen)])
    assert severity(status, code) is expected


def test_a_failing_vpp_token_stays_critical_until_a_sync_succeeds():
    failing = [at(day * DAY, vpp(**FAILING, last_sync=NOW + day * DAY)) for day in range(5)]
    begun = at(5 * DAY, vpp(sync_status="inProgress", last_successful_sync=None, last_sync=NOW + 5 * DAY))
    synced = at(6 * DAY, vpp(last_successful_sync=NOW + 6 * DAY, last_sync=NOW + 6 * DAY))
    statuses = each(*failing, begun, synced)
    assert [severity(one, Code.SYNC_ERROR) for one in statuses] == [*[WARNING] * 4, CRITICAL, CRITICAL, None]
    assert [step.severity for step in held(statuses[5], Code.SYNC_ERROR).steps] == [WARNING, CRITICAL]
    assert statuses[-1].health is HEALTHY


def test_a_failing_vpp_token_stays_critical_when_a_later_attempt_moves_its_last_sync():
    attempts = [at(NOTHING, vpp(**FAILING, last_sync=NOW - 10 * DAY)), at(HOUR, vpp(**FAILING, last_sync=NOW))]
    assert [severity(one, Code.SYNC_ERROR) for one in each(*attempts)] == [CRITICAL, CRITICAL]


# --- invalid, duplicate_location, and a renewal that Intune does not show yet


@pytest.mark.parametrize(
    ("token", "expected", "facts"),
    [
        (vpp(state="invalid"), ["invalid critical"], {"state": "invalid"}),
        (vpp(state="assignedToExternalMDM"), ["invalid critical"], {"state": "assignedToExternalMDM"}),
        (apns(upload_failure="It differs."), ["invalid critical"], {"reason": "It differs."}),
        (vpp(state="invalid", expires_on=NOW), ["expired 0 critical"], {}),
        (apns(upload_failure="It differs.", expires_on=NOW), ["expired 0 critical"], {}),
        (vpp(state="duplicateLocationId"), ["duplicate_location warning"], {}),
    ],
)
def test_a_token_that_apple_does_not_accept_is_invalid_unless_it_has_expired(token, expected, facts):
    status = last(at(NOTHING, token))
    assert (found(status), status.findings[0].facts) == (expected, facts)


RENEWED = {"modified": "2026-11-23 05:07 UTC"}
IN_A_YEAR = {"expires_on": NOW + 365 * DAY, "state": "expired"}


@pytest.mark.parametrize(
    ("fields", "facts"),
    [
        ({}, RENEWED),
        ({"state": "expired"}, {}),
        ({"sync_status": "failed"}, {}),
        ({"last_modified": NOW - 3 * DAY}, {}),
        ({"last_modified": None}, {}),
        (IN_A_YEAR, {"state": "expired", **RENEWED}),
        ({**IN_A_YEAR, "last_modified": NOW - 2 * DAY}, {"state": "expired"}),
    ],
    ids=str,
)
def test_an_expired_vpp_token_reports_a_renewal_that_intune_may_not_show_yet(fields, facts):
    status = last(at(NOTHING, vpp(**{"expires_on": NOW - 2 * DAY, "last_modified": NOW - HOUR, **fields})))
    finding = held(status, Code.EXPIRED)
    assert (finding.severity, finding.facts) == (CRITICAL, facts)
    assert ("a renewal may not show yet" in Guidance().summary(status, finding)) == ("modified" in facts)


# --- unreadable


@pytest.mark.parametrize(
    ("connector", "wrong"),
    [
        (ADE, {"tokenExpirationDateTime": None}),
        (ADE, {"lastSyncErrorCode": 3.0, "tokenExpirationDateTime": 5}),
        (ADE, {"tokenName": {}}),
        (APNS, {"topicIdentifier": ""}),
        (VPP, {"state": "unknown"}),
        (VPP, {"state": "Valid"}),
        (VPP, {"lastSyncStatus": ""}),
        (VPP, {"lastSyncStatus": "paused"}),
    ],
)
def test_needed_values_that_cannot_be_read_make_a_token_unknown_and_are_shown(connector, wrong):
    status = last(at(NOTHING, decoded(connector, {**WIRE[connector], **wrong})))
    facts = {name: json.dumps(value) for name, value in wrong.items()}
    assert [(one.code, one.severity, one.facts) for one in status.findings] == [("unreadable", UNKNOWN, facts)]


@pytest.mark.parametrize(("name", "value"), [("tokenType", "appleNew"), ("tokenName", None)])
def test_a_new_token_type_and_a_missing_name_are_healthy(name, value):
    assert last(at(NOTHING, decoded(ADE, {**WIRE[ADE], name: value}))).health is HEALTHY


LAST_READABLE = [
    (ade(expires_on=NOW + 5 * DAY), "expires_on", ["expiring", "unreadable"]),
    (apns(expires_on=NOW - DAY), "expires_on", ["expired", "unreadable"]),
    (ade(sync_error_code=3), "sync_error_code", ["terms_not_accepted", "unreadable"]),
    (ade(sync_error_code=7), "sync_error_code", ["unreadable", "sync_error"]),
    (ade(last_successful_sync=NOW - 40 * HOUR), "last_successful_sync", ["unreadable", "sync_stale"]),
    (vpp(last_successful_sync=NOW - 50 * HOUR), "last_successful_sync", ["unreadable", "sync_stale"]),
    (vpp(state="invalid"), "state", ["invalid", "unreadable"]),
    (vpp(state="expired"), "state", ["expired", "unreadable"]),
    (vpp(sync_status="failed"), "sync_status", ["unreadable", "sync_error"]),
    (apns(upload_failure="No."), "upload_failure", ["invalid", "unreadable"]),
    (ade(), "synced_devices", ["unreadable"]),
    (apns(), "topic", ["unreadable"]),
    (ade(), "apple_id", ["unreadable"]),
    (ade(), "name", ["unreadable"]),
]


@pytest.mark.parametrize(("before", "field", "expected"), LAST_READABLE)
def test_findings_follow_the_last_readable_value_until_the_value_is_readable_again(before: Token, field, expected):
    blank = {"name": "unnamed ade00000"} if field == "name" else {}
    now = healthy(before.connector, **blank, **cannot_read(field, "?"))
    *statuses, readable = each(
        at(-HOUR, before), at(NOTHING, now), at(MINUTE, now), at(HOUR, healthy(before.connector))
    )
    assert [codes(status) for status in statuses[1:]] == [expected] * 2
    assert {getattr(status.token, field) for status in statuses} == {getattr(before, field)}
    assert "unreadable" not in codes(readable)
