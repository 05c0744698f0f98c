"""What a check makes of an inspection: findings, each side of each boundary, and what stays while nobody looks."""

import msgspec
import pytest
from msgspec.structs import replace

from shared.guidance.guidance import Guidance
from shared.judging.device_findings import DEVICE_FINDINGS
from shared.model.counts import Counts, Events, Inspected, Inspection
from shared.model.tokens import Code, Finding
from tests.unit.builders import (
    IDS,
    a_status,
    ade,
    apns,
    at,
    codes,
    each,
    failed,
    held,
    history,
    judged,
    last,
    severity,
    vpp,
)
from tests.unit.terms import ADE, DAY, HEALTHY, HOUR, INFO, NOTHING, NOW, SECOND, UNKNOWN, WARNING

WITHOUT, FAILING = Code.DEVICES_WITHOUT_PROFILE, Code.ENROLLMENT_FAILING
MISSING, NO_DEFAULT = Code.DEVICES_MISSING, Code.NO_DEFAULT_PROFILE


def found(on=NOW - HOUR, *, token_id=IDS[ADE], error=None, disagreed=None, **fields):
    """A complete inspection; `fields` are those of Counts and of Inspected. With `error`, the newest look failed."""
    of_it = {name: fields.pop(name) for name in ("profiles", "defaults", "synced_devices", "events") if name in fields}
    first, newest = disagreed or (None, None)
    return Inspection(
        token_id=token_id,
        token_name="Contoso iPads",
        run_id="inspection",
        tried_on=on,
        complete=error is None,
        error=error,
        last=Inspected(on=on, counts=Counts(**{"devices": 100} | fields), **of_it),
        disagreed_first=first,
        disagreed_last=newest,
    )


def never(error=None, tried_on=NOW - HOUR):
    return Inspection(token_id=IDS[ADE], token_name="Contoso", run_id="i", tried_on=tried_on, error=error)


def after(inspection, **overrides):
    """The status of a check that knows this inspection."""
    return last(at(NOTHING, ade(), inspections=[inspection]), **overrides)


# --- what holds


def test_a_token_whose_devices_are_well_is_healthy():
    status = after(found(without_profile=3, not_contacted=9, defaults={"ios": "Phones"}, by_platform={"ios": 100}))
    assert (status.health, codes(status)) == (HEALTHY, [])


def test_devices_that_wait_without_a_profile_are_a_warning_from_the_minimum_on():
    assert codes(after(found(without_profile=9, waiting=0))) == []
    finding = held(after(found(without_profile=9, waiting=1)), WITHOUT)
    assert (finding.severity, finding.tier, finding.until) == (WARNING, None, None)
    assert finding.facts == {"waiting": 1, "without_profile": 9, "devices": 100, "inspected": "2026-11-23 05:07 UTC"}
    assert codes(after(found(waiting=4), devices_without_profile_minimum="5")) == []
    assert codes(after(found(waiting=5), devices_without_profile_minimum="5")) == [WITHOUT]


@pytest.mark.parametrize(
    ("enrolled", "without", "expected"),
    [
        (60, 0, WARNING),
        (60, 30, WARNING),
        (60, 31, INFO),
        (61, 31, INFO),
        (1, 1, INFO),
        (0, 0, WARNING),
        (None, 5, WARNING),
    ],
)
def test_a_missing_profile_proves_nothing_where_most_devices_enrolled_without_one(enrolled, without, expected):
    states = {} if enrolled is None else {"enrolled": enrolled}
    status = after(found(waiting=9, by_state=states, enrolled_without_profile=without))
    finding = held(status, WITHOUT)
    reason = f"{without} of {enrolled} enrolled devices have no profile id in Graph either"
    assert (finding.severity, str(finding.facts.get("reason")).startswith(reason)) == (expected, expected is INFO)
    assert (reason in Guidance().summary(status, finding)) is (expected is INFO)


def test_what_is_worth_knowing_raises_its_alert_when_it_becomes_a_warning_and_keeps_it_until_it_is_over():
    proven, unproven = found(waiting=9), found(waiting=9, by_state={"enrolled": 60}, enrolled_without_profile=31)
    known = [unproven, proven, unproven, unproven, found(waiting=0)]
    days = (0, 1, 2, 40, 41)
    statuses = each(*(at(day * DAY, ade(), inspections=[one]) for day, one in zip(days, known, strict=True)))
    steps = [[(step.severity, step.since) for step in held(one, WITHOUT).steps] for one in statuses[:-1]]
    assert steps == [[(INFO, NOW)], *[[(WARNING, NOW + DAY)]] * 3]
    assert [severity(one, WITHOUT) for one in statuses] == [INFO, WARNING, INFO, INFO, None]


