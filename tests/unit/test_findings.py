"""Which findings hold for a token that Graph told of: the table of section 4, and each of its boundaries."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from shared.guidance.guidance import Guidance
from shared.model.tokens import Code, Connector, Health, Status, Token
from tests.unit.builders import (
    ADE,
    APNS,
    CRITICAL,
    DAY,
    HEALTHY,
    HOUR,
    INFO,
    MINUTE,
    NOTHING,
    NOW,
    SECOND,
    UNKNOWN,
    VPP,
    WARNING,
    WIRE,
    a_status,
    ade,
    apns,
    at,
    cannot_read,
    codes,
    decoded,
    each,
    healthy,
    held,
    last,
    severity,
    vpp,
)

CONNECTORS_OF = {
    Code.EXPIRED: {ADE, APNS, VPP},
    Code.EXPIRING: {ADE, APNS, VPP},
    Code.TERMS_NOT_ACCEPTED: {ADE},
    Code.SYNC_ERROR: {ADE, VPP},
    Code.SYNC_STALE: {ADE, VPP},
    Code.NEVER_SYNCED: {ADE, VPP},
    Code.NOT_SET_UP: {ADE},
    Code.INVALID: {VPP, APNS},
    Code.DUPLICATE_LOCATION: {VPP},
    Code.UNREADABLE: {ADE, APNS, VPP},
    Code.APPLE_ID_CHANGED: {ADE, APNS, VPP},
    Code.PUSH_TOPIC_CHANGED: {APNS},
    Code.DEVICES_DROPPED: {ADE},
}
"""The table's second column, but for `unread` and `removed`, which are about what Graph did not tell."""

