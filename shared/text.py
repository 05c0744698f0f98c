"""Text from outside, made safe to keep: bounded, and without control characters."""

import re
from typing import Final

LONGEST: Final = 512
"""Characters that are kept of a text from outside."""

MARK: Final = "…"
"""Ends a text that was cut."""

_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def bounded(text: str, longest: int = LONGEST) -> str:
    """`text` in at most `longest` characters, the last one a mark where it was cut.

    Control characters, line separators and those that turn the direction of writing become U+FFFD: they would move a
    terminal's cursor, split a log line, or make a text read as another.
    """
    cut = text if len(text) <= longest else text[: longest - 1] + MARK
    return _UNSAFE.sub("\ufffd", cut)
