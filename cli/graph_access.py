"""Opens the app's own clients with a person's sign-in to Graph, and the settings that the app goes by."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from azure.core.credentials_async import AsyncTokenCredential

from cli import CommandError
from cli.arm import open_arm
from cli.places import Places
from cli.records import default_credential
from cli.session import GRAPH_CLIENT_ID, Session
from cli.sign_in import graph_credential
from shared.clients import Clients, open_clients
from shared.clouds import CLOUDS
from shared.graph.connectors import INTUNE_ROLE, ROLE
from shared.settings import BY_NAME, Settings, SettingsError

_UNUSED: Final = {
    "TABLES_ENDPOINT": "https://unused.invalid",
    "LOGS_INGESTION_ENDPOINT": "https://unused.invalid",
    "LOGS_INGESTION_RULE_ID": "unused",
    "TENANT_ID": "unused",
    "DEPLOYMENT": "unused",
}
"""Values of required settings that a command on this machine does not use."""


class Access(NamedTuple):
    """What a command reads Graph with."""

    settings: Settings
    defaults_because: str | None
    """Why the settings of an app that is known cannot be read, as a part of a sentence."""
    clients: Clients


@asynccontextmanager
async def open_access(session: Session, *, reads: str, app_settings: bool = True) -> AsyncIterator[Access]:
    """Open the clients; the person signs in to Graph at once.

    Args:
        session: the command's.
        reads: what the command reads, for the person who is asked to sign in.
        app_settings: whether to read the deployed app's settings, if the app is known.

    Raises:
        CommandError: if a setting is wrong, or nobody signs in.

    """
    async with default_credential() as credential:
        known, because = await _app_settings(session, credential) if app_settings else ({}, None)
        settings = load(session.places, known)
        _announce(session, reads)
        async with (
            graph_credential(session, credential, settings.graph_audience) as graph,
            open_clients(settings, graph_credential=graph) as clients,
        ):
            yield Access(settings, because, clients)


def _announce(session: Session, reads: str) -> None:
    """Print what is read and which permission it takes, before somebody signs in."""
    if session.quiet:
        return
    session.warn(f"This command reads {reads} from Microsoft Graph. It stores and publishes nothing.")
    how, client_id = session.graph_sign_in
    if how != "default":
        client = "Microsoft Graph Command Line Tools" if client_id == GRAPH_CLIENT_ID else client_id
        # https://learn.microsoft.com/entra/identity/enterprise-apps/grant-admin-consent
        session.warn(
            f"It asks for one permission, {ROLE}, for the client {client}. If your tenant has not consented to it yet, "
            "a Privileged Role Administrator, Cloud Application Administrator or Application Administrator has to."
        )
        session.warn(INTUNE_ROLE)


def load(places: Places, known: dict[str, str]) -> Settings:
    """Return the settings: those of `known`, unless a variable of this machine or a place replaces them.

    Raises:
        CommandError: if one cannot be used.

    """
    environment = {name: value for name, value in known.items() if name != "AZURE_CLIENT_ID"}
    environment |= {name: os.environ[name] for name in BY_NAME if os.environ.get(name)}
    environment |= {place.name: place.value for place in places if place.name in BY_NAME}
    cloud = environment.get("AZURE_CLOUD", "AzureCloud")
    if cloud in CLOUDS:
        environment.setdefault("GRAPH_ENDPOINT", CLOUDS[cloud].graph[0])
    try:
        return Settings.load({**_UNUSED, **environment})
    except SettingsError as error:
        raise CommandError(" ".join(error.problems), "Correct or unset each setting that is named.") from error


async def _app_settings(session: Session, credential: AsyncTokenCredential) -> tuple[dict[str, str], str | None]:
    """Return the settings of the app, if it is known, or why they cannot be read."""
    if session.places.get("FUNCTION_APP_ID") is None:
        return {}, None
    try:
        with session.working("Reading the app's settings"):
            async with open_arm(session.places, credential) as arm:
                values = await arm.settings()
    except CommandError as problem:
        return {}, problem.sentence.rstrip(".")
    return {name: value for name, value in values.items() if name in BY_NAME}, None
