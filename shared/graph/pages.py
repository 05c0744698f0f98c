"""Reads lists of Graph page by page, and checks that a body is JSON of the documented form.

The SDK's iterator is not used: it stops at an empty page, doesn't detect loops, and follows a next link to any host.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Final, cast
from urllib.parse import unquote

import httpx
import msgspec

from shared.graph import lenient
from shared.text import bounded

MOST_PAGES: Final = 10_000
"""The longest list; 200,000 devices, with 100 on a page, are 2,000 pages."""

_LONGEST_LINK: Final = 8_192
"""The number of characters: positions are stored, and gateways refuse longer addresses."""

_KEYED: Final = re.compile(r"(.*?)(?:\('(.*)'\))?", re.DOTALL)
_WITHOUT_REGARD_TO_OPTIONS: Final = frozenset({401, 408, 429, 503, 504})

MOST_VALUES: Final = 250_000
"""The number in one answer, which bounds its memory; a page of 1,000 tokens has 20,000."""

REPORT: Final = "Nothing was taken over. If it lasts, something stands between the app and Graph, or Graph changed."
"""The remedy for an answer that Graph does not document."""


class GraphError(Exception):
    """Reports a request that failed, with the remedy."""

    def __init__(  # noqa: PLR0913 # one for each fact that Graph may have sent
        self,
        asked: str,
        reason: str,
        remedy: str,
        *,
        status: int | None = None,
        code: str | None = None,
        message: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        by_roles: bool = False,
    ) -> None:
        super().__init__(f"{asked}: {reason}")
        self.asked = asked
        self.reason = reason
        self.remedy = remedy
        self.status = status
        self.code = code
        self.message = message
        self.request_id = request_id
        self.retry_after = retry_after
        """The seconds to wait, according to Graph."""
        self.by_roles = by_roles
        """Whether the remedy depends on the roles that the token in use has."""

    @property
    def refuses_option(self) -> bool:
        """Return whether the request can succeed without its query options: any error that does not pass with time."""
        return self.status is not None and self.status >= 400 and self.status not in _WITHOUT_REGARD_TO_OPTIONS


class Page[T](msgspec.Struct):
    """A page of a list."""

    value: list[T]
    next_link: str | None = msgspec.field(name="@odata.nextLink", default=None)


class Pages:
    """Reads a list page by page; a caller can stop and continue later."""

    def __init__(
        self, get: Callable[[str, str], Awaitable[bytes]], root: httpx.URL, path: str, position: str | None, number: int
    ) -> None:
        self._get = get
        self._list = httpx.URL(f"{root}{path.partition('?')[0]}")
        self.asked = f"GET {path.partition('?')[0]}"
        self.number = number
        """The number of pages that were read."""
        self.position: str | None = f"{root}{path}"
        """The address of the next page; None at the end."""
        self._seen = {hash(self.position)}  # thousands of addresses of some KiB each
        if position is not None:
            self._go_on(position)

    async def next[T](self, decode: Callable[[bytes, str], Page[T]]) -> list[T]:
        """Return the items of the next page, which `decode` makes of a body and the request's name.

        A GraphError means that the page is missing or malformed, or that its next link leads to another list or to an
        earlier page. The position stays, but a list without an end loses it, because its pages would count again.
        """
        if self.position is None:
            raise ValueError("The list is at its end.")  # a mistake of the caller
        if self.number >= MOST_PAGES:
            raise self._endless()
        page = decode(await self._get(self.position, self.asked), self.asked)
        self._go_on(page.next_link)
        self.number += 1
        return page.value

    def _go_on(self, url: str | None) -> None:
        if url is not None:
            if hash(url) in self._seen:
                raise self._endless()
            if len(url) > _LONGEST_LINK:
                raise GraphError(self.asked, f"its next page has an address of {len(url):,} characters", REPORT)
            if not _continues(self._list, url):
                reason = f"its next page lies elsewhere, at {_host(url)}, and was not asked for"
                raise GraphError(self.asked, reason, REPORT)
            self._seen.add(hash(url))
        self.position = url

    def _endless(self) -> GraphError:
        self.position = None
        return GraphError(self.asked, "its pages go round in a circle or do not end", REPORT)


def _continues(first: httpx.URL, url: str) -> bool:
    """Return whether `url` differs from a list's first page only in its query and the spelling of its path."""
    if url.partition("?")[0] == str(first):
        return True  # the usual case; parsing is slow
    try:
        target = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    same = (target.scheme, target.host, target.port) == (first.scheme, first.host, first.port)
    return same and not target.userinfo and _segments(target) == _segments(first)


def _segments(url: httpx.URL) -> list[str]:
    """Return the decoded parts of a path in lower case; OData also spells `name/id` as `name('id')`."""
    parts = url.raw_path.partition(b"?")[0].decode().split("/")
    keyed = (_KEYED.fullmatch(unquote(part)) for part in parts)
    return [one.casefold() for match in keyed if match for one in match.groups() if one]


def decoded[T](body: bytes, kind: type[T], asked: str) -> T:
    """Return `body` as JSON of that form; raise GraphError if it is not, or has too many values."""
    if body.count(b",") > MOST_VALUES:
        raise GraphError(asked, f"the answer has more than {MOST_VALUES:,} values", REPORT)
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        # JSON can contain serial numbers, so only other text, such as a gateway's, is quoted.
        start = bounded(re.split(rb'[{\["]', body[:60])[0].strip().decode("utf-8", "replace"))
        quoted = f": {start!r}" if start else ""
        raise GraphError(asked, f"the answer is not what Graph documents ({error}){quoted}", REPORT) from error


def readable[T](body: bytes, page: type[Page[T]], item: type[T], asked: str) -> Page[T | None]:
    """Return `body` as a page of such items, None in place of a malformed one; raise GraphError if it is no page."""
    try:
        return cast("Page[T | None]", decoded(body, page, asked))
    except GraphError:
        raw = encoded(body, asked)
        return Page([_item(one, item) for one in raw.value], raw.next_link)


def encoded(body: bytes, asked: str) -> Page[msgspec.Raw]:
    """Return `body` as a page of encoded items, malformed ones included; raise GraphError if it is no page."""
    try:
        return decoded(body, Page[msgspec.Raw], asked)
    except GraphError:
        page = _taken_apart(body)
        if page is None:
            raise
        return page


def _taken_apart(body: bytes) -> Page[msgspec.Raw] | None:
    """Return a page that a strict decoder refuses; None if its list or next page is uncertain."""
    try:
        found = dict(lenient.members(body))
        link = msgspec.json.decode(found.get("@odata.nextLink", b"null"), type=str | None)
        unknown = None in found or body.count(b",") > MOST_VALUES
        return None if unknown else Page(lenient.items(bytes(found["value"])), link)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, KeyError):
        return None


def _item[T](raw: msgspec.Raw, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _host(url: str) -> str:
    """Return the start of an address that may be malformed, without its query, which can contain anything."""
    return bounded(re.split(r"[?#]", url)[0], 100) or "an empty address"
