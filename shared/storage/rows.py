"""Every column of every table, once: its name, its type, what it says, and where its value comes from.

`DeviceInspection`'s are in `shared.storage.device_rows`. The store and the monitor build their rows here, `infra/columns.json` (which Bicep reads) is written from here, and so
are the column lists of `docs/tables.md`. Rows are plain dictionaries; what is absent is left out.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, Literal, NamedTuple

import msgspec

from shared import __version__
from shared.guidance.changes import sentence
from shared.guidance.guidance import Guidance
from shared.model.tokens import Change, Connector, Failure, Finding, Health, Run, Status, Step
from shared.text import without_links

type ColumnType = Literal["string", "datetime", "int", "long", "boolean"]
type Value = str | int | bool | datetime
type Row = dict[str, Value]

NONE: Final = "none"
"""What a dimension of an alert rule holds where there is nothing: an empty one would not be a dimension."""

NOT_STORED: Final = "not_stored"
"""What holds back a step that its run could not store."""

CLOSING: Final = "all"
"""`Connector` of a run's last row."""

DEVICES: Final = "devices"
"""`Connector` of the row that reports whether the inspections of devices are fresh."""

_NEVER_IN_TABLES: Final = datetime(1601, 1, 1, tzinfo=UTC)
"""Edm.DateTime begins here. https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model"""

LONGEST_TEXT: Final = 32_768
"""Characters: a string property of a table holds 64 KiB of UTF-16; see the page above."""
_MAXIMUM_TEXT: Final = 32_000
"""What is written, with something to spare."""

_LAST_MILLISECOND: Final = 253_402_300_799_999
"""Epoch milliseconds of the end of the year 9999: subtracting from it sorts the newest row first."""

_UNSAFE_IN_KEYS: Final = re.compile(r"[/\\#?%\x00-\x1f\x7f-\x9f]")

_KEY_LENGTH: Final = 400
"""Keys hold 1 KiB of UTF-16; a longer key is cut and gets its hash, and two parts fit beside each other."""


class Column[Source](NamedTuple):
    """One column: `value` takes it from the source of its row; None leaves the column out."""

    name: str
    type: ColumnType
    about: str
    value: Callable[[Source], Value | None]


class Table[Source](NamedTuple):
    """A table's name and columns."""

    name: str
    about: str
    columns: tuple[Column[Source], ...]

    def row(self, source: Source) -> Row:
        """The row of `source`, without what is absent."""
        return {name: found for name, _, _, value in self.columns if (found := value(source)) is not None}


class StatusSource(NamedTuple):
    """What a `TokenStatus` row is made from."""

    status: Status
    guidance: Guidance


class ChangeSource(NamedTuple):
    """What a `TokenHistory` row is made from."""

    change: Change
    connector: Connector
    token_id: str


class FindingSource(NamedTuple):
    """What an `AppleTokenFinding_CL` row is made from; `finding` is None for a token that has none."""

    status: Status
    finding: Finding | None
    step: Step | None
    """None for a finding that raises no alert."""
    started_on: datetime
    tenant_id: str
    deployment: str
    guidance: Guidance
    stored: bool = True
    """Whether the run stored the status: what it does not remember, a later run could not keep open."""

    @property
    def held_back_by(self) -> str:
        """The code of the finding that keeps this one from raising an alert, `not_stored`, or `none`."""
        if self.step is None:
            return (self.finding and self.finding.caused_by) or NONE
        return NONE if self.stored or self.step.since < self.started_on else NOT_STORED


class RunSource(NamedTuple):
    """What an `AppleTokenRun_CL` row is made from: a connector's row, or the closing row (connector `all`)."""

    run: Run
    connector: str
    outcome: str
    error: str | None
    counts: Mapping[Health, int]
    tenant_id: str
    deployment: str


