# ruff: noqa: INP001 - imported by docs.generate; docs/ is no package of the app
"""Creates Markdown from plain text."""

import re
from collections.abc import Iterable


def escaped(text: str) -> str:
    """Return `text` escaped, so that Markdown shows it unchanged."""
    return re.sub(r"([\\`*_\[\]<|])", r"\\\1", text)


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table; its cells are Markdown."""
    cells = [list(header), *(list(row) for row in rows)]
    cells.insert(1, ["---"] * len(cells[0]))
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)
