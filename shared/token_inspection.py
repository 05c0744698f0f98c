"""Inspects one token: which tokens are due, where an inspection begins, its progress, and what is remembered of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from shared.graph.device_reader import DeviceReader
from shared.graph.devices import Device, Tally, disagrees, with_examples
from shared.graph.pages import REPORT, GraphError, Pages
from shared.model.counts import Counts, Events, Inspected, Inspection, Pause
from shared.model.tokens import Code, Connector, Status
from shared.settings import Settings
from shared.text import bounded

_log: Final = logging.getLogger(__name__)

LONGEST_PAUSE: Final = timedelta(days=1)
"""An older unfinished inspection starts again: its counts would be old before it ended."""

_DAY: Final = timedelta(days=1)

_LONGEST_NOTES: Final = 2_000

_NOT_THE_POSITION: Final = frozenset({401, 403, 408, 429, 503, 504})
"""HTTP statuses that do not mean that Graph no longer accepts the requested position."""


def due(statuses: Iterable[Status], known: Mapping[str, Inspection], now: datetime, every: timedelta) -> list[Status]:
    """Return the ADE tokens that are due, the one whose last attempt is longest ago first.

    A token that fails waits like any other: by its last attempt, and not by its last success. Otherwise a few tokens
    that always fail would hold up the others. Among equals, an unfinished inspection goes first.
    """

    def place(status: Status) -> tuple[datetime, bool, str]:
        inspection = known.get(status.token.id)
        if inspection is None:
            return datetime.min.replace(tzinfo=now.tzinfo), True, status.token.id
        return inspection.tried_on, inspection.pause is None, status.token.id

    here = (one for one in statuses if one.token.connector is Connector.ADE and not one.finding(Code.REMOVED))
    return sorted((one for one in here if _is_due(known.get(one.token.id), now, every)), key=place)


def _is_due(inspection: Inspection | None, now: datetime, every: timedelta) -> bool:
    if inspection is None or inspection.last is None or inspection.pause:
        return True
    # The timer fires a varying number of milliseconds late, which must not cost an hour. An instant far in the future
    # does not count.
    waited = now - inspection.last.on.replace(second=0, microsecond=0)
    return waited >= every or waited < -_DAY


class TokenInspection:
    """Inspects one token in one run."""

    def __init__(
        self,
        reader: DeviceReader,
        status: Status,
        before: Inspection | None,
        settings: Settings,
        *,
        run_id: str,
        now: datetime,
    ) -> None:
        self._reader = reader
        self._status = status
        self._token_id = status.token.id
        self._before = before
        self._settings = settings
        self._run_id = run_id
        self._now = now
        self._notes: list[str] = []
        self._pages: Pages | None = None
        """The list, after a page of it was counted."""
        pause = before.pause if before else None
        old = pause is not None and not timedelta() <= now - pause.began_on <= LONGEST_PAUSE
        self._start_from(None if old else pause)

    async def complete(self, events: Events | None) -> Inspection:
        """Count the devices, read the profiles at the same time, and return what is to be remembered.

        If the profiles cannot be read, the counts are complete all the same.

        Raises:
            GraphError: if Graph does not return the devices; see `unfinished`.
            TimeoutError: if this takes longer than the run.

        """
        async with asyncio.timeout_at(self._reader.ends):
            counts = await self._counted()
        profiles = await self._beside("enrollment profiles", self._reader.profiles)
        defaults = await self._beside("default profiles", self._reader.defaults)
        if counts.unreadable:
            self._notes.insert(0, f"{counts.unreadable} entries of the list are not what Graph documents.")
        synced = self._status.token.synced_devices
        inspected = Inspected(
            on=self._began_on, counts=counts, profiles=profiles, defaults=defaults, synced_devices=synced, events=events
        )
        first, last = self._disagreed(inspected)
        blank = self._blank(error=bounded(" ".join(self._notes), _LONGEST_NOTES) or None)
        return replace(blank, complete=True, last=inspected, disagreed_first=first, disagreed_last=last)

    async def _counted(self) -> Counts:
        pages, page = await self._first()
        self._pages = pages
        self._tally.add(page)
        while pages.position is not None:
            self._tally.add(await self._reader.next(pages))
        counts = self._tally.counts()
        read = counts.devices + counts.deleted + counts.imported
        if counts.unreadable > read:
            reason = f"{counts.unreadable} of {counts.unreadable + read} entries are not what Graph documents"
            raise GraphError(pages.asked, reason, REPORT)
        return counts

    async def _beside[T](self, what: str, read: Callable[[str], Awaitable[T]]) -> T | None:
        """Return the result of `read` for the token; None, and a note, if it fails."""
        try:
            async with asyncio.timeout_at(self._reader.ends):
                return await read(self._token_id)
        except GraphError as error:
            why = self._reader.explained(error)
        except TimeoutError:
            why = "The run's time is over."
        self._notes.append(f"Graph does not return the {what}: {why}")
        return None

    def _disagreed(self, inspected: Inspected) -> tuple[datetime | None, datetime | None]:
        """Return the first and the newest of consecutive inspections whose list disagrees with the token's count."""
        before = self._before
        if inspected.synced_devices is None:  # speaks neither for nor against
            return (before.disagreed_first, before.disagreed_last) if before else (None, None)
        if not disagrees(inspected.counts, inspected.synced_devices):
            return None, None
        return (before and before.disagreed_first) or inspected.on, inspected.on

    def unfinished(self, error: str, *, keep: bool = True) -> Inspection:
        """Return what is to be remembered if `complete` did not end: the reason, and all that was known before.

        With `keep`, this includes the progress; without it, the next run starts again.
        """
        before, most = self._before or self._blank(), self._settings.device_examples
        last = before.last and replace(before.last, counts=with_examples(before.last.counts, most))
        pause = self._progress() if keep else None
        if pause:
            pause = replace(pause, counts=with_examples(pause.counts, most))
            error = f"{error} {pause.pages} pages of the list are counted, and the next run goes on from there."
        return replace(
            self._blank(error=error),
            last=last,
            pause=pause,
            disagreed_first=before.disagreed_first,
            disagreed_last=before.disagreed_last,
        )

    def _progress(self) -> Pause | None:
        if self._pages is None:
            return self._pause  # no page further than before
        position, number = self._pages.position, self._pages.number
        if position is None:
            return None  # the list as a whole was no good
        return Pause(began_on=self._began_on, position=position, pages=number, counts=self._tally.counts())

    async def _first(self) -> tuple[Pages, list[Device | None]]:
        """Return the list and its first page to count: where an earlier run stopped, or the beginning."""
        pages = self._resumed()
        if pages is not None:
            try:
                return pages, await self._reader.next(pages)
            except GraphError as error:
                if error.status is None or error.status in _NOT_THE_POSITION:
                    raise
                self._start_from(None)
                if error.status >= 500:
                    raise  # it may be all of Graph that fails; the next run asks for the list itself
        return await self._reader.first(self._token_id)

    def _resumed(self) -> Pages | None:
        if self._pause is None:
            return None
        try:
            return self._reader.again(self._token_id, self._pause)
        except GraphError as error:
            _log.warning("The position stored for %s is not asked for: %s", self._status.label, error.reason)
            self._start_from(None)
            return None

    def _start_from(self, pause: Pause | None) -> None:
        self._pause = pause
        self._began_on = pause.began_on if pause else self._now
        self._tally = Tally(
            self._began_on,
            contact_days=self._settings.device_contact_days,
            examples=self._settings.device_examples,
            counted=pause.counts if pause else None,
        )

    def _blank(self, error: str | None = None) -> Inspection:
        token = self._status.token
        return Inspection(
            token_id=token.id, token_name=token.name, run_id=self._run_id, tried_on=self._now, error=error
        )
