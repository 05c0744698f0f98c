"""The rows of every table: their columns as the design has them, their keys, and that no text can break one."""

import dataclasses
import re
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared import __version__
from shared.graph.devices import Device, Tally
from shared.guidance.guidance import Guidance
from shared.model.counts import Counts, Inspected, Inspection, Pause
from shared.model.runs import Failure, GraphToken, Outcome, Run
from shared.model.tokens import Change, Connector, FieldChange, Finding, FindingState, Health, Status
from shared.publishing import rows
from shared.publishing.rows import FINDINGS, RUNS, RunSource
from shared.storage.columns import RawText, days_left, key, newest_first, value_type
from shared.storage.device_rows import DEVICE_INSPECTION, InspectionRow, inspection_memory
from shared.storage.reading import columns_of, reader
from shared.storage.rows import (
    CHECK_RUN,
    TOKEN_HISTORY,
    TOKEN_STATUS,
    ChangeRow,
    ChangeSource,
    RunRow,
    StatusRow,
    StatusSource,
    StoredFinding,
    findings_json,
    plain_changes,
)
from tests.unit.builders import (
    ENVIRONMENT,
    WIRE,
    a_status,
    a_step,
    ade,
    at,
    decoded,
    failed,
    healthy,
    judged,
    last,
    stored,
    vpp,
)
from tests.unit.terms import ADE, APNS, CRITICAL, DAY, HEALTHY, HOUR, INFO, NOTHING, NOW, SECOND, UNKNOWN, VPP, WARNING

TENANT, DEPLOYMENT = OF = ENVIRONMENT["TENANT_ID"], ENVIRONMENT["DEPLOYMENT"]
GUIDANCE = Guidance()
LONGEST_PROPERTY = 32_768
"""UTF-16 units: 64 KiB."""

COLUMNS = {
    TOKEN_STATUS: """
        PartitionKey string, RowKey string,
        TokenName string, TokenType string, AppleId string, Health string, HealthSince datetime, Findings string,
        Summary string, ExpiresOn datetime, DaysLeft int, LastSuccessfulSync datetime, LastSyncErrorCode int,
        SyncedDevices int, FirstSeen datetime, ObservedOn datetime, CheckedOn datetime, RunId string,
        ChangedOn datetime, Memory string
    """,
    TOKEN_HISTORY: """
        PartitionKey string, RowKey string,
        ChangedOn datetime, RunId string, TokenName string, OldHealth string, Health string, Changes string,
        Sentence string
    """,
    CHECK_RUN: """
        PartitionKey string, RowKey string,
        RunId string, StartedOn datetime, DurationMs int, Outcome string, Connectors string, GraphToken string,
        Tokens int, Healthy int, Info int, Warning int, Unknown int, Critical int, StoreError string,
        PublishError string, PastDue boolean, Version string
    """,
    DEVICE_INSPECTION: """
        PartitionKey string, RowKey string,
        TokenName string, InspectedOn datetime, RunId string, Complete boolean, Error string, Devices int, Deleted int,
        Imported int, WithoutProfile int, Waiting int, NotContacted int, Failed int, Blocked int, ByState string,
        ByPlatform string, DefaultProfiles string, Examples string, NewestDeviceOn datetime, Memory string
    """,
    FINDINGS: """
        TimeGenerated datetime, EntraTenantId string, Deployment string, RunId string, Connector string, TokenId string,
        TokenName string, TokenType string, AppleId string, Health string, Finding string, Severity string,
        Tier string, Condition string, CausedBy string, Summary string, Action string, ExpiresOn datetime, DaysLeft int,
        LastSuccessfulSync datetime, LastSyncErrorCode int, SyncedDevices int, ObservedOn datetime
    """,
    RUNS: """
        TimeGenerated datetime, EntraTenantId string, Deployment string, RunId string, Connector string,
        Outcome string, Error string,
        Tokens int, Healthy int, Info int, Warning int, Unknown int, Critical int, DurationMs long, Version string,
        Rows int
    """,
}
"""Sections 5 and 6 of the design, by hand: things outside the project rely on these names and types."""


AMISS = ade(sync_error_code=7, apple_id="d@e.f", expires_on=NOW + 5 * DAY, last_successful_sync=NOW - 40 * HOUR)
WORST_FIRST = ["expiring", "sync_error", "sync_stale", "apple_id_changed"]

