"""Declares the columns of the two streams that the alert rules read, and makes their rows."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from shared import __version__
from shared.guidance.guidance import Guidance
from shared.model.runs import Run
from shared.model.tokens import Finding, Health, Status, Step
from shared.storage.columns import Column, Row, Table, days_left, iso, stored
from shared.text import without_links

NONE: Final = "none"
"""The value of a dimension without a value, because an empty one would not be a dimension."""

NOT_STORED: Final = "not_stored"
"""The reason why a step that its run could not store raises no alert."""

CLOSING: Final = "all"
"""The `Connector` of a run's closing row."""

DEVICES: Final = "devices"
"""The `Connector` of the row about the inspections of devices."""


class FindingSource(NamedTuple):
    """The source of an `AppleTokenFinding_CL` row; `finding` is None for a token without one."""

    status: Status
    finding: Finding | None
    step: Step | None
    """None for a finding that raises no alert."""
    started_on: datetime
    tenant_id: str
    deployment: str
    guidance: Guidance
    stored: bool = True
    """Whether the run stored the status; a later run cannot keep an alert open that is not stored."""

    @property
    def held_back_by(self) -> str:
        """Return why the row raises no alert: the code of another finding, or `not_stored`; else `none`."""
        if self.step is None:
            return (self.finding and self.finding.caused_by) or NONE
        return NONE if self.stored or self.step.since < self.started_on else NOT_STORED


class RunSource(NamedTuple):
    """The source of an `AppleTokenRun_CL` row: of a connector, the devices, or the run (the closing row)."""

    run: Run
    connector: str
    outcome: str
    error: str | None
    counts: Mapping[Health, int]
    tenant_id: str
    deployment: str


def _logged(instant: datetime | None) -> str | None:
    taken = stored(instant)
    return None if taken is None else iso(taken)


FINDINGS: Final = Table[FindingSource](
    "AppleTokenFinding_CL",
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
