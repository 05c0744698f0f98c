"""Table Storage: what is remembered, what changed, what the monitor did.

Rows are replaced only if they still are what was read, in transactions of one partition. A change travels in its status
row until the next run has made sure that it stands in the history, so that a run may die at any point.
"""

import asyncio
import json
from collections.abc import Awaitable, Collection, Iterable, Iterator
from datetime import datetime
from itertools import groupby
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import msgspec
from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableClient, TableServiceClient

from shared.azure_errors import told
from shared.guidance import Guidance
from shared.judge import Key
from shared.rows import (
    CHECK_RUN,
    TOKEN_HISTORY,
    TOKEN_STATUS,
    ChangeSource,
    Row,
    StatusSource,
    history_key,
    key,
    newest_first,
)
from shared.tokens import Change, Connector, Run, Status

MOST_OPERATIONS: Final = 100
MOST_BYTES: Final = 3_500_000
"""A transaction holds 100 operations and 4 MiB with its envelope.

https://learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions
"""
_ENVELOPE: Final = 1_500
"""Bytes around each operation: headers and address, with the keys in them."""

_AT_ONCE: Final = 16
"""Calls under way; far below the 20,000 operations a second of an account, and enough for 2,000 changes in a run."""

_RIGHT: Final = "Storage Table Data Contributor on the table"

type Operation = tuple[str, Row] | tuple[str, Row, dict[str, Any]]


class StoreError(Exception):
    """Something could not be loaded or saved; one sentence that names it, the cause and the remedy."""


class Loaded(NamedTuple):
    """What `TokenStatus` held."""

    statuses: dict[Key, Status]
    etags: dict[Key, str]
    problems: tuple[str, ...] = ()
    """Rows that could not be read."""