RUN = Run(
    id="run",
    started_on=NOW,
    duration_ms=1234,
    outcome=Outcome.DEGRADED,
    connectors={
        ADE: 3,
        VPP: Failure(connector=VPP, asked="GET /vpp", reason="Graph failed", status=500, remedy="Wait."),
    },
    counts={ADE: {HEALTHY: 2, CRITICAL: 1}, VPP: {UNKNOWN: 4}, APNS: {INFO: 1, WARNING: 1}},
    rows=11,
    graph_token=GraphToken(
        resource="https://graph.microsoft.com/", lacks=("One.Read.All",), expires_on=NOW + DAY, retry_on=NOW + HOUR
    ),
)


INSPECTION = Inspection(
    token_id="1/2",
    token_name="Contoso iPads",
    run_id="run",
    tried_on=NOW,
    complete=True,
    error="Graph does not return the enrollment profiles.",
    last=Inspected(
        on=NOW - HOUR,
        counts=Counts(
            devices=9,
            deleted=8,
            imported=7,
            unreadable=6,
            without_profile=5,
            waiting=4,
            not_contacted=3,
            failed=2,
            blocked=1,
            by_state={"enrolled": 6, "failed": 2, "blocked": 1},
            by_platform={"ios": 9},
            newest_on=NOW - DAY,
            examples={"failed": ("C02A", "C02B")},
        ),
        defaults={"ios": "Phones", "macOS": None},
    ),
)


def status_row(status):
    return TOKEN_STATUS.row(StatusSource(status, GUIDANCE))


def finding_rows(status, **stored):
    return list(rows.finding_rows(status, *OF, GUIDANCE, **stored))


def history_row(change, connector=ADE, token_id="1"):  # noqa: S107 - an id, no password
    return TOKEN_HISTORY.row(ChangeSource(change, connector, token_id))


def history_key(connector, token_id, change):
    row = history_row(change, connector, token_id)
    return row["PartitionKey"], row["RowKey"]


def amiss():
    return last(at(-HOUR, ade()), at(NOTHING, AMISS))


def in_utf_16(text):
    return len(text.encode("utf-16-le")) // 2


# --- names and types


def test_the_tables_have_the_public_names():
    assert [table.name for table in COLUMNS] == [
        *("TokenStatus", "TokenHistory", "CheckRun", "DeviceInspection", "AppleTokenFinding_CL", "AppleTokenRun_CL")
    ]


@pytest.mark.parametrize("table", COLUMNS, ids=lambda table: table.name)
def test_a_table_has_exactly_the_public_columns(table):
    told = [tuple(column.split()) for column in COLUMNS[table].replace("\n", " ").split(",")]
    assert [(column.name, column.type) for column in table.columns] == told


@pytest.mark.parametrize("table", COLUMNS, ids=lambda table: table.name)
def test_every_column_says_what_it_holds_and_has_no_reserved_name(table):
    for column in table.columns:
        assert column.about.endswith((".", ".`"))
        assert re.fullmatch(r"[A-Z][A-Za-z]{1,43}", column.name)
        # https://learn.microsoft.com/azure/azure-monitor/logs/create-custom-table
        assert column.name not in {"TenantId", "Type", "Id", "Title", "UniqueId", "Timestamp", "ETag"}


PYTHON = {"string": str, "datetime": datetime, "int": int, "long": int, "boolean": bool}


def full_rows():
    status = replace(amiss(), token=replace(AMISS, topic="t"), known_serial_number="s", known_topic="t")
    change = status.change
    assert change is not None
    run = replace(RUN, store_error="a.", publish_error="b.", past_due=True)
    return [
        (TOKEN_STATUS, status_row(status)),
        (TOKEN_HISTORY, history_row(replace(change, old_health=HEALTHY))),
        (CHECK_RUN, CHECK_RUN.row(run)),
        (DEVICE_INSPECTION, DEVICE_INSPECTION.row(INSPECTION)),
        (FINDINGS, finding_rows(status)[0]),
        (RUNS, RUNS.row(RunSource(run, "all", "failed", "why", {HEALTHY: 1}, *OF))),
    ]


@pytest.mark.parametrize(("table", "row"), full_rows(), ids=lambda value: getattr(value, "name", ""))
def test_a_row_of_everything_has_every_column_in_order_and_of_its_type(table, row):
    assert list(row) == [column.name for column in table.columns]
    logged = table in (FINDINGS, RUNS)
    for column in table.columns:
        expected = str if logged and column.type == "datetime" else PYTHON[column.type]
        value = row[column.name]
        assert isinstance(value, expected), column.name
        assert isinstance(value, bool) is (column.type == "boolean"), column.name


