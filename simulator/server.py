"""Provides the base of every simulated service, which serves the loopback, records requests, and fails on demand."""

import asyncio
import socket
import ssl
import threading
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from aiohttp import web

from simulator.http2 import Http2

HOST: Final = "127.0.0.1"

_LARGEST_BODY: Final = 64 * 1024 * 1024
"""The most bytes of a body; services with their own limit check it themselves."""

type Answer = Callable[[], Awaitable[web.StreamResponse]]
"""Carries out the request as the healthy service does."""

type Fault = Callable[[web.Request, Answer], Awaitable[web.StreamResponse]]
"""Answers instead of the service; it may also have the request carried out."""


@dataclass
class Recorded:
    """A request; `status` is set when it has been answered."""

    number: int
    """The number of the request, from 1 since the start or the last `reset`."""
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """The headers, without the value of `Authorization`."""
    body: bytes
    status: int | None = None

    def names(self, part: str) -> bool:
        """Return whether the path contains `part`; a batch of Table Storage names its table in the body."""
        return part in self.path or (self.path.endswith("$batch") and part.encode() in self.body)


type Where = str | Callable[[Recorded], bool]


@dataclass
class _Planned:
    where: Where
    fault: Fault
    method: str | None
    skip: int
    times: int | None

    def matches(self, request: Recorded) -> bool:
        if self.method not in {None, request.method}:
            return False
        return request.names(self.where) if isinstance(self.where, str) else self.where(request)


@dataclass
class Server(ABC):
    """An HTTP(S) server on a free loopback port.

    It may be created anywhere, and is started and stopped on the event loop that serves it.
    """

    tls: ssl.SSLContext | None = None
    requests: list[Recorded] = field(default_factory=list)
    on_request: Callable[[Recorded], object] | None = None
    """A function that is called on the server's thread, before a request is carried out."""
    on_response: Callable[[Recorded], object] | None = None
    """A function that is called after a request was carried out and before its answer is sent."""
    port: int = 0

    def __post_init__(self) -> None:
        self._planned: list[_Planned] = []
        self._lock = threading.Lock()
        self._runner: web.AppRunner | None = None
        self._listening: asyncio.Server | None = None
        self._connections: set[Http2] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def url(self) -> str:
        """The scheme, host, and port, without a slash at the end."""
        return f"{'https' if self.tls else 'http'}://{HOST}:{self.port}"

    @abstractmethod
    async def answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        """Answer as the healthy service does."""

    def fail(
        self, where: Where, fault: Fault, *, method: str | None = None, skip: int = 0, times: int | None = None
    ) -> None:
        """Plan a fault for requests whose path contains `where` (any request: ""), or for which `where` returns true.

        The fault skips the first `skip` of them, and applies to the next `times` (None: until `reset`). If several
        faults match, the one planned first applies until it is used up, so several calls plan a queue.
        """
        with self._lock:
            self._planned.append(_Planned(where, fault, method, skip, times))

    def heal(self) -> None:
        """Remove every planned fault."""
        with self._lock:
            self._planned.clear()

    def reset(self) -> None:
        """Remove faults, hooks, and recordings."""
        self.heal()
        self.on_request = self.on_response = None
        self.requests = []

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Refuse connections until the context is left; call this outside the server's event loop."""
        assert self._loop is not None  # noqa: S101 (started)
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        try:
            yield
        finally:
            asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    async def start(self) -> None:
        """Start listening; from then on, `port` and `url` are set."""
        self._loop = asyncio.get_running_loop()
        application = web.Application(client_max_size=_LARGEST_BODY)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await self._listen()

    async def stop(self) -> None:
        """Abort open requests and stop listening; do nothing if the server never started."""
        if self._runner is not None:
            await self._close()
            await self._runner.cleanup()
            self._runner = None

    async def _listen(self) -> None:
        assert self._runner is not None  # noqa: S101 (started)
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HOST, self.port))
        self.port = listening.getsockname()[1]
        handlers = self._runner.server
        assert handlers is not None  # noqa: S101 (set up)
        self._listening = await asyncio.get_running_loop().create_server(
            partial(Http2, handlers, self._connections) if self.tls else handlers, sock=listening, ssl=self.tls
        )

    async def _close(self) -> None:
        assert self._runner is not None  # noqa: S101 (started)
        assert self._listening is not None  # noqa: S101
        self._listening.close()
        for connection in (*self._connections, *(self._runner.server.connections if self._runner.server else ())):
            if connection.transport is not None:
                connection.transport.abort()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        recorded = self._record(request, body)
        if self.on_request is not None:
            self.on_request(recorded)
        on_response = self.on_response  # a request that outlives a reset must not call the next hook

        async def answer() -> web.StreamResponse:
            response = await self.answer(request, body)
            recorded.status = response.status
            return response

        fault = self._fault(recorded)
        response = await (answer() if fault is None else fault(request, answer))
        recorded.status = response.status
        if on_response is not None:
            on_response(recorded)
        return response

    def _record(self, request: web.Request, body: bytes) -> Recorded:
        headers = {name: value for name, value in request.headers.items() if name.lower() != "authorization"}
        with self._lock:
            recorded = Recorded(
                len(self.requests) + 1, request.method, request.path, dict(request.query), headers, body
            )
            self.requests.append(recorded)
        return recorded

    def _fault(self, request: Recorded) -> Fault | None:
        with self._lock:
            for planned in self._planned:
                if planned.times == 0 or not planned.matches(request):
                    continue
                if planned.skip:
                    planned.skip -= 1
                    continue
                if planned.times is not None:
                    planned.times -= 1
                return planned.fault
        return None
