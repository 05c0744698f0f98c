"""What a finding has reached: the steps that raise alerts, what each is called, and when they end."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model.tokens import Code, Finding, Status
from tests.unit.builders import Moment, a_status, ade, apns, at, each, failed, held, judged, last, vpp
from tests.unit.terms import ADE, CRITICAL, DAY, HOUR, NOTHING, NOW, SECOND, WARNING

EXPIRY = NOW + 9 * DAY
"""2026-12-02, in the morning."""

STALE = ade(last_successful_sync=NOW - 40 * HOUR)


def conditions(status: Status, code: str) -> list[str]:
    finding = status.finding(code)
    return [step.condition for step in finding.steps] if finding else []


def expiring(*days: float, expires_on: datetime = EXPIRY) -> list[Moment]:
    """Checks so many days from now of a token that syncs well."""
    return [
        at(day * DAY, ade(expires_on=expires_on, last_successful_sync=NOW + day * DAY, synced_devices=40))
        for day in days
    ]


# --- what each condition is called


@pytest.mark.parametrize(
    ("moments", "code", "expected"),
    [
        (expiring(2), "expiring", ["expires 2026-12-02 (7 days or less)"]),
        (expiring(8), "expiring", ["expires 2026-12-02 (1 day or less)"]),
        (expiring(9), "expired", ["expired 2026-12-02"]),
        (expiring(39), "expired", ["expired 2026-12-02 (30 days ago or more)"]),
        ([at(NOTHING, vpp(state="expired"))], "expired", ["expired according to Intune"]),
        ([at(HOUR, STALE)], "sync_stale", ["no successful sync since 2026-11-21 14:07 UTC"]),
        ([at(NOTHING, ade(sync_error_code=17))], "sync_error", ["sync error, code 17"]),
        ([at(NOTHING, vpp(sync_status="failed"))], "sync_error", ["sync error, status failed"]),
        ([at(NOTHING, ade(sync_error_code=3))], "terms_not_accepted", ["Apple's terms not accepted"]),
        (
            [at(day * DAY, ade(sync_error_code=3)) for day in (0, 30)],
            "terms_not_accepted",
            ["Apple's terms not accepted", "Apple's terms not accepted (30 days or more)"],
        ),
        (
            [at(-HOUR, apns()), at(NOTHING, apns(topic="another"))],
            "push_topic_changed",
            ["push topic changed 2026-11-23, reported until 2026-11-30"],
        ),
        (
            [at(-HOUR, ade()), at(NOTHING, ade(apple_id="d@e.f"))],
            "apple_id_changed",
            ["Apple ID changed 2026-11-23, reported until 2026-11-30"],
        ),
        ([at(-2 * HOUR, ade()), at(-HOUR), at(NOTHING)], "removed", ["removed 2026-11-23, reported until 2026-11-30"]),
    ],
)  # fmt: skip
def test_a_condition_says_what_lasts(moments, code, expected):
    assert conditions(last(*moments), code) == expected


def test_what_is_reported_until_a_day_ends_on_that_day_whatever_is_set_since():
    before = judged(at(-HOUR, apns()), at(NOTHING, apns(topic="another")), change_days="30")[-1].statuses
    (status,) = before
    assert conditions(status, Code.PUSH_TOPIC_CHANGED) == ["push topic changed 2026-11-23, reported until 2026-12-23"]
    moments = (at(30 * DAY - SECOND, apns(topic="another")), at(30 * DAY, apns(topic="another")))
    after = each(*moments, remembered=before, change_days="1")
    assert [bool(one.finding(Code.PUSH_TOPIC_CHANGED)) for one in after] == [True, False]


def test_no_text_from_outside_makes_a_condition_longer_than_120_characters():
    status = last(
        at(NOTHING, failed(ADE)), remembered=[a_status(ade(), Finding(code="x" * 300, severity=WARNING, since=NOW))]
    )
    (step,) = status.findings[-1].steps
    assert len(step.condition) == 120


# --- expiring and expired


def test_a_token_that_is_watched_keeps_every_tier_that_it_has_crossed():
    expiry = NOW + 61 * DAY
    status = last(*expiring(0, 1, 31, 47, 54, 60, 60.5, expires_on=expiry))
    told = [(step.tier, step.severity, step.since) for step in held(status, Code.EXPIRING).steps]
    assert told == [
        ("60 days or less", WARNING, NOW + DAY),
        ("30 days or less", WARNING, NOW + 31 * DAY),
        ("14 days or less", WARNING, NOW + 47 * DAY),
        ("7 days or less", CRITICAL, NOW + 54 * DAY),
        ("1 day or less", CRITICAL, NOW + 60 * DAY),
    ]


@pytest.mark.parametrize("days", [(4,), (-60, 4)])
def test_a_tier_that_nobody_saw_is_no_step(days):
    """Neither of a token that is first seen with five days left, nor of those that were crossed between two checks."""
    assert conditions(last(*expiring(*days)), Code.EXPIRING) == ["expires 2026-12-02 (7 days or less)"]


def test_the_steps_of_an_expiry_outlast_it_until_the_renewal_and_stay_out_of_the_way():
    moments = expiring(0, 2, 9, 40)
    expired, *_ = reversed(each(*moments))
    assert conditions(expired, Code.EXPIRING) == [
        "expires 2026-12-02 (14 days or less)",
        "expires 2026-12-02 (7 days or less)",
    ]
    assert conditions(expired, Code.EXPIRED) == ["expired 2026-12-02", "expired 2026-12-02 (30 days ago or more)"]
    assert held(expired, Code.EXPIRING).superseded
    assert expired.findings[0].code == "expired"
    renewed = last(*moments, *expiring(41, expires_on=EXPIRY + 365 * DAY))
    assert renewed.findings == ()


def test_an_expiry_that_moves_later_ends_every_step_and_begins_those_that_still_hold():
    status = last(*expiring(0, 2), *expiring(3, expires_on=EXPIRY + 2 * DAY))
    assert conditions(status, Code.EXPIRING) == ["expires 2026-12-04 (14 days or less)"]
    assert held(status, Code.EXPIRING).steps[0].since == NOW + 3 * DAY


def test_an_expiry_that_moves_earlier_adds_a_step_and_ends_none():
    moments = [*expiring(0), *expiring(0.5, expires_on=EXPIRY - DAY)]
    both = ["expires 2026-12-02 (14 days or less)", "expires 2026-12-01 (14 days or less)"]
    assert conditions(last(*moments), Code.EXPIRING) == both
    assert conditions(last(*moments, *expiring(1)), Code.EXPIRING) == both[:1]


def test_an_expiry_that_moves_within_its_day_changes_nothing():
    moments = [*expiring(0, 2), *expiring(2.1, expires_on=EXPIRY + HOUR), *expiring(2.2, expires_on=EXPIRY - HOUR)]
    both = ["expires 2026-12-02 (14 days or less)", "expires 2026-12-02 (7 days or less)"]
    assert conditions(last(*moments), Code.EXPIRING) == both


def test_an_expiry_that_moves_later_and_lies_in_the_past_ends_nothing():
    status = last(*expiring(8, 10), *expiring(12, expires_on=EXPIRY + 2 * DAY))
    assert conditions(status, Code.EXPIRING) == ["expires 2026-12-02 (1 day or less)"]
    assert conditions(status, Code.EXPIRED) == ["expired 2026-12-02"]


def test_limits_that_are_set_anew_end_no_step():
    before = judged(*expiring(2))[-1].statuses
    status = last(*expiring(3), remembered=before, expiry_critical_days="1", expiry_warning_days="2")
    assert conditions(status, Code.EXPIRING) == ["expires 2026-12-02 (7 days or less)"]


def test_an_expiry_that_vanishes_from_the_record_ends_no_step():
    status = last(*expiring(8, 10), at(11 * DAY, ade(expires_on=None, type="none")))
    assert [one.code for one in status.findings if one.code.startswith("expir")] == ["expired", "expiring"]


def test_an_expiry_has_twelve_steps_30_days_apart():
    status = last(*(moment for day in range(9, 600, 10) for moment in expiring(day)))
    tiers = [step.tier for step in held(status, Code.EXPIRED).steps]
    assert tiers == ["begun", *(f"{days} days ago or more" for days in range(30, 331, 30))]


# --- what a sync does


def test_a_stale_sync_has_a_step_at_each_limit_until_one_succeeds():
    stale = ade(last_successful_sync=NOW - 36 * HOUR)
    statuses = each(at(NOTHING, stale), at(36 * HOUR, stale), at(37 * HOUR, ade(last_successful_sync=NOW + 37 * HOUR)))
    since = "no successful sync since 2026-11-21 18:07 UTC"
    assert [conditions(one, Code.SYNC_STALE) for one in statuses] == [
        [since],
        [since, f"{since} (72 hours or more)"],
        [],
    ]
    assert [step.severity for step in held(statuses[1], Code.SYNC_STALE).steps] == [WARNING, CRITICAL]


def test_only_a_sync_that_succeeds_ends_a_stale_one():
    stale = ade(last_successful_sync=NOW - 40 * HOUR)
    before = judged(at(NOTHING, stale))[-1].statuses
    later = [at(HOUR, stale), at(2 * HOUR, ade(last_successful_sync=None)), at(3 * HOUR, stale)]
    since = ["no successful sync since 2026-11-21 14:07 UTC"]
    for status in each(*later, remembered=before, sync_stale_warning_hours="50"):
        assert conditions(status, Code.SYNC_STALE) == since


def test_a_sync_error_has_a_step_when_it_begins_and_one_when_it_lasts():
    error = ade(sync_error_code=17, last_successful_sync=NOW)
    status = last(*(at(hour * HOUR, error) for hour in (0, 23, 24, 25)))
    assert [(step.condition, step.severity) for step in held(status, Code.SYNC_ERROR).steps] == [
        ("sync error, code 17", WARNING),
        ("sync error, code 17 (24 hours or more)", CRITICAL),
    ]


def test_another_code_is_the_same_sync_error_and_only_a_sync_that_ends_well_ends_it():
    codes = (17, 5, 3, 0)
    statuses = each(*(at(hour * HOUR, ade(sync_error_code=code)) for hour, code in enumerate(codes)))
    assert [conditions(one, Code.SYNC_ERROR) for one in statuses] == [*[["sync error, code 17"]] * 3, []]
    assert held(statuses[2], Code.SYNC_ERROR).caused_by == "terms_not_accepted"
    assert {held(one, Code.SYNC_ERROR).steps[0].action for one in statuses[:3]} == {
        held(statuses[0], Code.SYNC_ERROR).steps[0].action
    }
    states = ("failed", "inProgress", "completed")
    syncing = each(*(at(hour * HOUR, vpp(sync_status=state)) for hour, state in enumerate(states)))
    assert [conditions(one, Code.SYNC_ERROR) for one in syncing] == [*[["sync error, status failed"]] * 2, []]


# --- causes


STALE_AND_TERMS = ade(last_successful_sync=NOW - 40 * HOUR, sync_error_code=3)


def test_what_begins_under_a_cause_has_no_step_until_that_is_removed():
    held_back, free = each(at(NOTHING, STALE_AND_TERMS), at(HOUR, STALE))
    assert conditions(held_back, Code.SYNC_STALE) == []
    assert conditions(free, Code.SYNC_STALE) == ["no successful sync since 2026-11-21 14:07 UTC"]
    assert held(free, Code.SYNC_STALE).steps[0].since == NOW + HOUR


def test_a_cause_that_comes_later_is_recorded_and_ends_no_step():
    _, status = each(at(NOTHING, STALE), at(HOUR, STALE_AND_TERMS))
    assert held(status, Code.SYNC_STALE).caused_by == "terms_not_accepted"
    assert conditions(status, Code.SYNC_STALE) == ["no successful sync since 2026-11-21 14:07 UTC"]


# --- what lasts


def test_what_lasts_has_a_reminder_every_30_days_and_twelve_at_most():
    status = last(*(at(day * DAY, vpp(state="invalid")) for day in range(500)))
    tiers = [step.tier for step in held(status, Code.INVALID).steps]
    assert tiers == ["begun", *(f"{days} days or more" for days in range(30, 361, 30))]
    assert {step.severity for step in held(status, Code.INVALID).steps} == {CRITICAL}


def test_a_reminder_counts_from_the_latest_step():
    error = [at(day * DAY, ade(sync_error_code=17, last_successful_sync=NOW + day * DAY)) for day in (0, 1, 30, 31)]
    assert [step.tier for step in held(last(*error), Code.SYNC_ERROR).steps] == [
        "begun",
        "24 hours or more",
        "30 days or more",
    ]
    assert len(held(last(*error[:-1]), Code.SYNC_ERROR).steps) == 2


def test_a_reminder_of_an_expiry_is_no_tier():
    moments = expiring(0, 30, 60, expires_on=NOW + 95 * DAY)
    status = last(*moments, expiry_warning_days="100", expiry_critical_days="7")
    assert [step.tier for step in held(status, Code.EXPIRING).steps] == [
        "100 days or less",
        "100 days or less, reminder 1",
        "100 days or less, reminder 2",
    ]


def test_what_raises_no_alert_has_no_reminder_and_what_could_not_be_read_no_step():
    never = {"type": "none", "expires_on": None, "last_successful_sync": None}
    status = last(*(at(day * DAY, ade(**never)) for day in (0, 40, 80)), at(81 * DAY, failed(ADE)))
    assert [(one.code, len(one.steps)) for one in status.findings] == [("unread", 0), ("not_set_up", 1)]


def test_the_clock_adds_steps_while_a_token_cannot_be_read():
    terms = ade(expires_on=EXPIRY, sync_error_code=3)
    status = last(at(NOTHING, terms), *(at(day * DAY, failed(ADE)) for day in (2, 10, 40)))
    assert conditions(status, Code.EXPIRING) == [
        "expires 2026-12-02 (14 days or less)",
        "expires 2026-12-02 (7 days or less)",
    ]
    assert conditions(status, Code.EXPIRED) == ["expired 2026-12-02", "expired 2026-12-02 (30 days ago or more)"]
    assert conditions(status, Code.TERMS_NOT_ACCEPTED)[1:] == ["Apple's terms not accepted (30 days or more)"]


# --- what is frozen


def test_a_token_keeps_the_name_under_which_a_finding_began():
    twins = [ade(id="aaaaaaaa-1", sync_error_code=3), ade(id="bbbbbbbb-2", sync_error_code=3)]
    moments = (
        at(NOTHING, twins[0]),
        at(HOUR, *twins),
        at(2 * HOUR, ade(id="aaaaaaaa-1", name="New", sync_error_code=3), twins[1]),
    )
    names = [[held(one, Code.TERMS_NOT_ACCEPTED).name for one in run.statuses] for run in judged(*moments)]
    assert names == [["Contoso iPads"], *[["Contoso iPads", "Contoso iPads (bbbbbbbb)"]] * 2]


def test_a_condition_that_begins_again_takes_the_name_of_then():
    named = [
        at(hour * HOUR, ade(name=name, sync_error_code=code))
        for hour, (name, code) in enumerate([("Old", 3), ("Old", 0), ("New", 3)])
    ]
    assert held(last(*named), Code.TERMS_NOT_ACCEPTED).name == "New"


def test_a_finding_that_an_older_release_remembers_without_steps_is_seen_for_the_first_time():
    finding = Finding(code="terms_not_accepted", severity=CRITICAL, since=NOW - 90 * DAY)
    status = last(at(NOTHING, ade(sync_error_code=3)), remembered=[a_status(ade(sync_error_code=3), finding)])
    found = held(status, Code.TERMS_NOT_ACCEPTED)
    assert (found.since, [(step.tier, step.since) for step in found.steps]) == (NOW - 90 * DAY, [("begun", NOW)])


FACTS = st.fixed_dictionaries(
    {
        "expires_on": st.integers(-40, 70).map(lambda days: NOW + days * DAY),
        "sync_error_code": st.sampled_from([0, 0, 3, 5, 17]),
        "last_successful_sync": st.integers(0, 120).map(lambda hours: NOW - hours * HOUR),
    }
)
GAPS = st.sampled_from([timedelta(), HOUR, DAY, 8 * DAY, 31 * DAY])


@given(st.lists(st.tuples(GAPS, FACTS | st.none()), min_size=2, max_size=9))
def test_whatever_happens_steps_stay_as_they_are_and_each_has_a_condition_of_its_own(story):
    now, moments = NOW, []
    for gap, facts in story:
        now += gap
        moments.append(at(now, ade(**facts) if facts else failed(ADE)))
    before: Status | None = None
    for judgement in judged(*moments):
        for status in judgement.statuses:
            for finding in status.findings:
                told = [step.condition for step in finding.steps]
                assert len(set(told)) == len(told)
                assert all(0 < len(condition) <= 120 for condition in told)
                known = before.finding(finding.code) if before else None
                kept = [step for step in known.steps if step in finding.steps] if known else []
                assert list(finding.steps[: len(kept)]) == kept
                if known and finding.code != Code.EXPIRING:
                    assert kept == list(known.steps)
            before = status