# --- reading


READ = {TOKEN_STATUS: StatusRow, TOKEN_HISTORY: ChangeRow, CHECK_RUN: RunRow, DEVICE_INSPECTION: InspectionRow}
STORED = [(READ[table], row) for table, row in full_rows() if table in READ]
WRONG = {str: b"\x1b[2J", RawText: 3, int: True, bool: 1, datetime: "tomorrow", Health: "splendid"}


def fields_of(row):
    return {one.name: one for one in dataclasses.fields(row) if one.init and one.metadata}


@pytest.mark.parametrize(("kind", "row"), STORED, ids=lambda value: getattr(value, "__name__", ""))
def test_what_the_app_writes_is_read_again(kind, row):
    read = reader(kind)(row)
    assert read.problems == ()
    for name, one in fields_of(kind).items():
        written, value = row[one.metadata["name"]], getattr(read, name)
        if isinstance(value, (str, int, datetime)):
            assert (str(value) if isinstance(value, Health) else value) == written, name
        else:
            assert value, name
    assert "Memory" not in columns_of(kind)
    assert "Examples" not in columns_of(kind)


@pytest.mark.parametrize(("kind", "row"), STORED, ids=lambda value: getattr(value, "__name__", ""))
def test_one_wrong_value_loses_one_value_and_is_named(kind, row):
    whole = reader(kind)(row)
    for name, one in fields_of(kind).items():
        column = one.metadata["name"]
        read = reader(kind)({**row, column: WRONG.get(value_type(one.type), '{"a":')})
        lost = [other for other in fields_of(kind) if getattr(read, other) != getattr(whole, other)]
        assert lost == [name], column
        if value_type(one.type) not in {str, RawText}:  # any value is a text
            assert [problem.split()[0] for problem in read.problems] == [column]
    required = {one.metadata["name"] for one in fields_of(kind).values() if one.metadata["required"]}
    for nothing in ({}, dict.fromkeys(row, "")):
        assert {problem.split()[0] for problem in reader(kind)(nothing).problems} == required


def test_texts_that_are_read_are_bounded_and_have_no_control_characters():
    odd = {"TokenName": "x\x1b[2J", "Findings": '[{"code":"a\\u001b","severity":"new","facts":{"b\\u0007":"c\\n"}}]'}
    read = reader(StatusRow)({**status_row(amiss()), **odd, "Summary": "y" * 40_000})
    assert (read.name, len(read.summary)) == ("x\ufffd[2J", 8_000)
    assert read.findings == (StoredFinding(code="a\ufffd", severity=UNKNOWN, facts={"b\ufffd": "c\ufffd"}),)
    assert reader(StatusRow)({"Findings": "[" * 20_000}).problems[0] == "Health is missing"


# --- TokenStatus


def test_a_status_row_says_what_is_true_now():
    row = status_row(amiss())
    memory, findings, summary = row.pop("Memory"), row.pop("Findings"), row.pop("Summary")
    assert row == {
        "PartitionKey": "ade",
        "RowKey": "ade00000-0000-4000-8000-000000000001",
        "TokenName": "Contoso iPads",
        "TokenType": "dep",
        "AppleId": "d@e.f",
        "Health": "critical",
        "HealthSince": NOW,
        "ExpiresOn": NOW + 5 * DAY,
        "DaysLeft": 5,
        "LastSuccessfulSync": NOW - 40 * HOUR,
        "LastSyncErrorCode": 7,
        "SyncedDevices": 40,
        "FirstSeen": NOW - HOUR,
        "ObservedOn": NOW,
        "CheckedOn": NOW,
        "RunId": "run-1",
        "ChangedOn": NOW,
    }
    assert [one["code"] for one in msgspec.json.decode(findings)] == WORST_FIRST
    assert summary.startswith("'Contoso iPads' ")
    assert msgspec.json.decode(memory, type=Status) == amiss()


def test_a_status_row_leaves_out_what_is_absent():
    row = status_row(
        a_status(vpp(type=None, apple_id=None, expires_on=None, last_successful_sync=None), observed_on=None)
    )
    absent = {"TokenType", "AppleId", "ExpiresOn", "DaysLeft", "LastSuccessfulSync", "LastSyncErrorCode"}
    assert {column.name for column in TOKEN_STATUS.columns} - set(row) == absent | {"SyncedDevices", "ObservedOn"}


