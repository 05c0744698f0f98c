"""Text from outside, made safe to keep and to show: bounded, visible, and without control characters."""

import re
import unicodedata
from typing import Final

LONGEST: Final = 512
"""The number of characters that are kept of a text from outside."""

MARK: Final = "…"
"""The character at the end of a text that was cut."""

_JOINER: Final = "\u200d"
_REPLACED: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_GUID: Final = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})", re.IGNORECASE)
_SCHEME: Final = re.compile(r":(?=//)")
_HOST_DOT: Final = re.compile(r"(?<=\bwww)\.|(?<=[^\W_])\.(?=[^\W_][\w.-]*[/?#:])", re.IGNORECASE)


def bounded(text: str, longest: int = LONGEST) -> str:
    """Return `text` in at most `longest` characters, the last one `MARK` where the text was cut.

    Control characters, line separators and lone surrogates become U+FFFD, because they move a terminal's cursor or
    split a log line. Format characters (Unicode category Cf) are removed, because they are invisible or turn the
    direction of writing, so that two names that differ in them look the same. A joiner inside an emoji stays.
    """
    start = text[: 4 * longest]  # bounds the work on a text of any size
    visible = start if start.isprintable() else _visible(start)
    if len(start) == len(text) and len(visible) <= longest:
        return visible
    return visible[: longest - 1].rstrip(_JOINER) + MARK


def _visible(text: str) -> str:
    return "".join(_kept(text[index - 1 : index], one, text[index + 1 : index + 2]) for index, one in enumerate(text))


def _kept(before: str, character: str, after: str) -> str:
    category = unicodedata.category(character)
    if category in _REPLACED:
        return "\ufffd"
    if category != "Cf" or (character == _JOINER and _ends_emoji(before) and _category(after) == "So"):
        return character
    return ""


def _ends_emoji(character: str) -> bool:
    """Return whether `character` can end an emoji: a symbol, a skin tone, or the selector of the emoji form."""
    return character == "\ufe0f" or _category(character) in {"So", "Sk"}


def _category(character: str) -> str:
    return unicodedata.category(character) if character else ""


def without_links(name: str) -> str:
    """Return `name` without anything that a mail client turns into a link, or that equals the id of another token.

    Alerts are silenced by the id that they contain, so a name that contains a GUID would fall under the silence of
    another token. The id of the push certificate is broken up for the same reason.
    """
    parted = _GUID.sub(r"\1 \2 \3 \4 \5", name)
    parted = re.sub("push-certificate", "push certificate", parted, flags=re.IGNORECASE)
    return _HOST_DOT.sub(" .", _SCHEME.sub(": ", parted))


def shortened(text: str, limit: int) -> str:
    """Returns `text` without its middle where it is longer: a shared name ends in what distinguishes it."""
    return text if len(text) <= limit else f"{text[: limit - limit // 4 - 1]}…{text[-(limit // 4) :]}"


def quoted(text: object, limit: int = 80) -> str:
    """Returns a name from outside in quotation marks; names hold up to 512 characters, a sentence about 300."""
    return f"'{shortened(str(text), limit)}'"
