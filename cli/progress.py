"""Shows the progress of many steps, and waits for something to happen."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from rich.text import Text

from cli.session import Session


@contextmanager
def counting(session: Session, what: str, total: int) -> Iterator[Callable[[], None]]:
    """Show the number of finished steps in a terminal, and one line in a log. Yields a function to call after each."""
    if session.quiet or not session.err.is_terminal:
        with session.working(what):
            yield lambda: None
        return
    done = 0
    with session.err.status(Text(f"{what} ...")) as shown:

        def step() -> None:
            nonlocal done
            done += 1
            shown.update(Text(f"{what} ... {done:,} of {total:,}"))

        yield step


async def until[T](read: Callable[[], Awaitable[T | None]], seconds: float, *, every: float) -> T | None:
    """Call `read` again and again, and return its first result that is not None; None after so many seconds."""
    clock = asyncio.get_running_loop().time
    ends = clock() + seconds
    while True:
        result = await read()
        left = ends - clock()
        if result is not None or left <= 0:
            return result
        await asyncio.sleep(min(every, left))
