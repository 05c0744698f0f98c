"""The app settings: defaults, what is accepted, and what somebody reads who mistyped one."""

import json
from datetime import timedelta
from pathlib import Path
from typing import get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.clouds import CLOUDS
from shared.settings import BY_NAME, SETTINGS, Settings, SettingsError
from tests.unit.builders import ENVIRONMENT, settings
from tests.unit.terms import ADE, APNS, VPP

DEFAULTS = {
    "AZURE_CLIENT_ID": None,
    "GRAPH_ENDPOINT": "https://graph.microsoft.com",
    "AZURE_CLOUD": "AzureCloud",
    "CONNECTORS": frozenset({ADE, APNS, VPP}),
    "EXPIRY_WARNING_DAYS": (60, 30, 14),
    "EXPIRY_CRITICAL_DAYS": (7, 1),
    "SYNC_STALE_WARNING_HOURS": 36,
    "SYNC_STALE_CRITICAL_HOURS": 72,
    "VPP_SYNC_STALE_WARNING_HOURS": 48,
    "VPP_SYNC_STALE_CRITICAL_HOURS": 96,
    "SYNC_ERROR_CRITICAL_HOURS": 24,
    "SYNC_ERROR_NAMES": {},
    "CHANGE_DAYS": 7,
    "DEVICES_DROPPED_PERCENT": 50,
    "DEVICES_DROPPED_MINIMUM": 10,
    "CHECK_SCHEDULE": "0 7 * * * *",
    "INSPECT_SCHEDULE": "0 37 * * * *",
    "PRUNE_SCHEDULE": "0 17 3 * * *",
    "CHECK_TIMEOUT_SECONDS": 240,
    "INSPECT_TIMEOUT_SECONDS": 540,
    "HISTORY_RETENTION_DAYS": 400,
    "INSPECT_EVERY_HOURS": 24,
    "DEVICE_CONTACT_DAYS": 30,
    "DEVICE_EXAMPLES": 20,
    "DEVICES_WITHOUT_PROFILE_MINIMUM": 1,
    "ENROLLMENT_FAILING_MINIMUM": 3,
    "ENROLLMENT_FAILING_PERCENT": 5,
    "ENROLLMENT_EVENTS": False,
}
"""The design's table of settings, but for the required ones."""


def problems(**changed):
    with pytest.raises(SettingsError) as caught:
        settings(**changed)
    assert all(problem in str(caught.value) for problem in caught.value.problems)
    return caught.value.problems


def problem(**changed):
    (only,) = problems(**changed)
    return only


# --- the table


def test_the_settings_and_their_defaults_are_those_of_the_design():
    loaded = settings()
    assert {name: getattr(loaded, name.lower()) for name in DEFAULTS} == DEFAULTS
    assert set(BY_NAME) == set(DEFAULTS) | set(ENVIRONMENT)
    assert {setting.name for setting in SETTINGS if setting.required} == set(ENVIRONMENT)


def test_every_setting_is_a_field_of_settings_and_every_field_a_setting():
    assert [setting.name.lower() for setting in SETTINGS] == list(Settings.__dataclass_fields__)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_a_setting_is_parsed_into_the_type_that_settings_gives_its_field(setting):
    name = setting.name.lower()
    loaded = getattr(settings(azure_client_id="a", sync_error_names="5=A"), name)
    # Strict, so that nothing is converted on the way.
    assert msgspec.convert(loaded, get_type_hints(Settings)[name], strict=True) == loaded


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_a_setting_says_what_it_is_for_and_what_is_expected(setting):
    assert setting.about.endswith((".", ","))
    assert setting.expected
    assert not setting.expected.endswith(".")
    assert (setting.default is None) is (setting.required or setting.name == "AZURE_CLIENT_ID")


def test_the_longest_run_that_can_be_set_ends_before_the_host_ends_it():
    host = json.loads((Path(__file__).parents[2] / "host.json").read_text(encoding="utf-8"))
    hours, minutes, seconds = map(int, host["functionTimeout"].split(":"))
    limit = timedelta(hours=hours, minutes=minutes, seconds=seconds).total_seconds()
    for name in ("CHECK_TIMEOUT_SECONDS", "INSPECT_TIMEOUT_SECONDS"):
        assert getattr(settings(**{name.lower(): "570"}), name.lower()) == 570 < limit
        for too_long in ("571", str(int(limit))):
            assert name in problem(**{name.lower(): too_long})