AMISS: dict[Code, dict[str, object]] = {
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


def expiring_in(connector: Connector, left):
    return last(at(NOTHING, healthy(connector, expires_on=NOW + left)))


def synced_ago(connector: Connector, age, **fields):
    return last(at(NOTHING, healthy(connector, last_successful_sync=NOW - age, **fields)))


# --- the table's second column


@pytest.mark.parametrize("connector", Connector)
@pytest.mark.parametrize("code", CONNECTORS_OF)
def test_a_finding_holds_for_its_connectors_and_for_no_other(code, connector):
    before = decoded(connector, {**EVERY_NAME, **WIRE[connector]})
    after = decoded(connector, {**EVERY_NAME, **WIRE[connector], **AMISS[code]})
    days = 10  # of being seen before, for `never_synced`
    if code is Code.NEVER_SYNCED and connector is VPP:
        before = replace(before, last_successful_sync=None)
    status = last(at(-days * DAY, before), at(NOTHING, after))
    assert (code in codes(status)) is (connector in CONNECTORS_OF[code])


@pytest.mark.parametrize("connector", Connector)
def test_a_token_that_nothing_is_wrong_with_is_healthy_and_has_no_findings(connector):
    first, second = each(at(NOTHING, healthy(connector)), at(HOUR, healthy(connector)))
    assert (first.health, first.findings) == (second.health, second.findings) == (HEALTHY, ())


# --- expired


@pytest.mark.parametrize("connector", Connector)
@pytest.mark.parametrize(("left", "expired"), [(SECOND, False), (NOTHING, True), (-SECOND, True)])
def test_a_token_is_expired_from_the_second_of_its_expiry(connector, left, expired):
    status = expiring_in(connector, left)
    assert severity(status, Code.EXPIRED) is (CRITICAL if expired else None)
    assert severity(status, Code.EXPIRING) is (None if expired else CRITICAL)


@pytest.mark.parametrize(
    ("past", "tier"),
    [
        (NOTHING, "0"),
        (30 * DAY - SECOND, "0"),
        (30 * DAY, "30"),
        (60 * DAY - SECOND, "30"),
        (60 * DAY, "60"),
        (365 * DAY, "360"),
    ],
)
def test_an_expired_token_is_told_again_every_thirty_days(past, tier):
    assert held(expiring_in(ADE, -past), Code.EXPIRED).tier == tier


@pytest.mark.parametrize("left", [SECOND, 7 * DAY, 300 * DAY])
def test_a_location_token_that_intune_calls_expired_is_expired_at_tier_0_although_its_date_is_not_past(left):
    status = last(at(NOTHING, vpp(state="expired", expires_on=NOW + left)))
    assert [(one.code, one.severity, one.tier) for one in status.findings] == [("expired", CRITICAL, "0")]


def test_a_location_token_that_intune_calls_expired_goes_by_its_date_once_that_is_past():
    status = last(at(NOTHING, vpp(state="expired", expires_on=NOW - 30 * DAY)))
    assert held(status, Code.EXPIRED).tier == "30"


def test_a_location_token_that_intune_calls_expired_is_expired_without_a_date():
    status = last(at(NOTHING, vpp(state="expired", **cannot_read("expires_on"))))
    assert [(one.code, one.tier) for one in status.findings] == [("expired", "0"), ("unreadable", None)]


# --- expiring


@pytest.mark.parametrize("connector", Connector)
@pytest.mark.parametrize(
    ("left", "tier", "expected"),
    [
        (60 * DAY + SECOND, None, None),
        (60 * DAY, "60", WARNING),
        (30 * DAY + SECOND, "60", WARNING),
        (30 * DAY, "30", WARNING),
        (14 * DAY + SECOND, "30", WARNING),
        (14 * DAY, "14", WARNING),
        (7 * DAY + SECOND, "14", WARNING),
        (7 * DAY, "7", CRITICAL),
        (DAY + SECOND, "7", CRITICAL),
        (DAY, "1", CRITICAL),
        (SECOND, "1", CRITICAL),
    ],
)
def test_an_expiry_is_told_at_60_30_14_7_and_1_days(connector, left, tier, expected):
    status = expiring_in(connector, left)
    found = status.finding(Code.EXPIRING)
    assert (found and found.tier, found and found.severity) == (tier, expected)
    assert status.health is (expected or HEALTHY)


@pytest.mark.parametrize(("left", "tier", "expected"), [(45, "45", WARNING), (20, "20", CRITICAL), (46, None, None)])
def test_an_expiry_is_told_at_the_days_of_ones_own_choosing(left, tier, expected):
    status = last(at(NOTHING, ade(expires_on=NOW + left * DAY)), expiry_warning_days="45", expiry_critical_days="20")
    found = status.finding(Code.EXPIRING)
    assert (found and found.tier, found and found.severity) == (tier, expected)


def test_an_expiry_keeps_its_since_through_all_its_tiers_and_starts_anew_when_it_has_passed():
    expiry = NOW + 60 * DAY
    days = (0, 30, 46, 53, 59, 60)
    statuses = each(*(at(day * DAY, ade(expires_on=expiry, last_successful_sync=NOW + day * DAY)) for day in days))
    of_expiry = [one for status in statuses for one in status.findings if not one.superseded]
    assert [(one.code, one.tier, one.since) for one in of_expiry] == [
        *(("expiring", tier, NOW) for tier in ("60", "30", "14", "7", "1")),
        ("expired", "0", NOW + 60 * DAY),
    ]


IMPOSSIBLE = [
    datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    NOW + 3654 * DAY,
    datetime(2006, 12, 31, 23, 59, 59, tzinfo=UTC),
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(1601, 1, 1, tzinfo=UTC),
    datetime(1, 1, 2, tzinfo=UTC),
]
JUDGED = {
    (ADE, "expires_on"): "tokenExpirationDateTime",
    (ADE, "last_successful_sync"): "lastSuccessfulSyncDateTime",
    (ADE, "last_modified"): "lastModifiedDateTime",
    (APNS, "expires_on"): "expirationDateTime",
    (VPP, "expires_on"): "expirationDateTime",
    (VPP, "last_successful_sync"): "lastSyncDateTime",
    (VPP, "last_sync"): "lastSyncDateTime",
    (VPP, "last_modified"): "lastModifiedDateTime",
}


@pytest.mark.parametrize(("connector", "field"), JUDGED)
@pytest.mark.parametrize("instant", IMPOSSIBLE, ids=str)
def test_a_date_that_cannot_be_true_is_unreadable_and_the_last_readable_one_stays(connector, field, instant):
    broken = healthy(connector, **{field: instant})
    facts = {JUDGED[connector, field]: instant.isoformat()}
    for before in ([], [at(-HOUR, healthy(connector))], [at(-HOUR, broken)]):
        status = last(*before, at(NOTHING, broken))
        assert [(one.code, one.severity, one.facts) for one in status.findings] == [("unreadable", UNKNOWN, facts)]
    known = getattr(healthy(connector), field)
    assert getattr(last(at(-HOUR, healthy(connector)), at(NOTHING, broken)).token, field) == known


def test_an_impossible_date_that_an_older_release_stored_is_not_judged_again():
    stored = a_status(ade(expires_on=datetime(1601, 1, 1, tzinfo=UTC)))
    status = last(at(NOTHING, ade(**cannot_read("expires_on"))), remembered=[stored])
    assert codes(status) == ["unreadable"]


@pytest.mark.parametrize("expires_on", [datetime(2007, 1, 1, tzinfo=UTC), NOW + 3653 * DAY])
@pytest.mark.parametrize("connector", Connector)
def test_a_date_at_the_edge_of_what_can_be_true_is_judged(connector, expires_on):
    status = last(at(NOTHING, healthy(connector, expires_on=expires_on)))
    assert codes(status) == (["expired"] if expires_on < NOW else [])


# --- terms_not_accepted and sync_error, ADE


@pytest.mark.parametrize(
    ("code", "finding"),
    [
        (-(2**31), "sync_error"),
        (-1, "sync_error"),
        (0, None),
        (1, "sync_error"),
        (2, "sync_error"),
        (3, "terms_not_accepted"),
        (4, "sync_error"),
        (2**31 - 1, "sync_error"),
    ],
)
def test_code_3_is_the_terms_and_any_other_but_0_a_sync_error(code, finding):
    assert codes(last(at(NOTHING, ade(sync_error_code=code)))) == ([finding] if finding else [])


def test_terms_that_nobody_accepted_are_critical_at_once():
    assert severity(last(at(NOTHING, ade(sync_error_code=3))), Code.TERMS_NOT_ACCEPTED) is CRITICAL


def test_a_sync_error_tells_its_code():
    assert held(last(at(NOTHING, ade(sync_error_code=7))), Code.SYNC_ERROR).facts == {"code": 7}


@pytest.mark.parametrize(
    ("lasting", "expected"), [(NOTHING, WARNING), (24 * HOUR - SECOND, WARNING), (24 * HOUR, CRITICAL)]
)
def test_a_sync_error_becomes_critical_once_it_has_lasted_a_day(lasting, expected):
    status = last(*(at(span, ade(sync_error_code=7, last_successful_sync=NOW + span)) for span in (NOTHING, lasting)))
    assert severity(status, Code.SYNC_ERROR) is expected
    assert held(status, Code.SYNC_ERROR).since == NOW


def test_a_sync_error_lasts_on_although_its_code_becomes_another():
    status = last(
        at(NOTHING, ade(sync_error_code=7)), at(24 * HOUR, ade(sync_error_code=9, last_successful_sync=NOW + 23 * HOUR))
    )
    found = held(status, Code.SYNC_ERROR)
    assert (found.severity, found.since, found.facts) == (CRITICAL, NOW, {"code": 9})


def test_a_sync_error_that_went_and_came_back_starts_anew():
    fine = {"last_successful_sync": NOW + 23 * HOUR}
    status = last(
        at(NOTHING, ade(sync_error_code=7)), at(23 * HOUR, ade(**fine)), at(24 * HOUR, ade(sync_error_code=7, **fine))
    )
    assert (held(status, Code.SYNC_ERROR).severity, held(status, Code.SYNC_ERROR).since) == (WARNING, NOW + 24 * HOUR)


@pytest.mark.parametrize(("age", "expected"), [(36 * HOUR - SECOND, WARNING), (36 * HOUR, CRITICAL)])
def test_a_sync_error_is_critical_as_soon_as_the_sync_is_stale_too(age, expected):
    assert severity(synced_ago(ADE, age, sync_error_code=7), Code.SYNC_ERROR) is expected


@pytest.mark.parametrize(("hours", "expected"), [("0", CRITICAL), ("1", WARNING)])
def test_a_sync_error_is_critical_after_the_hours_of_ones_own_choosing(hours, expected):
    status = last(at(NOTHING, ade(sync_error_code=7)), sync_error_critical_hours=hours)
    assert severity(status, Code.SYNC_ERROR) is expected


def test_the_terms_and_a_stale_sync_of_a_token_that_expires_far_ahead_are_both_told():
    """The capture that every tool which looks at the expiry alone calls healthy."""
    token = ade(sync_error_code=3, synced_devices=0, last_successful_sync=NOW - 90 * DAY, expires_on=NOW + 240 * DAY)
    status = last(at(NOTHING, token))
    assert [(one.code, one.severity, one.caused_by) for one in status.findings] == [
        ("terms_not_accepted", CRITICAL, None),
        ("sync_stale", CRITICAL, "terms_not_accepted"),
    ]


# --- sync_error, VPP


@pytest.mark.parametrize("status", ["none", "inProgress", "completed", "assigned"])
def test_a_location_token_has_a_sync_error_at_no_status_but_failed(status):
    assert codes(last(at(NOTHING, vpp(sync_status=status)))) == []


@pytest.mark.parametrize(
    ("age", "stale", "error"),
    [
        (48 * HOUR - SECOND, None, WARNING),
        (48 * HOUR, WARNING, WARNING),
        (96 * HOUR - SECOND, WARNING, WARNING),
        (96 * HOUR, CRITICAL, CRITICAL),
    ],
)
def test_a_failed_sync_of_a_location_token_is_critical_exactly_while_the_stale_sync_is(age, stale, error):
    synced, failing = vpp(last_successful_sync=NOW - age), vpp(sync_status="failed", last_successful_sync=None)
    status = last(at(-age, synced), at(NOTHING, failing))
    assert (severity(status, Code.SYNC_STALE), severity(status, Code.SYNC_ERROR)) == (stale, error)


FAILING = {"sync_status": "failed", "last_successful_sync": None}


@pytest.mark.parametrize("code", [Code.SYNC_ERROR, Code.DUPLICATE_LOCATION])
@pytest.mark.parametrize(("age", "expected"), [(96 * HOUR - SECOND, WARNING), (96 * HOUR, CRITICAL)])
@pytest.mark.parametrize("known", ["last_sync", "last_modified", "first_seen"])
def test_a_location_token_that_failed_before_it_was_first_seen_escalates_by_the_oldest_instant_known(
    known, age, expected, code
):
    dates = {"last_sync": NOW - HOUR, "last_modified": NOW - HOUR, "first_seen": NOW - HOUR, known: NOW - age}
    first_seen = dates.pop("first_seen")
    state = "duplicateLocationId" if code is Code.DUPLICATE_LOCATION else "valid"
    token = vpp(**FAILING, state=state, **dates)
    status = last(at(NOTHING, token), remembered=[a_status(token, first_seen=first_seen)])
    assert severity(status, code) is expected


def test_a_location_token_that_fails_from_first_sight_on_is_critical_by_a_step_until_a_sync_succeeds():
    failing = [at(day * DAY, vpp(**FAILING, last_sync=NOW + day * DAY)) for day in range(5)]
    begun = at(5 * DAY, vpp(sync_status="inProgress", last_successful_sync=None, last_sync=NOW + 5 * DAY))
    synced = at(6 * DAY, vpp(last_successful_sync=NOW + 6 * DAY, last_sync=NOW + 6 * DAY))
    statuses = each(*failing, begun, synced)
    assert [severity(one, Code.SYNC_ERROR) for one in statuses] == [*[WARNING] * 4, CRITICAL, CRITICAL, None]
    assert [step.severity for step in held(statuses[5], Code.SYNC_ERROR).steps] == [WARNING, CRITICAL]
    assert statuses[-1].health is HEALTHY


def test_a_failing_location_token_stays_critical_although_a_later_attempt_moves_the_date_of_its_last_sync():
    attempts = [at(NOTHING, vpp(**FAILING, last_sync=NOW - 10 * DAY)), at(HOUR, vpp(**FAILING, last_sync=NOW))]
    assert [severity(one, Code.SYNC_ERROR) for one in each(*attempts)] == [CRITICAL, CRITICAL]


# --- sync_stale


@pytest.mark.parametrize(
    ("connector", "age", "expected"),
    [
        (ADE, 36 * HOUR - SECOND, None),
        (ADE, 36 * HOUR, WARNING),
        (ADE, 72 * HOUR - SECOND, WARNING),
        (ADE, 72 * HOUR, CRITICAL),
        (VPP, 48 * HOUR - SECOND, None),
        (VPP, 48 * HOUR, WARNING),
        (VPP, 96 * HOUR - SECOND, WARNING),
        (VPP, 96 * HOUR, CRITICAL),
    ],
)
def test_a_sync_is_stale_from_the_connectors_own_hours(connector, age, expected):
    status = synced_ago(connector, age)
    assert (severity(status, Code.SYNC_STALE), status.health) == (expected, expected or HEALTHY)


@pytest.mark.parametrize(
    ("connector", "names"),
    [
        (ADE, ("sync_stale_warning_hours", "sync_stale_critical_hours")),
        (VPP, ("vpp_sync_stale_warning_hours", "vpp_sync_stale_critical_hours")),
    ],
)
@pytest.mark.parametrize(("hours", "expected"), [(1, None), (2, WARNING), (3, CRITICAL)])
def test_a_sync_is_stale_after_the_hours_of_ones_own_choosing(connector, names, hours, expected):
    token = healthy(connector, last_successful_sync=NOW - hours * HOUR)
    status = last(at(NOTHING, token), **dict(zip(names, ("2", "3"), strict=True)))
    assert severity(status, Code.SYNC_STALE) is expected


@pytest.mark.parametrize("connector", [ADE, VPP])
@pytest.mark.parametrize("ahead", [NOTHING, SECOND, 5 * MINUTE])
def test_a_sync_that_is_up_to_five_minutes_ahead_is_now(connector, ahead):
    status = synced_ago(connector, -ahead)
    assert (status.health, status.token.unreadable) == (HEALTHY, ())


@pytest.mark.parametrize(
    ("connector", "name"), [(ADE, "lastSuccessfulSyncDateTime"), (VPP, "lastSyncDateTime")], ids=str
)
@pytest.mark.parametrize("ahead", [5 * MINUTE + SECOND, 365 * DAY])
def test_a_sync_further_ahead_is_unreadable_and_the_last_readable_one_counts(connector, name, ahead):
    before = healthy(connector, last_successful_sync=NOW - 100 * HOUR)
    status = last(at(-HOUR, before), at(NOTHING, healthy(connector, last_successful_sync=NOW + ahead)))
    assert codes(status) == ["sync_stale", "unreadable"]
    assert held(status, Code.UNREADABLE).facts == {name: (NOW + ahead).isoformat()}
    assert status.token.last_successful_sync == NOW - 100 * HOUR


def test_a_sync_too_far_ahead_does_not_hide_what_else_is_unreadable():
    wire = {**WIRE[ADE], "lastSuccessfulSyncDateTime": "2027-01-01T00:00:00Z", "lastSyncErrorCode": None}
    found = held(last(at(NOTHING, decoded(ADE, wire))), Code.UNREADABLE)
    assert set(found.facts) == {"lastSuccessfulSyncDateTime", "lastSyncErrorCode"}


# --- never_synced


@pytest.mark.parametrize(
    ("modified", "seen_before", "expected"),
    [
        (NOW - 36 * HOUR + SECOND, NOTHING, None),
        (NOW - 36 * HOUR, NOTHING, WARNING),
        (NOW, 36 * HOUR - SECOND, None),
        (NOW, 36 * HOUR, WARNING),
        (NOW + DAY, NOTHING, None),
        (None, 36 * HOUR - SECOND, None),
        (None, 36 * HOUR, WARNING),
    ],
)
def test_an_ade_token_that_never_synced_is_told_by_its_first_sight_or_modification_whichever_is_earlier(
    modified, seen_before, expected
):
    token = ade(last_successful_sync=None, last_modified=modified)
    status = last(*(at(-span, token) for span in (seen_before, NOTHING)))
    assert (codes(status), status.health) == (["never_synced"] if expected else [], expected or HEALTHY)


@pytest.mark.parametrize("sync_status", ["none", "inProgress", "completed"])
@pytest.mark.parametrize(("seen_before", "expected"), [(48 * HOUR - SECOND, None), (48 * HOUR, WARNING)])
def test_a_location_token_that_never_synced_is_told_by_its_first_sight(sync_status, seen_before, expected):
    token = vpp(last_successful_sync=None, sync_status=sync_status)
    status = last(at(-seen_before, token), at(NOTHING, token))
    assert severity(status, Code.NEVER_SYNCED) is expected
    assert Code.SYNC_STALE not in codes(status)


def test_a_first_sight_that_lies_ahead_of_now_counts_as_now():
    token = ade(last_successful_sync=None, last_modified=None)
    status = last(at(NOTHING, token), remembered=[a_status(token, first_seen=NOW + DAY)])
    assert (status.first_seen, codes(status)) == (NOW, [])


def test_an_ade_token_whose_success_is_gone_from_the_record_never_synced():
    status = last(at(-HOUR, ade()), at(NOTHING, ade(last_successful_sync=None)))
    assert codes(status) == ["never_synced"]


def test_a_success_that_cannot_be_read_is_not_called_never():
    status = last(at(-90 * DAY, ade()), at(NOTHING, ade(**cannot_read("last_successful_sync", "5"))))
    assert Code.NEVER_SYNCED not in codes(status)
    assert codes(last(at(NOTHING, ade(**cannot_read("last_successful_sync", "5"))))) == ["unreadable"]


def test_a_token_that_never_synced_still_never_did_when_the_value_becomes_unreadable():
    """Nothing resolves because the monitor went blind."""
    never = ade(last_successful_sync=None)
    statuses = each(
        at(-HOUR, never), *(at(hour * HOUR, ade(**cannot_read("last_successful_sync", "5"))) for hour in range(3))
    )
    assert [codes(status) for status in statuses] == [["never_synced"], *[["unreadable", "never_synced"]] * 3]
    assert {held(status, Code.NEVER_SYNCED).since for status in statuses} == {NOW - HOUR}


# --- VPP's last success


@pytest.mark.parametrize("sync_status", ["none", "inProgress", "failed", "assigned"])
def test_the_last_success_of_a_location_token_is_the_remembered_one_unless_its_sync_completed(sync_status):
    status = last(at(-HOUR, vpp()), at(NOTHING, vpp(sync_status=sync_status, last_successful_sync=None)))
    assert status.token.last_successful_sync == NOW - HOUR


def test_the_last_success_of_a_location_token_is_remembered_over_many_runs_and_goes_stale():
    failing = vpp(sync_status="failed", last_successful_sync=None)
    statuses = each(at(NOTHING, vpp(last_successful_sync=NOW)), *(at(day * DAY, failing) for day in range(1, 5)))
    assert [severity(status, Code.SYNC_STALE) for status in statuses] == [None, None, WARNING, WARNING, CRITICAL]


def test_a_completed_sync_of_a_location_token_is_its_last_success_again():
    failing = vpp(sync_status="failed", last_successful_sync=None)
    status = last(at(NOTHING, vpp()), at(5 * DAY, failing), at(6 * DAY, vpp(last_successful_sync=NOW + 6 * DAY)))
    assert (status.health, status.token.last_successful_sync) == (HEALTHY, NOW + 6 * DAY)


# --- not_set_up


def test_an_ade_token_that_was_never_uploaded_is_not_set_up_and_neither_stale_nor_never_synced():
    token = ade(type="none", expires_on=None, last_successful_sync=None)
    stale = replace(token, last_successful_sync=NOW - 90 * DAY)
    for one in (token, stale):
        status = last(at(-90 * DAY, one), at(NOTHING, one))
        assert [(finding.code, finding.severity) for finding in status.findings] == [("not_set_up", INFO)]


def test_an_ade_token_of_type_none_that_has_an_expiry_is_set_up():
    assert codes(last(at(NOTHING, ade(type="none", last_successful_sync=NOW - 40 * HOUR)))) == ["sync_stale"]


def test_a_location_token_of_type_none_is_not_called_not_set_up():
    assert codes(last(at(NOTHING, vpp(type="none", expires_on=None)))) == []


def test_an_ade_token_that_is_not_set_up_can_still_have_a_sync_error():
    token = ade(type="none", expires_on=None, last_successful_sync=None, sync_error_code=7)
    assert codes(last(at(NOTHING, token))) == ["sync_error", "not_set_up"]


def test_an_expiry_that_cannot_be_read_does_not_make_a_token_not_set_up():
    assert codes(last(at(NOTHING, ade(type="none", **cannot_read("expires_on", "soon"))))) == ["unreadable"]


@pytest.mark.parametrize("value", [None, "0001-01-01T00:00:00Z", "missing"])
@pytest.mark.parametrize(("kind", "finding"), [("none", "not_set_up"), ("dep", "unreadable")])
def test_an_expiry_that_is_null_missing_or_of_year_1_is_not_set_up_for_type_none_and_else_unreadable(
    value, kind, finding
):
    wire = {**WIRE[ADE], "tokenType": kind, "tokenExpirationDateTime": value}
    if value == "missing":
        del wire["tokenExpirationDateTime"]
    assert codes(last(at(NOTHING, decoded(ADE, wire)))) == [finding]


# --- invalid and duplicate_location


@pytest.mark.parametrize("state", ["invalid", "assignedToExternalMDM"])
def test_a_location_token_that_apple_or_another_mdm_took_away_is_invalid(state):
    status = last(at(NOTHING, vpp(state=state)))
    assert [(one.code, one.severity, one.facts) for one in status.findings] == [("invalid", CRITICAL, {"state": state})]


def test_a_push_certificate_whose_upload_failed_is_invalid_and_says_why():
    status = last(at(NOTHING, apns(upload_failure="It does not match.")))
    found = held(status, Code.INVALID)
    assert (found.severity, found.facts) == (CRITICAL, {"reason": "It does not match."})


@pytest.mark.parametrize("token", [vpp(state="invalid"), apns(upload_failure="It does not match.")])
@pytest.mark.parametrize(("left", "expected"), [(SECOND, ["invalid", "expiring"]), (NOTHING, ["expired"])])
def test_an_expired_token_is_not_called_invalid_as_well(token, left, expected):
    assert sorted(codes(last(at(NOTHING, replace(token, expires_on=NOW + left))))) == sorted(expected)


def test_two_location_tokens_of_one_location_are_told_as_duplicates():
    status = last(at(NOTHING, vpp(state="duplicateLocationId")))
    assert [(one.code, one.severity) for one in status.findings] == [("duplicate_location", WARNING)]


# --- unreadable


UNREADABLE = [
    (ADE, "tokenExpirationDateTime", None, "null"),
    (ADE, "tokenExpirationDateTime", "0001-01-01T00:00:00Z", '"0001-01-01T00:00:00Z"'),
    (ADE, "tokenExpirationDateTime", "soon", '"soon"'),
    (ADE, "lastSuccessfulSyncDateTime", "soon", '"soon"'),
    (ADE, "lastModifiedDateTime", 5, "5"),
    (ADE, "lastSyncErrorCode", None, "null"),
    (ADE, "lastSyncErrorCode", "3", '"3"'),
    (ADE, "lastSyncErrorCode", True, "true"),
    (ADE, "lastSyncErrorCode", 3.0, "3.0"),
    (ADE, "lastSyncErrorCode", 2**31, "2147483648"),
    (ADE, "lastSyncErrorCode", -(2**31) - 1, "-2147483649"),
    (ADE, "syncedDeviceCount", "many", '"many"'),
    (ADE, "tokenType", 5, "5"),
    (ADE, "appleIdentifier", ["a"], '["a"]'),
    (ADE, "tokenName", {}, "{}"),
    (APNS, "expirationDateTime", None, "null"),
    (APNS, "topicIdentifier", None, "null"),
    (APNS, "topicIdentifier", "", '""'),
    (APNS, "certificateUploadFailureReason", 5, "5"),
    (VPP, "expirationDateTime", None, "null"),
    (VPP, "state", None, "null"),
    (VPP, "state", "", '""'),
    (VPP, "state", "unknown", '"unknown"'),
    (VPP, "state", "brandNew", '"brandNew"'),
    (VPP, "state", "Valid", '"Valid"'),
    (VPP, "lastSyncStatus", None, "null"),
    (VPP, "lastSyncStatus", "", '""'),
    (VPP, "lastSyncDateTime", "soon", '"soon"'),
]


@pytest.mark.parametrize(("connector", "name", "value", "raw"), UNREADABLE)
def test_a_value_that_the_judgement_needs_and_cannot_read_makes_a_token_unknown_and_is_shown(
    connector, name, value, raw
):
    status = last(at(NOTHING, decoded(connector, {**WIRE[connector], name: value})))
    assert [(one.code, one.severity, one.facts) for one in status.findings] == [("unreadable", UNKNOWN, {name: raw})]
    assert status.health is UNKNOWN


@pytest.mark.parametrize(
    ("connector", "name"),
    [
        (ADE, "tokenExpirationDateTime"),
        (ADE, "lastSuccessfulSyncDateTime"),
        (ADE, "lastModifiedDateTime"),
        (ADE, "lastSyncErrorCode"),
        (ADE, "syncedDeviceCount"),
        (APNS, "expirationDateTime"),
        (APNS, "topicIdentifier"),
        (VPP, "expirationDateTime"),
        (VPP, "state"),
        (VPP, "lastSyncStatus"),
        (VPP, "lastSyncDateTime"),
    ],
)
def test_a_value_that_the_judgement_needs_and_that_is_not_there_is_unreadable_and_said_to_be_missing(connector, name):
    wire = {key: value for key, value in WIRE[connector].items() if key != name}
    status = last(at(NOTHING, decoded(connector, wire)))
    assert [(one.code, one.facts) for one in status.findings] == [("unreadable", {name: "missing"})]


@pytest.mark.parametrize(("connector", "name", "value"), [(ADE, "tokenType", "appleNew"), (ADE, "tokenName", None)])
def test_a_type_not_listed_and_a_missing_name_are_nothing_amiss(connector, name, value):
    assert last(at(NOTHING, decoded(connector, {**WIRE[connector], name: value}))).health is HEALTHY


def test_a_sync_status_not_listed_is_unreadable_and_the_last_one_stays():
    status = last(at(-HOUR, vpp()), at(NOTHING, decoded(VPP, {**WIRE[VPP], "lastSyncStatus": "paused"})))
    assert [(one.code, one.facts) for one in status.findings] == [("unreadable", {"lastSyncStatus": '"paused"'})]
    assert (status.token.sync_status, status.health) == ("completed", UNKNOWN)


SYNC_STATUSES = ["none", "inProgress", "completed", "failed", "paused", None]


@pytest.mark.parametrize("sync_status", SYNC_STATUSES)
@pytest.mark.parametrize(("days", "stale"), [(1, None), (2, WARNING), (60, CRITICAL)])
def test_what_the_last_syncs_date_says_holds_whatever_its_status_says(days, stale, sync_status):
    dates = {"lastSyncDateTime": NOW - days * DAY, "lastModifiedDateTime": NOW - 70 * DAY}
    wire = {
        **WIRE[VPP],
        **{name: f"{on:%Y-%m-%dT%H:%M:%SZ}" for name, on in dates.items()},
        "lastSyncStatus": sync_status,
    }
    for status in each(at(NOTHING, decoded(VPP, wire)), at(HOUR, decoded(VPP, wire))):
        assert severity(status, "sync_stale") is stale
        assert "never_synced" not in codes(status), "there was a sync"
    assert (sync_status in {"paused", None}) == ("unreadable" in codes(status))


def test_a_success_that_is_remembered_counts_until_a_newer_one():
    synced = at(-60 * DAY, vpp(last_successful_sync=NOW - 60 * DAY, last_sync=NOW - 60 * DAY))
    running = vpp(last_successful_sync=None, last_sync=NOW - HOUR, sync_status="inProgress")
    assert severity(last(synced, at(NOTHING, running)), "sync_stale") is CRITICAL


@pytest.mark.parametrize(("modified", "finding"), [(NOW - 3 * DAY, "never_synced"), (NOW - DAY, None), (None, None)])
def test_a_content_token_that_never_synced_is_dated_by_its_last_change(modified, finding):
    token = vpp(last_successful_sync=None, last_sync=None, sync_status="none", last_modified=modified)
    assert codes(last(at(NOTHING, token))) == ([finding] if finding else [])


RENEWED = {"modified": "2026-11-23 05:07 UTC"}


@pytest.mark.parametrize(
    ("fields", "facts"),
    [
        ({}, RENEWED),
        ({"state": "expired"}, {}),
        ({"sync_status": "failed"}, {}),
        ({"last_modified": NOW - 3 * DAY}, {}),
        ({"last_modified": None}, {}),
        ({"expires_on": NOW + 365 * DAY, "state": "expired"}, {"state": "expired", **RENEWED}),
        ({"expires_on": NOW + 365 * DAY, "state": "expired", "last_modified": NOW - 2 * DAY}, {"state": "expired"}),
    ],
    ids=str,
)
def test_an_expired_content_token_says_when_intune_may_not_show_a_renewal_yet(fields, facts):
    token = vpp(**{"expires_on": NOW - 2 * DAY, "last_modified": NOW - HOUR, **fields})
    status = last(at(NOTHING, token))
    assert (held(status, "expired").severity, held(status, "expired").facts) == (CRITICAL, facts)
    told = Guidance().summary(status, held(status, "expired"))
    assert ("a renewal may not show yet" in told) == ("modified" in facts), told


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
def test_findings_and_columns_go_by_the_last_readable_value_for_as_long_as_it_lasts(
    before: Token, field: str, expected
):
    blank = {"name": "unnamed ade00000"} if field == "name" else {}
    now = healthy(before.connector, **blank, **cannot_read(field, "?"))
    statuses = each(at(-HOUR, before), at(NOTHING, now), at(MINUTE, now), at(HOUR, now))
    assert [codes(status) for status in statuses[1:]] == [expected] * 3
    assert {getattr(status.token, field) for status in statuses} == {getattr(before, field)}


def test_a_value_that_can_be_read_again_ends_what_was_unreadable():
    status = last(at(-HOUR, ade(**cannot_read("expires_on"))), at(NOTHING, ade()))
    assert (status.health, status.token.expires_on) == (HEALTHY, NOW + 200 * DAY)


def test_every_value_that_cannot_be_read_is_told():
    wire = {**WIRE[ADE], "lastSyncErrorCode": None, "tokenExpirationDateTime": 5}
    found = held(last(at(NOTHING, decoded(ADE, wire))), Code.UNREADABLE)
    assert found.facts == {"lastSyncErrorCode": "null", "tokenExpirationDateTime": "5"}


# --- apple_id_changed


@pytest.mark.parametrize("connector", Connector)
def test_another_apple_id_is_told_with_the_old_and_the_new(connector):
    status = last(at(NOTHING, healthy(connector, apple_id="a@b.c")), at(HOUR, healthy(connector, apple_id="d@e.f")))
    found = held(status, Code.APPLE_ID_CHANGED)
    assert (found.severity, found.since, found.facts) == (INFO, NOW + HOUR, {"old": "a@b.c", "new": "d@e.f"})
    assert found.until == NOW + HOUR + 7 * DAY


def test_apple_ids_compare_without_case():
    assert last(at(NOTHING, ade(apple_id="Straße@b.c")), at(HOUR, ade(apple_id="STRASSE@B.C"))).findings == ()


@pytest.mark.parametrize(("before", "after"), [(None, "a@b.c"), ("a@b.c", None), (None, None)])
def test_an_apple_id_that_is_null_never_differs(before, after):
    status = last(at(NOTHING, ade(apple_id=before)), at(HOUR, ade(apple_id=after)))
    assert (status.findings, history_of_apple_ids(status)) == ((), [])


def history_of_apple_ids(status):
    return [field for field in (status.change.fields if status.change else ()) if field.field == "apple_id"]


def test_an_apple_id_that_is_null_in_between_is_still_compared_with_the_one_before():
    ids = ("a@b.c", None, "d@e.f")
    status = last(*(at(hour * HOUR, ade(apple_id=apple_id)) for hour, apple_id in enumerate(ids)))
    assert held(status, Code.APPLE_ID_CHANGED).facts == {"old": "a@b.c", "new": "d@e.f"}


CHANGED = [
    (Code.APPLE_ID_CHANGED, ade(apple_id="a@b.c"), ade(apple_id="d@e.f")),
    (Code.PUSH_TOPIC_CHANGED, apns(topic="one"), apns(topic="two")),
    (Code.DEVICES_DROPPED, ade(synced_devices=40), ade(synced_devices=0, last_successful_sync=NOW)),
]


@pytest.mark.parametrize(("code", "before", "after"), CHANGED)
@pytest.mark.parametrize(
    ("later", "days", "holds"),
    [(7 * DAY - SECOND, "7", True), (7 * DAY, "7", False), (DAY - SECOND, "1", True), (DAY, "1", False)],
)
def test_a_change_is_told_for_the_days_of_changes_and_then_accepted(code, before, after, later, days, holds):
    moments = [at(-HOUR, before), at(NOTHING, after), at(later, after), at(later + HOUR, after)]
    *_, ended, accepted = each(*moments, change_days=days)
    assert (code in codes(ended)) is holds
    assert code not in codes(accepted)


@pytest.mark.parametrize(("code", "before", "after"), CHANGED)
def test_a_change_that_is_taken_back_ends_and_a_new_one_starts_anew(code, before, after):
    again = replace(after, last_successful_sync=after.last_successful_sync and NOW + 2 * HOUR)
    statuses = each(at(-HOUR, before), at(NOTHING, after), at(HOUR, before), at(2 * HOUR, again))
    assert [code in codes(status) for status in statuses] == [False, True, False, True]
    assert held(statuses[-1], code).since == NOW + 2 * HOUR


@pytest.mark.parametrize(("code", "before", "after"), CHANGED)
def test_a_change_is_not_told_where_the_store_cannot_be_read(code, before, after):
    assert code not in codes(last(at(-HOUR, before), at(NOTHING, after, remembers=False)))


def test_an_apple_id_that_changes_again_keeps_its_since_and_the_first_old_value():
    ids = ("a@b.c", "d@e.f", "g@h.i")
    status = last(
        *(at(day * DAY, ade(apple_id=one, last_successful_sync=NOW + day * DAY)) for day, one in enumerate(ids))
    )
    found = held(status, Code.APPLE_ID_CHANGED)
    assert (found.since, found.facts) == (NOW + DAY, {"old": "a@b.c", "new": "g@h.i"})


# --- push_topic_changed


def test_another_push_topic_is_critical_and_tells_the_old_topic_and_serial_number():
    status = last(at(NOTHING, apns(topic="one", serial_number="01")), at(HOUR, apns(topic="two", serial_number="02")))
    found = held(status, Code.PUSH_TOPIC_CHANGED)
    assert (found.severity, found.facts) == (CRITICAL, {"old": "one", "new": "two", "old_serial": "01"})
    assert (status.known_topic, status.known_serial_number) == ("one", "01")


def test_a_renewed_push_certificate_of_the_same_topic_is_no_finding():
    status = last(at(NOTHING, apns(serial_number="01")), at(HOUR, apns(serial_number="02", expires_on=NOW + 365 * DAY)))
    assert (status.health, status.known_serial_number) == (HEALTHY, "02")


def test_a_push_topic_that_becomes_unreadable_does_not_end_what_was_told_of_it():
    status = last(
        at(NOTHING, apns(topic="one")), at(HOUR, apns(topic="two")), at(2 * HOUR, apns(**cannot_read("topic")))
    )
    assert codes(status) == ["push_topic_changed", "unreadable"]


def test_a_push_topic_that_was_empty_in_between_is_still_compared_with_the_one_before():
    wires = [{**WIRE[APNS], "topicIdentifier": topic} for topic in ("one", "", "two")]
    status = last(*(at(hour * HOUR, decoded(APNS, wire)) for hour, wire in enumerate(wires)))
    assert held(status, Code.PUSH_TOPIC_CHANGED).facts["old"] == "one"


# --- devices_dropped


def dropped(before, after, *, synced=True, **overrides):
    again = NOW if synced else NOW - 2 * HOUR
    moments = (
        at(-HOUR, ade(synced_devices=before, last_successful_sync=NOW - 2 * HOUR)),
        at(NOTHING, ade(synced_devices=after, last_successful_sync=again)),
    )
    return Code.DEVICES_DROPPED in codes(last(*moments, **overrides))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (10, 6, False),
        (10, 5, True),
        (11, 6, False),
        (11, 5, True),
        (9, 4, False),
        (9, 1, False),
        (9, 0, True),
        (1, 0, True),
        (0, 0, False),
        (200_000, 100_001, False),
        (200_000, 100_000, True),
    ],
)
def test_devices_dropped_by_half_from_ten_or_to_none_are_told(before, after, expected):
    assert dropped(before, after) is expected


