"""Prints the counts of inspections in a terminal. Text from outside is never read as markup."""

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, islice
from typing import Final, NamedTuple

from rich.console import Console
from rich.text import Text

from cli.view import print_table
from shared.model.tokens import Code, Connector, Health
from shared.storage.device_rows import InspectionRow
from shared.storage.rows import StatusRow
from shared.text import labels

_SIGNS: Final = {Health.INFO: "i", Health.WARNING: "▲"}
"""The signs beside a number that a finding is about."""

_LEGEND: Final = (
    "Waiting: without a profile for more than a day. Failing: failed or blocked. No default: platforms without a "
    "default profile. A sign marks the number of a finding above: ▲ warning, i information."
)

_NAME: Final = 18
"""The least width of a token's name; columns that do not fit beside it are left out."""


class _Column(NamedTuple):
    """A column of the table; `value` takes it from a token's inspection and status, if there is one."""

    title: str
    value: Callable[[InspectionRow, StatusRow | None], str | int | None]
    finding: Code | None = None
    """The finding that the number is about."""

    @property
    def heading(self) -> str:
        """The title above numbers that end where it ends; no narrower than the last column of any table."""
        return self.title.rjust(8)


def print_devices(console: Console, inspections: Iterable[InspectionRow], statuses: Iterable[StatusRow]) -> None:
    """Print a line for each inspection, in the order of the tokens' names.

    The numbers, and the findings that a sign marks, are those of the last complete inspection. The lines below
    show why the newest inspection of a token is not complete, or what Graph did not return.
    """
    by_token = {status.row_key: status for status in statuses if status.connector == Connector.ADE}
    rows = sorted(inspections, key=lambda row: (row.name, row.row_key))
    labelled = labels([(Connector.ADE, row.name, row.row_key) for row in rows])
    columns = _fitting(console.width)
    room = console.width - sum(_width(column) for column in columns)
    lines = [
        (_label(row.name, label, room), *_cells(row, by_token.get(row.row_key), columns))
        for row, label in zip(rows, labelled, strict=True)
    ]
    print_table(console, ("Token", *(column.heading for column in columns)), lines)
    console.print(Text(_LEGEND))
    for row in rows:
        if row.error:
            console.print(Text(f"{row.name}: {row.error}"))


def _label(name: str, label: str, room: int) -> str:
    """Return the label with its name, which it begins with, cut to the room that there is."""
    suffix = label.removeprefix(name)
    text = Text(name)
    text.truncate(room - len(suffix), overflow="ellipsis")
    return f"{text.plain}{suffix}"


def _cells(inspection: InspectionRow, status: StatusRow | None, columns: Sequence[_Column]) -> Iterable[str]:
    severities = {finding.code: finding.severity for finding in status.findings} if status else {}
    for column in columns:
        sign = _SIGNS.get(severities.get(column.finding or "", Health.HEALTHY), "")
        value = column.value(inspection, status)
        yield f"{sign} {'-' if value is None else value}".strip().rjust(len(column.heading))


def _failing(inspection: InspectionRow, _: StatusRow | None) -> int | None:
    failed, blocked = inspection.failed, inspection.blocked
    return None if failed is None or blocked is None else failed + blocked


def _without_default(inspection: InspectionRow, _: StatusRow | None) -> str | None:
    """Return the platforms that the token has devices of, and no default profile for."""
    if inspection.default_profiles is None:
        return "?"
    without = (platform for platform, profile in inspection.default_profiles.items() if profile is None)
    return " ".join(platform for platform in without if inspection.by_platform.get(platform)) or None


def _newest(inspection: InspectionRow, _: StatusRow | None) -> str | None:
    return f"{inspection.newest_device_on:%Y-%m-%d}" if inspection.newest_device_on else None


_COLUMNS: Final = (
    _Column("Devices", lambda inspection, _: inspection.devices, Code.DEVICES_MISSING),
    _Column("Waiting", lambda inspection, _: inspection.waiting, Code.DEVICES_WITHOUT_PROFILE),
    _Column("Failing", _failing, Code.ENROLLMENT_FAILING),
    _Column("No default", _without_default, Code.NO_DEFAULT_PROFILE),
    _Column("Synced", lambda _, status: status.synced_devices if status else None),
    _Column("No contact", lambda inspection, _: inspection.not_contacted),
    _Column("Newest".rjust(10), _newest),
    _Column("Deleted", lambda inspection, _: inspection.deleted),
    _Column("Imported", lambda inspection, _: inspection.imported),
)
"""In the order of what an administrator misses most."""


def _width(column: _Column) -> int:
    return 2 + len(column.heading)


def _fitting(width: int) -> Sequence[_Column]:
    """Return the first columns, as many as leave room for a name."""
    ends = accumulate(map(_width, _COLUMNS), initial=_NAME)
    return [column for column, end in zip(_COLUMNS, islice(ends, 1, None), strict=True) if end <= width]
