"""What inspections know of a token's devices: counts, and how far one came that is not at its end."""

from msgspec import Struct

from shared.model.tokens import Instant


class Counts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A token's list of devices, counted: each entry is one of the first four; the rest tells of `devices` alone."""

    devices: int = 0
    """Of Automated Device Enrollment, and not deleted."""
    deleted: int = 0
    """Of whatever source."""
    imported: int = 0
    """Of other sources, and not deleted."""
    unreadable: int = 0
    """Entries that are not what Graph documents."""
    without_profile: int = 0
    waiting: int = 0
    """Of those the ones that matter: not enrolled, and in the list for more than a day."""
    enrolled_without_profile: int = 0
    """Enrolled, and Graph names no profile: newer enrollment policies leave its id out."""
    not_contacted: int = 0
    """With a profile, and without contact for longer than `DEVICE_CONTACT_DAYS`."""
    failed: int = 0
    blocked: int = 0
    by_state: dict[str, int] = {}
    by_platform: dict[str, int] = {}
    by_source: dict[str, int] = {}
    """The imported ones."""
    newest_on: Instant | None = None
    """When the newest device came into the list."""
    examples: dict[str, tuple[str, ...]] = {}
    """Some serial numbers for each symptom: personal data, kept in `DeviceInspection` and nowhere else."""


class Events(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Intune's events of Apple bulk enrollments that failed, over the whole tenant: they name no token."""

    since: Instant
    by_category: dict[str, int] = {}
    error: str | None = None
    """Why they were not read."""


class Inspected(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a complete inspection found."""

    on: Instant
    """Start of the run that began it."""
    counts: Counts
    profiles: int | None = None
    """The token's enrollment profiles; None where Graph does not tell."""
    defaults: dict[str, str | None] | None = None
    """The default profile's name (None: there is none) by platform; None where Graph does not tell."""
    synced_devices: int | None = None
    """The token's own count, as the last check read it."""
    events: Events | None = None
    """None where `ENROLLMENT_EVENTS` is off."""


class Pause(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far an inspection is that one run could not finish."""

    began_on: Instant
    position: str
    """Address of the next page."""
    pages: int
    counts: Counts


class Inspection(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a token's devices, and how the newest attempt to look at them went."""

    token_id: str
    token_name: str
    run_id: str
    tried_on: Instant
    """Start of the run that last looked at the token."""
    complete: bool = False
    """Whether that run ended the inspection."""
    error: str | None = None
    """Why it did not; of a complete one, what Graph did not tell."""
    last: Inspected | None = None
    """The last complete inspection; a later failure leaves it as it is."""
    pause: Pause | None = None
    disagreed_first: Instant | None = None
    """The first and the newest of the inspections, one after the other, whose list disagrees with the token's count."""
    disagreed_last: Instant | None = None
