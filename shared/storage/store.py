"""Loads and saves the app's tables: what is remembered, what changed, and what the monitor did.

A row is replaced only if it is unchanged since it was read, in transactions of one partition. A status row contains its
change until the next run has ensured that the change is in the history, so a run may die at any point.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
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
from shared.model.runs import Run
from shared.model.tokens import Change, Connector, Key, Status
from shared.storage.columns import Row, decoded, key, newest_first
from shared.storage.device_rows import DEVICE_INSPECTION
from shared.storage.rows import CHECK_RUN, TOKEN_HISTORY, TOKEN_STATUS, ChangeSource, StatusSource
from shared.storage.transactions import Operation, Transactions, split

_CHANGES_AT_ONCE: Final = 16
_TRANSACTIONS_AT_ONCE: Final = 4
"""Parallel calls: far below the 20,000 operations a second of an account, and enough for 2,000 changes in a run."""

_KEYS: Final = ["PartitionKey", "RowKey"]

type Place = tuple[str, str]
"""Partition and row key."""


class StoreError(Exception):
    """Reports what could not be loaded or saved, with the cause and the remedy."""

    def __init__(self, sentence: str, *, table: str | None = None, status: int | None = None) -> None:
        super().__init__(sentence)
        self.table = table
        """The table that could not be used; None if there are several."""
        self.status = status
        """The HTTP status of its answer, if there was one."""


class Loaded(NamedTuple):
    """The rows of `TokenStatus`."""

    statuses: dict[Key, Status]
    etags: dict[Place, str]
    unreadable: dict[Key, str]
    """The problems of the rows that could not be read."""


class Inspections(NamedTuple):
    """The rows of `DeviceInspection`; a row that cannot be read has only an etag."""

    known: dict[str, Inspection]
    """By token ID."""
    etags: dict[Place, str]

    def etag(self, token_id: str) -> str | None:
        """Return the etag of the token's row, if it has one."""
        return self.etags.get(_place((Connector.ADE, token_id)))


