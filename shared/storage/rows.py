"""Declares the columns of `TokenStatus`, `TokenHistory`, and `CheckRun`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from msgspec import Struct, structs

from shared import __version__
from shared.guidance.changes import sentence
from shared.guidance.guidance import Guidance
from shared.model.runs import Failure, GraphToken, Run
from shared.model.tokens import Change, Code, Connector, Fact, FieldChange, Finding, Health, Status
from shared.storage.columns import (
    Declare,
    RawText,
    Stored,
    days_left,
    fits,
    iso,
    json_text,
    key,
    newest_first,
    stored,
    table,
    token_id,
    unnamed_row,
)
from shared.text import bounded


class StatusSource(NamedTuple):
    """The source of a `TokenStatus` row."""

    status: Status
    guidance: Guidance


class ChangeSource(NamedTuple):
    """The source of a `TokenHistory` row."""

    change: Change
    connector: Connector
    token_id: str


class StoredFinding(Struct, frozen=True, kw_only=True):
    """One entry of `TokenStatus.Findings`."""

    code: str
    severity: Health
    tier: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    caused_by: str | None = None
    summary: str = ""
    facts: dict[str, Fact | float] = {}

    @property
    def superseded(self) -> bool:
        """Return whether it repeats `expired`; see `Finding.superseded`."""
        return (self.code, self.caused_by) == (Code.EXPIRING, Code.EXPIRED)


def findings_json(source: StatusSource) -> str:
    """Return the findings, worst first, as JSON; facts are dropped, longest first, if the text does not fit."""
    entries = [_entry(finding, source.guidance.summary(source.status, finding)) for finding in source.status.findings]
    text = json_text(entries)
    while not fits(text) and any(entry["facts"] for entry in entries):
        max(entries, key=lambda entry: len(json_text(entry["facts"])))["facts"] = {}
        text = json_text(entries)
    return text


def _entry(finding: Finding, summary: str) -> dict[str, Any]:
    values = {**structs.asdict(finding), "summary": summary}
    return {name: _plain(values[name]) for name in StoredFinding.__struct_fields__}


def _plain(value: object) -> object:
    """Return a value as the JSON columns hold it."""
    match value:
        case Health():
            return str(value)
        case datetime():
            return iso(value)
        case Struct():
            return {name: _plain(part) for name, part in structs.asdict(value).items()}
        case _:
            return value


def plain_changes(fields: Iterable[FieldChange]) -> list[object]:
    """Return the entries of `TokenHistory.Changes`; a finding is an object with `code`, `severity`, `tier`."""
    return list(map(_plain, fields))


_status = Declare[StatusSource]()


@dataclass(frozen=True, kw_only=True)
class StatusRow(Stored[StatusSource]):
    """A row of `TokenStatus`: the current status of a token."""

    table_name = "TokenStatus"

    # fmt: off
    connector: str = _status("PartitionKey", "The connector: `ade`, `apns`, or `vpp`.", lambda s: s.status.token.connector.value, missing="")
    row_key: RawText = _status("RowKey", "The token's ID; `push-certificate` for the push certificate.", lambda s: key(s.status.token.id))
    name: str = _status("TokenName", "The token's name. Several tokens can share it.", lambda s: s.status.token.name, missing=unnamed_row)
    type: str | None = _status("TokenType", "`tokenType` (ADE), `vppTokenAccountType` (VPP), or `apns`.", lambda s: s.status.token.type)
    apple_id: str | None = _status("AppleId", "The Apple ID that the token belongs to.", lambda s: s.status.token.apple_id)
    stated_health: Health = _status("Health", "`healthy`, `info`, `warning`, `unknown`, or `critical`: the worst severity of the findings.", lambda s: str(s.status.health), missing=Health.UNKNOWN, required=True)
    health_since: datetime | None = _status("HealthSince", "Start of the run that first saw this health.", lambda s: s.status.health_since)
    findings: tuple[StoredFinding, ...] = _status("Findings", "JSON array, worst first: `code`, `severity`, `tier`, `since`, `until`, `caused_by`, `summary`, `facts`.", findings_json, missing=(), required=True)
    summary: str = _status("Summary", "The status in one sentence.", lambda s: s.guidance.headline(s.status), missing="")
    expires_on: datetime | None = _status("ExpiresOn", "When the token expires.", lambda s: stored(s.status.token.expires_on))
    days_left: int | None = _status("DaysLeft", "Whole days until then, rounded down.", lambda s: days_left(s.status.token.expires_on, s.status.checked_on))
    last_successful_sync: datetime | None = _status("LastSuccessfulSync", "The last sync with Apple that succeeded.", lambda s: stored(s.status.token.last_successful_sync))
    last_sync_error_code: int | None = _status("LastSyncErrorCode", "Apple's error code of the last sync (ADE); 0 is none.", lambda s: s.status.token.sync_error_code)
    synced_devices: int | None = _status("SyncedDevices", "The number of devices in the last sync (ADE).", lambda s: s.status.token.synced_devices)
    first_seen: datetime | None = _status("FirstSeen", "Start of the run that first saw the token.", lambda s: s.status.first_seen)
    observed_on: datetime | None = _status("ObservedOn", "When Graph last listed the token.", lambda s: s.status.observed_on)
    checked_on: datetime | None = _status("CheckedOn", "Start of the run that wrote the row.", lambda s: s.status.checked_on, required=True)
    run_id: str | None = _status("RunId", "The ID of that run.", lambda s: s.status.run_id)
    changed_on: datetime | None = _status("ChangedOn", "Start of the run that judged the latest change in the history.", lambda s: s.status.changed_on)
    memory: str | None = _status("Memory", "JSON, internal: what the next judgment needs.", lambda s: json_text(s.status), internal=True)
    # fmt: on

    label: str = ""
    """The name, with the ID if tokens share it; known when all rows are."""

    @property
    def id(self) -> str:
        """Return the token's ID."""
        return token_id(self.row_key)

    @property
    def expired(self) -> bool:
        """Return whether the token had expired at the check."""
        return bool(self.expires_on and self.checked_on and self.expires_on <= self.checked_on)

    @property
    def health(self) -> Health:
        """Return the worst health that the row contains, and at least unknown if the row has problems."""
        severities = (finding.severity for finding in self.findings)
        return Health.worst([self.stated_health, *severities, *(Health.UNKNOWN for _ in self.problems)])


