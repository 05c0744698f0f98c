"""The app settings that would be deployed: every one that the app knows, and which parameter moves which."""

import json

import compiler
import pytest
from deployment import EXAMPLES, TENANT_ID, deployment, variant

from shared.clouds import CLOUDS
from shared.settings import SETTINGS, Settings

pytestmark = compiler.needed

HOSTING = {"public": "FlexConsumption", "government": "AppService", "china": "AppService"}

HOST_SETTINGS = {
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "AZURE_TOKEN_CREDENTIALS",
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsStorage__clientId",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__queueServiceUri",
    "AzureWebJobsStorage__tableServiceUri",
}
PLAN_SETTINGS = {
    "FlexConsumption": set(),  # it refuses these
    "AppService": {"FUNCTIONS_EXTENSION_VERSION", "FUNCTIONS_WORKER_RUNTIME", "WEBSITE_RUN_FROM_PACKAGE"},
}


@pytest.fixture(params=EXAMPLES)
def example(request: pytest.FixtureRequest) -> str:
    return request.param


def evaluated(value: str) -> str:
    """A setting with an example in place of what Azure alone knows."""
    if not value.startswith("["):
        return value
    if "primaryEndpoints" in value:
        return "https://example.table.core.windows.net/"
    if "logsIngestion" in value:
        return "https://example.ingest.monitor.azure.com"
    return "dcr-0123456789abcdef0123456789abcdef" if "immutableId" in value else "66666666-6666-4666-8666-666666666666"


def test_every_setting_is_there_and_no_other(example):
    expected = {setting.name for setting in SETTINGS} | HOST_SETTINGS | PLAN_SETTINGS[HOSTING[example]]
    if example == "public":
        expected.add("AzureWebJobsStorage__accountName")
    assert set(deployment(example).settings) == expected


def test_the_app_takes_its_settings(example):
    Settings.load({name: evaluated(value) for name, value in deployment(example).settings.items()})


def test_what_nobody_sets_has_the_apps_own_default():
    told = deployment("public").settings
    assert {s.name: told[s.name] for s in SETTINGS if not s.required and s.name != "AZURE_CLIENT_ID"} == {
        s.name: s.default for s in SETTINGS if not s.required and s.name != "AZURE_CLIENT_ID"
    }


def test_the_app_and_the_host_sign_in_as_the_identity(example):
    told = deployment(example).settings
    client_id = told["AZURE_CLIENT_ID"]
    assert client_id.endswith(".clientId]")
    assert told["AzureWebJobsStorage__clientId"] == client_id
    assert told["AzureWebJobsStorage__credential"] == "managedidentity"
    assert told["AZURE_TOKEN_CREDENTIALS"] == "ManagedIdentityCredential"
    assert client_id[1:-1] in told["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"]
    assert told["TENANT_ID"] == TENANT_ID


@pytest.mark.parametrize(
    ("example", "cloud"), [("public", "AzureCloud"), ("government", "AzureUSGovernment"), ("china", "AzureChinaCloud")]
)
def test_each_cloud_has_its_own_graph_portal_and_storage(example, cloud):
    found = deployment(example)
    assert (found.settings["AZURE_CLOUD"], found.settings["GRAPH_ENDPOINT"]) == (cloud, CLOUDS[cloud].graph[0])
    assert "core.windows.net" not in json.dumps(found.resources)


def test_the_template_knows_the_addresses_of_each_cloud_that_the_app_knows():
    template = json.loads((compiler.ROOT / "infra" / "azuredeploy.json").read_text("utf-8"))
    known = {name: {"graph": one.graph[0], "portal": one.portal, "intune": one.intune} for name, one in CLOUDS.items()}
    assert template["variables"]["clouds"] == known, "var clouds in infra/modules/types.bicep repeats shared/clouds.py"


def test_the_cloud_is_the_one_that_azure_says_unless_it_is_named():
    told = variant("param cloud = ''").outputs
    assert told["AZURE_CLOUD"] == "[environment().name]"
    assert told["GRAPH_ENDPOINT"].endswith("[environment().name].graph]")
    assert all(f"'{cloud}'" in told["GRAPH_ENDPOINT"] for cloud in CLOUDS)


def test_an_endpoint_of_graph_can_be_named():
    found = variant("param cloud = 'AzureUSGovernment'\nparam graphEndpoint = 'https://dod-graph.microsoft.us'")
    assert found.settings["GRAPH_ENDPOINT"] == "https://dod-graph.microsoft.us"


CHANGED = {
    "expiryWarningDays": ("[90, 45]", "EXPIRY_WARNING_DAYS", "90,45"),
    "expiryCriticalDays": ("[5]", "EXPIRY_CRITICAL_DAYS", "5"),
    "syncStaleWarningHours": ("40", "SYNC_STALE_WARNING_HOURS", "40"),
    "syncStaleCriticalHours": ("80", "SYNC_STALE_CRITICAL_HOURS", "80"),
    "vppSyncStaleWarningHours": ("50", "VPP_SYNC_STALE_WARNING_HOURS", "50"),
    "vppSyncStaleCriticalHours": ("90", "VPP_SYNC_STALE_CRITICAL_HOURS", "90"),
    "syncErrorCriticalHours": ("0", "SYNC_ERROR_CRITICAL_HOURS", "0"),
    "changeDays": ("8", "CHANGE_DAYS", "8"),
    "devicesDroppedPercent": ("40", "DEVICES_DROPPED_PERCENT", "40"),
    "devicesDroppedMinimum": ("11", "DEVICES_DROPPED_MINIMUM", "11"),
    "inspectEveryHours": ("0", "INSPECT_EVERY_HOURS", "0"),
    "deviceContactDays": ("31", "DEVICE_CONTACT_DAYS", "31"),
    "deviceExamples": ("0", "DEVICE_EXAMPLES", "0"),
    "devicesWithoutProfileMinimum": ("2", "DEVICES_WITHOUT_PROFILE_MINIMUM", "2"),
    "enrollmentFailingMinimum": ("4", "ENROLLMENT_FAILING_MINIMUM", "4"),
    "enrollmentFailingPercent": ("6", "ENROLLMENT_FAILING_PERCENT", "6"),
}


def test_every_threshold_moves_its_setting_and_no_other():
    text = "\n".join(f"  {name}: {value}" for name, (value, _, _) in CHANGED.items())
    changed, before = variant(f"param thresholds = {{\n{text}\n}}").settings, deployment("public").settings
    assert {name: value for name, value in changed.items() if value != before[name]} == {
        setting: value for _, setting, value in CHANGED.values()
    }


def test_every_other_parameter_of_the_app_moves_its_setting():
    changed = variant(
        "param connectors = ['vpp']\nparam syncErrorNames = { '5': 'Access denied', '-9': 'Cursor' }\n"
        "param enrollmentEvents = true\nparam inspectSchedule = '0 0 2 * * *'\nparam pruneSchedule = '0 0 4 * * *'\n"
        "param historyRetentionDays = 30"
    ).settings
    before = deployment("public").settings
    assert {name: value for name, value in changed.items() if value != before[name]} == {
        "CONNECTORS": "vpp",
        "SYNC_ERROR_NAMES": "-9=Cursor;5=Access denied",
        "ENROLLMENT_EVENTS": "true",
        "INSPECT_SCHEDULE": "0 0 2 * * *",
        "PRUNE_SCHEDULE": "0 0 4 * * *",
        "HISTORY_RETENTION_DAYS": "30",
    }
