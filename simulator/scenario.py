"""Describes a story over days: returns the tenant at each instant, so that alerts fire and resolve over time.

The functions are pure: the same instant gives the same tenant, in any order of calls. The events are at fixed parts of
the story's length, so a short story contains as much as a long one, except missing devices (a week).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from simulator.devices import Devices, default_profiles, fleet, many_devices, profile, troubleshooting_events
from simulator.tenant import TOPIC, Item, Tenant, ade_token, fixed_id, push_certificate, vpp_token

_NEW_TOPIC: Final = "com.apple.mgmt.External.b9d3e8f1-27c4-4f6a-8d10-6c5b4a392817"

_SYNC_EVERY: Final = timedelta(hours=12)
"""The time between two of Intune's automatic syncs, approximately."""

_OUTAGE: Final = timedelta(hours=5)
_YEAR: Final = timedelta(days=365)


class Event(NamedTuple):
    """An event of the story."""

    on: datetime
    what: str


@dataclass(frozen=True)
class Scene:
    """The tenant at an instant, and whether Graph is unavailable."""

    tenant: Tenant
    outage: bool


@dataclass(frozen=True)
class _Story:
    start: datetime
    days: float

    def at(self, part: float) -> datetime:
        """Return the instant at a part (0 to 1) of the story, on a full minute."""
        instant = self.start + timedelta(days=self.days * part)
        return instant.replace(second=0, microsecond=0)

    def between(self, now: datetime, begin: float, end: float) -> bool:
        """Return whether `now` is in that part of the story."""
        return self.at(begin) <= now < self.at(end)


def scenario(now: datetime, start: datetime, days: float) -> Scene:
    """Return the story, which begins at `start` and lasts `days`, at the instant `now`."""
    story = _Story(start, days)
    ade = [
        _renewed_in_time(now, story),
        _expires(now, story),
        _apple_id_changes(now, story),
        _devices_drop(now, story),
        _new_terms(now, story),
        _sync_stops(now, story),
    ]
    if now < story.at(0.40):
        ade.append(ade_token("Fabrikam Pilot", expires=start + _YEAR, synced=_synced(now, start, 1)))
    failed = story.between(now, 0.75, 0.80)
    vpp = vpp_token(
        "Contoso Apps",
        expires=start + _YEAR,
        synced=_synced(now, start, 4),
        lastSyncStatus="failed" if failed else "completed",
    )
    apns = push_certificate(
        expires=start + _YEAR, topicIdentifier=_NEW_TOPIC if story.between(now, 0.70, 0.85) else TOPIC
    )
    outage = story.at(0.25) <= now < story.at(0.25) + _OUTAGE
    devices = _devices(now, story)
    tenant = Tenant(
        tuple(ade),
        (vpp,),
        apns,
        devices=devices,
        profiles={token_id: [profile(token_id=token_id)] for token_id in devices},
        defaults=_defaults(now, story, devices),
        events=troubleshooting_events(30, now) if _failing(now, story) else (),
    )
    return Scene(tenant, outage)


def events(start: datetime, days: float) -> list[Event]:
    """Return the events of the story, in their order."""
    story = _Story(start, days)
    planned = (
        (0.12, "Contoso HQ gets twelve new devices, and nobody assigns them an enrollment policy"),
        (0.15, "Contoso Warehouse no longer syncs, and a third of its devices disappear from Intune's list"),
        (0.20, "Fabrikam Academy's token is renewed with another Apple ID"),
        (0.30, "Contoso Retail's token expires"),
        (0.35, "Contoso Field Service loses three quarters of its devices"),
        (0.38, "Contoso HQ's new devices are assigned an enrollment policy"),
        (0.40, "Fabrikam Pilot's token is deleted"),
        (0.43, "enrollments of Fabrikam Academy's devices begin to fail"),
        (0.45, "Apple publishes new terms; nobody accepts them for Fabrikam Berlin"),
        (0.50, "Contoso HQ's token is renewed before it expires"),
        (0.53, "Fabrikam Berlin gets its first Macs, and has no default enrollment policy for them"),
        (0.55, "Fabrikam Berlin's terms are accepted"),
        (0.58, "enrollments of Fabrikam Academy's devices succeed again"),
        (0.60, "Contoso Retail's token is renewed"),
        (0.65, "Contoso Field Service's devices are back, and Contoso Warehouse syncs again"),
        (0.70, "the push certificate is created again instead of renewed, so its topic changes"),
        (0.73, "Fabrikam Berlin gets a default enrollment policy for Macs"),
        (0.75, "the sync of Contoso Apps fails"),
        (0.80, "the sync of Contoso Apps succeeds again"),
        (0.85, "the old push certificate is renewed and uploaded"),
        (0.90, "Contoso Warehouse's devices are all in Intune's list again"),
    )
    outage = story.at(0.25)
    timeline = [Event(story.at(part), what) for part, what in planned]
    timeline += [Event(outage, "Graph fails"), Event(outage + _OUTAGE, "Graph answers again")]
    return sorted(timeline)


