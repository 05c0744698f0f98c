"""From the rows that Table Storage brings to typed ones.

Text is bounded and freed of control characters here, once, whoever wrote the row.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import reduce
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from cli.rows import ChangeRow, ConnectorResult, FieldRow, FindingRow, InspectionRow, RunRow, StatusRow
from shared.model.tokens import GraphToken, Health
from shared.storage.rows import LONGEST_TEXT
from shared.text import bounded

type Row = Mapping[str, Any]

_LONGEST: Final = 8_000
"""Characters of a text: what failed in a run takes up to 4,000."""

_HEALTHS: Final = {str(health): health for health in Health}


class _Findings(msgspec.Struct):
    code: str
    severity: str
    since: datetime | None = None
    until: datetime | None = None
    tier: str | None = None
    caused_by: str | None = None
    summary: str = ""
    facts: dict[str, str | int | float | bool | None] = {}


class _Field(msgspec.Struct):
    field: str
    old: str | dict[str, Any] | None = None
    new: str | dict[str, Any] | None = None


class _Result(msgspec.Struct):
    tokens: int | None = None
    error: str | None = None


class _Reader:
    """Takes a row's values by their columns, and remembers what was no such value."""

    def __init__(self, row: Row) -> None:
        self._row = row
        self.problems: list[str] = []

    def text(self, column: str) -> str | None:
        value = self._row.get(column)
        return None if value is None else clean(str(value))

    def key(self, column: str) -> str:
        return str(self._row.get(column, ""))

    def whole(self, column: str) -> int | None:
        value = self._row.get(column)
        return self._typed(column, None if isinstance(value, bool) else value, int)

    def truth(self, column: str) -> bool | None:
        return self._typed(column, self._row.get(column), bool)

    def instant(self, column: str, *, required: bool = False) -> datetime | None:
        value = self._row.get(column)
        if value is None and required:
            self.problems.append(f"{column} is missing")
        known = self._typed(column, value, datetime)
        return known and (known.astimezone(UTC) if known.tzinfo else known.replace(tzinfo=UTC))

    def health(self, column: str, *, required: bool = True) -> Health | None:
        value = self._row.get(column)
        if value is None and not required:
            return None
        if str(value) not in _HEALTHS:
            self.problems.append(f"{column} is {'missing' if value is None else repr(clean(str(value))[:40])}")
        return _HEALTHS.get(str(value))

    def json[T](self, column: str, kind: type[T], *, required: bool = False) -> T | None:
        value = self._row.get(column)
        if value is None and not required:
            return None
        try:
            return msgspec.json.decode("" if len(str(value)) > LONGEST_TEXT else str(value), type=kind)
        except (msgspec.MsgspecError, RecursionError):
            self.problems.append(f"{column} is {'missing' if value is None else 'not what this release knows'}")
            return None

    def _typed[T](self, column: str, value: object, kind: type[T]) -> T | None:
        if isinstance(value, kind):
            return value
        if value is not None:
            self.problems.append(f"{column} is {clean(str(value))[:40]!r}")
        return None


def clean(text: str) -> str:
    """Text from outside, safe to show: bounded, and without control characters."""
    return bounded(text, _LONGEST)


def status_row(row: Row) -> StatusRow:
    """A `TokenStatus` row as the SDK brings it."""
    read = _Reader(row)
    row_key = read.key("RowKey")
    name = read.text("TokenName") or f"unnamed {clean(unquote(row_key))[:8]}"
    findings = tuple(map(_finding, read.json("Findings", list[_Findings], required=True) or ()))
    stated = read.health("Health")
    decoded = StatusRow(
        connector=clean(read.key("PartitionKey")),
        row_key=row_key,
        name=name,
        label=name,
        type=read.text("TokenType"),
        apple_id=read.text("AppleId"),
        health=Health.worst([_known(stated), *(finding.severity for finding in findings)]),
        health_since=read.instant("HealthSince"),
        findings=findings,
        summary=read.text("Summary") or "",
        expires_on=read.instant("ExpiresOn"),
        days_left=read.whole("DaysLeft"),
        last_successful_sync=read.instant("LastSuccessfulSync"),
        last_sync_error_code=read.whole("LastSyncErrorCode"),
        synced_devices=read.whole("SyncedDevices"),
        first_seen=read.instant("FirstSeen"),
        observed_on=read.instant("ObservedOn"),
        checked_on=read.instant("CheckedOn", required=True),
        changed_on=read.instant("ChangedOn"),
        run_id=read.text("RunId"),
        problems=(),
    )
    return reduce(StatusRow.doubted, read.problems, decoded)


