"""Looks up the app's identity and its Graph roles in the directory, with the operator's sign-in.

https://learn.microsoft.com/graph/api/resources/serviceprincipal; whoever may read the directory, as every member of a
tenant usually may, can ask.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

import msgspec
from azure.core.credentials_async import AsyncTokenCredential

from cli import CommandError
from cli.decode import clean
from cli.doctor.facts import Directory, Grant, Principal
from cli.doctor.lines import Found, Untried
from cli.places import Places
from shared.clients import open_graph
from shared.clouds import CLOUDS
from shared.graph.client import Graph
from shared.graph.credential import GRAPH_APP_ID, GraphCredential
from shared.graph.pages import GraphError, decoded

_PRINCIPALS: Final = "/v1.0/servicePrincipals"


class _Role(msgspec.Struct):
    id: str
    value: str | None = None


class _Principal(msgspec.Struct, rename="camel"):
    id: str
    app_id: str | None = None
    display_name: str | None = None
    app_roles: list[_Role] = []


class _Assignment(msgspec.Struct, rename="camel"):
    id: str
    app_role_id: str
    principal_id: str
    resource_id: str
    principal_display_name: str | None = None


async def look(
    places: Places,
    credential: AsyncTokenCredential,
    *,
    client_id: str | None,
    principal_id: str | None,
    roles: Sequence[str],
) -> Found[Directory]:
    """What the directory says of the identity: of `client_id`, or else of `principal_id`; `roles` it should have."""
    if not client_id and not principal_id:
        return Untried("neither IDENTITY_CLIENT_ID nor IDENTITY_PRINCIPAL_ID is known")
    try:
        cloud = CLOUDS[places.checked("AZURE_CLOUD", "AzureCloud")]
        endpoint = places.checked("GRAPH_ENDPOINT", cloud.graph[0])
    except CommandError as problem:
        return problem
    audience = endpoint if endpoint in cloud.graph else cloud.graph[0]
    address = f"(appId='{quote(client_id, safe='')}')" if client_id else f"/{quote(principal_id or '', safe='')}"
    try:
        async with open_graph(GraphCredential(credential, (audience,)), endpoint) as graph:
            return await _look(graph, address, roles)
    except GraphError as error:
        return _refused(error)


async def _look(graph: Graph, address: str, roles: Sequence[str]) -> Directory:
    service, identity = await asyncio.gather(
        _principal(graph, f"(appId='{GRAPH_APP_ID}')?$select=id,appRoles"),
        _identity(graph, f"{address}?$select=id,appId,displayName"),
    )
    ids = {role.value: role.id for role in service.app_roles if role.value}
    if identity is None:
        return Directory(service.id, ids, None, (), {})
    held = await _assignments(graph, f"/{quote(identity.id, safe='')}/appRoleAssignments", service.id)
    lacking = {ids[role] for role in roles if role in ids} - {grant.role_id for grant in held}
    holders: Mapping[str, list[Grant]] = {role: [] for role in lacking}
    if lacking:
        for grant in await _assignments(graph, f"/{quote(service.id, safe='')}/appRoleAssignedTo", service.id):
            if grant.role_id in lacking:
                holders[grant.role_id].append(grant)
    return Directory(service.id, ids, identity, held, holders)


async def _principal(graph: Graph, address: str) -> _Principal:
    body = await graph.get(f"{_PRINCIPALS}{address}")
    return decoded(body, _Principal, f"GET {_PRINCIPALS}")


async def _identity(graph: Graph, address: str) -> Principal | None:
    try:
        found = await _principal(graph, address)
    except GraphError as error:
        if error.status in {400, 404}:  # 400: what was asked for is no id at all
            return None
        raise
    return Principal(found.id, found.app_id or "", clean(found.display_name or "without a name"))


async def _assignments(graph: Graph, below: str, graph_id: str) -> list[Grant]:
    """The roles of Graph among those that are listed there."""
    asked = f"GET {_PRINCIPALS}{below}"
    found = [
        decoded(bytes(raw), _Assignment, asked)
        async for page in graph.pages(f"{_PRINCIPALS}{below}?$top=999")
        for raw in page
    ]
    return [
        Grant(one.id, one.app_role_id, one.principal_id, clean(one.principal_display_name or "without a name"))
        for one in found
        if one.resource_id == graph_id
    ]


def _refused(error: GraphError) -> Found[Directory]:
    if error.status in {401, 403}:
        said = f"HTTP {error.status}{f' {error.code}' if error.code else ''}"
        return Untried(f"you may not read the directory ({said}); a Directory Reader may")
    told = f"{error.reason}{f' (HTTP {error.status})' if error.status else ''}"
    return CommandError(f"The directory could not be read: {told}.", "Check the network, proxy and GRAPH_ENDPOINT.")