def test_counts_of_a_release_that_did_not_count_enrolled_devices_without_a_profile_are_judged_as_before():
    older = msgspec.json.decode(b'{"devices": 100, "waiting": 9, "by_state": {"enrolled": 91}}', type=Counts)
    finding = held(after(replace(found(), last=Inspected(on=NOW - HOUR, counts=older))), WITHOUT)
    assert (finding.severity, "reason" in finding.facts) == (WARNING, False)


@pytest.mark.parametrize(
    ("devices", "failed_ones", "blocked", "holds"),
    [
        (60, 3, 0, True),  # both limits exactly
        (61, 3, 0, False),  # too few of them all
        (40, 2, 0, False),  # too few
        (60, 1, 2, True),  # together
        (60, 0, 3, True),
        (3, 3, 0, True),
        (0, 0, 0, False),
    ],
)
def test_enrollment_fails_from_a_number_and_a_share_of_failed_and_blocked_devices_on(
    devices, failed_ones, blocked, holds
):
    status = after(found(devices=devices, failed=failed_ones, blocked=blocked))
    assert codes(status) == ([FAILING] if holds else [])


def test_the_limits_of_failing_enrollment_are_settings():
    inspection = found(devices=100, failed=10)
    assert codes(after(inspection, enrollment_failing_minimum="11")) == []
    assert codes(after(inspection, enrollment_failing_percent="11")) == []
    assert codes(after(inspection, enrollment_failing_percent="10", enrollment_failing_minimum="10")) == [FAILING]


def test_events_are_reported_beside_failing_enrollment_and_never_raise_it():
    told = Events(since=NOW - DAY, by_category={"authentication": 2, "badRequest": 40, "authorization": 2})
    assert codes(after(found(events=told))) == []
    facts = held(after(found(devices=10, failed=5, events=told)), FAILING).facts
    assert facts["events"] == 44
    assert facts["event_categories"] == "badRequest 40, authentication 2, authorization 2"
    assert facts["events_since"] == "2026-11-22 06:07 UTC"
    none = held(after(found(devices=10, failed=5, events=Events(since=NOW - DAY))), FAILING).facts
    assert (none["events"], none["event_categories"]) == (0, None)


def test_events_that_could_not_be_read_are_reported_as_not_checked():
    refused = Events(since=NOW - DAY, error="Graph refused access.")
    facts = held(after(found(devices=10, failed=5, events=refused)), FAILING).facts
    assert facts["events"] == "not checked: Graph refused access."
    assert "events" not in held(after(found(devices=10, failed=5)), FAILING).facts, "nobody asked for them"


def test_devices_are_missing_once_list_and_count_disagree_on_inspections_more_than_seven_days_apart():
    def holds(first, newest):
        return codes(after(found(devices=40, synced_devices=90, disagreed=(first, newest))))

    assert holds(NOW - 7 * DAY, NOW) == []
    assert holds(NOW - 7 * DAY - SECOND, NOW) == [MISSING]
    assert holds(NOW - 9 * DAY, NOW - 2 * DAY) == []
    assert holds(NOW, NOW) == []
    assert codes(after(found(devices=40, synced_devices=90))) == []


def test_what_is_known_of_missing_devices_is_reported():
    inspection = found(devices=40, deleted=2, imported=1, synced_devices=90, disagreed=(NOW - 8 * DAY, NOW - HOUR))
    assert held(after(inspection), MISSING).facts == {
        "synced": 90,
        "devices": 40,
        "deleted": 2,
        "imported": 1,
        "since": "2026-11-15",
        "inspected": "2026-11-23 05:07 UTC",
    }


def test_a_platform_with_devices_and_without_a_default_profile_is_worth_knowing():
    defaults = {"ios": "Phones", "macOS": None, "tvOS": None, "visionOS": None}
    inspection = found(by_platform={"ios": 90, "macOS": 9, "visionOS": 1, "watchOS": 3}, defaults=defaults, profiles=2)
    finding = held(after(inspection), NO_DEFAULT)
    assert (finding.severity, after(inspection).health) == (INFO, INFO)
    assert (finding.facts["platforms"], finding.facts["profiles"]) == ("macOS, visionOS", 2)
    assert codes(after(found(by_platform={"ios": 1}, defaults=defaults))) == []
    assert codes(after(found(devices=0, by_platform={}, defaults=dict.fromkeys(defaults)))) == []


