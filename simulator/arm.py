"""Simulates the parts of Azure Resource Manager that the commands use: the app, its settings, its alert rules.

Paths and shapes follow https://learn.microsoft.com/rest/api/appservice/web-apps and
https://learn.microsoft.com/rest/api/monitor/scheduled-query-rules. Public projects show that a function is started
through `hostruntime`. A requested function runs in the Functions worker and, as in Azure, after the answer.
"""

import asyncio
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from simulator import bearer, directory
from simulator.host import Worker, WorkerResult, worker
from simulator.ingestion import RULE_ID
from simulator.rules import RULES, SUMMARY
from simulator.server import Server

SUBSCRIPTION_ID: Final = "2c1d0b9a-8f7e-4d6c-9b5a-4f3e2d1c0b9a"
RESOURCE_GROUP: Final = "rg-apple-tokens"
SUFFIX: Final = "contoso-a1b2c3d4e5f6g"
APP_NAME: Final = f"func-{SUFFIX}"
GROUP_ID: Final = f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/{RESOURCE_GROUP}"
APP_ID: Final = f"{GROUP_ID}/providers/Microsoft.Web/sites/{APP_NAME}"
FUNCTIONS: Final = ("check_tokens", "inspect_devices", "prune_history")
COLLECTION_RULE_ID: Final = f"{GROUP_ID}/providers/Microsoft.Insights/dataCollectionRules/dcr-{SUFFIX}"
PUBLISHER: Final = "3913510d-42f4-4e42-8a64-420c390055eb"
"""Monitoring Metrics Publisher. https://learn.microsoft.com/azure/role-based-access-control/built-in-roles"""

_IDENTITIES_PATH: Final = f"{GROUP_ID}/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
IDENTITY_ID: Final = f"{_IDENTITIES_PATH}/{directory.APP_IDENTITY}"
ALERTS_IDENTITY_ID: Final = f"{_IDENTITIES_PATH}/{directory.ALERTS_IDENTITY}"

_RULES_PATH: Final = f"{GROUP_ID}/providers/Microsoft.Insights/scheduledQueryRules"
_COLLECTION_PATH: Final = COLLECTION_RULE_ID.rpartition("/")[0]
_STARTS: Final = re.compile(rf"{re.escape(APP_ID)}/hostruntime/admin/functions/(\w+)", re.IGNORECASE)
_ASSIGNED: Final = re.compile(r"(.+)/providers/Microsoft\.Authorization/roleAssignments", re.IGNORECASE)
_PRINCIPAL: Final = re.compile(r"principalId eq '([^']*)'")
_WORKER_SECONDS: Final = 120.0


def _nothing() -> Mapping[str, str]:
    return {}


