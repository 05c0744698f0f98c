"""What the monitor itself did: its last days hour by hour, and its newest runs."""

from collections import Counter
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from shared.storage.rows import RunRow
from shared.words import count

DAYS: Final = 7
_NEWEST: Final = 12
"""Runs in the table, beside those that did not succeed."""
_FAILED: Final = 30

_CELL: Final = 12
_ROW: Final = _CELL + 3
_LEFT: Final = 50
_TOP: Final = 16
_HOUR: Final = timedelta(hours=1)


class Hour(NamedTuple):
    """An hour's sign in the drawing."""

    x: float
    outcome: str | None
    """None if no check was recorded."""
    size: int
    title: str


class Day(NamedTuple):
    """A day's line in the drawing."""

    name: str
    y: float
    hours: list[Hour]


class Monitor(NamedTuple):
    """The section's content."""

    words: str
    days: list[Day]
    runs: Sequence[RunRow]
    adds_failures: bool
    """Whether `runs` holds failures that are older than the newest runs."""
    opened: bool
    axis: Sequence[tuple[int, str]]
    width: int = _LEFT + 24 * _CELL
    height: int = _TOP + DAYS * _ROW


def monitor(runs: Sequence[RunRow], now: datetime) -> Monitor | None:
    """Return the section's content; `runs` are those of the last `DAYS`, newest first. None without any."""
    if not runs:
        return None
    outcomes = ", ".join(f"{number:,} {name}" for name, number in Counter(run.outcome for run in runs).most_common())
    by_hour = _by_hour(runs)
    missed = _missed(by_hour, now)
    gaps = f" In {count(len(missed), 'hour')} no check was recorded." if missed else ""
    failed = [run for run in runs[_NEWEST:] if run.outcome != "succeeded"][:_FAILED]
    return Monitor(
        words=f"{count(len(runs), 'check')} in the last {count(DAYS, 'day')}: {outcomes}.{gaps}",
        days=[_day(number, by_hour, missed, now) for number in range(DAYS)],
        runs=[*runs[:_NEWEST], *failed],
        adds_failures=bool(failed),
        opened=runs[0].outcome != "succeeded",
        axis=[(_LEFT + hour * _CELL, f"{hour:02d}") for hour in range(0, 24, 6)],
    )


def _hour(instant: datetime) -> datetime:
    return instant.replace(minute=0, second=0, microsecond=0)


def _by_hour(runs: Sequence[RunRow]) -> dict[datetime, str]:
    """Return the worst outcome of each hour."""
    order = ("succeeded", "degraded", "failed")
    worst: dict[datetime, str] = {}
    for run in runs:
        if run.started_on:
            hour = _hour(run.started_on)
            outcomes = (run.outcome, worst.get(hour, "succeeded"))
            worst[hour] = max(outcomes, key=lambda one: order.index(one) if one in order else len(order))
    return worst


def _missed(checked: Collection[datetime], now: datetime) -> set[datetime]:
    """Return the hours without a check since the first that has one; the current hour is not over, and so none."""
    hour = min(checked, default=_hour(now))
    missed = set()
    while hour < _hour(now):
        if hour not in checked:
            missed.add(hour)
        hour += _HOUR
    return missed


def _day(number: int, by_hour: Mapping[datetime, str], missed: Container[datetime], now: datetime) -> Day:
    day = (now - timedelta(days=number)).replace(hour=0, minute=0, second=0, microsecond=0)
    return Day(f"{day:%a %d}", _TOP + number * _ROW + _CELL / 2, list(_hours(day, by_hour, missed)))


def _hours(day: datetime, by_hour: Mapping[datetime, str], missed: Container[datetime]) -> Iterable[Hour]:
    for hour in range(24):
        instant, x = day + hour * _HOUR, _LEFT + hour * _CELL + _CELL / 2
        if outcome := by_hour.get(instant):
            size = _CELL - 4 if outcome == "succeeded" else _CELL - 2
            yield Hour(x, outcome, size, f"{instant:%Y-%m-%d %H:00} UTC: {outcome}")
        elif instant in missed:
            yield Hour(x, None, 0, "")
