"""Gathers the facts that `doctor` judges by: each is a value, or the reason why it is not known."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from azure.core.credentials_async import AsyncTokenCredential

from cli import CommandError
from cli.arm import Arm, ArmError, CollectionRule, Identity, open_arm
from cli.doctor import directory, reads
from cli.doctor.directory import Directory
from cli.doctor.lines import NotTriedError
from cli.doctor.reads import Account
from cli.places import Places
from cli.records import default_credential, open_records
from cli.session import Session
from shared.graph.connectors import EVENTS_ROLE, ROLE
from shared.storage.rows import RunRow

_ARM: Final = "Azure Resource Manager"
_SECONDS: Final = 90
"""For one read, attempts included."""

_PUBLISHER_ID: Final = "3913510d-42f4-4e42-8a64-420c390055eb"
"""Of the role Monitoring Metrics Publisher. https://learn.microsoft.com/azure/role-based-access-control/built-in-roles"""

type Fact[T] = T | CommandError

NOBODY: Final = NotTriedError("nobody is signed in")


class App(NamedTuple):
    """What Azure Resource Manager knows of the app and its resource group."""

    state: Fact[str] = NOBODY
    settings: Fact[Mapping[str, str]] = NOBODY
    functions: Fact[Mapping[str, bool]] = NOBODY
    identities: Fact[Sequence[Identity]] = NOBODY
    alert_rules: Fact[Mapping[str, bool]] = NOBODY
    collection_rules: Fact[Sequence[CollectionRule]] = NOBODY


_NO_APP: Final = App()


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """All facts. Until somebody is signed in, most are not known."""

    places: Places
    now: datetime
    account: Fact[Account]
    skew: Fact[timedelta]
    """How far the tables' clock is ahead of this machine's."""
    app: App = _NO_APP
    directory: Fact[Directory] = NOBODY
    publisher: Fact[bool] = NOBODY
    """Whether the app's identity has the role on the data collection rule that publishing needs."""
    tables: Mapping[str, Fact[str]] = field(default_factory=lambda: dict.fromkeys(reads.TABLES, NOBODY))
    """By table, what the operator can do with it."""
    runs: Fact[Sequence[RunRow]] = NOBODY
    """The app's checks, newest first."""
    ingestion: Fact[str] = NOBODY
    """The row that was sent."""

    @property
    def settings(self) -> Mapping[str, str]:
        """The app's settings; empty where they are not known."""
        return known(self.app.settings) or {}

    def setting(self, name: str) -> str | None:
        """Return the app's setting, or else what this machine knows by that name."""
        return self.settings.get(name) or self.places.value(name)

    @property
    def client_id(self) -> str | None:
        """What the app signs in as."""
        return self.settings.get("AZURE_CLIENT_ID") or self.places.value("IDENTITY_CLIENT_ID")

    @property
    def roles(self) -> tuple[str, ...]:
        """The Graph roles that the app needs."""
        events = (self.setting("ENROLLMENT_EVENTS") or "").lower() == "true"
        return (ROLE, EVENTS_ROLE) if events else (ROLE,)

    @property
    def principal_id(self) -> str | None:
        """The object id of the app's identity."""
        found = known(self.directory)
        return found.identity.id if found and found.identity else self.places.value("IDENTITY_PRINCIPAL_ID")

    @property
    def checks(self) -> Fact[Sequence[RunRow]]:
        """The same, where there are any."""
        return self.runs or NotTriedError("the app has not run")

    @property
    def newest(self) -> Fact[RunRow]:
        """The app's newest check."""
        return self.checks if isinstance(self.checks, CommandError) else self.checks[0]

    @property
    def rule_id(self) -> Fact[str]:
        """The immutable id of the data collection rule that rows are sent to."""
        return self.setting("LOGS_INGESTION_RULE_ID") or NotTriedError("LOGS_INGESTION_RULE_ID is not known")

    @property
    def collection_rule(self) -> CollectionRule | None:
        """The rule that the app should send to: the deployment's, or else the only one that takes rows directly."""
        rules = known(self.app.collection_rules) or ()
        ids = {self.places.value("LOGS_INGESTION_RULE_ID"), self.setting("LOGS_INGESTION_RULE_ID")}
        meant = [rule for rule in rules if rule.immutable_id in ids]
        direct = [rule for rule in rules if rule.endpoint]
        return next(iter(meant or (direct if len(direct) == 1 else ())), None)


