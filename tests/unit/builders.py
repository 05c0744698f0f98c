"""Builds tokens, settings, and runs in one line, so that a test states only what it tests.

Tokens are healthy by default. `judged` judges runs one after the other and gives each what the previous one remembers,
through JSON, as the store does.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

import duckdb_kql
import msgspec

from shared.graph.connectors import SOURCES
from shared.graph.wire import Item
from shared.guidance.guidance import Guidance
from shared.judging.judge import Judgement, judge
from shared.model.counts import Inspection
from shared.model.runs import Failure, Reading
from shared.model.tokens import (
    PUSH_CERTIFICATE_ID,
    PUSH_CERTIFICATE_NAME,
    Connector,
    Finding,
    Health,
    Key,
    Status,
    Step,
    Token,
    Unreadable,
)
from shared.publishing.rows import FINDINGS, finding_rows
from shared.settings import Settings
from simulator.rules import EXAMPLE_DEPLOYMENT, Event, Rule, create_tables, firing, insert
from tests.unit.terms import ADE, APNS, DAY, HOUR, INFO, MINUTE, NOTHING, NOW, VPP, WARNING  # noqa: F401 - for tests, too

ENVIRONMENT = {
    "TABLES_ENDPOINT": "https://contoso.table.core.windows.net",
    "LOGS_INGESTION_ENDPOINT": "https://contoso-1234.westeurope-1.ingest.monitor.azure.com",
    "LOGS_INGESTION_RULE_ID": "dcr-0123456789abcdef0123456789abcdef",
    "TENANT_ID": "11111111-2222-3333-4444-555555555555",
    "DEPLOYMENT": "abcdefghijklm",
}
"""The required settings only."""

IDS = {ADE: "ade00000-0000-4000-8000-000000000001", VPP: "99900000-0000-4000-8000-000000000001"}


def settings(**overrides: str) -> Settings:
    """Return the default settings with `overrides`: names in lower case, values as in app settings."""
    return Settings.load(ENVIRONMENT | {name.upper(): value for name, value in overrides.items()})


def ade(**fields: object) -> Token:
    return _token(
        {
            "connector": ADE,
            "id": IDS[ADE],
            "name": "Contoso iPads",
            "type": "dep",
            "apple_id": "mdm@contoso.com",
            "expires_on": NOW + 200 * DAY,
            "last_successful_sync": NOW - HOUR,
            "last_modified": NOW - 100 * DAY,
            "sync_error_code": 0,
            "synced_devices": 40,
        },
        fields,
    )


def vpp(**fields: object) -> Token:
    return _token(
        {
            "connector": VPP,
            "id": IDS[VPP],
            "name": "Contoso apps",
            "type": "business",
            "apple_id": "apps@contoso.com",
            "expires_on": NOW + 200 * DAY,
            "last_successful_sync": NOW - HOUR,
            "sync_status": "completed",
            "state": "valid",
        },
        fields,
    )


def apns(**fields: object) -> Token:
    return _token(
        {
            "connector": APNS,
            "id": PUSH_CERTIFICATE_ID,
            "name": PUSH_CERTIFICATE_NAME,
            "type": "apns",
            "apple_id": "push@contoso.com",
            "expires_on": NOW + 200 * DAY,
            "topic": "com.apple.mgmt.External.1",
            "serial_number": "0A1B2C",
        },
        fields,
    )


HEALTHY_TOKENS = {ADE: ade, APNS: apns, VPP: vpp}


def healthy(connector: Connector, **fields: object) -> Token:
    return HEALTHY_TOKENS[connector](**fields)


def _token(common: Mapping[str, object], fields: Mapping[str, object]) -> Token:
    """Return a token whose unreadable fields are None, as from the decoder."""
    values = {**common, **fields}
    gone = {value.field: None for value in values.get("unreadable", ()) if value.field != "name"}
    return Token(**{**values, **gone})


def cannot_read(field: str, raw: str = "missing", *, name: str | None = None) -> dict[str, tuple[Unreadable, ...]]:
    """Return the fields of a token with one value that could not be read."""
    return {"unreadable": (Unreadable(field=field, property=name or field, raw=raw),)}


def reading(connector: Connector, *tokens: Token) -> Reading:
    """Return a complete reading."""
    return Reading(connector=connector, tokens=tokens)


def failed(connector: Connector) -> Reading:
    failure = Failure(connector=connector, asked="GET /somewhere", reason="Graph failed", remedy="The next check asks.")
    return Reading(connector=connector, failure=failure)


class Moment(NamedTuple):
    """A run: its time, readings, whether the store could be read, and the inspections (None: unknown)."""

    now: datetime
    told: tuple[Token | Reading, ...]
    remembers: bool
    inspections: tuple[Inspection, ...] | None


def at(
    when: datetime | timedelta,
    *told: Token | Reading,
    remembers: bool = True,
    inspections: Iterable[Inspection] | None = None,
) -> Moment:
    """Return a run at `when` (a span is after NOW). Connectors without tokens are complete and empty."""
    found = None if inspections is None else tuple(inspections)
    return Moment(when if isinstance(when, datetime) else NOW + when, told, remembers, found)


def readings(told: Iterable[Token | Reading], connectors: Iterable[Connector]) -> list[Reading]:
    whole = {connector: reading(connector) for connector in sorted(connectors)}
    for one in told:
        before = whole[one.connector]
        whole[one.connector] = one if isinstance(one, Reading) else reading(one.connector, *before.tokens, one)
    return list(whole.values())


def stored(status: Status) -> Status:
    """Return the status as the next run reads it: through JSON, as in the store."""
    return msgspec.json.decode(msgspec.json.encode(status), type=Status)


def judged(*moments: Moment, remembered: Iterable[Status] = (), **overrides: str) -> list[Judgement]:
    """Return the judgment of each run, in order; a run that cannot read the store doesn't write to it."""
    configured = settings(**overrides)
    memory: dict[Key, Status] = {status.key: stored(status) for status in remembered}
    results = []
    for number, (now, told, remembers, inspections) in enumerate(moments):
        judgement = judge(
            readings(told, configured.connectors),
            dict(memory) if remembers else None,
            inspections=None if inspections is None else {one.token_id: one for one in inspections},
            run_id=f"run-{number}",
            now=now,
            settings=configured,
        )
        results.append(judgement)
        if remembers:
            memory = {key: status for key, status in memory.items() if key not in judgement.departed}
            memory |= {status.key: stored(status) for status in judgement.statuses}
    return results


