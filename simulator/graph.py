"""Simulates the parts of Microsoft Graph that the app calls, over HTTP/2, which the SDK uses.

Answers follow public payloads and error messages; `simulator.faults` makes faults on demand.
"""

import json
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import unquote, urlencode
from uuid import uuid4
from weakref import WeakKeyDictionary

import msgspec
from aiohttp import web

from simulator import bearer
from simulator.devices import DEFAULTS, Devices
from simulator.server import Server
from simulator.tenant import Item, Tenant, default_tenant, graph_date

ADE: Final = "/beta/deviceManagement/depOnboardingSettings"
VPP: Final = "/beta/deviceAppManagement/vppTokens"
APNS: Final = "/v1.0/deviceManagement/applePushNotificationCertificate"
EVENTS: Final = "/beta/deviceManagement/troubleshootingEvents"

DEVICES: Final = "importedAppleDeviceIdentities"
PROFILES: Final = "enrollmentProfiles"
"""The lists below the address of a token, `{ADE}/{id}`."""

PAGE_SIZE: Final = 100
LARGEST_PAGE: Final = 1000

_SERVED: Final = frozenset(
    {ADE, VPP, APNS, EVENTS, VPP.replace("/beta/", "/v1.0/"), APNS.replace("/v1.0/", "/beta/")}
)  # depOnboardingSettings is absent from v1.0
_TOKEN: Final = re.compile(rf"{ADE}/([^/]+)(?:/({DEVICES}|{PROFILES}))?/?")

_POSITION: Final = re.compile(r"(?:Era='(\d+)',Skip=)?'?(\d{1,9})'?")
_EXPANDED: Final = re.compile(r"\s*(\w+)(?:\(\$select=([\w,\s]*)\))?\s*(?:,|$)")
_COMPARED: Final = re.compile(r"eventDateTime (ge|gt|le|lt) (\S+)")
_COMPARISONS: Final = {"ge": operator.ge, "gt": operator.gt, "le": operator.le, "lt": operator.lt}
_OF_EVERY_EVENT: Final = frozenset(
    {"id", "eventDateTime", "correlationId", "troubleshootingErrorDetails", "eventName", "additionalInformation"}
)


