"""What holds of every judgement, whatever Graph told, whatever is remembered and whatever the clock says."""

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.judging.judge import Judgement, judge
from shared.judging.steps import CAUSES
from shared.model.counts import Counts, Inspected, Inspection
from shared.model.tokens import (
    PUSH_CERTIFICATE_ID,
    Change,
    Code,
    Connector,
    FieldChange,
    Finding,
    FindingState,
    Health,
    Key,
    Reading,
    Status,
    Token,
    Unreadable,
)
from shared.settings import Settings
from tests.unit.builders import ADE, APNS, DAY, NOW, VPP, failed, reading, settings, stored

examples = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

CONFIGURED = [
    settings(),
    settings(connectors="ade"),
    settings(change_days="1", sync_error_critical_hours="0", expiry_warning_days="3650", expiry_critical_days="2"),
    settings(devices_dropped_percent="1", devices_dropped_minimum="1", sync_stale_warning_hours="1"),
]

# Round values near each other, so that limits are hit; and the ends of what Graph can send.
NEAR = st.integers(-100, 100).map(lambda hours: NOW + timedelta(hours=hours)) | st.integers(-400, 400).map(
    lambda minutes: NOW + timedelta(minutes=minutes)
)
CLOCKS = NEAR | st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
INSTANTS = (
    CLOCKS
    | st.integers(-100, 100).map(lambda days: NOW + days * DAY)
    | st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
)
STATES_OF_VPP = st.sampled_from(["valid", "expired", "invalid", "assignedToExternalMDM", "duplicateLocationId"])
FEW = st.sampled_from(["a", "A", "b", "none", "expired", "failed", "completed", "invalid", "x" * 512])
FIELDS = {
    "type": st.none() | st.sampled_from(["none", "dep"]),
    "apple_id": st.none() | FEW,
    "expires_on": st.none() | INSTANTS,
    "last_successful_sync": st.none() | INSTANTS,
    "last_sync": st.none() | INSTANTS,
    "last_modified": st.none() | INSTANTS,
    "sync_error_code": st.none() | st.integers(-1, 8) | st.integers(-(2**31), 2**31 - 1),
    "synced_devices": st.none() | st.integers(0, 30) | st.integers(-(2**31), 2**31 - 1),
    "sync_status": st.none() | FEW | st.just("inProgress"),
    "state": st.none() | FEW | STATES_OF_VPP,
    "topic": st.none() | FEW,
    "serial_number": st.none() | FEW,
    "upload_failure": st.none() | FEW,
}
PER_CONNECTOR = {
    ADE: (
        "type",
        "apple_id",
        "expires_on",
        "last_successful_sync",
        "last_modified",
        "sync_error_code",
        "synced_devices",
    ),
    APNS: ("apple_id", "expires_on", "topic", "serial_number", "upload_failure"),
    VPP: (
        "type",
        "apple_id",
        "expires_on",
        "last_successful_sync",
        "last_sync",
        "last_modified",
        "sync_status",
        "state",
    ),
}


@st.composite
def tokens(draw: st.DrawFn, connector: Connector) -> Token:
    """A token as the decoder gives it: what cannot be read is None."""
    names = PER_CONNECTOR[connector]
    bad = draw(st.lists(st.sampled_from(("name", *names)), max_size=2, unique=True))
    return Token(
        connector=connector,
        id=PUSH_CERTIFICATE_ID if connector is APNS else draw(st.sampled_from(["1", "2", "3"])),
        name=draw(st.sampled_from(["Contoso", "Other"])),
        unreadable=tuple(Unreadable(field=field, property=field, raw="?") for field in bad),
        **{name: draw(FIELDS[name]) for name in names if name not in bad},
    )


def a_reading(connector: Connector) -> st.SearchStrategy[Reading]:
    found = st.lists(tokens(connector), max_size=3, unique_by=lambda token: token.id)
    return st.just(failed(connector)) | found.map(lambda some: reading(connector, *some))


CODES = st.sampled_from([*map(str, Code), "battery_low"])
SEVERITIES = st.sampled_from([health for health in Health if health is not Health.HEALTHY])
FINDINGS = st.builds(
    Finding,
    code=CODES,
    severity=SEVERITIES,
    tier=st.none() | st.sampled_from(["0", "30", "x"]),
    since=INSTANTS,
    until=st.none() | INSTANTS,
    caused_by=st.none() | CODES,
    facts=st.dictionaries(FEW, st.none() | st.integers() | st.booleans() | FEW, max_size=2),
)
STATES = st.builds(FindingState, code=CODES, severity=SEVERITIES, tier=st.none() | FEW)
CHANGES = st.builds(
    Change,
    changed_on=INSTANTS,
    run_id=FEW,
    token_name=FEW,
    old_health=st.none() | st.sampled_from(Health),
    health=st.sampled_from(Health),
    fields=st.lists(st.builds(FieldChange, field=FEW, old=STATES | FEW, new=STATES | FEW), max_size=2).map(tuple),
)


