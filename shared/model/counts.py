"""Defines the results of inspections: counts of a token's devices, and the progress of an unfinished inspection."""

from msgspec import Struct

from shared.model.tokens import Instant


class Counts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Counts of a token's list of devices. Each entry is one of the first four; the rest is about `devices` alone."""

    devices: int = 0
    """Devices of Automated Device Enrollment that are not deleted."""
    deleted: int = 0
    """Deleted entries of any source."""
    imported: int = 0
    """Entries of other sources that are not deleted."""
    unreadable: int = 0
    """Entries that do not have the documented form."""
    without_profile: int = 0
    waiting: int = 0
    """Of these, the relevant ones: not enrolled, and in the list for more than a day."""
    enrolled_without_profile: int = 0
    """Enrolled devices for which Graph names no profile: newer enrollment policies leave its ID out."""
    not_contacted: int = 0
    """Devices with a profile that have had no contact for longer than `DEVICE_CONTACT_DAYS`."""
    failed: int = 0
    blocked: int = 0
    by_state: dict[str, int] = {}
    by_platform: dict[str, int] = {}
    by_source: dict[str, int] = {}
    """The sources of the imported entries."""
    newest_on: Instant | None = None
    """When the newest device was added to the list."""
    examples: dict[str, tuple[str, ...]] = {}
    """Some serial numbers for each symptom: personal data, kept in `DeviceInspection` and nowhere else."""


class Events(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Intune's events of failed Apple bulk enrollments in the whole tenant: an event names no token."""

    since: Instant
    by_category: dict[str, int] = {}
    error: str | None = None
    """Why the events were not read."""


class Inspected(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The result of a complete inspection."""

    on: Instant
    """Start of the run that began the inspection."""
    counts: Counts
    profiles: int | None = None
    """The number of the token's enrollment profiles; None if Graph does not report it."""
    defaults: dict[str, str | None] | None = None
    """The default profile's name (None: there is none) by platform; None if Graph does not report it."""
    synced_devices: int | None = None
    """The token's own count, as the last check read it."""
    events: Events | None = None
    """None if `ENROLLMENT_EVENTS` is off."""


class Pause(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The progress of an inspection that one run could not finish."""

    began_on: Instant
    position: str
    """The address of the next page."""
    pages: int
    counts: Counts


class Inspection(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a token's devices, and the result of the newest attempt to inspect them."""

    token_id: str
    token_name: str
    run_id: str
    tried_on: Instant
    """Start of the run that last tried to inspect the token."""
    complete: bool = False
    """Whether that run completed the inspection."""
    error: str | None = None
    """Why it did not; for a complete inspection, what Graph did not report."""
    last: Inspected | None = None
    """The last complete inspection; a later failure leaves it unchanged."""
    pause: Pause | None = None
    disagreed_first: Instant | None = None
    """The first and the newest of consecutive inspections whose list disagrees with the token's count."""
    disagreed_last: Instant | None = None
