"""Gathers the facts that `doctor` judges by, each read once; writes only where asked to."""

import asyncio
from asyncio import CancelledError, create_task
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final
from uuid import uuid4

import httpx
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError

from cli import CommandError, publishing
from cli.arm import Arm, CollectionRule, open_arm
from cli.doctor.directory import Directory, read_directory
from cli.doctor.lines import NotTriedError
from cli.records import Records, default_credential, open_records
from cli.refusals import tables_refused
from cli.session import Session
from cli.sign_in import Account, account
from shared.clouds import CLOUDS
from shared.graph.connectors import EVENTS_ROLE, ROLE
from shared.http import azure_errors
from shared.model.runs import Outcome, Run
from shared.publishing.rows import RUNS, RunSource
from shared.storage.device_rows import DEVICE_INSPECTION
from shared.storage.rows import CHECK_RUN, TOKEN_HISTORY, TOKEN_STATUS, RunRow

TABLES: Final = (TOKEN_STATUS.name, TOKEN_HISTORY.name, CHECK_RUN.name, DEVICE_INSPECTION.name)
SECONDS: Final = 180
"""For all reads."""

_NEED_SIGN_IN: Final = ("TABLES_ENDPOINT", "FUNCTION_APP_ID", "IDENTITY_CLIENT_ID", "IDENTITY_PRINCIPAL_ID")
_PUBLISHER_ID: Final = "3913510d-42f4-4e42-8a64-420c390055eb"
"""Of the role Monitoring Metrics Publisher. https://learn.microsoft.com/azure/role-based-access-control/built-in-roles"""
_WRITER: Final = "Storage Table Data Contributor"
_PROOF: Final = {"PartitionKey": "doctor", "RowKey": "write-test", "TokenName": "Written by doctor; delete it."}
"""The row that proves that a table can be written to. The app skips it, and the next attempt replaces it."""
_CONNECTOR: Final = "doctor"
"""Of the row that proves that the data collection rule takes rows; no alert rule and no workbook query reads it."""
_RUNS_SINCE: Final = timedelta(hours=49)


def known[T](fact: Callable[[], T]) -> T | None:
    """Return what `fact` returns, or None where the fact is not known."""
    try:
        return fact()
    except (CommandError, CancelledError):
        return None


