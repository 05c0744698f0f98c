"""Decodes a token's list of devices and counts it page by page, in memory that does not grow with the list.

Microsoft Graph's reference (beta) documents `importedAppleDeviceIdentity` and `enrollmentTroubleshootingEvent`:
https://learn.microsoft.com/graph/api/resources. What these pages leave open (nulls, year 1, forms of a profile's ID) is
from public captures of live payloads. The list shows what Intune requested from Apple, not what Apple did.
"""

from collections import Counter
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from operator import attrgetter
from typing import Final

from msgspec import Struct, field
from msgspec.structs import fields, replace

from shared.graph.pages import Page, readable
from shared.model.counts import Counts
from shared.model.dates import FIRST, FURTHEST, plausible
from shared.model.tokens import Instant
from shared.text import bounded

ADE_SOURCE: Final = "deviceEnrollmentProgram"
"""`discoverySource` of Automated Device Enrollment; Apple Configurator's is `adminImport`."""

MISSING: Final = "missing"
"""The name that is counted if Graph returns no state, platform, source, or category."""
OTHER: Final = "other"
"""The name that is counted for all names beyond the first `MOST_NAMES`."""

MOST_NAMES: Final = 20
"""The number of different names in one count; Graph's enums have up to 12 values."""

_LONGEST_NAME: Final = 40
_LONGEST_SERIAL: Final = 32
"""The number of characters; Apple's serial numbers have 10 to 14. A column must hold four times 100 of them."""

_NO_PROFILE: Final = ("00000000-0000-0000-0000-000000000000", "_")
"""Ends of a profile's ID that mean none: the zero GUID, or nothing after the token's ID."""

_IN_THE_LIST: Final = timedelta(days=1)
"""A device that has been listed for less time may still get a profile."""


class Device(Struct, gc=False, rename="camel", kw_only=True):
    """The properties of an `importedAppleDeviceIdentity` that are counted."""

    serial_number: str | None = None
    requested_enrollment_profile_id: str | None = None
    assigned_on: Instant | None = field(name="requestedEnrollmentProfileAssignmentDateTime", default=None)
    discovery_source: str | None
    """Graph always sends it; an entry without it is not a device."""
    is_deleted: bool | None = None
    created_on: Instant | None = field(name="createdDateTime", default=None)
    contacted_on: Instant | None = field(name="lastContactedDateTime", default=None)
    enrollment_state: str | None = None
    platform: str | None = None


PROPERTIES: Final = tuple(one.encode_name for one in fields(Device))
"""The properties for `$select`."""


class Event(Struct, gc=False, rename="camel"):
    """One `enrollmentTroubleshootingEvent`; other types of events have no enrollment type."""

    event_date_time: Instant
    enrollment_type: str | None = None
    failure_category: str | None = None

    @property
    def of_apple(self) -> bool:
        """Return whether the event is of Apple's bulk enrollment: `appleBulkWithUser`, `appleBulkWithoutUser`."""
        return self.enrollment_type is not None and self.enrollment_type.startswith("appleBulk")


def devices(body: bytes, asked: str) -> Page[Device | None]:
    """Return a page of devices, None in place of an entry that is not what Graph documents."""
    return readable(body, Page[Device], Device, asked)


def events(body: bytes, asked: str) -> Page[Event | None]:
    """Return a page of events, None in place of an entry that is not what Graph documents."""
    return readable(body, Page[Event], Event, asked)


