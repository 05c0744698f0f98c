"""Reads a token's devices and enrollment profiles from Graph, and repeats requests that can succeed later.

Microsoft Graph's reference (beta) documents addresses and properties: https://learn.microsoft.com/graph/api. It doesn't
say that lists accept `$select` or large pages, so both are tried, and left out if Graph refuses them. Enrollment
profiles, which can contain a password, are not read without `$select`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from msgspec import UNSET, Struct, UnsetType, field
from msgspec.structs import fields

from shared.graph.client import Graph
from shared.graph.connectors import SOURCES, failure
from shared.graph.devices import PROPERTIES, Device, Event, devices, events, has_profile
from shared.graph.pace import Pace
from shared.graph.pages import REPORT, GraphError, Page, Pages, decoded, encoded
from shared.model.counts import Pause
from shared.model.dates import plausible
from shared.model.tokens import Connector
from shared.text import bounded

ANSWER_SECONDS: Final = 60
"""The limit for one request; the SDK's own limits don't end a slow body."""

_TRIES: Final = 4
"""The attempts of a throttled request: as many as the SDK makes."""
_REST: Final = 4.0
"""The seconds to wait if Graph does not name any, doubled each time; about what the SDK waits."""

_CAN_PASS: Final = frozenset({500, 502})
"""HTTP statuses that do not mean that Graph refuses the query for other tokens, too."""

_TOKENS: Final = SOURCES[Connector.ADE].path
_EVENTS: Final = "/beta/deviceManagement/troubleshootingEvents"

_LARGE: Final = "$top=1000"
SELECT: Final = f"$select={','.join(PROPERTIES)}"
_QUERIES: Final = (f"?{SELECT}&{_LARGE}", f"?{_LARGE}", f"?{SELECT}", "")
"""The queries, the best first; few calls matter more than few properties."""


class _Profile(Struct, rename="camel"):
    id: str | None = None
    display_name: str | None = None


class _Defaults(Struct):
    ios: _Profile | UnsetType | None = field(name="defaultIosEnrollmentProfile", default=UNSET)
    mac: _Profile | UnsetType | None = field(name="defaultMacOsEnrollmentProfile", default=UNSET)
    tv: _Profile | UnsetType | None = field(name="defaultTvOSEnrollmentProfile", default=UNSET)
    vision: _Profile | UnsetType | None = field(name="defaultVisionOSEnrollmentProfile", default=UNSET)

    def names(self) -> dict[str, str | None]:
        """Return the names by `platform`, without those that Graph leaves out, which does not mean none."""
        found = {"ios": self.ios, "macOS": self.mac, "tvOS": self.tv, "visionOS": self.vision}
        return {platform: _name(profile) for platform, profile in found.items() if profile is not UNSET}


_EXPANDED: Final = ",".join(f"{one.encode_name}($select=id,displayName)" for one in fields(_Defaults))


class DeviceReader:
    """Reads devices and profiles, at one pace for all callers.

    Each method raises GraphError if a request fails, and TimeoutError if no turn is left for it before the run's end.
    """

    def __init__(self, graph: Graph, pace: Pace) -> None:
        self._graph = graph
        self._pace = pace
        self._query = 0
        self.ends = pace.ends
        """The end of all waiting, on the event loop's clock."""

    async def first(self, token_id: str) -> tuple[Pages, list[Device | None]]:
        """Return a token's list of devices, and its first page."""
        address = devices_address(token_id)
        taken, pages, page = await self._opened(address, _QUERIES, devices, self._query)
        self._query = max(self._query, taken)  # the other tokens begin with it
        return pages, page

    def again(self, token_id: str, pause: Pause) -> Pages:
        """Return a token's list of devices from the position of an earlier run; GraphError if it is not valid."""
        address = devices_address(token_id)
        return self._graph.listing(address, position=pause.position, number=pause.pages, repeats=False)

    async def next(self, pages: Pages) -> list[Device | None]:
        """Return the next page of a list of devices."""
        return await self._page(pages, devices)

    async def profiles(self, token_id: str) -> int:
        """Return the number of a token's enrollment profiles."""
        address = f"{token_address(token_id)}/enrollmentProfiles"
        _, pages, page = await self._opened(address, (f"?$select=id&{_LARGE}", "?$select=id"), encoded)
        number = len(page)
        while pages.position is not None:
            number += len(await self._page(pages, encoded))
        return number

    async def defaults(self, token_id: str) -> dict[str, str | None]:
        """Return the name of the default profile by platform, None for none."""
        address = token_address(token_id)
        asked, query = f"GET {address}", f"?$select=id&$expand={_EXPANDED}"
        body = await self._asked(asked, lambda: self._graph.get(f"{address}{query}", repeats=False))
        names = decoded(body, _Defaults, asked).names()
        if not names:
            raise GraphError(asked, "the answer holds none of them", REPORT)
        return names

    def explained(self, error: GraphError) -> str:
        """Return the error as text, with the remedy."""
        return str(failure(self._graph, Connector.ADE, error))

    async def events(self, since: datetime) -> list[Event]:
        """Return the tenant's failed Apple bulk enrollments after `since`; this requires `connectors.EVENTS_ROLE`."""
        only = f"$filter=eventDateTime%20ge%20{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        _, pages, page = await self._opened(_EVENTS, (f"?{only}&{_LARGE}", f"?{only}", ""), events)
        found = _failed(page, since)
        while pages.position is not None:
            found += _failed(await self._page(pages, events), since)
        return found

    async def _opened[T](
        self, address: str, queries: Sequence[str], decode: Callable[[bytes, str], Page[T]], start: int = 0
    ) -> tuple[int, Pages, list[T]]:
        """Return the number of the query that Graph is known to accept, the list, and its first page.

        After HTTP 400, the next query follows; after any other error, the last one. An error that can pass proves
        nothing about a query.
        """
        number = known = start
        while True:
            pages = self._graph.listing(f"{address}{queries[number]}", repeats=False)
            try:
                return known, pages, await self._page(pages, decode)
            except GraphError as error:
                last = len(queries) - 1
                if number == last or not error.refuses_option:
                    raise
                number = number + 1 if error.status == 400 else last
                known = known if error.status in _CAN_PASS else number

    async def _page[T](self, pages: Pages, decode: Callable[[bytes, str], Page[T]]) -> list[T]:
        return await self._asked(pages.asked, lambda: pages.next(decode))

    async def _asked[T](self, asked: str, call: Callable[[], Awaitable[T]]) -> T:
        """Return the result of `call`. After a 429, all callers wait; after a 503 or 504, only this one."""
        tried = 0
        while True:
            await self._pace.turn()
            tried += 1
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    return await call()
            except TimeoutError:
                reason = f"no whole answer within {ANSWER_SECONDS} seconds"
                raise GraphError(asked, reason, "Graph was slow; the next inspection asks again.") from None
            except GraphError as error:
                if error.status not in {429, 503, 504}:
                    raise
                seconds = max(error.retry_after or 0.0, 0.0) or _REST * 2 ** (tried - 1)
                if error.status == 429:
                    self._pace.rest(seconds)
                if tried == _TRIES or (error.status != 429 and seconds > ANSWER_SECONDS):
                    raise
                if error.status != 429:
                    await asyncio.sleep(seconds)


def token_address(token_id: str) -> str:
    """Return the address of an ADE token."""
    return f"{_TOKENS}/{quote(token_id, safe='')}"


def devices_address(token_id: str) -> str:
    """Return the address of a token's list of devices."""
    return f"{token_address(token_id)}/importedAppleDeviceIdentities"


def _name(profile: _Profile | None) -> str | None:
    if profile is None or not has_profile(profile.id):
        return None
    return bounded(profile.display_name or str(profile.id))


def _failed(page: Sequence[Event | None], since: datetime) -> list[Event]:
    """Return the page's failed Apple bulk enrollments that can have happened after `since`."""
    of_apple = (event for event in page if event is not None and event.of_apple)
    return [event for event in of_apple if event.event_date_time > since and plausible(event.event_date_time, since)]
