"""JSON that a strict decoder refuses, taken apart at its brackets, so that what is malformed loses itself alone.

The strict decoder checks a page as a whole: half a surrogate pair, an unknown escape or a line break within one name
would lose all the others.
"""

import re
from typing import Final

import msgspec

MOST_BYTES: Final = 2 * 1024 * 1024
"""More is not taken apart, since at worst it takes a second; a page of 1,000 devices or tokens has less than 1 MiB."""

_MARK: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{},"]', re.DOTALL)
_COMMA: Final = ord(",")
_QUOTE: Final = ord('"')
_DEEPER: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NAME: Final = re.compile(rb'\s*("(?:[^"\\]|\\.)*+")\s*:', re.DOTALL)


def members(body: bytes) -> list[tuple[str | None, msgspec.Raw]]:
    """Return the properties of an object, still encoded, each with its name or, where that is malformed, None.

    Raises:
        ValueError: where the body is no object whose quotes and brackets match.

    """
    found: list[tuple[str | None, msgspec.Raw]] = []
    for part in _parts(body, b"{"):
        name = _NAME.match(part)
        found.append((_text(name[1]) if name else None, msgspec.Raw(part[name.end() :].strip() if name else part)))
    return found


def items(body: bytes) -> list[msgspec.Raw]:
    """Return the items of an array, still encoded.

    Raises:
        ValueError: where the body is no array whose quotes and brackets match.

    """
    return [msgspec.Raw(part.strip()) for part in _parts(body, b"[")]


def _parts(body: bytes, opens: bytes) -> list[bytes]:
    """Return what stands between the outermost brackets, cut at their commas."""
    text = body.removeprefix(b"\xef\xbb\xbf").strip()
    if len(text) > MOST_BYTES or not text.startswith(opens):
        raise ValueError
    parts: list[bytes] = []
    depth, start = 0, 1
    for mark in _MARK.finditer(text):
        at = mark.start()
        kind = text[at]
        if mark.end() == at + 1 and kind == _QUOTE:
            raise ValueError
        depth += _DEEPER.get(kind, 0)
        if depth == 0 or (depth == 1 and kind == _COMMA):
            parts.append(text[start:at])
            start = at + 1
        if depth == 0:
            break
    if depth or start != len(text):
        raise ValueError
    return parts if any(part.strip() for part in parts) else []


def _text(encoded: bytes) -> str | None:
    try:
        return msgspec.json.decode(encoded, type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
