"""What becomes of a token from run to run: unread, missing, removed and back, its history, and what is remembered."""

import msgspec
import pytest
from msgspec.structs import replace

from shared.judging.judge import judge
from shared.model.tokens import Code, Connector, FieldChange, Finding, FindingState, Health, Status, Unreadable
from tests.unit.builders import (
    IDS,
    a_status,
    ade,
    apns,
    at,
    cannot_read,
    codes,
    each,
    failed,
    healthy,
    held,
    history,
    judged,
    last,
    readings,
    settings,
    severity,
    stored,
    vpp,
)
from tests.unit.terms import (
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
)

HALF_AN_HOUR = 30 * MINUTE


# --- unread: the connector could not be read


@pytest.mark.parametrize("connector", Connector)
def test_a_token_of_a_connector_that_could_not_be_read_is_unknown_and_not_healthy(connector):
    status = last(at(NOTHING, healthy(connector)), at(HOUR, failed(connector)))
    assert (status.health, codes(status)) == (UNKNOWN, ["unread"])
    assert held(status, Code.UNREAD).facts == {"reason": f"{connector.value} could not be read"}
    assert (status.observed_on, status.checked_on) == (NOW, NOW + HOUR)


def test_a_connector_that_could_not_be_read_leaves_the_others_as_they_are():
    moments = (at(NOTHING, ade(), vpp()), at(HOUR, ade(), failed(VPP)))
    assert {status.token.connector: codes(status) for status in judged(*moments)[-1].statuses} == {
        ADE: [],
        VPP: ["unread"],
    }


def test_a_token_that_could_not_be_read_keeps_its_findings_as_they_were_for_as_long_as_that_lasts():
    amiss = ade(sync_error_code=7, apple_id="d@e.f", last_successful_sync=NOW - 40 * HOUR)
    before, *blind = each(at(-HOUR, ade()), at(NOTHING, amiss), *(at(day * DAY, failed(ADE)) for day in (1, 2, 29)))[1:]
    kept = {finding.code: finding for finding in before.findings}
    assert set(kept) == {"sync_error", "sync_stale", "apple_id_changed"}
    for status in blind:
        assert {finding.code: finding for finding in status.findings if finding.code != Code.UNREAD} == kept
        assert held(status, Code.UNREAD).since == NOW + DAY


def test_an_expiry_comes_by_the_clock_while_a_token_cannot_be_read():
    expiry = NOW + 61 * DAY
    days = (0, 1, 31, 47, 54, 60, 61, 91)
    told = (ade(expires_on=expiry), *[failed(ADE)] * 7)
    statuses = each(*(at(day * DAY, one) for day, one in zip(days, told, strict=True)))
    of_expiry = [f for status in statuses for f in status.findings if f.code != Code.UNREAD and not f.superseded]
    assert [(f.code, f.tier, f.severity) for f in of_expiry] == [
        ("expiring", "60", WARNING),
        ("expiring", "30", WARNING),
        ("expiring", "14", WARNING),
        ("expiring", "7", CRITICAL),
        ("expiring", "1", CRITICAL),
        ("expired", "0", CRITICAL),
        ("expired", "30", CRITICAL),
    ]
    assert {held(status, Code.EXPIRING).since for status in statuses[1:6]} == {NOW + DAY}
    assert {held(status, Code.EXPIRED).since for status in statuses[6:]} == {NOW + 61 * DAY}


def test_a_stale_sync_is_explained_by_an_expiry_that_came_while_the_token_could_not_be_read():
    stale = ade(expires_on=NOW + DAY, last_successful_sync=NOW - 40 * HOUR)
    before, after = each(at(NOTHING, stale), at(DAY, failed(ADE)))
    assert held(before, Code.SYNC_STALE).caused_by is None
    assert held(after, Code.SYNC_STALE).caused_by == "expired"


