"""Reads what `doctor` knows of the sign-in, the clock, the tables and Logs Ingestion; writes only where asked to.

Each function raises CommandError where a fact cannot be read, and NotTriedError where it did not try.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple
from uuid import uuid4

import httpx
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError

from cli import CommandError, publishing
from cli.doctor.lines import NotTriedError
from cli.places import Places
from cli.publishing import PUBLISHER
from cli.records import Records
from cli.refusals import tables_refused
from cli.sign_in import claims, default_token
from shared.clouds import CLOUDS
from shared.http import azure_errors
from shared.model.tokens import Outcome, Run
from shared.publishing.rows import RUNS, RunSource
from shared.storage.device_rows import DEVICE_INSPECTION
from shared.storage.rows import CHECK_RUN, TOKEN_HISTORY, TOKEN_STATUS, RunRow
from shared.text import bounded
from shared.words import listed

TABLES: Final = (TOKEN_STATUS.name, TOKEN_HISTORY.name, CHECK_RUN.name, DEVICE_INSPECTION.name)

WRITER: Final = "Storage Table Data Contributor"

_NEED_SIGN_IN: Final = ("TABLES_ENDPOINT", "FUNCTION_APP_ID", "IDENTITY_CLIENT_ID", "IDENTITY_PRINCIPAL_ID")
_PROOF: Final = {"PartitionKey": "doctor", "RowKey": "write-test", "TokenName": "Written by doctor; delete it."}
"""The row that proves that a table can be written to. The app skips it, and the next attempt replaces it."""
_CONNECTOR: Final = "doctor"
"""Of the row that proves that the data collection rule takes rows; no alert rule and no workbook query reads it."""
_CLOCK_SECONDS: Final = 15
_LOOKED_BACK: Final = timedelta(hours=49)


class Account(NamedTuple):
    """The operator, as the sign-in's token names it."""

    is_person: bool
    name: str
    tenant_id: str
    object_id: str


def need(places: Places, *names: str) -> None:
    """Raise NotTriedError where one of the places is not known."""
    missing = [name for name in names if places.get(name) is None]
    if missing:
        raise NotTriedError(f"{listed(missing)} {'is' if len(missing) == 1 else 'are'} not known")


async def account(places: Places, credential: AsyncTokenCredential) -> Account:
    """Return who is signed in."""
    if not any(places.get(name) for name in _NEED_SIGN_IN):
        raise NotTriedError("nothing is known to sign in to")
    cloud = CLOUDS[places.checked("AZURE_CLOUD", "AzureCloud")]
    said = claims(await default_token(credential, f"{cloud.tables}/.default"))
    name = said.get("upn") or said.get("unique_name") or said.get("appid") or "an account without a name"
    texts = (bounded(str(text or "unknown"), 100) for text in (name, said.get("tid"), said.get("oid")))
    return Account(said.get("idtyp") != "app", *texts)


async def skew(places: Places) -> timedelta:
    """Return how far the tables' clock is ahead of this machine's; any answer has a date, even a refusal."""
    try:
        endpoint = places.required("TABLES_ENDPOINT")
    except CommandError:
        raise NotTriedError("TABLES_ENDPOINT is not known, or cannot be used") from None
    try:
        async with httpx.AsyncClient(timeout=_CLOCK_SECONDS) as client:
            asked = datetime.now(UTC)
            answer = await client.get(endpoint)
            answered = datetime.now(UTC)
        date = parsedate_to_datetime(answer.headers["Date"]).astimezone(UTC)
    except httpx.HTTPError:
        raise NotTriedError("the tables, whose clock this one is compared with, did not answer") from None
    except (KeyError, ValueError):
        raise NotTriedError("the tables' answer has no date") from None
    return date - (asked + (answered - asked) / 2)


async def table(records: Records, places: Places, name: str, *, write: bool) -> str:
    """Read a row of a table, and, with `write`, write one and delete it; return what succeeded."""
    place = places.get("TABLES_ENDPOINT")
    assert place is not None  # noqa: S101 # the records were opened with it
    client = records.tables.get_table_client(name)
    try:
        async for _ in client.list_entities(results_per_page=1, select=["PartitionKey"]):
            break
    except AzureError as error:
        raise tables_refused(error, name, place.value, place.source) from error
    if not write:
        return "You can read it."
    try:
        await client.upsert_entity(_PROOF)
        await client.delete_entity(_PROOF["PartitionKey"], _PROOF["RowKey"])
    except AzureError as error:
        why = azure_errors.answer_of(error) or azure_errors.described(error, right=WRITER)
        raise CommandError(
            f"You can read it, and not write to it ({why}). The app's own right can differ.",
            f"--write needs the role {WRITER}; nothing else here does.",
            status=azure_errors.status_of(error),
            role=WRITER if azure_errors.status_of(error) == 403 else "",
        ) from error
    return "You can read it; a row was written and removed."


async def runs(records: Records, now: datetime) -> Sequence[RunRow]:
    """Return the app's checks, newest first: those of two days, or else the newest ones."""
    try:
        return await records.runs(since=now - _LOOKED_BACK) or await records.runs(limit=5)
    except CommandError:
        raise NotTriedError("the table CheckRun cannot be read") from None  # its own line gives the reason


async def send(places: Places, credential: AsyncTokenCredential, now: datetime, *, write: bool) -> str:
    """Send a row that no alert rule counts to the data collection rule."""
    if not write:
        raise NotTriedError("it would send a row: --write tries it")
    need(places, "LOGS_INGESTION_ENDPOINT", "LOGS_INGESTION_RULE_ID")
    run = Run(
        id=str(uuid4()), started_on=now, duration_ms=0, outcome=Outcome.SUCCEEDED, connectors={}, counts={}, rows=0
    )
    of = (places.value(name) or "unknown" for name in ("TENANT_ID", "DEPLOYMENT"))
    row = RUNS.row(RunSource(run, _CONNECTOR, "skipped", None, {}, *of))
    try:
        await publishing.send(places, credential, RUNS.name, row)
    except AzureError as error:
        raise _not_sent(error, places.required("LOGS_INGESTION_RULE_ID")) from error
    return (
        f"The rule took a row ({RUNS.name}, Connector {_CONNECTOR}), which no alert rule counts. It was sent with "
        "your sign-in, and not the app's."
    )


def _not_sent(error: AzureError, rule_id: str) -> CommandError:
    said, remedy = f"No row could be sent: {azure_errors.described(error, right=PUBLISHER)}.", ""
    status = azure_errors.status_of(error)
    if status in {401, 403}:
        said = "You may not send rows to the data collection rule. The app's own right can differ."
        remedy = f"To try it with --write, you need the role {PUBLISHER} on the rule; it can take 30 minutes to work."
    if status == 404:
        said = f"There is no data collection rule with the immutable id {rule_id} at LOGS_INGESTION_ENDPOINT."
        remedy = "Both are outputs of the deployment."
    return CommandError(said, remedy, status=status, role=PUBLISHER if status == 403 else "")
