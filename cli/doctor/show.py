"""How the lines look: in a terminal, and for other programs."""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from cli import view
from cli.doctor.lines import Line, State, exit_code

_SIGNS: Final[Mapping[State, tuple[str, str]]] = {
    State.PASSED: ("●", "green"),
    State.FAILED: ("✖", "bold red"),
    State.UNTRIED: ("-", "yellow"),
}
_STATES: Final = max(len(state) for state in State) + 2
_WIDE: Final = 90
"""Columns from which on what was found stands beside what it was looked for at."""


def print_lines(console: Console, lines: Sequence[Line]) -> None:
    """A line for each, below it what to do, and a sentence about the whole."""
    names = max(len(line.what) for line in lines)
    for line in lines:
        sign, style = _SIGNS[line.state]
        head = Text.assemble((f"{sign} {line.state}".ljust(_STATES), style), "  ", line.what.ljust(names))
        if console.width >= _WIDE:
            indent = head.cell_len + 2
            first, *others = _wrapped(console, line.said, indent)
            _print(console, [Text.assemble(head, "  ", first[indent:]), *others])
        else:
            _print(console, [head, *_wrapped(console, line.said, 4)])
        if line.remedy:
            _print(console, _wrapped(console, line.remedy, 4))
        for command in filter(None, (line.command, line.then)):
            _print(console, [Text(one, style="bold") for one in continued(command, console.width - 4)], 4)
    counted = Counter(line.state for line in lines)
    told = ", ".join(f"{counted[state]} {state}" for state in State if counted[state])
    console.print(view.sentence(f"\n{told}.", warning=False))


def continued(command: Sequence[str], width: int) -> list[str]:
    """The command as a shell takes it, continued on further lines with a backslash where it is longer than `width`."""
    lines: list[str] = []
    for word in map(shlex.quote, command):
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) + 2 <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(f"  {word}" if lines else word)
    return [f"{line} \\" for line in lines[:-1]] + lines[-1:]


def document(lines: Sequence[Line]) -> dict[str, Any]:
    """`doctor --format json`."""
    return {
        "exit_code": exit_code(lines),
        "counts": {str(state): sum(line.state is state for line in lines) for state in State},
        "lines": [
            {
                "what": line.what,
                "state": str(line.state),
                "said": line.said,
                "remedy": line.remedy or None,
                "command": shlex.join(line.command) or None,
                "then": shlex.join(line.then) or None,
            }
            for line in lines
        ],
    }


def _wrapped(console: Console, text: str, indent: int) -> Iterator[Text]:
    for line in Text(text).wrap(console, console.width - indent):
        line.rstrip()
        yield Text.assemble(" " * indent, line)


def _print(console: Console, lines: Sequence[Text] | Iterator[Text], indent: int = 0) -> None:
    for line in lines:
        line.rstrip()
        console.print(Text.assemble(" " * indent, line), soft_wrap=True)
