"""Deploys the package as it is, so that Azure builds nothing; `python infra/deploy_code.py --help` shows how.

On Flex Consumption, `az functionapp deployment source config-zip` has Azure build a Python package with any options
(az 2.91, November 2026). This program sends the request that azd sends: https://github.com/Azure/azure-dev,
cli/azd/pkg/azsdk/funcapp_host_client.go. It needs any Python from 3.9 and only the standard library.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
import zipfile
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from az import WEB_VERSION, AnswerError, AzError, Azure, UnreachableError, printable
from package import ROOT, PackageError, version

_VERSION = f"api-version={WEB_VERSION}"
_LOST_TRIES = 20
_IN_PROGRESS = {0, 1, 2}
_SUCCEEDED = 4
_ENDS = {-1: "was canceled", 3: "failed", 5: "gave way to another one", 6: "succeeded in part only"}
"""The states with which a deployment ends, as in azd's client."""


class DeployError(Exception):
    """The code is not verified to be deployed; the message gives the reason and the remedy."""


class Package:
    """A package in a file.

    Attributes:
        functions: the names that function_app.py registers.

    """

    def __init__(self, path: Path) -> None:
        """Read the package.

        Raises:
            DeployError: if the app could not run from the package.

        """
        try:
            with zipfile.ZipFile(path) as packed:
                names = packed.namelist()
                self.functions = function_names(packed.read("function_app.py"))
            self.name, self.content = path.name, path.read_bytes()
        except (OSError, zipfile.BadZipFile, KeyError, SyntaxError) as error:
            raise DeployError(f"{path} is no package of the app: {error}. Run python infra/package.py.") from None
        if not self.functions:
            raise DeployError(f"function_app.py in {path} names no function, so nothing could be verified.")
        if not any(name.startswith(".python_packages/") for name in names):
            raise DeployError(f"{path} holds no Python packages, and Azure adds none. Run python infra/package.py.")


def function_names(source: bytes) -> set[str]:
    """Return the argument of each decorator `@app.function_name("...")`."""
    decorators = [
        decorator
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "app.function_name"
    ]
    return {ast.literal_eval(decorator.args[0]) for decorator in decorators}


class App:
    """A function app in Azure."""

    def __init__(self, azure: Azure, group: str, name: str) -> None:
        """Find the app.

        Raises:
            DeployError: if no code can be deployed to the app.

        """
        self._azure, self.name = azure, name
        path = f"/subscriptions/{azure.subscription}/resourceGroups/{group}/providers/Microsoft.Web/sites/{name}"
        self._url = azure.manager + path
        found = azure.get(f"{self._url}?{_VERSION}")
        properties = found.get("properties") or {}
        if "functionapp" not in str(found.get("kind")):
            raise DeployError(f"{name} is no function app: take the deployment's output FUNCTION_APP_NAME.")
        if properties.get("state") != "Running":
            start = f"az functionapp start --resource-group {group} --name {name}"
            raise DeployError(f"{name} is stopped and would not list its functions. Start it first: {start}")
        self._is_flex = str(properties.get("sku")).lower() == "flexconsumption"
        self.host = _deployment_host(properties)

    def publish(self, package: Package) -> str:
        """Send the package and return the address of the deployment."""
        latest = f"https://{self.host}/api/deployments/latest"
        if self._is_flex:
            _, body = self._azure.send("POST", f"https://{self.host}/api/publish?RemoteBuild=false", package.content)
            # The answer is the deployment's ID as JSON.
            deployment_id = re.fullmatch(rb'"([\w-]+)"', body.strip())
            return urljoin(latest, deployment_id[1].decode()) if deployment_id else latest
        # App Service builds only if an app setting requests it, and the template has no such setting.
        headers, _ = self._azure.send("POST", f"https://{self.host}/api/zipdeploy?isAsync=true", package.content)
        named = urljoin(latest, headers.get("location", latest))
        return named if urlsplit(named)[:2] == urlsplit(latest)[:2] else latest

    def follow(self, deployment: str) -> None:
        """Wait until the deployment has succeeded.

        Raises:
            DeployError: if it fails, or doesn't end in time.

        """
        lost = 0
        while True:
            state = self._deployment(deployment)
            status = state.get("status")
            if status == _SUCCEEDED:
                return
            lost = 0 if status in _IN_PROGRESS else lost + 1
            if status in _ENDS:
                raise DeployError(f"The deployment {_ENDS[status]}. {_progress(state)}{self._log(deployment)}")
            if lost == _LOST_TRIES:
                raise DeployError("Azure does not show how the deployment ended. Run this again: that does no harm.")
            if not self._azure.wait():
                raise DeployError(f"The deployment has not ended in time. {_progress(state)}")

    def _deployment(self, url: str) -> dict[str, Any]:
        """Return the state of a deployment, or an empty one while Azure doesn't show it.

        Azure doesn't show it at once, and may no longer show it after recycling the instance that carried it out.
        """
        for address in (url, urljoin(url, "latest")):
            try:
                state = self._azure.get(address)
            except AnswerError as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    raise
            else:
                if address == url or state.get("id") == url.rpartition("/")[2]:
                    return state
        return {}

    def _log(self, deployment: str) -> str:
        with suppress(AnswerError, UnreachableError):
            entries = self._azure.read(f"{deployment.partition('?')[0]}/log")
            return "".join(f"\n  {printable(str(entry.get('message')))}" for entry in entries or ())
        return ""

    def verify(self, wanted: set[str]) -> None:
        """Wait until the app lists its functions: after a successful deployment, an app can have none.

        Azure/azure-dev 3658. Like the portal, this has Resource Manager sync the triggers if some are missing:
        Azure/azure-functions-host 10169.

        Raises:
            DeployError: if they are not listed in time.

        """
        while missing := wanted - self._functions():
            with suppress(AnswerError):  # the host may just be starting
                self._azure.send("POST", f"{self._url}/host/default/sync?{_VERSION}", b"")
            if not self._azure.wait():
                raise DeployError(
                    f"{self.name} does not list {', '.join(sorted(missing))}, so its code does not start. Application "
                    "Insights has the errors in its table exceptions, and python -m cli doctor shows what is missing."
                )

    def _functions(self) -> set[str]:
        entries = self._azure.get(f"{self._url}/functions?{_VERSION}").get("value") or ()
        return {str(entry.get("name")).rpartition("/")[2] for entry in entries}


