"""What goes wrong on demand, for `Server.fail`: each function makes one fault.

The rows of the fault table in Graph's documentation and of what the SDK was seen to do are all here; what only an
answer of Graph's can show (pages, links, items) rewrites the healthy answer.
"""

import asyncio
import base64
import inspect
import json
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import Any, Final

from aiohttp import web

from simulator import graph
from simulator.server import Answer, Fault

_CODES: Final = {
    401: ("InvalidAuthenticationToken", "Lifetime validation failed, the token is expired."),
    403: ("Forbidden", "Access is denied."),
    404: ("NotFound", "The requested resource does not exist."),
    429: ("TooManyRequests", "Too many requests."),
    500: ("InternalServerError", "An internal server error has occurred."),
    502: ("BadGateway", "The gateway received an invalid answer."),
    503: ("ServiceUnavailable", "The service is temporarily unavailable."),
    504: ("GatewayTimeout", "The gateway timed out."),
}

type Page = dict[str, Any]


def reply(answer: Callable[[web.Request], web.StreamResponse | Awaitable[web.StreamResponse]]) -> Fault:
    """Whatever `answer` makes of the request, in the service's stead."""

    async def fault(request: web.Request, _answer: Answer) -> web.StreamResponse:
        made = answer(request)
        return await made if inspect.isawaitable(made) else made

    return fault


def status(
    code: int, *, retry_after: float | datetime | None = None, error: str | None = None, message: str | None = None
) -> Fault:
    """An error in Graph's shape; `retry_after` in seconds or as an instant."""
    usual = _CODES.get(code, ("UnknownError", f"Status {code}."))
    headers = {} if retry_after is None else {"Retry-After": _retry_after(retry_after)}
    return reply(lambda _: graph.error(code, error or usual[0], message or usual[1], headers=headers))


def table_status(code: int, error: str = "ServerBusy", message: str = "The server is busy.") -> Fault:
    """An error in Table Storage's shape, such as 503 `ServerBusy` or 403 `AuthorizationPermissionMismatch`."""
    body = {"odata.error": {"code": error, "message": {"lang": "en-US", "value": message}}}
    return reply(lambda _: web.json_response(body, status=code, headers={"x-ms-error-code": error}))


def claims_challenge() -> Fault:
    """401 that asks for a new token with claims (continuous access evaluation)."""
    not_before = int((datetime.now(UTC) - timedelta(minutes=1)).timestamp())
    wanted = {"access_token": {"nbf": {"essential": True, "value": str(not_before)}}}
    claims = base64.b64encode(json.dumps(wanted).encode()).decode()
    challenge = (
        'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
        f'error="insufficient_claims", claims="{claims}"'
    )
    message = "Continuous access evaluation resulted in challenge."
    headers = {"WWW-Authenticate": challenge}
    return reply(lambda _: graph.error(401, "InvalidAuthenticationToken", message, headers=headers))


def missing_role() -> Fault:
    """403 as Intune words it."""
    return reply(lambda _: graph.missing_role())


def text(code: int, body: str = "", content_type: str = "text/html") -> Fault:
    """`body` as it is: HTML of a gateway, or nothing at all."""
    return reply(lambda _: web.Response(status=code, text=body, content_type=content_type))


def html(code: int) -> Fault:
    """A page of HTML with that status."""
    return text(
        code, "<html><head><title>Sorry</title></head><body><h1>Our services aren't available</h1></body></html>"
    )


def empty(code: int) -> Fault:
    """A status and nothing else; 204 and 200 included."""
    return reply(lambda _: web.Response(status=code))


def broken_json() -> Fault:
    """200 whose JSON ends in the middle."""
    return text(200, '{"value": [{"id": "', "application/json")


def redirect(to: str, code: int = 302) -> Fault:
    """A redirect to that address."""
    return reply(lambda _: web.Response(status=code, headers={"Location": to}))


def delay(seconds: float) -> Fault:
    """The healthy answer, later."""

    async def fault(_request: web.Request, answer: Answer) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await answer()

    return fault


def trickle(interval: float = 0.2) -> Fault:
    """A body that never ends: one byte of whitespace every `interval` seconds, until somebody hangs up."""

    async def fault(request: web.Request, _answer: Answer) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while request.transport is not None and not request.transport.is_closing():
            await response.write(b" ")
            await asyncio.sleep(interval)
        return response

    return fault


