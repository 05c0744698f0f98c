"""Defines the nouns of the monitor: frozen values that every other module uses.

Instants are timezone-aware datetimes in UTC. The column `Memory` stores `Status` and `Inspection`, with everything in
them, as JSON. So a field that a later release adds has a default, and an older row still decodes.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

PUSH_CERTIFICATE_ID: Final = "push-certificate"
"""The key of the push certificate, because Graph gives it another ID at every reading (public captures)."""

PUSH_CERTIFICATE_NAME: Final = "Apple MDM push certificate"

TERMS_NOT_ACCEPTED: Final = 3
"""A value of `lastSyncErrorCode`: two public tools act on it, and one reports that it is verified in the console."""

type Fact = str | int | bool | None

type Instant = Annotated[datetime, Meta(tz=True)]
"""An instant with a time zone, so that decoding refuses a stored one without."""


class Connector(StrEnum):
    """A connection between the tenant and Apple."""

    ADE = "ade"
    APNS = "apns"
    VPP = "vpp"


class Health(IntEnum):
    """The health of a token, or the severity of a finding; ordered. `Memory` stores the numbers, which never change."""

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
        """Return the worst of `healths`; healthy if there is none."""
        return max(healths, default=Health.HEALTHY)


class Code(StrEnum):
    """The findings. Stored codes are plain strings, because a row may come from a release that knows more of them."""

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
"""What identifies a token: an ID is unique within its connector."""


class Value(Struct, frozen=True, omit_defaults=True):
    """A base for values that are immutable, and compact in JSON."""


class Unreadable(Value, frozen=True, kw_only=True):
    """A value that the judgment needs and that could not be read."""

    field: str
    """The attribute of `Token` that the value belongs to."""
    property: str
    """Graph's name of the value."""
    raw: str
    """The text that Graph sent, bounded; `missing` if it sent none."""


class Token(Value, frozen=True, kw_only=True):
    """One token or certificate of a connector, as Graph listed it. Fields of other connectors are None."""

    connector: Connector
    id: str
    name: str
    type: str | None = None
    """`tokenType`, `vppTokenAccountType`, or `apns`."""
    apple_id: str | None = None
    expires_on: Instant | None = None
    last_successful_sync: Instant | None = None
    last_sync: Instant | None = None
    """VPP's `lastSyncDateTime`, whether or not that sync succeeded: no sync has succeeded since."""
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
    """The reason why the upload of Apple's push certificate failed."""
    unreadable: tuple[Unreadable, ...] = ()

    @property
    def last_possible_sync(self) -> datetime | None:
        """Return the oldest known instant of a last sync, since which none has succeeded; None if none is known."""
        return min(filter(None, (self.last_successful_sync, self.last_sync)), default=None)


class Step(Value, frozen=True, kw_only=True):
    """A stage that a finding has reached: one alert. It is the alert's identity, so it never changes."""

    tier: str
    """The name of the step, which is the same for all tokens, such as `7 days or less`."""
    severity: Health
    since: Instant
    """Start of the run that reached the step."""
    condition: str
    """The condition that lasts, in at most 120 characters: `expires 2026-12-02 (7 days or less)`."""
    action: str
    expires_on: Instant | None = None
    """The expiry that a step of `expiring` announces; a later expiry ends the step."""


class Finding(Value, frozen=True, kw_only=True):
    """Something that is wrong with, or notable about, a token."""

    code: str
    severity: Health
    tier: str | None = None
    """The stage within the code that is raised again, such as `30` for an expiry within 30 days."""
    since: Instant
    """Start of the run that first judged the code; kept when tier and severity change."""
    until: Instant | None = None
    """When a finding about a change ends by itself."""
    caused_by: str | None = None
    """The code of the finding that explains this one; a finding that begins under a cause has no step until it ends."""
    facts: dict[str, Fact] = {}
    steps: tuple[Step, ...] = ()
    """The steps in the order in which they were reached; all of them last until the condition is over."""
    name: str | None = None
    """The token's label when the first step was reached, by which the alerts name the token."""

    @property
    def superseded(self) -> bool:
        """Return whether it repeats `expired`: its steps last until the renewal, and people need not read it."""
        return (self.code, self.caused_by) == (Code.EXPIRING, Code.EXPIRED)


class FindingState(Value, frozen=True, kw_only=True):
    """The parts of a finding that history compares."""

    code: str
    severity: Health
    tier: str | None = None


class FieldChange(Value, frozen=True, kw_only=True):
    """One entry of a history row: `first_seen`, `health`, `finding`, `expiry`, `apple_id`, `topic`, or `name`."""

    field: str
    old: str | FindingState | None = None
    new: str | FindingState | None = None


class Change(Value, frozen=True, kw_only=True):
    """The changes of a token in one run: one row of the history."""

    changed_on: Instant
    """Start of the run that first judged the change, which is the row's key."""
    run_id: str
    token_name: str
    old_health: Health | None = None
    """None for a new token."""
    health: Health
    fields: tuple[FieldChange, ...]


class Status(Value, frozen=True, kw_only=True):
    """A token's health and findings, and what the next judgment must remember."""

    token: Token
    """The token, with the last readable value in place of each unreadable one."""
    label: str
    """The token's displayed name, followed by the start of the ID, or the whole ID, if tokens share the name."""
    health: Health
    health_since: Instant
    findings: tuple[Finding, ...] = ()
    """The findings, the worst first."""
    first_seen: Instant
    observed_on: Instant | None = None
    """When Graph last listed the token."""
    checked_on: Instant
    run_id: str
    changed_on: Instant
    change: Change | None = None
    """The change of this run, until the next run has ensured that it is in the history."""
    missing_since: Instant | None = None
    """The first of consecutive complete readings that did not contain the token."""
    known_apple_id: str | None = None
    known_topic: str | None = None
    known_serial_number: str | None = None
    known_devices: int | None = None
    """The most devices since the last new successful sync; while `devices_dropped` holds, the number before it."""

    @property
    def key(self) -> Key:
        """Return what identifies the token."""
        return self.token.connector, self.token.id

    def finding(self, code: str) -> Finding | None:
        """Return the finding of that code, if it holds."""
        return next((finding for finding in self.findings if finding.code == code), None)
