"""What the template avoids, since it fails in Azure and nothing here can show it; docs/architecture.md says why."""

import json
import re
from collections.abc import Iterator
from typing import Any

import compiler
import pytest
from deployment import Deployment, deployment, variant

from cli.doctor.identity import OPERATOR

pytestmark = compiler.needed

VERSIONS = compiler.INFRA / "api-versions.json"
"""The API version of each resource type, or of all types that begin with it, and the property that sets it."""

FLEX_REFUSES = frozenset(
    # Error 51021, "site configuration properties ... for Flex Consumption sites is invalid":
    # microsoft/azure-pipelines-tasks 21032 (May 2025), Azure/terraform-azurerm-avm-res-web-site 345 (August 2026).
    "ftpsState use32BitWorkerProcess netFrameworkVersion functionsRuntimeScaleMonitoringEnabled preWarmedInstanceCount "
    # https://learn.microsoft.com/azure/azure-functions/functions-app-settings#flex-consumption-plan-deprecations
    "linuxFxVersion windowsFxVersion javaVersion powerShellVersion functionAppScaleLimit alwaysOn containerSize "
    "isReserved isXenon "
    "ENABLE_ORYX_BUILD FUNCTIONS_EXTENSION_VERSION FUNCTIONS_MAX_HTTP_CONCURRENCY FUNCTIONS_WORKER_PROCESS_COUNT "
    "FUNCTIONS_WORKER_DYNAMIC_CONCURRENCY_ENABLED FUNCTIONS_WORKER_RUNTIME FUNCTIONS_WORKER_RUNTIME_VERSION "
    "SCM_DO_BUILD_DURING_DEPLOYMENT WEBSITE_CONTENTAZUREFILECONNECTIONSTRING WEBSITE_CONTENTOVERVNET "
    "WEBSITE_CONTENTSHARE WEBSITE_NODE_DEFAULT_VERSION WEBSITE_RUN_FROM_PACKAGE".lower().split()
)
"""Properties of the site and of `siteConfig`, and settings, that Flex Consumption refuses; read in November 2026."""


def said(found: Deployment) -> set[str]:
    """The names, in lower case, of the site's properties and of its settings."""
    properties = found.one("Microsoft.Web/sites")["properties"]
    return {name.lower() for name in (*properties, *properties["siteConfig"], *found.settings)}


@pytest.mark.parametrize(
    "parameters", ["", "param enrollmentEvents = true\nparam packageUrl = 'https://example.com/a'"]
)
def test_flex_consumption_gets_no_setting_that_it_refuses(parameters):
    assert said(variant(parameters)) & FLEX_REFUSES == set()
    assert said(deployment("china")) & FLEX_REFUSES != set()  # App Service needs some of it


def declared(template: dict[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    """The resources of a type that the template and its modules make, as they are written."""
    resources = template["resources"]  # by name, or listed where the module refers to nothing that exists
    for resource in resources.values() if isinstance(resources, dict) else resources:
        if resource["type"] == "Microsoft.Resources/deployments":
            yield from declared(resource["properties"]["template"], kind)
        elif resource["type"] == kind and not resource.get("existing"):
            yield resource


def test_a_table_on_a_new_workspace_is_tried_again():
    """404 "ResourceNotFound: Workspace not active": hashicorp/terraform-provider-azurerm 30069 (July 2025)."""
    template = json.loads((compiler.INFRA / "azuredeploy.json").read_text("utf-8"))
    (tables,) = declared(template, "Microsoft.OperationalInsights/workspaces/tables")
    assert tables["@options"]["retryOn"] == [["ResourceNotFound"], 10]


def test_every_api_version_is_that_of_the_map():
    """The provider of a sovereign cloud can lag by years: Azure/azure-cli 31943 (August 2025)."""
    versions = {kind: one["version"] for kind, one in json.loads(VERSIONS.read_text("utf-8")).items()}
    used = set()
    for path in (path for folder in ("infra", "cli") for path in (compiler.ROOT / folder).rglob("*.*")):
        text = path.read_text("utf-8") if path.suffix in {".bicep", ".py", ".sh", ".ps1"} else ""
        for kind, version in re.findall(r"'(Microsoft\.[\w./]+)@(20[\w-]+)'", text):
            of = max((one for one in versions if f"{kind}/".startswith(f"{one}/")), key=len, default="")
            assert versions.get(of) == version, f"{path.name}: {kind}@{version} is not what api-versions.json says"
            used.add(of)
        asked = re.findall(r"""api-version=(20[\w-]+)|["'](20\d\d-\d\d-\d\d(?:-preview)?)["']""", text)
        assert {one or other for one, other in asked} <= set(versions.values()), path.name
    assert used == versions.keys()
    assert f'WEB_VERSION = "{versions["Microsoft.Web"]}"' in (compiler.INFRA / "az.py").read_text("utf-8")


@pytest.mark.parametrize("example", ["public", "government", "china"])
def test_the_host_knows_its_storage_by_name_where_that_means_the_right_address(example):
    """Azure/azure-functions-host 11636, 11782, 11787 (May 2026); the host adds core.windows.net to the name."""
    found = deployment(example)
    account = found.one("Microsoft.Storage/storageAccounts")["name"]
    expected = account if example == "public" else None
    assert found.settings.get("AzureWebJobsStorage__accountName") == expected
    assert {f"AzureWebJobsStorage__{name}ServiceUri" for name in ("blob", "queue", "table")} <= set(found.settings)


def test_the_page_names_the_role_that_an_identity_of_another_group_takes():
    """Without it `LinkedAuthorizationFailed`: Azure/azure-monitor-baseline-alerts 508 (January 2025)."""
    page = (compiler.ROOT / "docs" / "deployment.md").read_text("utf-8")
    (row,) = [
        line for line in page.splitlines() if line.startswith("| deploy with an identity of another resource group")
    ]
    assert f"| {OPERATOR} as well" in row
