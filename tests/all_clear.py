"""Counts false all-clears: resolutions of a token's alert while its condition, or a worse form of it, lasts.

Whether a condition lasts is read from what Graph holds, item by item, and from nothing that the monitor concluded. A
condition that was over once since its alert fired, and has begun again, is another one.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple

from simulator.rules import Event
from simulator.tenant import TOPIC, Item, Tenant

DAY: Final = timedelta(days=1)
PUSH: Final = "push-certificate"

_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_UNTIL: Final = re.compile(r"until (\d{4}-\d\d-\d\d)")
_MINUTE: Final = re.compile(r"since (\d{4}-\d\d-\d\d \d\d:\d\d) UTC")


class Alert(NamedTuple):
    """A notification that an administrator received, and what Graph contains about its token."""

    condition: str
    item: Item
    devices: Iterable[Item]
    now: datetime

    @property
    def expires_on(self) -> datetime:
        """Return when the token expires."""
        return _instant(self.item.get("tokenExpirationDateTime") or self.item["expirationDateTime"])

    @property
    def expired(self) -> bool:
        """Return whether the token has expired, by its date or by Intune's state."""
        return self.expires_on <= self.now or self.item.get("state") == "expired"

    @property
    def failing(self) -> bool:
        """Return whether the last completed sync ended with an error."""
        return bool(self.item.get("lastSyncErrorCode")) or self.item.get("lastSyncStatus") in {"failed", "inProgress"}


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _expires(alert: Alert) -> bool:
    """Return whether the token has expired, or expires no later than the alert states."""
    told = _DAY.search(alert.condition)
    latest = date.fromisoformat(told[0]) if told else (alert.now + 60 * DAY).date()
    return alert.expired or alert.expires_on.date() <= latest


def _stale(alert: Alert) -> bool:
    """Return whether no sync has succeeded since the one that the alert names."""
    told = _MINUTE.search(alert.condition)
    last = _instant(alert.item.get("lastSuccessfulSyncDateTime") or alert.item["lastSyncDateTime"])
    if told is None:
        return alert.now - last >= timedelta(hours=36)
    return last < datetime.fromisoformat(f"{told[1]}+00:00") + timedelta(minutes=1)


def _reported(alert: Alert) -> bool:
    """Return whether an event is still reported; if the alert names no end, it is reported for seven days."""
    told = _UNTIL.search(alert.condition)
    return told is None or alert.now < datetime.combine(date.fromisoformat(told[1]), time(), UTC)


def _some(kind: Callable[[Item], bool]) -> Callable[[Alert], bool]:
    return lambda alert: any(kind(device) for device in alert.devices)


_LASTS: Final[Mapping[str, Callable[[Alert], bool]]] = {
    "expiring": _expires,
    "expired": lambda alert: alert.expired,
    "terms_not_accepted": lambda alert: alert.item["lastSyncErrorCode"] == 3,
    "sync_error": lambda alert: alert.failing,
    "sync_stale": _stale,
    "never_synced": lambda alert: alert.item.get("lastSyncStatus", "completed") != "completed",
    "invalid": lambda alert: alert.expired or alert.item.get("state") in {"invalid", "assignedToExternalMDM"},
    "duplicate_location": lambda alert: alert.item["state"] == "duplicateLocationId",
    "unreadable": lambda alert: alert.item == {},
    "push_topic_changed": lambda alert: alert.item["topicIdentifier"] != TOPIC and _reported(alert),
    "devices_dropped": lambda alert: alert.item["syncedDeviceCount"] <= 120 and _reported(alert),
    "devices_without_profile": _some(
        lambda device: (
            device["requestedEnrollmentProfileAssignmentDateTime"] in {None, "0001-01-01T00:00:00Z"}
            and device["enrollmentState"] == "notContacted"
        )
    ),
    "enrollment_failing": _some(lambda device: device["enrollmentState"] in {"failed", "blocked"}),
    "devices_missing": lambda alert: len(list(alert.devices)) < alert.item["syncedDeviceCount"],
}


class AllClears:
    """Collects an administrator's notifications, and those that were false or sent twice."""

    def __init__(self) -> None:
        self.false: list[tuple[datetime, str, str, str]] = []
        self.twice: list[tuple[datetime, str, str, str]] = []
        self.fired = 0
        self.resolved = 0
        self._open: dict[tuple[str, str, str], bool] = {}
        """Whether the condition of each open alert has lasted since the alert fired."""

    def note(self, tenant: Tenant, now: datetime) -> None:
        """Record the state of `tenant` in Graph at an instant."""
        items = _items(tenant)
        self._open = {what: lasted and _lasts(*what, items, tenant, now) for what, lasted in self._open.items()}

    def see(self, events: Iterable[Event], tenant: Tenant, now: datetime) -> None:
        """Record the events of the rules at an instant, and the state of `tenant` in Graph."""
        self.note(tenant, now)
        for event in events:
            values = event.alert.dimensions
            if "TokenId" not in values:
                continue
            what = values["TokenId"], values["Finding"], condition(values)
            if event.kind == "fired":
                self.fired += 1
                self.twice += [(now, *what)] if what in self._open else []
                self._open[what] = True
            elif event.kind == "resolved":
                self.resolved += 1
                self.false += [(now, *what)] if self._open.pop(what) else []


def condition(dimensions: Mapping[str, str]) -> str:
    """Return the condition, without the token's name before it; empty for alerts by connector."""
    return dimensions.get("Condition", "").rpartition(": ")[2]


def _items(tenant: Tenant) -> dict[str, Item]:
    """Return the tokens by ID."""
    found = {item["id"]: item for item in (*tenant.ade, *tenant.vpp)}
    return found | ({PUSH: tenant.apns} if tenant.apns else {})


def _lasts(token: str, finding: str, condition: str, items: Mapping[str, Item], tenant: Tenant, now: datetime) -> bool:
    alert = Alert(condition, items.get(token, {}), tenant.devices.get(token, ()), now)
    if finding == "removed":
        return token not in items and "until" in condition and _reported(alert)
    return token in items and _LASTS[finding](alert)
