"""What Graph holds of a token's devices: where, what is asked for, and how a request is tried again.

Addresses and properties are those of Microsoft Graph's reference (beta), below https://learn.microsoft.com/graph/api.
No page promises that lists take `$select` or large pages, so both are tried, and left out where Graph refuses them; but
enrollment profiles, which can hold a password, are not read without `$select`.
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
"""For one request; a body that trickles never trips the SDK's own limits."""

_TRIES: Final = 4
"""Of one request that Graph throttles: as many as the SDK makes."""
_REST: Final = 4.0
"""Seconds to wait where Graph does not say how long: about what the SDK waits; doubled each time."""

_CAN_PASS: Final = frozenset({500, 502})
"""HTTP statuses that do not say that Graph refuses the same query of another token."""

_TOKENS: Final = SOURCES[Connector.ADE].path
_EVENTS: Final = "/beta/deviceManagement/troubleshootingEvents"

_LARGE: Final = "$top=1000"
SELECT: Final = f"$select={','.join(PROPERTIES)}"
"""What is asked for of a device."""
_QUERIES: Final = (f"?{SELECT}&{_LARGE}", f"?{_LARGE}", f"?{SELECT}", "")
"""From the best to what any Graph takes; few calls are worth more than few properties."""


class _Profile(Struct, rename="camel"):
    id: str | None = None
    display_name: str | None = None


class _Defaults(Struct):
    ios: _Profile | UnsetType | None = field(name="defaultIosEnrollmentProfile", default=UNSET)
    mac: _Profile | UnsetType | None = field(name="defaultMacOsEnrollmentProfile", default=UNSET)
    tv: _Profile | UnsetType | None = field(name="defaultTvOSEnrollmentProfile", default=UNSET)
    vision: _Profile | UnsetType | None = field(name="defaultVisionOSEnrollmentProfile", default=UNSET)

    def names(self) -> dict[str, str | None]:
        """By the values of a device's `platform`; without those that Graph leaves out, which is not to say none."""
        found = {"ios": self.ios, "macOS": self.mac, "tvOS": self.tv, "visionOS": self.vision}
        return {platform: _name(profile) for platform, profile in found.items() if profile is not UNSET}


_EXPANDED: Final = ",".join(f"{one.encode_name}($select=id,displayName)" for one in fields(_Defaults))


class DeviceReader:
    """Reads what Graph holds of devices, at one pace for all who read.

    Each method raises GraphError where Graph does not bring what is asked for, and TimeoutError where there is no turn
    for it before the run's end.
    """

    def __init__(self, graph: Graph, pace: Pace) -> None:
        self._graph = graph
        self._pace = pace
        self._query = 0
        self.ends = pace.ends
        """When nobody waits for Graph any more, on the event loop's clock."""

    async def first(self, token_id: str) -> tuple[Pages, list[Device | None]]:
        """A token's list of devices, and its first page."""
        address = devices_address(token_id)
        taken, pages, page = await self._opened(address, _QUERIES, devices, self._query)
        self._query = max(self._query, taken)  # the other tokens need not find it out again
        return pages, page

    def again(self, token_id: str, pause: Pause) -> Pages:
        """A token's list of devices from where an earlier run stopped; GraphError where no page may name that place."""
        address = devices_address(token_id)
        return self._graph.listing(address, position=pause.position, number=pause.pages, repeats=False)

    async def next(self, pages: Pages) -> list[Device | None]:
        """The next page of a list of devices."""
        return await self._page(pages, devices)

    async def profiles(self, token_id: str) -> int:
        """How many enrollment profiles a token has."""
        address = f"{token_address(token_id)}/enrollmentProfiles"
        _, pages, page = await self._opened(address, (f"?$select=id&{_LARGE}", "?$select=id"), encoded)
        number = len(page)
        while pages.position is not None:
            number += len(await self._page(pages, encoded))
        return number

    async def defaults(self, token_id: str) -> dict[str, str | None]:
        """The name of the default profile by platform, None for none."""
        address = token_address(token_id)
        asked, query = f"GET {address}", f"?$select=id&$expand={_EXPANDED}"
        body = await self._asked(asked, lambda: self._graph.get(f"{address}{query}", repeats=False))
        names = decoded(body, _Defaults, asked).names()
        if not names:
            raise GraphError(asked, "the answer holds none of them", REPORT)
        return names

    def explained(self, error: GraphError) -> str:
        """The error in words, with what to do about it."""
        return str(failure(self._graph, Connector.ADE, error))

    async def events(self, since: datetime) -> list[Event]:
        """The failed Apple bulk enrollments after `since`, of the whole tenant; needs `connectors.EVENTS_ROLE`."""
        only = f"$filter=eventDateTime%20ge%20{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        _, pages, page = await self._opened(_EVENTS, (f"?{only}&{_LARGE}", f"?{only}", ""), events)
        found = _failed(page, since)
        while pages.position is not None:
            found += _failed(await self._page(pages, events), since)
        return found

    async def _opened[T](
        self, address: str, queries: Sequence[str], decode: Callable[[bytes, str], Page[T]], start: int = 0
    ) -> tuple[int, Pages, list[T]]:
        """Return which of `queries` Graph is known to take, the list, and its first page.

        A query that Graph calls wrong leads to the next one; any other error leads to the last one, and once. From a
        fault of Graph's, which can pass, nothing is known.
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
        """What `call` brings; a throttle makes everybody rest, a service that is not there the caller alone."""
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
    """Where Graph keeps an ADE token."""
    return f"{_TOKENS}/{quote(token_id, safe='')}"


def devices_address(token_id: str) -> str:
    """Where Graph keeps the list of its devices."""
    return f"{token_address(token_id)}/importedAppleDeviceIdentities"


def _name(profile: _Profile | None) -> str | None:
    if profile is None or not has_profile(profile.id):
        return None
    return bounded(profile.display_name or str(profile.id))


def _failed(page: Sequence[Event | None], since: datetime) -> list[Event]:
    """Return the page's failed Apple bulk enrollments that can have happened after `since`."""
    of_apple = (event for event in page if event is not None and event.of_apple)
    return [event for event in of_apple if event.event_date_time > since and plausible(event.event_date_time, since)]
