"""Findings about changes (Apple ID, push topic, number of devices), the order of findings, and what explains them."""

import pytest
from msgspec.structs import replace

from shared.model.tokens import Code, Connector, Health, Status
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
    history,
    last,
    vpp,
)
from tests.unit.terms import ADE, APNS, CRITICAL, DAY, HOUR, INFO, NOTHING, NOW, SECOND, VPP, WARNING

CHANGED = [
    (Code.APPLE_ID_CHANGED, ade(apple_id="a@b.c"), ade(apple_id="d@e.f")),
    (Code.PUSH_TOPIC_CHANGED, apns(topic="one"), apns(topic="two")),
    (Code.DEVICES_DROPPED, ade(synced_devices=40), ade(synced_devices=0, last_successful_sync=NOW)),
]


@pytest.mark.parametrize(("code", "before", "after"), CHANGED)
@pytest.mark.parametrize("days", [7, 1])
def test_a_change_is_reported_for_the_configured_days_and_then_accepted(code, before, after, days):
    moments = [at(-HOUR, before), *(at(span, after) for span in (NOTHING, days * DAY - SECOND, days * DAY))]
    statuses = each(*moments, at(days * DAY + HOUR, after), change_days=str(days))
    assert [code in codes(status) for status in statuses] == [False, True, True, False, False]


@pytest.mark.parametrize(("code", "before", "after"), CHANGED)
def test_a_change_that_is_reverted_ends_and_a_new_one_begins_again(code, before, after):
    again = replace(after, last_successful_sync=after.last_successful_sync and NOW + 2 * HOUR)
    statuses = each(at(-HOUR, before), at(NOTHING, after), at(HOUR, before), at(2 * HOUR, again))
    assert [code in codes(status) for status in statuses] == [False, True, False, True]
    assert held(statuses[-1], code).since == NOW + 2 * HOUR


@pytest.mark.parametrize("connector", Connector)
def test_an_apple_id_that_changes_is_reported_with_both_values_since_its_first_change(connector):
    ids = ("a@b.c", None, "d@e.f", "g@h.i")
    found_each = [
        status.finding(Code.APPLE_ID_CHANGED)
        for status in each(*(at(hour * HOUR, healthy(connector, apple_id=one)) for hour, one in enumerate(ids)))
    ]
    assert [(one.severity, one.since, one.until, one.facts) for one in found_each if one] == [
        (INFO, NOW + 2 * HOUR, NOW + 2 * HOUR + 7 * DAY, {"old": "a@b.c", "new": new}) for new in ids[2:]
    ]


@pytest.mark.parametrize(
    ("before", "after"), [("Straße@b.c", "STRASSE@B.C"), (None, "a@b.c"), ("a@b.c", None), (None, None)]
)
def test_apple_ids_that_differ_in_case_or_are_null_are_the_same(before, after):
    status = last(at(NOTHING, ade(apple_id=before)), at(HOUR, ade(apple_id=after)))
    assert (status.findings, history(status)) == ((), [])


def test_a_push_topic_that_changes_is_critical_and_reported_with_the_old_serial_number():
    status = last(at(NOTHING, apns(topic="one", serial_number="01")), at(HOUR, apns(topic="two", serial_number="02")))
    finding = held(status, Code.PUSH_TOPIC_CHANGED)
    assert (finding.severity, finding.facts) == (CRITICAL, {"old": "one", "new": "two", "old_serial": "01"})
    assert (status.known_topic, status.known_serial_number) == ("one", "01")


def test_a_renewed_push_certificate_of_the_same_topic_is_healthy():
    status = last(at(NOTHING, apns(serial_number="01")), at(HOUR, apns(serial_number="02", expires_on=NOW + 365 * DAY)))
    assert (status.findings, status.known_serial_number) == ((), "02")