def test_a_count_or_code_of_0_is_not_absent():
    row = status_row(a_status(ade(sync_error_code=0, synced_devices=0, expires_on=NOW)))
    assert (row["LastSyncErrorCode"], row["SyncedDevices"], row["DaysLeft"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("instant", "stored_too"),
    [
        (datetime(2, 1, 1, tzinfo=UTC), False),
        (datetime(1601, 1, 1, tzinfo=UTC) - SECOND, False),
        (datetime(1601, 1, 1, tzinfo=UTC), True),
        (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), True),
    ],
)
def test_a_date_before_1601_is_left_out_of_every_row(instant, stored_too):
    status = a_status(ade(expires_on=instant, last_successful_sync=instant))
    for row in (status_row(status), *finding_rows(status)):
        assert {"ExpiresOn", "LastSuccessfulSync"} & set(row) == (
            {"ExpiresOn", "LastSuccessfulSync"} if stored_too else set()
        )


@pytest.mark.parametrize(
    ("left", "days"),
    [
        (2 * DAY, 2),
        (2 * DAY - SECOND, 1),
        (DAY, 1),
        (DAY - SECOND, 0),
        (SECOND, 0),
        (NOTHING, 0),
        (-SECOND, -1),
        (-DAY, -1),
        (-DAY - SECOND, -2),
    ],
)
def test_days_left_are_rounded_down(left, days):
    assert days_left(NOW + left, NOW) == days
    status = a_status(ade(expires_on=NOW + left))
    assert [row["DaysLeft"] for row in (status_row(status), *finding_rows(status))] == [days, days]


def test_days_left_of_a_token_that_cannot_be_read_follow_the_clock():
    status = last(at(NOTHING, ade(expires_on=NOW + 10 * DAY)), at(3 * DAY, failed(ADE)))
    assert [row["DaysLeft"] for row in (status_row(status), *finding_rows(status))] == [7] * 4


# --- Findings


def test_findings_are_json_with_null_where_there_is_nothing_worst_first():
    first, *_ = entries = msgspec.json.decode(status_row(amiss())["Findings"])
    assert [list(entry) for entry in entries] == [
        ["code", "severity", "tier", "since", "until", "caused_by", "summary", "facts"]
    ] * 4
    assert {**first, "summary": ""} == {
        "code": "expiring",
        "severity": "critical",
        "tier": "7",
        "since": "2026-11-23T06:07:00.000000Z",
        "until": None,
        "caused_by": None,
        "summary": "",
        "facts": {},
    }
    told = {entry["code"]: entry for entry in entries}
    assert told["sync_stale"]["caused_by"] == "sync_error"
    assert told["sync_error"]["facts"] == {"code": 7}
    assert told["apple_id_changed"]["until"] == "2026-11-30T06:07:00.000000Z"
    assert told["apple_id_changed"]["facts"] == {"old": "mdm@contoso.com", "new": "d@e.f"}
    assert all(entry["summary"] for entry in entries)


def a_status_of_facts(*sizes, character="x"):
    found = [
        Finding(code=f"code{number}", severity=WARNING, since=NOW, facts={"small": 1, "raw": character * size})
        for number, size in enumerate(sizes)
    ]
    return a_status(ade(), *found)


def test_findings_that_would_not_fit_lose_the_longest_facts_first_and_are_never_cut():
    entries = msgspec.json.decode(findings_json(StatusSource(a_status_of_facts(100, 20_000, 30_000), GUIDANCE)))
    assert [entry["code"] for entry in entries] == ["code0", "code1", "code2"]
    assert [len(entry["facts"].get("raw", "")) for entry in entries] == [100, 20_000, 0]
    assert entries[2]["facts"] == {}
    assert all(entry["summary"] for entry in entries)


@pytest.mark.parametrize("character", ["x", '"', "\\", "\n", "\u00e9", "\u6771", "\U0001f600"], ids=ascii)
@pytest.mark.parametrize("size", [512, 5_000, 14_000, 100_000])
def test_findings_fit_a_property_whatever_their_facts_are_made_of(character, size):
    text = findings_json(StatusSource(a_status_of_facts(*[size] * 15, character=character), GUIDANCE))
    assert in_utf_16(text) <= 32_000
    assert [entry["code"] for entry in msgspec.json.decode(text)] == [f"code{number}" for number in range(15)]


# --- the largest row there can be


HOSTILE = ["\U0001f600", '"', "\\", "\u6771", "\x00"]


