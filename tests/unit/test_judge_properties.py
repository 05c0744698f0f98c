"""Invariants of every judgment, whatever Graph returned, whatever is remembered, and whatever the clock says."""

from datetime import datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.judging.judge import Judgement, judge
from shared.judging.steps import CAUSES
from shared.model.counts import Inspection
from shared.model.runs import Reading
from shared.model.tokens import Code, Connector, FindingState, Health, Key, Status, Token
from shared.settings import Settings
from tests.unit.builders import settings, stored
from tests.unit.strategies import CLOCKS, MEMORIES, a_reading, inspections
from tests.unit.terms import DAY

CONFIGURED = [
    settings(),
    settings(connectors="ade"),
    settings(change_days="1", sync_error_critical_hours="0", expiry_warning_days="3650", expiry_critical_days="2"),
    settings(devices_dropped_percent="1", devices_dropped_minimum="1", sync_stale_warning_hours="1"),
]


class Case(msgspec.Struct, frozen=True):
    """What goes into a judgement."""

    readings: list[Reading]
    memory: dict[Key, Status] | None
    now: datetime
    settings: Settings
    inspections: dict[str, Inspection] | None = None

    def judged(self) -> Judgement:
        return judge(
            self.readings, self.memory, inspections=self.inspections, run_id="run", now=self.now, settings=self.settings
        )

    @property
    def failed(self) -> set[Connector]:
        return {one.connector for one in self.readings if one.failure}

    @property
    def listed(self) -> dict[Key, Token]:
        return {(one.connector, token.id): token for one in self.readings for token in one.tokens}


@st.composite
def cases(draw: st.DrawFn, memory: st.SearchStrategy[dict[Key, Status] | None] = MEMORIES) -> Case:
    configured = draw(st.sampled_from(CONFIGURED))
    return Case(
        readings=[draw(a_reading(connector)) for connector in sorted(configured.connectors)],
        memory=draw(memory),
        now=draw(CLOCKS),
        settings=configured,
        inspections=draw(inspections()),
    )


ANY_CASE = cases(MEMORIES | st.none())


def each_token_is_one_status_or_has_departed(case, judgement):
    keys = [status.key for status in judgement.statuses]
    assert len(set(keys)) == len(keys)
    assert not set(keys) & set(judgement.departed)
    assert {*keys, *judgement.departed} == {*case.listed, *(case.memory or {})}
    assert set(case.listed) <= set(keys)


def only_a_removed_or_unwatched_token_departs(case, judgement):
    for key in judgement.departed:
        unwatched = key[0] not in case.settings.connectors
        removed = case.memory[key].finding(Code.REMOVED)
        assert unwatched or (removed and key[0] not in case.failed and key not in case.listed)


def nothing_needs_a_memory_that_is_missing(case, judgement):
    if case.memory is None:
        assert judgement.departed == ()
        needed = {Code.REMOVED, Code.UNREAD, Code.APPLE_ID_CHANGED, Code.PUSH_TOPIC_CHANGED, Code.DEVICES_DROPPED}
        assert not {finding.code for status in judgement.statuses for finding in status.findings} & needed


def a_status_in_doubt_is_not_healthy(case, status):
    if status.token.unreadable or status.token.connector in case.failed or status.key not in case.listed:
        assert status.health is not Health.HEALTHY
    if status.token.unreadable and status.key in case.listed:
        assert status.health >= Health.UNKNOWN
        assert status.finding(Code.UNREADABLE)


def a_status_is_as_severe_as_its_first_finding(_case, status):
    severities = [finding.severity for finding in status.findings]
    assert severities == sorted(severities, reverse=True)
    assert Health.HEALTHY not in severities
    assert status.health is (severities[0] if severities else Health.HEALTHY)
    assert len({finding.code for finding in status.findings}) == len(severities)


def an_instant_is_not_ahead_and_is_kept_while_its_state_lasts(case, status):
    before = (case.memory or {}).get(status.key)
    for finding in status.findings:
        known = before and before.finding(finding.code)
        assert finding.since == (min(known.since, case.now) if known else case.now)
    same = before and before.health is status.health
    assert status.health_since == (min(before.health_since, case.now) if before and same else case.now)
    assert status.changed_on <= case.now
    assert (status.checked_on, status.run_id) == (case.now, "run")


