"""Reads the function app and what is beside it from Azure Resource Manager, and starts its functions.

https://learn.microsoft.com/rest/api/appservice/web-apps, https://learn.microsoft.com/rest/api/monitor/scheduled-query-rules.
No reference documents that `hostruntime` starts a function; public projects do it.
"""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

from azure.core import AsyncPipelineClient
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ServiceRequestError
from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy, AsyncRetryPolicy, UserAgentPolicy
from azure.core.pipeline.transport import AioHttpTransport
from azure.core.rest import AsyncHttpResponse, HttpRequest

from cli import CommandError
from cli.places import Places
from cli.refusals import first_line, signed_out
from shared import __version__
from shared.clouds import CLOUDS
from shared.http.answers import azure_session
from shared.text import bounded

FUNCTIONS: Final[Mapping[str, str]] = {"check": "check_tokens", "inspect": "inspect_devices", "prune": "prune_history"}
"""The app's functions, by what an operator calls them."""

_VERSIONS: Final = json.loads((Path(__file__).parents[1] / "infra" / "api-versions.json").read_text("utf-8"))
_WEB: Final = _VERSIONS["Microsoft.Web"]["version"]
_RETRIES: Final = 2
_MOST_PAGES: Final = 20

_APP_ID: Final = re.compile(
    r"(/subscriptions/[^/\s?#%]+/resourceGroups/([^/\s?#%]+))/providers/Microsoft\.Web/sites/([^/\s?#%]+)/?",
    re.IGNORECASE,
)


class ArmError(CommandError):
    """Reports what Azure Resource Manager did not do."""


class Identity(NamedTuple):
    """A user-assigned identity of the app."""

    id: str
    """Its resource id."""
    principal_id: str
    client_id: str


class CollectionRule(NamedTuple):
    """A data collection rule of the resource group."""

    id: str
    """Its resource id."""
    immutable_id: str
    """What rows are sent to it by."""
    endpoint: str
    """Where rows are sent, of a rule that takes them directly; else empty."""


