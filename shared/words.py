"""Formats numbers and instants for people."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

CLOCK_SKEW: Final = timedelta(minutes=5)
"""An instant this far ahead of this machine's clock counts as now."""

KINDS: Final = {"ade": "ADE", "apns": "APNs", "vpp": "VPP"}
"""The connectors' short names."""

_UNITS: Final = (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1)))


def count(number: int, noun: str) -> str:
    """Return a number and its noun: `1 token`, `2,000 tokens`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def span(length: timedelta) -> str:
    """Return a length of time in its largest whole unit: `12 minutes`."""
    return next((count(length // unit, noun) for noun, unit in _UNITS if length >= unit), "less than a minute")


def ago(instant: datetime, now: datetime) -> str:
    """Return how long ago an instant was: `12 minutes ago`."""
    if instant > now:
        return "just now" if instant - now <= CLOCK_SKEW else f"{span(instant - now)} ahead of this machine's clock"
    return f"{span(now - instant)} ago"


def moment(instant: datetime) -> str:
    """Return an instant to the minute: `2026-11-23 06:07 UTC`."""
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def duration(milliseconds: int) -> str:
    """Return a duration: `250 ms`, `12.3 s`."""
    return f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def kind(connector: str) -> str:
    """Return a connector's short name; an unknown connector keeps its own."""
    return KINDS.get(connector, connector)


def counted(counts: Mapping[str, int]) -> str:
    """Return names and their numbers, the largest first: `enrolled 111, notContacted 9`."""
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{name} {number:,}" for name, number in ordered)


def listed(parts: list[str], last: str = "and") -> str:
    """Return a list as text: `a, b and c`."""
    return f" {last} ".join(part for part in (", ".join(parts[:-1]), parts[-1]) if part) if parts else ""


def next_tick(now: datetime) -> datetime:
    """Return when the timer starts the app's next check: at minute 7 of each hour."""
    tick = now.replace(minute=7, second=0, microsecond=0)
    return tick if tick > now else tick + timedelta(hours=1)