@pytest.mark.parametrize("character", HOSTILE, ids=ascii)
@pytest.mark.parametrize("connector", Connector)
def test_the_longest_texts_that_graph_can_send_fit_the_properties_of_a_row(connector, character):
    keep = {"id", "lastSyncErrorCode", "syncedDeviceCount"} if connector is ADE else {"id"}
    wires = []
    for turn in range(3):
        long = f"{turn}{character * 100_000}"
        wires.append({name: value if name in keep else long for name, value in WIRE[connector].items()})
    wires[0] |= {"id": wires[0]["id"]}
    statuses = [
        judgement.statuses[0]
        for judgement in judged(*(at(turn * HOUR, decoded(connector, wire)) for turn, wire in enumerate(wires)))
    ]
    for status in statuses:
        for row in (
            status_row(status),
            *finding_rows(status),
            *([history_row(status.change)] if status.change else []),
        ):
            sizes = {name: in_utf_16(value) for name, value in row.items() if isinstance(value, str)}
            assert max(sizes.values()) <= LONGEST_PROPERTY, sizes
        assert msgspec.json.decode(status_row(status)["Memory"], type=Status) == status


# --- DeviceInspection


def test_an_inspection_row_says_what_was_counted_and_when():
    row = DEVICE_INSPECTION.row(INSPECTION)
    assert (row["PartitionKey"], row["RowKey"], row["TokenName"]) == ("ade", "1%2F2", "Contoso iPads")
    assert (row["InspectedOn"], row["RunId"], row["Complete"]) == (NOW - HOUR, "run", True)
    numbers = ("Devices", "Deleted", "Imported", "WithoutProfile", "Waiting", "NotContacted", "Failed", "Blocked")
    assert [row[name] for name in numbers] == [9, 8, 7, 5, 4, 3, 2, 1]
    assert row["ByState"] == '{"enrolled":6,"failed":2,"blocked":1}'
    assert row["ByPlatform"] == '{"ios":9}'
    assert row["DefaultProfiles"] == '{"ios":"Phones","macOS":null}'
    assert row["Examples"] == '{"failed":["C02A","C02B"]}'
    assert row["NewestDeviceOn"] == NOW - DAY
    assert msgspec.json.decode(row["Memory"], type=Inspection) == INSPECTION


def test_an_inspection_that_failed_keeps_the_counts_of_the_last_complete_one():
    row = DEVICE_INSPECTION.row(replace(INSPECTION, complete=False, error="Graph failed.", run_id="later"))
    before = DEVICE_INSPECTION.row(INSPECTION)
    changed = {name for name in before if row[name] != before[name]}
    assert changed == {"RunId", "Complete", "Error", "Memory"}
    never = DEVICE_INSPECTION.row(replace(INSPECTION, complete=False, last=None))
    assert set(never) == {"PartitionKey", "RowKey", "TokenName", *changed}


def test_nothing_to_count_is_not_nothing_known():
    row = DEVICE_INSPECTION.row(replace(INSPECTION, last=Inspected(on=NOW, counts=Counts())))
    assert (row["Devices"], row["ByState"], row["Examples"]) == (0, "{}", "{}")
    assert "NewestDeviceOn" not in row
    assert "DefaultProfiles" not in row, "Graph did not tell them"


@pytest.mark.parametrize("character", ["\U0001f600", '"', "\\", "\u6771", "\x00", "C"], ids=ascii)
def test_the_most_that_an_inspection_can_find_fits_the_properties_of_a_row(character):
    long = character * 1_000
    entries = [
        Device(
            discovery_source="deviceEnrollmentProgram",
            serial_number=f"{number}{long}",
            requested_enrollment_profile_id=None if number % 2 else "1",
            contacted_on=NOW - 99 * DAY,
            enrollment_state=("failed", "blocked", f"{number}{long}")[number % 3],
            platform=f"{number}{long}",
        )
        for number in range(2_000)
    ]
    tally = Tally(NOW, contact_days=30, examples=100)
    tally.add(entries)
    counts = tally.counts()
    assert {symptom: len(some) for symptom, some in counts.examples.items()} == dict.fromkeys(
        ("waiting", "not_contacted", "failed", "blocked"), 100
    )
    name = last(at(NOTHING, ade())).token.name
    inspected = Inspected(on=NOW, counts=counts, defaults=dict.fromkeys(("ios", "macOS", "tvOS", "visionOS"), name))
    pause = Pause(began_on=NOW, position="https://graph.microsoft.com/" + "x" * 4_000, pages=9, counts=counts)
    row = DEVICE_INSPECTION.row(replace(INSPECTION, last=inspected, pause=pause))
    sizes = {column: in_utf_16(value) for column, value in row.items() if isinstance(value, str)}
    assert max(sizes.values()) <= LONGEST_PROPERTY, sizes
    assert len(msgspec.json.decode(row["Examples"])["failed"]) == 100, "what people read is never cut"
    remembered = msgspec.json.decode(row["Memory"], type=Inspection)
    assert remembered.pause.position == pause.position
    assert remembered.last.counts.devices == 2_000


