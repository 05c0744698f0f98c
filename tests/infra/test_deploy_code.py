"""infra/deploy_code.py over HTTPS, against a stand-in for the app's deployment service and for Resource Manager.

The stand-in answers as azd's client and az 2.91 expect it (infra/deploy_code.py names the sources).
"""

import ast
import asyncio
import importlib.util
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from simulator import bearer, faults
from simulator.server import Server
from simulator.tls import make_tls
from tests.infra.desk import APP, INFRA, ROOT, Said, pack

FUNCTIONS = {"check_tokens", "inspect_devices", "prune_history"}
TARGET = ("--resource-group", "rg-tokens", "--name", "func-tokens")
ID = "8ad0b7ed-7bd8-4fa0-8677-e38dcfb79a1a"
FLEX = ("POST", "/api/publish")
CLASSIC = ("POST", "/api/zipdeploy")


@dataclass
class Deployments(Server):
    """One function app: its deployment service and its resource."""

    app: dict[str, Any] = field(default_factory=dict)
    states: list[Any] = field(default_factory=lambda: [0, 1, 4])
    """What a deployment's status is at each request; the last one stays. None: it is not there."""
    latest: dict[str, Any] | None = None
    log: list[dict[str, Any]] = field(default_factory=list)
    listed: set[str] = field(default_factory=lambda: set(FUNCTIONS))
    synced: set[str] = field(default_factory=set)
    """What the app lists once its triggers were synced."""

    def describe(self) -> None:
        states = [
            {"hostType": "Standard", "name": "func-tokens.azurewebsites.net"},
            {"hostType": "Repository", "name": f"127.0.0.1:{self.port}"},
        ]
        properties = {"state": "Running", "sku": "FlexConsumption", "hostNameSslStates": states}
        self.app = {"kind": "functionapp,linux", "properties": properties}

    async def answer(self, request: web.Request, body: bytes) -> web.StreamResponse:  # noqa: ARG002 # it is recorded
        if bearer.refusal(request, (bearer.MANAGEMENT,)):
            return web.Response(status=401, text="no such token")
        if request.path.startswith("/subscriptions/"):
            return self._resource(request)
        return self._asked(request.method, request.path.removeprefix("/api/"))

    def _asked(self, method: str, path: str) -> web.Response:
        answer = web.Response(status=404, text="not found")
        if (method, path) == ("POST", "publish"):
            answer = web.json_response(ID, status=202)
        elif (method, path) == ("POST", "zipdeploy"):
            answer = web.Response(status=202, headers={"Location": f"{self.url}/api/deployments/latest?time=1"})
        elif path == (f"deployments/{ID}" if self._is_flex else "deployments/latest"):
            answer = self._status(self.states.pop(0) if len(self.states) > 1 else self.states[0])
        elif path == "deployments/latest" and self.latest:
            answer = web.json_response(self.latest)
        elif path == f"deployments/{ID}/log":
            answer = web.json_response(self.log)
        return answer

    @property
    def _is_flex(self) -> bool:
        return self.app["properties"]["sku"] == "FlexConsumption"

    def _status(self, status: int | None) -> web.Response:
        if status is None:
            return web.Response(status=404, text=f"Deployment {ID} not found.")
        return web.json_response({"id": ID, "status": status, "status_text": "", "progress": f"step {status}"})

    def _resource(self, request: web.Request) -> web.Response:
        assert request.query["api-version"]
        if not request.path.startswith(APP):
            return web.json_response({"error": {"code": "ResourceNotFound"}}, status=404)
        match request.path.removeprefix(APP):
            case "":
                return web.json_response(self.app)
            case "/functions":
                return web.json_response({"value": [{"name": f"func-tokens/{name}"} for name in sorted(self.listed)]})
            case "/host/default/sync":
                self.listed |= self.synced
                return web.Response(status=204)
        return web.Response(status=404)


