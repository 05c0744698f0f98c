"""Looks at everything that `doctor` judges, side by side where one look does not need another."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Final

from azure.core.credentials_async import AsyncTokenCredential

from cli import CommandError
from cli.arm import Arm, ArmError, open_arm
from cli.doctor import directory, services
from cli.doctor.facts import Account, App, Directory, Facts, reads_events
from cli.doctor.lines import Found, Untried, in_time
from cli.places import Places
from cli.records import default_credential, open_records
from cli.rows import RunRow
from cli.session import Session
from cli.sign_in import claims, default_token
from shared.clouds import CLOUDS
from shared.graph.connectors import EVENTS_ROLE, ROLE
from shared.text import bounded

_PUBLISHER_ID: Final = "3913510d-42f4-4e42-8a64-420c390055eb"
"""Of the role Monitoring Metrics Publisher. https://learn.microsoft.com/azure/role-based-access-control/built-in-roles"""

_NEEDS_SIGN_IN: Final = ("TABLES_ENDPOINT", "FUNCTION_APP_ID", "IDENTITY_CLIENT_ID", "IDENTITY_PRINCIPAL_ID")
_NOBODY: Final = Untried("nobody is signed in")


async def look(session: Session, *, write: bool) -> Facts:
    """Look at everything; with `write`, also at what can be written."""
    places = session.places
    async with default_credential() as credential:
        skew, account = await asyncio.gather(services.skew(places), _account(places, credential))
        signed_in = not isinstance(account, Untried | CommandError)
        nowhere = account if isinstance(account, Untried) else _NOBODY
        (app, grants, publisher), (tables, runs), ingestion = await asyncio.gather(
            _azure(places, credential) if signed_in else _already((nowhere, nowhere, nowhere)),
            _record(session, write=write) if signed_in else _already(_no_record(nowhere)),
            in_time("Logs Ingestion", services.send(places, credential, session.now))
            if signed_in and write
            else _already(_unsent(nowhere, write)),
        )
    return Facts(
        places=places,
        now=session.now,
        write=write,
        account=account,
        skew=skew,
        app=app,
        directory=grants,
        publisher=publisher,
        tables=tables,
        runs=runs,
        ingestion=ingestion,
    )


async def _already[T](value: T) -> T:
    return value


def _unsent(nowhere: Untried, write: bool) -> Untried:
    return nowhere if write else Untried("it would send a row: --write tries it")


async def _found[T](looking: Awaitable[T]) -> Found[T]:
    """What a look at Azure Resource Manager brings."""
    return await in_time("Azure Resource Manager", _allowed(looking))


async def _allowed[T](looking: Awaitable[T]) -> Found[T]:
    """Whoever may not look has not tried."""
    try:
        return await looking
    except ArmError as problem:
        return Untried(problem.sentence.rstrip(".")) if problem.status == 403 else problem
    except CommandError as problem:
        return problem


async def _account(places: Places, credential: AsyncTokenCredential) -> Found[Account]:
    if not any(places.get(name) for name in _NEEDS_SIGN_IN):
        return Untried("nothing is known to sign in to")
    try:
        cloud = CLOUDS[places.checked("AZURE_CLOUD", "AzureCloud")]
        told = claims(await default_token(credential, f"{cloud.tables}/.default"))
    except CommandError as problem:
        return problem
    name = told.get("upn") or told.get("unique_name") or told.get("appid") or "an account without a name"
    return Account(
        bounded(str(name), 100),
        bounded(str(told.get("tid") or "unknown"), 100),
        bounded(str(told.get("oid") or "unknown"), 100),
        is_person=told.get("idtyp") != "app",
    )


async def _azure(places: Places, credential: AsyncTokenCredential) -> tuple[Found[App], Found[Directory], Found[bool]]:
    """The app, and what depends on whom it signs in as."""
    if places.get("FUNCTION_APP_ID") is None:
        unknown = Untried("FUNCTION_APP_ID is not known")
        return unknown, await _directory(places, credential, {}), unknown
    try:
        async with open_arm(places, credential) as arm:
            app = await _app(arm, places.required("FUNCTION_APP_ID"))
            settings = app.settings if isinstance(app.settings, Mapping) else {}
            found = await _directory(places, credential, settings)
            return app, found, await _publisher(arm, app, found, places)
    except CommandError as problem:
        return problem, await _directory(places, credential, {}), Untried("FUNCTION_APP_ID cannot be used")


async def _app(arm: Arm, app_id: str) -> App:
    state, settings, functions, identities, alert_rules, collection_rules = await asyncio.gather(
        _found(arm.state()),
        _found(arm.settings()),
        _found(arm.functions()),
        _found(arm.identities()),
        _found(arm.rules()),
        _found(arm.collection_rules()),
    )
    return App(app_id, arm.group_id, state, settings, functions, identities, alert_rules, collection_rules)


async def _directory(places: Places, credential: AsyncTokenCredential, settings: Mapping[str, str]) -> Found[Directory]:
    looking = directory.look(
        places,
        credential,
        client_id=settings.get("AZURE_CLIENT_ID") or places.value("IDENTITY_CLIENT_ID"),
        principal_id=places.value("IDENTITY_PRINCIPAL_ID"),
        roles=(ROLE, EVENTS_ROLE) if reads_events(settings, places) else (ROLE,),
    )
    return await in_time("The directory", looking)


async def _publisher(arm: Arm, app: App, found: Found[Directory], places: Places) -> Found[bool]:
    """Whether the identity has the role that publishing takes."""
    identity = found.identity if isinstance(found, Directory) else None
    principal_id = identity.id if identity else places.value("IDENTITY_PRINCIPAL_ID")
    rule = app.collection_rule(places)
    if principal_id is None or rule is None:
        return Untried(f"{'the data collection rule' if principal_id else 'IDENTITY_PRINCIPAL_ID'} is not known")
    roles = await _found(arm.roles_on(rule.id, principal_id))
    return roles if isinstance(roles, Untried | CommandError) else _PUBLISHER_ID in roles


async def _record(session: Session, *, write: bool) -> tuple[Mapping[str, Found[str]], Found[Sequence[RunRow]]]:
    """The tables, and what the app wrote of its own runs."""
    places = session.places
    if places.get("TABLES_ENDPOINT") is None:
        return _no_record(Untried("TABLES_ENDPOINT is not known"))
    try:
        async with open_records(places) as records:
            return await asyncio.gather(
                services.tables(records, places, write=write), services.runs(records, session.now)
            )
    except CommandError as problem:
        return _no_record(problem)


def _no_record(why: Untried | CommandError) -> tuple[Mapping[str, Found[str]], Found[Sequence[RunRow]]]:
    return dict.fromkeys(services.TABLES, why), Untried("the table CheckRun cannot be read")