def test_devices_that_dropped_without_a_new_successful_sync_are_not_told():
    assert not dropped(40, 0, synced=False)


def test_devices_that_dropped_before_the_sync_was_told_are_told_with_it():
    synced = {"last_successful_sync": NOW}
    moments = [at(-HOUR, ade()), at(NOTHING, ade(synced_devices=1)), at(HOUR, ade(synced_devices=1, **synced))]
    assert [Code.DEVICES_DROPPED in codes(status) for status in each(*moments)] == [False, False, True]


def test_devices_dropped_tells_the_counts():
    status = last(at(-HOUR, ade(synced_devices=40)), at(NOTHING, ade(synced_devices=20, last_successful_sync=NOW)))
    found = held(status, Code.DEVICES_DROPPED)
    assert (found.severity, found.facts) == (WARNING, {"before": 40, "now": 20})


@pytest.mark.parametrize(("back", "holds"), [(10, True), (20, True), (21, False), (60, False)])
@pytest.mark.parametrize("synced", [NOW, NOW + HOUR])
def test_devices_dropped_holds_until_more_than_half_of_what_there_was_are_back(back, holds, synced):
    moments = (
        at(-HOUR, ade(synced_devices=40)),
        at(NOTHING, ade(synced_devices=0, last_successful_sync=NOW)),
        at(HOUR, ade(synced_devices=back, last_successful_sync=synced)),
    )
    assert (Code.DEVICES_DROPPED in codes(last(*moments))) is holds