@dataclass
class Deployer:
    """Somebody who runs the program at a desk."""

    desk: Any
    azure: Deployments
    package: Any
    ca_file: Any

    async def run(self, *arguments: str, **environment: str) -> Said:
        self.desk.start()
        given = {"REQUESTS_CA_BUNDLE": str(self.ca_file)} | environment
        done = await asyncio.to_thread(
            subprocess.run,
            self.desk.command("deploy_code.py", *TARGET, "--package", str(self.package), *arguments),
            env=self.desk.environment(**given),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        said = Said(done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in said.text
        assert self.desk.state["token"] not in said.text
        assert not any(self.desk.state["token"] in call for call in self.desk.calls)
        return said

    async def refused(self, *arguments: str, **environment: str) -> str:
        """Returns the one sentence that a run ends with."""
        said = await self.run(*arguments, **environment)
        assert said.status == 1
        return said.err

    @property
    def sent(self) -> list[Any]:
        """The requests that carry a package."""
        return [request for request in self.azure.requests if request.body]


@pytest.fixture
async def deployer(desk, tmp_path):
    tls = make_tls(tmp_path)
    azure = Deployments(tls=tls.server)
    await azure.start()
    azure.describe()
    desk.state |= {"manager": f"{azure.url}/", "token": bearer.issue(bearer.MANAGEMENT)[0]}
    yield Deployer(desk, azure, pack(tmp_path / "app.zip", ".python_packages/lib/x.py"), tls.ca_file)
    await azure.stop()


@pytest.fixture(scope="module")
def module():
    spec = importlib.util.spec_from_file_location("deploy_code", INFRA / "deploy_code.py")
    loaded = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(INFRA))
    spec.loader.exec_module(loaded)
    sys.path.remove(str(INFRA))
    return loaded


# What is sent


@pytest.mark.parametrize(
    ("sku", "sent", "query"),
    [("FlexConsumption", FLEX, {"RemoteBuild": "false"}), ("Basic", CLASSIC, {"isAsync": "true"})],
)
async def test_the_package_is_sent_as_it_is_and_no_build_is_requested(deployer, sku, sent, query):
    deployer.azure.app["properties"]["sku"] = sku
    said = await deployer.run()
    assert said.status == 0, said.err
    (request,) = deployer.sent
    assert (request.method, request.path) == sent
    assert dict(request.query) == query
    assert request.body == deployer.package.read_bytes()
    assert request.headers["Content-Type"] == "application/zip"
    assert "func-tokens lists check_tokens, inspect_devices, prune_history." in said.out


async def test_the_subscription_that_is_named_is_used(deployer):
    deployer.desk.state["accounts"].insert(0, {"id": "other", "name": "Test", "tenantId": "x"})
    assert (await deployer.run("--subscription", "Production")).status == 0
    assert "no app func-tokens" in await deployer.refused()
    assert "Subscription 'nowhere' not found" in await deployer.refused("--subscription", "nowhere")


def test_functions_are_those_that_the_app_registers(module):
    assert module.function_names((ROOT / "function_app.py").read_bytes()) == FUNCTIONS


@pytest.mark.parametrize(
    ("properties", "host"),
    [
        ({"defaultHostName": "f.azurewebsites.us"}, "f.scm.azurewebsites.us"),
        ({"defaultHostName": "f-a1.westeurope-01.azurewebsites.net"}, "f-a1.scm.westeurope-01.azurewebsites.net"),
        (
            {"hostNameSslStates": [{"hostType": "Repository", "name": "f.scm.chinacloudsites.cn"}]},
            "f.scm.chinacloudsites.cn",
        ),
    ],
)
def test_the_deployment_host_is_the_clouds_and_the_regions(module, properties, host):
    assert module._deployment_host(properties) == host


def test_the_programs_of_an_administrator_run_with_python_3_9():
    of_a_release = {"sbom.py"}  # needs packages of requirements-dev.txt
    programs = [path for path in INFRA.rglob("*.py") if path.name not in of_a_release]
    assert len(programs) >= 6
    for program in programs:
        tree = ast.parse(program.read_text("utf-8"), feature_version=(3, 9))
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)} | {
            alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        }
        ours = {path.stem for path in programs} | {"__future__"}
        assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names | ours, program


# How it ends


@pytest.mark.parametrize(
    ("status", "end"),
    [(-1, "was canceled"), (3, "failed"), (5, "gave way to another one"), (6, "succeeded in part only")],
)
async def test_a_deployment_that_ends_otherwise_is_shown_with_its_log(deployer, status, end):
    deployer.azure.states = [0, status]
    deployer.azure.log = [{"message": "Storage responded\x1b[31m with Forbidden"}, {"message": "Stopped"}]
    said = await deployer.refused()
    assert said == (
        f"The deployment {end}. Azure says: step {status}\n  Storage responded [31m with Forbidden\n  Stopped\n"
    )


async def test_a_deployment_that_is_not_there_at_once_is_waited_for(deployer):
    deployer.azure.states = [None, None, 1, 4]
    assert (await deployer.run()).status == 0
    assert deployer.desk.sleeps == ["3"] * 3


@pytest.mark.parametrize(
    ("latest", "status"), [({"id": ID, "status": 4}, 0), ({"id": "other", "status": 4}, 1), (None, 1)]
)
async def test_a_deployment_that_disappears_counts_only_if_azure_shows_its_end_elsewhere(deployer, latest, status):
    deployer.azure.states = [1, None]
    deployer.azure.latest = latest
    said = await deployer.run()
    assert said.status == status
    assert ("does not show how the deployment ended" in said.err) == bool(status)


