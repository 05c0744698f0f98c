"""Defines what a column is, and makes keys and JSON for rows, which are dictionaries without absent values.

The columns of a table in Table Storage are the fields of a class. The app writes rows by their declarations, and
`shared.storage.reading` makes instances of the class from rows.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from dataclasses import field as declared_field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import NoneType, UnionType
from typing import Any, ClassVar, Final, Literal, NamedTuple, NewType, get_args
from urllib.parse import unquote

import msgspec

from shared.text import bounded, unnamed

type ColumnType = Literal["string", "datetime", "int", "long", "boolean"]
type Value = str | int | bool | datetime
type Row = dict[str, Value]

RawText = NewType("RawText", str)
"""A key, which is read as it is; any other text is bounded and has no control characters."""

_NEVER_IN_TABLES: Final = datetime(1601, 1, 1, tzinfo=UTC)
"""The first instant of Edm.DateTime. https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model"""

LONGEST_TEXT: Final = 32_768
"""The number of characters in a string property: 64 KiB of UTF-16; see the page above."""
_MAXIMUM_TEXT: Final = 32_000
"""The number of characters that the app writes."""

_LAST_MILLISECOND: Final = 253_402_300_799_999
"""Epoch milliseconds of the end of the year 9999, from which subtraction sorts the newest row first."""

_UNSAFE_IN_KEYS: Final = re.compile(r"[/\\#?%\x00-\x1f\x7f-\x9f]")

_KEY_LENGTH: Final = 400
"""A key has up to 1 KiB of UTF-16, which is enough for two of this length."""


class Column[Source](NamedTuple):
    """A column: `value` takes it from the source of its row; None leaves the column out."""

    name: str
    type: ColumnType
    about: str
    value: Callable[[Source], Value | None]


class Table[Source](NamedTuple):
    """A table's name and columns."""

    name: str
    columns: tuple[Column[Source], ...]

    def row(self, source: Source) -> Row:
        """Return the row of `source`, without what is absent."""
        return {name: found for name, _, _, value in self.columns if (found := value(source)) is not None}


@dataclass(frozen=True, kw_only=True)
class Stored[Source]:
    """A row of Table Storage as it is read; its fields are the columns of its table, made from a `Source`."""

    table_name: ClassVar[str]

    problems: tuple[str, ...] = ()
    """The columns that cannot be read, and why."""


class Declare[Source]:
    """Declares fields of a `Stored[Source]` as columns."""

    def __call__(
        self,
        name: str,
        about: str,
        value: Callable[[Source], Value | None],
        *,
        missing: object = None,
        required: bool = False,
        internal: bool = False,
    ) -> Any:  # noqa: ANN401 # the field has the type that its class gives it
        """Return the field for the column `name`.

        A row without a value that can be read has `missing` in the field, or what `missing` returns for the row. It
        has a problem if the column is `required`. An `internal` column is not read.
        """
        metadata = {"name": name, "about": about, "value": value, "missing": missing, "required": required}
        return declared_field(init=not internal, default_factory=lambda: missing, metadata=metadata)


_TYPES: Final[dict[Any, ColumnType]] = {datetime: "datetime", int: "int", bool: "boolean"}


def table[Source](row: type[Stored[Source]]) -> Table[Source]:
    """Return the table whose columns `row` declares."""
    declared = ((field.metadata, _TYPES.get(value_type(field.type), "string")) for field in fields(row))
    columns = (Column(one["name"], kind, one["about"], one["value"]) for one, kind in declared if one)
    return Table(row.table_name, tuple(columns))


def value_type(annotation: Any) -> Any:  # noqa: ANN401 # a type, or a generic alias of one
    """Return the type of a field's value where there is one."""
    parts = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    return next(part for part in parts if part is not NoneType)


def key(text: str) -> str:
    r"""Return `text` as a table key: bounded, `/ \ # ? %` and control characters percent-encoded; a GUID stays.

    Forbidden characters and the limit of 1 KiB:
    https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model
    """
    encoded = _UNSAFE_IN_KEYS.sub(_percent_encoded, text)
    if len(encoded.encode("utf-16-le")) <= 2 * _KEY_LENGTH:
        return encoded
    return f"{encoded[: _KEY_LENGTH // 4]}~{sha256(text.encode()).hexdigest()}"


def _percent_encoded(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode())


def newest_first(instant: datetime) -> str:
    """Return a row key of 15 digits that sorts later instants first."""
    milliseconds = (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return f"{_LAST_MILLISECOND - milliseconds:015d}"


def iso(instant: datetime) -> str:
    """Return an instant as RFC 3339 in UTC, as Logs Ingestion and the JSON columns take it."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def days_left(expires_on: datetime | None, now: datetime) -> int | None:
    """Return the whole days until the expiry, rounded down (negative after it)."""
    return None if expires_on is None else (expires_on - now) // timedelta(days=1)


def fits(text: str) -> bool:
    """Return whether a column of Table Storage takes `text`."""
    return len(text.encode("utf-16-le")) <= 2 * _MAXIMUM_TEXT


def json_text(value: object) -> str:
    """Return `value` as JSON."""
    return msgspec.json.encode(value).decode()


def stored(instant: datetime | None) -> datetime | None:
    """Return `instant` if Table Storage takes it; else None."""
    return None if instant is None or instant < _NEVER_IN_TABLES else instant


def decoded[T](text: object, kind: type[T]) -> T | None:
    """Return the value of a JSON column; None if it cannot be decoded, or is longer than any column."""
    if isinstance(text, str) and len(text) > LONGEST_TEXT:
        return None
    try:
        return msgspec.json.decode(str(text), type=kind)
    except (msgspec.MsgspecError, RecursionError):
        return None


def token_id(row_key: str) -> str:
    """Return the ID of the token whose row has that key."""
    return bounded(unquote(row_key))


def unnamed_row(entity: Mapping[str, object]) -> str:
    """Return a name for the token of a row without one. In `TokenHistory`, the partition ends in the token's key."""
    of = str(entity.get("PartitionKey", "")).partition(":")[2] or str(entity.get("RowKey", ""))
    return unnamed(unquote(of))