def test_a_stale_sync_is_still_explained_by_a_stored_error_while_the_token_cannot_be_read():
    stale = ade(sync_error_code=7, last_successful_sync=NOW - 40 * HOUR)
    assert held(last(at(NOTHING, stale), at(HOUR, failed(ADE))), Code.SYNC_STALE).caused_by == "sync_error"


def test_a_stored_cause_that_no_longer_holds_is_removed():
    finding = Finding(code="sync_stale", severity=WARNING, since=NOW, caused_by="expired")
    status = last(at(NOTHING, failed(ADE)), remembered=[a_status(ade(), finding)])
    assert held(status, Code.SYNC_STALE).caused_by is None


def test_a_change_is_kept_past_its_days_while_the_token_cannot_be_read_since_nothing_resolves():
    status = last(at(-HOUR, ade()), at(NOTHING, ade(apple_id="d@e.f")), at(30 * DAY, failed(ADE)))
    assert codes(status) == ["unread", "apple_id_changed"]


# --- missing, then removed


@pytest.mark.parametrize("connector", Connector)
@pytest.mark.parametrize(
    ("apart", "expected"),
    [(SECOND, "unread"), (HALF_AN_HOUR - SECOND, "unread"), (HALF_AN_HOUR, "removed"), (HOUR, "removed")],
)
def test_a_token_is_removed_once_two_complete_readings_half_an_hour_apart_miss_it(connector, apart, expected):
    seen, missing, after = each(at(NOTHING, healthy(connector)), at(HOUR), at(HOUR + apart))
    assert (codes(seen), codes(missing), codes(after)) == ([], ["unread"], [expected])
    assert held(missing, Code.UNREAD).facts == {"reason": "missing from Intune's list"}


@pytest.mark.parametrize(("connector", "expected"), [(ADE, WARNING), (VPP, WARNING), (APNS, CRITICAL)])
def test_a_removed_token_has_that_as_its_only_finding(connector, expected):
    amiss = healthy(connector, expires_on=NOW - DAY, apple_id="d@e.f")
    *_, missing, removed = each(at(-HOUR, healthy(connector)), at(NOTHING, amiss), at(HOUR), at(2 * HOUR))
    assert codes(missing) == ["expired", "unread", "apple_id_changed"]
    assert [(one.code, one.severity) for one in removed.findings] == [("removed", expected)]
    assert (held(removed, Code.REMOVED).since, held(removed, Code.REMOVED).until) == (
        NOW + 2 * HOUR,
        NOW + 2 * HOUR + 7 * DAY,
    )
    assert removed.health is expected


def test_the_half_hour_counts_from_the_first_reading_that_missed_the_token():
    moments = (at(NOTHING, ade()), *(at(minute * MINUTE) for minute in (1, 16, 31)))
    assert [codes(status) for status in each(*moments)] == [[], ["unread"], ["unread"], ["removed"]]


def test_a_token_that_shows_up_again_is_missing_again_after_that():
    moments = (at(NOTHING, ade()), at(HOUR), at(HOUR + MINUTE, ade()), at(2 * HOUR), at(2 * HOUR + MINUTE))
    assert [codes(status) for status in each(*moments)] == [[], ["unread"], [], ["unread"], ["unread"]]


def test_a_failed_reading_counts_neither_for_nor_against_a_removal():
    only_failures = (at(NOTHING, ade()), at(HOUR), at(2 * HOUR, failed(ADE)), at(3 * HOUR, failed(ADE)))
    assert codes(last(*only_failures)) == ["unread"]
    in_between = (at(NOTHING, ade()), at(HOUR), at(HOUR + 10 * MINUTE, failed(ADE)), at(HOUR + HALF_AN_HOUR))
    assert codes(last(*in_between)) == ["removed"]
    before_it = (at(NOTHING, ade()), at(HOUR, failed(ADE)), at(2 * HOUR))
    assert codes(last(*before_it)) == ["unread"]


