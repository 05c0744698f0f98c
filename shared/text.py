"""Makes text from outside safe to store and to show: bounded, visible, and without control characters."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Final

LONGEST: Final = 512
"""The number of characters that a text from outside keeps."""

MARK: Final = "…"
"""The character at the end of a text that was cut."""

_JOINER: Final = "\u200d"
_REPLACED: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_SELECTORS: Final = "\ufe0e\ufe0f"
_OF_EMOJIS: Final = dict.fromkeys(map(ord, _JOINER + _SELECTORS))
_KEYCAP: Final = "\u20e3"
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
"""Characters that Unicode calls default ignorable, beside those of category Cf: fillers, and selectors of variants.
https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point"""
_MOST_MARKS: Final = 8
"""Marks on one letter; no language needs more, and hundreds of them would cover the lines above and below."""

_HEX: Final = (8, 4, 4, 4, 12)
_GUID: Final = re.compile("[-\u2010-\u2015\u2212]?".join(f"([0-9a-f]{{{digits}}})" for digits in _HEX), re.IGNORECASE)
_DOTS: Final = ".\u2024\u3002\ufe52\uff0e\uff61"
_SLASHES: Final = r"/\\\u2044\u2215\uff0f"
_COLONS: Final = ":\ufe13\ufe55\uff1a"
_SCHEME: Final = re.compile(
    f"[{_COLONS}](?=[{_SLASHES}]{{2}})|(?:(?<=mailto)|(?<=tel)|(?<=javascript))[{_COLONS}](?=\\S)", re.IGNORECASE
)
_HOST_DOT: Final = re.compile(
    rf"(?<=\bwww)[{_DOTS}]|(?<=[^\W_])[{_DOTS}](?=[^\W_][\w{_DOTS}-]*[{_SLASHES}{_COLONS}?#])", re.IGNORECASE
)


def bounded(text: str, longest: int = LONGEST) -> str:
    """Return `text` in at most `longest` characters, the last one `MARK` if the text was cut.

    Control characters, line separators, and lone surrogates become U+FFFD, because they move a terminal's cursor or
    split a log line. Format characters (Unicode category Cf) and other invisible ones are removed, because they change
    the direction of writing, or distinguish names that look the same. Joiner and selector of an emoji stay.
    """
    start = text[: 4 * longest]  # bounds the work on a text of any size
    visible = start if start.isascii() and start.isprintable() else _visible(start)
    if len(start) == len(text) and len(visible) <= longest:
        return visible
    return visible[: longest - 1].rstrip(_JOINER + _SELECTORS) + MARK


def _visible(text: str) -> str:
    kept: list[str] = []
    marks = 0
    for character, after in zip(text, f"{text[1:]} ", strict=True):
        category = unicodedata.category(character)
        marks = marks + 1 if category in {"Mn", "Me"} else 0
        if category in _REPLACED:
            kept.append("\ufffd")
        elif marks <= _MOST_MARKS and _is_seen(kept[-1] if kept else "", character, after):
            kept.append(character)
    return "".join(kept)


def _is_seen(before: str, character: str, after: str) -> bool:
    """Return whether `character` is visible between the kept character before it and the one after it."""
    if character == _JOINER:
        return _ends_emoji(before) and (_category(after) == "So" or after == "\u2194")
    if character in _SELECTORS:
        return _category(before) in {"So", "Sm"} or after == _KEYCAP
    return _category(character) != "Cf" and not _INVISIBLE.match(character)


def _ends_emoji(character: str) -> bool:
    """Return whether `character` can end an emoji: a symbol, a skin tone, or the selector of the emoji form."""
    symbol = character > "\u2000" and _category(character) == "So"
    return symbol or character == "\ufe0f" or "\U0001f3fb" <= character <= "\U0001f3ff"


def _category(character: str) -> str:
    return unicodedata.category(character) if character else ""


def alike(text: str) -> str:
    """Return the form of a bounded text that is equal for texts that look the same."""
    plain = unicodedata.normalize("NFKC", text).translate(_OF_EMOJIS)
    return " ".join(plain.replace("\u2800", " ").split())


def labels(tokens: Sequence[tuple[object, str, str]]) -> list[str]:
    """Return a label for each connector, name and id, so that no two of a connector look the same.

    A shared name gets 8 characters of the id, or else the whole id.
    """
    found = [name for _, name, _ in tokens]
    for length in (8, None, None):  # the last is for a token whose name is the label of another
        keys = [(connector, alike(label)) for (connector, _, _), label in zip(tokens, found, strict=True)]
        shared = Counter(keys)
        if len(shared) == len(keys):
            break
        for index, (_, name, token_id) in enumerate(tokens):
            if shared[keys[index]] > 1:
                found[index] = f"{name} ({bounded(token_id[:length])})"
    return found


def unnamed(token_id: str) -> str:
    """Return the name of a token that has none."""
    return f"unnamed {bounded(token_id[:8])}"


def without_links(name: str) -> str:
    """Return `name` without anything that a mail client turns into a link, or that equals the ID of another token.

    An alert processing rule suppresses alerts by the ID that they contain, so a GUID in a name could match the rule of
    another token. The ID of the push certificate is split for the same reason.
    """
    parted = _GUID.sub(r"\1 \2 \3 \4 \5", name)
    parted = re.sub("push-certificate", "push certificate", parted, flags=re.IGNORECASE)
    return _HOST_DOT.sub(r" \g<0>", _SCHEME.sub(r"\g<0> ", parted))


def shortened(text: str, limit: int) -> str:
    """Return `text` without its middle if it is longer, because similar names often differ at the end."""
    return text if len(text) <= limit else f"{text[: limit - limit // 4 - 1]}…{text[-(limit // 4) :]}"


def quoted(text: object, limit: int = 80) -> str:
    """Return a name from outside in quotation marks, shortened for a sentence."""
    return f"'{shortened(str(text), limit)}'"