class Arm:
    """The function app and what is beside it in its resource group. Each method raises ArmError or CommandError."""

    def __init__(self, client: AsyncPipelineClient[HttpRequest, AsyncHttpResponse], app_id: str) -> None:
        parts = _APP_ID.fullmatch(app_id)
        if parts is None:
            raise CommandError(
                f"FUNCTION_APP_ID cannot be used: it is {bounded(app_id, 200)!r}.",
                "Expected: /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.Web/sites/<name>; "
                "`az functionapp show --name NAME --resource-group GROUP --query id` prints it.",
            )
        self._client = client
        self._app = app_id.rstrip("/")
        self.group_id, self.group, self.name = parts.groups()

    async def start(self, function: str) -> None:
        """Start one run of a function."""
        await self._call("POST", f"{self._app}/hostruntime/admin/functions/{function}", _WEB, {"input": ""})

    async def state(self) -> str:
        """Return whether the app is `Running` or `Stopped`."""
        return str(_at(await self._call("GET", self._app, _WEB), "properties", "state"))

    async def settings(self) -> dict[str, str]:
        """Return the app settings; the caller must not show those that are not the monitor's."""
        answer = await self._call("POST", f"{self._app}/config/appsettings/list", _WEB)
        return {str(name): str(value) for name, value in (_at(answer, "properties") or {}).items()}

    async def functions(self) -> dict[str, bool]:
        """Return the functions that the host found, and whether each is enabled."""
        found = await self._listed(f"{self._app}/functions", _WEB)
        return {str(one.get("name")).rpartition("/")[2]: not _at(one, "properties", "isDisabled") for one in found}

    async def rules(self) -> dict[str, bool]:
        """Return the log alert rules of the resource group, and whether each is enabled."""
        found = await self._resources("Microsoft.Insights/scheduledQueryRules", self.group_id)
        return {str(one.get("name")): bool(_at(one, "properties", "enabled")) for one in found}

    async def identities(self) -> list[Identity]:
        """Return the user-assigned identities of the app."""
        given = _at(await self._call("GET", self._app, _WEB), "identity", "userAssignedIdentities") or {}
        return [
            Identity(str(name), str(_at(one, "principalId")), str(_at(one, "clientId"))) for name, one in given.items()
        ]

    async def collection_rules(self) -> list[CollectionRule]:
        """Return the data collection rules of the resource group."""
        found = await self._resources("Microsoft.Insights/dataCollectionRules", self.group_id)
        return [
            CollectionRule(
                str(one.get("id")),
                str(_at(one, "properties", "immutableId")),
                str(_at(one, "properties", "endpoints", "logsIngestion") or ""),
            )
            for one in found
        ]

    async def roles_on(self, scope: str, principal_id: str) -> frozenset[str]:
        """Return the IDs of the roles that a principal has on a resource, assigned there or above."""
        query = f"?$filter={quote(f"principalId eq '{principal_id}'")}"
        found = await self._resources("Microsoft.Authorization/roleAssignments", scope, query)
        ids = (str(_at(one, "properties", "roleDefinitionId")) for one in found)
        return frozenset(one.rpartition("/")[2].lower() for one in ids)

    async def _resources(self, kind: str, scope: str, query: str = "") -> list[dict[str, Any]]:
        return await self._listed(f"{scope}/providers/{kind}{query}", _VERSIONS[kind]["version"])

    async def _listed(self, path: str, version: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        answer = await self._call("GET", path, version)
        for _ in range(_MOST_PAGES):
            found += [one for one in answer.get("value") or () if isinstance(one, dict)]
            link = answer.get("nextLink")
            if not link:
                break
            answer = await self._call("GET", str(link), None)
        return found

    async def _call(self, method: str, path: str, version: str | None, body: object = None) -> dict[str, Any]:
        if version is None and urlsplit(path).netloc != urlsplit(self._client._base_url).netloc:  # noqa: SLF001 # its own
            raise ArmError("Azure Resource Manager named a next page that lies elsewhere.", "It was not asked for.")
        query = {"api-version": version} if version else {}
        content = None if method == "GET" else body or {}
        request = HttpRequest(method, self._client.format_url(path), params=query, json=content)
        try:
            response = await self._client.send_request(request)
        except ClientAuthenticationError as error:
            raise signed_out(error) from error
        except AzureError as error:
            what = "cannot be reached" if isinstance(error, ServiceRequestError) else "did not answer as it should"
            reason = f"Azure Resource Manager {what} ({first_line(str(error))})."
            raise ArmError(reason, "Check the network, proxy and VPN, and ARM_ENDPOINT if set.") from error
        if response.status_code >= 300:
            raise self._refused(HttpResponseError(response=response))
        try:
            answer = json.loads(response.text().strip() or "{}")
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ArmError("Azure Resource Manager's answer is no JSON object.", "Try again in a minute.")
        return answer

    def _refused(self, error: HttpResponseError) -> ArmError:
        status = error.status_code
        parts = (error.error.code, error.error.message) if error.error else ()
        why = ": ".join(bounded(one, 300) for one in parts if one)
        answer = f"Azure Resource Manager answered HTTP {status}{f' ({why.rstrip(".")})' if why else ''}"
        match status:
            case 401:
                remedy = "Sign in to the tenant of the monitor's subscription: `az login --tenant TENANT_ID`."
            case 403:
                remedy = f"This takes a role on the function app {self.name}, such as Website Contributor."
            case 404:
                remedy = f"Check that FUNCTION_APP_ID names the app ({self.name}), and that its code was deployed."
            case _:
                remedy = "Try again in a minute; if it fails again, check Azure's service health."
        return ArmError(f"{answer}.", remedy, status=status)


def _at(item: object, *names: str) -> Any:  # noqa: ANN401 # JSON from outside
    """Return what is at a path of names within an object; None if there is nothing."""
    for name in names:
        item = item.get(name) if isinstance(item, dict) else None
    return item


@asynccontextmanager
async def open_arm(places: Places, credential: AsyncTokenCredential) -> AsyncIterator[Arm]:
    """Resource Manager of the deployment's cloud. Nothing is called before the first use.

    Raises:
        CommandError: where the app's resource id is not known, or a place cannot be used.

    """
    app_id = places.required("FUNCTION_APP_ID")
    audience = CLOUDS[places.checked("AZURE_CLOUD", "AzureCloud")].arm
    endpoint = (places.value("ARM_ENDPOINT") or audience).rstrip("/")
    parts = urlsplit(endpoint)
    if parts.scheme != "https" or "@" in parts.netloc or parts.path or parts.query or parts.fragment:
        raise CommandError(f"ARM_ENDPOINT cannot be used: {bounded(endpoint, 100)!r}.", "Expected: an https address.")
    policies = [
        UserAgentPolicy(f"ade-token-monitor/{__version__}"),
        AsyncRetryPolicy(retry_total=_RETRIES),
        AsyncBearerTokenCredentialPolicy(credential, f"{audience}/.default"),
    ]
    transport = AioHttpTransport(session=azure_session(lists=True))
    client: AsyncPipelineClient[HttpRequest, AsyncHttpResponse]
    client = AsyncPipelineClient(endpoint, policies=policies, transport=transport)
    async with client:
        yield Arm(client, app_id)
