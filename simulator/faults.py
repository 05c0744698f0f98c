"""Makes faults for `Server.fail`: each function returns one.

They are the faults that Graph documents and those that were observed with the SDK. A fault in a page, a link, or an
item rewrites Graph's healthy answer.
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
    """Return a fault that replaces the service's answer with that of `answer`."""

    async def fault(request: web.Request, _answer: Answer) -> web.StreamResponse:
        response = answer(request)
        return await response if inspect.isawaitable(response) else response

    return fault


def status(
    code: int, *, retry_after: float | datetime | None = None, error: str | None = None, message: str | None = None
) -> Fault:
    """Answer with an error in Graph's format; `retry_after` is in seconds or an instant."""
    usual = _CODES.get(code, ("UnknownError", f"Status {code}."))
    headers = {} if retry_after is None else {"Retry-After": _retry_after(retry_after)}
    return reply(lambda _: graph.error(code, error or usual[0], message or usual[1], headers=headers))


def table_status(code: int, error: str = "ServerBusy", message: str = "The server is busy.") -> Fault:
    """Answer with Table Storage's error, such as 503 `ServerBusy` or 403 `AuthorizationPermissionMismatch`."""
    body = {"odata.error": {"code": error, "message": {"lang": "en-US", "value": message}}}
    return reply(lambda _: web.json_response(body, status=code, headers={"x-ms-error-code": error}))


def claims_challenge() -> Fault:
    """Answer with 401 and a claims challenge, which asks for a new token (continuous access evaluation)."""
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
    """Answer with 403 in Intune's words."""
    return reply(lambda _: graph.missing_role())


def text(code: int, body: str = "", content_type: str = "text/html") -> Fault:
    """Answer with `body` unchanged, such as the HTML of a gateway or an empty text."""
    return reply(lambda _: web.Response(status=code, text=body, content_type=content_type))


def html(code: int) -> Fault:
    """Answer with a page of HTML and that status."""
    return text(
        code, "<html><head><title>Sorry</title></head><body><h1>Our services aren't available</h1></body></html>"
    )


def empty(code: int) -> Fault:
    """Answer with a status and an empty body; 200 and 204 are possible, too."""
    return reply(lambda _: web.Response(status=code))


def broken_json() -> Fault:
    """Answer with 200 and truncated JSON."""
    return text(200, '{"value": [{"id": "', "application/json")


def redirect(to: str, code: int = 302) -> Fault:
    """Redirect to that address."""
    return reply(lambda _: web.Response(status=code, headers={"Location": to}))


def delay(seconds: float) -> Fault:
    """Delay the healthy answer."""

    async def fault(_request: web.Request, answer: Answer) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await answer()

    return fault


def trickle(interval: float = 0.2) -> Fault:
    """Send one byte of whitespace every `interval` seconds, until the client disconnects."""

    async def fault(request: web.Request, _answer: Answer) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while request.transport is not None and not request.transport.is_closing():
            await response.write(b" ")
            await asyncio.sleep(interval)
        return response

    return fault


def streamed(chunks: Callable[[], Iterable[bytes]], *, encoding: str | None = None) -> Fault:
    """Answer with 200 and a body of these chunks, until the client disconnects."""

    async def fault(request: web.Request, _answer: Answer) -> web.StreamResponse:
        headers = {"Content-Type": "application/json", **({"Content-Encoding": encoding} if encoding else {})}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        for chunk in chunks():
            if request.transport is None or request.transport.is_closing():
                break
            await response.write(chunk)
            await asyncio.sleep(0)  # a write to a broken connection doesn't fail and doesn't wait
        return response

    return fault


def endless() -> Fault:
    """Send an endless body of whitespace."""
    return streamed(lambda: repeat(b" " * 64 * 1024))


def zipped(mib: int, of: bytes = b" ", start: bytes = b"") -> Fault:
    """Send `start` and `mib` MiB of the same bytes, by default whitespace, compressed to a thousandth."""

    def chunks() -> Iterator[bytes]:
        compressor = zlib.compressobj(1, wbits=16 + zlib.MAX_WBITS)
        yield compressor.compress(start)
        for _ in range(mib):
            yield compressor.compress(of * (1024 * 1024 // len(of)))
        yield compressor.flush()

    return streamed(lambda: filter(None, chunks()), encoding="gzip")


def dropped() -> Fault:
    """Close the connection without an answer and without carrying out the request."""

    async def fault(request: web.Request, _answer: Answer) -> web.StreamResponse:
        return _hang_up(request)

    return fault


def carried_out_then(fault: Fault) -> Fault:
    """Carry out the request, and replace its answer by `fault`."""

    async def after(request: web.Request, answer: Answer) -> web.StreamResponse:
        await answer()
        return await fault(request, answer)

    return after


def cut_off() -> Fault:
    """Close the connection after half of the healthy answer's body."""

    async def fault(request: web.Request, answer: Answer) -> web.StreamResponse:
        healthy = await answer()
        body = healthy.body if isinstance(healthy, web.Response) and isinstance(healthy.body, bytes) else b"  "
        part = web.StreamResponse(status=healthy.status, headers={"Content-Type": healthy.content_type})
        part.content_length = len(body)
        await part.prepare(request)
        await part.write(body[: len(body) // 2])
        if request.transport is not None:
            request.transport.close()
        return part

    return fault


def calling(hook: Callable[[], object], then: Fault | None = None) -> Fault:
    """Call `hook`, for example to kill the worker, and continue with `then`, by default the healthy answer."""

    async def fault(request: web.Request, answer: Answer) -> web.StreamResponse:
        hook()
        return await answer() if then is None else await then(request, answer)

    return fault


def rewritten(change: Callable[[Page], object]) -> Fault:
    """Change the JSON of the healthy answer: `change` edits the object or returns its replacement."""

    async def fault(_request: web.Request, answer: Answer) -> web.StreamResponse:
        healthy = await answer()
        if not isinstance(healthy, web.Response) or not isinstance(healthy.body, bytes):
            return healthy
        page = json.loads(healthy.body)
        replaced = change(page)
        return graph.reply(page if replaced is None else replaced, status=healthy.status)

    return fault


def next_link(link: str) -> Fault:
    """Answer with a page whose nextLink is `link`, for example a foreign host's or a repeated one."""
    return rewritten(lambda page: page.update({"@odata.nextLink": link}))


def next_link_loop() -> Fault:
    """Make every page name itself as the next one."""

    async def fault(request: web.Request, answer: Answer) -> web.StreamResponse:
        return await next_link(str(request.url))(request, answer)

    return fault


def value_is(value: object) -> Fault:
    """Replace `value` of a page by any JSON value."""
    return rewritten(lambda page: {**page, "value": value})


def item_is(item: object) -> Fault:
    """Replace the first item of a page by any JSON value."""
    return rewritten(lambda page: {**page, "value": [item, *page["value"][1:]]})


def item_without_id() -> Fault:
    """Remove the ID of a page's first item."""
    return rewritten(lambda page: page["value"][0].pop("id") and None)


def _hang_up(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=499)  # never sent; only the recording shows it


def _retry_after(value: float | datetime) -> str:
    return f"{value:%a, %d %b %Y %H:%M:%S GMT}" if isinstance(value, datetime) else str(value)