def test_devices_that_are_back_count_from_then_on_and_not_from_before():
    counts = (40, 20, 21, 20)
    statuses = each(
        *(
            at(hour * HOUR, ade(synced_devices=count, last_successful_sync=NOW + hour * HOUR))
            for hour, count in enumerate(counts)
        )
    )
    assert [Code.DEVICES_DROPPED in codes(status) for status in statuses] == [False, True, False, False]


def test_devices_that_are_back_before_the_next_sync_count_from_then_on_too():
    dropped_from_40 = at(NOTHING, ade(synced_devices=0, last_successful_sync=NOW))
    back = at(HOUR, ade(synced_devices=21, last_successful_sync=NOW))
    synced = at(2 * HOUR, ade(synced_devices=20, last_successful_sync=NOW + 2 * HOUR))
    assert codes(last(at(-HOUR, ade()), dropped_from_40, back, synced)) == []


def test_devices_that_go_slowly_are_not_told():
    counts = (100, 60, 36, 22, 14, 9)
    statuses = each(
        *(
            at(hour * HOUR, ade(synced_devices=count, last_successful_sync=NOW + hour * HOUR))
            for hour, count in enumerate(counts)
        )
    )
    assert [codes(status) for status in statuses] == [[]] * len(counts)


@pytest.mark.parametrize(
    ("before", "after", "percent", "minimum", "expected"),
    [
        (10, 9, "10", "10", True),
        (100, 91, "10", "10", False),
        (100, 90, "10", "10", True),
        (100, 1, "100", "10", False),
        (100, 0, "100", "10", True),
        (99, 1, "50", "100", False),
        (100, 1, "50", "100", True),
    ],
)
def test_devices_dropped_goes_by_the_share_and_minimum_of_ones_own_choosing(before, after, percent, minimum, expected):
    assert dropped(before, after, devices_dropped_percent=percent, devices_dropped_minimum=minimum) is expected


