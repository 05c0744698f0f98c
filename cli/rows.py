"""The tables' rows, typed. One that cannot be read as a whole says so, and is never taken for a healthy one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from shared.guidance.guidance import Guidance
from shared.model.tokens import Code, Connector, Finding, GraphToken, Health, Token
from shared.text import bounded, labels


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRow:
    """One entry of `TokenStatus.Findings`."""

    code: str
    severity: Health
    tier: str | None
    since: datetime | None
    until: datetime | None
    caused_by: str | None
    summary: str
    facts: Mapping[str, str | int | float | bool | None]

    @property
    def superseded(self) -> bool:
        """Whether it repeats what `expired` says; see `shared.model.tokens.Finding`."""
        return (self.code, self.caused_by) == (Code.EXPIRING, Code.EXPIRED)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRow:
    """A row of `TokenStatus`."""

    connector: str
    row_key: str
    name: str
    label: str
    """The name; with the start of the id, or the whole id, where tokens share it."""
    type: str | None
    apple_id: str | None
    health: Health
    """The worst of what the row says, and at least unknown where it has problems."""
    health_since: datetime | None
    findings: tuple[FindingRow, ...]
    """Worst first; people need not read those that are superseded."""
    summary: str
    expires_on: datetime | None
    days_left: int | None
    """As of `checked_on`."""
    last_successful_sync: datetime | None
    last_sync_error_code: int | None
    synced_devices: int | None
    first_seen: datetime | None
    observed_on: datetime | None
    checked_on: datetime | None
    changed_on: datetime | None
    run_id: str | None
    problems: tuple[str, ...]
    """What of the row cannot be believed."""

    @property
    def id(self) -> str:
        """The token's id."""
        return bounded(unquote(self.row_key))

    @property
    def expired(self) -> bool:
        """Whether the expiry was not after the check."""
        return bool(self.expires_on and self.checked_on and self.expires_on <= self.checked_on)

    @property
    def token(self) -> Token | None:
        """As much of the token as guidance needs; None where this release does not know its connector."""
        if self.connector not in list(Connector):
            return None
        return Token(
            connector=Connector(self.connector),
            id=self.id,
            name=self.name,
            type=self.type,
            sync_error_code=self.last_sync_error_code,
        )

    def action(self, finding: FindingRow, guidance: Guidance) -> str | None:
        """What to do; None where another finding explains this one: mending that mends both."""
        token = self.token
        if token is None or finding.caused_by:
            return None
        since = finding.since or datetime.min.replace(tzinfo=UTC)  # no action depends on it
        return guidance.action(
            token, Finding(code=finding.code, severity=finding.severity, tier=finding.tier, since=since)
        )

    def doubted(self, problem: str) -> "StatusRow":
        """The same row with one more reason not to believe it."""
        return replace(self, health=max(self.health, Health.UNKNOWN), problems=(*self.problems, problem))


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRow:
    """One entry of `TokenHistory.Changes`; a finding's `old` and `new` are mappings."""

    field: str
    old: str | Mapping[str, Any] | None
    new: str | Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRow:
    """A row of `TokenHistory`."""

    connector: str
    row_key: str
    """That of the token's row in `TokenStatus`."""
    name: str
    changed_on: datetime | None
    run_id: str | None
    old_health: Health | None
    health: Health
    fields: tuple[FieldRow, ...]
    sentence: str
    problems: tuple[str, ...]

    @property
    def id(self) -> str:
        """The token's id."""
        return bounded(unquote(self.row_key))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorResult:
    """What a run read of a connector: so many tokens, or why not."""

    tokens: int | None
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A row of `CheckRun`."""

    run_id: str | None
    started_on: datetime | None
    duration_ms: int | None
    outcome: str
    """`unknown` where the row does not say."""
    connectors: Mapping[str, ConnectorResult]
    graph_token: GraphToken | None
    tokens: int | None
    counts: Mapping[Health, int]
    store_error: str | None
    publish_error: str | None
    past_due: bool
    version: str | None
    problems: tuple[str, ...]

    @property
    def errors(self) -> tuple[str, ...]:
        """Everything that went wrong, a sentence each."""
        unread = (f"{name}: {one.error}" for name, one in self.connectors.items() if one.error)
        return tuple(one for one in (*unread, self.store_error, self.publish_error, *self.problems) if one)


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectionRow:
    """A row of `DeviceInspection`, without the serial numbers; counts are None where no inspection was complete."""

    connector: str
    row_key: str
    name: str
    inspected_on: datetime | None
    complete: bool | None
    error: str | None
    devices: int | None
    deleted: int | None
    imported: int | None
    without_profile: int | None
    waiting: int | None
    not_contacted: int | None
    failed: int | None
    blocked: int | None
    by_state: Mapping[str, int]
    by_platform: Mapping[str, int]
    default_profiles: Mapping[str, str | None]
    newest_device_on: datetime | None
    run_id: str | None
    problems: tuple[str, ...]
    """What of the row cannot be read, and so is not known."""


def worst_first(rows: Iterable[StatusRow]) -> list[StatusRow]:
    """The rows by health, then by expiry, each with a label that distinguishes tokens of one name."""
    known = list(rows)
    found = labels([(row.connector, row.name, row.id) for row in known])
    labelled = [replace(row, label=label) for row, label in zip(known, found, strict=True)]
    end = datetime.max.replace(tzinfo=UTC)
    return sorted(labelled, key=lambda row: (-row.health, row.expires_on or end, row.name.casefold(), row.row_key))
