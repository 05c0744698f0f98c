"""Table Storage: what is remembered, what changed, what the monitor did.

Rows are replaced only if they still are what was read, in transactions of one partition. A change travels in its status
row until the next run has made sure that it is in the history, so that a run may die at any point.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple
from urllib.parse import unquote

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableClient, TableServiceClient

from shared.guidance.guidance import Guidance
from shared.http.answers import PAGE_ROWS
from shared.http.azure_errors import described, status_of
from shared.model.counts import Inspection
from shared.model.tokens import Change, Connector, Key, Run, Status
from shared.storage.columns import decoded, key, newest_first
from shared.storage.device_rows import DEVICE_INSPECTION
from shared.storage.rows import CHECK_RUN, TOKEN_HISTORY, TOKEN_STATUS, ChangeSource, StatusSource
from shared.storage.transactions import Operation, Transactions, split

_CHANGES_AT_ONCE: Final = 16
_TRANSACTIONS_AT_ONCE: Final = 4
"""Calls under way; far below the 20,000 operations a second of an account, and enough for 2,000 changes in a run."""

_KEYS: Final = ["PartitionKey", "RowKey"]

_RIGHT: Final = "Storage Table Data Contributor on the table"

type Place = tuple[str, str]
"""Partition and row key."""


class StoreError(Exception):
    """Reports what could not be loaded or saved, in a sentence that names the cause and the remedy."""

    def __init__(self, sentence: str, *, table: str | None = None, status: int | None = None) -> None:
        super().__init__(sentence)
        self.table = table
        """The table that could not be used; None where several could not."""
        self.status = status
        """HTTP status of its answer; None where there was none."""


class Loaded(NamedTuple):
    """What `TokenStatus` held."""

    statuses: dict[Key, Status]
    etags: dict[Place, str]
    unreadable: dict[Key, str]
    """What is wrong with the rows that could not be read."""


class Inspections(NamedTuple):
    """What `DeviceInspection` held; a row that cannot be read has an etag alone."""

    known: dict[str, Inspection]
    """By token id."""
    etags: dict[Place, str]

    def etag(self, token_id: str) -> str | None:
        """That of the token's row, if it has one."""
        return self.etags.get(_place((Connector.ADE, token_id)))


