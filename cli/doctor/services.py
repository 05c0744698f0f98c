"""Looks at the tables and at Logs Ingestion, with the operator's sign-in; writes only where it is told to."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final
from uuid import uuid4

from azure.core import AsyncPipelineClient
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.pipeline.policies import UserAgentPolicy
from azure.core.rest import AsyncHttpResponse, HttpRequest

from cli import CommandError, publishing
from cli.doctor.lines import Found, RefusedError, Untried
from cli.places import Places
from cli.publishing import PUBLISHER
from cli.records import Records
from cli.refusals import READER, tables_refused
from cli.rows import RunRow
from shared import __version__
from shared.http import azure_errors
from shared.model.tokens import Outcome, Run
from shared.storage.device_rows import DEVICE_INSPECTION
from shared.storage.rows import CHECK_RUN, RUNS, TOKEN_HISTORY, TOKEN_STATUS, RunSource

TABLES: Final = (TOKEN_STATUS.name, TOKEN_HISTORY.name, CHECK_RUN.name, DEVICE_INSPECTION.name)

PARTITION: Final = "doctor"
"""Of the row that proves that a table can be written to; the app passes over it, and the next attempt replaces it."""

WRITER: Final = "Storage Table Data Contributor"

_PROOF: Final = {"PartitionKey": PARTITION, "RowKey": "write-test", "TokenName": "Written by doctor; delete it."}
_CLOCK_SECONDS: Final = 15
_LOOKED_BACK: Final = timedelta(hours=49)
_CONNECTOR: Final = "doctor"
"""Of the row that proves that the data collection rule takes rows; no alert rule and no workbook query knows it."""


async def tables(records: Records, places: Places, *, write: bool) -> Mapping[str, Found[str]]:
    """What can be done with each of the tables."""
    found = await asyncio.gather(*(_table(records, places, name, write=write) for name in TABLES))
    return dict(zip(TABLES, found, strict=True))


async def _table(records: Records, places: Places, name: str, *, write: bool) -> Found[str]:
    place = places.get("TABLES_ENDPOINT")
    assert place is not None  # noqa: S101 # the records are opened by it
    client = records.tables.get_table_client(name)
    try:
        async for _ in client.list_entities(results_per_page=1, select=["PartitionKey"]):
            break
    except AzureError as error:
        return RefusedError(tables_refused(error, name, place.value, place.source), status=_status(error), role=READER)
    if not write:
        return "You can read it."
    try:
        await client.upsert_entity(_PROOF)
        await client.delete_entity(_PROOF["PartitionKey"], _PROOF["RowKey"])
    except AzureError as error:
        why = azure_errors.told(error, right=WRITER).partition(":")[0]
        problem = CommandError(
            f"You can read it, and not write to it ({why}). This tells nothing of the app's own right.",
            f"--write needs the role {WRITER}; nothing else here does.",
        )
        return RefusedError(problem, status=_status(error), role=WRITER)
    return "You can read it; a row was written and removed."


def _status(error: AzureError) -> int | None:
    return error.status_code if isinstance(error, HttpResponseError) else None


async def runs(records: Records, now: datetime) -> Found[Sequence[RunRow]]:
    """What the app itself did, newest first: two days of it, or else the newest run there is."""
    try:
        found = await records.runs(since=now - _LOOKED_BACK) or await records.runs(limit=5)
    except CommandError:
        return Untried("the table CheckRun cannot be read")  # whose own line says why
    return found


async def skew(places: Places) -> Found[timedelta]:
    """How far the tables' clock is ahead of this machine's; any answer tells, also to somebody unknown."""
    try:
        endpoint = places.required("TABLES_ENDPOINT")
    except CommandError:
        return Untried("TABLES_ENDPOINT is not known, or cannot be used")
    client: AsyncPipelineClient[HttpRequest, AsyncHttpResponse] = AsyncPipelineClient(
        endpoint, policies=[UserAgentPolicy(f"ade-token-monitor/{__version__}")]
    )
    try:
        async with client:
            asked = datetime.now(UTC)
            answer = await client.send_request(
                HttpRequest("GET", endpoint), connection_timeout=_CLOCK_SECONDS, read_timeout=_CLOCK_SECONDS
            )
            answered = datetime.now(UTC)
        said = parsedate_to_datetime(answer.headers["Date"])
    except AzureError:
        return Untried("the tables did not answer, and it is their clock that this one is compared with")
    except (KeyError, ValueError):
        return Untried("the tables' answer bears no date")
    return said.astimezone(UTC) - (asked + (answered - asked) / 2)


async def send(places: Places, credential: AsyncTokenCredential, now: datetime) -> Found[str]:
    """Send a row that no alert rule counts to the data collection rule."""
    missing = [name for name in ("LOGS_INGESTION_ENDPOINT", "LOGS_INGESTION_RULE_ID") if places.get(name) is None]
    if missing:
        return Untried(f"{' and '.join(missing)} not known")
    run = Run(
        id=f"doctor-{uuid4()}",
        started_on=now,
        duration_ms=0,
        outcome=Outcome.SUCCEEDED,
        connectors={},
        counts={},
        rows=0,
    )
    of = (places.value(name) or "unknown" for name in ("TENANT_ID", "DEPLOYMENT"))
    row = RUNS.row(RunSource(run, _CONNECTOR, "skipped", None, {}, *of))
    try:
        await publishing.send(places, credential, RUNS.name, row)
    except CommandError as problem:
        return problem
    except AzureError as error:
        return _not_sent(error, places.required("LOGS_INGESTION_RULE_ID"))
    return (
        f"The rule took a row ({RUNS.name}, Connector {_CONNECTOR}), which no alert rule counts. It was sent with "
        "your sign-in, and not the app's."
    )


def _not_sent(error: AzureError, rule_id: str) -> RefusedError:
    status = _status(error)
    match status:
        case 401 | 403:
            problem = CommandError(
                "You may not send rows to the data collection rule. This tells nothing of the app's own right.",
                f"To try it with --write, you need the role {PUBLISHER} on the rule; it can take 30 minutes to work.",
            )
        case 404:
            problem = CommandError(
                f"There is no data collection rule with the immutable id {rule_id} at LOGS_INGESTION_ENDPOINT.",
                "Both are outputs of the deployment.",
            )
        case _:
            problem = CommandError(f"No row could be sent: {azure_errors.told(error, right=PUBLISHER)}.", "")
    return RefusedError(problem, status=status, role=PUBLISHER)
