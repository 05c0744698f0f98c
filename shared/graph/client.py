"""Sends requests to Microsoft Graph through the SDK's transport, sign-in, and retries, and checks the answers.

`shared.graph.pages` decodes the bodies, because the first use of the SDK's generated models imports thousands of
modules (measured: 2.3 s and 33 MiB).
"""

import binascii
import re
from collections.abc import AsyncIterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Final, cast

import httpx
import msgspec
from azure.core.exceptions import AzureError, ClientAuthenticationError
from kiota_abstractions.api_error import APIError
from kiota_abstractions.method import Method
from kiota_abstractions.native_response_handler import NativeResponseHandler
from kiota_abstractions.request_information import RequestInformation
from kiota_http.middleware.options import ResponseHandlerOption, RetryHandlerOption
from msgraph.graph_request_adapter import GraphRequestAdapter

from shared.graph.credential import GraphCredential
from shared.graph.pages import REPORT, GraphError, Pages, encoded
from shared.graph.refusals import explanation, refusal
from shared.http.answers import AnswerTooLongError
from shared.model.runs import GraphToken
from shared.text import bounded

_ERROR: Final = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*"error"\s*:', re.IGNORECASE)
"""The beginning of an error, which can come with any status."""

_NOTHING_TO_DO: Final = "The next run asks again; if it lasts, see the service health of Microsoft 365."
_NETWORK: Final = "Check that the app may reach Graph (firewall, DNS, GRAPH_ENDPOINT); the next run asks again."
_IDENTITY: Final = "Check that the app has its managed identity and that AZURE_CLIENT_ID names it."


class Graph:
    """Reads addresses below Graph's root. A method raises GraphError for any answer but a 200 with a body."""

    def __init__(self, adapter: GraphRequestAdapter, credential: GraphCredential) -> None:
        self._adapter = adapter
        self._credential = credential
        self._root = httpx.URL(adapter.base_url)

    async def get(self, path: str, *, repeats: bool = True) -> bytes:
        """Return the body of `path`; without `repeats`, the SDK does not repeat a throttled request."""
        return await self._get(f"{self._root}{path}", f"GET {path.partition('?')[0]}", repeats=repeats)

    async def pages(self, path: str) -> AsyncIterator[list[msgspec.Raw]]:
        """Yield the encoded items of a list, page by page. After an error, the pages are a part of the list."""
        pages = self.listing(path)
        while pages.position is not None:
            yield await pages.next(encoded)

    def listing(self, path: str, *, position: str | None = None, number: int = 0, repeats: bool = True) -> Pages:
        """Return a list to read page by page, from `position` on after `number` pages; `repeats` is that of `get`."""
        return Pages(partial(self._get, repeats=repeats), self._root, path, position, number)

    @property
    def token(self) -> GraphToken | None:
        """Return the access token in use; None without one, for a person's, and if it cannot be read."""
        return self._credential.token

    @property
    def by_person(self) -> bool:
        """Return whether a person signed in."""
        return self._credential.by_person

    async def _get(self, url: str, asked: str, *, repeats: bool = True) -> bytes:
        request = RequestInformation(Method.GET)
        request.url = url
        request.headers.add("Accept", "application/json")
        # Return the response itself, because the SDK treats a redirect that it may not follow as a success.
        request.add_request_options([ResponseHandlerOption(NativeResponseHandler())])
        if not repeats:
            request.add_request_options([RetryHandlerOption(should_retry=False)])
        try:
            answer = await self._adapter.send_primitive_async(request, "bytes", {})
        except AnswerTooLongError as error:
            raise GraphError(asked, error.message, REPORT) from error
        except ClientAuthenticationError as error:
            raise GraphError(asked, f"no sign-in: {_line(error)}", _IDENTITY) from error
        except AzureError as error:
            raise GraphError(asked, f"the identity's endpoint did not answer: {_line(error)}", _IDENTITY) from error
        except httpx.TimeoutException as error:
            raise GraphError(asked, f"no answer in time ({type(error).__name__})", _NETWORK) from error
        except httpx.HTTPError as error:
            raise GraphError(
                asked, f"the connection failed ({type(error).__name__}: {bounded(str(error))})", _NETWORK
            ) from error
        except (APIError, binascii.Error, UnicodeDecodeError, httpx.InvalidURL) as error:
            raise GraphError(asked, f"the SDK refused the answer ({type(error).__name__})", REPORT) from error
        response = cast("httpx.Response", answer)
        # A response and its stream refer to each other, which would keep every page until a garbage collection.
        response.stream = httpx.ByteStream(b"")
        if response.status_code != httpx.codes.OK or _ERROR.match(response.content):
            raise _refused(response, asked)
        if not response.content:
            raise GraphError(asked, "the answer was empty", REPORT, status=response.status_code)
        return response.content


def _line(error: AzureError) -> str:
    """Return a sign-in error in one line; a chain of credentials has one line for each."""
    return bounded(" ".join(str(error).split()))


def _refused(response: httpx.Response, asked: str) -> GraphError:
    """Return an answer as an error."""
    status, retry_after = response.status_code, response.headers.get("retry-after")
    said = explanation(response.content)
    known = refusal(status, said)
    request_id = said.request_id or response.headers.get("request-id")
    return GraphError(
        asked,
        _reason(status, retry_after, known=known is not None),
        (known and known.remedy) or (REPORT if status < 400 else _NOTHING_TO_DO),
        by_roles=known is not None and known.remedy is None,
        status=status,
        code=said.code,
        message=said.message,
        request_id=request_id and bounded(request_id, 100),
        retry_after=retry_after and _seconds(retry_after),
    )


def _seconds(retry_after: str) -> float | None:
    """Return the seconds of a `Retry-After`, which is a number or a date; else None. RFC 9110, section 10.2.3."""
    try:
        if retry_after.isdecimal():
            return float(retry_after)
        instant = parsedate_to_datetime(retry_after)
        return (instant - datetime.now(instant.tzinfo)).total_seconds()
    except (ValueError, OverflowError):
        return None


_REASONS: Final = {
    401: "Graph did not accept the sign-in",
    403: "Graph refused access",
    404: "Graph does not know it",
    429: "Graph throttled the app",
}
_UNDOCUMENTED: Final = "Graph did not answer as documented"


def _reason(status: int, retry_after: str | None, *, known: bool) -> str:
    if 300 <= status < 400:
        return "Graph answered with a redirect, which was not followed"
    other = "Graph failed" if status >= 500 else "Graph refused the request" if known else _UNDOCUMENTED
    wait = f", asking to wait until or for {bounded(retry_after, 40)}" if retry_after else ""
    return f"{_REASONS.get(status, other)}{wait}"
