"""Prints tokens, changes and runs in a terminal. Text from outside is never read as markup."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from cli.judgement import Filters, Judged, action, summary
from shared.guidance.guidance import Guidance
from shared.model.tokens import Health
from shared.storage.rows import ChangeRow, RunRow, StatusRow
from shared.words import ago, count, duration, kind, moment

SIGNS: Final[Mapping[Health, str]] = {
    Health.CRITICAL: "✖",
    Health.UNKNOWN: "?",
    Health.WARNING: "▲",
    Health.INFO: "i",
    Health.HEALTHY: "●",
}
"""A sign beside the color, because not everybody sees colors."""

STYLES: Final[Mapping[Health, str]] = {
    Health.CRITICAL: "bold red",
    Health.UNKNOWN: "magenta",
    Health.WARNING: "yellow",
    Health.INFO: "cyan",
    Health.HEALTHY: "green",
}

_OUTCOMES: Final = {"succeeded": ("●", "green"), "degraded": ("▲", "yellow")}

_WIDE: Final = 76
_INDENTED: Final = 96
"""Columns from which on a sentence is beside its head, and not below it."""


class Wrong(NamedTuple):
    """One problem of a token, for people."""

    severity: Health
    summary: str
    action: str | None
    """None if another finding explains it: resolving that one resolves both."""


def wrong(row: StatusRow, guidance: Guidance) -> list[Wrong]:
    """Return the problems of a token, worst first."""
    found = [
        Wrong(finding.severity, finding.summary, action(row, finding, guidance))
        for finding in row.findings
        if not finding.superseded
    ]
    return [*(Wrong(Health.UNKNOWN, doubt(problem), None) for problem in row.problems), *found]


def doubt(problem: str) -> str:
    """Return why a token's row does not hold, in a sentence."""
    return f"What the table says of this token cannot be believed: {problem}."


def print_judged(console: Console, judged: Judged, filters: Filters, guidance: Guidance, now: datetime) -> None:
    """Print the tokens, how many of them have which health, and why they may not hold."""
    if judged.rows:
        print_statuses(console, judged.rows, guidance, now)
        console.print()
    for line in (*summary(judged, filters, now), *judged.messages):
        console.print(sentence(line, warning=line in judged.messages), soft_wrap=False)


def print_statuses(console: Console, rows: Sequence[StatusRow], guidance: Guidance, now: datetime) -> None:
    """Print a line for each token, and below it what is wrong and what to do."""
    # A narrow terminal leaves out the last sync; a finding below the name names a problem with it.
    columns = 5 if console.width >= _WIDE else 4
    names = console.width - (58 if columns == 5 else 44)
    longest = max((cell_len(row.label) for row in rows), default=12)
    widths = (10, max(12, min(names, longest)), 4, 22, 12)[:columns]
    lines = [_line(("Health", "Token", "Kind", "Expires", "Last sync")[:columns], widths, "bold")]
    for row in rows:
        synced = _ago(row.last_successful_sync, now)
        cells = (
            f"{SIGNS[row.health]} {row.health}",
            _named(row, widths[1]),
            kind(row.connector),
            _expiry(row),
            synced,
        )[:columns]
        lines.append(_line(cells, widths, STYLES[row.health]))
        for one in wrong(row, guidance):
            lines += _wrapped(Text(one.summary), console, "  ")
            if one.action:
                lines += _wrapped(Text(one.action, style="bold"), console, "    → ")
    console.print(Text("\n").join(lines), soft_wrap=True)


def _wrapped(text: Text, console: Console, first: str) -> Iterator[Text]:
    """Return the text's lines, with `first` before the first of them, and blanks before the others."""
    for number, line in enumerate(text.wrap(console, console.width - len(first))):
        line.rstrip()
        yield Text.assemble((" " * len(first) if number else first, text.style), line)


def print_hanging(console: Console, first: str, text: Text) -> None:
    """Print a text with `first` before its first line, and blanks before the others."""
    for line in _wrapped(text, console, first):
        console.print(line, soft_wrap=True)


def print_changes(console: Console, rows: Sequence[ChangeRow]) -> None:
    """Print a line for each change, newest first."""
    for row in rows:
        head = Text.assemble(
            f"{moment(row.changed_on) if row.changed_on else 'at a time not known'}  ",
            (f"{SIGNS[row.health]} {row.health}".ljust(10), STYLES[row.health]),
        )
        sentence = Text(row.sentence or "The row does not say what changed.")
        print_beside(console, head, sentence, below=True)


