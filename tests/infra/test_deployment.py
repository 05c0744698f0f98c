"""What would be deployed: every resource as the Bicep compiler evaluates it, for each example and variants of it."""

import json
import re
from collections import Counter
from typing import Any

import compiler
import pytest
from deployment import EXAMPLES, INFRA, Deployment, azd, deployment, variant

from shared.publishing.rows import FINDINGS, RUNS
from shared.storage.rows import CHECK_RUN, TOKEN_HISTORY, TOKEN_STATUS

pytestmark = compiler.needed

TABLES = [TOKEN_STATUS.name, TOKEN_HISTORY.name, CHECK_RUN.name, "DeviceInspection"]

ROLES = {
    "73c42c96-874c-492b-b04d-ab87d138a893": "Log Analytics Reader",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
    "76199698-9eea-4c19-bc75-cec21354c6b6": "Storage Table Data Reader",
    "b279062a-9be3-42a0-92ae-8b3cf002ec4d": "Workbook Reader",
}


@pytest.fixture(params=EXAMPLES)
def example(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    """The compiled template: parameters, outputs and modules as they are written."""
    return compiler.template(INFRA / "main.bicep")


# What is there


ALWAYS = {
    "Microsoft.Authorization/roleAssignments": 8,
    "Microsoft.Insights/actionGroups": 1,
    "Microsoft.Insights/activityLogAlerts": 1,
    "Microsoft.Insights/components": 1,
    "Microsoft.Insights/dataCollectionRules": 1,
    "Microsoft.Insights/scheduledQueryRules": 5,
    "Microsoft.Insights/workbooks": 1,
    "Microsoft.ManagedIdentity/userAssignedIdentities": 2,
    "Microsoft.OperationalInsights/workspaces": 1,
    "Microsoft.OperationalInsights/workspaces/tables": 2,
    "Microsoft.Storage/storageAccounts": 1,
    "Microsoft.Storage/storageAccounts/blobServices": 1,
    "Microsoft.Storage/storageAccounts/blobServices/containers": 1,
    "Microsoft.Storage/storageAccounts/tableServices": 1,
    "Microsoft.Storage/storageAccounts/tableServices/tables": 4,
    "Microsoft.Web/serverfarms": 1,
    "Microsoft.Web/sites": 1,
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": 2,
}
OWN = {
    "public": {},
    # Their own identity, a package to deploy, and a group that reads four tables, the workspace and the workbook.
    "government": {
        "Microsoft.ManagedIdentity/userAssignedIdentities": -1,
        "Microsoft.Web/sites/extensions": 1,
        "Microsoft.Authorization/roleAssignments": 6,
    },
    "china": {},
}


def test_an_example_deploys_these_resources_and_no_others(example):
    expected = Counter(ALWAYS)
    expected.update(OWN[example])
    assert Counter(resource["type"] for resource in deployment(example).resources) == expected


LIMITS = {
    "Microsoft.Insights/actionGroups": r"[\w-]{1,260}",
    "Microsoft.Insights/components": r"[\w.-]{1,260}",
    "Microsoft.Insights/dataCollectionRules": r"[a-zA-Z][a-zA-Z0-9-]{1,28}[a-zA-Z0-9]",
    "Microsoft.Insights/scheduledQueryRules": r"[\w-]{1,260}",
    "Microsoft.Insights/activityLogAlerts": r"[\w-]{1,260}",
    "Microsoft.ManagedIdentity/userAssignedIdentities": r"[a-zA-Z0-9][\w-]{2,127}",
    "Microsoft.OperationalInsights/workspaces": r"[a-zA-Z0-9][a-zA-Z0-9-]{2,61}[a-zA-Z0-9]",
    "Microsoft.Storage/storageAccounts": r"[a-z0-9]{3,24}",
    "Microsoft.Web/serverfarms": r"[a-zA-Z0-9-]{1,60}",
    # The host takes the first 32 characters for its id: two apps that share them would share locks.
    "Microsoft.Web/sites": r"[a-zA-Z0-9][a-zA-Z0-9-]{0,30}[a-zA-Z0-9]",
}
"""https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules; the data collection rule's
are not on that page (facts from the field)."""


EAST = "param namePrefix = 'contoso-endpoints-east'"


@pytest.mark.parametrize(
    ("prefix", "kept"),
    [
        ("Contoso Endpoint Management (production)", "contosoendpo"),
        ("--x--y--", "x-y"),
        ("***", "ade"),
        ("Müller & Söhne", "mllershne"),
    ],
)
def test_names_fit_their_services_whatever_the_prefix(prefix, kept):
    found = variant(f"param namePrefix = '{prefix}'")
    for kind, pattern in LIMITS.items():
        for resource in found.all(kind):
            assert re.fullmatch(pattern, resource["name"], re.ASCII), (kind, resource["name"])
    assert found.one("Microsoft.Web/sites")["name"].startswith(f"func-{kept}-")


@pytest.mark.parametrize(
    "other", ["param namePrefix = 'contoso-endpoints-west'", f"{EAST}\nparam location = 'northeurope'"]
)
def test_two_deployments_in_one_group_share_no_resource(other):
    """Neither prefixes whose kept characters are the same nor one prefix in two regions."""
    east, west = ([resource["id"] for resource in variant(one).resources] for one in (EAST, other))
    assert len(east) == len(west) == len({*east, *west}) / 2


def test_a_second_evaluation_of_the_same_parameters_changes_nothing():
    """The compiler takes seconds, so an instant of the deployment would differ."""
    assert variant("").resources == deployment("public").resources


# What security depends on


SECURE = {
    "Microsoft.Storage/storageAccounts": {
        "allowBlobPublicAccess": False,
        "allowCrossTenantReplication": False,
        "allowSharedKeyAccess": False,
        "defaultToOAuthAuthentication": True,
        "minimumTlsVersion": "TLS1_2",
        "supportsHttpsTrafficOnly": True,
    },
    "Microsoft.Storage/storageAccounts/blobServices/containers": {"publicAccess": "None"},
    "Microsoft.Insights/components": {"DisableLocalAuth": True},
    "Microsoft.OperationalInsights/workspaces": {
        "features": {"disableLocalAuth": True, "enableLogAccessUsingOnlyResourcePermissions": True}
    },
    "Microsoft.Web/sites": {"httpsOnly": True},
}


@pytest.mark.parametrize("kind", SECURE)
def test_a_resource_takes_only_encrypted_connections_and_sign_ins(example, kind):
    properties = deployment(example).one(kind)["properties"]
    assert {name: properties.get(name) for name in SECURE[kind]} == SECURE[kind]


def test_the_app_takes_only_tls_1_2_and_is_deployed_only_with_a_sign_in(example):
    config = deployment(example).one("Microsoft.Web/sites")["properties"]["siteConfig"]
    assert (config["minTlsVersion"], config["scmMinTlsVersion"]) == ("1.2", "1.2")
    assert config.get("ftpsState") == (None if example == "public" else "Disabled")  # None: Flex refuses it
    if example != "public":
        assert (config["linuxFxVersion"], config["alwaysOn"]) == ("PYTHON|3.13", True)
    policies = deployment(example).all("Microsoft.Web/sites/basicPublishingCredentialsPolicies")
    assert {policy["name"].rpartition("/")[2]: policy["properties"]["allow"] for policy in policies} == {
        "ftp": False,
        "scm": False,
    }


def test_the_app_has_one_identity_and_the_rules_another(example):
    (apps,) = deployment(example).one("Microsoft.Web/sites")["identity"]["userAssignedIdentities"]
    rules = {
        identity
        for rule in deployment(example).all("Microsoft.Insights/scheduledQueryRules")
        for identity in rule["identity"]["userAssignedIdentities"]
    }
    assert len(rules) == 1
    assert {apps} != rules
    if example == "government":
        assert apps.endswith(
            "/resourceGroups/rg-identities/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-apple-tokens"
        )


def test_no_key_is_asked_for_and_no_secret_is_put_out(template):
    text = json.dumps(template)
    # An action group calls a Logic App by an address that holds its key, and keeps it.
    assert re.findall(r"\blist[A-Z]\w*\(", text) == ["listCallbackUrl("]
    assert re.findall(r"(?i)AccountKey=|SharedAccess|InstrumentationKey", text) == []
    secure = {name for name, one in template["parameters"].items() if one.get("type") == "securestring"}
    assert secure == {"alertWebhook", "teamsWebhook"}
    assert set(template["outputs"]) == {
        "AZURE_CLOUD",
        "DEPLOYMENT",
        "ENROLLMENT_EVENTS",
        "FUNCTION_APP_ID",
        "FUNCTION_APP_NAME",
        "GRAPH_ENDPOINT",
        "IDENTITY_CLIENT_ID",
        "IDENTITY_NAME",
        "IDENTITY_PRINCIPAL_ID",
        "IDENTITY_RESOURCE_ID",
        "LOGS_INGESTION_ENDPOINT",
        "LOGS_INGESTION_RULE_ID",
        "RESOURCE_GROUP",
        "TABLES_ENDPOINT",
        "WORKBOOK_URL",
        "WORKSPACE_ID",
    }


# Roles


def assignments(found: Deployment) -> Counter[tuple[str, str, str, str]]:
    """Who (the end of an address or an object id), as what, may do what, on what (the end of its address)."""
    told = []
    for resource in found.all("Microsoft.Authorization/roleAssignments"):
        properties = resource["properties"]
        who = re.search(r"userAssignedIdentities/([\w-]+)'", properties["principalId"])
        scope = re.match(r"\[extensionResourceId\('([^']+)'|(.+)/providers/Microsoft.Authorization/", resource["id"])
        assert scope
        on = (scope[1] or scope[2]).partition("/providers/")[2]
        role = ROLES[properties["roleDefinitionId"].rpartition("/")[2]]
        told.append((who[1] if who else properties["principalId"], properties["principalType"], role, on))
        # The name is made of scope, principal and role, so a second deployment finds it again, and no two collide.
        if resource["name"].startswith("[guid("):
            assert all(part in resource["name"] for part in (on, properties["principalId"][1:-1]))
            assert properties["roleDefinitionId"].rpartition("/")[2] in resource["name"]
    assert len({resource["name"] for resource in found.all("Microsoft.Authorization/roleAssignments")}) == len(told)
    return Counter(told)


@pytest.mark.parametrize(
    ("example", "app", "group"),
    [
        ("public", None, None),
        ("government", "id-apple-tokens", "33333333-3333-4333-8333-333333333333"),
        ("china", None, None),
    ],
)
def test_each_role_is_granted_to_one_principal_on_the_smallest_thing_that_works(example, app, group):
    found = deployment(example)
    suffix = found.one("Microsoft.Web/sites")["name"].removeprefix("func-")
    account = f"Microsoft.Storage/storageAccounts/{found.one('Microsoft.Storage/storageAccounts')['name']}"
    tables = [f"{account}/tableServices/default/tables/{name}" for name in TABLES]
    workspace = f"Microsoft.OperationalInsights/workspaces/log-{suffix}"
    app = (app or f"id-{suffix}", "ServicePrincipal")
    expected = [
        (*app, "Storage Blob Data Owner", account),
        *((*app, "Storage Table Data Contributor", table) for table in tables),
        (*app, "Monitoring Metrics Publisher", f"Microsoft.Insights/dataCollectionRules/dcr-{suffix}"),
        (*app, "Monitoring Metrics Publisher", f"Microsoft.Insights/components/appi-{suffix}"),
        (f"id-{suffix}-alerts", "ServicePrincipal", "Log Analytics Reader", workspace),
    ]
    if group:
        workbook = f"Microsoft.Insights/workbooks/{found.one('Microsoft.Insights/workbooks')['name']}"
        expected += [(group, "Group", "Storage Table Data Reader", table) for table in tables]
        expected += [(group, "Group", "Log Analytics Reader", workspace), (group, "Group", "Workbook Reader", workbook)]
    assert assignments(found) == Counter(expected)


# The plans


def test_flex_consumption_runs_python_3_13_and_deploys_with_the_identity():
    app = deployment("public").one("Microsoft.Web/sites")
    (identity,) = app["identity"]["userAssignedIdentities"]
    config = app["properties"]["functionAppConfig"]
    assert config["runtime"] == {"name": "python", "version": "3.13"}
    storage = config["deployment"]["storage"]
    assert storage["authentication"] == {"type": "UserAssignedIdentity", "userAssignedIdentityResourceId": identity}
    assert re.fullmatch(
        r"\[format\('\{0\}\{1\}', reference\(.*\)\.primaryEndpoints\.blob, 'app-package'\)\]", storage["value"]
    )
    assert deployment("public").one("Microsoft.Web/serverfarms")["sku"] == {"name": "FC1", "tier": "FlexConsumption"}


def test_the_plans_share_every_setting_of_the_app():
    flex = deployment("public").settings
    app_service = variant("param hosting = 'AppService'").settings
    assert {name: value for name, value in app_service.items() if name in flex} == flex


@pytest.mark.parametrize("hosting", ["FlexConsumption", "AppService"])
def test_a_package_is_deployed_where_one_is_named(hosting):
    url = "https://example.com/package.zip"
    found = variant(f"param hosting = '{hosting}'\nparam packageUrl = '{url}'")
    code = found.one("Microsoft.Web/sites/extensions")
    assert code["name"].endswith("/onedeploy")
    expected = {"remoteBuild": False} if hosting == "FlexConsumption" else {"type": "zip"}
    assert code["properties"] == {"packageUri": url, **expected}
    assert variant(f"param hosting = '{hosting}'").all("Microsoft.Web/sites/extensions") == []


# Columns


@pytest.mark.parametrize("table", [FINDINGS, RUNS], ids=lambda table: table.name)
def test_app_stream_and_table_have_the_same_columns(example, table):
    rule = deployment(example).one("Microsoft.Insights/dataCollectionRules")
    published = [{"name": column.name, "type": column.type} for column in table.columns]
    assert rule["properties"]["streamDeclarations"][f"Custom-{table.name}"]["columns"] == published
    (created,) = [
        resource["properties"]["schema"]
        for resource in deployment(example).all("Microsoft.OperationalInsights/workspaces/tables")
        if resource["name"].endswith(f"/{table.name}")
    ]
    assert created["name"] == table.name
    kinds = {"dateTime": "datetime"}
    assert [
        {"name": column["name"], "type": kinds.get(column["type"], column["type"])} for column in created["columns"]
    ] == published


def test_each_stream_flows_into_its_table(example):
    rule = deployment(example).one("Microsoft.Insights/dataCollectionRules")
    assert rule["kind"] == "Direct"
    assert rule["properties"]["dataFlows"] == [
        {
            "streams": [f"Custom-{table.name}"],
            "destinations": ["workspace"],
            "transformKql": "source",
            "outputStream": f"Custom-{table.name}",
        }
        for table in (FINDINGS, RUNS)
    ]


def test_the_tables_of_the_record_are_made(example):
    tables = deployment(example).all("Microsoft.Storage/storageAccounts/tableServices/tables")
    assert [table["name"].rpartition("/")[2] for table in tables] == TABLES


# Parameters


def test_three_parameters_are_required(template):
    parameters = template["parameters"]
    assert len(parameters) <= 45
    assert {name for name, one in parameters.items() if "defaultValue" not in one} == {
        "namePrefix",
        "location",
        "alertEmails",
    }
    for name, one in parameters.items():
        expected = "Optional. " if "defaultValue" in one else "Required. "
        assert one["metadata"]["description"].startswith(expected), name


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "wrong",
    [
        "param alertEmails = []",
        "param connectors = ['dep']",
        "param cloud = 'AzureGermanCloud'",
        "param historyRetentionDays = 0",
        "param thresholds = { syncStaleWarningHour: 3 }",
        "param thresholds = { devicesDroppedPercent: 101 }",
        "param namePrefix = ''",
    ],
)
def test_a_wrong_parameter_is_refused(wrong):
    with pytest.raises(AssertionError, match="Error BCP"):
        variant(wrong)


