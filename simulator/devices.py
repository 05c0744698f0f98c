"""Simulates a token's devices, its enrollment profiles, and failed enrollments in Graph, as functions of a clock.

Serial numbers and names are made up. Property names and enum values follow
https://learn.microsoft.com/graph/api/resources/intune-enrollment-importedappledeviceidentity?view=graph-rest-beta,
https://learn.microsoft.com/graph/api/resources/intune-enrollment-enrollmentprofile?view=graph-rest-beta and
https://learn.microsoft.com/graph/api/resources/intune-troubleshooting-enrollmenttroubleshootingevent?view=graph-rest-beta;
IDs and dates follow public captures.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, Final, NamedTuple, overload
from uuid import UUID, uuid5

type Item = dict[str, Any]
"""One JSON object of Graph's."""

NEVER: Final = "0001-01-01T00:00:00Z"
"""Graph's year 1."""

ZERO_GUID: Final = "00000000-0000-0000-0000-000000000000"

PROFILE_SECRET: Final = "SECRET-PROFILE-PASSWORD"
"""The beginning of every macOS profile's `adminAccountPassword`; the app must not store or send it."""

PROFILE: Final = "Contoso devices"
"""The name of the profile that `device` assigns."""

_NAMESPACE: Final = UUID("ade00000-0000-4000-8000-000000000001")


def fixed_id(name: str) -> str:
    """Return a GUID that is always the same for the same name."""
    # A JSON string can contain half of a surrogate pair.
    return str(uuid5(_NAMESPACE, name.encode("utf-8", "surrogatepass")))


@lru_cache(4096)  # a tenant of many devices has few dates
def graph_date(instant: datetime, *, offset_hours: int = 0) -> str:
    """Return the instant as Graph writes it: seven fraction digits, and `Z` or an offset."""
    local = instant.astimezone(timezone(timedelta(hours=offset_hours)))
    zone = "Z" if offset_hours == 0 else f"{offset_hours:+03d}:00"
    return f"{local:%Y-%m-%dT%H:%M:%S}.{local.microsecond:06d}7{zone}"


class _Kind(NamedTuple):
    """The ages of a device's dates; None means never. A device without `assigned` has no profile."""

    state: str
    added: timedelta
    assigned: timedelta | None = None
    contacted: timedelta | None = None
    others: Mapping[str, object] = {}


_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)

KINDS: Final[Mapping[str, _Kind]] = {
    "enrolled": _Kind("enrolled", 200 * _DAY, 199 * _DAY, 3 * _HOUR),
    "assigned": _Kind("notContacted", 4 * _DAY, 3 * _DAY),  # still in its box
    "idle": _Kind("notContacted", 90 * _DAY, 80 * _DAY),  # in its box for longer than usual
    "reset": _Kind("pendingReset", 200 * _DAY, 2 * _DAY, 3 * _HOUR),  # enrolled with another profile than assigned
    "bare": _Kind("enrolled", 200 * _DAY, contacted=3 * _HOUR),  # enrolled, and its profile removed since
    "added": _Kind("notContacted", 3 * _HOUR),  # no profile, but listed only recently
    "waiting": _Kind("notContacted", 5 * _DAY),  # no profile, and no enrollment without one
    "failed": _Kind("failed", 20 * _DAY, 19 * _DAY, 2 * _DAY),
    "blocked": _Kind("blocked", 20 * _DAY, 19 * _DAY, 2 * _DAY),
    # Released by Apple, and kept in the list for 30 to 45 days.
    "deleted": _Kind("notContacted", 400 * _DAY, contacted=12 * _DAY, others={"isDeleted": True}),
    # Added with Apple Configurator, so not from the token.
    "imported": _Kind("notContacted", 60 * _DAY, others={"discoverySource": "adminImport"}),
    # Values that Graph's documentation does not list.
    "odd": _Kind("quarantined", 50 * _DAY, 49 * _DAY, others={"platform": "watchOS"}),
    "foreign": _Kind("unknown", 50 * _DAY, 49 * _DAY, others={"discoverySource": "unknownFutureValue"}),
}
"""The kinds of devices, by name."""

PLATFORMS: Final = ("ios", "ios", "ios", "macOS")

_VARIANTS: Final = 6
"""Graph writes the same value in several ways: two for a profile, two for never, three for none."""