def test_a_reading_without_memory_counts_neither_for_nor_against_a_removal():
    moments = (at(NOTHING, ade()), at(HOUR), at(HOUR + 10 * MINUTE, ade(), remembers=False), at(HOUR + HALF_AN_HOUR))
    assert codes(last(*moments)) == ["removed"]


REMOVED = (at(NOTHING, ade()), at(HOUR), at(2 * HOUR))


def test_a_removed_token_gains_no_unread_and_does_not_leave_by_a_reading_that_failed():
    statuses = each(*REMOVED, at(3 * HOUR, failed(ADE)), at(30 * DAY, failed(ADE)))
    assert [codes(status) for status in statuses[2:]] == [["removed"]] * 3
    assert {held(status, Code.REMOVED).since for status in statuses[2:]} == {NOW + 2 * HOUR}


@pytest.mark.parametrize(("days", "configured"), [(7, "7"), (1, "1")])
@pytest.mark.parametrize(("before_the_end", "leaves"), [(SECOND, False), (NOTHING, True)])
def test_a_removed_token_leaves_after_the_days_of_changes(days, configured, before_the_end, leaves):
    end = 2 * HOUR + days * DAY - before_the_end
    judgement = judged(*REMOVED, at(end), change_days=configured)[-1]
    assert judgement.departed == (((ADE, IDS[ADE]),) if leaves else ())
    assert [codes(status) for status in judgement.statuses] == ([] if leaves else [["removed"]])


@pytest.mark.parametrize("days", ["1", "8"])
def test_a_removed_token_leaves_on_the_day_that_its_alert_names_whatever_is_set_since(days):
    half = judged(*REMOVED, change_days="7")[-1].statuses
    assert not judged(at(2 * HOUR + 7 * DAY - SECOND), remembered=half, change_days=days)[-1].departed
    assert judged(at(2 * HOUR + 7 * DAY), remembered=half, change_days=days)[-1].departed


def test_a_removed_token_that_left_is_seen_for_the_first_time_when_it_comes_again():
    status = last(*REMOVED, at(10 * DAY), at(11 * DAY, ade(last_successful_sync=NOW + 11 * DAY)))
    assert (status.first_seen, status.health) == (NOW + 11 * DAY, HEALTHY)


@pytest.mark.parametrize("later", [3 * HOUR, 30 * DAY])
def test_a_removed_token_returns_by_a_complete_reading_and_is_what_it_was(later):
    status = last(*REMOVED, at(3 * HOUR - MINUTE, failed(ADE)), at(later, ade(last_successful_sync=NOW + later)))
    assert (status.health, status.findings, status.first_seen, status.missing_since) == (HEALTHY, (), NOW, None)
    assert ("finding", ("removed", WARNING, None), None) in history(status)


def test_a_push_certificate_that_was_removed_and_comes_back_with_another_topic_was_created_again():
    moments = (at(NOTHING, apns(topic="one")), at(HOUR), at(2 * HOUR), at(3 * HOUR, apns(topic="two")))
    assert codes(last(*moments)) == ["push_topic_changed"]


# --- CONNECTORS


def test_a_token_of_a_connector_that_is_not_watched_any_more_leaves_at_once():
    before = judged(at(NOTHING, ade(), vpp(), apns()))[-1].statuses
    judgement = judged(at(HOUR, ade()), remembered=before, connectors="ade")[-1]
    assert set(judgement.departed) == {(VPP, IDS[VPP]), (APNS, "push-certificate")}
    assert [status.key for status in judgement.statuses] == [(ADE, IDS[ADE])]


# --- since, first seen, changed