class QueryError(Exception):
    """Graph answers a query option with 400; the message is Graph's."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Graph(Server):
    """Serves `tenant`, which may be replaced at any time; `clock` dates what Graph generates at each reading."""

    tenant: Tenant = field(default_factory=lambda: default_tenant(_now()))
    page_size: int = PAGE_SIZE
    """Items per page if the request has no `$top`."""
    largest_page: int = LARGEST_PAGE
    """The most items per page, even if `$top` requests more."""
    refuses_select: bool = False
    """Whether lists of devices answer 400 to `$select`; whether they accept it is not documented."""
    refuses_top: bool = False
    """Whether lists of devices answer 400 to `$top`."""
    era: int = 1
    """A higher number expires every nextLink given so far, except those of the lists of tokens."""
    clock: Callable[[], datetime] = _now

    def __post_init__(self) -> None:
        super().__post_init__()
        self._pages: WeakKeyDictionary[Devices, dict[object, bytes]] = WeakKeyDictionary()

    def reset(self) -> None:
        """Remove faults and recordings, and restore the default tenant at the present time."""
        super().reset()
        self.clock = _now
        self.page_size, self.largest_page = PAGE_SIZE, LARGEST_PAGE
        self.refuses_select = self.refuses_top = False
        self.era = 1
        self.tenant = default_tenant(_now())

    async def answer(self, request: web.Request, body: bytes) -> web.StreamResponse:  # noqa: ARG002 (the base's)
        """Answer with a page of a list, an object, or Graph's error."""
        below = _TOKEN.fullmatch(request.rel_url.raw_path)
        refused = _refusal(request, served=below is not None or request.path in _SERVED)
        if refused is not None:
            return refused
        try:
            if below is None:
                return self._whole_tenant(request, self.tenant)
            return self._below_token(request, self.tenant, unquote(below[1]), below[2])
        except QueryError as refusal:
            return error(400, "BadRequest", str(refusal))

    def _whole_tenant(self, request: web.Request, tenant: Tenant) -> web.Response:
        if request.path.endswith("applePushNotificationCertificate"):
            return self._certificate(request, tenant)
        if request.path == EVENTS:
            return self._page(request, _events(tenant.events, request.query), _context(request))
        return self._page(request, tenant.ade if request.path == ADE else tenant.vpp, _context(request))

    def _below_token(self, request: web.Request, tenant: Tenant, token_id: str, part: str | None) -> web.Response:
        token = tenant.tokens.get(token_id)
        if token is None:
            return error(404, "ResourceNotFound", "Resource not found.")
        context = f"{bearer.GRAPH}/beta/$metadata#deviceManagement/depOnboardingSettings"
        if part is None:
            defaults = tenant.defaults.get(token_id, {})
            profiles = {name: defaults.get(platform) for name, platform in DEFAULTS.items()}
            entity = {
                **_selected(token, _names(request.query.get("$select"))),
                **_expanded(profiles, request.query.get("$expand", "")),
            }
            return reply({"@odata.context": f"{context}/$entity", **entity})
        if part == DEVICES:
            for option, refuses in (("$select", self.refuses_select), ("$top", self.refuses_top)):
                if refuses and option in request.query:
                    raise QueryError(f"The query option '{option}' is not allowed.")
        lists: Mapping[str, Sequence[Item]] = tenant.devices if part == DEVICES else tenant.profiles
        return self._page(request, lists.get(token_id, ()), f"{context}('{token_id}')/{part}")

    def _certificate(self, request: web.Request, tenant: Tenant) -> web.Response:
        if tenant.apns is None:
            return error(404, "ResourceNotFound", "Resource not found.")
        # Public captures show a new id and a new lastModifiedDateTime at each reading.
        reading = {"id": str(uuid4()), "lastModifiedDateTime": graph_date(self.clock())}
        certificate = _selected({**tenant.apns, **reading}, _names(request.query.get("$select")))
        return reply({"@odata.context": _context(request), **certificate})

    def _page(self, request: web.Request, items: Sequence[Item], context: str) -> web.Response:
        start, size = self._start(request.query), self._size(request.query)
        head = {"@odata.context": context}
        if start + size < len(items):
            query = {**request.query, "$skiptoken": self._position(start + size, request.path)}
            head["@odata.nextLink"] = f"{self.url}{request.path}?{urlencode(query, safe='$,')}"
        value = self._encoded(items, start, start + size, _names(request.query.get("$select")))
        return _reply(b'%b, "value": %b}' % (json.dumps(head).encode()[:-1], value))

    def _size(self, query: Mapping[str, str]) -> int:
        top = query.get("$top", str(self.page_size))
        if not top.isdecimal() or int(top) < 1:
            raise QueryError("Invalid value for a query option.")
        return min(int(top), self.largest_page)

    def _position(self, start: int, path: str) -> str:
        """Return where the next page begins: a number for tokens, and otherwise text to escape, as from Intune."""
        return str(start) if path in {ADE, VPP} else f"Era='{self.era}',Skip='{start}'"

    def _start(self, query: Mapping[str, str]) -> int:
        position = _POSITION.fullmatch(query.get("$skiptoken", "0"))
        if position is None or position[1] not in {None, str(self.era)}:
            raise QueryError("The skip token is invalid or has expired.")
        return int(position[2])

    def _encoded(self, items: Sequence[Item], start: int, stop: int, names: frozenset[str] | None) -> bytes:
        if not isinstance(items, Devices):  # it may contain values that only the lenient encoder writes
            return json.dumps([_selected(item, names) for item in items[start:stop]]).encode()
        pages = self._pages.setdefault(items, {})  # kept, so that a benchmark measures the client only
        page = pages.get((start, stop, names))
        if page is None:
            page = msgspec.json.encode([_selected(item, names) for item in items[start:stop]])
            pages[start, stop, names] = page
        return page


def _refusal(request: web.Request, *, served: bool) -> web.Response | None:
    refused = bearer.refusal(request, bearer.GRAPH_FORMS)
    if refused is not None:
        return error(401, "InvalidAuthenticationToken", refused)
    if not served:
        segment = request.path.rpartition("/")[2]
        return error(404, "BadRequest", f"Resource not found for the segment '{segment}'.")
    if request.method != "GET":
        return error(405, "Request_BadRequest", f"Specified HTTP method is not allowed: {request.method}.")
    role = bearer.EVENTS_ROLE if request.path == EVENTS else bearer.SERVICE_ROLE
    return None if role in bearer.roles(request) else missing_role(role)