def test_a_count_that_becomes_unreadable_neither_starts_nor_ends_a_drop():
    blind = ade(last_successful_sync=NOW + HOUR, **cannot_read("synced_devices"))
    assert codes(last(at(NOTHING, ade()), at(2 * HOUR, blind))) == ["unreadable"]
    fallen = at(NOTHING, ade(synced_devices=0, last_successful_sync=NOW))
    assert codes(last(at(-HOUR, ade()), fallen, at(2 * HOUR, blind))) == ["unreadable", "devices_dropped"]


# --- order and cause


def test_findings_are_told_worst_first_then_unexplained_ones_then_in_the_order_of_the_table():
    before = ade(apple_id="a@b.c", synced_devices=40)
    after = ade(
        apple_id="d@e.f",
        synced_devices=0,
        sync_error_code=3,
        expires_on=NOW - DAY,
        last_successful_sync=NOW - 40 * HOUR,
        **cannot_read("last_modified"),
    )
    status = last(at(-HOUR, replace(before, last_successful_sync=NOW - 50 * HOUR)), at(NOTHING, after))
    assert codes(status) == [
        "expired",
        "terms_not_accepted",
        "unreadable",
        "devices_dropped",
        "sync_stale",
        "apple_id_changed",
    ]
    assert status.health is CRITICAL
    assert [one.severity for one in status.findings] == sorted((one.severity for one in status.findings), reverse=True)


