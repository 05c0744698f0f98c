"""How much of an answer is read. What goes on after that is no answer of these services, and would take all memory.

Bytes count as they arrive and as they are decompressed, since a compressed MiB can hold a GiB.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Final

import aiohttp
import httpx
from azure.core.exceptions import ClientAuthenticationError

from shared.text import bounded

_MIB: Final = 1024 * 1024

PAGE_ROWS: Final = 250
"""Of Table Storage, which would send 1,000 otherwise."""
LIST_BYTES: Final = 16 * _MIB
"""Of a page of Table Storage: `PAGE_ROWS`, each with one column of up to 64 KiB. One character beyond the first 65,536
makes azure-core hold the page in four bytes a character, twice."""
GRAPH_BYTES: Final = 8 * _MIB
"""Of an answer of Graph: a page of 1,000 devices has 1 MiB. Sixteen tokens of an inspection are read side by side."""
OTHER_BYTES: Final = _MIB
"""Of the identity, of Logs Ingestion, and of what Table Storage says about a change."""

VALUES: Final = 1_000_000
"""Of any answer, counted by its commas: each takes some 100 bytes of memory. A page of rows has up to 100,000."""
SECONDS: Final = 120.0
"""For the body of an answer to azure-core: one that trickles never trips the time limit of a read."""

ACCEPTED: Final = {"Accept-Encoding": "gzip"}
"""The header of requests: what this module decompresses."""

_PIECE: Final = 64 * 1024
_WINDOWS: Final = {"gzip": 16 + zlib.MAX_WBITS, "deflate": -zlib.MAX_WBITS}
"""By `Content-Encoding`, as azure-core decompresses."""


class AnswerTooLongError(ClientAuthenticationError):
    """An answer was not read to its end. azure-core repeats the request after any other error of its own."""

    def __init__(self, how: str) -> None:
        super().__init__(message=f"the answer {how}, and was not read to its end")


class Body:
    """The body of one answer, as it arrives."""

    def __init__(self, encoding: str | None, most: int) -> None:
        """Nothing has arrived yet.

        Raises:
            AnswerTooLongError: where nobody here can decompress `encoding`, the value of `Content-Encoding`.

        """
        named = (encoding or "identity").strip().lower()
        if named not in {"identity", *_WINDOWS}:
            raise AnswerTooLongError(f"is encoded as {bounded(named, 40)!r}")
        self._inflater = None if named == "identity" else zlib.decompressobj(_WINDOWS[named])
        self._most = most
        self._arrived = 0
        self._inflated = 0
        self._values = 0

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """Return what `chunk` adds to the body, decompressed, in small pieces.

        Raises:
            AnswerTooLongError: where the body has become too long, or has too many values.
            zlib.error: where it is not compressed as it says.

        """
        self._arrived += len(chunk)
        self._check(self._arrived)
        if self._inflater is None:
            self._count(chunk)
            yield chunk
            return
        while chunk and not self._inflater.eof:
            piece = self._inflater.decompress(chunk, _PIECE)
            chunk = self._inflater.unconsumed_tail
            self._inflated += len(piece)
            self._check(self._inflated)
            self._count(piece)
            yield piece

    def _check(self, size: int) -> None:
        if size > self._most:
            raise AnswerTooLongError(f"has more than {self._most // _MIB} MiB")

    def _count(self, piece: bytes) -> None:
        self._values += piece.count(b",")
        if self._values > VALUES:
            raise AnswerTooLongError(f"has more than {VALUES:,} values")


class _AzureResponse(aiohttp.ClientResponse):
    """An answer to azure-core, which decompresses it on its own once it is whole."""

    @property
    def most(self) -> int:
        """How many bytes are read."""
        return OTHER_BYTES

    async def read(self) -> bytes:
        """Return the body as it arrived.

        Raises:
            AnswerTooLongError: where it is too long, becomes so by decompressing, or does not end in time.

        """
        if self._body is None:
            try:
                self._body = await self._whole()
            except BaseException:
                self._abort()
                raise
        return await super().read()

    async def _whole(self) -> bytes:
        chunks: list[bytes] = []
        try:
            body = Body(self.headers.get("Content-Encoding"), self.most)
            async with asyncio.timeout(SECONDS):
                async for chunk in self.content.iter_any():
                    for _ in body.pieces(chunk):
                        pass
                    chunks.append(chunk)
        except TimeoutError:
            raise AnswerTooLongError(f"takes longer than {SECONDS:g} seconds") from None
        except zlib.error as error:
            raise aiohttp.ClientPayloadError(str(error)) from error
        return b"".join(chunks)

    def _abort(self) -> None:
        """Closes the connection without TLS's closing handshake, which waits for the rest of the body."""
        if self.connection and self.connection.transport:
            self.connection.transport.abort()
        self.close()


class _TablesResponse(_AzureResponse):
    """The same for Table Storage."""

    @property
    def most(self) -> int:
        """How many bytes are read."""
        return LIST_BYTES if self.method == "GET" else OTHER_BYTES


def azure_session(*, lists: bool = False) -> aiohttp.ClientSession:
    """Return what azure-core's transport sends through: as the SDK makes one for each of its clients, but bounded.

    With `lists`, whatever is got may be a page of Table Storage.
    """
    return aiohttp.ClientSession(
        trust_env=True,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers=ACCEPTED,
        response_class=_TablesResponse if lists else _AzureResponse,
    )


class _Stream(httpx.AsyncByteStream):
    """The body of an answer of httpx, decompressed."""

    def __init__(self, response: httpx.Response, stream: httpx.AsyncByteStream, body: Body) -> None:
        self._request = response.request
        self._stream = stream
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
                for piece in self._body.pieces(chunk):
                    yield piece
        except zlib.error as error:
            raise httpx.DecodingError(str(error), request=self._request) from error

    async def aclose(self) -> None:
        await self._stream.aclose()


async def bound(response: httpx.Response) -> None:
    """Let an answer of httpx end where it is too long, with AnswerTooLongError: a hook for responses.

    Where a redirect leads is left out: nobody follows it, and httpx fails on what is no address.
    """
    response.headers.pop("Location", None)
    if isinstance(response.stream, httpx.AsyncByteStream):
        body = Body(response.headers.pop("Content-Encoding", None), GRAPH_BYTES)
        response.stream = _Stream(response, response.stream, body)
