"""Reads the app's identity and its Graph roles from the directory, with the operator's sign-in.

https://learn.microsoft.com/graph/api/resources/serviceprincipal; every member of a tenant can usually read these.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import quote

import msgspec
from azure.core.credentials_async import AsyncTokenCredential

from cli import CommandError
from cli.doctor.lines import NotTriedError
from cli.places import Places
from shared.clients import open_graph
from shared.clouds import CLOUDS
from shared.graph.client import Graph
from shared.graph.credential import GRAPH_APP_ID, GraphCredential
from shared.graph.pages import GraphError, decoded
from shared.storage.reading import clean

_PRINCIPALS: Final = "/v1.0/servicePrincipals"


class _Role(msgspec.Struct):
    id: str
    value: str | None = None


class Principal(msgspec.Struct, rename="camel"):
    """A service principal, with the application roles that it defines."""

    id: str
    display_name: str | None = None
    app_roles: list[_Role] = []

    @property
    def name(self) -> str:
        """Its name, safe to show."""
        return clean(self.display_name or "without a name")


class Grant(msgspec.Struct, rename="camel"):
    """An application role that a principal has."""

    id: str
    app_role_id: str
    principal_id: str
    resource_id: str
    principal_display_name: str | None = None

    @property
    def name(self) -> str:
        """The principal's name, safe to show."""
        return clean(self.principal_display_name or "without a name")


class Directory(NamedTuple):
    """What the directory knows of the app's identity."""

    roles: Mapping[str, str]
    """Graph's application roles: name to id."""
    identity: Principal | None
    """The app's; None where the directory has none by that id."""
    grants: Sequence[Grant]
    """The Graph roles that it has."""
    holders: Sequence[Grant]
    """Who has the roles that it lacks."""


async def read(
    places: Places,
    credential: AsyncTokenCredential,
    client_id: str | None,
    principal_id: str | None,
    roles: Sequence[str],
) -> Directory:
    """Read the identity with that client id, or else that object id; `roles` are those that it needs.

    Raises:
        CommandError: where the directory cannot be read; NotTriedError where the operator may not, or no id is known.

    """
    if not client_id and not principal_id:
        raise NotTriedError("neither IDENTITY_CLIENT_ID nor IDENTITY_PRINCIPAL_ID is known")
    cloud = CLOUDS[places.checked("AZURE_CLOUD", "AzureCloud")]
    endpoint = places.checked("GRAPH_ENDPOINT", cloud.graph[0])
    audience = endpoint if endpoint in cloud.graph else cloud.graph[0]
    address = f"(appId='{quote(client_id, safe='')}')" if client_id else f"/{quote(principal_id or '', safe='')}"
    try:
        async with open_graph(GraphCredential(credential, (audience,)), endpoint) as graph:
            return await _read(graph, address, roles)
    except GraphError as error:
        said = f"HTTP {error.status}{f' {error.code}' if error.code else ''}" if error.status else ""
        if error.status in {401, 403}:
            raise NotTriedError(f"you may not read the directory ({said}); a Directory Reader may") from error
        why = f"{error.reason}{f' ({said})' if said else ''}"
        raise CommandError(
            f"The directory could not be read: {why}.", "Check the network, proxy and GRAPH_ENDPOINT."
        ) from error


async def _read(graph: Graph, address: str, roles: Sequence[str]) -> Directory:
    service, identity = await asyncio.gather(
        _principal(graph, f"(appId='{GRAPH_APP_ID}')?$select=id,appRoles"),
        _identity(graph, f"{address}?$select=id,displayName"),
    )
    ids = {role.value: role.id for role in service.app_roles if role.value}
    if identity is None:
        return Directory(ids, None, (), ())
    grants = await _grants(graph, f"/{quote(identity.id, safe='')}/appRoleAssignments", service.id)
    lacking = {ids[role] for role in roles if role in ids} - {grant.app_role_id for grant in grants}
    all_holders = (
        await _grants(graph, f"/{quote(service.id, safe='')}/appRoleAssignedTo", service.id) if lacking else ()
    )
    return Directory(ids, identity, grants, [grant for grant in all_holders if grant.app_role_id in lacking])


async def _principal(graph: Graph, address: str) -> Principal:
    return decoded(await graph.get(f"{_PRINCIPALS}{address}"), Principal, f"GET {_PRINCIPALS}")


async def _identity(graph: Graph, address: str) -> Principal | None:
    try:
        return await _principal(graph, address)
    except GraphError as error:
        if error.status in {400, 404}:  # 400: what was asked for is no id at all
            return None
        raise


async def _grants(graph: Graph, below: str, graph_id: str) -> list[Grant]:
    """Return the roles of Graph among those that are listed there."""
    asked = f"GET {_PRINCIPALS}{below}"
    pages = graph.pages(f"{_PRINCIPALS}{below}?$top=999")
    found = [decoded(bytes(raw), Grant, asked) async for page in pages for raw in page]
    return [grant for grant in found if grant.resource_id == graph_id]