def _names(select: str | None) -> frozenset[str] | None:
    return frozenset(name.strip() for name in select.split(",")) if select else None


def _selected(item: Item, names: frozenset[str] | None) -> Item:
    if names is None:
        return item
    return {name: value for name, value in item.items() if name in names or name == "@odata.type"}


def _expanded(properties: Mapping[str, Item | None], expand: str) -> Item:
    """Return the navigation properties that `$expand` names, in any case, without `@odata.type`.

    Raises:
        QueryError: for an unknown property, or an option in the parentheses other than `$select`.

    """
    by_name = {name.lower(): name for name in properties}
    expanded: Item = {}
    position = 0
    while position < len(expand):
        match = _EXPANDED.match(expand, position)
        if match is None:
            raise QueryError("The query specified in the URI is not valid: $expand.")
        name = by_name.get(match[1].lower())
        if name is None:
            kind = "microsoft.graph.depOnboardingSetting"
            raise QueryError(f"Could not find a property named '{match[1]}' on type '{kind}'.")
        item = properties[name]
        expanded[name] = item and {
            part: value for part, value in _selected(item, _names(match[2])).items() if part != "@odata.type"
        }
        position = match.end()
    return expanded


def _events(items: Sequence[Item], query: Mapping[str, str]) -> list[Item]:
    """Return the events that match `$filter`: like `eventDateTime ge 2026-11-23T00:00:00Z`, joined by `and`.

    Raises:
        QueryError: for any other filter, or a `$select` of a property that only some types of event have.

    """
    for name in sorted((_names(query.get("$select")) or frozenset()) - _OF_EVERY_EVENT):
        kind = "microsoft.graph.deviceManagementTroubleshootingEvent"
        raise QueryError(f"Could not find a property named '{name}' on type '{kind}'.")
    events = list(items)
    for clause in filter(None, query.get("$filter", "").split(" and ")):
        compared = _COMPARED.fullmatch(clause)
        limit = _instant(compared[2]) if compared else None
        if compared is None or limit is None:
            raise QueryError("Invalid filter clause.")
        matches = _COMPARISONS[compared[1]]
        # An event whose date can't be read stays in the list, so that a test sees how the app handles it.
        events = [item for item in events if (on := _instant(item.get("eventDateTime"))) is None or matches(on, limit)]
    return events


def _instant(text: object) -> datetime | None:
    try:
        instant = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return instant if instant.tzinfo else None


def _context(request: web.Request) -> str:
    version, _, rest = request.path.removeprefix("/").partition("/")
    return f"{bearer.GRAPH}/{version}/$metadata#{rest}"


def reply(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return `value` as Graph sends it, with the request IDs that a support case needs."""
    return _reply(json.dumps(value).encode(), status=status, headers=headers)


def _reply(body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    request_id = (headers or {}).get("request-id", str(uuid4()))
    sent = {"request-id": request_id, "client-request-id": request_id, **(headers or {})}
    return web.Response(body=body, status=status, headers=sent, content_type="application/json", charset="utf-8")


def error(status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return an error in Graph's format; its request ID is also in the header."""
    request_id = str(uuid4())
    inner = {"date": f"{_now():%Y-%m-%dT%H:%M:%S}", "request-id": request_id, "client-request-id": request_id}
    body = {"error": {"code": code, "message": message, "innerError": inner}}
    return reply(body, status=status, headers={"request-id": request_id, **(headers or {})})


def missing_role(role: str = bearer.SERVICE_ROLE) -> web.Response:
    """Return Intune's answer if the role is not granted: its message is JSON itself and names the scopes."""
    scopes = f"{role}, {role.replace('.Read.', '.ReadWrite.')}"
    message = (
        '{\r\n  "_version": 3,\r\n  "Message": "Application is not authorized to perform this operation. Application '
        f"must have one of the following scopes: {scopes} - Operation ID (for customer support): "
        f'00000000-0000-0000-0000-000000000000 - Activity ID: {uuid4()}",\r\n  "CustomApiErrorPhrase": "",\r\n  '
        '"RetryAfter": null,\r\n  "ErrorSourceService": "",\r\n  "HttpHeaders": "{}"\r\n}'
    )
    return error(403, "Forbidden", message)
