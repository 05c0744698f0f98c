"""Prints the counts of inspections in a terminal. Text from outside is never read as markup."""

from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Final, NamedTuple

from rich.console import Console
from rich.text import Text

from cli.view import print_table
from shared.model.tokens import Code, Connector, Health
from shared.storage.device_rows import InspectionRow
from shared.storage.rows import StatusRow
from shared.text import labels

_SIGNS: Final = {Health.INFO: "i ", Health.WARNING: "▲ "}
"""The signs before a number that a finding is about."""

_LEGEND: Final = (
    "Waiting: without a profile for more than a day. Failing: failed or blocked. No default: platforms without a "
    "default profile. A sign marks the number of a finding above: ▲ warning, i information."
)

_NAME: Final = 18
"""The least width of a token's name; columns that do not fit beside it are left out."""


class _Column(NamedTuple):
    """A column of the table."""

    title: str
    value: Callable[[InspectionRow, StatusRow | None], object]
    """Returns what the cell shows; None if it is not known."""
    finding: Code | None = None
    """The finding that the number is about."""

    @property
    def heading(self) -> str:
        """The title above numbers that end where it ends; no narrower than the last column of any table."""
        return self.title.rjust(8)

    def cell(self, inspection: InspectionRow, status: StatusRow | None) -> str:
        """Return the value, with the sign of a finding of the token."""
        value, found = self.value(inspection, status), status.findings if status else ()
        sign = next((_SIGNS.get(one.severity, "") for one in found if one.code == self.finding), "")
        return f"{sign}{'-' if value is None else value}".rjust(len(self.heading))


def _failing(inspection: InspectionRow, _: object) -> int | None:
    if inspection.failed is None or inspection.blocked is None:
        return None
    return inspection.failed + inspection.blocked


def _without_default(inspection: InspectionRow, _: object) -> str | None:
    """Return the platforms that the token has devices of, and no default profile for."""
    if inspection.default_profiles is None:
        return "?"
    profiles, present = inspection.default_profiles.items(), inspection.by_platform
    return " ".join(name for name, profile in profiles if profile is None and present.get(name)) or None


def _newest(inspection: InspectionRow, _: object) -> str | None:
    return f"{inspection.newest_device_on:%Y-%m-%d}" if inspection.newest_device_on else None


_COLUMNS: Final = (
    _Column("Devices", lambda one, _: one.devices, Code.DEVICES_MISSING),
    _Column("Waiting", lambda one, _: one.waiting, Code.DEVICES_WITHOUT_PROFILE),
    _Column("Failing", _failing, Code.ENROLLMENT_FAILING),
    _Column("No default", _without_default, Code.NO_DEFAULT_PROFILE),
    _Column("Synced", lambda _, status: status and status.synced_devices),
    _Column("No contact", lambda one, _: one.not_contacted),
    _Column("Newest".rjust(10), _newest),
    _Column("Deleted", lambda one, _: one.deleted),
    _Column("Imported", lambda one, _: one.imported),
)
"""In the order of what an administrator misses most."""


def print_devices(console: Console, inspections: Iterable[InspectionRow], statuses: Iterable[StatusRow]) -> None:
    """Print a line for each inspection, in the order of the tokens' names.

    The numbers, and the findings that a sign marks, are those of the last complete inspection. The lines below
    show why the newest inspection of a token is not complete, or what Graph did not return.
    """
    by_token = {status.row_key: status for status in statuses if status.connector == Connector.ADE}
    rows = sorted(inspections, key=lambda row: (row.name, row.row_key))
    labelled = labels([(Connector.ADE, row.name, row.row_key) for row in rows])
    ends = accumulate((2 + len(column.heading) for column in _COLUMNS), initial=0)
    used = [end for end in ends if _NAME + end <= console.width]
    columns, room = _COLUMNS[: len(used) - 1], console.width - used[-1]
    lines = [
        (_label(row.name, label, room), *(column.cell(row, by_token.get(row.row_key)) for column in columns))
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
