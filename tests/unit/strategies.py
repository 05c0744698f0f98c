"""Hypothesis strategies for what Graph, the store, and the clock can hand to a judgment."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from shared.model.counts import Counts, Inspected, Inspection
from shared.model.runs import Reading
from shared.model.tokens import (
    PUSH_CERTIFICATE_ID,
    Change,
    Code,
    Connector,
    FieldChange,
    Finding,
    FindingState,
    Health,
    Status,
    Token,
    Unreadable,
)
from tests.unit.builders import failed, reading
from tests.unit.terms import ADE, APNS, DAY, NOW, VPP

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
FEW = st.sampled_from(["a", "A", "b", "none", "expired", "failed", "completed", "invalid", "\xb2", "{x}", "x" * 512])
FIELDS = {
    "type": st.none() | st.sampled_from(["none", "dep", "appleSchoolManager"]),
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
SYNCED = ("type", "apple_id", "expires_on", "last_successful_sync", "last_modified")
PER_CONNECTOR = {
    ADE: (*SYNCED, "sync_error_code", "synced_devices"),
    APNS: ("apple_id", "expires_on", "topic", "serial_number", "upload_failure"),
    VPP: (*SYNCED, "last_sync", "sync_status", "state"),
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


CODES = st.sampled_from([*map(str, Code), "battery_low", "{x}", ""])
FACTS = st.sampled_from(["code", "old", "new", "state", "reason", "before", "now"])
SEVERITIES = st.sampled_from([health for health in Health if health is not Health.HEALTHY])
FINDINGS = st.builds(
    Finding,
    code=CODES,
    severity=SEVERITIES,
    tier=st.none() | st.sampled_from(["0", "30", "\xb2", "x" * 600]),
    since=INSTANTS,
    until=st.none() | INSTANTS,
    caused_by=st.none() | CODES,
    facts=st.dictionaries(FACTS | FEW, st.none() | st.integers() | st.booleans() | FEW, max_size=2),
)
STATES = st.builds(FindingState, code=CODES, severity=SEVERITIES, tier=st.none() | FEW)
CHANGED = st.sampled_from(["first_seen", "health", "finding", "expiry", "apple_id", "topic", "name"]) | FEW
VALUES = st.none() | STATES | FEW | INSTANTS.map(datetime.isoformat)
CHANGES = st.builds(
    Change,
    changed_on=INSTANTS,
    run_id=FEW,
    token_name=FEW,
    old_health=st.none() | st.sampled_from(Health),
    health=st.sampled_from(Health),
    fields=st.lists(st.builds(FieldChange, field=CHANGED, old=VALUES, new=VALUES), max_size=4).map(tuple),
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