def test_the_health_has_its_instant_and_each_finding_its_own():
    statuses = each(
        at(NOTHING, ade()),
        at(HOUR, ade(sync_error_code=7)),
        at(2 * HOUR, ade(sync_error_code=7, apple_id="d@e.f")),
        at(3 * HOUR, ade(sync_error_code=3, apple_id="d@e.f")),
    )
    assert [status.health for status in statuses] == [HEALTHY, WARNING, WARNING, CRITICAL]
    assert [status.health_since for status in statuses] == [NOW, NOW + HOUR, NOW + HOUR, NOW + 3 * HOUR]
    assert [status.changed_on for status in statuses] == [NOW + hour * HOUR for hour in range(4)]
    assert {status.first_seen for status in statuses} == {NOW}
    assert held(statuses[3], Code.APPLE_ID_CHANGED).since == NOW + 2 * HOUR


AHEAD = NOW + DAY


def of_a_clock_ahead(token, *finding_codes):
    found = (Finding(code=code, severity=WARNING, since=AHEAD) for code in finding_codes)
    instants = {"first_seen": AHEAD, "health_since": AHEAD, "changed_on": AHEAD}
    return a_status(token, *found, **instants)


@pytest.mark.parametrize("told", [ade(sync_error_code=7), failed(ADE)])
def test_an_instant_that_a_clock_ahead_of_time_left_behind_counts_as_now(told):
    before = of_a_clock_ahead(ade(sync_error_code=7), "sync_error")
    same_health = replace(before, health=last(at(NOTHING, told), remembered=[before]).health)
    status = last(at(NOTHING, told), remembered=[same_health])
    instants = {held(status, Code.SYNC_ERROR).since, status.health_since, status.changed_on}
    assert instants == {NOW}


def test_a_removal_that_a_clock_ahead_of_time_left_behind_is_from_now_and_ends_after_the_days_of_changes():
    before = of_a_clock_ahead(ade(), "removed")
    statuses = each(at(NOTHING), at(7 * DAY - SECOND), remembered=[before])
    assert [(held(one, Code.REMOVED).since, held(one, Code.REMOVED).until) for one in statuses] == [
        (NOW, NOW + 7 * DAY)
    ] * 2
    assert judged(at(NOTHING), at(7 * DAY), remembered=[before])[-1].departed


def test_a_missing_since_that_lies_ahead_counts_as_now():
    before = a_status(ade(), missing_since=AHEAD)
    statuses = each(at(NOTHING), at(HALF_AN_HOUR), remembered=[before])
    assert [codes(status) for status in statuses] == [["unread"], ["removed"]]


# --- the history


def test_a_first_sight_reports_when_it_was_and_what_is_wrong():
    status = last(at(NOTHING, ade(sync_error_code=3, expires_on=NOW + 5 * DAY)))
    assert history(status) == [
        ("first_seen", None, "2026-11-23T06:07:00Z"),
        ("finding", None, ("expiring", CRITICAL, "7")),
        ("finding", None, ("terms_not_accepted", CRITICAL, None)),
    ]
    change = status.change
    assert change is not None
    assert (change.changed_on, change.run_id, change.token_name) == (NOW, "run-0", "Contoso iPads")
    assert (change.old_health, change.health) == (None, CRITICAL)


@pytest.mark.parametrize("connector", Connector)
def test_a_run_that_finds_nothing_new_writes_no_history(connector):
    status = last(at(NOTHING, healthy(connector)), at(HOUR, healthy(connector)))
    assert (status.change, status.changed_on) == (None, NOW)