TOKEN_STATUS: Final = table(StatusRow)

_change = Declare[ChangeSource]()


@dataclass(frozen=True, kw_only=True)
class ChangeRow(Stored[ChangeSource]):
    """A row of `TokenHistory`: the changes of a token in one run."""

    table_name = "TokenHistory"

    # fmt: off
    partition: RawText = _change("PartitionKey", "The connector, a colon, and the token's ID.", lambda s: f"{s.connector}:{key(s.token_id)}")
    row: RawText = _change("RowKey", "`253402300799999` minus `ChangedOn` in epoch milliseconds, 15 digits. A retry uses the same key.", lambda s: newest_first(s.change.changed_on))
    changed_on: datetime | None = _change("ChangedOn", "Start of the run that first judged the change.", lambda s: s.change.changed_on, required=True)
    run_id: str | None = _change("RunId", "The ID of that run.", lambda s: s.change.run_id)
    name: str = _change("TokenName", "The token's name at that time.", lambda s: s.change.token_name, missing=unnamed_row)
    old_health: Health | None = _change("OldHealth", "The health before the change; not set when the token is new.", lambda s: None if s.change.old_health is None else str(s.change.old_health))
    health: Health = _change("Health", "The health after the change.", lambda s: str(s.change.health), missing=Health.UNKNOWN, required=True)
    fields: tuple[FieldChange, ...] = _change("Changes", "JSON array of `field`, `old`, `new`.", lambda s: json_text(plain_changes(s.change.fields)), missing=(), required=True)
    sentence: str = _change("Sentence", "The change in one sentence.", lambda s: sentence(s.change), missing="")
    # fmt: on

    @property
    def connector(self) -> str:
        """Return the token's connector."""
        return bounded(self.partition.partition(":")[0])

    @property
    def row_key(self) -> RawText:
        """Return the key of the token's row in `TokenStatus`."""
        return RawText(self.partition.partition(":")[2])

    @property
    def id(self) -> str:
        """Return the token's ID."""
        return token_id(self.row_key)