def test_an_unreadable_push_topic_neither_ends_nor_hides_a_change():
    changed = (at(NOTHING, apns(topic="one")), at(HOUR, apns(topic="two")))
    assert codes(last(*changed, at(2 * HOUR, apns(**cannot_read("topic"))))) == ["push_topic_changed", "unreadable"]
    wires = [{**WIRE[APNS], "topicIdentifier": topic} for topic in ("one", "", "two")]
    status = last(*(at(hour * HOUR, decoded(APNS, wire)) for hour, wire in enumerate(wires)))
    assert held(status, Code.PUSH_TOPIC_CHANGED).facts["old"] == "one"


# --- devices_dropped


def counted(*counts, **overrides):
    """Return whether `devices_dropped` holds after each of these counts, with a new successful sync for each."""
    moments = (
        at(hour * HOUR, ade(synced_devices=count, last_successful_sync=NOW + hour * HOUR))
        for hour, count in enumerate(counts)
    )
    return [Code.DEVICES_DROPPED in codes(status) for status in each(*moments, **overrides)]


@pytest.mark.parametrize(
    ("before", "after", "percent", "minimum", "expected"),
    [
        (10, 6, "50", "10", False),
        (10, 5, "50", "10", True),
        (11, 6, "50", "10", False),
        (9, 4, "50", "10", False),
        (9, 1, "50", "10", False),
        (9, 0, "50", "10", True),
        (1, 0, "50", "10", True),
        (0, 0, "50", "10", False),
        (200_000, 100_001, "50", "10", False),
        (200_000, 100_000, "50", "10", True),
        (10, 9, "10", "10", True),
        (100, 91, "10", "10", False),
        (100, 1, "100", "10", False),
        (100, 0, "100", "10", True),
        (99, 1, "50", "100", False),
        (100, 1, "50", "100", True),
    ],
)
def test_devices_drop_by_the_configured_share_from_the_minimum_on_or_to_none(before, after, percent, minimum, expected):
    limits = {"devices_dropped_percent": percent, "devices_dropped_minimum": minimum}
    assert counted(before, after, **limits) == [False, expected]


def test_devices_drop_by_half_from_ten_on_by_default():
    assert [counted(before, 5)[1] for before in (9, 10)] == [False, True]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((40, 0, 20), [False, True, True]),
        ((40, 0, 21), [False, True, False]),
        ((40, 20, 21, 20), [False, True, False, False]),
        ((100, 60, 36, 22, 14, 9), [False] * 6),
    ],
)
def test_dropped_devices_hold_until_more_than_half_are_back(counts, expected):
    assert counted(*counts) == expected


def test_dropped_devices_are_reported_with_the_next_successful_sync():
    moments = [at(-HOUR, ade()), at(NOTHING, ade(synced_devices=1))]
    *before, status = each(*moments, at(HOUR, ade(synced_devices=1, last_successful_sync=NOW)))
    assert [codes(one) for one in before] == [[], []]
    finding = held(status, Code.DEVICES_DROPPED)
    assert (finding.severity, finding.facts) == (WARNING, {"before": 40, "now": 1})


def test_devices_that_are_back_before_the_next_sync_count_from_then_on():
    dropped = at(NOTHING, ade(synced_devices=0, last_successful_sync=NOW))
    back = at(HOUR, ade(synced_devices=21, last_successful_sync=NOW))
    synced = at(2 * HOUR, ade(synced_devices=20, last_successful_sync=NOW + 2 * HOUR))
    assert codes(last(at(-HOUR, ade()), dropped, back, synced)) == []


def test_an_unreadable_count_neither_begins_nor_ends_a_drop():
    blind = ade(last_successful_sync=NOW + HOUR, **cannot_read("synced_devices"))
    assert codes(last(at(NOTHING, ade()), at(2 * HOUR, blind))) == ["unreadable"]
    fallen = at(NOTHING, ade(synced_devices=0, last_successful_sync=NOW))
    assert codes(last(at(-HOUR, ade()), fallen, at(2 * HOUR, blind))) == ["unreadable", "devices_dropped"]


# --- order and causes