@st.composite
def statuses(draw: st.DrawFn, connector: Connector) -> Status:
    """A row of any release, written by any clock; its health is that of its findings."""
    held = draw(st.lists(FINDINGS, max_size=4, unique_by=lambda finding: finding.code))
    return Status(
        token=draw(tokens(connector)),
        label="label",
        health=Health.worst(finding.severity for finding in held),
        health_since=draw(INSTANTS),
        findings=tuple(held),
        first_seen=draw(INSTANTS),
        observed_on=draw(st.none() | INSTANTS),
        checked_on=draw(INSTANTS),
        run_id="before",
        changed_on=draw(INSTANTS),
        change=draw(st.none() | CHANGES),
        missing_since=draw(st.none() | INSTANTS),
        known_apple_id=draw(st.none() | FEW),
        known_topic=draw(st.none() | FEW),
        known_serial_number=draw(st.none() | FEW),
        known_devices=draw(st.none() | st.integers(0, 30)),
    )


MEMORIES = st.lists(st.sampled_from(Connector).flatmap(statuses), max_size=4).map(
    lambda some: {status.key: status for status in some}
)


FEWER = st.integers(0, 40)
COUNTS = st.builds(
    Counts,
    devices=FEWER,
    deleted=FEWER,
    imported=FEWER,
    waiting=FEWER,
    enrolled_without_profile=FEWER,
    failed=FEWER,
    blocked=FEWER,
    by_platform=st.dictionaries(st.sampled_from(["ios", "macOS", "watchOS"]), FEWER),
)
INSPECTED = st.builds(
    Inspected,
    on=INSTANTS,
    counts=COUNTS,
    profiles=st.none() | FEWER,
    defaults=st.none() | st.dictionaries(st.sampled_from(["ios", "macOS"]), st.none() | FEW),
    synced_devices=st.none() | FEWER,
)


@st.composite
def inspections(draw: st.DrawFn) -> dict[str, Inspection] | None:
    """Of tokens that are there and of others, by any release and any clock; None where they could not be read."""
    ids = st.sampled_from(["1", "2", "3"])
    if draw(st.booleans()):
        return None
    found = st.builds(
        Inspection,
        token_id=ids,
        token_name=FEW,
        run_id=FEW,
        tried_on=INSTANTS,
        complete=st.booleans(),
        error=st.none() | FEW,
        last=st.none() | INSPECTED,
        disagreed_first=st.none() | INSTANTS,
        disagreed_last=st.none() | INSTANTS,
    )
    return {one.token_id: one for one in draw(st.lists(found, max_size=3))}


OF_DEVICES = {Code.DEVICES_WITHOUT_PROFILE, Code.ENROLLMENT_FAILING, Code.DEVICES_MISSING, Code.NO_DEFAULT_PROFILE}


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
    def told(self) -> dict[Key, Token]:
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


@examples
@given(ANY_CASE)
def test_a_judgement_never_raises_and_is_the_same_for_the_same_values(case):
    first = case.judged()
    assert first == case.judged()
    for status in first.statuses:
        assert stored(status) == status


@examples
@given(ANY_CASE)
def test_each_token_that_was_read_or_is_remembered_is_one_status_or_has_departed(case):
    judgement = case.judged()
    found = [status.key for status in judgement.statuses]
    assert len(set(found)) == len(found)
    assert not set(found) & set(judgement.departed)
    assert {*found, *judgement.departed} == {*case.told, *(case.memory or {})}
    assert set(case.told) <= set(found)


@examples
@given(ANY_CASE)
def test_what_is_unreadable_unread_or_of_a_failed_connector_is_never_called_healthy(case):
    for status in case.judged().statuses:
        in_doubt = status.token.unreadable or status.token.connector in case.failed or status.key not in case.told
        if in_doubt:
            assert status.health is not Health.HEALTHY
        if status.token.unreadable and status.key in case.told:
            assert status.health >= Health.UNKNOWN
            assert status.finding(Code.UNREADABLE)


@examples
@given(ANY_CASE)
def test_a_status_is_as_bad_as_its_worst_finding_and_each_finding_is_told_once_worst_first(case):
    for status in case.judged().statuses:
        severities = [finding.severity for finding in status.findings]
        assert severities == sorted(severities, reverse=True)
        assert Health.HEALTHY not in severities
        assert status.health is (severities[0] if severities else Health.HEALTHY)
        assert len({finding.code for finding in status.findings}) == len(severities)