class Store:
    """Reads and writes the app's tables. A method raises StoreError if its table cannot be used as a whole."""

    def __init__(self, tables: TableServiceClient, transactions: Transactions, guidance: Guidance) -> None:
        self._status = tables.get_table_client(TOKEN_STATUS.name)
        self._history = tables.get_table_client(TOKEN_HISTORY.name)
        self._runs = tables.get_table_client(CHECK_RUN.name)
        self._inspections = tables.get_table_client(DEVICE_INSPECTION.name)
        self._transactions = transactions
        self._guidance = guidance

    async def load(self) -> Loaded:
        """Return everything that is remembered of tokens."""
        loaded = Loaded({}, {}, {})
        async for place, etag, status in _memories(self._status, Status):
            if place[0] not in list(Connector):
                continue  # of a release that knows more connectors
            loaded.etags[place] = etag
            if status and _place(status.key) == place:
                loaded.statuses[status.key] = status
            else:
                of = Connector(place[0]), unquote(place[1])
                problem = f"{TOKEN_STATUS.name}: what the row {'/'.join(place)} remembers cannot be read"
                loaded.unreadable[of] = problem
        return loaded

    async def load_inspections(self) -> Inspections:
        """Return everything that is remembered of inspections."""
        loaded = Inspections({}, {})
        async for place, etag, inspection in _memories(self._inspections, Inspection):
            loaded.etags[place] = etag
            if inspection and _place((Connector.ADE, inspection.token_id)) == place:
                loaded.known[inspection.token_id] = inspection
        return loaded

    async def save_inspection(self, inspection: Inspection, etag: str | None) -> bool:
        """Replace a token's row if it still has `etag`, or insert it if there was none.

        Return whether the row was saved; if not, another run wrote it in the meantime.
        """
        try:
            await self._carry_out(self._inspections, [_put(DEVICE_INSPECTION.row(inspection), etag)])
        except AzureError as error:
            if status_of(error) in {409, 412} or (status_of(error) == 404 and etag is not None):
                return False
            raise _refused(DEVICE_INSPECTION.name, "written", error) from error
        return True

    async def write_changes(self, statuses: Iterable[Status]) -> dict[Key, str]:
        """Write the changes of `statuses` to the history, again if need be; return the problem of each that failed."""
        changed = [(status.key, status.change) for status in statuses if status.change]
        results = await _side_by_side(_CHANGES_AT_ONCE, lambda one: self._write_change(*one), changed)
        return {key: problem for (key, _), problem in zip(changed, results, strict=True) if problem}

    async def _write_change(self, of: Key, change: Change) -> str | None:
        row = TOKEN_HISTORY.row(ChangeSource(change, *of))
        try:
            await self._history.upsert_entity(row, mode=UpdateMode.REPLACE)
        except AzureError as error:
            return _problem(TOKEN_HISTORY.name, "written", error)
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
        """Replace, insert, and delete status rows that are unchanged since they were loaded; then write the changes.

        Rows of `except_for` stay, because their change is not in the history yet. `saved` gets the key of each row that
        is written, so they are known even if time runs out. Return what could not be saved, a sentence each.
        """
        by_key = {status.key: status for status in statuses if status.key not in except_for}
        operations = [
            _put(TOKEN_STATUS.row(StatusSource(status, self._guidance)), loaded.etags.get(_place(of)))
            for of, status in by_key.items()
        ]
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
        """Write the run's row, or replace it."""
        try:
            await self._runs.upsert_entity(CHECK_RUN.row(run), mode=UpdateMode.REPLACE)
        except AzureError as error:
            raise _refused(CHECK_RUN.name, "written", error) from error

    async def prune(self, before: datetime) -> int:
        """Delete history and runs from before that instant, and inspections of tokens without a status.

        Return the number of deleted rows. A StoreError names it, too, if some could not be deleted.
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
                problems.add(_problem(table.table_name, "read", error))
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
        """Return deletions of inspections without a status. Statuses are read last: an inspection follows a status."""
        etags = {
            _keys(entity): str(entity.metadata["etag"])
            async for entity in self._inspections.list_entities(select=_KEYS)
        }
        here = {_keys(entity) async for entity in self._status.list_entities(select=_KEYS)} if etags else set()
        return [_deletion(*place, etag) for place, etag in etags.items() if place not in here]

    async def _submit(self, table: TableClient, operations: list[Operation]) -> str | None:
        """Send one transaction; return the reason if it failed."""
        try:
            await self._carry_out(table, operations)
        except AzureError as error:
            if status_of(error) in {409, 412}:
                return f"{table.table_name}: another run wrote the same rows at the same time, so this one gave way"
            return _problem(table.table_name, "written", error)
        return None

    async def _carry_out(self, table: TableClient, operations: list[Operation]) -> None:
        try:
            await self._transactions.submit(table.table_name, operations)
        except AzureError as error:
            # With no answer, or one to a second attempt, it may have been carried out all the same.
            if status_of(error) not in {None, 404, 409, 412} or not await self._done(table, operations):
                raise

    async def _done(self, table: TableClient, operations: list[Operation]) -> bool:
        """Return whether a transaction was carried out, and only its answer was lost."""
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
    """Return the results of `call` for each item, in their order, with so many calls at a time."""
    slots = asyncio.Semaphore(at_once)

    async def one(item: Item) -> T:
        async with slots:
            return await call(item)

    return await asyncio.gather(*(one(item) for item in items))


def _place(of: Key) -> Place:
    return of[0].value, key(of[1])


def _keys(entity: Mapping[str, object]) -> Place:
    return str(entity["PartitionKey"]), str(entity["RowKey"])


async def _memories[T](table: TableClient, kind: type[T]) -> AsyncIterator[tuple[Place, str, T | None]]:
    """Yield the keys, the etag, and the decoded memory of each row; None for a memory that cannot be read."""
    try:
        async for entity in table.list_entities(select=[*_KEYS, "Memory"], results_per_page=PAGE_ROWS):
            yield _keys(entity), str(entity.metadata["etag"]), decoded(entity.get("Memory"), kind)
    except AzureError as error:
        raise _refused(table.table_name, "read", error) from error


def _put(row: Row, etag: str | None) -> Operation:
    return Operation("insert", row) if etag is None else Operation("replace", row, etag)


def _refused(table: str, done: str, error: AzureError) -> StoreError:
    return StoreError(f"{_problem(table, done, error)}.", table=table, status=status_of(error))


def _problem(table: str, done: str, error: AzureError) -> str:
    return f"{table} could not be {done}: {described(error, right='Storage Table Data Contributor on the table')}"


def _deletion(partition: str, row: str, etag: str | None = None) -> Operation:
    return Operation("delete", {"PartitionKey": partition, "RowKey": row}, etag)