class Tally:
    """Counts devices page by page, and continues earlier counts."""

    def __init__(self, now: datetime, *, contact_days: int, examples: int, counted: Counts | None = None) -> None:
        """`now` is the clock of the whole inspection; `examples` serial numbers are kept for each symptom."""
        before = counted or Counts()
        self._listed_since = now - _IN_THE_LIST
        self._silent_since = now - timedelta(days=contact_days)
        self._most = examples
        self._numbers = Counter({name: getattr(before, name) for name in _NUMBERS})
        self._states = Counter(before.by_state)
        self._platforms = Counter(before.by_platform)
        self._sources = Counter(before.by_source)
        self._newest = before.newest_on or FIRST
        self._now = now
        self._too_far = (now + FURTHEST).toordinal()
        self._examples = {symptom: list(some)[:examples] for symptom, some in before.examples.items()}

    def add(self, page: Sequence[Device | None]) -> None:
        """Count a page of devices; None is an entry that could not be read."""
        read = [device for device in page if device is not None]
        kept = [device for device in read if not device.is_deleted]
        own = [device for device in kept if device.discovery_source == ADE_SOURCE]
        states = Counter(map(_STATE, own))
        none = {profile for profile in set(map(_PROFILE, own)) if not has_profile(profile)}
        without = [device for device in own if device.requested_enrollment_profile_id in none]
        self._numbers["devices"] += len(own)
        self._numbers["deleted"] += len(read) - len(kept)
        self._numbers["imported"] += len(kept) - len(own)
        self._numbers["unreadable"] += len(page) - len(read)
        self._numbers["without_profile"] += len(without)
        self._numbers["enrolled_without_profile"] += sum(device.enrollment_state == "enrolled" for device in without)
        self._symptom("waiting", [device for device in without if self._waits(device)])
        # Instants of different offsets compare slowly (measured: 0.6 microseconds), so their days go first.
        last_day = self._silent_since.toordinal() + 1
        quiet = [
            one
            for one in own
            if one.contacted_on is None or not last_day < one.contacted_on.toordinal() <= self._too_far
        ]
        silent = [one for one in quiet if one.requested_enrollment_profile_id not in none and self._is_silent(one)]
        self._symptom("not_contacted", silent)
        for state in ("failed", "blocked"):
            if states[state]:
                self._symptom(state, [device for device in own if device.enrollment_state == state])
        tally_names(self._states, states)
        tally_names(self._platforms, Counter(map(_PLATFORM, own)))
        if len(own) < len(kept):
            tally_names(self._sources, Counter(_SOURCE(one) for one in kept if one.discovery_source != ADE_SOURCE))
        day, ahead = self._newest.toordinal() - 1, self._listed_since.toordinal() + 2
        newer = [created for created in map(_CREATED, own) if created is not None and created.toordinal() >= day]
        # A date in the future is not a date.
        self._newest = max([self._newest, *(created for created in newer if created.toordinal() <= ahead)])

    def counts(self) -> Counts:
        """Return the counts until now."""
        return Counts(
            **{name: self._numbers[name] for name in _NUMBERS},
            by_state=dict(self._states),
            by_platform=dict(self._platforms),
            by_source=dict(self._sources),
            newest_on=self._newest.astimezone(UTC) if self._newest > FIRST else None,
            examples={symptom: tuple(some) for symptom, some in self._examples.items() if some},
        )

    def _waits(self, device: Device) -> bool:
        """Return whether a device without a profile matters; a device of unknown age counts as an old one."""
        created = plausible(device.created_on, self._now)
        return device.enrollment_state != "enrolled" and (created is None or _before(created, self._listed_since))

    def _is_silent(self, device: Device) -> bool:
        """Return whether a device with a profile has had no contact; without any, since it was assigned or listed."""
        dates = (device.contacted_on, device.assigned_on, device.created_on)
        last = next((date for date in dates if plausible(date, self._now)), None)
        return last is not None and _before(last, self._silent_since)

    def _symptom(self, name: str, found: Sequence[Device]) -> None:
        self._numbers[name] += len(found)
        some = self._examples.setdefault(name, [])
        if len(some) < self._most:
            serials = [bounded(one.serial_number, _LONGEST_SERIAL) for one in found if one.serial_number]
            some += serials[: self._most - len(some)]


_STATE: Final[Callable[[Device], str | None]] = attrgetter("enrollment_state")
_PLATFORM: Final[Callable[[Device], str | None]] = attrgetter("platform")
_SOURCE: Final[Callable[[Device], str | None]] = attrgetter("discovery_source")
_CREATED: Final[Callable[[Device], datetime | None]] = attrgetter("created_on")
_PROFILE: Final[Callable[[Device], str | None]] = attrgetter("requested_enrollment_profile_id")

_NUMBERS: Final = tuple(one.name for one in fields(Counts) if one.type is int)
"""The attributes of `Counts` that are numbers."""


def _before(instant: datetime, limit: datetime) -> bool:
    """Return whether `instant` is before `limit`; days go first, because other offsets compare slowly."""
    days = instant.toordinal() - limit.toordinal()
    return days < -1 or (days <= 1 and instant < limit)


def tally_names(total: MutableMapping[str, int], names: Mapping[str | None, int]) -> None:
    """Add the counts of `names` to `total`, which has a bounded number of bounded names."""
    for name, number in names.items():
        shown = bounded(name, _LONGEST_NAME) if name else MISSING
        known = shown if shown in total or len(total) < MOST_NAMES else OTHER
        total[known] = total.get(known, 0) + number


def with_examples(counts: Counts, number: int) -> Counts:
    """Return `counts` with at most that number of examples for each symptom."""
    kept = {symptom: some[:number] for symptom, some in counts.examples.items() if number}
    return replace(counts, examples=kept)


def disagrees(counts: Counts, synced: int) -> bool:
    """Return whether list and token disagree by more than 10, and by more than a tenth of the larger of the two.

    It is not documented whether the token's count includes deleted and imported entries, so they must disagree however
    these, and the unreadable entries, are counted.
    """
    ways = (
        counts.devices + sum(part for part, counted in zip(parts, way, strict=True) if counted)
        for parts in ((counts.deleted, counts.imported, counts.unreadable),)
        for way in product((False, True), repeat=3)
    )
    return all(abs(listed - synced) > max(10, max(listed, synced) / 10) for listed in ways)


def by_category(found: Sequence[Event], since: datetime) -> dict[str, int]:
    """Return the number of events after `since` by the category of their failure."""
    total: dict[str, int] = {}
    tally_names(total, Counter(event.failure_category for event in found if event.event_date_time > since))
    return total


def known(instant: datetime | None) -> datetime | None:
    """Return an instant from Graph; None for its "never", and for one before there were such devices."""
    return instant if instant is not None and instant >= FIRST else None


def has_profile(profile: str | None) -> bool:
    """Return whether a profile is requested: a GUID, or the last part of `<token ID>_<profile ID>`."""
    return profile is not None and not profile.endswith(_NO_PROFILE) and bool(profile.strip())