class Store:
    """The app's tables."""

    def __init__(self, tables: TableServiceClient, guidance: Guidance) -> None:
        self._status = tables.get_table_client(TOKEN_STATUS.name)
        self._history = tables.get_table_client(TOKEN_HISTORY.name)
        self._runs = tables.get_table_client(CHECK_RUN.name)
        self._guidance = guidance
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def load(self) -> Loaded:
        """Everything that is remembered.

        Raises:
            StoreError: where the table could not be read as a whole.

        """
        loaded = Loaded({}, {})
        problems = []
        try:
            async for entity in self._status.list_entities(select=["PartitionKey", "RowKey", "Memory"]):
                row = str(entity["PartitionKey"]), str(entity["RowKey"])
                if row[0] not in list(Connector):
                    continue  # of a release that knows more connectors
                status = _remembered(*row, entity.get("Memory"))
                if status is None:
                    problems.append(f"{TOKEN_STATUS.name}: what the row {'/'.join(row)} remembers cannot be read")
                found = (Connector(row[0]), unquote(row[1])) if status is None else status.key
                loaded.etags[found] = str(entity.metadata["etag"])
                if status is not None:
                    loaded.statuses[found] = status
        except AzureError as error:
            raise StoreError(f"{TOKEN_STATUS.name} could not be read: {told(error, right=_RIGHT)}.") from error
        return loaded._replace(problems=tuple(problems))

    async def write_changes(self, statuses: Iterable[Status]) -> dict[Key, str]:
        """Write the changes that `statuses` carry into the history; again does no harm.

        Returns:
            Why, for each token whose change could not be written.

        """
        changed = [(status.key, status.change) for status in statuses if status.change]
        results = await self._side_by_side(self._write_change(*one) for one in changed)
        return {key: problem for (key, _), problem in zip(changed, results, strict=True) if problem}

    async def _write_change(self, of: Key, change: Change) -> str | None:
        connector, token_id = of
        partition, row = history_key(connector, token_id, change)
        columns = TOKEN_HISTORY.row(ChangeSource(change, connector, self._guidance))
        entity = {"PartitionKey": partition, "RowKey": row, **columns}
        try:
            await self._history.upsert_entity(entity, mode=UpdateMode.REPLACE)
        except AzureError as error:
            return f"{TOKEN_HISTORY.name} could not be written: {told(error, right=_RIGHT)}"
        return None

    async def save(
        self, statuses: Iterable[Status], departed: Iterable[Key], loaded: Loaded, *, except_for: Collection[Key] = ()
    ) -> list[str]:
        """Replace, insert and delete status rows on condition that they are as `loaded`, then write the new changes.

        Rows of `except_for` stay as they are: what they carry is not in the history yet.

        Returns:
            What could not be saved, a sentence each.

        """
        by_key = {status.key: status for status in statuses if status.key not in except_for}
        operations = [self._put(status, loaded.etags.get(of)) for of, status in by_key.items()]
        gone = [(of, loaded.etags[of]) for of in departed if of not in except_for and of in loaded.etags]
        operations += [(*_deletion(of[0].value, key(of[1])), _if_unchanged(etag)) for of, etag in gone]
        transactions = list(_transactions(operations))
        results = await self._side_by_side(self._submit(self._status, one) for one in transactions)
        problems = {result for result in results if result}
        rejected = {_row(op) for one, result in zip(transactions, results, strict=True) if result for op in one}
        saved = [status for of, status in by_key.items() if (of[0].value, key(of[1])) not in rejected]
        unwritten = await self.write_changes(saved)
        return sorted({*problems, *unwritten.values()})

    async def record(self, run: Run) -> None:
        """Write the run's row, over the one it may have written before.

        Raises:
            StoreError: where it could not.

        """
        try:
            await self._runs.upsert_entity(CHECK_RUN.row(run), mode=UpdateMode.REPLACE)
        except AzureError as error:
            raise StoreError(f"{CHECK_RUN.name} could not be written: {told(error, right=_RIGHT)}.") from error

    async def prune(self, before: datetime) -> int:
        """Delete history and runs from before that instant, and tell how many rows that were.

        Raises:
            StoreError: where some could not be deleted; it says how many were.

        """
        deleted, problems = 0, set[str]()
        for table in (self._history, self._runs):
            try:
                operations: list[Operation] = [
                    _deletion(str(entity["PartitionKey"]), str(entity["RowKey"]))
                    async for entity in table.query_entities(
                        f"RowKey gt '{newest_first(before)}'", select=["PartitionKey", "RowKey"]
                    )
                ]
            except AzureError as error:
                problems.add(f"{table.table_name} could not be read: {told(error, right=_RIGHT)}")
                continue
            transactions = list(_transactions(operations))
            results = await self._side_by_side(self._submit(table, one) for one in transactions)
            problems |= {result for result in results if result}
            deleted += sum(len(one) for one, result in zip(transactions, results, strict=True) if not result)
        if problems:
            raise StoreError(f"{deleted} old rows were deleted, and not all: {'; '.join(sorted(problems))}.")
        return deleted

    def _put(self, status: Status, etag: str | None) -> Operation:
        row = TOKEN_STATUS.row(StatusSource(status, self._guidance))
        if etag is None:
            return ("create", row)
        return ("update", row, {"mode": UpdateMode.REPLACE, **_if_unchanged(etag)})

    async def _submit(self, table: TableClient, operations: list[Operation]) -> str | None:
        """Send one transaction; the sentence that tells why it failed."""
        try:
            await table.submit_transaction(operations)
        except HttpResponseError as error:
            if error.status_code in {404, 409, 412} and await self._done(table, operations):
                return None
            if error.status_code in {409, 412}:
                return f"{table.table_name}: another run wrote the same rows at the same time, so this one gave way"
            return f"{table.table_name} could not be written: {told(error, right=_RIGHT)}"
        except AzureError as error:
            return f"{table.table_name} could not be written: {told(error, right=_RIGHT)}"
        return None

    async def _done(self, table: TableClient, operations: list[Operation]) -> bool:
        """Whether a transaction was carried out all the same: its answer was lost, and the SDK asked again."""
        for operation in operations:
            row = operation[1]
            try:
                entity = await table.get_entity(str(row["PartitionKey"]), str(row["RowKey"]), select=["RunId"])
            except ResourceNotFoundError:
                if operation[0] != "delete":
                    return False
            except AzureError:
                return False
            else:
                if operation[0] == "delete" or entity.get("RunId") != row["RunId"]:
                    return False
        return True

    async def _side_by_side[T](self, calls: Iterable[Awaitable[T]]) -> list[T]:
        async def one(call: Awaitable[T]) -> T:
            async with self._slots:
                return await call

        return await asyncio.gather(*(one(call) for call in calls))


def _remembered(partition: str, row: str, memory: object) -> Status | None:
    """The status that a row remembers; None where it cannot be read."""
    try:
        status = msgspec.json.decode(str(memory), type=Status)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return status if (status.token.connector.value, key(status.token.id)) == (partition, row) else None


def _if_unchanged(etag: str) -> dict[str, Any]:
    return {"etag": etag, "match_condition": MatchConditions.IfNotModified}


def _deletion(partition: str, row: str) -> tuple[str, Row]:
    return ("delete", {"PartitionKey": partition, "RowKey": row})


def _row(operation: Operation) -> tuple[str, str]:
    return str(operation[1]["PartitionKey"]), str(operation[1]["RowKey"])


def _transactions(operations: Iterable[Operation]) -> Iterator[list[Operation]]:
    """Cut into transactions: of one partition each, and within the service's limits."""
    for _, same in groupby(sorted(operations, key=_row), key=lambda operation: _row(operation)[0]):
        batch: list[Operation] = []
        size = 0
        for operation in same:
            length = _ENVELOPE + len(json.dumps(operation[1], default=str))
            if batch and (len(batch) == MOST_OPERATIONS or size + length > MOST_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(operation)
            size += length
        yield batch
