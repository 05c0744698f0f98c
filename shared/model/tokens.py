"""The nouns of the monitor: frozen values that every other module speaks in.

Instants are timezone-aware datetimes in UTC. `Status` and `Inspection`, and what they are made of, are also what a
row's `Memory` column holds (JSON), so a field that a later release adds has a default, and an older row still decodes.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

PUSH_CERTIFICATE_ID: Final = "push-certificate"
"""Graph gives the push certificate another id at every reading (public captures), so its key is this constant."""

PUSH_CERTIFICATE_NAME: Final = "Apple MDM push certificate"

TERMS_NOT_ACCEPTED: Final = 3
"""`lastSyncErrorCode`: two public tools act on it, and one reports it checked against the console."""

type Fact = str | int | bool | None

type Instant = Annotated[datetime, Meta(tz=True)]
"""With a time zone, so that a stored one without is found out when it is read back."""


class Connector(StrEnum):
    """What ties the tenant to Apple."""

    ADE = "ade"
    APNS = "apns"
    VPP = "vpp"


class Health(IntEnum):
    """How a token is, or how severe a finding is; ordered. The numbers are stored in `Memory` and never change."""

    HEALTHY = 0
    INFO = 1
    WARNING = 2
    UNKNOWN = 3
    CRITICAL = 4

    def __str__(self) -> str:
        return self.name.lower()

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    @staticmethod
    def worst(healths: Iterable["Health"]) -> "Health":
        """The worst of `healths`; healthy if there is none."""
        return max(healths, default=Health.HEALTHY)


class Code(StrEnum):
    """The findings. Stored codes are plain strings, since a row may come from a release that knows more of them."""

    EXPIRED = "expired"
    EXPIRING = "expiring"
    TERMS_NOT_ACCEPTED = "terms_not_accepted"
    SYNC_ERROR = "sync_error"
    SYNC_STALE = "sync_stale"
    NEVER_SYNCED = "never_synced"
    NOT_SET_UP = "not_set_up"
    INVALID = "invalid"
    DUPLICATE_LOCATION = "duplicate_location"
    UNREADABLE = "unreadable"
    UNREAD = "unread"
    REMOVED = "removed"
    APPLE_ID_CHANGED = "apple_id_changed"
    PUSH_TOPIC_CHANGED = "push_topic_changed"
    DEVICES_DROPPED = "devices_dropped"
    DEVICES_WITHOUT_PROFILE = "devices_without_profile"
    ENROLLMENT_FAILING = "enrollment_failing"
    DEVICES_MISSING = "devices_missing"
    NO_DEFAULT_PROFILE = "no_default_profile"


type Key = tuple[Connector, str]
"""What a token is known by: an id is unique within its connector."""


class Outcome(StrEnum):
    """How a run went as a whole."""

    SUCCEEDED = "succeeded"
    DEGRADED = "degraded"
    FAILED = "failed"


class _Value(Struct, frozen=True, omit_defaults=True):
    """Immutable, and compact in JSON."""


class Unreadable(_Value, frozen=True, kw_only=True):
    """A value that the judgement needs and could not read."""

    field: str
    """The attribute of `Token` that it would have filled."""
    property: str
    """Graph's name for it."""
    raw: str
    """What stood there, bounded; `missing` where nothing stood."""


class Token(_Value, frozen=True, kw_only=True):
    """One thing a connector holds, as Graph told it. Fields of other connectors are None."""

    connector: Connector
    id: str
    name: str
    type: str | None = None
    """`tokenType`, `vppTokenAccountType`, or `apns`."""
    apple_id: str | None = None
    expires_on: Instant | None = None
    last_successful_sync: Instant | None = None
    last_sync: Instant | None = None
    """VPP's `lastSyncDateTime`, however that sync went: none has succeeded since."""
    last_modified: Instant | None = None
    sync_error_code: int | None = None
    synced_devices: int | None = None
    sync_status: str | None = None
    """VPP's `lastSyncStatus`."""
    state: str | None = None
    """VPP's `state`."""
    topic: str | None = None
    serial_number: str | None = None
    upload_failure: str | None = None
    """Why Apple's push certificate could not be uploaded."""
    unreadable: tuple[Unreadable, ...] = ()

    @property
    def last_possible_sync(self) -> datetime | None:
        """The oldest known instant of a last sync: none has succeeded since; None where none is known."""
        return min(filter(None, (self.last_successful_sync, self.last_sync)), default=None)


class Failure(_Value, frozen=True, kw_only=True):
    """Why a connector could not be read. `str()` is one sentence for people, and then the remedy."""

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


class Reading(_Value, frozen=True, kw_only=True):
    """What Graph said about a connector: complete, or failed.

    Without all pages it has no tokens. With all pages, and entries that are no tokens, it has the others beside a
    failure: what is missing among them is unread, not removed.
    """

    connector: Connector
    tokens: tuple[Token, ...] = ()
    failure: Failure | None = None