async def test_waiting_has_an_end(deployer):
    deployer.azure.states = [2]
    assert "has not ended in time. Azure says: step 2" in await deployer.refused("--minutes", "2")
    assert sum(map(float, deployer.desk.sleeps)) == 120


async def test_a_success_without_functions_is_a_failure_that_names_them(deployer):
    deployer.azure.listed = {"WarmUp", "check_tokens"}
    said = await deployer.refused("--minutes", "1")
    assert "does not list inspect_devices, prune_history" in said
    assert "doctor" in said


async def test_functions_are_listed_once_the_triggers_are_synced(deployer):
    deployer.azure.listed, deployer.azure.synced = {"WarmUp"}, FUNCTIONS
    deployer.azure.fail("/host/default/sync", faults.text(500, "host is starting"), times=2)
    assert (await deployer.run()).status == 0


async def test_verifying_alone_sends_nothing(deployer):
    assert (await deployer.run("--only-verify")).status == 0
    assert deployer.sent == []


# What is tried again


@pytest.mark.parametrize("code", [429, 503])
async def test_a_busy_service_gets_the_package_again_after_the_time_that_it_names(deployer, code):
    deployer.azure.fail("/api/publish", faults.status(code, retry_after=42), times=2)
    assert (await deployer.run()).status == 0
    assert deployer.desk.sleeps[:2] == ["42", "42"]
    assert len(deployer.sent) == 3


@pytest.mark.parametrize("fault", [faults.text(500), faults.text(502), faults.dropped()])
async def test_a_question_that_fails_is_asked_again_and_a_package_that_may_have_arrived_is_not(deployer, fault):
    deployer.azure.fail("/api/deployments", fault, times=2)
    assert (await deployer.run()).status == 0
    assert len(deployer.sent) == 1
    deployer.azure.fail("/api/publish", fault)
    await deployer.refused()
    assert len(deployer.sent) == 2


async def test_a_redirect_does_not_get_the_token(deployer):
    deployer.azure.fail("/api/publish", faults.redirect("https://127.0.0.1:9/"))
    assert "answers HTTP 302" in await deployer.refused()


# What keeps it from deploying


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (faults.text(401), "does not accept az's sign-in. Run 'az login'."),
        (faults.text(403, "no"), "it takes the role Website Contributor on func-tokens. Azure says: no"),
        (faults.text(403, "Ip Forbidden"), "access restrictions of func-tokens refuse this machine"),
        (faults.text(409), "Another deployment of func-tokens is in progress."),
        (faults.text(400, "bad\nzip"), "answers HTTP 400: bad zip."),
        (faults.text(500), "answers HTTP 500"),
        (faults.dropped(), "The outcome is not known"),
    ],
)
async def test_a_refusal_is_one_sentence_with_the_fix(deployer, fault, said):
    deployer.azure.fail("/api/publish", fault)
    assert said in await deployer.refused()
    assert deployer.sent[1:] == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "app,linux"}, "is no function app"),
        ({"properties": {"state": "Stopped"}}, "az functionapp start --resource-group rg-tokens --name func-tokens"),
    ],
)
async def test_an_app_that_takes_no_code_is_refused_before_anything_is_sent(deployer, change, said):
    deployer.azure.app |= change
    assert said in await deployer.refused()
    assert deployer.sent == []


@pytest.mark.parametrize("missing", ["az", "sign-in"])
async def test_a_missing_az_or_sign_in_is_reported(deployer, missing):
    if missing == "az":
        (deployer.desk.bin / "az").unlink()
        assert "The Azure CLI, az, is missing" in await deployer.refused()
    else:
        deployer.desk.state["accounts"] = []
        assert "run 'az login'" in await deployer.refused()
    assert deployer.azure.requests == []


async def test_a_network_that_fails_is_named(deployer):
    assert "certificate of 127.0.0.1" in (said := await deployer.refused(REQUESTS_CA_BUNDLE=""))
    assert "REQUESTS_CA_BUNDLE" in said
    deployer.desk.state["manager"] = "https://127.0.0.1:9/"
    assert "127.0.0.1:9 does not answer" in await deployer.refused()


@pytest.mark.parametrize(
    ("names", "source", "said"),
    [
        ((), None, "holds no Python packages"),
        ((".python_packages/x",), "import os\n", "names no function"),
        ((".python_packages/x",), "def (\n", "is no package of the app"),
    ],
)
async def test_a_zip_that_could_not_run_is_refused(deployer, tmp_path, names, source, said):
    deployer.package = pack(tmp_path / "other.zip", *names, source=source)
    assert said in await deployer.refused()
    assert deployer.azure.requests == []