class Facts:
    """All facts. A task is the reading of one; its result raises CommandError where the fact is not known.

    A read that takes too long is cancelled.
    """

    def __init__(self, session: Session, stack: AsyncExitStack, sign_in: AsyncTokenCredential, *, write: bool) -> None:
        """Start to read everything; what a read opens is closed by `stack`. With `write`, also try to write."""
        self.places = session.places
        self.now = session.now
        self._stack = stack
        self._sign_in = sign_in
        self._write = write
        self.account = create_task(self._read_account())
        self.skew = create_task(self._read_skew())
        """How far the tables' clock is ahead of this machine's."""
        self._arm = create_task(self._open_arm())
        self.state = create_task(self._of_app(Arm.state))
        self.settings = create_task(self._of_app(Arm.settings))
        self.functions = create_task(self._of_app(Arm.functions))
        self.identities = create_task(self._of_app(Arm.identities))
        self.alert_rules = create_task(self._of_app(Arm.rules))
        self.collection_rules = create_task(self._of_app(Arm.collection_rules))
        self.directory = create_task(self._read_directory())
        self.publisher = create_task(self._read_publisher())
        """Whether the app's identity has the role on the data collection rule that publishing needs."""
        self._records = create_task(self._open_records())
        self.tables = {name: create_task(self._try_table(name)) for name in TABLES}
        """By table, what the operator can do with it."""
        self.runs = create_task(self._read_runs())
        """The app's checks, newest first: those of two days, or else the newest ones."""
        self.ingestion = create_task(self._send_row())
        """What became of the row that was sent."""

    async def finish(self) -> None:
        """Wait until every fact is read, or there is no time left."""
        tasks = [one for one in (*vars(self).values(), *self.tables.values()) if isinstance(one, asyncio.Task)]
        try:
            await asyncio.wait(tasks, timeout=SECONDS)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def app_settings(self) -> Mapping[str, str]:
        """The app's settings; empty where they are not known."""
        return known(self.settings.result) or {}

    def setting(self, name: str) -> str | None:
        """Return the app's setting, or else what this machine knows by that name."""
        return self.app_settings.get(name) or self.places.value(name)

    @property
    def client_id(self) -> str | None:
        """What the app signs in as."""
        return self.app_settings.get("AZURE_CLIENT_ID") or self.places.value("IDENTITY_CLIENT_ID")

    @property
    def roles(self) -> tuple[str, ...]:
        """The Graph roles that the app needs."""
        events = (self.setting("ENROLLMENT_EVENTS") or "").lower() == "true"
        return (ROLE, EVENTS_ROLE) if events else (ROLE,)

    @property
    def principal_id(self) -> str | None:
        """The object id of the app's identity."""
        found = known(self.directory.result)
        return found.identity.id if found and found.identity else self.places.value("IDENTITY_PRINCIPAL_ID")

    def checks(self) -> Sequence[RunRow]:
        """Return the app's checks, at least one; raise NotTriedError where there is none."""
        if runs := self.runs.result():
            return runs
        raise NotTriedError("the app has not run")

    def newest(self) -> RunRow:
        """Return the app's newest check."""
        return self.checks()[0]

    @property
    def collection_rule(self) -> CollectionRule | None:
        """The rule that the app should send to: the deployment's, or else the only one that takes rows directly."""
        rules = known(self.collection_rules.result) or ()
        ids = {self.places.value("LOGS_INGESTION_RULE_ID"), self.setting("LOGS_INGESTION_RULE_ID")}
        meant = [rule for rule in rules if rule.immutable_id in ids]
        direct = [rule for rule in rules if rule.endpoint]
        return next(iter(meant or (direct if len(direct) == 1 else ())), None)

    async def _read_account(self) -> Account:
        if not any(self.places.get(name) for name in _NEED_SIGN_IN):
            raise NotTriedError("nothing is known to sign in to")
        cloud = CLOUDS[self.places.checked("AZURE_CLOUD", "AzureCloud")]
        return await account(self._sign_in, f"{cloud.tables}/.default")

    async def _signed_in(self, *needed: str) -> AsyncTokenCredential:
        """Return the sign-in, for a read that also needs these places."""
        await asyncio.wait([self.account])
        if known(self.account.result) is None:
            raise NotTriedError("nobody is signed in")
        for name in needed:
            if self.places.get(name) is None:
                raise NotTriedError(f"{name} is not known")
        return self._sign_in

    async def _read_skew(self) -> timedelta:
        try:
            endpoint = self.places.required("TABLES_ENDPOINT")
            async with httpx.AsyncClient(timeout=15) as client:
                asked = datetime.now(UTC)
                async with client.stream("GET", endpoint) as answer:  # the body, which can have any size, is not read
                    answered = datetime.now(UTC)
            date = parsedate_to_datetime(answer.headers["Date"]).astimezone(UTC)  # a refusal has one, too
        except CommandError:
            raise NotTriedError("TABLES_ENDPOINT is not known, or cannot be used") from None
        except (httpx.HTTPError, KeyError, ValueError):
            raise NotTriedError("the tables, whose clock this one is compared with, did not answer") from None
        return date - (asked + (answered - asked) / 2)

    async def _open_arm(self) -> Arm:
        credential = await self._signed_in("FUNCTION_APP_ID")
        return await self._stack.enter_async_context(open_arm(self.places, credential))

    async def _of_app[T](self, read: Callable[[Arm], Awaitable[T]]) -> T:
        return await read(await self._arm)

    async def _read_directory(self) -> Directory:
        credential = await self._signed_in()
        await asyncio.wait([self.settings])
        return await read_directory(self.places, credential, self.client_id, self.roles)

    async def _read_publisher(self) -> bool:
        arm = await self._arm
        await asyncio.wait([self.collection_rules, self.directory])
        if self.principal_id is None:
            raise NotTriedError("IDENTITY_PRINCIPAL_ID is not known")
        if self.collection_rule is None:
            raise NotTriedError("the data collection rule is not known")
        return _PUBLISHER_ID in await arm.roles_on(self.collection_rule.id, self.principal_id)

    async def _open_records(self) -> Records:
        await self._signed_in("TABLES_ENDPOINT")
        return await self._stack.enter_async_context(open_records(self.places))

    async def _try_table(self, name: str) -> str:
        """Read a row of a table, and, with `write`, write one and delete it; return what succeeded."""
        client, place = (await self._records).tables.get_table_client(name), self.places.get("TABLES_ENDPOINT")
        assert place is not None  # noqa: S101 # the records were opened with it
        try:
            async for _ in client.list_entities(results_per_page=1, select=["PartitionKey"]):
                break
        except AzureError as error:
            raise tables_refused(error, name, place.value, place.source) from error
        if not self._write:
            return "You can read it."
        try:
            await client.upsert_entity(_PROOF)
            await client.delete_entity(_PROOF["PartitionKey"], _PROOF["RowKey"])
        except AzureError as error:
            why = azure_errors.answer_of(error) or azure_errors.described(error, right=_WRITER)
            raise CommandError(
                f"You can read it, and not write to it ({why}). The app's own right can differ.",
                f"--write needs the role {_WRITER}; nothing else here does.",
                role=_WRITER if azure_errors.status_of(error) == 403 else "",
            ) from error
        return "You can read it; a row was written and removed."

    async def _read_runs(self) -> Sequence[RunRow]:
        try:
            records = await self._records
            return await records.runs(since=self.now - _RUNS_SINCE) or await records.runs(limit=5)
        except CommandError:
            await self._signed_in()
            raise NotTriedError("the table CheckRun cannot be read") from None  # its own line gives the reason

    async def _send_row(self) -> str:
        """Send a row that no alert rule counts to the data collection rule."""
        credential = await self._signed_in()
        if not self._write:
            raise NotTriedError("it would send a row: --write tries it")
        await self._signed_in("LOGS_INGESTION_ENDPOINT", "LOGS_INGESTION_RULE_ID")
        run = Run(
            id=str(uuid4()),
            started_on=self.now,
            duration_ms=0,
            outcome=Outcome.SUCCEEDED,
            connectors={},
            counts={},
            rows=0,
        )
        tenant, deployment = (self.places.value(name) or "unknown" for name in ("TENANT_ID", "DEPLOYMENT"))
        row = RUNS.row(RunSource(run, _CONNECTOR, "skipped", None, {}, tenant, deployment))
        await publishing.send(self.places, credential, RUNS.name, row)
        return (
            f"The rule took a row ({RUNS.name}, Connector {_CONNECTOR}), which no alert rule counts. It was sent with "
            "your sign-in, and not the app's."
        )


async def gather(session: Session, *, write: bool) -> Facts:
    """Read everything, side by side where one read does not need another; with `write`, try writing as well."""
    async with default_credential() as sign_in, AsyncExitStack() as stack:
        facts = Facts(session, stack, sign_in, write=write)
        await facts.finish()
        return facts