def print_runs(console: Console, rows: Sequence[RunRow]) -> None:
    """Print a line for each run, newest first, and below it what failed."""
    for row in rows:
        sign, style = _OUTCOMES.get(row.outcome, ("✖", "bold red"))
        started = moment(row.started_on) if row.started_on else "at a time not known"
        head = Text.assemble(f"{started}  ", (f"{sign} {row.outcome}".ljust(11), style))
        took = "-" if row.duration_ms is None else duration(row.duration_ms)
        late = "late, " if row.past_due else ""
        print_beside(console, head, Text(f"{took:>7}  {late}{connectors(row)}"), below=False)
        for error in row.errors:
            _print_lines(console, _wrapped(Text(error), console, "    "))


def connectors(row: RunRow) -> str:
    """Return what a run read, such as `ADE 3, APNs 1, VPP not read`."""
    return ", ".join(
        f"{kind(name)} {'not read' if one.tokens is None else one.tokens}" for name, one in row.connectors.items()
    )


def print_run(console: Console, run: RunRow) -> None:
    """Print a run in full."""
    _, style = _OUTCOMES.get(run.outcome, ("", "bold red"))
    started = f"{run.started_on:%Y-%m-%d %H:%M:%S} UTC" if run.started_on else "at a time not known"
    console.print(
        Text.assemble((run.outcome, style), f", started {started}, took {run.duration_ms} ms, run {run.run_id}")
    )
    counts = (f"{run.counts.get(health, 0)} {health}" for health in sorted(Health, reverse=True))
    console.print(Text(f"{count(run.tokens or 0, 'token')}: {', '.join(counts)}"))
    for name, result in run.connectors.items():
        text = f"not read: {result.error}" if result.error else f"{result.tokens} read"
        console.print(Text(f"{kind(name)}: {text}"))
    for error in (run.store_error, run.publish_error):
        if error:
            console.print(Text(error, style="red"))


def sentence(text: str, *, warning: bool = False) -> Text:
    """Return a sentence, with a sign before it if it is a warning."""
    return Text.assemble(("▲ ", "yellow"), text) if warning else Text(text)


def print_table(console: Console, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns as wide as they need to be, or as fits; the last one takes the rest of the line."""
    cells = [tuple(header), *map(tuple, rows)]
    *widths, _ = _fitting([max(map(cell_len, column)) for column in zip(*cells, strict=True)], console.width)
    used = sum(widths) + 2 * len(widths)
    for number, row in enumerate(cells):
        last = max(_NARROW, console.width - used)
        console.print(_line(row, (*widths, last), "bold" if number == 0 else ""))


def print_beside(console: Console, head: Text, body: Text, *, below: bool) -> None:
    """Print a text beside its head; with `below`, indented under it where the terminal is narrow."""
    if below and console.width < _INDENTED:
        _print_lines(console, [head, *_wrapped(body, console, "    ")])
        return
    indent = head.cell_len + 2
    first, *others = _wrapped(body, console, " " * indent)
    _print_lines(console, [Text.assemble(head, "  ", first[indent:]), *others])


def _print_lines(console: Console, lines: Iterable[Text]) -> None:
    """Print lines without wrapping them."""
    for line in lines:
        line.rstrip()
        console.print(line, soft_wrap=True)


def _line(cells: Sequence[str], widths: Sequence[int], style: str) -> Text:
    fitted = (_fitted(cell, width) for cell, width in zip(cells, widths, strict=True))
    first, *others = fitted
    return Text.assemble((first, style), "  ", ("  ".join(others).rstrip(), style if style == "bold" else ""))


_NARROW: Final = 8
"""The least width of a column in a table that does not fit."""


def _fitting(widths: Sequence[int], room: int) -> list[int]:
    """Return widths of columns that fit beside each other, if any do: the widest shrink."""
    fitting = list(widths)
    while sum(fitting) + 2 * (len(fitting) - 1) > room and max(fitting) > _NARROW:
        fitting[fitting.index(max(fitting))] -= 1
    return fitting


def _fitted(text: str, width: int) -> str:
    return set_cell_size(text, width) if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


def _named(row: StatusRow, width: int) -> str:
    """Return the label, cut so that the part that distinguishes two tokens of one name is kept."""
    mark = row.label.removeprefix(row.name)
    return row.label if cell_len(row.label) <= width else _fitted(row.name, width - cell_len(mark)).rstrip() + mark


def _expiry(row: StatusRow) -> str:
    if row.expires_on is None:
        return "not known"
    left = "expired" if row.expired else "?" if row.days_left is None else count(row.days_left, "day")
    return f"{row.expires_on:%Y-%m-%d} ({left})"


def _ago(instant: datetime | None, now: datetime) -> str:
    if instant is None:
        return "-"
    minutes = (now - instant) // timedelta(minutes=1)
    return "just now" if minutes < 1 else f"{minutes} min ago" if minutes < 60 else ago(instant, now)
