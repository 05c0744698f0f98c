"""Serves HTTP/2 with aiohttp's handlers, which support only HTTP/1.1: each stream has its own handler, in memory.

A client that does not negotiate HTTP/2 connects to a handler directly. A handler's output becomes frames as far as the
client's windows allow; a handler that closes its connection before its answer is complete resets the stream.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import h11
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset, WindowUpdated
from h2.exceptions import ProtocolError

ALPN: Final = ("h2", "http/1.1")

_MOST_BUFFERED: Final = 1024 * 1024
"""Bytes of a stream waiting for the client at which its handler has to wait, too."""

_OF_THE_CONNECTION: Final = frozenset({b"connection", b"keep-alive", b"transfer-encoding"})
"""Headers that HTTP/2 does not have. RFC 9113, section 8.2.2."""


class Http2(asyncio.Protocol):
    """A connection; it is in `connections` while it is open."""

    def __init__(self, handlers: Callable[[], asyncio.Protocol], connections: set["Http2"]) -> None:
        self.transport: asyncio.Transport
        self.h2 = H2Connection(H2Configuration(client_side=False))
        self.handlers = handlers
        self._connections = connections
        self._streams: dict[int, _Stream] = {}
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Pass a connection without HTTP/2 to a handler."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (asyncio's own)
        self.transport = transport
        if transport.get_extra_info("ssl_object").selected_alpn_protocol() != ALPN[0]:
            handler = self.handlers()
            transport.set_protocol(handler)
            handler.connection_made(transport)
            return
        self._connections.add(self)
        self.h2.initiate_connection()
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the error to every stream."""
        self._connections.discard(self)
        for stream in list(self._streams.values()):
            stream.lost(exc)

    def data_received(self, data: bytes) -> None:
        """Process the client's frames."""
        try:
            for event in self.h2.receive_data(data):
                self._received(event)
        except ProtocolError:
            self.transport.write(self.h2.data_to_send())
            self.transport.close()
            return
        self.flush()

    def pause_writing(self) -> None:
        """Keep all frames until the socket accepts more."""
        self._paused = True

    def resume_writing(self) -> None:
        """Send the frames that were kept."""
        self._paused = False
        self.flush()

    def flush(self) -> None:
        """Send as much as the client accepts."""
        for stream in list(self._streams.values()):
            if self._paused:
                break
            stream.flush()
        if not self.transport.is_closing():
            self.transport.write(self.h2.data_to_send())

    def forget(self, number: int) -> None:
        """Remove a stream that has ended."""
        self._streams.pop(number, None)

    def _received(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            self._streams[event.stream_id] = _Stream(self, event.stream_id, event.headers or [])
        elif isinstance(event, DataReceived):
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self._streams[event.stream_id].body += event.data
        elif isinstance(event, StreamEnded):
            self._streams[event.stream_id].begin()
        elif isinstance(event, StreamReset) and (stream := self._streams.get(event.stream_id)):
            stream.lost(ConnectionResetError("The client reset the stream."))
        elif isinstance(event, WindowUpdated):
            pass  # every event is followed by a flush


class _Stream(asyncio.Transport):
    """A request and its answer, which the handler sees as a connection with one request."""

    def __init__(self, connection: Http2, number: int, headers: list[tuple[bytes, bytes]]) -> None:
        super().__init__()
        self.body = b""
        self._connection = connection
        self._number = number
        self._headers = headers
        self._handler = connection.handlers()
        self._h11 = h11.Connection(h11.CLIENT)
        self._waiting = bytearray()
        self._handler_waits = False
        self._answered = False
        self._over = False

    def begin(self) -> None:
        """Pass the complete request to the handler."""
        pseudo = {name: value for name, value in self._headers if name.startswith(b":")}
        headers = [(b"host", pseudo[b":authority"]), (b"connection", b"close")]
        headers += [pair for pair in self._headers if not pair[0].startswith(b":")]
        if self.body and not any(name == b"content-length" for name, _ in headers):
            headers.append((b"content-length", b"%d" % len(self.body)))
        request = h11.Request(method=pseudo[b":method"], target=pseudo[b":path"], headers=headers)
        parts = [self._h11.send(request), self._h11.send(h11.Data(self.body)), self._h11.send(h11.EndOfMessage())]
        self._handler.connection_made(self)
        self._handler.data_received(b"".join(part or b"" for part in parts))

    def flush(self) -> None:
        """Make frames of the waiting bytes, as far as the windows of the stream and the connection allow."""
        h2 = self._connection.h2
        while not self._over and self._waiting:
            size = min(h2.local_flow_control_window(self._number), h2.max_outbound_frame_size, len(self._waiting))
            if size <= 0:
                break
            h2.send_data(self._number, bytes(self._waiting[:size]))
            del self._waiting[:size]
        if self._handler_waits and len(self._waiting) < _MOST_BUFFERED:
            self._handler_waits = False
            self._handler.resume_writing()
        if self._answered and not self._waiting and not self._over:
            h2.end_stream(self._number)
            self.lost(None)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._over:
            return
        self._h11.receive_data(bytes(data))
        while not self._answered and isinstance(event := self._h11.next_event(), h11.Event):
            self._answer(event)
        self._connection.flush()
        if len(self._waiting) >= _MOST_BUFFERED and not self._handler_waits:
            self._handler_waits = True
            self._handler.pause_writing()

    def is_closing(self) -> bool:
        return self._over

    def close(self) -> None:
        """End the stream: after its complete answer, or by a reset."""
        if not self._answered:
            self.abort()

    def abort(self) -> None:
        if not self._over:
            self._connection.h2.reset_stream(self._number, ErrorCodes.INTERNAL_ERROR)
            self.lost(None)
            self._connection.flush()

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 (the base's)
        return None if name == "socket" else self._connection.transport.get_extra_info(name, default)

    def lost(self, error: Exception | None) -> None:
        """End the stream, and pass the error to the handler."""
        if not self._over:
            self._over = True
            self._connection.forget(self._number)
            asyncio.get_running_loop().call_soon(self._handler.connection_lost, error)

    def _answer(self, event: object) -> None:
        if isinstance(event, h11.Response):
            headers = [pair for pair in event.headers if pair[0] not in _OF_THE_CONNECTION]
            status = (b":status", b"%d" % event.status_code)
            self._connection.h2.send_headers(self._number, [status, *headers])
        elif isinstance(event, h11.Data):
            self._waiting += event.data
        elif isinstance(event, h11.EndOfMessage):
            self._answered = True
