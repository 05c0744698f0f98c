"""Limits the calls of one run: a number of calls in a time, and none while Graph throttles the app."""

import asyncio
from collections import deque
from typing import Final

CALLS: Final = 400
SECONDS: Final = 20
"""Two fifths of Intune's limit for an app in a tenant: 1,000 calls in 20 seconds. The rest is for the check and other
users of the app's identity. 2,000 tokens with three calls each take five minutes.
https://learn.microsoft.com/graph/throttling-limits"""


class Pace:
    """Gives each call to Graph its turn."""

    def __init__(self, ends: float, *, calls: int = CALLS, seconds: float = SECONDS) -> None:
        self.ends = ends
        """The end of all waiting, on the event loop's clock."""
        self._calls = calls
        self._seconds = seconds
        self._taken = deque[float](maxlen=calls)
        self._opens = 0.0

    @property
    def over(self) -> bool:
        """Return whether no turn is left before the end."""
        return max(self._next(), asyncio.get_running_loop().time()) >= self.ends

    async def turn(self) -> None:
        """Wait for a turn; raise TimeoutError at once if none is left before the end."""
        clock = asyncio.get_running_loop().time
        while (wait := self._next() - clock()) > 0:
            if self.over:
                throttled = self._opens >= self.ends
                raise TimeoutError("Graph throttled the app" if throttled else "so many calls take longer")
            await asyncio.sleep(wait)
        self._taken.append(clock())

    def rest(self, seconds: float) -> None:
        """Give no turn for that time."""
        self._opens = max(self._opens, asyncio.get_running_loop().time() + seconds)

    def _next(self) -> float:
        full = len(self._taken) == self._calls
        return max(self._opens, self._taken[0] + self._seconds) if full else self._opens
