"""What would be deployed where a tenant has rules of its own: private networking, a central workspace, sizes, tags."""

import json
from typing import Any

import compiler
import pytest
from deployment import EXAMPLES, INFRA, Deployment, azd, deployment, variant

pytestmark = compiler.needed

OURS = "/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/rg-ade-token-monitor/providers"
HUB = "/subscriptions/55555555-5555-4555-8555-555555555555/resourceGroups"
SUBNETS = f"{HUB}/rg-network/providers/Microsoft.Network/virtualNetworks/vnet-hub/subnets"
ZONES = f"{HUB}/rg-dns/providers/Microsoft.Network/privateDnsZones/privatelink"
SCOPE = f"{HUB}/rg-monitor/providers/Microsoft.Insights/privateLinkScopes/ampls-hub"
WORKSPACE = f"{HUB}/rg-logs/providers/Microsoft.OperationalInsights/workspaces/log-central"

SERVICES = ("blob", "queue", "table")
TWO_SUBNETS = {"appSubnetId": f"{SUBNETS}/app", "endpointSubnetId": f"{SUBNETS}/endpoints"}
THREE_ZONES = {f"{service}ZoneId": f"{ZONES}.{service}.core.windows.net" for service in SERVICES}
LINK_SCOPE = {"privateLinkScopeId": SCOPE}

ENDPOINTS = "Microsoft.Network/privateEndpoints"
LINKS = "Microsoft.Insights/privateLinkScopes/scopedResources"
RULE = "Microsoft.Insights/dataCollectionRules"
INGESTION = "Microsoft.Insights/dataCollectionEndpoints"
CENTRAL = f"param workspaceResourceId = '{WORKSPACE}'"


def network(*given: dict[str, str]) -> str:
    """The parameter `network` as a line of a parameter file."""
    return f"param network = json('{json.dumps({name: value for one in given for name, value in one.items()})}')"


def account(found: Deployment) -> dict[str, Any]:
    return found.one("Microsoft.Storage/storageAccounts")


# Private networking


@pytest.mark.parametrize("hosting", ["FlexConsumption", "AppService"])
def test_a_private_account_is_reached_through_three_endpoints_and_the_apps_own_subnet(hosting):
    found = variant(f"param hosting = '{hosting}'\n{network(TWO_SUBNETS, THREE_ZONES)}")
    locked = {"publicNetworkAccess": "Disabled", "networkAcls": {"bypass": "None", "defaultAction": "Deny"}}
    assert {name: account(found)["properties"].get(name) for name in locked} == locked
    endpoints = found.all(ENDPOINTS)
    assert {endpoint["properties"]["subnet"]["id"] for endpoint in endpoints} == {f"{SUBNETS}/endpoints"}
    connections = [endpoint["properties"]["privateLinkServiceConnections"] for endpoint in endpoints]
    assert [one["properties"] for (one,) in connections] == [
        {"privateLinkServiceId": account(found)["id"], "groupIds": [service]} for service in SERVICES
    ]
    groups = found.all(f"{ENDPOINTS}/privateDnsZoneGroups")
    assert [group["name"] for group in groups] == [f"{endpoint['name']}/default" for endpoint in endpoints]
    configured = [group["properties"]["privateDnsZoneConfigs"] for group in groups]
    assert [one["properties"]["privateDnsZoneId"] for (one,) in configured] == list(THREE_ZONES.values())
    app = found.one("Microsoft.Web/sites")["properties"]
    assert app["virtualNetworkSubnetId"] == f"{SUBNETS}/app"
    # Flex Consumption sends everything through the subnet; a site configuration that it does not know fails it.
    assert app.get("vnetRouteAllEnabled") is (None if hosting == "FlexConsumption" else True)
    assert "vnetRouteAllEnabled" not in app["siteConfig"]


def test_where_a_policy_registers_endpoints_no_zone_is_needed():
    found = variant(network(TWO_SUBNETS))
    assert len(found.all(ENDPOINTS)) == len(SERVICES)
    assert found.all(f"{ENDPOINTS}/privateDnsZoneGroups") == []


