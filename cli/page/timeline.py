"""When tokens expire within the next year."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from cli.page.drawing import SHAPES, YEAR, Drawing, Expiry, columns, lanes
from shared.model.tokens import Health
from shared.storage.rows import StatusRow
from shared.words import count, listed, span

MOST_LANES: Final = 24
"""Tokens that get a line each; more of them are counted by month."""


class Timeline(NamedTuple):
    """The section's content; without expiries within a year, only the words."""

    words: str
    next: tuple[str, str] | None
    """The token that expires next, and in what time."""
    drawings: Sequence[Drawing] = ()
    legend: Sequence[Health] = ()
    months: Sequence[tuple[str, Counter[Health]]] = ()
    healths: Sequence[Health] = ()


def timeline(rows: Sequence[StatusRow], anchors: Sequence[str], now: datetime) -> Timeline:
    """Return the section's content; `anchors` name each row's entry on the page."""
    expiries = [Expiry(row.expires_on, row, at) for row, at in zip(rows, anchors, strict=True) if row.expires_on]
    expiries.sort(key=lambda one: one.on)
    coming = [one for one in expiries if now < one.on <= now + YEAR]
    nearest = (coming[0].row.label, span(coming[0].on - now)) if coming else None
    words = _words(expiries, len(coming), len(rows) - len(expiries), now)
    within = [one for one in expiries if one.on <= now + YEAR]
    if not within:
        return Timeline(words, nearest)
    months, healths = _by_month(within, now), sorted({one.row.health for one in within}, reverse=True)
    few = len(within) <= MOST_LANES
    drawings = [lanes(within, _months(now), now, one) if few else columns(months, one) for one in SHAPES]
    filled = [one for one in months if one[1]]
    return Timeline(words, nearest, drawings, () if few else healths, filled, healths)


def _words(expiries: Sequence[Expiry], coming: int, undated: int, now: datetime) -> str:
    expired = sum(one.on <= now for one in expiries)
    later = sum(one.on > now + YEAR for one in expiries)
    parts = [
        f"{count(coming, 'token')} {_verb(coming, 'expires', 'expire')} within a year",
        *([f"{expired:,} {_verb(expired, 'has', 'have')} expired"] if expired else []),
        *([f"{later:,} {_verb(later, 'expires', 'expire')} later"] if later else []),
        *([f"the date of {undated:,} is not known"] if undated else []),
    ]
    return f"{listed(parts)}."


def _verb(number: int, one: str, several: str) -> str:
    return one if number == 1 else several


def _months(now: datetime) -> Iterable[datetime]:
    """Return the first days of this month and of the twelve after it."""
    month = _month(now)
    for _ in range(13):
        yield month
        month = _month(month + timedelta(days=32))


def _month(instant: datetime) -> datetime:
    return instant.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _by_month(within: Iterable[Expiry], now: datetime) -> list[tuple[str, Counter[Health]]]:
    """Return the tokens that have expired, and then those of each month, counted by health."""
    past, months = Counter[Health](), {month: Counter[Health]() for month in _months(now)}
    for one in within:
        counts = past if one.on <= now else months[_month(one.on)]
        counts[one.row.health] += 1
    return [("Expired", past), *((f"{month:%b %Y}", counts) for month, counts in months.items())]
