"""Records the real Azure CLI's requests: a proxy on the loopback connects every host to a small model of Azure.

az is the one that .ci/judge installs. It signs in as a service principal and works in the public cloud.
"""

import asyncio
import json
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import compiler
import pytest
import trustme
from aiohttp import web

from shared import __version__
from simulator import bearer
from simulator.server import HOST
from tests.infra.desk import (
    APP,
    EVENTS_ROLE_ID,
    GRAPH,
    INFRA,
    NEW_PRINCIPAL,
    ROLE_ID,
    ROOT,
    SUBSCRIPTION,
    TENANT,
    Said,
    pack,
)
from tests.infra.test_deploy_code import Deployments

AZ = ROOT / ".judges" / "az" / "bin"
MISSING = "az is missing: .ci/judge az installs it into .judges/az"
needed = pytest.mark.skipif(not AZ.exists() and not os.environ.get("AZ_REQUIRED"), reason=MISSING)

_LOGIN = "login.microsoftonline.com"
_TABLES = "sttokens.table.core.windows.net"
_SITE = "func-tokens.scm.azurewebsites.net"
_HOSTS = (_LOGIN, _TABLES, _SITE, "management.azure.com", "graph.microsoft.com")
_BELOW = re.compile(rf"^/subscriptions/{SUBSCRIPTION}/resourcegroups/[\w-]+(/providers/Microsoft\.\w+)?", re.IGNORECASE)
OUTPUTS = {
    "FUNCTION_APP_NAME": "func-tokens",
    "FUNCTION_APP_ID": APP,
    "TABLES_ENDPOINT": f"https://{_TABLES}/",
    "IDENTITY_PRINCIPAL_ID": NEW_PRINCIPAL,
    "WORKBOOK_URL": "https://portal.azure.com/#workbook",
}
"""What a deployment gives, as far as its value matters here."""


@dataclass
class Azure(Deployments):
    """A subscription with a tenant: it keeps resources, deployments succeed at once, and the app writes a row."""

    made: dict[str, Any] = field(default_factory=dict)
    """Resources by path, in lower case."""
    assignments: list[Any] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    """The table CheckRun, newest first."""
    coming: dict[str, Any] | None = None
    """The row that the app writes when a check is requested."""

    @property
    def transcript(self) -> list[str]:
        """Return the requests except sign-ins, one line each: the method, and the path below the resource group."""
        asked = [(request.method, request.headers["Host"], request.path) for request in self.requests]
        return [f"{method} {_BELOW.sub('', path)}" for method, host, path in asked if host != _LOGIN]

    @property
    def changes(self) -> list[str]:
        """Return the requests that change something."""
        return [line for line in self.transcript if not line.startswith("GET ")]

    def body(self, line: str) -> Any:
        """Return the body of the last request with that line in the transcript."""
        found = [one for one in self.requests if line == f"{one.method} {_BELOW.sub('', one.path)}"]
        return _parsed(found[-1].body)

    async def answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        if request.host == _LOGIN:
            return self._signed_in(request)
        if request.host == "graph.microsoft.com":
            return self._graph(request, _parsed(body))
        if request.host == _TABLES:
            return web.json_response({"value": self.rows})
        if request.host == _SITE or request.path.startswith(APP):
            return await super().answer(request, body)
        return self._manager(request, _parsed(body))

    def _signed_in(self, request: web.Request) -> web.Response:
        address = f"https://{_LOGIN}/{TENANT}"
        if request.method == "GET":
            of_tenant = {"issuer": f"{address}/v2.0", "authorization_endpoint": f"{address}/oauth2/v2.0/authorize"}
            return web.json_response(of_tenant | {"token_endpoint": f"{address}/oauth2/v2.0/token"})
        token = bearer.issue(bearer.MANAGEMENT)[0]
        return web.json_response({"token_type": "Bearer", "expires_in": 3599, "access_token": token})

    def _graph(self, request: web.Request, body: Any) -> web.Response:
        if not request.path.endswith("/appRoleAssignments"):
            names = {bearer.SERVICE_ROLE: ROLE_ID, bearer.EVENTS_ROLE: EVENTS_ROLE_ID}
            roles = [{"value": name, "id": id_, "allowedMemberTypes": ["Application"]} for name, id_ in names.items()]
            return web.json_response({"id": GRAPH, "appRoles": roles})
        if request.method == "POST":
            self.assignments.append({**body, "id": f"assignment-{len(self.assignments)}"})
            return web.json_response(self.assignments[-1], status=201)
        return web.json_response({"value": self.assignments})

    def _resource(self, request: web.Request) -> web.Response:
        if request.path == f"{APP}/hostruntime/admin/functions/check_tokens":
            self.rows = [row for row in (self.coming, *self.rows) if row]
            return web.Response(status=202)
        return super()._resource(request)

    def _manager(self, request: web.Request, body: Any) -> web.Response:
        path = request.path.lower()
        if path == "/subscriptions":
            found = {"id": f"{path}/{SUBSCRIPTION}", "subscriptionId": SUBSCRIPTION, "tenantId": TENANT}
            return web.json_response({"value": [found | {"displayName": "Production", "state": "Enabled"}]})
        if request.method in {"PUT", "POST"}:
            self.made[path] = {**body, "id": request.path, "name": request.path.rpartition("/")[2]}
            self.made[path]["properties"] = _properties(path, body.get("properties", {}))
            return web.json_response(self.made[path], status=200 if request.method == "POST" else 201)
        if below := [one for name, one in self.made.items() if name.startswith(f"{path}/") and "/providers/" in path]:
            return web.json_response({"value": below})
        if request.method == "DELETE":
            return web.json_response(self.made.pop(path))
        if path not in self.made:
            missing = "ResourceNotFound" if _group(path) in self.made else "ResourceGroupNotFound"
            return web.json_response({"error": {"code": missing, "message": request.path}}, status=404)
        return web.json_response(self.made[path])


