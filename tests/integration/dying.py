"""Ends a run as if its process were killed, so that it sends nothing more to any service."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field

from simulator import faults


@dataclass
class Death:
    """Ends a run at its `at`-th request to `where`, before or after that request is carried out."""

    where: str
    at: int
    carried_out: bool
    happened: bool = False
    task: asyncio.Task | None = field(default=None, repr=False)
    loop: asyncio.AbstractEventLoop | None = field(default=None, repr=False)

    def plan(self, monitor) -> None:
        for server in monitor.servers:
            server.fail(lambda _: self.happened, faults.dropped())
        end = faults.calling(self._die, faults.dropped())
        server = getattr(monitor.sim, self.where.lower())
        server.fail("", faults.carried_out_then(end) if self.carried_out else end, skip=self.at - 1, times=1)

    def _die(self) -> None:
        self.happened = True
        self.loop.call_soon_threadsafe(self.task.cancel)


async def die(monitor, death: Death, run: Coroutine) -> bool:
    """Run until that death and return True; return False if the run ended before."""
    death.plan(monitor)
    death.loop = asyncio.get_running_loop()
    death.task = asyncio.ensure_future(run)
    with suppress(asyncio.CancelledError):
        await death.task
    for server in monitor.servers:
        server.heal()
    return death.happened
