"""Prints the counts of inspections in a terminal. Text from outside is never read as markup."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import accumulate, islice
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.text import Text

from cli.view import print_table
from shared.model.tokens import Code, Connector
from shared.text import labels

type Row = Mapping[str, Any]

_SIGNS: Final = {"info": "i", "warning": "▲"}
"""The signs beside a number that a finding is about."""

_LEGEND: Final = (
    "Waiting: without a profile for more than a day. Failing: failed or blocked. No default: platforms without a "
    "default profile. A sign marks the number of a finding above: ▲ warning, i information."
)

_NAME: Final = 18
"""The least width of a token's name; columns that do not fit beside it are left out."""


class _Column(NamedTuple):
    """A column of the table; `of` is given the rows of `DeviceInspection` and `TokenStatus`."""

    title: str
    of: Callable[[Row, Row], str]
    finding: Code | None = None
    """The finding that the number is about."""

    @property
    def heading(self) -> str:
        """The title above numbers that end where it ends; no narrower than the last column of any table."""
        return self.title.rjust(8)


def print_devices(console: Console, inspections: Iterable[Row], statuses: Iterable[Row]) -> None:
    """Print a line for each row of `DeviceInspection`, in the order of the tokens' names.

    The numbers, and the findings that a sign marks, are those of the last complete inspection. The lines below
    show why the newest inspection of a token is not complete, or what Graph did not return.
    """
    by_token = {status["RowKey"]: status for status in statuses if status["PartitionKey"] == Connector.ADE}
    rows = sorted(inspections, key=lambda row: (row["TokenName"], row["RowKey"]))
    labelled = labels([(Connector.ADE, row["TokenName"], row["RowKey"]) for row in rows])
    columns = _fitting(console.width)
    room = console.width - sum(_width(column) for column in columns)
    lines = [
        (_label(row["TokenName"], label, room), *_cells(row, by_token.get(row["RowKey"], {}), columns))
        for row, label in zip(rows, labelled, strict=True)
    ]
    print_table(console, ("Token", *(column.heading for column in columns)), lines)
    console.print(Text(_LEGEND))
    for row in rows:
        if row.get("Error"):
            console.print(Text(f"{row['TokenName']}: {row['Error']}"))


def _label(name: str, label: str, room: int) -> str:
    """Return the label with its name, which it begins with, cut to the room that there is."""
    suffix = label.removeprefix(name)
    text = Text(name)
    text.truncate(room - len(suffix), overflow="ellipsis")
    return f"{text.plain}{suffix}"


def _cells(inspection: Row, status: Row, columns: Sequence[_Column]) -> list[str]:
    severities = {found["code"]: found["severity"] for found in json.loads(status.get("Findings", "[]"))}
    signs = (_SIGNS.get(severities.get(column.finding, ""), "") for column in columns)
    cells = (f"{sign} {column.of(inspection, status)}" for sign, column in zip(signs, columns, strict=True))
    return [cell.strip().rjust(len(column.heading)) for cell, column in zip(cells, columns, strict=True)]


def _number(name: str) -> Callable[[Row, Row], str]:
    return lambda inspection, _: str(inspection.get(name, "-"))


def _failing(inspection: Row, _: Row) -> str:
    return str(inspection["Failed"] + inspection["Blocked"]) if "Failed" in inspection else "-"


def _without_default(inspection: Row, _: Row) -> str:
    """Return the platforms that the token has devices of, and no default profile for."""
    if "DefaultProfiles" not in inspection:
        return "?"
    present = json.loads(inspection["ByPlatform"])
    names = json.loads(inspection["DefaultProfiles"])
    return " ".join(name for name, profile in names.items() if profile is None and present.get(name)) or "-"


def _newest(inspection: Row, _: Row) -> str:
    newest: datetime | None = inspection.get("NewestDeviceOn")
    return f"{newest:%Y-%m-%d}" if newest else "-"


_COLUMNS: Final = (
    _Column("Devices", _number("Devices"), Code.DEVICES_MISSING),
    _Column("Waiting", _number("Waiting"), Code.DEVICES_WITHOUT_PROFILE),
    _Column("Failing", _failing, Code.ENROLLMENT_FAILING),
    _Column("No default", _without_default, Code.NO_DEFAULT_PROFILE),
    _Column("Synced", lambda _, status: str(status.get("SyncedDevices", "-"))),
    _Column("No contact", _number("NotContacted")),
    _Column("Newest".rjust(10), _newest),
    _Column("Deleted", _number("Deleted")),
    _Column("Imported", _number("Imported")),
)
"""In the order of what an administrator misses most."""


def _width(column: _Column) -> int:
    return 2 + len(column.heading)


def _fitting(width: int) -> Sequence[_Column]:
    """Return the first columns, as many as leave room for a name."""
    ends = accumulate(map(_width, _COLUMNS), initial=_NAME)
    return [column for column, end in zip(_COLUMNS, islice(ends, 1, None), strict=True) if end <= width]
