"""Lists of Graph, page by page, and JSON in the shape that Graph documents: what is read is checked before it is used.

Paging is by hand, because the SDK's iterator stops at an empty page, has no guard against a loop, and follows a
nextLink to any host. Nothing here sends a request by itself.
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
"""A list longer than this is none that Graph sends: 200,000 devices at 100 a page are 2,000 pages."""

_LONGEST_LINK: Final = 8_192
"""Characters: a position is stored, too, and no gateway takes a longer address."""

_KEYED: Final = re.compile(r"(.*?)(?:\('(.*)'\))?", re.DOTALL)
_WITHOUT_REGARD_TO_OPTIONS: Final = frozenset({401, 408, 429, 503, 504})

MOST_VALUES: Final = 250_000
"""In one answer, whose size alone does not bound the memory that it takes: a page of 1,000 tokens has 20,000."""

REPORT: Final = "Nothing was taken over. If it lasts, something stands between the app and Graph, or Graph changed."
"""The remedy for what is none of Graph's documented answers."""


class GraphError(Exception):
    """A request that did not bring what was asked for; `remedy` says what a person can do about it."""

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
        """Seconds that Graph asks to wait."""
        self.by_roles = by_roles
        """Whether the remedy depends on the roles that the token in use has."""

    @property
    def refuses_option(self) -> bool:
        """Whether the same request without its query options can bring an answer: any error that is not about time."""
        return self.status is not None and self.status >= 400 and self.status not in _WITHOUT_REGARD_TO_OPTIONS


class Page[T](msgspec.Struct):
    """One page of a list, as Graph sends it."""

    value: list[T]
    next_link: str | None = msgspec.field(name="@odata.nextLink", default=None)


class Pages:
    """A list that is read page by page, by a caller who may stop and go on later."""

    def __init__(
        self, get: Callable[[str, str], Awaitable[bytes]], root: httpx.URL, path: str, position: str | None, number: int
    ) -> None:
        self._get = get
        self._list = httpx.URL(f"{root}{path.partition('?')[0]}")
        self.asked = f"GET {path.partition('?')[0]}"
        self.number = number
        """The pages that were read."""
        self.position: str | None = f"{root}{path}"
        """Address of the next page; None when there is none."""
        self._seen = {hash(self.position)}  # thousands of addresses of some KiB each
        if position is not None:
            self._go_on(position)

    async def next[T](self, decode: Callable[[bytes, str], Page[T]]) -> list[T]:
        """The items of the next page; `decode` takes a body and what was asked.

        Raises:
            GraphError: where a page is missing, is no object with a list `value`, names a next page of another list,
                or one that was there before, and where the pages do not end. Nothing has moved on then, except that
                a list without an end has no position any more: to go on from one would count pages again.
            ValueError: where there is no next page.

        """
        if self.position is None:
            raise ValueError("The list is at its end.")
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
    """Returns whether `url` differs from a list's first page in nothing but its query and how its path is spelled."""
    if url.partition("?")[0] == str(first):
        return True  # as usual, and parsing costs more than all else
    try:
        target = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    same = (target.scheme, target.host, target.port) == (first.scheme, first.host, first.port)
    return same and not target.userinfo and _segments(target) == _segments(first)


def _segments(url: httpx.URL) -> list[str]:
    """Returns the decoded parts of a path, in lower case; OData also spells `name/id` as `name('id')`."""
    parts = url.raw_path.partition(b"?")[0].decode().split("/")
    keyed = (_KEYED.fullmatch(unquote(part)) for part in parts)
    return [one.casefold() for match in keyed if match for one in match.groups() if one]


def decoded[T](body: bytes, kind: type[T], asked: str) -> T:
    """Return `body` as JSON of that shape.

    Raises:
        GraphError: where it is none, or has more values than any answer of Graph.

    """
    if body.count(b",") > MOST_VALUES:
        raise GraphError(asked, f"the answer has more than {MOST_VALUES:,} values", REPORT)
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        # JSON is not quoted, since it can hold a serial number; what a gateway sends begins with something else.
        start = bounded(re.split(rb'[{\["]', body[:60])[0].strip().decode("utf-8", "replace"))
        quoted = f": {start!r}" if start else ""
        raise GraphError(asked, f"the answer is not what Graph documents ({error}){quoted}", REPORT) from error


def readable[T](body: bytes, page: type[Page[T]], item: type[T], asked: str) -> Page[T | None]:
    """`body` as a page of such items, None in place of one that is not of that shape: it loses itself alone.

    Raises:
        GraphError: where it is no page.

    """
    try:
        return cast("Page[T | None]", decoded(body, page, asked))
    except GraphError:
        raw = encoded(body, asked)
        return Page([_item(one, item) for one in raw.value], raw.next_link)


def encoded(body: bytes, asked: str) -> Page[msgspec.Raw]:
    """Return `body` as a page whose items are still encoded; one that is malformed loses itself alone.

    Raises:
        GraphError: where it is no page.

    """
    try:
        return decoded(body, Page[msgspec.Raw], asked)
    except GraphError:
        page = _taken_apart(body)
        if page is None:
            raise
        return page


def _taken_apart(body: bytes) -> Page[msgspec.Raw] | None:
    """Return a page that no strict decoder takes; None where it could have another list or next page than is seen."""
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
    """Scheme and host of an address that may be malformed; never its query, which can hold anything."""
    return bounded(re.split(r"[?#]", url)[0], 100) or "an empty address"