def _deployment_host(properties: dict[str, Any]) -> str:
    """Return the host that accepts packages; its name differs between clouds, and newer names contain a region."""
    for state in properties.get("hostNameSslStates") or ():
        if state.get("hostType") == "Repository":
            return str(state.get("name"))
    first, _, rest = str(properties.get("defaultHostName")).partition(".")
    return f"{first}.scm.{rest}"


def _progress(state: dict[str, Any]) -> str:
    progress = " ".join(printable(str(state.get(name) or "")) for name in ("status_text", "progress")).strip()
    return f"Azure says: {progress}" if progress else ""


def deploy(options: argparse.Namespace) -> None:
    """Deploy the package, except with `--only-verify`, and verify that the app lists its functions."""
    package = Package(options.package or ROOT / "dist" / f"ade-token-monitor-{version()}.zip")
    app = App(Azure(options.subscription, options.minutes), options.resource_group, options.name)
    if not options.only_verify:
        print(f"Sending {package.name} ({len(package.content) / 1e6:.1f} MB) to {app.host} ...", flush=True)
        deployment = app.publish(package)
        print("Waiting for the deployment ...", flush=True)
        app.follow(deployment)
    print("Waiting for the app to list its functions ...", flush=True)
    app.verify(package.functions)
    print(f"{app.name} lists {', '.join(sorted(package.functions))}.")


def explain(error: AnswerError, options: argparse.Namespace) -> str:
    """Return what an HTTP status means for a deployment, and what to do."""
    if error.status == HTTPStatus.UNAUTHORIZED:
        return f"{error.host} does not accept az's sign-in. Run 'az login'. It says: {error.explanation}"
    if error.status == HTTPStatus.FORBIDDEN and "Ip Forbidden" in (error.reason, error.explanation):
        return f"The access restrictions of {options.name} refuse this machine. Deploy from a network that they allow."
    if error.status == HTTPStatus.FORBIDDEN:
        role = f"the role Website Contributor on {options.name}"
        return f"You may not do this: it takes {role}. Azure says: {error.explanation}"
    if error.status == HTTPStatus.CONFLICT:
        return f"Another deployment of {options.name} is in progress. Run this again when it has ended."
    if error.status == HTTPStatus.NOT_FOUND:
        return (
            f"There is no app {options.name} in the resource group {options.resource_group}. Check the names, and the "
            f"subscription (--subscription). Azure says: {error.explanation}"
        )
    return f"{error}."


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Deploys the package to the function app; Azure builds nothing.")
    parser.add_argument("--resource-group", required=True, metavar="GROUP", help="the app's resource group")
    parser.add_argument("--name", required=True, help="the app: the deployment's output FUNCTION_APP_NAME")
    parser.add_argument("--subscription", metavar="NAME", help="the app's subscription, if az works in another one")
    parser.add_argument("--package", type=Path, metavar="ZIP", help="the package, if not this version's in dist/")
    parser.add_argument("--minutes", type=float, default=15, help="how long to wait (15)")
    parser.add_argument(
        "--only-verify", action="store_true", help="send nothing; wait for the app to list its functions"
    )
    return parser.parse_args()


def main() -> int:
    """Deploy; return 0 if the app lists its functions, 1 if it doesn't or this is unknown, and 130 if interrupted."""
    options = _options()
    try:
        deploy(options)
    except AzError as error:
        message = "The Azure CLI, az, is missing: install it, or use the portal's Cloud Shell."
        if not error.is_missing:
            message = f"az is not signed in to the subscription: run 'az login'. az says: {error}"
    except AnswerError as error:
        message = explain(error, options)
    except UnreachableError as error:
        message = f"The outcome is not known: {error}."
    except (DeployError, PackageError) as error:
        message = str(error)
    except KeyboardInterrupt:
        return 130
    else:
        return 0
    print(message, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
