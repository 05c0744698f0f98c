"""Splits JSON that a strict decoder refuses at its brackets, so that a malformed part loses only itself.

The strict decoder refuses a whole page for half a surrogate pair, an unknown escape, or a line break in one name.
"""

import re
from typing import Final

import msgspec

MOST_BYTES: Final = 2 * 1024 * 1024
"""The size that can take a second at worst; a page of 1,000 devices or tokens has less than 1 MiB."""

_MARK: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{},"]', re.DOTALL)
_COMMA: Final = ord(",")
_QUOTE: Final = ord('"')
_DEEPER: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NAME: Final = re.compile(rb'\s*("(?:[^"\\]|\\.)*+")\s*:', re.DOTALL)


def members(body: bytes) -> list[tuple[str | None, msgspec.Raw]]:
    """Return the encoded properties of an object with their names, None for a malformed name.

    A ValueError means that the body is not an object whose quotes and brackets match.
    """
    found: list[tuple[str | None, msgspec.Raw]] = []
    for part in _parts(body, b"{"):
        name = _NAME.match(part)
        found.append((_text(name[1]) if name else None, msgspec.Raw(part[name.end() :].strip() if name else part)))
    return found


def items(body: bytes) -> list[msgspec.Raw]:
    """Return the encoded items of an array; raise ValueError as `members` does."""
    return [msgspec.Raw(part.strip()) for part in _parts(body, b"[")]


def _parts(body: bytes, opens: bytes) -> list[bytes]:
    """Return the parts between the outermost brackets, split at their commas."""
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