TOKEN_HISTORY: Final = table(ChangeRow)

_run = Declare[Run]()


class ConnectorResult(Struct, frozen=True, omit_defaults=True):
    """An entry of `CheckRun.Connectors`: the number of tokens that were read, or why none were."""

    tokens: int | None = None
    error: str | None = None


def _connectors_json(run: Run) -> str:
    results = {
        connector: ConnectorResult(error=str(result)) if isinstance(result, Failure) else ConnectorResult(result)
        for connector, result in run.connectors.items()
    }
    return json_text(results)


@dataclass(frozen=True, kw_only=True)
class RunRow(Stored[Run]):
    """A row of `CheckRun`: what the monitor did in one check."""

    table_name = "CheckRun"

    # fmt: off
    partition: RawText = _run("PartitionKey", "The month, `yyyy-MM`.", lambda r: f"{r.started_on:%Y-%m}")
    row: RawText = _run("RowKey", "`253402300799999` minus `StartedOn` in epoch milliseconds, 15 digits.", lambda r: newest_first(r.started_on))
    run_id: str | None = _run("RunId", "The ID of the run: the host's invocation ID.", lambda r: r.id)
    started_on: datetime | None = _run("StartedOn", "When the run started.", lambda r: r.started_on, required=True)
    duration_ms: int | None = _run("DurationMs", "The duration of the run in milliseconds.", lambda r: r.duration_ms)
    outcome: str = _run("Outcome", "`succeeded`, `degraded` (a connector could not be read), or `failed` (not everything was stored or published).", lambda r: r.outcome.value, missing="unknown")
    connectors: dict[str, ConnectorResult] = _run("Connectors", 'JSON: `{"ade":{"tokens":3},"vpp":{"error":"..."}}`.', _connectors_json, missing={}, required=True)
    graph_token: GraphToken | None = _run("GraphToken", 'JSON: the access token for Graph: `resource` (the form that it was issued for), `lacks` (missing roles), `expires_on`, `retry_on`.', lambda r: json_text(r.graph_token) if r.graph_token else None)
    tokens: int | None = _run("Tokens", "The number of statuses that were published.", lambda r: r.tokens)
    healthy: int | None = _run("Healthy", "Of these, the healthy ones.", lambda r: r.total(Health.HEALTHY))
    info: int | None = _run("Info", "Of these, the ones with information only.", lambda r: r.total(Health.INFO))
    warning: int | None = _run("Warning", "Of these, the ones with a warning.", lambda r: r.total(Health.WARNING))
    unknown: int | None = _run("Unknown", "Of these, the unknown ones.", lambda r: r.total(Health.UNKNOWN))
    critical: int | None = _run("Critical", "Of these, the critical ones.", lambda r: r.total(Health.CRITICAL))
    store_error: str | None = _run("StoreError", "What could not be loaded or saved.", lambda r: r.store_error)
    publish_error: str | None = _run("PublishError", "What could not be sent.", lambda r: r.publish_error)
    past_due: bool = _run("PastDue", "Whether the timer started the run late.", lambda r: r.past_due, missing=False)
    version: str | None = _run("Version", "The version of the app.", lambda _: __version__)
    # fmt: on

    @property
    def counts(self) -> Mapping[Health, int]:
        """Return the number of tokens by health, as far as it is known."""
        numbers = ((health, getattr(self, str(health))) for health in Health)
        return {health: number for health, number in numbers if number is not None}

    @property
    def errors(self) -> tuple[str, ...]:
        """Return everything that went wrong, a sentence each."""
        unread = (f"{name}: {one.error}" for name, one in self.connectors.items() if one.error)
        return tuple(one for one in (*unread, self.store_error, self.publish_error, *self.problems) if one)


CHECK_RUN: Final = table(RunRow)
