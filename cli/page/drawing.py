"""Where the expiries go in a drawing: a line for each token, or a column for each month if there are many."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from shared.model.tokens import Health
from shared.storage.rows import StatusRow
from shared.words import ago, kind, span

YEAR: Final = timedelta(days=365)

_TOP: Final = 26
"""Height of the names of the months, above the lines."""
_BARS: Final = 150
_ABOVE: Final = 36
"""Height of the number and the sign above the highest column."""
_NAME: Final = 28
"""Characters of a name beside its line."""


class Expiry(NamedTuple):
    """A token that expires."""

    on: datetime
    row: StatusRow
    anchor: str
    """The token's entry on the page."""


class Shape(NamedTuple):
    """The width and layout of a drawing; the page shows the one that fits."""

    name: str
    width: int
    left: int
    """Where the time axis begins; names are before it, or above their lines if it is 0."""
    right: int
    """What is left free after the time axis."""
    months: int
    """Every how many months one is named."""

    @property
    def lane(self) -> int:
        """The height of a token's line."""
        return 26 if self.left else 40

    @property
    def start(self) -> int:
        """The left end of the lines: half a sign from the edge, if names are above them."""
        return self.left or 8


SHAPES: Final = (Shape("wide", 960, 236, 120, 1), Shape("narrow", 343, 0, 12, 3))


class Month(NamedTuple):
    """A month on the time axis."""

    x: float
    name: str | None


class Lane(NamedTuple):
    """A token's line."""

    anchor: str
    title: str
    health: Health
    name: str
    when: str
    top: int
    x: float
    y: float
    beside: float
    """Where `when` begins, in a drawing with names before the lines."""


class Bar(NamedTuple):
    """The tokens of one health in a column."""

    health: Health
    y: float
    height: float


class Column(NamedTuple):
    """A month's tokens."""

    title: str
    name: str
    left: float
    width: float
    middle: float
    top: float
    base: int
    bars: list[Bar]
    total: int
    sign: Health | None


class Drawing(NamedTuple):
    """What the template draws."""

    shape: Shape
    role: str
    height: int
    months: Sequence[Month] = ()
    lanes: Sequence[Lane] = ()
    columns: Sequence[Column] = ()
    top: int = _TOP - 4


def lanes(expiries: Sequence[Expiry], months: Iterable[datetime], now: datetime, shape: Shape) -> Drawing:
    """Return a drawing with a line for each token, from now to its expiry."""
    height = _TOP + shape.lane * len(expiries) + 8
    grid = [
        Month(_x(month, now, shape), _month_name(number, month, shape))
        for number, month in enumerate(months)
        if month > now
    ]
    drawn = [_lane(number, one, now, shape) for number, one in enumerate(expiries)]
    return Drawing(shape, "group", height, months=grid, lanes=drawn)


def _x(instant: datetime, now: datetime, shape: Shape) -> float:
    part = min(max((instant - now) / YEAR, 0), 1)
    return round(shape.start + (shape.width - shape.start - shape.right) * part, 1)


def _month_name(number: int, month: datetime, shape: Shape) -> str | None:
    if number % shape.months != 1 % shape.months:
        return None
    return f"{month:%b %Y}" if shape.months > 1 else f"{month:{'%Y' if month.month == 1 else '%b'}}"


def _lane(number: int, expiry: Expiry, now: datetime, shape: Shape) -> Lane:
    row, x, top = expiry.row, _x(expiry.on, now, shape), _TOP + shape.lane * number
    when = ago(expiry.on, now) if expiry.on <= now else f"in {span(expiry.on - now)}"
    return Lane(
        anchor=expiry.anchor,
        title=f"{row.label} ({kind(row.connector)}), {row.health}: {expiry.on:%Y-%m-%d}, {when}",
        health=row.health,
        name=row.label if len(row.label) <= _NAME else f"{row.label[: _NAME - 9]}…{row.label[-8:]}",
        when=when,
        top=top,
        x=x,
        y=top + shape.lane / 2 + (0 if shape.left else 7),
        beside=min(x + 13, shape.width - shape.right + 14),
    )


def columns(months: Sequence[tuple[str, Counter[Health]]], shape: Shape) -> Drawing:
    """Return a drawing with a column for each month, its tokens counted by health."""
    most = max(counts.total() for _, counts in months)
    base, step = _ABOVE + _BARS, shape.width / len(months)
    drawn = [_column(name, counts, most, step * number, step, shape) for number, (name, counts) in enumerate(months)]
    return Drawing(shape, "img", base + 26, columns=drawn)


def _column(name: str, counts: Counter[Health], most: int, left: float, step: float, shape: Shape) -> Column:
    y, bars = float(_ABOVE + _BARS), list[Bar]()
    for health in sorted(health for health in Health if counts[health]):
        height = max(_BARS * counts[health] / most, 3)
        y -= height
        bars.append(Bar(health, round(y, 1), round(height, 1)))
    worst = max((health for health in Health if counts[health]), default=Health.HEALTHY)
    numbers = ", ".join(f"{counts[health]} {health}" for health in sorted(Health, reverse=True) if counts[health])
    return Column(
        title=f"{name}: {numbers or 'none'}",
        name=name if shape.months == 1 else name[:1] if name[-1].isdigit() else "past",
        left=round(left + step * 0.14, 1),
        width=round(step * 0.72, 1),
        middle=round(left + step / 2, 1),
        top=y,
        base=_ABOVE + _BARS,
        bars=bars,
        total=counts.total(),
        sign=worst if worst > Health.INFO else None,
    )