HISTORY = [
    (
        ade(),
        ade(sync_error_code=3),
        [("health", "healthy", "critical"), ("finding", None, ("terms_not_accepted", CRITICAL, None))],
    ),
    (
        ade(sync_error_code=3),
        ade(),
        [("health", "critical", "healthy"), ("finding", ("terms_not_accepted", CRITICAL, None), None)],
    ),
    (
        ade(sync_error_code=3),
        ade(sync_error_code=7),
        [
            ("health", "critical", "warning"),
            ("finding", None, ("sync_error", WARNING, None)),
            ("finding", ("terms_not_accepted", CRITICAL, None), None),
        ],
    ),
    (
        ade(sync_error_code=7, last_successful_sync=NOW - 34 * HOUR - SECOND),
        ade(sync_error_code=7, last_successful_sync=NOW - 35 * HOUR),
        [
            ("health", "warning", "critical"),
            ("finding", ("sync_error", WARNING, None), ("sync_error", CRITICAL, None)),
            ("finding", None, ("sync_stale", WARNING, None)),
        ],
    ),
    (
        ade(expires_on=NOW + 30 * DAY + HOUR),
        ade(expires_on=NOW + 30 * DAY + HOUR),
        [("finding", ("expiring", WARNING, "60"), ("expiring", WARNING, "30"))],
    ),
    (
        ade(expires_on=NOW + 200 * DAY),
        ade(expires_on=NOW + 565 * DAY),
        [("expiry", "2027-06-11T06:07:00Z", "2028-06-10T06:07:00Z")],
    ),
    (
        ade(),
        ade(apple_id="d@e.f"),
        [
            ("health", "healthy", "info"),
            ("finding", None, ("apple_id_changed", INFO, None)),
            ("apple_id", "mdm@contoso.com", "d@e.f"),
        ],
    ),
    (
        apns(topic="one"),
        apns(topic="two"),
        [
            ("health", "healthy", "critical"),
            ("finding", None, ("push_topic_changed", CRITICAL, None)),
            ("topic", "one", "two"),
        ],
    ),
    (ade(), ade(name="Contoso Macs"), [("name", "Contoso iPads", "Contoso Macs")]),
    (
        ade(),
        ade(**cannot_read("expires_on")),
        [("health", "healthy", "unknown"), ("finding", None, ("unreadable", UNKNOWN, None))],
    ),
    (ade(apple_id="a@b.c"), ade(apple_id="A@B.C"), []),
    (ade(apple_id="a@b.c"), ade(apple_id=None), []),
    (ade(apple_id=None), ade(apple_id="a@b.c"), []),
    (ade(type="dep"), ade(type="appleSchoolManager"), []),
    (ade(last_successful_sync=NOW - 2 * HOUR), ade(last_successful_sync=NOW), []),
    (ade(synced_devices=40), ade(synced_devices=50), []),
    (ade(sync_error_code=7), ade(sync_error_code=9), []),
    (apns(serial_number="01"), apns(serial_number="02"), []),
    (ade(), failed(ADE), []),
    (ade(sync_error_code=3), failed(ADE), []),
]


@pytest.mark.parametrize(("before", "after", "expected"), HISTORY)
def test_the_history_reports_what_changed_and_nothing_else(before, after, expected):
    status = last(at(NOTHING, before), at(HOUR, after))
    assert history(status) == expected
    assert status.changed_on == (NOW + HOUR if expected else NOW)
    change = status.change
    assert change is None or (change.changed_on, change.run_id) == (NOW + HOUR, "run-1")


def test_being_unread_is_no_change_of_the_token_nor_of_its_health_in_the_history():
    moments = (at(NOTHING, ade(sync_error_code=7)), at(HOUR, failed(ADE)), at(2 * HOUR, ade(sync_error_code=3)))
    _, blind, after = each(*moments)
    assert (blind.health, blind.change) == (UNKNOWN, None)
    assert history(after)[0] == ("health", "warning", "critical")
    assert after.change is not None
    assert (after.change.old_health, after.change.health) == (WARNING, CRITICAL)


def test_an_expiry_that_comes_while_the_token_is_unread_is_in_the_history():
    status = last(at(NOTHING, ade(expires_on=NOW + 61 * DAY)), at(DAY, failed(ADE)))
    assert history(status) == [("health", "healthy", "warning"), ("finding", None, ("expiring", WARNING, "60"))]
    assert status.change is not None
    assert (status.change.old_health, status.change.health, status.health) == (HEALTHY, WARNING, UNKNOWN)