def test_the_subscriptions_parameters_and_outputs_are_the_groups(template):
    built = compiler.template(INFRA / "subscription.bicep")
    parameters = dict(built["parameters"])
    own = parameters.pop("resourceGroupName")
    assert own["metadata"]["description"].startswith("Required. ")
    same = {name for name, one in parameters.items() if one == template["parameters"][name]}
    assert template["parameters"].keys() - same == {"location"}  # the group's, too
    assert set(built["outputs"]) == set(template["outputs"])
    passed = built["resources"]["monitor"]["properties"]["parameters"]
    assert {name: one["value"] for name, one in passed.items()} == {
        name: f"[parameters('{name}')]" for name in template["parameters"]
    }


def test_azd_deploys_what_the_public_example_does(monkeypatch):
    for name in AZD:
        monkeypatch.delenv(name, raising=False)
    found = azd()
    # Whether there is a secure parameter, azd's file leaves open; without one, its condition does.
    types = Counter(resource["type"] for resource in found.resources if "condition" not in resource)
    assert types - Counter(ALWAYS) == Counter({"Microsoft.Resources/resourceGroups": 1})
    assert Counter(ALWAYS) - types == Counter()
    assert found.one("Microsoft.Web/sites")["tags"]["azd-service-name"] == "monitor"
    group = found.one("Microsoft.Resources/resourceGroups")
    assert group["tags"] == {"azd-env-name": "ade-token-monitor"}


