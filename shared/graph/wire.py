"""Decodes an object of Graph property by property, so that a bad value loses only itself."""

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
"""The raw value of an absent property."""

_YEAR_ONE: Final = 1
"""The year by which Graph means "never"."""

_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


class Item:
    """An object of Graph. `unreadable` collects the values that cannot be read."""

    def __init__(self, raw: msgspec.Raw, asked: str) -> None:
        self._values = _values(bytes(raw), asked)
        self._asked = asked
        self.unreadable: list[Unreadable] = []

    def id(self) -> str:
        """Return the ID; raise GraphError without one, because such an object cannot be remembered."""
        value = self._plain("id")
        if not isinstance(value, str) or not value:
            reason = "an object of the answer has no id"
            raise GraphError(self._asked, reason, "Nothing was taken over; the next check asks again.")
        return value if len(value) <= LONGEST else f"{bounded(value, LONGEST - 64)}{sha256(value.encode()).hexdigest()}"

    def has(self, name: str) -> bool:
        """Return whether the property is present, even if it is null."""
        return name in self._values

    def text(self, field: str, name: str, *, required: bool = False) -> str | None:
        """Return a text; None if it is null, absent, or blank, which is unreadable if it is required."""
        value = self._plain(name)
        if isinstance(value, str) and (value.strip() or not required):
            return bounded(value) if value.strip() else None
        if value is not None or required:
            self.cannot_read(field, name)
        return None

    def number(self, field: str, name: str) -> int | None:
        """Return a 32-bit integer, which is required."""
        value = self._plain(name)
        if isinstance(value, int) and not isinstance(value, bool) and -(2**31) <= value < 2**31:
            return value
        self.cannot_read(field, name)
        return None

    def instant(self, field: str, name: str, *, required: bool = False) -> datetime | None:
        """Return an instant in UTC; None for null and the year 1, which are unreadable if it is required."""
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
        """Record that a value is unreadable, with its text."""
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
    """Return the encoded properties, without those whose names cannot be read."""
    try:
        return decoded(raw, dict[str, msgspec.Raw], asked)
    except GraphError:
        try:
            return {name: value for name, value in lenient.members(raw) if name is not None}
        except ValueError:
            pass
        raise


def _utc(text: str) -> datetime | None:
    """Return the instant; None if there is none. An offset can move the first and the last year out of the calendar."""
    try:
        instant = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        return instant.replace(tzinfo=UTC)