def test_a_memory_that_would_not_fit_loses_examples_first_and_then_the_place_and_is_never_cut():
    counts = Counts(devices=5, examples={"failed": ("C" * 9_000,)})
    last_one = Inspected(on=NOW, counts=counts)

    def remembered(position, **fields):
        pause = Pause(began_on=NOW, position=position, pages=1, counts=counts)
        found = replace(INSPECTION, last=last_one, pause=pause, **fields)
        return msgspec.json.decode(inspection_memory(found), type=Inspection)

    whole = remembered("x")
    assert (whole.last, whole.pause.counts) == (last_one, counts)
    longer = remembered("x" * 15_000)
    assert (longer.last, longer.pause.counts.examples, len(longer.pause.position)) == (last_one, {}, 15_000)
    longest = remembered("x" * 25_000)
    assert (longest.last.counts.examples, longest.pause.counts.devices, len(longest.pause.position)) == ({}, 5, 25_000)
    hostile = remembered("x" * 100_000)
    assert (hostile.pause, hostile.last.counts.devices) == (None, 5)


def test_an_inspection_of_another_release_is_read():
    memory = msgspec.json.decode(inspection_memory(INSPECTION)) | {"of_a_later_release": 1}
    assert msgspec.json.decode(msgspec.json.encode(memory), type=Inspection) == INSPECTION
    least = {"token_id": "1", "token_name": "2", "run_id": "3", "tried_on": "2026-11-23T06:07:00Z"}
    assert msgspec.json.decode(msgspec.json.encode(least), type=Inspection).last is None


# --- AppleTokenFinding_CL


def test_a_finding_row_says_which_token_what_is_wrong_and_what_to_do():
    row = finding_rows(amiss())[2]
    summary, action = row.pop("Summary"), row.pop("Action")
    assert row == {
        "TimeGenerated": "2026-11-23T06:07:00.000000Z",
        "EntraTenantId": TENANT,
        "Deployment": DEPLOYMENT,
        "RunId": "run-1",
        "Connector": "ade",
        "TokenId": "ade00000-0000-4000-8000-000000000001",
        "TokenName": "Contoso iPads",
        "TokenType": "dep",
        "AppleId": "d@e.f",
        "Health": "critical",
        "Finding": "sync_stale",
        "Severity": "warning",
        "Tier": "none",
        "Condition": "none",
        "CausedBy": "sync_error",
        "ExpiresOn": "2026-11-28T06:07:00.000000Z",
        "DaysLeft": 5,
        "LastSuccessfulSync": "2026-11-21T14:07:00.000000Z",
        "LastSyncErrorCode": 7,
        "SyncedDevices": 40,
        "ObservedOn": "2026-11-23T06:07:00.000000Z",
    }
    assert summary.startswith("'Contoso iPads' ")
    assert 0 < len(action) <= 200


@pytest.mark.parametrize("connector", Connector)
def test_a_token_without_a_finding_has_one_row_that_says_none(connector):
    (row,) = finding_rows(a_status(healthy(connector)))
    dimensions = {name: row[name] for name in ("Finding", "Severity", "Tier", "Condition", "CausedBy", "Action")}
    assert dimensions == dict.fromkeys(dimensions, "none")
    assert (row["Health"], "healthy" in row["Summary"]) == ("healthy", True)


@pytest.mark.parametrize("empty", [None, ""])
def test_a_dimension_is_never_empty(empty):
    finding = Finding(code="x", severity=WARNING, since=NOW, tier=empty, caused_by=empty)
    (row,) = finding_rows(a_status(ade(), finding))
    assert (row["Tier"], row["CausedBy"]) == ("none", "none")
    assert row["Action"] not in {"", "none"}


