"""How fast Graph is asked by all who ask in one run: so many calls in a while, and none while Graph wants rest."""

import asyncio
from collections import deque
from typing import Final

CALLS: Final = 400
SECONDS: Final = 20
"""Two fifths of what Graph takes from one app in a tenant (1,000 calls of Intune in 20 seconds), however fast it
answers: the rest is for the check, and for whoever else uses the app's identity. 2,000 tokens with three calls each
take five minutes.
https://learn.microsoft.com/graph/throttling-limits
"""


class Pace:
    """Turns, for all who ask Graph; each is one call."""

    def __init__(self, ends: float, *, calls: int = CALLS, seconds: float = SECONDS) -> None:
        self.ends = ends
        """When nobody waits any more, on the event loop's clock."""
        self._calls = calls
        self._seconds = seconds
        self._taken = deque[float](maxlen=calls)
        self._opens = 0.0

    @property
    def over(self) -> bool:
        """Whether there will be no turn before the end."""
        return max(self._next(), asyncio.get_running_loop().time()) >= self.ends

    async def turn(self) -> None:
        """Wait for a turn.

        Raises:
            TimeoutError: at once, where none will come before the end.

        """
        clock = asyncio.get_running_loop().time
        while (wait := self._next() - clock()) > 0:
            if self.over:
                throttled = self._opens >= self.ends
                raise TimeoutError("Graph throttled the app" if throttled else "so many calls take longer")
            await asyncio.sleep(wait)
        self._taken.append(clock())

    def rest(self, seconds: float) -> None:
        """Let nobody have a turn for so long."""
        self._opens = max(self._opens, asyncio.get_running_loop().time() + seconds)

    def _next(self) -> float:
        full = len(self._taken) == self._calls
        return max(self._opens, self._taken[0] + self._seconds) if full else self._opens
