"""A run that an operator starts from here: the app's own code, with the app's limits and the operator's sign-in."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple
from uuid import uuid4

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError

from cli import CommandError
from cli.arm import open_arm
from cli.places import Places
from cli.records import default_credential
from cli.refusals import tables_refused
from cli.rows import InspectionRow, RunRow
from cli.session import Session
from cli.sign_in import GraphSignIn, graph_credential
from shared.clients import Clients, open_clients
from shared.clouds import CLOUDS
from shared.settings import SETTINGS, Settings, SettingsError
from shared.storage.store import StoreError

RUN: Final = "cli-"
"""Begins the id of a run by hand; the host's are GUIDs."""

_UNUSED: Final = {
    "TABLES_ENDPOINT": "https://unused.invalid",
    "LOGS_INGESTION_ENDPOINT": "https://unused.invalid",
    "LOGS_INGESTION_RULE_ID": "unused",
    "TENANT_ID": "unused",
    "DEPLOYMENT": "unused",
}
"""For the settings that a run does without."""


def new_run_id() -> str:
    """What a run by hand is known by."""
    return f"{RUN}{uuid4()}"


def is_by_hand(row: RunRow | InspectionRow) -> bool:
    """Whether a run by hand wrote it, and not the app's own."""
    return row.run_id is not None and row.run_id.startswith(RUN)


class Limits(NamedTuple):
    """Whose settings a run by hand goes by."""

    known: dict[str, str]
    """Those that the app has."""
    why_not: str | None
    """Why the app's are not known; a sentence's part."""

    @property
    def told(self) -> str:
        """Whose limits they are, in a sentence."""
        if self.why_not is None:
            return "The limits are the app's own."
        return f"The limits are the usual ones, and not the app's: {self.why_not}."


class ByHand(NamedTuple):
    """What a run by hand works with."""

    settings: Settings
    limits: Limits
    clients: Clients


@asynccontextmanager
async def open_by_hand(
    session: Session, sign_in: GraphSignIn, *, needs: tuple[str, ...] = (), judges: bool = True
) -> AsyncIterator[ByHand]:
    """The clients of a run, signed in to as the operator; the person is asked to sign in to Graph.

    `needs` are the places that it cannot do without; one that `judges` goes by the app's own settings.

    Raises:
        CommandError: where something is not known, or nobody signs in.

    """
    async with default_credential() as credential:
        limits = Limits({}, "nothing is judged")
        if judges:
            with session.working("Reading the app's settings"):
                limits = await _app_settings(session.places, credential)
        settings = load(session.places, limits.known, needs)
        async with (
            graph_credential(session, sign_in, credential, settings.graph_audience) as graph,
            open_clients(settings, graph_credential=graph) as clients,
        ):
            yield ByHand(settings, limits, clients)


def load(places: Places, known: dict[str, str], needs: tuple[str, ...]) -> Settings:
    """The settings: those of `known`, unless this machine's variables or a place say otherwise.

    Raises:
        CommandError: where one cannot be used, or a place of `needs` is not known.

    """
    ours = {setting.name for setting in SETTINGS}
    environment = {name: value for name, value in known.items() if name != "AZURE_CLIENT_ID"}
    environment |= {name: os.environ[name] for name in ours if os.environ.get(name)}
    environment |= {place.name: place.value for place in places if place.name in ours}
    cloud = environment.get("AZURE_CLOUD", "AzureCloud")
    if cloud in CLOUDS:
        environment.setdefault("GRAPH_ENDPOINT", CLOUDS[cloud].graph[0])
    for name in needs:
        if name not in environment:
            places.required(name)
    try:
        return Settings.load({**_UNUSED, **environment})
    except SettingsError as error:
        raise CommandError(" ".join(error.problems), "Correct or unset what is named.") from error


async def _app_settings(places: Places, credential: AsyncTokenCredential) -> Limits:
    """The app's own settings, where they can be read; no other of its settings is kept."""
    if places.get("FUNCTION_APP_ID") is None:
        return Limits({}, "FUNCTION_APP_ID is not known")
    try:
        async with open_arm(places, credential) as arm:
            told = await arm.settings()
    except CommandError as problem:
        return Limits({}, problem.sentence.rstrip("."))
    ours = {setting.name for setting in SETTINGS}
    return Limits({name: value for name, value in told.items() if name in ours}, None)


def store_refused(error: StoreError, places: Places) -> CommandError:
    """Why the tables could not be read, for the operator."""
    cause, place = error.__cause__, places.get("TABLES_ENDPOINT")
    table = str(error).partition(" ")[0]
    if isinstance(cause, AzureError) and place is not None:
        return tables_refused(cause, table, place.value, place.source)
    return CommandError(f"{error}".rstrip(".") + ".", "Try again in a minute.")