def test_where_graph_does_not_tell_the_default_profiles_the_finding_stays_as_it_was():
    lacking = found(by_platform={"ios": 1}, defaults={"ios": None})
    untold = found(by_platform={"ios": 1}, defaults=None)
    assert codes(after(untold)) == []
    before, now = each(at(-HOUR, ade(), inspections=[lacking]), at(NOTHING, ade(), inspections=[untold]))
    assert held(now, NO_DEFAULT) == held(before, NO_DEFAULT)


def test_the_finding_of_an_inspection_is_only_its_own_tokens_and_of_no_other_connector():
    tokens = [ade(), ade(id="other"), vpp(id=IDS[ADE]), apns()]
    (judgement,) = judged(at(NOTHING, *tokens, inspections=[found(waiting=3), found(waiting=0, token_id="other")]))
    assert [codes(status) for status in judgement.statuses] == [[WITHOUT], [], [], []]


# --- as any other finding


def test_a_finding_of_an_inspection_begins_stays_and_ends_in_the_history():
    moments = [
        at(NOTHING, ade(), inspections=[found()]),
        at(HOUR, ade(), inspections=[found(waiting=3)]),
        at(2 * HOUR, ade(), inspections=[found(waiting=30)]),
        at(3 * HOUR, ade(), inspections=[found()]),
    ]
    first, began, grew, ended = each(*moments)
    assert first.change is not None
    assert history(began) == [("health", "healthy", "warning"), ("finding", None, (WITHOUT, WARNING, None))]
    assert history(grew) == [], "a count that grows is no other finding"
    assert (held(grew, WITHOUT).since, held(grew, WITHOUT).facts["waiting"]) == (NOW + HOUR, 30)
    assert history(ended) == [("health", "warning", "healthy"), ("finding", (WITHOUT, WARNING, None), None)]


@pytest.mark.parametrize("code", DEVICE_FINDINGS)
def test_a_summary_reports_numbers_and_no_serial_number(code):
    examples = dict.fromkeys(("waiting", "failed", "blocked", "not_contacted"), ("C02SECRET",))
    inspection = found(
        devices=40,
        waiting=3,
        failed=9,
        blocked=1,
        by_platform={"macOS": 40},
        defaults={"macOS": None},
        synced_devices=90,
        disagreed=(NOW - 9 * DAY, NOW),
        examples=examples,
    )
    status = after(inspection)
    summary = Guidance().summary(status, held(status, code))
    assert summary.startswith("'Contoso iPads' ")
    assert "something not known" not in summary
    assert "C02SECRET" not in summary
    assert "C02SECRET" not in str(held(status, code).facts)


# --- while nobody looks


def test_a_removed_or_unread_token_keeps_what_the_rules_for_these_say():
    amiss = at(NOTHING, ade(), inspections=[found(waiting=3)])
    better = {"inspections": [found()]}
    blind = last(amiss, at(HOUR, failed(ADE), **better))
    assert set(codes(blind)) == {Code.UNREAD, WITHOUT}, "a connector that cannot be read resolves nothing"
    assert codes(last(amiss, at(HOUR, **better), at(2 * HOUR, **better))) == [Code.REMOVED]


def test_while_the_inspections_cannot_be_read_their_findings_stay_as_they_are_stored():
    known = [found(waiting=3, devices=40, failed=9)]
    later = ade(last_successful_sync=NOW + 9 * DAY)
    before, blind = each(at(NOTHING, ade(), inspections=known), at(9 * DAY, later, inspections=None))
    assert codes(before) == [WITHOUT, FAILING]
    assert blind.findings == before.findings


@pytest.mark.parametrize("inspections", [[], [never("Graph failed.")]], ids=["no row", "never complete"])
def test_a_finding_stays_where_no_inspection_is_remembered_any_more(inspections):
    finding = Finding(code=WITHOUT, severity=WARNING, since=NOW + DAY, facts={"waiting": 3})
    young = a_status(ade(), finding, first_seen=NOW)
    status = last(at(NOTHING, ade(), inspections=inspections), remembered=[young])
    assert (held(status, WITHOUT).facts, held(status, WITHOUT).since) == ({"waiting": 3}, NOW)


def fresh_by(age, known_for=9 * DAY, *, inspection=None):
    """The judgement of a token that has been known for so long and was last inspected as long ago as that."""
    token = ade(last_successful_sync=NOW)
    status = a_status(token, first_seen=NOW - known_for)
    (judgement,) = judged(
        at(NOTHING, token, inspections=[inspection or found(NOW - age, waiting=3)]), remembered=[status]
    )
    return judgement


