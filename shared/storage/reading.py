"""Reads rows of Table Storage into the classes that declare them, for the commands.

A value that is missing or wrong loses only itself, and the row names its column. Text is bounded and has no control
characters, even if something else wrote the row.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, fields
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import msgspec

from shared.model.tokens import Health
from shared.storage.columns import RawText, Stored, decoded, value_type
from shared.text import bounded

type Entity = Mapping[str, Any]

_LONGEST: Final = 8_000
"""The number of characters of a text: the errors of a run take up to 4,000."""

_HEALTHS: Final = {str(health): health for health in Health}


def clean(text: object) -> str:
    """Return text from outside that is safe to show: bounded, and without control characters."""
    return bounded(str(text), _LONGEST)


def columns_of(row: type[Stored[Any]]) -> Iterable[str]:
    """Return the names of the columns that `reader` uses; those that are internal to the app are not among them."""
    return [field.metadata["name"] for field in _declared(row)]


def reader[R: Stored[Any]](row: type[R]) -> Callable[[Entity], R]:
    """Return a function that makes an instance of `row` of what the SDK returns."""
    columns = [(field, _take(value_type(field.type))) for field in _declared(row)]

    def read(entity: Entity) -> R:
        problems: list[str] = []
        values = {field.name: _value(field, take, entity, problems) for field, take in columns}
        return row(**values, problems=tuple(problems))

    return read


def _declared(row: type[Stored[Any]]) -> list[Field[Any]]:
    return [field for field in fields(row) if field.init and field.metadata]


def _take(kind: Any) -> Callable[[Any], object]:  # noqa: ANN401 # a type, or a generic alias of one
    """Return the function that takes a value of that type, or raises ValueError with what it is instead."""
    return _TAKE.get(kind) or partial(_json, kind)


def _value(field: Field[Any], take: Callable[[Any], object], entity: Entity, problems: list[str]) -> object:
    column, missing, required = (field.metadata[name] for name in ("name", "missing", "required"))
    found = entity.get(column)
    if found is None or found == "":
        problems += [f"{column} is missing"] if required else []
    else:
        try:
            return take(found)
        except ValueError as reason:
            problems.append(f"{column} is {reason}")
    return missing(entity) if callable(missing) else missing


def _typed[T](kind: type[T], value: object) -> T:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(repr(clean(value)[:40]))
    return value


def _instant(value: object) -> datetime:
    instant = _typed(datetime, value)
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)


def _health(value: object) -> Health:
    if str(value) not in _HEALTHS:
        raise ValueError(repr(clean(value)[:40]))
    return _HEALTHS[str(value)]


def _json(kind: Any, value: object) -> object:  # noqa: ANN401 # a type, or a generic alias of one
    try:
        return msgspec.convert(_cleaned(decoded(value, Any)), kind)
    except (msgspec.MsgspecError, RecursionError):
        raise ValueError("not what this release knows") from None


def _cleaned(value: object) -> object:
    """Return a value of JSON with clean texts; a severity that this release does not know becomes unknown."""
    match value:
        case str():
            return clean(value)
        case list():
            return list(map(_cleaned, value))
        case dict():
            cleaned = {clean(name): _cleaned(part) for name, part in value.items()}
            if "severity" in cleaned:
                cleaned["severity"] = _HEALTHS.get(str(cleaned["severity"]), Health.UNKNOWN)
            return cleaned
        case _:
            return value


_TAKE: Final[Mapping[Any, Callable[[Any], object]]] = {
    str: clean,
    RawText: str,
    int: partial(_typed, int),
    bool: partial(_typed, bool),
    datetime: _instant,
    Health: _health,
}
