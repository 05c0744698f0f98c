"""Microsoft Graph, as much of it as the app asks for: three addresses over plain HTTP on the loopback.

The SDK allows plain HTTP for 127.0.0.1. What is answered follows public payloads and error messages; what goes wrong
on demand is in `simulator.faults`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode
from uuid import uuid4

from aiohttp import web

from simulator import bearer
from simulator.server import Server
from simulator.tenant import Item, Tenant, default_tenant, graph_date

ADE: Final = "/beta/deviceManagement/depOnboardingSettings"
VPP: Final = "/beta/deviceAppManagement/vppTokens"
APNS: Final = "/v1.0/deviceManagement/applePushNotificationCertificate"

PAGE_SIZE: Final = 100

_SERVED: Final = frozenset(
    {ADE, VPP, APNS, VPP.replace("/beta/", "/v1.0/"), APNS.replace("/v1.0/", "/beta/")}
)  # depOnboardingSettings is absent from v1.0

_AUDIENCES: Final = (bearer.GRAPH, "00000003-0000-0000-c000-000000000000")


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Graph(Server):
    """Serves `tenant`, which may be replaced at any time; `clock` dates what Graph makes up at each reading."""

    tenant: Tenant = field(default_factory=lambda: default_tenant(_now()))
    page_size: int = PAGE_SIZE
    """Items a page where the request names no `$top`."""
    clock: Callable[[], datetime] = _now

    def reset(self) -> None:
        """Drops faults and recordings; the tenant is the default one of now."""
        super().reset()
        self.clock = _now
        self.page_size = PAGE_SIZE
        self.tenant = default_tenant(_now())

    async def answer(self, request: web.Request, body: bytes) -> web.StreamResponse:  # noqa: ARG002 (the base's)
        """A page of a list, the push certificate, or Graph's own error."""
        refused = bearer.refusal(request, _AUDIENCES)
        if refused is not None:
            return error(401, "InvalidAuthenticationToken", refused)
        if request.path not in _SERVED:
            segment = request.path.rpartition("/")[2]
            return error(404, "BadRequest", f"Resource not found for the segment '{segment}'.")
        if request.method != "GET":
            return error(405, "Request_BadRequest", f"Specified HTTP method is not allowed: {request.method}.")
        if bearer.SERVICE_ROLE not in bearer.roles(request):
            return missing_role()
        tenant = self.tenant
        if request.path.endswith("applePushNotificationCertificate"):
            return self._certificate(request, tenant)
        return self._page(request, tenant.ade if request.path == ADE else tenant.vpp)

    def _certificate(self, request: web.Request, tenant: Tenant) -> web.Response:
        if tenant.apns is None:
            return error(404, "ResourceNotFound", "Resource not found.")
        # Public captures show another id and another lastModifiedDateTime at each reading.
        reading = {"id": str(uuid4()), "lastModifiedDateTime": graph_date(self.clock())}
        found = _selected({**tenant.apns, **reading}, request.query)
        return reply({"@odata.context": _context(request), **found})

    def _page(self, request: web.Request, items: Sequence[Item]) -> web.Response:
        try:
            start = int(request.query.get("$skiptoken", "0"))
            size = int(request.query.get("$top", self.page_size))
        except ValueError:
            return error(400, "BadRequest", "Invalid value for a query option.")
        page: dict[str, object] = {"@odata.context": _context(request)}
        if start + size < len(items):
            query = {**request.query, "$skiptoken": str(start + size)}
            page["@odata.nextLink"] = f"{self.url}{request.path}?{urlencode(query, safe='$,')}"
        page["value"] = [_selected(item, request.query) for item in items[start : start + size]]
        return reply(page)


def _selected(item: Item, query: Mapping[str, str]) -> Item:
    names = query.get("$select")
    if not names:
        return item
    wanted = {"@odata.type", *(name.strip() for name in names.split(","))}
    return {name: value for name, value in item.items() if name in wanted}


def _context(request: web.Request) -> str:
    version, _, rest = request.path.removeprefix("/").partition("/")
    return f"{bearer.GRAPH}/{version}/$metadata#{rest}"


def reply(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """`value` as Graph sends it, with ids that a support case would need."""
    request_id = (headers or {}).get("request-id", str(uuid4()))
    sent = {"request-id": request_id, "client-request-id": request_id, **(headers or {})}
    return web.json_response(value, status=status, headers=sent)


def error(status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> web.Response:
    """An error in Graph's shape; its request id is also in the header."""
    request_id = str(uuid4())
    inner = {"date": f"{_now():%Y-%m-%dT%H:%M:%S}", "request-id": request_id, "client-request-id": request_id}
    body = {"error": {"code": code, "message": message, "innerError": inner}}
    return reply(body, status=status, headers={"request-id": request_id, **(headers or {})})


def missing_role() -> web.Response:
    """What Intune answers where the role is not granted: a message that is JSON itself and names the scopes."""
    scopes = f"{bearer.SERVICE_ROLE}, DeviceManagementServiceConfig.ReadWrite.All"
    message = (
        '{\r\n  "_version": 3,\r\n  "Message": "Application is not authorized to perform this operation. Application '
        f"must have one of the following scopes: {scopes} - Operation ID (for customer support): "
        f'00000000-0000-0000-0000-000000000000 - Activity ID: {uuid4()}",\r\n  "CustomApiErrorPhrase": "",\r\n  '
        '"RetryAfter": null,\r\n  "ErrorSourceService": "",\r\n  "HttpHeaders": "{}"\r\n}'
    )
    return error(403, "Forbidden", message)