@dataclass
class Arm(Server):
    """A resource group that contains the function app."""

    settings: Callable[[], Mapping[str, str]] = _nothing
    """Returns the app's settings, which are also the environment of its functions."""
    functions: list[str] = field(default_factory=lambda: list(FUNCTIONS))
    """The functions that the host found."""
    disabled_functions: set[str] = field(default_factory=set)
    state: str = "Running"
    identities: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The app's identities: resource ID to principal ID and client ID."""
    collection_rules: dict[str, str] = field(default_factory=dict)
    """Data collection rules: resource ID to immutable ID."""
    assignments: list[tuple[str, str, str]] = field(default_factory=list)
    """Role assignments: scope, principal ID, and the ID of the role definition."""
    disabled_rules: set[str] = field(default_factory=set)
    missing_rules: set[str] = field(default_factory=set)
    """Names from `infra/alert-rules.json` of rules that don't exist."""
    forbidden: set[str] = field(default_factory=set)
    """Endings of the paths that are refused with 403; `""` refuses every path."""
    changed: dict[str, str] = field(default_factory=dict)
    """Settings that override those of `settings`."""
    results: list[WorkerResult] = field(default_factory=list)
    """The results of the requested functions."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._running: set[threading.Thread] = set()
        self._workers: set[Worker] = set()
        self._deploy()

    def _deploy(self) -> None:
        """Create the resources that the deployment creates along with the app."""
        self.identities = {IDENTITY_ID: (bearer.PRINCIPAL_ID, bearer.CLIENT_ID)}
        self.collection_rules = {COLLECTION_RULE_ID: RULE_ID}
        self.assignments = [(COLLECTION_RULE_ID, bearer.PRINCIPAL_ID, PUBLISHER)]

    def reset(self) -> None:
        """Wait for running functions, and restore the state after the start."""
        super().reset()
        self.wait()
        self._deploy()
        self.functions, self.state, self.disabled_functions = list(FUNCTIONS), "Running", set()
        self.disabled_rules, self.missing_rules, self.forbidden = set(), set(), set()
        self.changed, self.results = {}, []

    def wait(self) -> None:
        """Wait for the requested functions. Do not call this on the server's own thread."""
        for thread in tuple(self._running):
            thread.join(_WORKER_SECONDS)

    async def stop(self) -> None:
        """Kill the running functions and stop listening."""
        for running in tuple(self._workers):
            running.kill()
        await asyncio.to_thread(self.wait)
        await super().stop()

    async def answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        """Answer as Resource Manager does."""
        refused = bearer.refusal(request, (bearer.MANAGEMENT,))
        if refused is not None:
            return _error(401, "InvalidAuthenticationToken", refused)
        if "api-version" not in request.query:
            return _error(
                400, "MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required."
            )
        if any(request.path.endswith(end) for end in self.forbidden):
            message = f"The client '{bearer.USER}' does not have authorization to perform action over '{request.path}'."
            return _error(403, "AuthorizationFailed", message)
        assigned = _ASSIGNED.fullmatch(request.path)
        if assigned is not None and request.method == "GET":
            return self._roles(assigned[1], request.query.get("$filter", ""))
        return self._answer(request.method, request.path, body)

    def _roles(self, scope: str, filters: str) -> web.Response:
        """Return a principal's role assignments at a scope and above it."""
        principal = _PRINCIPAL.fullmatch(filters)
        if principal is None:
            return _error(400, "UnsupportedQuery", f"The filter '{filters}' is not supported.")
        assignments = [
            {
                "properties": {
                    "scope": assigned_scope,
                    "principalId": assigned_principal,
                    "roleDefinitionId": f"/subscriptions/{SUBSCRIPTION_ID}/providers/Microsoft.Authorization"
                    f"/roleDefinitions/{role}",
                }
            }
            for assigned_scope, assigned_principal, role in self.assignments
            if assigned_principal == principal[1] and f"{scope}/".casefold().startswith(f"{assigned_scope}/".casefold())
        ]
        return web.json_response({"value": assignments})

    def _answer(self, method: str, path: str, body: bytes) -> web.Response:
        document = self._documents().get((method, path.casefold()))
        if document is not None:
            return web.json_response(document)
        started = _STARTS.fullmatch(path)
        if started is None or method != "POST":
            return _error(404, "ResourceNotFound", f"The Resource '{path}' was not found.")
        if self.state != "Running":
            return _error(503, "ServiceUnavailable", "The service is unavailable.")
        if started[1] not in self.functions or not isinstance(json.loads(body), dict):
            return web.Response(status=404 if started[1] not in self.functions else 400)
        thread = threading.Thread(target=self._run, args=(started[1],), daemon=True)
        self._running.add(thread)
        thread.start()
        return web.Response(status=202)

    def _documents(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return the answers by method and path; paths are in lower case, because Resource Manager accepts any case."""
        functions = [
            {"name": f"{APP_NAME}/{name}", "properties": {"isDisabled": name in self.disabled_functions}}
            for name in self.functions
        ]
        identities = {
            name: {"principalId": principal, "clientId": client}
            for name, (principal, client) in self.identities.items()
        }
        documents: dict[tuple[str, str], dict[str, Any]] = {
            ("GET", APP_ID): {
                "id": APP_ID,
                "name": APP_NAME,
                "identity": {"type": "UserAssigned", "userAssignedIdentities": identities},
                "properties": {"state": self.state},
            },
            ("GET", f"{APP_ID}/functions"): {"value": functions},
            ("GET", _RULES_PATH): {"value": self._rules()},
            ("GET", _COLLECTION_PATH): {"value": self._collection_rules()},
            ("POST", f"{APP_ID}/config/appsettings/list"): {
                "name": "appsettings",
                "properties": {**self.settings(), **self.changed},
            },
        }
        return {(method, path.casefold()): document for (method, path), document in documents.items()}

    def _rules(self) -> list[dict[str, Any]]:
        return [
            {
                "id": f"{_RULES_PATH}/{SUFFIX}-{rule.name}",
                "name": f"{SUFFIX}-{rule.name}",
                "properties": {"enabled": rule.name not in self.disabled_rules, "severity": rule.severity},
            }
            for rule in (*RULES, SUMMARY)
            if rule.name not in self.missing_rules
        ]

    def _collection_rules(self) -> list[dict[str, Any]]:
        endpoint = self.settings().get("LOGS_INGESTION_ENDPOINT")
        return [
            {
                "id": name,
                "kind": "Direct",
                "properties": {"immutableId": immutable, "endpoints": {"logsIngestion": endpoint}},
            }
            for name, immutable in self.collection_rules.items()
        ]

    def _run(self, function: str) -> None:
        try:
            with worker({**self.settings(), **self.changed}, function) as running:
                self._workers.add(running)
                self.results.append(running.wait(_WORKER_SECONDS))
                self._workers.discard(running)
        finally:
            self._running.discard(threading.current_thread())


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)