def streamed(chunks: Callable[[], Iterable[bytes]], *, encoding: str | None = None) -> Fault:
    """200 with a body of these chunks, for as long as somebody reads on."""

    async def fault(request: web.Request, _answer: Answer) -> web.StreamResponse:
        headers = {"Content-Type": "application/json", **({"Content-Encoding": encoding} if encoding else {})}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        for chunk in chunks():
            if request.transport is None or request.transport.is_closing():
                break
            await response.write(chunk)
            await asyncio.sleep(0)  # a write to a broken connection neither fails nor waits
        return response

    return fault


def endless() -> Fault:
    """An endless body of whitespace."""
    return streamed(lambda: repeat(b" " * 64 * 1024))


def zipped(mib: int, of: bytes = b" ", start: bytes = b"") -> Fault:
    """`start`, and so many MiB of the same bytes, by default whitespace; compressed to a thousandth."""

    def chunks() -> Iterator[bytes]:
        compressor = zlib.compressobj(1, wbits=16 + zlib.MAX_WBITS)
        yield compressor.compress(start)
        for _ in range(mib):
            yield compressor.compress(of * (1024 * 1024 // len(of)))
        yield compressor.flush()

    return streamed(lambda: filter(None, chunks()), encoding="gzip")


def dropped() -> Fault:
    """The connection ends without an answer, and the request is not carried out."""

    async def fault(request: web.Request, _answer: Answer) -> web.StreamResponse:
        return _hang_up(request)

    return fault


def carried_out_then(fault: Fault) -> Fault:
    """The request is carried out, and its answer replaced by what `fault` does."""

    async def after(request: web.Request, answer: Answer) -> web.StreamResponse:
        await answer()
        return await fault(request, answer)

    return after


def cut_off() -> Fault:
    """Half of the healthy answer's body, and then the connection ends."""

    async def fault(request: web.Request, answer: Answer) -> web.StreamResponse:
        whole = await answer()
        body = whole.body if isinstance(whole, web.Response) and isinstance(whole.body, bytes) else b"  "
        part = web.StreamResponse(status=whole.status, headers={"Content-Type": whole.content_type})
        part.content_length = len(body)
        await part.prepare(request)
        await part.write(body[: len(body) // 2])
        if request.transport is not None:
            request.transport.close()
        return part

    return fault


def calling(hook: Callable[[], object], then: Fault | None = None) -> Fault:
    """Calls `hook` (say, to kill the worker), and goes on with `then`, or with the healthy answer."""

    async def fault(request: web.Request, answer: Answer) -> web.StreamResponse:
        hook()
        return await answer() if then is None else await then(request, answer)

    return fault


def rewritten(change: Callable[[Page], object]) -> Fault:
    """The healthy answer with its JSON changed: `change` edits the object, or returns its replacement."""

    async def fault(_request: web.Request, answer: Answer) -> web.StreamResponse:
        whole = await answer()
        if not isinstance(whole, web.Response) or not isinstance(whole.body, bytes):
            return whole
        page = json.loads(whole.body)
        replaced = change(page)
        return graph.reply(page if replaced is None else replaced, status=whole.status)

    return fault


def next_link(link: str) -> Fault:
    """A page whose nextLink is `link`: a foreign host's, or one that was there before."""
    return rewritten(lambda page: page.update({"@odata.nextLink": link}))


def next_link_loop() -> Fault:
    """Every page names itself as the next one."""

    async def fault(request: web.Request, answer: Answer) -> web.StreamResponse:
        return await next_link(str(request.url))(request, answer)

    return fault


def value_is(value: object) -> Fault:
    """A page whose `value` is that: no list, or a list of whatever."""
    return rewritten(lambda page: {**page, "value": value})


def item_is(item: object) -> Fault:
    """A page whose first item is that: no object, say."""
    return rewritten(lambda page: {**page, "value": [item, *page["value"][1:]]})


def item_without_id() -> Fault:
    """A page whose first item has no id."""
    return rewritten(lambda page: page["value"][0].pop("id") and None)


def _hang_up(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=499)  # reaches nobody; the recording shows it


def _retry_after(value: float | datetime) -> str:
    return f"{value:%a, %d %b %Y %H:%M:%S GMT}" if isinstance(value, datetime) else str(value)
