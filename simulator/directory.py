"""Simulates the directory behind Graph: service principals and their assigned application roles.

Paths, properties and errors follow https://learn.microsoft.com/graph/api/resources/serviceprincipal. Graph serves
Intune's part and the directory at the same address.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import unquote, urlencode
from uuid import UUID, uuid5

from aiohttp import web

from simulator import bearer
from simulator.graph import DEVICES, Graph, QueryError, error, reply
from simulator.tenant import Item, Tenant

GRAPH_PRINCIPAL_ID: Final = "9a3f1e70-4c2b-4d5e-8f60-71a2b3c4d5e6"
"""Microsoft Graph's service principal: its application ID is the same everywhere, its object ID is the tenant's."""

APP_IDENTITY: Final = "id-contoso-a1b2c3d4e5f6g"
ALERTS_IDENTITY: Final = f"{APP_IDENTITY}-alerts"
ALERTS_PRINCIPAL_ID: Final = "3d9b7f15-0e8a-4c63-b1d2-f4a5968778c9"
ALERTS_CLIENT_ID: Final = "f0a1b2c3-5d6e-4f70-8192-a3b4c5d6e7f8"
"""The deployment's two identities: the app's, and the one with which the alert rules run their queries."""

ROLES: Final[Mapping[str, str]] = {
    bearer.SERVICE_ROLE: "06a5fe6d-c49d-46a7-b082-56b1b14103c7",
    bearer.EVENTS_ROLE: "2f51be20-0bb4-4fed-bf7b-db946066c75e",
    "User.Read.All": "df021288-bdef-4463-88db-98f22de89214",
}
"""Application roles of Graph, by name. https://learn.microsoft.com/graph/permissions-reference"""

_PATH: Final = re.compile(
    r"/v1\.0/servicePrincipals(?:\(appId='([^']*)'\)|/([^/()]+))(?:/(appRoleAssignments|appRoleAssignedTo))?/?"
)
_SERIAL: Final = re.compile(r"serialNumber eq '((?:[^']|'')*)'")
_NAMESPACE: Final = UUID("ade00000-0000-4000-8000-000000000002")


@dataclass
class Directory:
    """The content of the directory, which a test may change in any way."""

    principals: dict[str, Item] = field(default_factory=dict)
    """Service principals by object ID."""
    grants: list[tuple[str, str]] = field(default_factory=list)
    """Role assignments: the object ID and the name of the Graph role."""
    readable: bool = True
    """Whether the caller may read the directory."""
    page_size: int = 100

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Restore the default content: the app's identity with the role that it needs."""
        self.principals = {
            GRAPH_PRINCIPAL_ID: {
                **principal(GRAPH_PRINCIPAL_ID, bearer.GRAPH_APP_ID, "Microsoft Graph", kind="Application"),
                "appRoles": [{"id": role_id, "value": name, "isEnabled": True} for name, role_id in ROLES.items()],
            },
            bearer.PRINCIPAL_ID: principal(bearer.PRINCIPAL_ID, bearer.CLIENT_ID, APP_IDENTITY),
            ALERTS_PRINCIPAL_ID: principal(ALERTS_PRINCIPAL_ID, ALERTS_CLIENT_ID, ALERTS_IDENTITY),
        }
        self.grants = [(bearer.PRINCIPAL_ID, bearer.SERVICE_ROLE)]
        self.readable = True
        self.page_size = 100

    def answer(self, request: web.Request, path: re.Match[str], url: str) -> web.Response:
        """Answer one request as the directory does."""
        if not self.readable:
            return error(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
        app_id, object_id, below = path.groups()
        candidates = (one for one in self.principals.values() if app_id is None or one["appId"] == unquote(app_id))
        matching = next((one for one in candidates if app_id is not None or one["id"] == unquote(object_id)), None)
        if matching is None:
            named = object_id or app_id
            message = f"Resource '{named}' does not exist or one of its queried reference-property objects are absent."
            return error(404, "Request_ResourceNotFound", message)
        if below is None:
            return reply(_selected(matching, request.query.get("$select")))
        column = "principalId" if below == "appRoleAssignments" else "resourceId"
        return self._page(request, [one for one in self._assignments() if one[column] == matching["id"]], url)

    def _assignments(self) -> list[Item]:
        return [
            {
                "id": str(uuid5(_NAMESPACE, f"{holder} {role}")),
                "appRoleId": ROLES[role],
                "principalId": holder,
                "principalDisplayName": self.principals[holder]["displayName"] if holder in self.principals else holder,
                "principalType": "ServicePrincipal",
                "resourceId": GRAPH_PRINCIPAL_ID,
                "resourceDisplayName": "Microsoft Graph",
            }
            for holder, role in self.grants
        ]

    def _page(self, request: web.Request, items: Sequence[Item], url: str) -> web.Response:
        start = int(request.query.get("$skiptoken", "0"))
        size = min(int(request.query.get("$top", self.page_size)), self.page_size)
        page: Item = {"value": [_selected(item, request.query.get("$select")) for item in items[start : start + size]]}
        if start + size < len(items):
            query = urlencode({**request.query, "$skiptoken": start + size}, safe="$,")
            page["@odata.nextLink"] = f"{url}{request.rel_url.raw_path}?{query}"
        return reply(page)


@dataclass
class TenantGraph(Graph):
    """Graph with Intune's part and the directory."""

    directory: Directory = field(default_factory=Directory)
    refuses_filter: bool = False
    """Whether lists of devices answer 400 to `$filter`; whether they accept it is not documented."""
    ignores_filter: bool = False
    """Whether lists of devices ignore `$filter` and return all devices."""
    filters_all_out: bool = False
    """Whether lists of devices return no device for any `$filter`."""

    def reset(self) -> None:
        """Remove planned faults and recordings, and restore the default tenant and directory."""
        super().reset()
        self.directory.reset()
        self.refuses_filter = self.ignores_filter = self.filters_all_out = False

    async def answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        """Answer from the directory, or as Intune does."""
        path = _PATH.fullmatch(request.rel_url.raw_path.replace("%27", "'"))
        if path is None:
            return await super().answer(request, body)
        refused = bearer.refusal(request, (bearer.GRAPH,))
        if refused is not None:
            return error(401, "InvalidAuthenticationToken", refused)
        return self.directory.answer(request, path, self.url)

    def _below_token(self, request: web.Request, tenant: Tenant, token_id: str, part: str | None) -> web.Response:
        filter_text = request.query.get("$filter")
        if part == DEVICES and filter_text is not None and not self.ignores_filter:
            serial = None if self.refuses_filter else _SERIAL.fullmatch(filter_text)
            if serial is None:
                raise QueryError("Invalid filter clause.")
            wanted = serial[1].replace("''", "'")
            listed = tenant.devices.get(token_id, ())
            matching = [] if self.filters_all_out else [item for item in listed if item.get("serialNumber") == wanted]
            tenant = replace(tenant, devices={token_id: matching})
        return super()._below_token(request, tenant, token_id, part)


def principal(object_id: str, app_id: str, name: str, *, kind: str = "ManagedIdentity") -> Item:
    """Return a service principal with the properties that the app and the commands read."""
    return {"id": object_id, "appId": app_id, "displayName": name, "servicePrincipalType": kind}


def _selected(item: Item, select: str | None) -> Item:
    names = {name.strip() for name in select.split(",")} if select else item.keys()
    return {name: value for name, value in item.items() if name in names}