def a_token_of_a_failed_connector_keeps_its_findings(case, status):
    before = (case.memory or {}).get(status.key)
    if before is None or status.token.connector not in case.failed:
        return
    codes, after = ({finding.code for finding in one.findings} for one in (before, status))
    by_clock = {Code.EXPIRED, Code.EXPIRING}
    if Code.REMOVED in codes:
        assert after == {Code.REMOVED}
    else:
        assert {*(codes - by_clock), Code.UNREAD} <= after
        assert after - codes <= {*by_clock, Code.UNREAD}
    assert (status.token, status.missing_since) == (before.token, before.missing_since)


EXPLAINS_NO_SYNC = [Code.EXPIRED, Code.INVALID, Code.DUPLICATE_LOCATION, Code.TERMS_NOT_ACCEPTED]
FOLLOWS_FROM = {
    Code.SYNC_STALE: [*EXPLAINS_NO_SYNC, Code.SYNC_ERROR],
    Code.NEVER_SYNCED: [*EXPLAINS_NO_SYNC, Code.SYNC_ERROR],
    Code.SYNC_ERROR: EXPLAINS_NO_SYNC,
    Code.TERMS_NOT_ACCEPTED: [Code.EXPIRED],
    Code.EXPIRING: [Code.EXPIRED],
    Code.INVALID: [Code.EXPIRED],
}


def a_finding_names_the_first_cause_that_holds(case, status):
    for finding in status.findings:
        causes = (code for code in FOLLOWS_FROM.get(finding.code, ()) if status.finding(code))
        assert finding.caused_by == next(causes, None)
        cause = finding.caused_by and status.finding(finding.caused_by)
        if not case.memory:  # at first sight, what a cause explains raises no alert and is not more severe
            assert bool(finding.steps) is (cause is None)
            assert cause is None or (cause.caused_by is None and cause.severity >= finding.severity)


def a_change_has_exactly_what_differs_and_never_unread(case, status):
    before, change = (case.memory or {}).get(status.key), status.change
    if case.memory is None:
        assert change is None
    elif before is None:
        assert change is not None
        assert (change.fields[0].field, change.old_health) == ("first_seen", None)
    if change:
        assert change.fields
        assert (change.changed_on, change.run_id, status.changed_on) == (case.now, "run", case.now)
    for field in change.fields if change else ():
        assert field.old != field.new
        assert not any(isinstance(one, FindingState) and one.code == Code.UNREAD for one in (field.old, field.new))


OF_A_JUDGEMENT = (
    each_token_is_one_status_or_has_departed,
    only_a_removed_or_unwatched_token_departs,
    nothing_needs_a_memory_that_is_missing,
)
OF_A_STATUS = (
    a_status_in_doubt_is_not_healthy,
    a_status_is_as_severe_as_its_first_finding,
    an_instant_is_not_ahead_and_is_kept_while_its_state_lasts,
    a_token_of_a_failed_connector_keeps_its_findings,
    a_finding_names_the_first_cause_that_holds,
    a_change_has_exactly_what_differs_and_never_unread,
)


@given(cases(MEMORIES | st.none() | st.just({})))
def test_a_judgement_keeps_every_invariant_and_is_the_same_for_the_same_values(case):
    judgement = case.judged()
    assert judgement == case.judged()
    for invariant in OF_A_JUDGEMENT:
        invariant(case, judgement)
    for status in judgement.statuses:
        assert stored(status) == status
        for invariant in OF_A_STATUS:
            invariant(case, status)


def test_the_causes_are_those_of_the_design():
    assert {code: list(causes) for code, causes in CAUSES.items()} == FOLLOWS_FROM


@given(cases(), st.lists(st.timedeltas(timedelta(), 3 * DAY), max_size=4), st.data())
def test_a_second_run_at_the_same_instant_changes_nothing(case, gaps, data):
    memory, now = dict(case.memory or {}), case.now
    for gap in gaps:
        now += gap
        readings = [data.draw(a_reading(connector)) for connector in sorted(case.settings.connectors)]
        step = Case(readings, memory, now, case.settings)
        judgement = step.judged()
        memory = {status.key: stored(status) for status in judgement.statuses}
        again = Case(readings, memory, now, case.settings).judged()
        for one, other in zip(judgement.statuses, again.statuses, strict=True):
            assert (other.findings, other.health, other.health_since, other.change) == (
                one.findings,
                one.health,
                one.health_since,
                None,
            )
            assert replace(other, change=one.change) == one