def test_each_step_of_a_finding_has_its_row_with_what_was_frozen():
    steps = (a_step("60 days or less"), a_step("7 days or less", CRITICAL, action="Renew it now."))
    finding = Finding(code="expiring", severity=CRITICAL, tier="7", since=NOW, steps=steps, name="Old name")
    told = finding_rows(a_status(ade(name="New name"), finding))
    columns = ("TokenName", "Severity", "Tier", "Condition", "CausedBy", "Action")
    assert [tuple(row[column] for column in columns) for row in told] == [
        ("Old name", "warning", "60 days or less", "it lasts (60 days or less)", "none", "Renew it."),
        ("Old name", "critical", "7 days or less", "it lasts (7 days or less)", "none", "Renew it now."),
    ]


def test_a_cause_that_came_after_the_alert_holds_nothing_back():
    finding = Finding(code="sync_stale", severity=WARNING, since=NOW, caused_by="expired", steps=(a_step(),))
    (row,) = finding_rows(a_status(ade(), finding))
    assert (row["CausedBy"], row["Condition"]) == ("none", "it lasts (begun)")


def test_only_a_step_that_the_run_could_not_store_is_held_back():
    steps = (a_step("60 days or less"), a_step("30 days or less", since=NOW))
    status = a_status(ade(), Finding(code="expiring", severity=WARNING, since=NOW, steps=steps))
    assert [row["CausedBy"] for row in finding_rows(status, stored=False)] == ["none", "not_stored"]
    assert [row["CausedBy"] for row in finding_rows(status)] == ["none", "none"]


def test_every_finding_of_a_token_has_its_row_of_the_same_run_and_time():
    told = finding_rows(amiss())
    assert [row["Finding"] for row in told] == WORST_FIRST
    assert {(row["TimeGenerated"], row["RunId"], row["Health"]) for row in told} == {
        ("2026-11-23T06:07:00.000000Z", "run-1", "critical")
    }


@pytest.mark.parametrize("offset", [timedelta(hours=5, minutes=45), timedelta(hours=-8), NOTHING])
def test_instants_are_reported_in_utc(offset):
    status = a_status(ade(expires_on=(NOW + DAY).astimezone(timezone(offset))))
    assert finding_rows(status)[0]["ExpiresOn"] == "2026-11-24T06:07:00.000000Z"


# --- TokenHistory


def test_a_history_row_says_what_changed():
    change = amiss().change
    assert change is not None
    row = history_row(change)
    changes, sentence = row.pop("Changes"), row.pop("Sentence")
    assert row == {
        "PartitionKey": "ade:1",
        "RowKey": "251606886779999",
        "ChangedOn": NOW,
        "RunId": "run-1",
        "TokenName": "Contoso iPads",
        "OldHealth": "healthy",
        "Health": "critical",
    }
    assert sentence.startswith("'Contoso iPads' ")
    assert [one["field"] for one in msgspec.json.decode(changes)] == ["health", *["finding"] * 4, "expiry", "apple_id"]


def test_changes_are_json_of_field_old_and_new_and_a_finding_an_object():
    change = Change(
        changed_on=NOW,
        run_id="run",
        token_name="Contoso",
        health=CRITICAL,
        fields=(
            FieldChange(field="health", old="warning", new="critical"),
            FieldChange(field="finding", new=FindingState(code="expiring", severity=CRITICAL, tier="7")),
            FieldChange(field="finding", old=FindingState(code="sync_stale", severity=WARNING)),
        ),
    )
    assert plain_changes(change.fields) == [
        {"field": "health", "old": "warning", "new": "critical"},
        {"field": "finding", "old": None, "new": {"code": "expiring", "severity": "critical", "tier": "7"}},
        {"field": "finding", "old": {"code": "sync_stale", "severity": "warning", "tier": None}, "new": None},
    ]


def test_a_change_has_the_same_key_in_every_run_that_writes_it():
    change = amiss().change
    assert change is not None
    later = stored(amiss()).change
    assert later is not None
    assert history_key(ADE, "a/b", change) == history_key(ADE, "a/b", later)
    assert history_key(ADE, "a/b", change) == ("ade:a%2Fb", "251606886779999")
    assert 253402300799999 - int(NOW.timestamp() * 1000) == 251606886779999


# --- CheckRun and AppleTokenRun_CL