class Step(_Value, frozen=True, kw_only=True):
    """One stage that a finding has reached: one alert, whose identity it is, so nothing of it changes."""

    tier: str
    """Its name, which is the same for all tokens, such as `7 days or less`."""
    severity: Health
    since: Instant
    """Start of the run that reached it."""
    condition: str
    """What lasts, in at most 120 characters: `expires 2026-12-02 (7 days or less)`."""
    action: str
    expires_on: Instant | None = None
    """The expiry that a step of `expiring` announces: a later one ends the step."""


class Finding(_Value, frozen=True, kw_only=True):
    """One thing that is wrong with (or noteworthy about) a token."""

    code: str
    severity: Health
    tier: str | None = None
    """The step within the code that is told anew, such as `30` for an expiry within 30 days."""
    since: Instant
    """Start of the run that first judged the code; kept through changes of tier and severity."""
    until: Instant | None = None
    """When a finding about a change ends by itself."""
    caused_by: str | None = None
    """The code of the finding that explains this one; one that begins under a cause has no step until that is gone."""
    facts: dict[str, Fact] = {}
    steps: tuple[Step, ...] = ()
    """In the order in which they were reached; all of them last until the condition is over."""
    name: str | None = None
    """The token's label when the first step was reached: what the alerts call the token."""

    @property
    def superseded(self) -> bool:
        """Whether it repeats what `expired` says: its steps last until the renewal, and people need not read it."""
        return (self.code, self.caused_by) == (Code.EXPIRING, Code.EXPIRED)


class FindingState(_Value, frozen=True, kw_only=True):
    """What history compares of a finding."""

    code: str
    severity: Health
    tier: str | None = None


class FieldChange(_Value, frozen=True, kw_only=True):
    """One entry of a history row: `first_seen`, `health`, `finding`, `expiry`, `apple_id`, `topic` or `name`."""

    field: str
    old: str | FindingState | None = None
    new: str | FindingState | None = None


class Change(_Value, frozen=True, kw_only=True):
    """What changed about a token in one run: one row of the history."""

    changed_on: Instant
    """Start of the run that first judged the change; the row's key."""
    run_id: str
    token_name: str
    old_health: Health | None = None
    """None at first sight."""
    health: Health
    fields: tuple[FieldChange, ...]


class Status(_Value, frozen=True, kw_only=True):
    """A token's health and findings, and what the next judgement must remember of this one."""

    token: Token
    """With the last readable value in place of one that could not be read."""
    label: str
    """The token's name as people read it: with the start of the id, or the whole id, where a name is shared."""
    health: Health
    health_since: Instant
    findings: tuple[Finding, ...] = ()
    """Worst first."""
    first_seen: Instant
    observed_on: Instant | None = None
    """When Graph last told of the token."""
    checked_on: Instant
    run_id: str
    changed_on: Instant
    change: Change | None = None
    """The change of this run, until the next run has made sure that it stands in the history."""
    missing_since: Instant | None = None
    """The first complete reading in a row that did not name the token."""
    known_apple_id: str | None = None
    known_topic: str | None = None
    known_serial_number: str | None = None
    known_devices: int | None = None
    """The most devices since the last new successful sync, or, while `devices_dropped` holds, what it fell from."""

    @property
    def key(self) -> Key:
        """What the token is known by."""
        return self.token.connector, self.token.id

    def finding(self, code: str) -> Finding | None:
        """The finding of that code, if it holds."""
        return next((finding for finding in self.findings if finding.code == code), None)


class GraphToken(_Value, frozen=True, kw_only=True):
    """The app's token for Microsoft Graph in one run."""

    resource: str
    """The form of Graph's resource that it was issued for."""
    lacks: tuple[str, ...] = ()
    """The roles that the app needs and that the token does not carry."""
    expires_on: Instant
    retry_on: Instant
    """When the app asks for another one, where it lacks a role."""


class Run(_Value, frozen=True, kw_only=True):
    """One check, from timer to heartbeat."""

    id: str
    started_on: Instant
    duration_ms: int
    outcome: Outcome
    past_due: bool = False
    connectors: dict[Connector, int | Failure]
    """The number of tokens read, or why it could not be read, for each connector that is watched."""
    counts: dict[Connector, dict[Health, int]]
    """Statuses published, by connector and health."""
    rows: int
    """Finding rows that the run meant to send."""
    graph_token: GraphToken | None = None
    """None where no token was issued, or a person signed in."""
    devices_error: str | None = None
    """Why the inspections of devices are not fresh, or why nobody knows."""
    devices_known: bool = True
    """Whether the tables that say so could be read."""
    store_error: str | None = None
    publish_error: str | None = None

    @property
    def tokens(self) -> int:
        """Statuses published, over all connectors."""
        return sum(sum(by_health.values()) for by_health in self.counts.values())

    def total(self, health: Health) -> int:
        """Statuses of that health, over all connectors."""
        return sum(by_health.get(health, 0) for by_health in self.counts.values())
