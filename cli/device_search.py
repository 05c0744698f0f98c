"""Searches the device lists of all ADE tokens for one serial number.

No page of Graph's reference documents `$filter` for a list of devices; public tools use it. If Graph answers 400 to it,
or does not find a device that is in the list, the lists are read as a whole. The answers are compared here.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import quote

import msgspec

from shared.graph.client import Graph
from shared.graph.device_reader import SELECT, devices_address, token_address
from shared.graph.devices import Device, devices, has_profile, known
from shared.graph.pace import Pace
from shared.graph.pages import GraphError, Page, readable
from shared.model.tokens import Token
from shared.text import bounded

SECONDS: Final = 600.0
"""For the search as a whole: thousands of tokens, or lists of hundreds of thousands that cannot be filtered."""

_AT_ONCE: Final = 8


class Listed(NamedTuple):
    """A device, and the token that lists it: safe to show, and None for what is not known."""

    token_id: str
    token: str
    profile_id: str | None
    profile: str | None
    """The profile's name; None if there is none, or Graph does not give it."""
    assigned_on: datetime | None
    state: str | None
    last_contact: datetime | None
    platform: str | None
    source: str | None
    created_on: datetime | None
    deleted: bool


def _safe(token: Token, device: Device, profile: str | None) -> Listed:
    return Listed(
        bounded(token.id),
        token.name,
        _text(device.requested_enrollment_profile_id),
        profile,
        known(device.assigned_on),
        _text(device.enrollment_state),
        known(device.contacted_on),
        _text(device.platform),
        _text(device.discovery_source),
        known(device.created_on),
        bool(device.is_deleted),
    )


def _text(value: str | None) -> str | None:
    return value and bounded(value)


class Search(NamedTuple):
    """The result of a search."""

    serial: str
    tokens: int
    """How many ADE tokens there are."""
    searched_until: int
    """How many of them there was time for."""
    found: Sequence[Listed]
    """Those that are not deleted first."""
    failures: Sequence[tuple[Token, GraphError]]
    unreadable: int
    """How many entries of the lists are not what Graph documents."""
    seconds: float
    """The time that the search had."""

    @property
    def searched(self) -> int:
        """How many lists were searched completely."""
        return self.searched_until - len(self.failures)


class _Profile(msgspec.Struct, rename="camel"):
    id: str
    display_name: str | None = None


async def search(graph: Graph, tokens: Sequence[Token], serial: str, step: Callable[[], None]) -> Search:
    """Search each token's list; call `step` after each. The result names what failed or took too long."""
    finder = _Finder(graph, serial, Pace(math.inf))
    try:
        async with asyncio.timeout(SECONDS):
            await finder.search_lists(tokens, step)
            if not finder.found and not await finder.filter_works(tokens):
                await finder.search_lists(tokens, lambda: None)  # each was a step already
    except TimeoutError:
        pass  # the result says how far the search came
    found = sorted(finder.found, key=lambda one: (one.deleted, one.token.casefold()))
    return Search(serial, len(tokens), finder.searched_until, found, finder.failures, finder.unreadable, SECONDS)


class _Finder:
    """Searches for one serial number, token by token."""

    def __init__(self, graph: Graph, serial: str, pace: Pace) -> None:
        self._graph = graph
        self._serial = serial
        self._pace = pace
        self._filters = True
        """Whether Graph has not yet refused a filter; the other tokens need not try again."""
        self.searched_until = 0
        self.found: list[Listed] = []
        self.failures: list[tuple[Token, GraphError]] = []
        self.unreadable = 0

    async def search_lists(self, tokens: Sequence[Token], step: Callable[[], None]) -> None:
        """Search the list of each token, from the first one on; call `step` after each."""
        self.searched_until, self.failures, self.unreadable = 0, [], 0
        queue = iter(tokens)

        async def work() -> None:
            for token in queue:
                await self._search(token)
                self.searched_until += 1
                step()

        await asyncio.gather(*(work() for _ in range(_AT_ONCE)))

    async def filter_works(self, tokens: Sequence[Token]) -> bool:
        """Return whether a filter, if one was used, finds a device that is in the list."""
        for token in tokens:
            if not self._filters:
                break
            try:
                pages = self._graph.listing(f"{devices_address(token.id)}?{SELECT}")
                await self._pace.turn()
                serials = [one.serial_number for one in await pages.next(devices) if one and one.serial_number]
                if serials:
                    self._filters = any(await self._filtered(token, serials[0]))
                    return self._filters
            except GraphError:
                continue  # the next token shows it as well
        return True

    async def _search(self, token: Token) -> None:
        """Add the devices of the token's list, or why it could not be searched."""
        try:
            listed = await self._devices(token)
            self.unreadable += listed.count(None)
            for device in filter(None, listed):
                self.found.append(_safe(token, device, await self._profile(token, device)))
        except GraphError as error:
            self.failures.append((token, error))

    async def _devices(self, token: Token) -> list[Device | None]:
        if self._filters:
            try:
                return await self._filtered(token, self._serial)
            except GraphError as error:
                if error.status not in {400, 501}:
                    raise
                self._filters = False
        try:
            return await self._listed(token, self._serial, f"?{SELECT}&$top=1000")
        except GraphError as error:
            if error.status != 400:
                raise
        return await self._listed(token, self._serial, "")

    async def _filtered(self, token: Token, serial: str) -> list[Device | None]:
        # A quote within a text is doubled: OData 4.01, URL conventions, 5.1.1.6.1.
        text = quote(serial.replace("'", "''"), safe="")
        return await self._listed(token, serial, f"?$filter=serialNumber%20eq%20'{text}'&{SELECT}")

    async def _listed(self, token: Token, serial: str, query: str) -> list[Device | None]:
        """Return the devices of that serial number in a list, which may hold others; None for an entry that is lost."""
        pages = self._graph.listing(f"{devices_address(token.id)}{query}")
        found: list[Device | None] = []
        while pages.position is not None:
            await self._pace.turn()
            page = await pages.next(devices)
            found += [one for one in page if one is None or _same(one.serial_number, serial)]
        return found

    async def _profile(self, token: Token, device: Device) -> str | None:
        """Return the name of the device's profile. Profiles of the newer kind are not in this list."""
        wanted = device.requested_enrollment_profile_id
        if not has_profile(wanted) or wanted is None:
            return None
        try:
            pages = self._graph.listing(f"{token_address(token.id)}/enrollmentProfiles?$select=id,displayName")
            while pages.position is not None:
                await self._pace.turn()
                for profile in await pages.next(_profiles):
                    if profile and _own(profile.id) == _own(wanted):
                        return _text(profile.display_name)
        except GraphError:
            pass  # its id is shown instead
        return None


def _profiles(body: bytes, asked: str) -> Page[_Profile | None]:
    return readable(body, Page[_Profile], _Profile, asked)


def _same(listed: str | None, serial: str) -> bool:
    return (listed or "").strip().upper() == serial.strip().upper()


def _own(profile_id: str) -> str:
    """Return a profile's own part of its id: a GUID, alone or after the token's."""
    return profile_id.rpartition("_")[2].casefold()
