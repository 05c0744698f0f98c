"""Expiries drawn: a line for each token, or a column for each month where there are many."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from cli.page.html import Content, Markup, joined, tag
from cli.page.signs import placed
from cli.rows import StatusRow
from shared.model.tokens import Health
from shared.words import ago, kind, span

YEAR: Final = timedelta(days=365)

_TOP: Final = 26
"""Above it stand the names of the months."""
_LANE: Final = 26
_BARS: Final = 150
_ABOVE: Final = 36
"""Above the highest column stand its number and its sign."""
_NAME: Final = 28
"""Characters of a name beside its line."""


class Expiry(NamedTuple):
    """A token that expires."""

    on: datetime
    row: StatusRow
    anchor: str
    """Of the token's entry on the page."""


class Shape(NamedTuple):
    """How wide a drawing is, and how it is laid out; the page shows the one that fits."""

    name: str
    width: int
    left: int
    """Where time begins; names stand before it, or above their lines where it is 0."""
    right: int
    """What is left free where time ends."""
    months: int
    """Every so many months are named."""


SHAPES: Final = (Shape("wide", 960, 236, 120, 1), Shape("narrow", 343, 0, 12, 3))


def lanes(expiries: Sequence[Expiry], months: Iterable[datetime], now: datetime, shape: Shape) -> Markup:
    """A line for each token, from now to its expiry, which leads to its entry."""
    height = _TOP + _lane(shape) * len(expiries) + 8
    grid = (
        _month_line(number, month, _at(month, now, shape), height, shape)
        for number, month in enumerate(months)
        if month > now
    )
    start = shape.left or _edge(shape)
    today = tag("line", x1=start, x2=start, y1=_TOP - 4, y2=height, class_="today")
    return _drawn(
        shape, height, "group", grid, today, (_line(number, one, now, shape) for number, one in enumerate(expiries))
    )


def _edge(shape: Shape) -> int:
    """Half a sign, where there are no names before time begins."""
    return 0 if shape.left else 8


def _lane(shape: Shape) -> int:
    return _LANE if shape.left else _LANE + 14


def _at(instant: datetime, now: datetime, shape: Shape) -> float:
    start = shape.left + _edge(shape)
    part = min(max((instant - now) / YEAR, 0), 1)
    return round(start + (shape.width - start - shape.right) * part, 1)


def _month_line(number: int, month: datetime, x: float, height: int, shape: Shape) -> Iterable[Content]:
    yield tag("line", x1=x, x2=x, y1=_TOP - 4, y2=height, class_="grid")
    if number % shape.months == 1 % shape.months:
        name = f"{month:%b %Y}" if shape.months > 1 else f"{month:{'%Y' if month.month == 1 else '%b'}}"
        yield tag("text", name, x=x + 3, y=14, class_="axis")


def _line(number: int, expiry: Expiry, now: datetime, shape: Shape) -> Markup:
    row, lane, x = expiry.row, _lane(shape), _at(expiry.on, now, shape)
    top = _TOP + lane * number
    y = top + lane / 2 + (0 if shape.left else 7)
    when = ago(expiry.on, now) if expiry.on <= now else f"in {span(expiry.on - now)}"
    name = row.label if len(row.label) <= _NAME else f"{row.label[: _NAME - 9]}…{row.label[-8:]}"
    if shape.left:
        beside = tag("text", when, x=min(x + 13, shape.width - shape.right + 14), y=y + 4, class_="quiet")
        label = joined((tag("text", name, x=0, y=y + 4), beside))
    else:
        label = tag("text", f"{name} ", tag("tspan", when, class_="quiet"), x=0, y=y - 13)
    return tag(
        "a",
        tag("title", f"{row.label} ({kind(row.connector)}), {row.health}: {expiry.on:%Y-%m-%d}, {when}"),
        tag("rect", x=0, y=top, width=shape.width, height=lane, class_="row"),
        tag("line", x1=shape.left + _edge(shape), x2=x, y1=y, y2=y, class_=f"lane {row.health}"),
        placed(str(row.health), x, y, 15),
        label,
        href=f"#{expiry.anchor}",
    )


def columns(months: Sequence[tuple[str, Counter[Health]]], shape: Shape) -> Markup:
    """A column for each month, its tokens counted by health."""
    most = max(counts.total() for _, counts in months)
    base = _ABOVE + _BARS
    line = tag("line", x1=0, x2=shape.width, y1=base + 1, y2=base + 1, class_="today")
    step = shape.width / len(months)
    drawn = (_column(name, counts, most, (step * number, step), shape) for number, (name, counts) in enumerate(months))
    return _drawn(shape, base + 26, "img", line, drawn)


def _column(name: str, counts: Counter[Health], most: int, place: tuple[float, float], shape: Shape) -> Markup:
    left, step = place
    y, bars = float(_ABOVE + _BARS), []
    for health in sorted(health for health in Health if counts[health]):
        height = max(_BARS * counts[health] / most, 3)
        y -= height
        size = {"x": round(left + step * 0.14, 1), "width": round(step * 0.72, 1), "height": round(height, 1)}
        bars.append(tag("rect", y=round(y, 1), class_=f"bar {health}", **size))
    middle = round(left + step / 2, 1)
    short = name if shape.months == 1 else name[:1] if name[-1].isdigit() else "past"
    worst = max((health for health in Health if counts[health]), default=Health.HEALTHY)
    told = ", ".join(f"{counts[health]} {health}" for health in sorted(Health, reverse=True) if counts[health])
    return tag(
        "g",
        tag("title", f"{name}: {told or 'none'}"),
        bars,
        tag("text", f"{counts.total():,}", x=middle, y=round(y - 6, 1), class_="total") if bars else None,
        placed(str(worst), middle, y - 26, 13) if worst > Health.INFO else None,
        tag("text", short, x=middle, y=_ABOVE + _BARS + 17, class_="axis middle"),
    )


def _drawn(shape: Shape, height: int, role: str, *content: Content) -> Markup:
    return tag(
        "svg",
        content,
        role=role,
        aria_label="Expiries within the next year",
        aria_describedby="expiries-words",
        viewBox=f"0 0 {shape.width} {height}",
        class_=f"timeline {shape.name}",
    )
