"""Limits how much of an answer is read, because a longer one could take all memory.

Bytes count when they arrive and when they are decompressed, because a compressed MiB can contain a GiB.
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
"""The number of rows in a page of Table Storage, whose own default is 1,000."""
LIST_BYTES: Final = 16 * _MIB
"""For a page of Table Storage: `PAGE_ROWS`, each with one column of up to 64 KiB. With one character beyond the first
65,536, azure-core stores the page in four bytes for each character, twice."""
GRAPH_BYTES: Final = 8 * _MIB
"""For an answer of Graph: a page of 1,000 devices has 1 MiB. An inspection reads sixteen tokens in parallel."""
OTHER_BYTES: Final = _MIB
"""For the identity, Logs Ingestion, and the answers of Table Storage to changes."""

VALUES: Final = 1_000_000
"""The values of any answer, counted by commas: each takes about 100 bytes. A page of rows has up to 100,000."""
SECONDS: Final = 120.0
"""For the body of an answer to azure-core, whose own limit doesn't end a slow body."""

ACCEPTED: Final = {"Accept-Encoding": "gzip"}
"""The header of requests: the encoding that this module decompresses."""

_PIECE: Final = 64 * 1024
_WINDOWS: Final = {"gzip": 16 + zlib.MAX_WBITS, "deflate": -zlib.MAX_WBITS}
"""By `Content-Encoding`, like azure-core."""


class AnswerTooLongError(ClientAuthenticationError):
    """Reports an answer that was not read to its end. After any other error, azure-core repeats the request."""

    def __init__(self, how: str) -> None:
        super().__init__(message=f"the answer {how}, and was not read to its end")


class Body:
    """Decompresses the body of an answer and checks its limits."""

    def __init__(self, encoding: str | None, most: int) -> None:
        """Take the value of `Content-Encoding`, and the limit in bytes; AnswerTooLongError for another encoding."""
        named = (encoding or "identity").strip().lower()
        if named not in {"identity", *_WINDOWS}:
            raise AnswerTooLongError(f"is encoded as {bounded(named, 40)!r}")
        self._inflater = None if named == "identity" else zlib.decompressobj(_WINDOWS[named])
        self._most = most
        self._arrived = 0
        self._inflated = 0
        self._values = 0

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """Yield a chunk of the body, decompressed, in small pieces.

        An AnswerTooLongError means that the body exceeds a limit; a zlib.error, that it cannot be decompressed.
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
    """An answer to azure-core, which decompresses the whole body itself."""

    lists = False

    async def read(self) -> bytes:
        """Return the compressed body; AnswerTooLongError if it exceeds a limit of size or time."""
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
            most = LIST_BYTES if self.lists and self.method == "GET" else OTHER_BYTES
            body = Body(self.headers.get("Content-Encoding"), most)
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
        """Close the connection without TLS's closing handshake, which waits for the rest of the body."""
        if self.connection and self.connection.transport:
            self.connection.transport.abort()
        self.close()


class _TablesResponse(_AzureResponse):
    """An answer of Table Storage."""

    lists = True


def azure_session(*, lists: bool = False) -> aiohttp.ClientSession:
    """Return a session for azure-core's transport, like the SDK's own but with limits; `lists` for Table Storage."""
    return aiohttp.ClientSession(
        trust_env=True,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers=ACCEPTED,
        response_class=_TablesResponse if lists else _AzureResponse,
    )


class _Stream(httpx.AsyncByteStream):
    """The decompressed body of an answer of httpx."""

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
    """Limit an answer of httpx, which ends with AnswerTooLongError: a hook for responses.

    The address of a redirect is removed: it is not followed, and httpx fails if it is malformed.
    """
    response.headers.pop("Location", None)
    if isinstance(response.stream, httpx.AsyncByteStream):
        body = Body(response.headers.pop("Content-Encoding", None), GRAPH_BYTES)
        response.stream = _Stream(response, response.stream, body)
