"""What `doctor` reports: one line for each check, in a terminal and as JSON."""

import shlex
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from rich.console import Console
from rich.text import Text

from cli import COULD_NOT_TELL, WELL, WRONG, CommandError, view

type State = Literal["passed", "failed", "not tried"]

_SIGNS: Final[Mapping[State, tuple[str, str]]] = {
    "passed": ("●", "green"),
    "failed": ("✖", "bold red"),
    "not tried": ("-", "yellow"),
}
_INDENT: Final = "    "


class NotTriedError(CommandError):
    """Reports a check, or a read, that was not tried; `sentence` gives the reason."""

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
    command: str = ""
    """The command that fixes it, quoted for a shell."""
    then: str = ""
    """The command that follows it."""


def passed(said: str) -> Line:
    """Return the line of a check that passed."""
    return Line("", "passed", said)


def failed(said: str, remedy: str = "", command: str = "", then: str = "") -> Line:
    """Return the line of a check that failed."""
    return Line("", "failed", said, remedy, command, then)


def exit_code(lines: Iterable[Line]) -> int:
    """Return 0 where all that was tried passed, 2 where a check failed, 3 where nothing could be tried."""
    states = {line.state for line in lines}
    return WRONG if "failed" in states else WELL if "passed" in states else COULD_NOT_TELL


def document(lines: Sequence[Line]) -> dict[str, Any]:
    """Return what `doctor --format json` prints."""
    counts = Counter(line.state for line in lines)
    return {
        "exit_code": exit_code(lines),
        "counts": {state: counts[state] for state in _SIGNS},
        "lines": [{name: value or None for name, value in line._asdict().items()} for line in lines],
    }


def print_lines(console: Console, lines: Sequence[Line]) -> None:
    """Print each line, below it how to fix what failed, and the totals."""
    names = max(len(line.what) for line in lines)
    for line in lines:
        sign, style = _SIGNS[line.state]
        head = Text.assemble((f"{sign} {line.state:9}", style), "  ", line.what.ljust(names))
        view.print_beside(console, head, Text(line.said), below=True)
        if line.remedy:
            view.print_hanging(console, _INDENT, Text(line.remedy))
        for command in filter(None, (line.command, line.then)):
            text = textwrap.indent(_continued(command, console.width - len(_INDENT)), _INDENT)
            console.print(Text(text, style="bold"), soft_wrap=True)
    counts = Counter(line.state for line in lines)
    console.print(f"\n{', '.join(f'{counts[state]} {state}' for state in _SIGNS if counts[state])}.")


def _continued(command: str, width: int) -> str:
    """Return the command on as many lines as it takes, each but the last ending in a backslash."""
    words = " ".join(shlex.quote(word).replace(" ", "\0") for word in shlex.split(command))  # no word is parted
    lines = textwrap.wrap(words, width - 2, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return " \\\n".join(lines).replace("\0", " ")