def _finding(found: _Findings) -> FindingRow:
    return FindingRow(
        code=clean(found.code),
        severity=_HEALTHS.get(found.severity, Health.UNKNOWN),  # a severity of a later release
        tier=found.tier and clean(found.tier),
        since=found.since,
        until=found.until,
        caused_by=found.caused_by and clean(found.caused_by),
        summary=clean(found.summary),
        facts={clean(name): clean(fact) if isinstance(fact, str) else fact for name, fact in found.facts.items()},
    )


def _known(health: Health | None) -> Health:
    return Health.UNKNOWN if health is None else health


def change_row(row: Row) -> ChangeRow:
    """A `TokenHistory` row as the SDK brings it."""
    read = _Reader(row)
    connector, _, row_key = read.key("PartitionKey").partition(":")
    fields = read.json("Changes", list[_Field], required=True) or []
    return ChangeRow(
        connector=clean(connector),
        row_key=row_key,
        name=read.text("TokenName") or f"unnamed {clean(unquote(row_key))[:8]}",
        changed_on=read.instant("ChangedOn", required=True),
        run_id=read.text("RunId"),
        old_health=read.health("OldHealth", required=False),
        health=_known(read.health("Health")),
        fields=tuple(FieldRow(field=clean(one.field), old=_cleaned(one.old), new=_cleaned(one.new)) for one in fields),
        sentence=read.text("Sentence") or "",
        problems=tuple(read.problems),
    )


def _cleaned(value: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
    if isinstance(value, dict):
        return {clean(name): clean(part) if isinstance(part, str) else part for name, part in value.items()}
    return value and clean(value)


def run_row(row: Row) -> RunRow:
    """A `CheckRun` row as the SDK brings it."""
    read = _Reader(row)
    results = read.json("Connectors", dict[str, _Result], required=True) or {}
    counts = {health: read.whole(str(health).capitalize()) for health in Health}
    return RunRow(
        run_id=read.text("RunId"),
        started_on=read.instant("StartedOn", required=True),
        duration_ms=read.whole("DurationMs"),
        outcome=read.text("Outcome") or "unknown",
        connectors={
            clean(name): ConnectorResult(tokens=one.tokens, error=one.error and clean(one.error))
            for name, one in results.items()
        },
        graph_token=read.json("GraphToken", GraphToken),
        tokens=read.whole("Tokens"),
        counts={health: number for health, number in counts.items() if number is not None},
        store_error=read.text("StoreError"),
        publish_error=read.text("PublishError"),
        past_due=bool(read.truth("PastDue")),
        version=read.text("Version"),
        problems=tuple(read.problems),
    )


def inspection_row(row: Row) -> InspectionRow:
    """A `DeviceInspection` row as the SDK brings it."""
    read = _Reader(row)
    row_key = read.key("RowKey")
    profiles = read.json("DefaultProfiles", dict[str, str | None]) or {}
    return InspectionRow(
        connector=clean(read.key("PartitionKey")),
        row_key=row_key,
        name=read.text("TokenName") or f"unnamed {clean(unquote(row_key))[:8]}",
        inspected_on=read.instant("InspectedOn"),
        complete=read.truth("Complete"),
        error=read.text("Error"),
        devices=read.whole("Devices"),
        deleted=read.whole("Deleted"),
        imported=read.whole("Imported"),
        without_profile=read.whole("WithoutProfile"),
        waiting=read.whole("Waiting"),
        not_contacted=read.whole("NotContacted"),
        failed=read.whole("Failed"),
        blocked=read.whole("Blocked"),
        by_state=_counts(read.json("ByState", dict[str, int])),
        by_platform=_counts(read.json("ByPlatform", dict[str, int])),
        default_profiles={clean(name): profile and clean(profile) for name, profile in profiles.items()},
        newest_device_on=read.instant("NewestDeviceOn"),
        run_id=read.text("RunId"),
        problems=tuple(read.problems),
    )


def _counts(counts: dict[str, int] | None) -> dict[str, int]:
    return {clean(name): number for name, number in (counts or {}).items()}