_NO_PROFILE: Final = (None, "", ZERO_GUID)
_NEVER: Final = (NEVER, None)


@lru_cache(4096)
def profile_id(token_id: str, name: str) -> str:
    """Return the profile's own part of its ID, a GUID."""
    return fixed_id(f"profile {token_id} {name}")


def device(
    serial: str, *, token_id: str, now: datetime, kind: str = "enrolled", variant: int = 0, **others: object
) -> Item:
    """Return an `importedAppleDeviceIdentity` with every property: by default enrolled, with the profile `PROFILE`.

    Args:
        serial: its serial number.
        token_id: the token's ID, from which the IDs of the device and the profile are made.
        now: the instant from which its dates are counted back.
        kind: one of `KINDS`.
        variant: selects how Graph writes the same value; any number.
        others: properties by Graph's names; they override the default ones.

    """
    is_a = KINDS[kind]
    own = profile_id(token_id, PROFILE)
    requested = (own, f"{token_id}_{own}")[variant % 2] if is_a.assigned else _NO_PROFILE[variant % 3]
    never = _NEVER[variant % 2]

    def ago(age: timedelta | None) -> str | None:
        return never if age is None else graph_date(now - age, offset_hours=-8 * (variant % 2))

    return {
        "id": fixed_id(f"device {token_id} {serial}"),
        "serialNumber": serial,
        "requestedEnrollmentProfileId": requested,
        "requestedEnrollmentProfileAssignmentDateTime": ago(is_a.assigned),
        "isSupervised": True,
        "discoverySource": "deviceEnrollmentProgram",
        "isDeleted": False,
        "createdDateTime": ago(is_a.added + timedelta(minutes=variant % _VARIANTS)),
        "lastContactedDateTime": ago(is_a.contacted),
        "description": (None, "", "iPhone 16e 128GB")[variant % 3],
        "enrollmentState": is_a.state,
        "platform": "ios",
        **is_a.others,
        **others,
    }


@dataclass(frozen=True)
class Devices(Sequence[Item]):
    """Many devices of one token; each is created when it is accessed, and is always the same.

    `kinds` and `platforms` repeat: each device takes the next one.
    """

    number: int
    token_id: str
    now: datetime
    kinds: tuple[str, ...]
    platforms: tuple[str, ...]
    _made: dict[tuple[str, str, int], Item] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return self.number

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        numbers = range(self.number)[index]
        return self._device(numbers) if isinstance(numbers, int) else [self._device(number) for number in numbers]

    def __iter__(self) -> Iterator[Item]:
        return map(self._device, range(self.number))

    def _device(self, number: int) -> Item:
        key = (self.kinds[number % len(self.kinds)], self.platforms[number % len(self.platforms)], number % _VARIANTS)
        if key not in self._made:  # dates and IDs cost more than everything else
            kind, platform, variant = key
            made = device("", token_id=self.token_id, now=self.now, kind=kind, variant=variant)
            self._made[key] = {**made, "platform": KINDS[kind].others.get("platform", platform)}
        names = {
            "id": f"{self.token_id[:23]}-{number:012x}",
            "serialNumber": f"{self.token_id[:4].upper()}{number:08d}",
        }
        return {**self._made[key], **names}


MIXED: Final = (
    *("enrolled",) * 9,
    *("assigned", "idle", "reset", "bare", "added", "waiting", "failed", "blocked", "deleted", "imported", "odd"),
)
"""Twenty devices, of every kind except `foreign`."""


def many_devices(
    number: int, token_id: str, now: datetime, *, kinds: Sequence[str] = MIXED, platforms: Sequence[str] = PLATFORMS
) -> Devices:
    """Return `number` devices; of every twenty, nine are enrolled, and the others are of every kind but `foreign`."""
    return Devices(number, token_id, now, tuple(kinds), tuple(platforms))


def fleet(token_id: str, now: datetime, **kinds: int) -> Devices:
    """Return devices by kind and number, in that order: `fleet(token_id, now, enrolled=100, waiting=9)`."""
    each = [kind for kind, number in kinds.items() for _ in range(number)]
    return many_devices(len(each), token_id, now, kinds=each)