def _renewed_in_time(now: datetime, story: _Story) -> Item:
    renewed = story.at(0.50)
    expires = renewed + timedelta(days=5)
    return ade_token(
        "Contoso HQ",
        expires=expires if now < renewed else expires + _YEAR,
        synced=_synced(now, story.start, 5),
        syncedDeviceCount=400 if now < story.at(0.12) else 412,
    )


def _expires(now: datetime, story: _Story) -> Item:
    expires, renewed = story.at(0.30), story.at(0.60)
    last = _synced(min(now, expires), story.start, 7)
    return ade_token(
        "Contoso Retail",
        expires=expires if now < renewed else renewed + _YEAR,
        synced=last if now < renewed else max(_synced(now, story.start, 7), renewed),
    )


def _apple_id_changes(now: datetime, story: _Story) -> Item:
    return ade_token(
        "Fabrikam Academy",
        expires=story.start + _YEAR,
        synced=_synced(now, story.start, 9),
        tokenType="appleSchoolManager",
        appleIdentifier="ade@fabrikam.com" if now < story.at(0.20) else "mdm-service@fabrikam.com",
    )


def _devices_drop(now: datetime, story: _Story) -> Item:
    synced = _synced(now, story.start, 3)
    return ade_token(
        "Contoso Field Service",
        expires=story.start + _YEAR,
        synced=synced,
        syncedDeviceCount=60 if _dropped(now, story) else 240,
    )


def _dropped(now: datetime, story: _Story) -> bool:
    # The count changes with a sync, not between two.
    return story.between(_synced(now, story.start, 3), 0.35, 0.65)


def _new_terms(now: datetime, story: _Story) -> Item:
    published, accepted = story.at(0.45), story.at(0.55)
    return ade_token(
        "Fabrikam Berlin",
        expires=story.start + _YEAR,
        synced=_stopped(now, published, accepted, lambda instant: _synced(instant, story.start, 2)),
        lastSyncErrorCode=3 if published <= now < accepted else 0,
        appleIdentifier="ade@fabrikam.com",
    )


def _sync_stops(now: datetime, story: _Story) -> Item:
    stopped, back = story.at(0.15), story.at(0.65)
    return ade_token(
        "Contoso Warehouse",
        expires=story.start + _YEAR,
        synced=_stopped(now, stopped, back, lambda instant: _synced(instant, story.start, 11)),
    )


def _devices(now: datetime, story: _Story) -> dict[str, Devices]:
    """Return each token's list of devices, which agrees with `syncedDeviceCount` except for Contoso Warehouse."""
    failing, dropped, missing = _failing(now, story), _dropped(now, story), story.between(now, 0.15, 0.90)
    kinds = {
        "Contoso HQ": _new_devices(now, story),
        "Contoso Retail": {"enrolled": 120},
        "Fabrikam Academy": {"enrolled": 108, "failed": 9, "blocked": 3} if failing else {"enrolled": 120},
        "Contoso Field Service": {"enrolled": 60, "deleted": 180} if dropped else {"enrolled": 240},
        "Contoso Warehouse": {"enrolled": 80 if missing else 120},
        "Fabrikam Pilot": {"enrolled": 120},
    }
    devices = {fixed_id(name): fleet(fixed_id(name), now, **numbers) for name, numbers in kinds.items()}
    berlin = fixed_id("Fabrikam Berlin")
    platforms = ("ios",) if now < story.at(0.53) else ("ios", "ios", "ios", "ios", "macOS")
    return {**devices, berlin: many_devices(120, berlin, now, kinds=("enrolled",), platforms=platforms)}


def _new_devices(now: datetime, story: _Story) -> dict[str, int]:
    added, assigned = story.at(0.12), story.at(0.38)
    if now < added:
        return {"enrolled": 400}
    if now >= assigned:
        return {"enrolled": 412}
    return {"enrolled": 400, "added" if now - added < timedelta(days=1) else "waiting": 12}


def _failing(now: datetime, story: _Story) -> bool:
    return story.between(now, 0.43, 0.58)


def _defaults(now: datetime, story: _Story, ids: Iterable[str]) -> dict[str, dict[str, Item | None]]:
    """Return a default profile for every platform, except for Macs in Berlin until it is added."""
    berlin = fixed_id("Fabrikam Berlin")
    defaults = {token_id: default_profiles(token_id, "Ios", "MacOs") for token_id in ids}
    return defaults if now >= story.at(0.73) else {**defaults, berlin: default_profiles(berlin, "Ios")}


def _synced(now: datetime, start: datetime, phase_hours: int) -> datetime:
    """Return the time of the last regular sync before `now`; `phase_hours` spreads the tokens' syncs."""
    first = start - timedelta(hours=phase_hours)
    return first + (now - first) // _SYNC_EVERY * _SYNC_EVERY


def _stopped(now: datetime, begin: datetime, end: datetime, synced: Callable[[datetime], datetime]) -> datetime:
    """Return the last success of syncs that fail from `begin` to `end`; at `end`, an administrator selects *Sync*."""
    if now < begin:
        return synced(now)
    return synced(begin) if now < end else max(synced(now), end)