def test_an_inspection_of_more_than_48_hours_ago_is_too_old_and_what_it_found_stays():
    fresh = fresh_by(48 * HOUR)
    assert (codes(*fresh.statuses), fresh.devices_error) == ([WITHOUT], None)
    late = fresh_by(48 * HOUR + SECOND)
    (status,) = late.statuses
    assert (status.health, codes(status)) == (UNKNOWN, [Code.UNREAD, WITHOUT])
    assert held(status, Code.UNREAD).facts == {"reason": "its devices were last inspected as a whole on 2026-11-21"}
    assert [field for field, _, new in history(status) if new and "unread" in str(new)] == [], "it is no change"
    assert late.devices_error is not None


def test_a_token_that_is_known_for_less_than_two_days_need_not_be_inspected_yet():
    assert codes(*fresh_by(9 * DAY, known_for=48 * HOUR - SECOND).statuses) == [WITHOUT]
    assert codes(*fresh_by(9 * DAY, known_for=48 * HOUR).statuses) == [Code.UNREAD, WITHOUT]


def test_a_token_that_was_never_inspected_completely_is_unread_once_it_is_known_for_two_days():
    assert codes(*fresh_by(NOTHING, 48 * HOUR - SECOND, inspection=never()).statuses) == []
    (status,) = fresh_by(NOTHING, 48 * HOUR, inspection=never()).statuses
    assert held(status, Code.UNREAD).facts == {"reason": "its devices were never inspected as a whole"}


def test_a_token_leaves_unread_once_an_inspection_is_complete_again():
    late, well = each(
        at(NOTHING, ade(), inspections=[found(NOW - 3 * DAY, waiting=3)]),
        at(HOUR, ade(), inspections=[found(NOW, waiting=0)]),
        remembered=[a_status(ade())],
    )
    assert codes(late) == [Code.UNREAD, WITHOUT]
    assert codes(well) == []


# --- the row of the inspections


def test_the_reason_reports_how_many_tokens_and_names_the_longest_without_and_why():
    tokens = [ade(id=of, name=name) for of, name in (("1", "One"), ("2", "Two"), ("3", "Three"), ("4", "Four"))]
    inspections = [
        found(NOW - HOUR, token_id="1"),
        found(NOW - 60 * HOUR, token_id="2", error="GET /x: Graph failed."),
        found(NOW - 90 * HOUR, token_id="3", error="GET /y: Graph refused access."),
        found(NOW - 50 * HOUR, token_id="4"),
    ]
    remembered = [a_status(token) for token in tokens]
    (judgement,) = judged(at(NOTHING, *tokens, inspections=inspections), remembered=remembered)
    assert judgement.devices_error == (
        "3 of 4 ADE tokens without a complete inspection in 48 hours; 'Three': GET /y: Graph refused access."
    )


def test_the_reason_names_an_inspection_that_does_not_run():
    told = fresh_by(60 * HOUR).devices_error
    assert told.endswith("inspect_devices has not inspected it since 2026-11-20 18:07 UTC; verify that it runs")
    token = ade(last_successful_sync=NOW)
    (judgement,) = judged(at(NOTHING, token, inspections=[]), remembered=[a_status(token)])
    assert judgement.devices_error.endswith("inspect_devices has never inspected it; verify that it runs")


def test_tokens_that_were_removed_or_that_nobody_watches_make_no_inspection_late():
    late = found(NOW - 9 * DAY)
    removed = a_status(ade(), Finding(code=Code.REMOVED, severity=WARNING, since=NOW - DAY))
    (judgement,) = judged(at(NOTHING, inspections=[late]), remembered=[removed])
    assert judgement.devices_error is None
    (judgement,) = judged(at(NOTHING, vpp(), inspections=[late]), remembered=[a_status(ade())], connectors="vpp,apns")
    assert judgement.devices_error is None


def test_tokens_that_could_not_be_read_are_late_like_any_other():
    (judgement,) = judged(at(NOTHING, failed(ADE), inspections=[found(NOW - 9 * DAY)]), remembered=[a_status(ade())])
    assert judgement.devices_error is not None
    assert held(judgement.statuses[0], Code.UNREAD).facts == {"reason": "ade could not be read"}


def test_without_memory_a_check_judges_what_was_found_and_calls_nothing_unread():
    (judgement,) = judged(at(NOTHING, ade(), remembers=False, inspections=[found(NOW - 9 * DAY, waiting=3)]))
    assert (codes(*judgement.statuses), judgement.devices_error) == ([WITHOUT], None)
