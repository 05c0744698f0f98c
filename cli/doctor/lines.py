"""What `doctor` reports: one line for each check, in a terminal and as JSON."""

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from cli import COULD_NOT_TELL, WELL, WRONG, CommandError, view

type Words = tuple[str, ...]


class State(StrEnum):
    """What a check found."""

    PASSED = "passed"
    FAILED = "failed"
    UNTRIED = "not tried"


_SIGNS: Final = {State.PASSED: ("●", "green"), State.FAILED: ("✖", "bold red"), State.UNTRIED: ("-", "yellow")}
_STATES: Final = max(map(len, State)) + 2
_INDENT: Final = "    "


class NotTriedError(CommandError):
    """A fact that was not read; `sentence` gives the reason."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(f"{reason[0].upper()}{reason[1:].rstrip('.')}.", remedy)


class Line(NamedTuple):
    """The result of one check."""

    what: str
    """The check's name."""
    state: State
    said: str
    """What was found, or why the check was not tried."""
    remedy: str = ""
    """How to fix it, in a sentence; empty where `command` is enough."""
    command: Words = ()
    """The command that fixes it, word by word."""
    then: Words = ()
    """The command that follows it."""


def passed(said: str) -> Line:
    """Return the line of a check that passed."""
    return Line("", State.PASSED, said)


def failed(said: str, remedy: str = "", command: Words = (), then: Words = ()) -> Line:
    """Return the line of a check that failed."""
    return Line("", State.FAILED, said, remedy, command, then)


def unknown(problem: CommandError, command: Words = ()) -> Line:
    """Return the line of a check whose fact is not known; `command` fixes the read that failed."""
    if isinstance(problem, NotTriedError):
        return Line("", State.UNTRIED, problem.sentence, problem.remedy)
    return failed(problem.sentence, problem.remedy, command)


def named(results: Iterable[tuple[str, Line]]) -> list[Line]:
    """Name the lines. One that failed for the same reason as an earlier one refers to that one."""
    first: dict[str, str] = {}
    lines = []
    for what, line in results:
        earlier = first.setdefault(line.said, what) if line.state is State.FAILED else what
        same = failed(f"For the same reason as {earlier}.")
        lines.append((line if earlier == what else same)._replace(what=what))
    return lines


def exit_code(lines: Iterable[Line]) -> int:
    """Return 0 where all that was tried passed, 2 where a check failed, 3 where nothing could be tried."""
    states = {line.state for line in lines}
    return WRONG if State.FAILED in states else WELL if State.PASSED in states else COULD_NOT_TELL


def document(lines: Sequence[Line]) -> dict[str, Any]:
    """Return what `doctor --format json` prints."""
    words = [{"command": shlex.join(line.command), "then": shlex.join(line.then)} for line in lines]
    return {
        "exit_code": exit_code(lines),
        "counts": {state: sum(line.state is state for line in lines) for state in State},
        "lines": [
            {name: value or None for name, value in (line._asdict() | more).items()}
            for line, more in zip(lines, words, strict=True)
        ],
    }


def print_lines(console: Console, lines: Sequence[Line]) -> None:
    """Print each line, below it how to fix what failed, and the totals."""
    names = max(len(line.what) for line in lines)
    for line in lines:
        sign, style = _SIGNS[line.state]
        head = Text.assemble((f"{sign} {line.state}".ljust(_STATES), style), "  ", line.what.ljust(names))
        view.print_beside(console, head, Text(line.said), below=True)
        if line.remedy:
            view.print_hanging(console, _INDENT, Text(line.remedy))
        for command in filter(None, (line.command, line.then)):
            for part in _continued(command, console.width - len(_INDENT)):
                console.print(Text.assemble(_INDENT, (part, "bold")), soft_wrap=True)
    counts = Counter(line.state for line in lines)
    console.print(view.sentence(f"\n{', '.join(f'{counts[one]} {one}' for one in State if counts[one])}."))


def _continued(command: Words, width: int) -> list[str]:
    """Quote the command for a shell; what is longer than `width` continues on further lines after a backslash."""
    lines: list[str] = []
    for word in map(shlex.quote, command):
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) + 2 <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(f"  {word}" if lines else word)
    return [f"{line} \\" for line in lines[:-1]] + lines[-1:]