class Store:
    """The app's tables."""

    def __init__(self, tables: TableServiceClient, transactions: Transactions, guidance: Guidance) -> None:
        self._status = tables.get_table_client(TOKEN_STATUS.name)
        self._history = tables.get_table_client(TOKEN_HISTORY.name)
        self._runs = tables.get_table_client(CHECK_RUN.name)
        self._inspections = tables.get_table_client(DEVICE_INSPECTION.name)
        self._transactions = transactions
        self._guidance = guidance

    async def load(self) -> Loaded:
        """Everything that is remembered.

        Raises:
            StoreError: where the table could not be read as a whole.

        """
        loaded = Loaded({}, {}, {})
        try:
            async for entity in self._status.list_entities(select=[*_KEYS, "Memory"], results_per_page=PAGE_ROWS):
                place = _keys(entity)
                if place[0] not in list(Connector):
                    continue  # of a release that knows more connectors
                loaded.etags[place] = str(entity.metadata["etag"])
                status = _remembered(place, entity.get("Memory"))
                if status is None:
                    of = Connector(place[0]), unquote(place[1])
                    problem = f"{TOKEN_STATUS.name}: what the row {'/'.join(place)} remembers cannot be read"
                    loaded.unreadable[of] = problem
                else:
                    loaded.statuses[status.key] = status
        except AzureError as error:
            raise _refused(TOKEN_STATUS.name, "read", error) from error
        return loaded

    async def load_inspections(self) -> Inspections:
        """What the inspections of devices remember.

        Raises:
            StoreError: where the table could not be read as a whole.

        """
        loaded = Inspections({}, {})
        try:
            async for entity in self._inspections.list_entities(select=[*_KEYS, "Memory"], results_per_page=PAGE_ROWS):
                place = _keys(entity)
                loaded.etags[place] = str(entity.metadata["etag"])
                inspection = decoded(entity.get("Memory"), Inspection)
                if inspection and _place((Connector.ADE, inspection.token_id)) == place:
                    loaded.known[inspection.token_id] = inspection
        except AzureError as error:
            raise _refused(DEVICE_INSPECTION.name, "read", error) from error
        return loaded

    async def save_inspection(self, inspection: Inspection, etag: str | None) -> bool:
        """Replace a token's row if it still has `etag`, or insert it where there was none.

        Returns:
            Whether it was saved; if not, another run wrote it in the meantime, and this one gives way.

        Raises:
            StoreError: where it could not be written.

        """
        row = DEVICE_INSPECTION.row(inspection)
        operation = Operation("insert", row) if etag is None else Operation("replace", row, etag)
        try:
            await self._carry_out(self._inspections, [operation])
        except AzureError as error:
            if status_of(error) in {409, 412} or (status_of(error) == 404 and etag is not None):
                return False
            raise _refused(DEVICE_INSPECTION.name, "written", error) from error
        return True

    async def write_changes(self, statuses: Iterable[Status]) -> dict[Key, str]:
        """Write the changes that `statuses` carry into the history; again does no harm.

        Returns:
            Why, for each token whose change could not be written.

        """
        changed = [(status.key, status.change) for status in statuses if status.change]
        results = await _side_by_side(_CHANGES_AT_ONCE, lambda one: self._write_change(*one), changed)
        return {key: problem for (key, _), problem in zip(changed, results, strict=True) if problem}

    async def _write_change(self, of: Key, change: Change) -> str | None:
        row = TOKEN_HISTORY.row(ChangeSource(change, *of))
        try:
            await self._history.upsert_entity(row, mode=UpdateMode.REPLACE)
        except AzureError as error:
            return f"{TOKEN_HISTORY.name} could not be written: {described(error, right=_RIGHT)}"
        return None

    async def save(
        self,
        statuses: Iterable[Status],
        departed: Iterable[Key],
        loaded: Loaded,
        saved: set[Key],
        *,
        except_for: Collection[Key] = (),
    ) -> list[str]:
        """Replace, insert and delete status rows on condition that they are as `loaded`, then write the new changes.

        Rows of `except_for` stay as they are: what they carry is not in the history yet. A token whose row is written
        joins `saved`, so that it is known even if the time for saving runs out.

        Returns:
            What could not be saved, a sentence each.

        """
        by_key = {status.key: status for status in statuses if status.key not in except_for}
        operations = [self._put(status, loaded.etags.get(_place(of))) for of, status in by_key.items()]
        gone = {_place(of) for of in departed if of not in except_for} & loaded.etags.keys()
        gone -= {operation.keys for operation in operations}
        operations += [_deletion(*place, loaded.etags[place]) for place in sorted(gone)]
        transactions = list(split(operations))
        keys = {_place(of): of for of in by_key}

        async def submit(transaction: list[Operation]) -> str | None:
            problem = await self._submit(self._status, transaction)
            if problem is None:
                saved.update(keys[one.keys] for one in transaction if one.keys in keys)
            return problem

        problems = await _side_by_side(_TRANSACTIONS_AT_ONCE, submit, transactions)
        unwritten = await self.write_changes(status for of, status in by_key.items() if of in saved)
        return sorted({*filter(None, problems), *unwritten.values()})

    async def record(self, run: Run) -> None:
        """Write the run's row, over the one it may have written before.

        Raises:
            StoreError: where it could not.

        """
        try:
            await self._runs.upsert_entity(CHECK_RUN.row(run), mode=UpdateMode.REPLACE)
        except AzureError as error:
            raise _refused(CHECK_RUN.name, "written", error) from error

    async def prune(self, before: datetime) -> int:
        """Delete history and runs from before that instant, and inspections of tokens that have left.

        Returns:
            How many rows that were.

        Raises:
            StoreError: where some could not be deleted; it says how many were.

        """
        deleted, problems = 0, set[str]()
        for table, found in (
            (self._history, self._older(self._history, before)),
            (self._runs, self._older(self._runs, before)),
            (self._inspections, self._departed()),
        ):
            try:
                operations = await found
            except AzureError as error:
                problems.add(f"{table.table_name} could not be read: {described(error, right=_RIGHT)}")
                continue
            transactions = list(split(operations))
            results = await _side_by_side(_TRANSACTIONS_AT_ONCE, partial(self._submit, table), transactions)
            problems |= {result for result in results if result}
            deleted += sum(len(one) for one, result in zip(transactions, results, strict=True) if not result)
        if problems:
            raise StoreError(f"{deleted} old rows were deleted, and not all: {'; '.join(sorted(problems))}.")
        return deleted

    async def _older(self, table: TableClient, before: datetime) -> list[Operation]:
        rows = table.query_entities(f"RowKey gt '{newest_first(before)}'", select=_KEYS)
        return [_deletion(*_keys(entity)) async for entity in rows]

    async def _departed(self) -> list[Operation]:
        """Inspections of tokens without a status. Statuses are read last: an inspection follows a status."""
        etags = {
            _keys(entity): str(entity.metadata["etag"])
            async for entity in self._inspections.list_entities(select=_KEYS)
        }
        here = {_keys(entity) async for entity in self._status.list_entities(select=_KEYS)} if etags else set()
        return [_deletion(*place, etag) for place, etag in etags.items() if place not in here]

    def _put(self, status: Status, etag: str | None) -> Operation:
        row = TOKEN_STATUS.row(StatusSource(status, self._guidance))
        return Operation("insert", row) if etag is None else Operation("replace", row, etag)

    async def _submit(self, table: TableClient, operations: list[Operation]) -> str | None:
        """Send one transaction; return the reason if it failed."""
        try:
            await self._carry_out(table, operations)
        except AzureError as error:
            if status_of(error) in {409, 412}:
                return f"{table.table_name}: another run wrote the same rows at the same time, so this one gave way"
            return f"{table.table_name} could not be written: {described(error, right=_RIGHT)}"
        return None

    async def _carry_out(self, table: TableClient, operations: list[Operation]) -> None:
        try:
            await self._transactions.submit(table.table_name, operations)
        except AzureError as error:
            # With no answer, or one to a second attempt, it may have been carried out all the same.
            if status_of(error) not in {None, 404, 409, 412} or not await self._done(table, operations):
                raise

    async def _done(self, table: TableClient, operations: list[Operation]) -> bool:
        """Whether a transaction was carried out all the same, and only its answer was lost."""
        for operation in operations:
            deleting = operation.kind == "delete"
            try:
                entity = await table.get_entity(*operation.keys, select=["RunId"])
            except ResourceNotFoundError:
                if not deleting:
                    return False
            except AzureError:
                return False
            else:
                if deleting or entity.get("RunId") != operation.entity["RunId"]:
                    return False
        return True


async def _side_by_side[Item, T](at_once: int, call: Callable[[Item], Awaitable[T]], items: Iterable[Item]) -> list[T]:
    """What `call` says of each item, in their order; so many calls are under way at a time."""
    slots = asyncio.Semaphore(at_once)

    async def one(item: Item) -> T:
        async with slots:
            return await call(item)

    return await asyncio.gather(*(one(item) for item in items))


def _place(of: Key) -> Place:
    return of[0].value, key(of[1])


def _keys(entity: Mapping[str, object]) -> Place:
    return str(entity["PartitionKey"]), str(entity["RowKey"])


def _remembered(place: Place, memory: object) -> Status | None:
    """The status that a row remembers; None where it cannot be read."""
    status = decoded(memory, Status)
    return status if status and _place(status.key) == place else None


def _refused(table: str, done: str, error: AzureError) -> StoreError:
    sentence = f"{table} could not be {done}: {described(error, right=_RIGHT)}."
    return StoreError(sentence, table=table, status=status_of(error))


def _deletion(partition: str, row: str, etag: str | None = None) -> Operation:
    return Operation("delete", {"PartitionKey": partition, "RowKey": row}, etag)
