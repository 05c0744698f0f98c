"""Reads the app's identity and its Graph roles from the directory, with the operator's sign-in.

https://learn.microsoft.com/graph/api/resources/serviceprincipal; every member of a tenant can usually read these.
"""

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
from shared.text import bounded

_PRINCIPALS: Final = "/v1.0/servicePrincipals"


class _Role(msgspec.Struct):
    id: str
    value: str | None = None


class Principal(msgspec.Struct, rename="camel"):
    """A service principal, with the application roles that it defines."""

    id: str
    display_name: str | None = None
    app_roles: list[_Role] = []


class Grant(msgspec.Struct, rename="camel"):
    """An application role that a principal has."""

    id: str
    app_role_id: str
    principal_id: str
    resource_id: str
    principal_display_name: str | None = None

    @property
    def holder(self) -> str:
        """The principal's name, safe to show."""
        return bounded(self.principal_display_name or "without a name")


class Directory(NamedTuple):
    """What the directory knows of the app's identity."""

    roles: Mapping[str, str]
    """Graph's application roles: name to id."""
    identity: Principal | None
    """The app's; None where the directory has none by that id."""
    grants: Sequence[Grant] = ()
    """The Graph roles that it has."""
    holders: Sequence[Grant] = ()
    """Who has the Graph roles, if the app's identity lacks one that it needs."""

    def has(self, role: str) -> bool:
        """Return whether the app's identity has a Graph role."""
        return any(grant.app_role_id == self.roles.get(role) for grant in self.grants)


async def read_directory(
    places: Places, credential: AsyncTokenCredential, client_id: str | None, roles: Sequence[str]
) -> Directory:
    """Read the identity with that client id, or else the one that the places name; `roles` are those that it needs.

    Raises:
        CommandError: where the directory cannot be read; NotTriedError where the operator may not, or no id is known.

    """
    principal_id = places.value("IDENTITY_PRINCIPAL_ID")
    if not client_id and not principal_id:
        raise NotTriedError("neither IDENTITY_CLIENT_ID nor IDENTITY_PRINCIPAL_ID is known")
    cloud = CLOUDS[places.checked("AZURE_CLOUD", "AzureCloud")]
    endpoint = places.checked("GRAPH_ENDPOINT", cloud.graph[0])
    audience = endpoint if endpoint in cloud.graph else cloud.graph[0]
    key = f"(appId='{quote(client_id, safe='')}')" if client_id else f"/{quote(principal_id or '', safe='')}"
    try:
        async with open_graph(GraphCredential(credential, (audience,)), endpoint) as graph:
            return await _read(graph, key, roles)
    except GraphError as error:
        answer = f"HTTP {error.status} {error.code or ''}".rstrip()
        if error.status in {401, 403}:
            raise NotTriedError(f"you may not read the directory ({answer}); a Directory Reader may") from error
        why = f"{error.reason} ({answer})" if error.status else error.reason
        raise CommandError(
            f"The directory could not be read: {why}.", "Check the network, proxy and GRAPH_ENDPOINT."
        ) from error


async def _read(graph: Graph, key: str, needed: Sequence[str]) -> Directory:
    async def principal(of: str) -> Principal:
        return decoded(await graph.get(f"{_PRINCIPALS}{of}"), Principal, f"GET {_PRINCIPALS}")

    async def grants(of: Principal, which: str) -> list[Grant]:
        """Return the roles of Graph among those that are listed there."""
        path = f"{_PRINCIPALS}/{quote(of.id, safe='')}/{which}"
        pages = graph.pages(f"{path}?$top=999")
        found = [decoded(bytes(raw), Grant, f"GET {path}") async for page in pages for raw in page]
        return [grant for grant in found if grant.resource_id == service.id]

    service = await principal(f"(appId='{GRAPH_APP_ID}')?$select=id,appRoles")
    roles = {role.value: role.id for role in service.app_roles if role.value}
    try:
        identity = await principal(f"{key}?$select=id,displayName")
    except GraphError as error:
        if error.status in {400, 404}:  # 400: what was asked for is no id at all
            return Directory(roles, None)
        raise
    directory = Directory(roles, identity, await grants(identity, "appRoleAssignments"))
    if all(map(directory.has, needed)):
        return directory
    return directory._replace(holders=await grants(service, "appRoleAssignedTo"))
