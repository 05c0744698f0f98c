"""What the monitor itself did, on the page: its last days hour by hour, and what went wrong."""

from collections import Counter
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from cli.page.html import Content, Markup, joined, table, tag
from cli.page.signs import of_outcome, outcome, placed
from cli.rows import RunRow
from cli.view import connectors
from shared.words import count, duration, moment_if_known

DAYS: Final = 7
_NEWEST: Final = 12
"""Runs of the table, beside those that did not succeed."""
_WRONG: Final = 30

_CELL: Final = 12
_LEFT: Final = 50
_HOUR: Final = timedelta(hours=1)


def monitor(runs: Sequence[RunRow], now: datetime) -> Markup:
    """The section's content; `runs` are those of the last `DAYS`, newest first."""
    if not runs:
        return tag("p", f"There is no record of a check in the last {count(DAYS, 'day')}.")
    outcomes = Counter(run.outcome for run in runs)
    told = ", ".join(f"{number:,} {name}" for name, number in outcomes.most_common())
    known = _by_hour(runs)
    missed = _missed(known, now)
    gaps = f" In {count(len(missed), 'hour')} no check was recorded." if missed else ""
    wrong = [run for run in runs[_NEWEST:] if run.outcome != "succeeded"][:_WRONG]
    rows = (
        (
            moment_if_known(run.started_on),
            outcome(run.outcome),
            "-" if run.duration_ms is None else duration(run.duration_ms),
            joined((connectors(run), (tag("p", error, class_="error") for error in run.errors))),
        )
        for run in (*runs[:_NEWEST], *wrong)
    )
    beside = " and those that did not succeed" if wrong else ""
    return joined(
        (
            tag("p", f"{count(len(runs), 'check')} in the last {count(DAYS, 'day')}: {told}.{gaps}", id="checks-words"),
            _hours(known, missed, now),
            tag(
                "details",
                tag("summary", f"The newest checks{beside}"),
                table("Checks, newest first", ("Started", "Outcome", "Took", "Read"), rows, told=True),
                class_="more",
                open=runs[0].outcome != "succeeded",
            ),
        )
    )


def _hour(instant: datetime) -> datetime:
    return instant.replace(minute=0, second=0, microsecond=0)


def _by_hour(runs: Sequence[RunRow]) -> dict[datetime, str]:
    """The worst outcome of each hour."""
    order = ("succeeded", "degraded", "failed")
    found: dict[datetime, str] = {}
    for run in runs:
        if run.started_on:
            hour = _hour(run.started_on)
            worse = (run.outcome, found.get(hour, "succeeded"))
            found[hour] = max(worse, key=lambda one: order.index(one) if one in order else len(order))
    return found


def _missed(known: Collection[datetime], now: datetime) -> set[datetime]:
    """Whole hours without a check since the first that is known; the hour that is not over yet is none."""
    hour = min(known, default=_hour(now))
    missed = set()
    while hour < _hour(now):
        if hour not in known:
            missed.add(hour)
        hour += _HOUR
    return missed


def _hours(known: Mapping[datetime, str], missed: Container[datetime], now: datetime) -> Markup:
    """A line for each day, a cell for each hour."""
    days = [(now - timedelta(days=age)).replace(hour=0, minute=0, second=0, microsecond=0) for age in range(DAYS)]
    top = 16

    def cells(number: int, day: datetime) -> Iterable[Content]:
        y = top + number * (_CELL + 3) + _CELL / 2
        yield tag("text", f"{day:%a %d}", x=0, y=y + 4, class_="axis")
        for hour in range(24):
            instant, x = day + hour * _HOUR, _LEFT + hour * _CELL + _CELL / 2
            told = known.get(instant)
            if told:
                words = f"{instant:%Y-%m-%d %H:00} UTC: {told}"
                yield placed(of_outcome(told), x, y, _CELL - 2 if told != "succeeded" else _CELL - 4, words)
            elif instant in missed:
                yield tag("rect", x=x - 4, y=y - 4, width=8, height=8, class_="missed")

    axis = (tag("text", f"{hour:02d}", x=_LEFT + hour * _CELL, y=10, class_="axis") for hour in range(0, 24, 6))
    return tag(
        "svg",
        axis,
        (cells(number, day) for number, day in enumerate(days)),
        role="img",
        aria_label=f"The last {count(DAYS, 'day')} hour by hour, in UTC; an empty square is an hour without a check",
        aria_describedby="checks-words",
        viewBox=f"0 0 {_LEFT + 24 * _CELL} {top + DAYS * (_CELL + 3)}",
        class_="hours",
    )