HUB = "/subscriptions/55555555-5555-4555-8555-555555555555/resourceGroups"
AZD = {
    "AZURE_ENV_NAME": "contoso-prod",
    "AZURE_LOCATION": "northeurope",
    "AZURE_CLOUD": "AzureUSGovernment",
    "ALERT_EMAILS": " a@contoso.com, b@contoso.com ,",
    "ALERT_SMS_NUMBERS": "+1 5551234567",
    "ALERT_APP_ACCOUNTS": "on-call@contoso.com",
    "ALERT_ROLES": "Owner",
    "ALERT_WEBHOOK": "https://example.com/hook",
    "TEAMS_WEBHOOK": "https://example.com/flow",
    "ALERT_ACTION_GROUPS": "",
    "CRITICAL_ACTION_GROUPS": "",
    "WARNING_ACTION_GROUPS": "",
    "ALERT_ROUTES": "",
    "ALERT_GROUPING": "Connector",
    "SUMMARY_DAY": "Friday",
    "READER_GROUP_ID": "33333333-3333-4333-8333-333333333333",
    "HOSTING": "AppService",
    "EXISTING_IDENTITY_ID": (
        "/subscriptions/22222222-2222-4222-8222-222222222222/resourceGroups/rg-identities/providers/"
        "Microsoft.ManagedIdentity/userAssignedIdentities/id-apple-tokens"
    ),
    "ENROLLMENT_EVENTS": "true",
    "APP_SERVICE_SKU": "P0v3",
    "APP_SUBNET_ID": f"{HUB}/rg-network/providers/Microsoft.Network/virtualNetworks/vnet/subnets/app",
    "ENDPOINT_SUBNET_ID": f"{HUB}/rg-network/providers/Microsoft.Network/virtualNetworks/vnet/subnets/endpoints",
    "BLOB_ZONE_ID": f"{HUB}/rg-dns/providers/Microsoft.Network/privateDnsZones/blob",
    "QUEUE_ZONE_ID": f"{HUB}/rg-dns/providers/Microsoft.Network/privateDnsZones/queue",
    "TABLE_ZONE_ID": f"{HUB}/rg-dns/providers/Microsoft.Network/privateDnsZones/table",
    "PRIVATE_LINK_SCOPE_ID": f"{HUB}/rg-monitor/providers/Microsoft.Insights/privateLinkScopes/ampls",
    "STORAGE_REDUNDANCY": "Standard_ZRS",
    "EXISTING_WORKSPACE_ID": f"{HUB}/rg-logs/providers/Microsoft.OperationalInsights/workspaces/log-central",
    "ACTION_GROUP_LOCATION": "swedencentral",
    "DIAGNOSTIC_SETTINGS": "true",
    "TAGS": "owner=endpoint-team,costCenter=4711",
}


