"""When tokens expire within the next year: drawn, in words, and as a table."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from cli.page.drawing import SHAPES, YEAR, Expiry, columns, lanes
from cli.page.html import Content, Markup, isolated, joined, table, tag
from cli.page.signs import mark
from cli.rows import StatusRow
from shared.model.tokens import Health
from shared.words import count, listed, span

MOST_LANES: Final = 24
"""Tokens that get a line each; more of them are counted by month."""


def timeline(rows: Sequence[StatusRow], anchors: Sequence[str], now: datetime) -> Markup:
    """The section's content. `anchors` name each row's entry on the page."""
    found = (Expiry(row.expires_on, row, anchor) for row, anchor in zip(rows, anchors, strict=True) if row.expires_on)
    dated = sorted(found, key=lambda one: one.on)
    within = [one for one in dated if one.on <= now + YEAR]
    words = tag("p", _words(dated, len(rows) - len(dated), now), id="expiries-words")
    if not within:
        return words
    months = _counted(within, now)
    if len(within) <= MOST_LANES:
        drawn = [lanes(within, _months(now), now, shape) for shape in SHAPES]
    else:
        drawn = [*(columns(months, shape) for shape in SHAPES), _legend(within)]
    return joined((words, drawn, _table([one for one in months if one[1]])))


def _legend(within: Iterable[Expiry]) -> Markup:
    healths = sorted({one.row.health for one in within}, reverse=True)
    return tag("p", "From the top down: ", ((" ", mark(health)) for health in healths), class_="legend")


def _words(dated: Sequence[Expiry], undated: int, now: datetime) -> Markup:
    expired = sum(one.on <= now for one in dated)
    later = sum(one.on > now + YEAR for one in dated)
    coming = [one for one in dated if now < one.on <= now + YEAR]
    parts = [
        f"{count(len(coming), 'token')} {_verb(len(coming), 'expires', 'expire')} within a year",
        *([f"{expired:,} {_verb(expired, 'has', 'have')} expired"] if expired else []),
        *([f"{later:,} {_verb(later, 'expires', 'expire')} later"] if later else []),
        *([f"of {undated:,} the date is not known"] if undated else []),
    ]
    nearest = (" Next is ", isolated(coming[0].row.label), f", in {span(coming[0].on - now)}.") if coming else None
    return joined((f"{listed(parts)}.", nearest))


def _verb(number: int, one: str, several: str) -> str:
    return one if number == 1 else several


def _months(now: datetime) -> Iterable[datetime]:
    """The first days of this month and of the twelve after it."""
    month = _month(now)
    for _ in range(13):
        yield month
        month = _month(month + timedelta(days=32))


def _month(instant: datetime) -> datetime:
    return instant.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _counted(within: Iterable[Expiry], now: datetime) -> list[tuple[str, Counter[Health]]]:
    """What has expired, and then each month."""
    past, months = Counter[Health](), {month: Counter[Health]() for month in _months(now)}
    for one in within:
        counts = past if one.on <= now else months[_month(one.on)]
        counts[one.row.health] += 1
    return [("Expired", past), *((f"{month:%b %Y}", counts) for month, counts in months.items())]


def _table(months: Sequence[tuple[str, Counter[Health]]]) -> Markup:
    healths = sorted({health for _, counts in months for health in counts}, reverse=True)
    header = ("Month", "Tokens", *(str(health).capitalize() for health in healths))

    def row(name: str, counts: Counter[Health]) -> Iterable[Content]:
        return name, counts.total(), *(counts[health] for health in healths)

    summary = tag("summary", "The same as a table")
    return tag("details", summary, table("Expiries by month", header, (row(*one) for one in months)), class_="more")