def test_a_removal_is_in_the_history_and_a_missing_token_is_not_nor_one_that_leaves():
    first, missing, removed, still = each(*REMOVED, at(3 * HOUR))
    assert first.change is not None
    assert missing.change is None
    assert history(removed) == [("health", "healthy", "warning"), ("finding", None, ("removed", WARNING, None))]
    assert still.change is None
    leaving = judged(*REMOVED, at(10 * DAY))[-1]
    assert (leaving.statuses, leaving.departed) == ((), ((ADE, IDS[ADE]),))


# --- the store could not be read


def test_a_store_that_is_empty_is_not_one_that_cannot_be_read():
    token = ade(sync_error_code=7)
    arguments = {"inspections": {}, "run_id": "run", "now": NOW, "settings": settings()}
    first = judge(readings([token], Connector), {}, **arguments).statuses[0]
    blind = judge(readings([token], Connector), None, **arguments).statuses[0]
    assert (severity(first, Code.SYNC_ERROR), first.change is None) == (WARNING, False)
    assert (severity(blind, Code.SYNC_ERROR), blind.change is None) == (WARNING, True)


# --- labels


def test_two_tokens_of_one_name_keep_it_and_people_read_the_start_of_their_ids():
    tokens = (ade(id="aaaaaaaa-1"), ade(id="bbbbbbbb-2"), ade(id="cccccccc-3", name="Other"))
    statuses = judged(at(NOTHING, *tokens))[-1].statuses
    assert [(status.token.name, status.label) for status in statuses] == [
        ("Contoso iPads", "Contoso iPads (aaaaaaaa)"),
        ("Contoso iPads", "Contoso iPads (bbbbbbbb)"),
        ("Other", "Other"),
    ]


@pytest.mark.parametrize("number", [2, 3, 7])
def test_tokens_whose_ids_begin_alike_too_are_read_with_their_whole_ids(number):
    tokens = [ade(id=f"aaaaaaaa-{index}") for index in range(number)] + [ade(id="bbbbbbbb-1")]
    labels = [status.label for status in judged(at(NOTHING, *tokens))[-1].statuses]
    assert labels == [f"Contoso iPads (aaaaaaaa-{index})" for index in range(number)] + ["Contoso iPads (bbbbbbbb)"]


def test_a_name_that_resembles_the_label_of_another_token_is_distinguished():
    lookalikes = ("Contoso iPads (aaaaaaaa)", "Contoso iPads (aaaaaaaa-1)")
    tokens = [ade(id="aaaaaaaa-1"), ade(id="aaaaaaaa-2")]
    tokens += [ade(id=f"cccccccc-{index}", name=name) for index, name in enumerate(lookalikes)]
    labels = {status.label for status in judged(at(NOTHING, *tokens))[-1].statuses}
    assert len(labels) == len(tokens)
    assert "Contoso iPads (aaaaaaaa-2)" in labels


# --- Memory


OLDEST = b"""
{
  "token": {"connector": "ade", "id": "ade00000-0000-4000-8000-000000000001", "name": "Contoso iPads"},
  "label": "Contoso iPads",
  "health": 2,
  "health_since": "2026-11-20T06:07:00Z",
  "findings": [{"code": "sync_error", "severity": 2, "since": "2026-11-20T06:07:00Z"}],
  "first_seen": "2026-11-01T06:07:00Z",
  "checked_on": "2026-11-23T05:07:00Z",
  "run_id": "run",
  "changed_on": "2026-11-20T06:07:00Z"
}
"""
"""A row of the first release with only what every row has: a later field that has no default breaks this test."""