STALE = {"last_successful_sync": NOW - 40 * HOUR}
NEVER = {"last_successful_sync": None}


@pytest.mark.parametrize(("token_fields", "caused"), [(STALE, "sync_stale"), (NEVER, "never_synced")])
@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({}, None),
        ({"expires_on": NOW + DAY}, None),
        ({"expires_on": NOW}, "expired"),
        ({"sync_error_code": 3}, "terms_not_accepted"),
        ({"sync_error_code": 7}, "sync_error"),
        ({"expires_on": NOW, "sync_error_code": 3}, "expired"),
        ({"expires_on": NOW, "sync_error_code": 7}, "expired"),
    ],
)
def test_a_stale_or_missing_sync_is_laid_to_the_first_of_expiry_terms_and_error(token_fields, caused, fields, cause):
    status = last(at(NOTHING, ade(**{**token_fields, **fields})))
    assert held(status, caused).caused_by == cause
    assert {one.caused_by for one in status.findings if one.code not in {caused, cause}} <= {cause}


@pytest.mark.parametrize(
    ("fields", "cause"), [({"sync_status": "failed"}, "sync_error"), ({"state": "expired"}, "expired"), ({}, None)]
)
def test_a_stale_location_token_is_laid_to_its_failed_sync_or_expiry(fields, cause):
    status = last(at(NOTHING, vpp(last_successful_sync=NOW - 50 * HOUR, **fields)))
    assert held(status, Code.SYNC_STALE).caused_by == cause


