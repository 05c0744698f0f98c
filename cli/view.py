"""How tokens, runs and alerts look in a terminal. Text from outside is never read as markup."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from shared.guidance import Guidance
from shared.tokens import Connector, Finding, Health, Token

type Row = Mapping[str, Any]

_LOOK: Final[Mapping[str, tuple[str, str]]] = {
    "critical": ("✖", "bold red"),
    "unknown": ("?", "magenta"),
    "warning": ("▲", "yellow"),
    "info": ("i", "cyan"),
    "healthy": ("●", "green"),
}
"""A sign beside the colour, since colour is not for everybody."""

_WIDE: Final = 76

_KINDS: Final[Mapping[str, str]] = {"ade": "ADE", "apns": "APNs", "vpp": "VPP"}


class Wrong(NamedTuple):
    """One thing that is wrong with a token, for people."""

    severity: str
    summary: str
    action: str | None
    """None where another finding explains it: mending that one mends both."""


class _StoredFinding(msgspec.Struct):
    code: str
    severity: str
    since: datetime
    tier: str | None = None
    caused_by: str | None = None
    summary: str = ""


def wrong(row: Row, guidance: Guidance) -> list[Wrong]:
    """What is wrong with the token of a `TokenStatus` row, worst first."""
    connector = Connector(row["PartitionKey"])
    token = Token(
        connector=connector,
        id=row["RowKey"],
        name=row["TokenName"],
        type=row.get("TokenType"),
        sync_error_code=row.get("LastSyncErrorCode"),
    )
    found = msgspec.json.decode(row["Findings"], type=list[_StoredFinding])
    return [
        Wrong(stored.severity, stored.summary, None if stored.caused_by else guidance.action(token, _finding(stored)))
        for stored in found
    ]


def _finding(stored: _StoredFinding) -> Finding:
    severity = Health[stored.severity.upper()]
    return Finding(code=stored.code, severity=severity, tier=stored.tier, since=stored.since)


def print_tokens(console: Console, rows: Sequence[Row], guidance: Guidance, now: datetime) -> None:
    """A line per token, worst first, and under it what is wrong and what to do."""
    by_health = list(_LOOK)
    ordered = sorted(rows, key=lambda row: (by_health.index(row["Health"]), row.get("DaysLeft", 0), row["TokenName"]))
    # In a narrow terminal the last sync gives way to the name; what is wrong with a sync is told below it.
    columns = 5 if console.width >= _WIDE else 4
    names = console.width - (58 if columns == 5 else 44)
    widths = (10, max(12, min(names, max((cell_len(row["TokenName"]) for row in rows), default=12))), 4, 22, 12)[
        :columns
    ]
    console.print(_line(("Health", "Token", "Kind", "Expires", "Last sync")[:columns], widths, "bold"))
    for row in ordered:
        sign, style = _LOOK[row["Health"]]
        cells = (
            f"{sign} {row['Health']}",
            row["TokenName"],
            _KINDS[row["PartitionKey"]],
            _expiry(row),
            _ago(row.get("LastSuccessfulSync"), now),
        )[:columns]
        console.print(_line(cells, widths, style))
        for one in wrong(row, guidance):
            console.print(Padding(Text(one.summary), (0, 0, 0, 2), expand=False))
            if one.action:
                console.print(Padding(Text(f"→ {one.action}", style="bold"), (0, 0, 0, 4), expand=False))


def print_run(console: Console, row: Row) -> None:
    """The run's row of `CheckRun`."""
    style = {"succeeded": "green", "degraded": "yellow"}.get(row["Outcome"], "bold red")
    console.print(
        Text.assemble(
            (row["Outcome"], style),
            f", started {row['StartedOn']:%Y-%m-%d %H:%M:%S} UTC, took {row['DurationMs']} ms, run {row['RunId']}",
        )
    )
    counts = ", ".join(f"{row[name]} {name.lower()}" for name in ("Critical", "Unknown", "Warning", "Info", "Healthy"))
    console.print(Text(f"{row['Tokens']} tokens: {counts}"))
    for connector, result in json.loads(row["Connectors"]).items():
        told = f"{result['tokens']} read" if "tokens" in result else f"not read: {result['error']}"
        console.print(Text(f"{_KINDS[connector]}: {told}"))
    for name in ("StoreError", "PublishError"):
        if row.get(name):
            console.print(Text(row[name], style="red"))


def print_table(console: Console, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns as wide as they need to be, or as fits; the last one takes what is left of the line."""
    cells = [tuple(header), *map(tuple, rows)]
    *widths, _ = _fitting([max(map(cell_len, column)) for column in zip(*cells, strict=True)], console.width)
    used = sum(widths) + 2 * len(widths)
    for number, row in enumerate(cells):
        last = max(_NARROW, console.width - used)
        console.print(_line(row, (*widths, last), "bold" if number == 0 else ""))


def _line(cells: Sequence[str], widths: Sequence[int], style: str) -> Text:
    fitted = (_fitted(cell, width) for cell, width in zip(cells, widths, strict=True))
    first, *others = fitted
    return Text.assemble((first, style), "  ", ("  ".join(others).rstrip(), style if style == "bold" else ""))


_NARROW: Final = 8
"""Columns to which those of a table shrink where it does not fit."""


def _fitting(widths: Sequence[int], room: int) -> list[int]:
    """Widths of columns that fit beside each other, if any do: the widest give way."""
    fitting = list(widths)
    while sum(fitting) + 2 * (len(fitting) - 1) > room and max(fitting) > _NARROW:
        fitting[fitting.index(max(fitting))] -= 1
    return fitting


def _fitted(text: str, width: int) -> str:
    return set_cell_size(text, width) if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


def _expiry(row: Row) -> str:
    if "ExpiresOn" not in row:
        return "unknown"
    days = row["DaysLeft"]
    left = f"{days} day{'' if days == 1 else 's'}" if row["ExpiresOn"] > row["CheckedOn"] else "expired"
    return f"{row['ExpiresOn']:%Y-%m-%d} ({left})"


def _ago(instant: datetime | None, now: datetime) -> str:
    if instant is None:
        return "-"
    age = now - instant
    for unit, size in (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("min", timedelta(minutes=1))):
        if count := age // size:
            return f"{count} {unit}{'' if count == 1 or unit == 'min' else 's'} ago"
    return "just now"