@pytest.mark.parametrize("ids", [{}, dict.fromkeys([*TWO_SUBNETS, *THREE_ZONES, *LINK_SCOPE], "")])
def test_without_a_network_everything_stays_public(ids):
    found = variant(network(ids))
    assert found.resources == deployment("public").resources
    text = json.dumps(found.resources)
    assert not [
        name for name in ("publicNetworkAccess", "virtualNetworkSubnetId", "dataCollectionEndpointId") if name in text
    ]


def test_the_app_starts_when_its_network_is_there():
    template = compiler.template(INFRA / "main.bicep")
    for plan in ("flex", "appService"):
        assert {"privateEndpoints", "linkScope", "roles"} <= set(template["resources"][plan]["dependsOn"])


def test_logs_come_in_through_an_existing_private_link_scope():
    found = variant(network(TWO_SUBNETS, LINK_SCOPE))
    endpoint = found.one(INGESTION)
    assert endpoint["properties"] == {"networkAcls": {"publicNetworkAccess": "Disabled"}}
    assert found.one(RULE)["properties"]["dataCollectionEndpointId"] == endpoint["id"]
    assert endpoint["id"] in found.settings["LOGS_INGESTION_ENDPOINT"]
    assert found.settings["LOGS_INGESTION_ENDPOINT"].endswith(".logsIngestion.endpoint]")
    workspace, insights = (
        found.one(f"Microsoft.{kind}") for kind in ("OperationalInsights/workspaces", "Insights/components")
    )
    for one in (workspace, insights):
        assert one["properties"]["publicNetworkAccessForIngestion"] == "Disabled"
        assert "publicNetworkAccessForQuery" not in one["properties"]  # alert rules were not tried without it
    links = found.all(LINKS)
    assert {link["properties"]["linkedResourceId"] for link in links} == {
        one["id"] for one in (endpoint, workspace, insights)
    }
    assert all(link["id"].startswith(f"{SCOPE}/scopedResources/") for link in links)
    assert found.all("Microsoft.Insights/privateLinkScopes") == []  # a network's DNS has room for one


# An existing workspace


def test_a_central_workspace_gets_tables_and_roles_and_keeps_its_own_settings():
    found = variant(
        f"{CENTRAL}\nparam logRetentionDays = 120\nparam readerGroupId = '33333333-3333-4333-8333-333333333333'"
    )
    assert found.all("Microsoft.OperationalInsights/workspaces") == []
    tables = found.all("Microsoft.OperationalInsights/workspaces/tables")
    assert {table["id"].rpartition("/tables/")[0] for table in tables} == {WORKSPACE}
    assert [table["properties"]["retentionInDays"] for table in tables] == [120, 120]
    roles = [role["id"] for role in found.all("Microsoft.Authorization/roleAssignments")]
    assert len([role for role in roles if WORKSPACE in role]) == 2
    assert found.one("Microsoft.Insights/components")["properties"]["WorkspaceResourceId"] == WORKSPACE
    assert found.one(RULE)["properties"]["destinations"]["logAnalytics"][0]["workspaceResourceId"] == WORKSPACE


def test_rules_stay_in_our_group_and_in_the_workspaces_region():
    found = variant(CENTRAL)
    rules = [*found.all("Microsoft.Insights/scheduledQueryRules"), found.one(RULE)]
    assert all(rule["id"].startswith(f"{OURS}/") for rule in rules)
    assert {rule["location"] for rule in rules} == {f"[reference('{WORKSPACE}', '2022-10-01', 'full').location]"}
    assert {tuple(alert["scopes"]) for alert in found.alerts.values()} == {(WORKSPACE,)}
    assert {found.one(kind)["location"] for kind in ("Microsoft.Web/sites", "Microsoft.Insights/components")} == {
        "westeurope"
    }


def test_a_central_workspace_is_in_its_scope_already():
    found = variant(f"{CENTRAL}\n{network(TWO_SUBNETS, LINK_SCOPE)}")
    linked = {link["properties"]["linkedResourceId"] for link in found.all(LINKS)}
    assert linked == {found.one(INGESTION)["id"], found.one("Microsoft.Insights/components")["id"]}
    assert found.one(INGESTION)["location"] == found.one(RULE)["location"]


def test_a_workspace_of_ours_has_no_daily_cap():
    """Once a cap is reached, rows stop, and the monitor sees nothing until the next day."""
    for found in (*map(deployment, EXAMPLES), variant(network(TWO_SUBNETS, LINK_SCOPE))):
        assert "workspaceCapping" not in found.one("Microsoft.OperationalInsights/workspaces")["properties"]
        tables = found.all("Microsoft.OperationalInsights/workspaces/tables")
        assert all("retentionInDays" not in table["properties"] for table in tables)