def test_a_stale_sync_is_laid_to_a_stored_error_too_and_loses_its_cause_with_it():
    statuses = each(
        at(NOTHING, ade(sync_error_code=7, **STALE)),
        at(HOUR, ade(**STALE)),
        at(2 * HOUR, ade(sync_error_code=3, **STALE)),
    )
    assert [held(status, Code.SYNC_STALE).caused_by for status in statuses] == [
        "sync_error",
        None,
        "terms_not_accepted",
    ]


def alerts(status: Status) -> list[tuple[str, Health]]:
    """Return what raises alerts: the newest step of each finding that has one."""
    return [(one.code, one.steps[-1].severity) for one in status.findings if one.steps]


@pytest.mark.parametrize("age", [NOTHING, 50 * HOUR, 100 * HOUR, None])
@pytest.mark.parametrize(
    ("connector", "fields", "cause"),
    [
        (ADE, {"expires_on": NOW, "sync_error_code": 3}, "expired"),
        (ADE, {"expires_on": NOW, "sync_error_code": 7}, "expired"),
        (ADE, {"sync_error_code": 3}, "terms_not_accepted"),
        (VPP, {"expires_on": NOW, "state": "invalid", "sync_status": "failed"}, "expired"),
        (VPP, {"state": "invalid", "sync_status": "failed"}, "invalid"),
        (VPP, {"state": "assignedToExternalMDM", "sync_status": "failed"}, "invalid"),
        (VPP, {"state": "duplicateLocationId", "sync_status": "failed"}, "duplicate_location"),
        (VPP, {"state": "duplicateLocationId", "sync_status": "completed"}, "duplicate_location"),
    ],
)
def test_one_cause_is_one_alert_whatever_follows_from_it(connector, fields, cause, age):
    token = healthy(connector, **fields, last_successful_sync=None if age is None else NOW - age)
    remembered = [a_status(token, first_seen=NOW - 10 * DAY)]
    status = last(at(NOTHING, token), remembered=remembered)
    never = age is None and fields.get("sync_status") == "failed"
    critical = cause != "duplicate_location" or age == 100 * HOUR or never
    assert alerts(status) == [(cause, CRITICAL if critical else WARNING)]
    assert status.findings[0].code == cause, "people read what explains the others first"