def known[T](fact: Fact[T]) -> T | None:
    """Return the value of a fact, if it is known."""
    return None if isinstance(fact, CommandError) else fact


async def gather(session: Session, *, write: bool) -> Facts:
    """Read everything, side by side where one read does not need another; with `write`, try writing as well."""
    places = session.places
    async with default_credential() as credential:
        account, skew = await asyncio.gather(
            _read("The sign-in", reads.account(places, credential)), _read("The tables", reads.skew(places))
        )
        facts = Facts(places=places, now=session.now, account=account, skew=skew)
        if isinstance(account, CommandError):
            return facts
        azure, (tables, runs), ingestion = await asyncio.gather(
            _azure(facts, credential),
            _tables(session, write=write),
            _read("Logs Ingestion", reads.send(places, credential, session.now, write=write)),
        )
        return replace(azure, tables=tables, runs=runs, ingestion=ingestion)


async def _read[T](who: str, reading: Awaitable[T]) -> Fact[T]:
    """Return what a read brings, or why it brought nothing; what the operator may not read in Azure is not tried."""
    try:
        async with asyncio.timeout(_SECONDS):
            return await reading
    except TimeoutError:
        return CommandError(f"{who} did not answer within {_SECONDS} seconds.", "Check the network, proxy and VPN.")
    except ArmError as problem:
        return NotTriedError(problem.sentence) if problem.status == 403 else problem
    except CommandError as problem:
        return problem


async def _azure(facts: Facts, credential: AsyncTokenCredential) -> Facts:
    """Add the app, the identity that it signs in as, and that one's rights."""
    try:
        reads.need(facts.places, "FUNCTION_APP_ID")
        async with open_arm(facts.places, credential) as arm:
            facts = await _directory(replace(facts, app=await _app(arm)), credential)
            return replace(facts, publisher=await _read(_ARM, _publisher(arm, facts)))
    except CommandError as problem:
        app = App(*[problem] * len(App._fields))
        return await _directory(replace(facts, app=app, publisher=problem), credential)


async def _app(arm: Arm) -> App:
    app = App(
        *await asyncio.gather(
            _read(_ARM, arm.state()),
            _read(_ARM, arm.settings()),
            _read(_ARM, arm.functions()),
            _read(_ARM, arm.identities()),
            _read(_ARM, arm.rules()),
            _read(_ARM, arm.collection_rules()),
        )
    )
    if isinstance(app.state, CommandError) and app.state.status == 404:
        gone = NotTriedError("the app is not there")
        return app._replace(settings=gone, functions=gone)
    return app


async def _directory(facts: Facts, credential: AsyncTokenCredential) -> Facts:
    principal_id = facts.places.value("IDENTITY_PRINCIPAL_ID")
    reading = directory.read(facts.places, credential, facts.client_id, principal_id, facts.roles)
    return replace(facts, directory=await _read("The directory", reading))


async def _publisher(arm: Arm, facts: Facts) -> bool:
    if facts.principal_id is None:
        raise NotTriedError("IDENTITY_PRINCIPAL_ID is not known")
    if facts.collection_rule is None:
        raise NotTriedError("the data collection rule is not known")
    return _PUBLISHER_ID in await arm.roles_on(facts.collection_rule.id, facts.principal_id)


async def _tables(session: Session, *, write: bool) -> tuple[Mapping[str, Fact[str]], Fact[Sequence[RunRow]]]:
    """Read and, with `write`, write the tables; the app's checks."""
    try:
        reads.need(session.places, "TABLES_ENDPOINT")
        async with open_records(session.places) as records:
            trying = [_read(name, reads.table(records, session.places, name, write=write)) for name in reads.TABLES]
            found, runs = await asyncio.gather(
                asyncio.gather(*trying), _read("CheckRun", reads.runs(records, session.now))
            )
            return dict(zip(reads.TABLES, found, strict=True)), runs
    except CommandError as problem:
        return dict.fromkeys(reads.TABLES, problem), NotTriedError("the table CheckRun cannot be read")