# Sizes, places, tags


ALL = "\n".join(
    [
        "param hosting = 'AppService'",
        "param appServiceSku = 'P0v3'",
        "param storageRedundancy = 'Standard_GZRS'",
        "param actionGroupLocation = 'swedencentral'",
        "param diagnosticSettings = true",
        "param tags = { owner: 'endpoint-team' }",
        network(TWO_SUBNETS, THREE_ZONES, LINK_SCOPE),
    ]
)


def test_sizes_and_places_are_those_that_were_chosen():
    found = variant(ALL)
    assert account(found)["sku"] == {"name": "Standard_GZRS"}
    assert found.one("Microsoft.Web/serverfarms")["sku"] == {"name": "P0v3"}
    assert found.one("Microsoft.Insights/actionGroups")["location"] == "swedencentral"


def test_resource_logs_go_to_the_workspace():
    found = variant(ALL)
    settings = found.all("Microsoft.Insights/diagnosticSettings")
    workspace = found.one("Microsoft.OperationalInsights/workspaces")["id"]
    sent = {"workspaceId": workspace, "logs": [{"categoryGroup": "allLogs", "enabled": True}]}
    assert [setting["properties"] for setting in settings] == [sent] * 3
    scopes = {setting["id"].partition("/providers/Microsoft.Insights/")[0] for setting in settings}
    services = {f"{account(found)['id']}/{service}/default" for service in ("blobServices", "tableServices")}
    assert scopes == {*services, found.one("Microsoft.Web/sites")["id"]}


def test_every_resource_that_takes_tags_has_them():
    """A resource with a location takes tags."""
    placed = [resource for resource in variant(ALL).resources if "location" in resource]
    assert [one["id"] for one in placed if one.get("tags", {}).get("owner") != "endpoint-team"] == []
    assert {ENDPOINTS, INGESTION, "Microsoft.Web/sites"} <= {one["type"] for one in placed}


@pytest.mark.parametrize(
    ("text", "tags"),
    [("owner=endpoint-team, cost center = 47=11 ,", {"owner": "endpoint-team", "cost center": "47=11"}), ("", {})],
)
def test_azd_takes_tags_as_a_list(monkeypatch, text, tags):
    monkeypatch.setenv("AZURE_ENV_NAME", "contoso-prod")
    monkeypatch.setenv("TAGS", text)
    found = azd()
    for kind in ("Microsoft.Resources/resourceGroups", "Microsoft.Storage/storageAccounts"):
        assert found.one(kind)["tags"] == {"azd-env-name": "contoso-prod", **tags}


# Contradictions


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        (network({"appSubnetId": f"{SUBNETS}/app"}), "both appSubnetId and endpointSubnetId, or neither"),
        (network({"endpointSubnetId": f"{SUBNETS}/app"}), "both appSubnetId and endpointSubnetId, or neither"),
        (network(TWO_SUBNETS, {"endpointSubnetId": f"{SUBNETS}/APP"}), "must be two subnets"),
        (network(TWO_SUBNETS, {"appSubnetId": "snet-app"}), "must be resource IDs of subnets"),
        (network(TWO_SUBNETS, {"tableZoneId": "privatelink.table.core.windows.net"}), "private DNS zones"),
        (network(TWO_SUBNETS, {"privateLinkScopeId": "ampls"}), "an Azure Monitor private link scope"),
        (network(THREE_ZONES), "need appSubnetId and endpointSubnetId"),
        (network(LINK_SCOPE), "need appSubnetId and endpointSubnetId"),
        ("param appServiceSku = 'B2'", "appServiceSku needs hosting AppService"),
        ("param storageRedundancy = 'Standard_GRS'\nparam location = 'Italy North'", "choose Standard_ZRS"),
        ("param workspaceResourceId = 'log-central'", "the resource id of a Log Analytics workspace"),
        ("param identityResourceId = 'id-apple-tokens'", "the resource id of a user-assigned identity"),
    ],
)
def test_a_contradiction_ends_the_deployment_with_a_sentence(parameters, sentence):
    with pytest.raises(AssertionError, match=sentence):
        variant(parameters)