def test_a_run_row_says_what_the_monitor_did():
    run = replace(RUN, store_error="The table.", publish_error="The rows.", past_due=True)
    assert CHECK_RUN.row(run) == {
        "PartitionKey": "2026-11",
        "RowKey": "251606886779999",
        "RunId": "run",
        "StartedOn": NOW,
        "DurationMs": 1234,
        "Outcome": "degraded",
        "Connectors": '{"ade":{"tokens":3},"vpp":{"error":"GET /vpp: Graph failed (HTTP 500). Wait."}}',
        "GraphToken": '{"resource":"https://graph.microsoft.com/","lacks":["One.Read.All"],'
        '"expires_on":"2026-11-24T06:07:00Z","retry_on":"2026-11-23T07:07:00Z"}',
        "Tokens": 9,
        "Healthy": 2,
        "Info": 1,
        "Warning": 1,
        "Unknown": 4,
        "Critical": 1,
        "StoreError": "The table.",
        "PublishError": "The rows.",
        "PastDue": True,
        "Version": __version__,
    }


def test_a_connectors_row_has_its_own_counts_and_no_number_of_rows():
    row = RUNS.row(RunSource(RUN, "ade", "succeeded", None, RUN.counts[ADE], *OF))
    assert row == {
        "TimeGenerated": "2026-11-23T06:07:00.000000Z",
        "EntraTenantId": TENANT,
        "Deployment": DEPLOYMENT,
        "RunId": "run",
        "Connector": "ade",
        "Outcome": "succeeded",
        "Tokens": 3,
        "Healthy": 2,
        "Info": 0,
        "Warning": 0,
        "Unknown": 0,
        "Critical": 1,
        "DurationMs": 1234,
        "Version": __version__,
    }


def test_the_closing_row_says_how_many_finding_rows_the_run_meant_to_send():
    row = RUNS.row(RunSource(RUN, "all", "degraded", "why", {}, *OF))
    assert (row["Connector"], row["Rows"], row["Error"], row["Tokens"]) == ("all", 11, "why", 0)
    none = RUNS.row(RunSource(replace(RUN, rows=0), "all", "succeeded", None, {}, *OF))
    assert none["Rows"] == 0


# --- keys


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ade00000-0000-4000-8000-000000000001", "ade00000-0000-4000-8000-000000000001"),
        ("push-certificate", "push-certificate"),
        ("ABC_def~1.2 3", "ABC_def~1.2 3"),
        ("a/b\\c#d?e%f", "a%2Fb%5Cc%23d%3Fe%25f"),
        ("\x00\t\n\r\x1f\x7f\x80\x9f", "%00%09%0A%0D%1F%7F%C2%80%C2%9F"),
        ("%2F", "%252F"),
        ("\xa0\u00e9\u6771\U0001f600", "\xa0\u00e9\u6771\U0001f600"),
        ("x" * 400, "x" * 400),
        ("\U0001f600" * 200, "\U0001f600" * 200),
    ],
)
def test_a_key_encodes_what_table_storage_forbids_and_leaves_the_rest(text, expected):
    assert key(text) == expected


@pytest.mark.parametrize("text", ["x" * 401, "/" * 134, "\U0001f600" * 201, "/" * 512, "x" * 100_000])
def test_a_key_that_would_be_too_long_is_cut_and_ends_in_the_hash_of_the_whole(text):
    assert re.fullmatch(r".{1,100}~[0-9a-f]{64}", key(text))
    assert key(text) != key(text + "x")
    assert key(text) != key("y" + text[1:])


IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=600) | st.text(
    "/\\#?%\x00~a2F", max_size=500
)


@given(IDS)
def test_a_key_is_legal_for_any_id(text):
    whole = f"apns:{key(text)}"
    assert not re.search(r"[/\\#?\x00-\x1f\x7f-\x9f]", whole)
    assert in_utf_16(whole) <= 512
    assert re.fullmatch(r"([^%]|%[0-9A-F]{2})*", key(text)) or "~" in key(text)


@given(IDS, IDS)
def test_two_ids_have_two_keys(one, other):
    assert (key(one) == key(other)) is (one == other)


# --- newest first


def test_a_row_key_is_the_end_of_time_minus_the_start_in_15_digits():
    assert newest_first(datetime(1970, 1, 1, tzinfo=UTC)) == "253402300799999"
    assert newest_first(datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)) == "000000000000000"
    assert newest_first(NOW + timedelta(microseconds=999)) == newest_first(NOW)
    assert newest_first(NOW.astimezone()) == newest_first(NOW)


@given(*[st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))] * 2)  # noqa: DTZ001
def test_a_later_run_sorts_before_an_earlier_one(one, other):
    later = (one - other) // timedelta(milliseconds=1)
    keys = newest_first(one), newest_first(other)
    assert {len(text) for text in keys} == {15}
    if abs(one - other) >= timedelta(milliseconds=1):
        assert (keys[0] < keys[1]) is (later > 0)