_PROFILE_TYPES: Final = {"Ios": "IOS", "MacOs": "MacOS", "TvOS": "TvOS", "VisionOS": "VisionOS"}
"""The platforms as the default profiles' properties spell them, and as the profiles' types do."""

DEFAULTS: Final = {f"default{platform}EnrollmentProfile": platform for platform in _PROFILE_TYPES}
"""A token's navigation properties, and the platform of each."""


def profile(name: str = PROFILE, *, token_id: str, platform: str = "Ios", **others: object) -> Item:
    """Return an enrollment profile; `platform` is one of `DEFAULTS`. A macOS profile contains a password."""
    tenant = fixed_id("account")
    item: Item = {
        "@odata.type": f"#microsoft.graph.dep{_PROFILE_TYPES[platform]}EnrollmentProfile",
        "id": f"{token_id}_{profile_id(token_id, name)}",
        "displayName": name,
        "description": "",
        "requiresUserAuthentication": True,
        "configurationEndpointUrl": f"https://appleconfigurator2.manage.microsoft.com/EnrollmentServer/MDMServiceConfig?id={tenant}",
        "enableAuthenticationViaCompanyPortal": False,
        "requireCompanyPortalOnSetupAssistantEnrolledDevices": False,
    }
    if platform in {"Ios", "MacOs"}:
        item |= {"isDefault": False, "supervisedModeEnabled": True, "isMandatory": True, "enabledSkipKeys": ["Restore"]}
    if platform == "MacOs":
        item |= {"adminAccountUserName": "localadmin", "adminAccountPassword": f"{PROFILE_SECRET}-{fixed_id(name)}"}
    return {**item, **others}


def default_profiles(token_id: str, *platforms: str) -> dict[str, Item | None]:
    """Return a token's default profiles: `PROFILE` for each of `platforms`, None for the others.

    The ID of a default that is a newer enrollment policy begins with `ECV2_`, according to a public capture of macOS.
    """
    profiles = {platform: profile(token_id=token_id, platform=platform) for platform in platforms}
    if "MacOs" in profiles:
        profiles["MacOs"]["id"] = f"ECV2_{profiles['MacOs']['id']}"
    return {platform: profiles.get(platform) for platform in _PROFILE_TYPES}


def enrollment_event(number: int, *, on: datetime, **others: object) -> Item:
    """Return an `enrollmentTroubleshootingEvent`: a failed Apple bulk enrollment; it names no token."""
    return {
        "@odata.type": "#microsoft.graph.enrollmentTroubleshootingEvent",
        "id": fixed_id(f"event {number}"),
        "eventDateTime": graph_date(on),
        "correlationId": fixed_id(f"correlation {number}"),
        "troubleshootingErrorDetails": None,
        "eventName": None,
        "additionalInformation": [],
        "managedDeviceIdentifier": fixed_id(f"managed device {number}"),
        "operatingSystem": "iOS",
        "osVersion": "26.1",
        "userId": ZERO_GUID,
        "deviceId": None,
        "enrollmentType": "appleBulkWithoutUser",
        "failureCategory": "enrollmentRestrictionsEnforced",
        "failureReason": "DeviceCapReached",
        **others,
    }


def troubleshooting_events(number: int, now: datetime) -> list[Item]:
    """Return the newest `number` of Intune's troubleshooting events, one every five hours, newest first.

    Of every six, three are failed Apple bulk enrollments; the others are another kind of enrollment,
    another platform, and not an enrollment.
    """
    others: tuple[Item, ...] = (
        {},
        {"failureCategory": "userValidation", "failureReason": None, "enrollmentType": "appleBulkWithUser"},
        {"enrollmentType": "userEnrollment", "failureCategory": "authentication", "failureReason": "NoSuchUser"},
        {"failureCategory": "notYetListed", "failureReason": None},
        {"enrollmentType": "windowsAzureADJoin", "operatingSystem": "Windows", "failureCategory": "badRequest"},
    )
    events = []
    for each in range(number):
        on = now - timedelta(hours=1 + 5 * each)
        if each % 6 < len(others):
            events.append(enrollment_event(each, on=on, **others[each % 6]))
        else:
            app = {"id": fixed_id(f"app event {each}"), "eventDateTime": graph_date(on, offset_hours=-8)}
            events.append({"@odata.type": "#microsoft.graph.mobileAppTroubleshootingEvent", **app})
    return events