LATER = b"""
{
  "token": {"connector": "ade", "id": "ade00000-0000-4000-8000-000000000001", "name": "Contoso iPads", "colour": 5},
  "label": "Contoso iPads",
  "health": 4,
  "health_since": "2026-11-20T06:07:00Z",
  "findings": [
    {"code": "battery_low", "severity": 4, "since": "2026-11-20T06:07:00Z", "mood": {"a": [1]}, "tier": "x"},
    {"code": "sync_error", "severity": 2, "since": "2026-11-20T06:07:00Z", "facts": {"code": 7, "new": null}}
  ],
  "first_seen": "2026-11-01T06:07:00Z",
  "observed_on": "2026-11-23T05:07:00.123456Z",
  "checked_on": "2026-11-23T05:07:00Z",
  "run_id": "run",
  "changed_on": "2026-11-20T06:07:00Z",
  "change": {
    "changed_on": "2026-11-20T06:07:00Z", "run_id": "run", "token_name": "Contoso iPads", "health": 4, "why": "?",
    "fields": [{"field": "colour", "old": "red", "new": "blue", "shade": 1}]
  },
  "known_colour": "red"
}
"""
"""What a later release may leave behind: fields, findings and changes that this one does not know."""


def test_the_memory_of_the_oldest_release_can_be_read():
    status = msgspec.json.decode(OLDEST, type=Status)
    assert (status.token.expires_on, status.change, status.known_apple_id, status.missing_since) == (None,) * 4
    assert (status.health, status.findings[0].facts, status.findings[0].until) == (WARNING, {}, None)


@pytest.mark.parametrize("memory", [OLDEST, LATER])
@pytest.mark.parametrize("told", [[ade(sync_error_code=7)], [failed(ADE)], []])
def test_a_token_that_another_release_remembers_is_judged_on(memory, told):
    before = msgspec.json.decode(memory, type=Status)
    status = last(at(NOTHING, *told), remembered=[before])
    assert held(status, Code.SYNC_ERROR).since == NOW - 3 * DAY
    assert status.first_seen == NOW - 22 * DAY


def test_a_finding_that_this_release_does_not_know_stays_while_its_token_cannot_be_read_and_comes_last():
    before = msgspec.json.decode(LATER, type=Status)
    status = last(at(NOTHING, failed(ADE)), remembered=[before])
    assert codes(status) == ["battery_low", "unread", "sync_error"]
    assert (status.health, status.health_since) == (CRITICAL, NOW - 3 * DAY)
    as_severe = last(at(NOTHING, failed(ADE)), remembered=[replace(before, token=ade(expires_on=NOW))])
    assert codes(as_severe) == ["expired", "battery_low", "unread", "sync_error"]


def test_a_removal_that_an_older_release_stored_without_an_end_ends_too():
    finding = Finding(code="removed", severity=WARNING, since=NOW - 7 * DAY)
    assert judged(at(NOTHING), remembered=[a_status(ade(), finding)])[-1].departed


def test_the_numbers_of_the_healths_in_memory_are_fixed():
    assert [(str(health), msgspec.json.encode(health)) for health in Health] == [
        ("healthy", b"0"),
        ("info", b"1"),
        ("warning", b"2"),
        ("unknown", b"3"),
        ("critical", b"4"),
    ]


def test_every_field_of_what_is_remembered_survives():
    full = a_status(
        ade(
            expires_on=NOW.replace(microsecond=123456),
            topic="t",
            serial_number="s",
            upload_failure="u",
            state="valid",
            sync_status="completed",
            unreadable=(Unreadable(field="state", property="state", raw="\ufffd…\U0001f600"),),
        ),
        Finding(code="x", severity=INFO, tier="1", since=NOW, until=AHEAD, caused_by="y", facts={"a": None, "b": True}),
        missing_since=NOW,
        known_apple_id="a",
        known_topic="b",
        known_serial_number="c",
        known_devices=0,
    )
    change = last(at(NOTHING, ade(sync_error_code=3))).change
    assert change is not None
    field = FieldChange(field="finding", old=FindingState(code="x", severity=INFO, tier="1"), new="text")
    status = replace(full, change=replace(change, old_health=HEALTHY, fields=(*change.fields, field)))
    unset = [name for name in Status.__struct_fields__ if getattr(status, name) in (None, ())]
    assert (stored(status), unset) == (status, [])