def test_findings_are_ordered_by_severity_then_unexplained_first_then_as_listed():
    before = ade(apple_id="a@b.c", last_successful_sync=NOW - 50 * HOUR)
    after = ade(
        apple_id="d@e.f",
        synced_devices=0,
        sync_error_code=3,
        expires_on=NOW - DAY,
        last_successful_sync=NOW - 40 * HOUR,
        **cannot_read("last_modified"),
    )
    status = last(at(-HOUR, before), at(NOTHING, after))
    assert found(status) == [
        "expired 0 critical",
        "terms_not_accepted critical",
        "unreadable unknown",
        "devices_dropped warning",
        "sync_stale warning",
        "apple_id_changed info",
    ]
    assert status.health is CRITICAL


@pytest.mark.parametrize(
    ("token", "fields", "cause"),
    [
        (ade, {}, None),
        (ade, {"expires_on": NOW + DAY}, None),
        (ade, {"expires_on": NOW}, "expired"),
        (ade, {"sync_error_code": 3}, "terms_not_accepted"),
        (ade, {"sync_error_code": 7}, "sync_error"),
        (ade, {"expires_on": NOW, "sync_error_code": 3}, "expired"),
        (ade, {"expires_on": NOW, "sync_error_code": 7}, "expired"),
        (vpp, {"sync_status": "failed"}, "sync_error"),
        (vpp, {"state": "expired"}, "expired"),
        (vpp, {}, None),
    ],
)
def test_a_stale_or_missing_sync_is_explained_by_the_first_of_expiry_terms_and_error(token, fields, cause):
    stale = last(at(NOTHING, token(last_successful_sync=NOW - 50 * HOUR, **fields)))
    assert held(stale, Code.SYNC_STALE).caused_by == cause
    if token is ade:
        assert held(last(at(NOTHING, ade(last_successful_sync=None, **fields))), Code.NEVER_SYNCED).caused_by == cause


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
def test_one_cause_raises_one_alert_whatever_follows_from_it(connector, fields, cause, age):
    token = healthy(connector, **fields, last_successful_sync=None if age is None else NOW - age)
    status = last(at(NOTHING, token), remembered=[a_status(token, first_seen=NOW - 10 * DAY)])
    never = age is None and fields.get("sync_status") == "failed"
    critical = cause != "duplicate_location" or age == 100 * HOUR or never
    assert alerts(status) == [(cause, CRITICAL if critical else WARNING)]
    assert status.findings[0].code == cause, "people read what explains the others first"


def test_a_duplicate_location_becomes_critical_by_a_step_of_its_own_with_the_stale_sync_that_it_explains():
    duplicate = vpp(state="duplicateLocationId", sync_status="failed", last_successful_sync=None)
    *statuses, after = each(
        at(-HOUR, vpp(last_successful_sync=NOW - HOUR)),
        *(at(hours * HOUR, duplicate) for hours in (0, 94, 95, 200)),
        at(201 * HOUR, replace(duplicate, state="valid")),
    )
    steps = [[(step.tier, step.severity) for one in status.findings for step in one.steps] for status in statuses[1:]]
    first, second = ("begun", WARNING), ("sync stale", CRITICAL)
    assert steps == [[first], [first], [first, second], [first, second]]
    assert alerts(after) == [("sync_error", CRITICAL)], "with its cause gone, what followed from it raises its own"


def test_a_sync_error_keeps_its_alert_when_a_duplicate_location_explains_it_later():
    failing = vpp(sync_status="failed", last_successful_sync=None)
    status = last(at(NOTHING, failing), at(HOUR, replace(failing, state="duplicateLocationId")))
    assert held(status, "sync_error").caused_by == "duplicate_location"
    assert {code for code, _ in alerts(status)} == {"sync_error", "duplicate_location"}


def test_a_sync_error_becomes_critical_with_the_stale_sync_while_another_sync_is_in_progress():
    begun = vpp(sync_status="inProgress", last_successful_sync=None)
    status = last(
        at(NOTHING, vpp(last_successful_sync=NOW)), at(HOUR, replace(begun, sync_status="failed")), at(96 * HOUR, begun)
    )
    assert alerts(status) == [("sync_error", CRITICAL)]
