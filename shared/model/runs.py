"""Defines a check: what it read of each connector, and its result."""

from enum import StrEnum

from shared.model.tokens import Connector, Health, Instant, Token, Value


class Outcome(StrEnum):
    """The outcome of a run."""

    SUCCEEDED = "succeeded"
    DEGRADED = "degraded"
    FAILED = "failed"


class Failure(Value, frozen=True, kw_only=True):
    """The reason why a connector could not be read. `str()` is one sentence, followed by the remedy."""

    connector: Connector
    asked: str
    """Method and path, such as `GET /beta/deviceManagement/depOnboardingSettings`."""
    reason: str
    status: int | None = None
    code: str | None = None
    message: str | None = None
    request_id: str | None = None
    remedy: str

    def __str__(self) -> str:
        details = (
            f"HTTP {self.status}" if self.status else None,
            self.code,
            self.message and self.message.rstrip("."),
            f"request id {self.request_id}" if self.request_id else None,
        )
        known = "; ".join(detail for detail in details if detail)
        return f"{self.asked}: {self.reason}{f' ({known})' if known else ''}. {self.remedy}"


class Reading(Value, frozen=True, kw_only=True):
    """The reading of a connector: complete, or failed.

    Without all pages, it has no tokens. With all pages, but with entries that are not tokens, it has the others and a
    failure: a token that is missing from it is unread, not removed.
    """

    connector: Connector
    tokens: tuple[Token, ...] = ()
    failure: Failure | None = None


class GraphToken(Value, frozen=True, kw_only=True):
    """The app's access token for Microsoft Graph in one run."""

    resource: str
    """The form of Graph's resource that the access token was issued for."""
    lacks: tuple[str, ...] = ()
    """The roles that the app needs and the access token lacks."""
    expires_on: Instant
    retry_on: Instant
    """When the app requests another access token, if this one lacks a role."""


class Run(Value, frozen=True, kw_only=True):
    """One check, from timer to heartbeat."""

    id: str
    started_on: Instant
    duration_ms: int
    outcome: Outcome
    past_due: bool = False
    connectors: dict[Connector, int | Failure]
    """The number of tokens, or the reason why it could not be read, for each connector that is watched."""
    counts: dict[Connector, dict[Health, int]]
    """The number of published statuses, by connector and health."""
    rows: int
    """The number of finding rows that the run intended to send."""
    graph_token: GraphToken | None = None
    """None if no access token was issued, or a person signed in."""
    devices_error: str | None = None
    """Why the inspections of devices are not fresh, or why this is unknown."""
    devices_known: bool = True
    """Whether the tables that hold this could be read."""
    store_error: str | None = None
    publish_error: str | None = None

    @property
    def tokens(self) -> int:
        """Return the number of published statuses, over all connectors."""
        return sum(sum(by_health.values()) for by_health in self.counts.values())

    def total(self, health: Health) -> int:
        """Return the number of published statuses of that health, over all connectors."""
        return sum(by_health.get(health, 0) for by_health in self.counts.values())
