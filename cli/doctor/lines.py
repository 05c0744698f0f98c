"""What `doctor` tells: lines that passed, failed, or were not tried."""

import asyncio
from collections.abc import Awaitable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from cli import COULD_NOT_TELL, WELL, WRONG, CommandError

_SECONDS: Final = 90
"""For one look, attempts included."""


class State(StrEnum):
    """What came of a line."""

    PASSED = "passed"
    FAILED = "failed"
    UNTRIED = "not tried"


class Line(NamedTuple):
    """One thing that has to be in place."""

    what: str
    state: State
    said: str
    """What was found, or why it was not looked for."""
    remedy: str = ""
    """What to do about it, in a sentence; may be empty where `command` says it all."""
    command: tuple[str, ...] = ()
    """What mends it, word by word."""
    then: tuple[str, ...] = ()
    """What is to be done after it."""


@dataclass(frozen=True, slots=True)
class Untried:
    """That something was not looked for."""

    why: str


class RefusedError(CommandError):
    """That a service did not do what it was asked for with the operator's sign-in."""

    def __init__(self, problem: CommandError, *, status: int | None, role: str) -> None:
        super().__init__(problem.sentence, problem.remedy)
        self.status = status
        """Of its answer; None where none came."""
        self.role = role
        """What the operator would need."""


type Found[T] = T | Untried | CommandError
"""What a look brought: something, or why there was no look, or what went wrong with it."""


async def in_time[T](who: str, looking: Awaitable[Found[T]]) -> Found[T]:
    """What a look brings, or that it took too long."""
    try:
        async with asyncio.timeout(_SECONDS):
            return await looking
    except TimeoutError:
        return CommandError(f"{who} did not answer within {_SECONDS} seconds.", "Check the network, proxy and VPN.")


def passed(what: str, said: str) -> Line:
    """A line that passed."""
    return Line(what, State.PASSED, said)


def failed(what: str, said: str, remedy: str = "", command: Iterable[str] = ()) -> Line:
    """A line that failed."""
    return Line(what, State.FAILED, said, remedy, tuple(command))


def untried(what: str, why: str, remedy: str = "") -> Line:
    """A line that was not tried; `why` needs no period."""
    return Line(what, State.UNTRIED, f"{why[0].upper()}{why[1:].rstrip('.')}.", remedy)


def told_once(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines; one that failed for the very reason of an earlier one names that one instead of the reason."""
    first: dict[str, str] = {}
    for line in lines:
        earlier = first.setdefault(line.said, line.what) if line.state is State.FAILED else line.what
        yield line if earlier == line.what else failed(line.what, f"For the same reason as {earlier}.")


def without(what: str, found: Untried | CommandError, command: Iterable[str] = ()) -> Line:
    """The line of something that a look did not bring; `command` mends what went wrong with the look."""
    if isinstance(found, Untried):
        return untried(what, found.why)
    return failed(what, found.sentence, found.remedy, command)


def exit_code(lines: Iterable[Line]) -> int:
    """0 all passed, 2 a line failed, 3 nothing could be tried."""
    states = {line.state for line in lines}
    return WRONG if State.FAILED in states else WELL if State.PASSED in states else COULD_NOT_TELL