@examples
@given(ANY_CASE)
def test_no_instant_lies_ahead_of_now_and_none_moves_forward_while_what_it_dates_lasts(case):
    for status in case.judged().statuses:
        before = (case.memory or {}).get(status.key)
        for finding in status.findings:
            held = before and before.finding(finding.code)
            assert finding.since == (min(held.since, case.now) if held else case.now)
        same = before and before.health is status.health
        assert status.health_since == (min(before.health_since, case.now) if before and same else case.now)
        assert status.changed_on <= case.now
        assert (status.checked_on, status.run_id) == (case.now, "run")


@examples
@given(cases())
def test_a_connector_that_could_not_be_read_loses_no_token_and_no_finding_but_an_expiry(case):
    judged = {status.key: status for status in case.judged().statuses}
    for key, before in (case.memory or {}).items():
        if key[0] not in case.failed:
            continue
        codes = {finding.code for finding in before.findings}
        after = {finding.code for finding in judged[key].findings}
        if Code.REMOVED in codes:
            assert after == {Code.REMOVED}
        else:
            assert codes - {Code.EXPIRED, Code.EXPIRING} <= after
            assert Code.UNREAD in after
            assert after - codes <= {Code.EXPIRED, Code.EXPIRING, Code.UNREAD}
        assert judged[key].token == before.token
        assert judged[key].missing_since == before.missing_since


@examples
@given(cases())
def test_only_a_removed_token_or_one_that_is_not_watched_any_more_departs(case):
    for key in case.judged().departed:
        assert case.memory is not None
        unwatched = key[0] not in case.settings.connectors
        removed = case.memory[key].finding(Code.REMOVED)
        assert unwatched or (removed and key[0] not in case.failed and key not in case.told)


EXPLAINS_NO_SYNC = [Code.EXPIRED, Code.INVALID, Code.DUPLICATE_LOCATION, Code.TERMS_NOT_ACCEPTED]
FOLLOWS_FROM = {
    Code.SYNC_STALE: [*EXPLAINS_NO_SYNC, Code.SYNC_ERROR],
    Code.NEVER_SYNCED: [*EXPLAINS_NO_SYNC, Code.SYNC_ERROR],
    Code.SYNC_ERROR: EXPLAINS_NO_SYNC,
    Code.TERMS_NOT_ACCEPTED: [Code.EXPIRED],
    Code.EXPIRING: [Code.EXPIRED],
    Code.INVALID: [Code.EXPIRED],
}


@examples
@given(ANY_CASE)
def test_no_two_unexplained_findings_follow_from_one_another_and_the_first_cause_that_holds_is_named(case):
    assert {code: list(causes) for code, causes in CAUSES.items()} == FOLLOWS_FROM
    for status in case.judged().statuses:
        for finding in status.findings:
            holding = (code for code in FOLLOWS_FROM.get(finding.code, ()) if status.finding(code))
            assert finding.caused_by == next(holding, None)


@examples
@given(cases(st.just({}) | st.none()))
def test_of_a_token_at_first_sight_no_cause_alerts_beside_what_follows_from_it_and_none_is_less_severe(case):
    for status in case.judged().statuses:
        for finding in status.findings:
            cause = finding.caused_by and status.finding(finding.caused_by)
            assert bool(finding.steps) is (cause is None)
            assert cause is None or (cause.caused_by is None and cause.severity >= finding.severity)


@examples
@given(ANY_CASE)
def test_a_change_is_told_of_exactly_what_differs_and_never_of_being_unread(case):
    for status in case.judged().statuses:
        before = (case.memory or {}).get(status.key)
        change = status.change
        if case.memory is None:
            assert change is None
        elif before is None:
            assert change is not None
            assert (change.fields[0].field, change.old_health) == ("first_seen", None)
        told = change.fields if change else ()
        for field in told:
            assert field.old != field.new
            for side in (field.old, field.new):
                assert not isinstance(side, FindingState) or side.code != Code.UNREAD
        if change:
            assert told
            assert (change.changed_on, change.run_id, status.changed_on) == (case.now, "run", case.now)


@examples
@given(cases(st.none()))
def test_without_memory_nothing_is_called_removed_changed_dropped_or_unread(case):
    memory_needed = {Code.REMOVED, Code.UNREAD, Code.APPLE_ID_CHANGED, Code.PUSH_TOPIC_CHANGED, Code.DEVICES_DROPPED}
    judgement = case.judged()
    assert judgement.departed == ()
    for status in judgement.statuses:
        assert not {finding.code for finding in status.findings} & memory_needed


@examples
@given(cases(), st.lists(st.timedeltas(timedelta(), 3 * DAY), max_size=4), st.data())
def test_a_run_after_a_run_keeps_all_that_and_a_second_look_at_once_changes_nothing(case, gaps, data):
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