def last(*moments: Moment, remembered: Iterable[Status] = (), **overrides: str) -> Status:
    """Return the only status of the last run."""
    (status,) = judged(*moments, remembered=remembered, **overrides)[-1].statuses
    return status


def each(*moments: Moment, remembered: Iterable[Status] = (), **overrides: str) -> list[Status]:
    """Return the only status of every run."""
    return [status for (status,) in (one.statuses for one in judged(*moments, remembered=remembered, **overrides))]


def codes(status: Status) -> list[str]:
    return [finding.code for finding in status.findings]


def found(status: Status) -> list[str]:
    """Return each finding as its code, its tier, if it has one, and its severity."""
    return [" ".join(filter(None, (one.code, one.tier, str(one.severity)))) for one in status.findings]


def held(status: Status, code: str) -> Finding:
    finding = status.finding(code)
    assert finding is not None, f"{code} does not hold, but {codes(status)}"
    return finding


def severity(status: Status, code: str) -> Health | None:
    """Return the severity of a finding; None if the status doesn't have it."""
    finding = status.finding(code)
    return finding and finding.severity


def history(status: Status) -> list[tuple[str, object, object]]:
    """Return the field, old, and new of each change for the history; a finding is (code, severity, tier)."""
    fields = status.change.fields if status.change else ()

    def told(value: object) -> object:
        return msgspec.structs.astuple(value) if isinstance(value, msgspec.Struct) else value

    return [(field.field, told(field.old), told(field.new)) for field in fields]


def a_status(token: Token, *findings: Finding, **fields: object) -> Status:
    """Return a status that no run would store."""
    common: dict[str, object] = {
        "token": token,
        "label": token.name,
        "health": Health.worst(finding.severity for finding in findings),
        "health_since": NOW - DAY,
        "findings": findings,
        "first_seen": NOW - 90 * DAY,
        "observed_on": NOW,
        "checked_on": NOW,
        "run_id": "run",
        "changed_on": NOW - DAY,
    }
    return Status(**{**common, **fields})


def a_step(tier: str = "begun", severity: Health = WARNING, condition: str = "", **fields: object) -> Step:
    """Return a step; its condition names its tier by default."""
    common: dict[str, object] = {"tier": tier, "severity": severity, "since": NOW - DAY, "action": "Renew it."}
    return Step(**{**common, "condition": condition or f"it lasts ({tier})", **fields})


def fired(rule: Rule, *statuses: Status) -> list[Event]:
    """Return what `rule` fires, by its own query, for the rows of these statuses."""
    with duckdb_kql.connect() as con:
        create_tables(con)
        rows = [row for one in statuses for row in finding_rows(one, "tenant", EXAMPLE_DEPLOYMENT, Guidance())]
        insert(con, FINDINGS.name, rows)
        now = max(status.checked_on for status in statuses)
        return [Event("fired", alert, now, now) for alert in firing(con, now, [rule])]


def decoded(connector: Connector, wire: Mapping[str, object] | bytes) -> Token:
    """Return the token of one object as Graph sends it."""
    raw = wire if isinstance(wire, bytes) else json.dumps(wire).encode()
    return SOURCES[connector].decode(Item(msgspec.Raw(raw), f"GET {SOURCES[connector].path}"))


WIRE: Mapping[Connector, Mapping[str, object]] = {
    ADE: {
        "id": "ade00000-0000-4000-8000-000000000001",
        "tokenName": "Contoso iPads",
        "tokenType": "dep",
        "appleIdentifier": "mdm@contoso.com",
        "tokenExpirationDateTime": "2027-06-11T06:07:00Z",
        "lastModifiedDateTime": "2026-08-15T06:07:00.1234567Z",
        "lastSuccessfulSyncDateTime": "2026-11-23T05:07:00.0590989-01:00",
        "lastSyncErrorCode": 0,
        "syncedDeviceCount": 40,
    },
    APNS: {
        "id": "another at every reading",
        "appleIdentifier": "push@contoso.com",
        "expirationDateTime": "2027-06-11T06:07:00Z",
        "topicIdentifier": "com.apple.mgmt.External.1",
        "certificateSerialNumber": "0A1B2C",
        "certificateUploadStatus": None,
        "certificateUploadFailureReason": None,
    },
    VPP: {
        "id": "99900000-0000-4000-8000-000000000001",
        "displayName": "Contoso apps",
        "locationName": "Contoso London",
        "organizationName": "Contoso",
        "vppTokenAccountType": "business",
        "appleId": "apps@contoso.com",
        "expirationDateTime": "2027-06-11T06:07:00Z",
        "lastModifiedDateTime": "2026-11-23T05:08:00Z",
        "lastSyncDateTime": "2026-11-23T05:07:00Z",
        "lastSyncStatus": "completed",
        "state": "valid",
    },
}
"""A healthy object of each connector, as Graph sends it."""
