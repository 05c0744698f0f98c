"""Microsoft Graph over the SDK's transport, authentication and retries: one address in, checked bytes or pages out.

Bodies are decoded by `shared.graph.pages` and not by the SDK's generated models, whose first use imports
thousands of modules (measured: 2.3 s and 33 MiB). This module knows no connector.
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
"""The beginning of an error, whatever its status says."""

_NOTHING_TO_DO: Final = "The next run asks again; if it lasts, see the service health of Microsoft 365."
_NETWORK: Final = "Check that the app may reach Graph (firewall, DNS, GRAPH_ENDPOINT); the next run asks again."
_IDENTITY: Final = "Check that the app has its managed identity and that AZURE_CLIENT_ID names it."


class Graph:
    """Reads addresses below one root, with the app's own sign-in."""

    def __init__(self, adapter: GraphRequestAdapter, credential: GraphCredential) -> None:
        self._adapter = adapter
        self._credential = credential
        self._root = httpx.URL(adapter.base_url)

    async def get(self, path: str, *, repeats: bool = True) -> bytes:
        """The body of `path` (below the root, with its query).

        Without `repeats`, a request that Graph throttles is not repeated by the SDK, for itself alone, but fails.

        Raises:
            GraphError: for every answer but a 200 with a body, and where no answer came.

        """
        return await self._get(f"{self._root}{path}", f"GET {path.partition('?')[0]}", repeats=repeats)

    async def pages(self, path: str) -> AsyncIterator[list[msgspec.Raw]]:
        """The items of a list, page by page, each still encoded.

        Raises:
            GraphError: as `Pages.next` does. Pages given until then are a part, never the whole.

        """
        pages = self.listing(path)
        while pages.position is not None:
            yield await pages.next(encoded)

    def listing(self, path: str, *, position: str | None = None, number: int = 0, repeats: bool = True) -> Pages:
        """A list to be read page by page; from `position` on, where `number` of its pages were read before.

        `repeats` is that of `get`.

        Raises:
            GraphError: where `position` is none that a page may name.

        """
        return Pages(partial(self._get, repeats=repeats), self._root, path, position, number)

    @property
    def token(self) -> GraphToken | None:
        """The token in use; None where there is none, it is a person's, or it cannot be read."""
        return self._credential.token

    @property
    def by_person(self) -> bool:
        """Whether a person signed in, so that a role of the app's identity is of no use."""
        return self._credential.by_person

    async def _get(self, url: str, asked: str, *, repeats: bool = True) -> bytes:
        request = RequestInformation(Method.GET)
        request.url = url
        request.headers.add("Accept", "application/json")
        # The response itself, since the SDK takes a redirect that it may not follow for a success.
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
        # httpx ties a response and its stream into a circle, which would keep every page until the collector comes by.
        response.stream = httpx.ByteStream(b"")
        if response.status_code != httpx.codes.OK or _ERROR.match(response.content):
            raise _refused(response, asked)
        if not response.content:
            raise GraphError(asked, "the answer was empty", REPORT, status=response.status_code)
        return response.content


def _line(error: AzureError) -> str:
    """Return what the sign-in says, in one line: a chain of credentials has one for each of them."""
    return bounded(" ".join(str(error).split()))


def _refused(response: httpx.Response, asked: str) -> GraphError:
    """Return an answer that is an error, with what Graph says about it."""
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
    """`Retry-After` is a number of seconds or a date; None where it is neither. RFC 9110, section 10.2.3."""
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
