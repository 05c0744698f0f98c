"""Microsoft Graph over the SDK's transport, authentication and retries: one address in, checked bytes or pages out.

Bodies are decoded here and not by the SDK's generated models, whose first use imports thousands of modules (measured:
2.3 s and 33 MiB). Paging is by hand, because the SDK's iterator stops at an empty page, has no guard against a loop,
and follows a nextLink to any host. This module knows no connector.
"""

import base64
import binascii
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final, NamedTuple, cast

import httpx
import msgspec
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError
from kiota_abstractions.api_error import APIError
from kiota_abstractions.method import Method
from kiota_abstractions.native_response_handler import NativeResponseHandler
from kiota_abstractions.request_information import RequestInformation
from kiota_http.middleware.options import ResponseHandlerOption
from msgraph.graph_request_adapter import GraphRequestAdapter

from shared.text import bounded

MOST_PAGES: Final = 10_000
"""A list longer than this is none that Graph sends: 200,000 devices at 100 a page are 2,000 pages."""


class GraphError(Exception):
    """A request that did not bring what was asked for; `remedy` says what a person can do about it."""

    def __init__(  # one for each thing that Graph may have told
        self,
        asked: str,
        reason: str,
        remedy: str,
        *,
        status: int | None = None,
        code: str | None = None,
        message: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(f"{asked}: {reason}")
        self.asked = asked
        self.reason = reason
        self.remedy = remedy
        self.status = status
        self.code = code
        self.message = message
        self.request_id = request_id


class Claims(NamedTuple):
    """What the token in use says of itself."""

    roles: frozenset[str]
    expires_on: datetime


class _InnerError(msgspec.Struct):
    request_id: str | None = msgspec.field(name="request-id", default=None)


class _ErrorBody(msgspec.Struct):
    code: str | None = None
    message: str | None = None
    inner_error: _InnerError | None = msgspec.field(name="innerError", default=None)


class _ErrorResponse(msgspec.Struct):
    error: _ErrorBody


class _Page(msgspec.Struct):
    value: list[msgspec.Raw]
    next_link: str | None = msgspec.field(name="@odata.nextLink", default=None)


class _Payload(msgspec.Struct):
    exp: float
    roles: list[str] = []


_NOTHING_TO_DO: Final = "The next check asks again; if it lasts, see the service health of Microsoft 365."
_NETWORK: Final = "Check that the app may reach Graph (firewall, DNS, GRAPH_ENDPOINT); the next check asks again."
_IDENTITY: Final = "Check that the app has its managed identity and that AZURE_CLIENT_ID names it."
_REPORT: Final = "Nothing was taken over. If it lasts, something stands between the app and Graph, or Graph changed."


class Graph:
    """Reads addresses below one root, with the app's own sign-in."""

    def __init__(self, adapter: GraphRequestAdapter, credential: AsyncTokenCredential, scope: str) -> None:
        self._adapter = adapter
        self._credential = credential
        self._scope = scope
        self._root = httpx.URL(adapter.base_url)

    async def get(self, path: str) -> bytes:
        """The body of `path` (below the root, with its query).

        Raises:
            GraphError: for every answer but a 200 with a body, and where no answer came.

        """
        return await self._get(f"{self._root}{path}", f"GET {path.partition('?')[0]}")

    async def pages(self, path: str) -> AsyncIterator[list[msgspec.Raw]]:
        """The items of a list, page by page, each still encoded.

        Raises:
            GraphError: where a page is missing, is no object with a list `value`, names a next page outside the root,
                or one that was there before. Pages given until then are a part, never the whole.

        """
        asked = f"GET {path.partition('?')[0]}"
        url: str | None = f"{self._root}{path}"
        seen = set[str]()
        while url is not None:
            seen.add(url)
            page = decoded(await self._get(url, asked), _Page, asked)
            yield page.value
            url = page.next_link
            if url in seen or len(seen) >= MOST_PAGES:
                raise GraphError(asked, "its pages go round in a circle or do not end", _REPORT)
            if url is not None and not self._below_root(url):
                reason = f"its next page lies elsewhere, at {_host(url)}, and was not asked for"
                raise GraphError(asked, reason, _REPORT)

    async def claims(self) -> Claims | None:
        """What the token in use says; None where there is none or it cannot be read."""
        try:
            token = (await self._credential.get_token(self._scope)).token
            payload = token.split(".")[1]
            decoded = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
            claims = msgspec.json.decode(decoded, type=_Payload)
            return Claims(frozenset(claims.roles), datetime.fromtimestamp(claims.exp, UTC))
        except (AzureError, IndexError, ValueError, OverflowError, OSError):
            return None

    async def _get(self, url: str, asked: str) -> bytes:
        request = RequestInformation(Method.GET)
        request.url = url
        request.headers.add("Accept", "application/json")
        request.add_request_options(
            # The response itself, since the SDK takes a redirect that it may not follow for a success.
            [ResponseHandlerOption(NativeResponseHandler())]
        )
        try:
            answer = await self._adapter.send_primitive_async(request, "bytes", {})
        except ClientAuthenticationError as error:
            raise GraphError(asked, f"no sign-in: {bounded(str(error))}", _IDENTITY) from error
        except AzureError as error:
            raise GraphError(
                asked, f"the identity's endpoint did not answer: {bounded(str(error))}", _IDENTITY
            ) from error
        except httpx.TimeoutException as error:
            raise GraphError(asked, f"no answer in time ({type(error).__name__})", _NETWORK) from error
        except httpx.HTTPError as error:
            raise GraphError(
                asked, f"the connection failed ({type(error).__name__}: {bounded(str(error))})", _NETWORK
            ) from error
        except (APIError, binascii.Error, UnicodeDecodeError, httpx.InvalidURL) as error:
            raise GraphError(asked, f"the SDK refused the answer ({type(error).__name__})", _REPORT) from error
        response = cast("httpx.Response", answer)
        if response.status_code != httpx.codes.OK:
            raise _refused(response, asked)
        if not response.content:
            raise GraphError(asked, "the answer was empty", _REPORT, status=response.status_code)
        return response.content

    def _below_root(self, url: str) -> bool:
        try:
            target = httpx.URL(url)
        except httpx.InvalidURL:
            return False
        here = self._root
        same = (target.scheme, target.host, target.port) == (here.scheme, here.host, here.port)
        return same and not target.userinfo


def decoded[T](body: bytes, kind: type[T], asked: str) -> T:
    """`body` as JSON of that shape.

    Raises:
        GraphError: where it is none.

    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        start = bounded(body[:60].decode("utf-8", "replace"))
        raise GraphError(asked, f"the answer is not what Graph documents ({error}): {start!r}", _REPORT) from error


def _host(url: str) -> str:
    """Scheme and host of an address that may be malformed; never its query, which can hold anything."""
    return bounded(re.split(r"[?#]", url)[0], 100) or "an empty address"


def _refused(response: httpx.Response, asked: str) -> GraphError:
    """An answer other than 200, with what Graph said of it."""
    try:
        body = msgspec.json.decode(response.content, type=_ErrorResponse).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        body = _ErrorBody()
    inner = body.inner_error.request_id if body.inner_error else None
    request_id = inner or response.headers.get("request-id")
    status = response.status_code
    return GraphError(
        asked,
        _reason(status, response.headers.get("retry-after")),
        _REPORT if status < 400 else _NOTHING_TO_DO,
        status=status,
        code=body.code and bounded(body.code, 100),
        message=body.message and bounded(body.message),
        request_id=request_id and bounded(request_id, 100),
    )


_REASONS: Final = {
    401: "Graph did not accept the app's sign-in",
    403: "Graph refused the app",
    404: "Graph does not know it",
    429: "Graph throttled the app",
}


def _reason(status: int, retry_after: str | None) -> str:
    if 300 <= status < 400:
        return "Graph answered with a redirect, which was not followed"
    reason = _REASONS.get(status) or ("Graph failed" if status >= 500 else "Graph did not answer as documented")
    wait = f", asking to wait until or for {bounded(retry_after, 40)}" if retry_after else ""
    return f"{reason}{wait}"
