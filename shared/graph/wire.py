"""One object of Graph, read property by property: a bad value loses itself, and not the others."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

import msgspec

from shared.graph import lenient
from shared.graph.pages import GraphError, decoded
from shared.model.tokens import Unreadable
from shared.text import LONGEST, bounded

MISSING: Final = "missing"
"""The raw value of a property that is not there."""

_YEAR_ONE: Final = 1
"""Graph's "never"."""

_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


class Item:
    """One object of Graph, read property by property, so that one bad value does not lose the others."""

    def __init__(self, raw: msgspec.Raw, asked: str) -> None:
        self._values = _values(bytes(raw), asked)
        self._asked = asked
        self.unreadable: list[Unreadable] = []

    def id(self) -> str:
        """The id, which every object has; without it nothing can be remembered of the object.

        Raises:
            GraphError: where it is no text.

        """
        value = self._plain("id")
        if not isinstance(value, str) or not value:
            reason = "an object of the answer has no id"
            raise GraphError(self._asked, reason, "Nothing was taken over; the next check asks again.")
        return value if len(value) <= LONGEST else f"{bounded(value, LONGEST - 64)}{sha256(value.encode()).hexdigest()}"

    def has(self, name: str) -> bool:
        """Whether the property is there, be it null."""
        return name in self._values

    def text(self, field: str, name: str, *, required: bool = False) -> str | None:
        """A text; null, missing or blank where it is not required, is None."""
        value = self._plain(name)
        if isinstance(value, str) and (value.strip() or not required):
            return bounded(value) if value.strip() else None
        if value is not None or required:
            self.cannot_read(field, name)
        return None

    def number(self, field: str, name: str) -> int | None:
        """A 32-bit integer, which is required."""
        value = self._plain(name)
        if isinstance(value, int) and not isinstance(value, bool) and -(2**31) <= value < 2**31:
            return value
        self.cannot_read(field, name)
        return None

    def instant(self, field: str, name: str, *, required: bool = False) -> datetime | None:
        """An instant in UTC; null and year 1 are None, and unreadable where one is required. Missing is, too."""
        value = self._plain(name)
        if isinstance(value, str) and _INSTANT.fullmatch(value):
            instant = _utc(value)
            if instant is not None and instant.year != _YEAR_ONE:
                return instant
            if instant is not None and not required:
                return None
        elif value is None and self.has(name) and not required:
            return None
        self.cannot_read(field, name)
        return None

    def cannot_read(self, field: str, name: str) -> None:
        """Notes that a value which the judgement needs cannot be read, with what stood there."""
        raw = self._values.get(name)
        text = MISSING if raw is None else bounded(bytes(raw).decode("utf-8", "replace"))
        self.unreadable.append(Unreadable(field=field, property=name, raw=text))

    def _plain(self, name: str) -> object:
        raw = self._values.get(name)
        if raw is None:
            return None
        try:
            value: object = msgspec.json.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return raw
        return value


def _values(raw: bytes, asked: str) -> Mapping[str, msgspec.Raw]:
    """Return the properties, still encoded; one whose name cannot be read is passed over."""
    try:
        return decoded(raw, dict[str, msgspec.Raw], asked)
    except GraphError:
        try:
            return {name: value for name, value in lenient.members(raw) if name is not None}
        except ValueError:
            pass
        raise


def _utc(text: str) -> datetime | None:
    """None where the text names no instant. An offset can push the first and the last year over the calendar's edge."""
    try:
        instant = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        return instant.replace(tzinfo=UTC)
