"""How far something is that takes many steps, and waiting for what comes at last."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from rich.text import Text

from cli.session import Session


@contextmanager
def counting(session: Session, what: str, total: int) -> Iterator[Callable[[], None]]:
    """Shows which step of how many a terminal's owner waits for; a log is told once. Call what it yields at each."""
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


async def until[T](look: Callable[[], Awaitable[T | None]], seconds: float, *, every: float) -> T | None:
    """What `look` finds at last, asked again and again; None if it finds nothing in so many seconds."""
    clock = asyncio.get_running_loop().time
    ends = clock() + seconds
    while True:
        found = await look()
        left = ends - clock()
        if found is not None or left <= 0:
            return found
        await asyncio.sleep(min(every, left))