def test_a_duplicate_location_becomes_critical_with_the_stale_sync_that_it_explains_by_a_step_of_its_own():
    duplicate = vpp(state="duplicateLocationId", sync_status="failed", last_successful_sync=None)
    mended = replace(duplicate, state="valid")
    *statuses, after = each(
        at(-HOUR, vpp(last_successful_sync=NOW - HOUR)),
        *(at(hours * HOUR, duplicate) for hours in (0, 94, 95, 200)),
        at(201 * HOUR, mended),
    )
    steps = [[(step.tier, step.severity) for one in status.findings for step in one.steps] for status in statuses[1:]]
    first, second = ("begun", WARNING), ("sync stale", CRITICAL)
    assert steps == [[first], [first], [first, second], [first, second]]
    assert alerts(after) == [("sync_error", CRITICAL)], "with its cause gone, what followed from it raises its own"


def test_a_sync_error_that_raised_an_alert_keeps_it_under_a_duplicate_location_that_comes_later():
    failing = vpp(sync_status="failed", last_successful_sync=None)
    status = last(at(NOTHING, failing), at(HOUR, replace(failing, state="duplicateLocationId")))
    assert (held(status, "sync_error").caused_by, {code for code, _ in alerts(status)}) == (
        "duplicate_location",
        {"sync_error", "duplicate_location"},
    )


def test_a_sync_that_has_begun_after_a_failed_one_becomes_critical_with_the_stale_sync_too():
    begun = vpp(sync_status="inProgress", last_successful_sync=None)
    status = last(
        at(NOTHING, vpp(last_successful_sync=NOW)), at(HOUR, replace(begun, sync_status="failed")), at(96 * HOUR, begun)
    )
    assert alerts(status) == [("sync_error", CRITICAL)]


def test_the_severities_of_all_findings_are_ordered_as_the_design_says():
    assert [str(health) for health in sorted(Health)] == ["healthy", "info", "warning", "unknown", "critical"]