def key(text: str) -> str:
    r"""`text` as a table key: `/ \ # ? %` and control characters percent-encoded, bounded; a GUID stays as it is.

    Forbidden characters and the limit of 1 KiB:
    https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model
    """
    encoded = _UNSAFE_IN_KEYS.sub(_percent_encoded, text)
    if len(encoded.encode("utf-16-le")) <= 2 * _KEY_LENGTH:
        return encoded
    return f"{encoded[: _KEY_LENGTH // 4]}~{sha256(text.encode()).hexdigest()}"


def _percent_encoded(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode())


def newest_first(instant: datetime) -> str:
    """A row key of 15 digits that sorts later instants first."""
    milliseconds = (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return f"{_LAST_MILLISECOND - milliseconds:015d}"


def iso(instant: datetime) -> str:
    """RFC 3339 in UTC, as Logs Ingestion and the JSON columns take it."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def days_left(expires_on: datetime | None, now: datetime) -> int | None:
    """Whole days until the expiry, rounded down (negative after it)."""
    return None if expires_on is None else (expires_on - now) // timedelta(days=1)


def findings_json(source: StatusSource) -> str:
    """The findings, worst first, as JSON; facts are dropped, longest first, where the text would not fit."""
    entries = [
        {
            "code": finding.code,
            "severity": str(finding.severity),
            "tier": finding.tier,
            "since": iso(finding.since),
            "until": finding.until and iso(finding.until),
            "caused_by": finding.caused_by,
            "summary": source.guidance.summary(source.status, finding),
            "facts": dict(finding.facts),
        }
        for finding in source.status.findings
    ]
    text = json_text(entries)
    while not fits(text) and any(entry["facts"] for entry in entries):
        max(entries, key=lambda entry: len(json_text(entry["facts"])))["facts"] = {}
        text = json_text(entries)
    return text


def fits(text: str) -> bool:
    """Whether a column of Table Storage takes it."""
    return len(text.encode("utf-16-le")) <= 2 * _MAXIMUM_TEXT


def json_text(value: object) -> str:
    """The value as JSON."""
    return msgspec.json.encode(value).decode()


def stored(instant: datetime | None) -> datetime | None:
    """An instant as Table Storage takes it; None where it takes none."""
    return None if instant is None or instant < _NEVER_IN_TABLES else instant


def _logged(instant: datetime | None) -> str | None:
    taken = stored(instant)
    return None if taken is None else iso(taken)


TOKEN_STATUS: Final = Table[StatusSource](
    "TokenStatus",
    "The current status: one row for each token.",
    (
        Column("PartitionKey", "string", "The connector: `ade`, `apns`, or `vpp`.", lambda s: s.status.token.connector.value),
        Column("RowKey", "string", "The token's ID; `push-certificate` for the push certificate.", lambda s: key(s.status.token.id)),
        Column("TokenName", "string", "The token's name. Several tokens can share it.", lambda s: s.status.token.name),
        Column("TokenType", "string", "`tokenType` (ADE), `vppTokenAccountType` (VPP), or `apns`.", lambda s: s.status.token.type),
        Column("AppleId", "string", "The Apple ID that the token belongs to.", lambda s: s.status.token.apple_id),
        Column("Health", "string", "`healthy`, `info`, `warning`, `unknown`, or `critical`: the worst severity of the findings.", lambda s: str(s.status.health)),
        Column("HealthSince", "datetime", "Start of the run that first saw this health.", lambda s: s.status.health_since),
        Column("Findings", "string", "JSON array, worst first: `code`, `severity`, `tier`, `since`, `until`, `caused_by`, `summary`, `facts`.", findings_json),
        Column("Summary", "string", "The status in one sentence.", lambda s: s.guidance.headline(s.status)),
        Column("ExpiresOn", "datetime", "When the token expires.", lambda s: stored(s.status.token.expires_on)),
        Column("DaysLeft", "int", "Whole days until then, rounded down.", lambda s: days_left(s.status.token.expires_on, s.status.checked_on)),
        Column("LastSuccessfulSync", "datetime", "The last sync with Apple that succeeded.", lambda s: stored(s.status.token.last_successful_sync)),
        Column("LastSyncErrorCode", "int", "Apple's error code of the last sync (ADE); 0 is none.", lambda s: s.status.token.sync_error_code),
        Column("SyncedDevices", "int", "The number of devices in the last sync (ADE).", lambda s: s.status.token.synced_devices),
        Column("FirstSeen", "datetime", "Start of the run that first saw the token.", lambda s: s.status.first_seen),
        Column("ObservedOn", "datetime", "When Graph last listed the token.", lambda s: s.status.observed_on),
        Column("CheckedOn", "datetime", "Start of the run that wrote the row.", lambda s: s.status.checked_on),
        Column("RunId", "string", "The ID of that run.", lambda s: s.status.run_id),
        Column("ChangedOn", "datetime", "Start of the run that judged the latest change in the history.", lambda s: s.status.changed_on),
        Column("Memory", "string", "JSON, internal: what the next judgment needs.", lambda s: json_text(s.status)),
    ),
)  # fmt: skip

TOKEN_HISTORY: Final = Table[ChangeSource](
    "TokenHistory",
    "What changed: one row for each token and run, newest first.",
    (
        Column("PartitionKey", "string", "The connector, a colon, and the token's ID.", lambda s: f"{s.connector}:{key(s.token_id)}"),
        Column("RowKey", "string", "`253402300799999` minus `ChangedOn` in epoch milliseconds, 15 digits. A retry uses the same key.", lambda s: newest_first(s.change.changed_on)),
        Column("ChangedOn", "datetime", "Start of the run that first judged the change.", lambda s: s.change.changed_on),
        Column("RunId", "string", "The ID of that run.", lambda s: s.change.run_id),
        Column("TokenName", "string", "The token's name at that time.", lambda s: s.change.token_name),
        Column("OldHealth", "string", "The health before the change; not set when the token is new.", lambda s: None if s.change.old_health is None else str(s.change.old_health)),
        Column("Health", "string", "The health after the change.", lambda s: str(s.change.health)),
        Column("Changes", "string", "JSON array of `field`, `old`, `new`.", lambda s: changes_json(s.change)),
        Column("Sentence", "string", "The change in one sentence.", lambda s: sentence(s.change)),
    ),
)  # fmt: skip


def changes_json(change: Change) -> str:
    """The changes of one history row; a finding is an object with `code`, `severity`, `tier`."""

    def told(value: object) -> object:
        if isinstance(value, msgspec.Struct):
            fields = msgspec.structs.asdict(value)
            return {name: str(part) if isinstance(part, Health) else part for name, part in fields.items()}
        return value

    return json_text([{"field": f.field, "old": told(f.old), "new": told(f.new)} for f in change.fields])


def _connectors_json(run: Run) -> str:
    return json_text(
        {
            connector: {"error": str(result)} if isinstance(result, Failure) else {"tokens": result}
            for connector, result in run.connectors.items()
        }
    )


CHECK_RUN: Final = Table[Run](
    "CheckRun",
    "What the monitor did: one row for each check, newest first.",
    (
        Column("PartitionKey", "string", "The month, `yyyy-MM`.", lambda r: f"{r.started_on:%Y-%m}"),
        Column("RowKey", "string", "`253402300799999` minus `StartedOn` in epoch milliseconds, 15 digits.", lambda r: newest_first(r.started_on)),
        Column("RunId", "string", "The ID of the run: the host's invocation ID.", lambda r: r.id),
        Column("StartedOn", "datetime", "When the run started.", lambda r: r.started_on),
        Column("DurationMs", "int", "The duration of the run in milliseconds.", lambda r: r.duration_ms),
        Column("Outcome", "string", "`succeeded`, `degraded` (a connector could not be read), or `failed` (not everything was stored or published).", lambda r: r.outcome.value),
        Column("Connectors", "string", 'JSON: `{"ade":{"tokens":3},"vpp":{"error":"..."}}`.', _connectors_json),
        Column("GraphToken", "string", 'JSON: the access token for Graph: `resource` (the form that it was issued for), `lacks` (missing roles), `expires_on`, `retry_on`.', lambda r: json_text(r.graph_token) if r.graph_token else None),
        Column("Tokens", "int", "The number of statuses that were published.", lambda r: r.tokens),
        Column("Healthy", "int", "Of these, the healthy ones.", lambda r: r.total(Health.HEALTHY)),
        Column("Info", "int", "Of these, the ones with information only.", lambda r: r.total(Health.INFO)),
        Column("Warning", "int", "Of these, the ones with a warning.", lambda r: r.total(Health.WARNING)),
        Column("Unknown", "int", "Of these, the unknown ones.", lambda r: r.total(Health.UNKNOWN)),
        Column("Critical", "int", "Of these, the critical ones.", lambda r: r.total(Health.CRITICAL)),
        Column("StoreError", "string", "What could not be loaded or saved.", lambda r: r.store_error),
        Column("PublishError", "string", "What could not be sent.", lambda r: r.publish_error),
        Column("PastDue", "boolean", "Whether the timer started the run late.", lambda r: r.past_due),
        Column("Version", "string", "The version of the app.", lambda _: __version__),
    ),
)  # fmt: skip


FINDINGS: Final = Table[FindingSource](
    "AppleTokenFinding_CL",
    "One row for each run, token, finding, and step reached. A token without findings has one row whose `Finding` is `none`.",
    (
        Column("TimeGenerated", "datetime", "Start of the run.", lambda s: iso(s.started_on)),
        Column("EntraTenantId", "string", "The Entra tenant.", lambda s: s.tenant_id),
        Column("Deployment", "string", "The deployment that sent the row: the app setting `DEPLOYMENT`. Every query filters by it.", lambda s: s.deployment),
        Column("RunId", "string", "The ID of the run.", lambda s: s.status.run_id),
        Column("Connector", "string", "`ade`, `apns`, or `vpp`.", lambda s: s.status.token.connector.value),
        Column("TokenId", "string", "The token's ID; `push-certificate` for the push certificate.", lambda s: s.status.token.id),
        Column("TokenName", "string", "The token's name when the finding began, with links and GUIDs broken up by spaces. If two tokens shared the name, the first 8 characters of the ID follow it.", lambda s: (s.finding and s.finding.name) or without_links(s.status.label)),
        Column("TokenType", "string", "`tokenType` (ADE), `vppTokenAccountType` (VPP), or `apns`.", lambda s: s.status.token.type),
        Column("AppleId", "string", "The Apple ID that the token belongs to.", lambda s: s.status.token.apple_id),
        Column("Health", "string", "The token's health.", lambda s: str(s.status.health)),
        Column("Finding", "string", "The finding's code, or `none`.", lambda s: s.finding.code if s.finding else NONE),
        Column("Severity", "string", "The severity of the step: `info`, `warning`, `unknown`, `critical`, or `none`.", lambda s: str(s.step.severity if s.step else s.finding.severity) if s.finding else NONE),
        Column("Tier", "string", "The name of the step, the same for all tokens: `begun`, `7 days or less`, `30 days or more`; or `none`.", lambda s: s.step.tier if s.step else NONE),
        Column("Condition", "string", "The condition that lasts, frozen when the step was reached, such as `expires 2026-12-02 (7 days or less)`; `none` if no step is reached.", lambda s: s.step.condition if s.step else NONE),
        Column("CausedBy", "string", "The reason why the row raises no alert: the code of the finding that explains this one, `not_stored` for a new step that the run could not store, or `none`.", lambda s: s.held_back_by),
        Column("Summary", "string", "The finding in one sentence; without a finding, the status.", lambda s: s.guidance.summary(s.status, s.finding) if s.finding else s.guidance.headline(s.status)),
        Column("Action", "string", "What to do, in one sentence, frozen when the step was reached; or `none`.", lambda s: s.step.action if s.step else s.guidance.action(s.status.token, s.finding) if s.finding else NONE),
        Column("ExpiresOn", "datetime", "When the token expires.", lambda s: _logged(s.status.token.expires_on)),
        Column("DaysLeft", "int", "Whole days until then, rounded down.", lambda s: days_left(s.status.token.expires_on, s.status.checked_on)),
        Column("LastSuccessfulSync", "datetime", "The last sync with Apple that succeeded.", lambda s: _logged(s.status.token.last_successful_sync)),
        Column("LastSyncErrorCode", "int", "Apple's error code of the last sync (ADE).", lambda s: s.status.token.sync_error_code),
        Column("SyncedDevices", "int", "The number of devices in the last sync (ADE).", lambda s: s.status.token.synced_devices),
        Column("ObservedOn", "datetime", "When Graph last listed the token.", lambda s: _logged(s.status.observed_on)),
    ),
)  # fmt: skip

RUNS: Final = Table[RunSource](
    "AppleTokenRun_CL",
    "What the monitor did: for each run, one row for each connector, one for the inspections of devices, and the closing row.",
    (
        Column("TimeGenerated", "datetime", "Start of the run.", lambda s: iso(s.run.started_on)),
        Column("EntraTenantId", "string", "The Entra tenant.", lambda s: s.tenant_id),
        Column("Deployment", "string", "The deployment that sent the row: the app setting `DEPLOYMENT`. Every query filters by it.", lambda s: s.deployment),
        Column("RunId", "string", "The ID of the run.", lambda s: s.run.id),
        Column("Connector", "string", "`ade`, `apns`, or `vpp`; `devices` in the row about the inspections of devices; `all` in the closing row.", lambda s: s.connector),
        Column("Outcome", "string", "For a connector: `succeeded` (it was read), `failed`, or `skipped` (not watched). For `devices`: `succeeded` (fresh), `failed` (not fresh), `unknown` (the tables could not be read), or `skipped` (ADE is not watched). For the closing row, the run's outcome: `succeeded`, `degraded`, or `failed`.", lambda s: s.outcome),
        Column("Error", "string", "Why the outcome is `failed` or `unknown`. In the row `devices`, the token that was not inspected for the longest time, and the reason; in the closing row, what could not be stored or published.", lambda s: s.error),
        Column("Tokens", "int", "The number of statuses that were published; 0 in the row `devices`, like the following counts.", lambda s: sum(s.counts.values())),
        Column("Healthy", "int", "Of these, the healthy ones.", lambda s: s.counts.get(Health.HEALTHY, 0)),
        Column("Info", "int", "Of these, the ones with information only.", lambda s: s.counts.get(Health.INFO, 0)),
        Column("Warning", "int", "Of these, the ones with a warning.", lambda s: s.counts.get(Health.WARNING, 0)),
        Column("Unknown", "int", "Of these, the unknown ones.", lambda s: s.counts.get(Health.UNKNOWN, 0)),
        Column("Critical", "int", "Of these, the critical ones.", lambda s: s.counts.get(Health.CRITICAL, 0)),
        Column("DurationMs", "long", "The duration of the run until this row, in milliseconds.", lambda s: s.run.duration_ms),
        Column("Version", "string", "The version of the app.", lambda _: __version__),
        Column("Rows", "int", "Closing row only: the number of finding rows that the run intended to send.", lambda s: s.run.rows if s.connector == CLOSING else None),
    ),
)  # fmt: skip


def finding_rows(
    status: Status, tenant_id: str, deployment: str, guidance: Guidance, *, stored: bool = True
) -> Iterator[Row]:
    """Yield a row for each finding of a token and each step of it; one for a token without a finding."""
    for finding in status.findings or (None,):
        for step in (finding.steps if finding else ()) or (None,):
            yield FINDINGS.row(
                FindingSource(status, finding, step, status.checked_on, tenant_id, deployment, guidance, stored)
            )
