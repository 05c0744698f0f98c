"""Runs a reverse proxy in front of the table service that records, fails on demand, and calls hooks at a request."""

from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp import web
from yarl import URL

from simulator.server import Server
from simulator.tls import Tls

# The headers of one connection (RFC 9110, 7.6.1), and those that aiohttp sets for the body that it sends.
_OF_ONE_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer"})
_OF_THE_BODY: Final = frozenset({"content-length"})


@dataclass
class Proxy(Server):
    """Forwards every request to `upstream`, an address without a path, and returns every answer unchanged.

    The Host header and the absolute addresses in a batch keep the proxy's address, so that upstream takes itself for
    the host that the client called.
    """

    upstream: str = ""
    trust: Tls | None = None
    """The certificates that upstream is verified with."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._client: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Start listening, and open the connection to upstream."""
        context = self.trust.client() if self.trust else True
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=0), auto_decompress=False, trust_env=False
        )
        await super().start()

    async def stop(self) -> None:
        """Stop listening, and close the connection to upstream."""
        await super().stop()
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        """Answer as upstream does; with 502 if it doesn't answer."""
        assert self._client is not None  # noqa: S101 (started)
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _OF_ONE_HOP]
        url = URL(f"{self.upstream}{request.raw_path}", encoded=True)
        try:
            async with self._client.request(
                request.method, url, headers=headers, data=body or None, allow_redirects=False
            ) as answer:
                content = await answer.read()
        except aiohttp.ClientError as error:
            return web.Response(status=502, text=f"The table service did not answer: {error}")
        passed = web.Response(status=answer.status, reason=answer.reason, body=content)
        passed.headers.clear()
        for name, value in answer.headers.items():
            if name.lower() not in _OF_ONE_HOP | _OF_THE_BODY:
                passed.headers.add(name, value)
        return passed