def _group(path: str) -> str:
    return path.partition("/providers/")[0]


def _parsed(body: bytes) -> Any:
    """Return a body's JSON; az sends a template unchanged, and its name without quotes."""
    return json.loads(body.replace(b", template:{", b', "template": {', 1) or b"null")


def _properties(path: str, given: dict[str, Any]) -> dict[str, Any]:
    properties = given | {"provisioningState": "Succeeded", "principalId": NEW_PRINCIPAL}
    if "/deployments/" in path:
        properties["outputs"] = {name: {"type": "String", "value": value} for name, value in OUTPUTS.items()}
    return properties


@dataclass
class Workplace:
    """A copy of the project, a shell, and the real az, which is signed in."""

    folder: Path
    azure: Azure
    environment: dict[str, str]

    async def run(self, command: str, *, shell: str = "bash", **environment: str) -> Said:
        """Run a command in the project's root."""
        process = await asyncio.create_subprocess_exec(
            shell,
            "-euc",
            command,
            cwd=self.folder,
            env=self.environment | environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 120)
        assert process.returncode is not None
        return Said(process.returncode, out.decode(), err.decode())


def of_yaml(text: str) -> Any:
    """Return the content of a YAML text, by the parser in az."""
    program = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)"
    done = subprocess.run([AZ / "python", "-c", program], input=text, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@asynccontextmanager
async def workplace(folder: Path) -> AsyncIterator[Workplace]:
    """Copy the files that a deployment reads, start Azure and its proxy, and sign az in."""
    shutil.copytree(INFRA, folder / "infra", ignore=shutil.ignore_patterns(compiler.APART, "__pycache__"))
    (folder / "shared").mkdir()
    shutil.copy(ROOT / "shared" / "__init__.py", folder / "shared")
    (folder / "dist").mkdir()
    pack(folder / "dist" / f"ade-token-monitor-{__version__}.zip", ".python_packages/x.py")
    authority, tls = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*_HOSTS).configure_cert(tls)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    azure = Azure(tls=tls, states=[4])
    await azure.start()
    azure.describe()
    azure.app["properties"]["hostNameSslStates"][1]["name"] = _SITE
    proxy = await asyncio.start_server(lambda *pair: _tunnel(azure.port, *pair), HOST, 0)
    here = Workplace(folder, azure, _environment(folder, proxy.sockets[0].getsockname()[1]))
    said = await here.run(f"az login --service-principal --username {bearer.CLIENT_ID} --password x --tenant {TENANT}")
    assert said.status == 0, said.err
    azure.requests.clear()
    try:
        yield here
    finally:
        proxy.close()
        await azure.stop()


def _environment(folder: Path, port: int) -> dict[str, str]:
    found = compiler.find()
    tools = [AZ, *([found.parent] if found else []), os.environ["PATH"]]
    settings: Mapping[str, object] = {
        "PATH": os.pathsep.join(map(str, tools)),
        "HOME": folder,
        "HTTPS_PROXY": f"http://{HOST}:{port}",
        "REQUESTS_CA_BUNDLE": folder / "ca.pem",
        "AZURE_CONFIG_DIR": folder / "azure",
        "AZURE_CORE_COLLECT_TELEMETRY": "no",
        "AZURE_BICEP_USE_BINARY_FROM_PATH": "true",
        "AZURE_BICEP_CHECK_VERSION": "false",
        "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1",
    }
    return {name: str(value) for name, value in settings.items()}


async def _tunnel(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Connect any host to Azure."""
    with suppress(OSError, asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        there, back = await asyncio.open_connection(HOST, port)
        await asyncio.gather(_copy(reader, back), _copy(there, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()
