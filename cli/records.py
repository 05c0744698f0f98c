"""Reads the monitor's tables with the operator's own sign-in. Nothing here writes."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import AioHttpTransport
from azure.data.tables.aio import TableClient, TableServiceClient
from azure.identity.aio import DefaultAzureCredential

from cli import CommandError
from cli.places import Place, Places
from cli.refusals import tables_refused
from shared.clouds import CLOUDS
from shared.http.answers import PAGE_ROWS, azure_session
from shared.storage.columns import Stored, newest_first
from shared.storage.device_rows import InspectionRow
from shared.storage.reading import Entity, columns_of, reader
from shared.storage.rows import ChangeRow, RunRow, StatusRow
from shared.text import bounded

_RETRIES: Final = 3
_CONNECT_SECONDS: Final = 15
_READ_SECONDS: Final = 60

_KEPT_MONTHS: Final = 14
"""Of runs, which are a partition each: `HISTORY_RETENTION_DAYS` is 400 unless somebody sets it."""


class Records:
    """The monitor's tables. Each method raises CommandError where its table cannot be read as a whole."""

    def __init__(self, tables: TableServiceClient, credential: AsyncTokenCredential, place: Place) -> None:
        self.credential = credential
        """The sign-in, for whoever asks another service, too; open as long as this is."""
        self.tables = tables
        self._place = place

    async def statuses(self) -> list[StatusRow]:
        """Return the current statuses, in the order of the keys."""
        return [row async for row in self._rows(StatusRow)]

    async def history(
        self, *, of: tuple[str, str] | None = None, since: datetime | None = None, columns: Iterable[str] = ()
    ) -> list[ChangeRow]:
        """Return what changed; of one token newest first.

        Args:
            of: connector and row key of the token; all tokens without it.
            since: leaves out what changed before.
            columns: bring only these beside the keys; the others count as missing.

        """
        partition = f"{of[0]}:{of[1]}" if of else None
        rows = self._rows(ChangeRow, partition=partition, since=since, columns=columns)
        return [row async for row in rows]

    async def runs(self, *, since: datetime | None = None, limit: int | None = None) -> list[RunRow]:
        """Return the checks, newest first: since an instant, or else the newest of the last 14 months."""
        if since is not None:
            rows = [row async for row in self._rows(RunRow, from_partition=f"{since:%Y-%m}", since=since)]
            return sorted(rows, key=lambda row: row.row)[:limit]
        found: list[RunRow] = []
        month = _next_month(datetime.now(UTC))  # the app's clock may be ahead
        for _ in range(_KEPT_MONTHS):
            left = None if limit is None else limit - len(found)
            if left == 0:
                break
            found += [row async for row in self._rows(RunRow, partition=f"{month:%Y-%m}", limit=left)]
            month = (month - timedelta(days=1)).replace(day=1)
        return found

    async def inspections(self) -> list[InspectionRow]:
        """Return the last inspection of each ADE token's devices, without serial numbers."""
        return [row async for row in self._rows(InspectionRow)]

    async def _rows[R: Stored[Any]](
        self,
        kind: type[R],
        *,
        partition: str | None = None,
        from_partition: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
        columns: Iterable[str] = (),
    ) -> AsyncIterator[R]:
        select = ["PartitionKey", "RowKey", *columns] if columns else list(columns_of(kind))
        conditions = (
            ("PartitionKey eq @partition", "partition", partition),
            ("PartitionKey ge @from", "from", from_partition),
            ("RowKey le @since", "since", newest_first(since) if since else None),
        )
        given = [(condition, name, value) for condition, name, value in conditions if value is not None]
        filters = " and ".join(condition for condition, _, _ in given)
        parameters = {name: value for _, name, value in given}
        read, client = reader(kind), self.tables.get_table_client(kind.table_name)
        try:
            async for row in _listed(client, filters, parameters, select, limit):
                yield read(row)
                limit = None if limit is None else limit - 1
                if limit == 0:
                    return
        except AzureError as error:
            raise tables_refused(error, kind.table_name, self._place.value, self._place.source) from error


def _listed(
    client: TableClient, filters: str, parameters: dict[str, str], select: list[str], limit: int | None
) -> AsyncIterator[Entity]:
    page = PAGE_ROWS if limit is None else min(limit, PAGE_ROWS)
    if not filters:
        return client.list_entities(select=select, results_per_page=page)
    return client.query_entities(filters, parameters=parameters, select=select, results_per_page=page)


def _next_month(now: datetime) -> datetime:
    return (now.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=32)).replace(day=1)


@asynccontextmanager
async def open_records(places: Places) -> AsyncIterator[Records]:
    """Open the tables of a deployment with the operator's sign-in. Nothing is called before the first use.

    Raises:
        CommandError: where the tables' address is not known, or the SDK's own settings cannot be used.

    """
    endpoint = places.required("TABLES_ENDPOINT")
    place = places.get("TABLES_ENDPOINT")
    assert place is not None  # noqa: S101 # it was required
    cloud = CLOUDS[places.checked("AZURE_CLOUD", "AzureCloud")]
    async with AsyncExitStack() as stack:
        transport = AioHttpTransport(
            session=await stack.enter_async_context(azure_session(lists=True)),
            session_owner=False,
            connection_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
        )
        credential = await stack.enter_async_context(default_credential())
        tables = TableServiceClient(
            endpoint,
            credential=credential,
            audience=cloud.tables,
            transport=transport,
            retry_total=_RETRIES,
            permit_redirects=False,
        )
        yield Records(await stack.enter_async_context(tables), credential, place)


@asynccontextmanager
async def default_credential() -> AsyncIterator[DefaultAzureCredential]:
    """Open the operator's sign-in.

    Raises:
        CommandError: where the SDK's own settings cannot be used.

    """
    async with azure_session() as session:
        try:
            credential = DefaultAzureCredential(transport=AioHttpTransport(session=session, session_owner=False))
        except ValueError as error:  # the SDK reads this setting itself
            raise CommandError(
                f"AZURE_TOKEN_CREDENTIALS cannot be used: {bounded(str(error), 300).rstrip('.')}.",
                "Unset it, or set it to dev for your own sign-in.",
            ) from None
        async with credential:
            yield credential
