# ruff: noqa: INP001 - imported by docs.generate; docs/ is no package of the app
"""Markdown that takes text as it stands."""

import re
from collections.abc import Iterable


def escaped(text: str) -> str:
    """`text` so that Markdown reads it as plain words."""
    return re.sub(r"([\\`*_\[\]<|])", r"\\\1", text)


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; its cells are Markdown."""
    cells = [list(header), *(list(row) for row in rows)]
    cells.insert(1, ["---"] * len(cells[0]))
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)