def test_azd_refuses_what_is_no_address_before_anything_is_deployed(monkeypatch):
    for addresses in ("intune@contoso.com;on-call@contoso.com", "Intune <a@b.com>", "@contoso.com"):
        monkeypatch.setenv("ALERT_EMAILS", f"admins@contoso.com, {addresses}")
        with pytest.raises(AssertionError, match=f"this is none: {re.escape(addresses)}. Separate addresses"):
            azd()


def test_azd_hands_its_environment_on(monkeypatch):
    for name, value in AZD.items():
        monkeypatch.setenv(name, value)
    found = azd()
    app = found.one("Microsoft.Web/sites")
    assert app["location"] == "northeurope"
    assert list(app["identity"]["userAssignedIdentities"]) == [AZD["EXISTING_IDENTITY_ID"]]
    assert (found.settings["ENROLLMENT_EVENTS"], found.settings["AZURE_CLOUD"]) == ("true", "AzureUSGovernment")
    group = found.one("Microsoft.Insights/actionGroups")["properties"]
    assert [mail["emailAddress"] for mail in group["emailReceivers"]] == ["a@contoso.com", "b@contoso.com"]
    assert found.one("Microsoft.Web/serverfarms")["sku"]["name"] == "P0v3"
    assert app["properties"]["virtualNetworkSubnetId"] == AZD["APP_SUBNET_ID"]
    assert found.one("Microsoft.Storage/storageAccounts")["sku"]["name"] == "Standard_ZRS"
    assert found.one("Microsoft.Insights/actionGroups")["location"] == "swedencentral"
    assert len(found.all("Microsoft.Insights/diagnosticSettings")) == 3
    assert app["tags"]["costCenter"] == "4711"
    everything = json.dumps(found.resources)
    assert [name for name, value in AZD.items() if name.endswith("_ID") and value not in everything] == []
    assert {rule.dimensions[0] for rule in found.rules if rule.dimensions and not rule.stateless} == {"Connector"}
    assert "let Weekday = 5d;" in found.alerts["summary"]["criteria"]["allOf"][0]["query"]
    assert AZD["READER_GROUP_ID"] in {who for who, _, _, _ in assignments(found)}
    assert found.one("Microsoft.Resources/resourceGroups")["name"] == "rg-contoso-prod"


def test_the_documents_name_every_variable_that_azd_hands_on():
    read = set(re.findall(r"readEnvironmentVariable\('(\w+)'", (INFRA / "subscription.bicepparam").read_text("utf-8")))
    assert read == set(AZD)
    page = (INFRA.parent / "docs" / "deployment.md").read_text("utf-8")
    assert {name for name in read if f"| `{name}` |" not in page} == {"AZURE_ENV_NAME", "AZURE_LOCATION"}


# The compiled template


def test_the_portals_template_is_current(template):
    """`make template` writes it."""
    kept = json.loads((INFRA / "azuredeploy.json").read_text("utf-8"))
    assert without_generator(kept) == without_generator(template), (
        "infra/azuredeploy.json is stale: run `make template`"
    )


def without_generator(template: Any) -> Any:
    """The template but for the compiler's version and the hashes that it makes."""
    if isinstance(template, dict):
        return {name: without_generator(value) for name, value in template.items() if name != "_generator"}
    return [without_generator(value) for value in template] if isinstance(template, list) else template