# --- empty and absent


@pytest.mark.parametrize("empty", ["", " ", "\t\n"])
def test_an_empty_value_is_an_absent_one(empty):
    assert settings(**{name.lower(): empty for name in DEFAULTS}) == settings()


@pytest.mark.parametrize("empty", ["", "  "])
@pytest.mark.parametrize("name", ENVIRONMENT)
def test_a_required_setting_that_is_empty_or_absent_is_named_with_what_is_expected(name, empty):
    told = f"{name} is missing; expected: {BY_NAME[name].expected}."
    assert problem(**{name.lower(): empty}) == told
    with pytest.raises(SettingsError) as caught:
        Settings.load({key: value for key, value in ENVIRONMENT.items() if key != name})
    assert caught.value.problems == (told,)


def test_spaces_around_a_value_are_no_matter():
    assert settings(change_days=" 9 ", connectors=" ade , vpp ").change_days == 9
    assert settings(connectors=" ade , vpp ").connectors == {ADE, VPP}


# --- what cannot be used


BAD = [
    ("TABLES_ENDPOINT", "contoso.table.core.windows.net"),
    ("TABLES_ENDPOINT", "http://contoso.table.core.windows.net"),
    ("TABLES_ENDPOINT", "https://"),
    ("TABLES_ENDPOINT", "https://contoso#x"),
    ("TABLES_ENDPOINT", "https://contoso?a=b"),
    ("LOGS_INGESTION_ENDPOINT", "https://contoso/path"),
    ("LOGS_INGESTION_RULE_ID", "dcr 1"),
    ("LOGS_INGESTION_RULE_ID", "x" * 101),
    ("TENANT_ID", "contoso!"),
    ("DEPLOYMENT", "contoso and fabrikam"),
    ("AZURE_CLIENT_ID", "a b"),
    ("GRAPH_ENDPOINT", "https://graph.microsoft.com/beta"),
    ("GRAPH_ENDPOINT", "http://graph.microsoft.com"),
    ("AZURE_CLOUD", "AzureGermanCloud"),
    ("CONNECTORS", "ade,dep"),
    ("CONNECTORS", ","),
    ("EXPIRY_WARNING_DAYS", "60,60"),
    ("EXPIRY_WARNING_DAYS", "14,30,60"),
    ("EXPIRY_WARNING_DAYS", "60,,14"),
    ("EXPIRY_WARNING_DAYS", "3651"),
    ("EXPIRY_CRITICAL_DAYS", "1,7"),
    ("EXPIRY_CRITICAL_DAYS", "7,0"),
    ("EXPIRY_CRITICAL_DAYS", "1.5"),
    ("SYNC_STALE_WARNING_HOURS", "0"),
    ("SYNC_STALE_CRITICAL_HOURS", "-72"),
    ("VPP_SYNC_STALE_WARNING_HOURS", "two"),
    ("VPP_SYNC_STALE_CRITICAL_HOURS", "1e3"),
    ("SYNC_ERROR_CRITICAL_HOURS", "-1"),
    ("SYNC_ERROR_NAMES", "5"),
    ("SYNC_ERROR_NAMES", "=Access denied"),
    ("SYNC_ERROR_NAMES", "0=None"),
    ("SYNC_ERROR_NAMES", "3=Terms"),
    ("SYNC_ERROR_NAMES", "5=A;5=B"),
    ("SYNC_ERROR_NAMES", "2147483648=A"),
    ("SYNC_ERROR_NAMES", "5=a\x1bb"),
    ("CHANGE_DAYS", "0"),
    ("CHANGE_DAYS", "3651"),
    ("CHANGE_DAYS", "\u0667"),
    ("CHANGE_DAYS", "9" * 5000),
    ("DEVICES_DROPPED_PERCENT", "0"),
    ("DEVICES_DROPPED_PERCENT", "101"),
    ("DEVICES_DROPPED_MINIMUM", "0"),
    ("CHECK_SCHEDULE", "7 * * * *"),
    ("INSPECT_SCHEDULE", "hourly"),
    ("PRUNE_SCHEDULE", "0 17 3 * * *; rm"),
    ("CHECK_TIMEOUT_SECONDS", "0"),
    ("INSPECT_TIMEOUT_SECONDS", "00:09:00"),
    ("HISTORY_RETENTION_DAYS", "0"),
    ("INSPECT_EVERY_HOURS", "-1"),
    ("DEVICE_CONTACT_DAYS", "0"),
    ("DEVICE_EXAMPLES", "101"),
    ("DEVICES_WITHOUT_PROFILE_MINIMUM", "0"),
    ("ENROLLMENT_FAILING_MINIMUM", "0"),
    ("ENROLLMENT_FAILING_PERCENT", "101"),
    ("ENROLLMENT_EVENTS", "yes"),
    ("ENROLLMENT_EVENTS", "1"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_value_that_cannot_be_used_is_named_with_what_stood_there_and_what_is_expected(name, value):
    shown = value if len(value) <= 100 else value[:99] + "…"
    assert problem(**{name.lower(): value}) == f"{name} is {shown!r}; expected: {BY_NAME[name].expected}."


def test_every_setting_has_a_value_that_it_refuses_in_these_tests():
    assert {name for name, _ in BAD} == set(BY_NAME)


@given(st.dictionaries(st.sampled_from(sorted(BY_NAME)), st.text(max_size=30)))
def test_any_settings_are_accepted_or_reported_by_name(changed):
    told: tuple[str, ...] = ()
    try:
        Settings.load(ENVIRONMENT | changed)
    except SettingsError as error:
        told = error.problems or ("an error without a problem",)
    assert all(any(name in problem for name in changed) for problem in told)


# --- limits that contradict each other


@pytest.mark.parametrize(
    ("warning", "critical", "fine"),
    [("14", "13", True), ("14", "14", False), ("60,14", "30,7", False), ("60,8", "7,1", True), ("5", "7,1", False)],
)
def test_the_critical_days_are_smaller_than_every_warning_day(warning, critical, fine):
    changed = {"expiry_warning_days": warning, "expiry_critical_days": critical}
    if fine:
        assert settings(**changed)
    else:
        told = problem(**changed)
        assert "EXPIRY_WARNING_DAYS" in told
        assert "EXPIRY_CRITICAL_DAYS" in told


@pytest.mark.parametrize("prefix", ["", "vpp_"])
@pytest.mark.parametrize(("warning", "critical", "fine"), [("40", "41", True), ("40", "40", True), ("40", "39", False)])
def test_a_critical_limit_is_not_below_the_warnings(prefix, warning, critical, fine):
    changed = {f"{prefix}sync_stale_warning_hours": warning, f"{prefix}sync_stale_critical_hours": critical}
    if fine:
        assert settings(**changed)
    else:
        told = problem(**changed)
        name = prefix.upper()
        assert told.startswith(f"{name}SYNC_STALE_CRITICAL_HOURS is 39, {name}SYNC_STALE_WARNING_HOURS 40; expected: ")


def test_contradictions_are_reported_together_with_the_other_problems():
    told = problems(
        tenant_id="",
        change_days="x",
        sync_stale_warning_hours="100",
        vpp_sync_stale_warning_hours="100",
        expiry_critical_days="70",
        graph_endpoint="https://graph.microsoft.us",
    )
    assert [line.split()[0] for line in told] == [
        "TENANT_ID",
        "CHANGE_DAYS",
        "EXPIRY_CRITICAL_DAYS",
        "SYNC_STALE_CRITICAL_HOURS",
        "VPP_SYNC_STALE_CRITICAL_HOURS",
        "GRAPH_ENDPOINT",
    ]


def test_a_value_that_cannot_be_used_contradicts_nothing():
    assert problem(expiry_warning_days="x", expiry_critical_days="70").startswith("EXPIRY_WARNING_DAYS is 'x'")
    assert problem(azure_cloud="Moon", graph_endpoint="https://graph.microsoft.us").startswith("AZURE_CLOUD is 'Moon'")


# --- addresses


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
@pytest.mark.parametrize("name", ["tables_endpoint", "logs_ingestion_endpoint", "graph_endpoint"])
def test_plain_http_is_taken_on_the_loopback_alone(name, host):
    assert getattr(settings(**{name: f"http://{host}:10002"}), name) == f"http://{host}:10002"
    assert problem(**{name: f"http://{host.strip('[]').replace(':', '')}.contoso.com"})


def test_an_address_is_kept_without_its_last_slash_and_only_table_storage_may_have_a_path():
    local = "https://127.0.0.1:10002/devstoreaccount1"
    assert settings(tables_endpoint=f"{local}/").tables_endpoint == local
    assert settings(graph_endpoint="https://graph.microsoft.com/").graph_endpoint == "https://graph.microsoft.com"
    assert problem(graph_endpoint=local)
    assert problem(logs_ingestion_endpoint=local)


SECRETS = [
    "https://contoso.table.core.windows.net?sv=2024&sig=abcDEF123",
    "https://name:abcDEF123@contoso.table.core.windows.net",
    "DefaultEndpointsProtocol=https;AccountName=contoso;AccountKey=abcDEF123==",
    "https://contoso?token=abcDEF123",
    "https://contoso?password=abcDEF123",
    "eyJhbGciOi abcDEF123",
    "Secret abcDEF123",
]


@pytest.mark.parametrize("value", SECRETS)
@pytest.mark.parametrize("name", ENVIRONMENT)
def test_what_resembles_a_secret_is_not_shown(name, value):
    told = problem(**{name.lower(): value})
    assert told == f"{name} is not shown, since it looks like a secret; expected: {BY_NAME[name].expected}."


# --- clouds


CLOUD_OF = {
    "https://graph.microsoft.com": "AzureCloud",
    "https://graph.microsoft.us": "AzureUSGovernment",
    "https://dod-graph.microsoft.us": "AzureUSGovernment",
    "https://microsoftgraph.chinacloudapi.cn": "AzureChinaCloud",
}


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("endpoint", CLOUD_OF)
def test_the_graph_of_one_cloud_is_not_asked_with_the_tokens_of_another(endpoint, cloud):
    changed = {"azure_cloud": cloud, "graph_endpoint": endpoint}
    if CLOUD_OF[endpoint] == cloud:
        assert settings(**changed).graph_audience == endpoint
    else:
        told = problem(**changed)
        assert f"GRAPH_ENDPOINT is {endpoint!r}, which belongs to {CLOUD_OF[endpoint]}" in told
        assert CLOUDS[cloud].graph[0] in told


@pytest.mark.parametrize(
    ("cloud", "logs"),
    [
        ("AzureCloud", "https://monitor.azure.com"),
        ("AzureUSGovernment", "https://monitor.azure.us"),
        ("AzureChinaCloud", "https://monitor.azure.cn"),
    ],
)
def test_whom_tokens_are_asked_for_follows_the_cloud(cloud, logs):
    loaded = settings(azure_cloud=cloud, graph_endpoint=CLOUDS[cloud].graph[0])
    assert (loaded.cloud.logs, loaded.cloud.tables) == (logs, "https://storage.azure.com")


def test_a_graph_on_the_loopback_is_asked_with_a_token_for_the_clouds_own():
    assert settings(graph_endpoint="http://127.0.0.1:5000").graph_audience == "https://graph.microsoft.com"


# --- lists, names, switches


def test_connectors_may_be_written_in_any_case_and_order():
    assert settings(connectors="VPP,Ade").connectors == {ADE, VPP}
    assert settings(connectors="apns,apns").connectors == {APNS}


def test_the_names_of_sync_errors_go_by_their_codes():
    named = settings(sync_error_names="5=Access denied; 9 = Invalid cursor ;;-1=a=b;")
    assert named.sync_error_names == {5: "Access denied", 9: "Invalid cursor", -1: "a=b"}
    assert settings(sync_error_names="2147483647=" + "x" * 60).sync_error_names == {2**31 - 1: "x" * 60}


@pytest.mark.parametrize(("text", "expected"), [("true", True), ("FALSE", False), ("True", True)])
def test_a_switch_is_true_or_false_in_any_case(text, expected):
    assert settings(enrollment_events=text).enrollment_events is expected
