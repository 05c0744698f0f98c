"""azd's hooks, run against a stand-in for the Azure CLI (fake_az.py)."""

import importlib.util
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.model.runs import Failure, Outcome, Run
from shared.model.tokens import Connector, Health
from shared.storage.columns import iso
from shared.storage.rows import CHECK_RUN
from tests.infra.desk import (
    APP,
    EVENTS_ROLE_ID,
    INFRA,
    NOW,
    PRINCIPAL,
    ROLE_ID,
    SUBSCRIPTION,
    TENANT,
    TOKEN,
    Desk,
    Said,
)

spec = importlib.util.spec_from_file_location("grant", INFRA / "hooks" / "grant.py")
grant = importlib.util.module_from_spec(spec)
spec.loader.exec_module(grant)

NO_TABLE_RIGHT = "\nYou do not have the required permissions needed to perform this operation.\nDepending on ..."
DENIED = 'Forbidden({"error":{"code":"Authorization_RequestDenied","message":"Insufficient privileges to complete."}})'

# ---------------------------------------------------------------- before provisioning


@pytest.mark.parametrize("emails", [{}, {"ALERT_EMAILS": " , "}])
def test_without_an_address_nothing_is_provisioned(desk, emails):
    said = desk.run("hooks/configured.py", **emails)
    assert (said.status, said.out) == (1, "")
    assert "azd env set ALERT_EMAILS" in said.err


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("echo 'Bicep CLI version 0.45.6 (9e14adcf26)'", ""),
        ("echo 'Bicep CLI version 1.0.0 (9e14adcf26)'", ""),
        (
            "echo 'Bicep CLI version 0.45.5 (9e14adcf26)'",
            "is version 0.45.5. The template needs version 0.45.6 or newer",
        ),
        ("echo 'Bicep CLI version 0.9.20 (9e14adcf26)'", "is version 0.9.20."),
        ("exit 1", "does not print a version"),
    ],
)
def test_a_compiler_that_azd_does_not_check_has_to_read_the_template(desk, program, said):
    desk.program("bicep", program)
    done = desk.run("hooks/configured.py", ALERT_EMAILS="a@contoso.com", AZD_BICEP_TOOL_PATH=str(desk.bin / "bicep"))
    assert (done.status, done.out) == (int(bool(said)), "")
    assert said in done.err
    missing = desk.run("hooks/configured.py", ALERT_EMAILS="a@contoso.com", AZD_BICEP_TOOL_PATH="/nowhere/bicep")
    assert "/nowhere/bicep, could not be started: No such file or directory." in missing.err


def test_the_documents_name_the_compiler_that_the_hook_asks_for():
    needed = re.search(r"^_BICEP = \((.+)\)", (INFRA / "hooks" / "configured.py").read_text("utf-8"), re.MULTILINE)
    page = (INFRA.parent / "docs" / "deployment.md").read_text("utf-8")
    assert f"| Bicep {needed[1].replace(', ', '.')} or newer" in page


# ---------------------------------------------------------------- granting


HOOK = {"IDENTITY_PRINCIPAL_ID": PRINCIPAL, "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION, "ENROLLMENT_EVENTS": "false"}


@pytest.mark.parametrize(
    ("events", "roles"),
    [("false", {ROLE_ID}), ("", {ROLE_ID}), ("true", {ROLE_ID, EVENTS_ROLE_ID}), ("True", {ROLE_ID, EVENTS_ROLE_ID})],
)
def test_the_hook_grants_what_the_deployment_says(desk, events, roles):
    said = desk.run("hooks/grant.py", **HOOK | {"ENROLLMENT_EVENTS": events})
    assert said.status == 0, said.err
    assert desk.granted == {(PRINCIPAL, role) for role in roles}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (HOOK, {"PrincipalId": PRINCIPAL}),
        (
            HOOK | {"ENROLLMENT_EVENTS": "True", "AZURE_TENANT_ID": TENANT, "AZURE_CLOUD": "AzureChinaCloud"},
            {"PrincipalId": PRINCIPAL, "EnrollmentEvents": None, "TenantId": TENANT, "Environment": "China"},
        ),
    ],
)
def test_on_windows_the_hook_calls_the_powershell_script_with_its_parameters(environment, expected):
    _, *words = grant.command(environment, on_windows=True)
    script, *words = words[words.index("-File") + 1 :]
    assert Path(script) == INFRA / "grant-graph-role.ps1"
    names = [number for number, word in enumerate(words) if word.startswith("-")]
    given = [words[start:end] for start, end in zip(names, [*names[1:], None], strict=True)]
    assert {word[1:]: value[0] if value else None for word, *value in given} == expected
    parameters = re.search(r"^param\((.*?)^\)", Path(script).read_text("utf-8"), re.MULTILINE | re.DOTALL)[1]
    assert set(expected) <= set(re.findall(r"\$(\w+)", parameters))
    assert expected.get("Environment", "Global") in parameters


def test_the_hook_notices_that_az_is_signed_in_elsewhere_than_azd(desk):
    said = desk.run("hooks/grant.py", **HOOK | {"AZURE_SUBSCRIPTION_ID": TOKEN})
    assert (said.status, desk.changes) == (1, [])
    assert f"knows no subscription {TOKEN}" in said.err
    assert "azd provision" in said.err


def test_the_hook_stops_the_deployment_where_the_deployer_may_not_grant_and_says_how_it_goes_on(desk):
    desk.fault("--method post", DENIED)
    said = desk.run("hooks/grant.py", **HOOK)
    assert said.status == 2
    assert f"infra/grant-graph-role.sh --principal-id {PRINCIPAL}" in said.err
    assert "continue with: azd deploy" in said.err


def test_a_pipeline_that_may_not_look_can_say_that_the_role_is_granted(desk):
    said = desk.run("hooks/grant.py", **HOOK | {"GRAPH_ROLE_GRANTED": "true"})
    assert (said.status, desk.calls) == (0, [])
    assert "GRAPH_ROLE_GRANTED" in said.out


def test_the_hook_without_azds_variables_says_what_to_run_instead(desk):
    said = desk.run("hooks/grant.py")
    assert (said.status, desk.calls) == (1, [])
    assert "run infra/grant-graph-role.sh" in said.err


# ---------------------------------------------------------------- the first check


WORKBOOK = "https://portal.azure.com/#workbook"
DEPLOYED = {
    "FUNCTION_APP_ID": APP,
    "TABLES_ENDPOINT": "https://sttokens.table.core.windows.net/",
    "WORKBOOK_URL": WORKBOOK,
}
REFUSED = Failure(
    connector=Connector.VPP,
    asked="GET /beta/deviceAppManagement/vppTokens",
    reason="refused",
    status=403,
    remedy='Ask "them", {now}.',
)


def row(started_on: datetime, outcome: Outcome = Outcome.SUCCEEDED, **fields: Any) -> dict[str, Any]:
    """A row of CheckRun as the app writes it and as az reads it."""
    run = Run(
        id="run",
        started_on=started_on,
        duration_ms=900,
        outcome=outcome,
        connectors={Connector.ADE: 3, Connector.APNS: 1} | fields.pop("connectors", {Connector.VPP: 1}),
        counts={Connector.ADE: {health: 5 - health for health in Health}},
        rows=5,
        **fields,
    )
    return {name: iso(v) if isinstance(v, datetime) else v for name, v in CHECK_RUN.row(run).items()}


def first_check(desk: Desk, *, comes: dict[str, Any] | None = None, queries: int = 3, **environment: str) -> Said:
    desk.state["coming"] = comes and {"row": comes, "queries": queries}
    said = desk.run("hooks/first_check.py", **DEPLOYED | environment)
    assert (said.status, said.err) == (0, "")  # whatever happens
    return said


def test_a_check_is_requested_through_resource_manager_and_its_result_is_shown(desk):
    said = first_check(desk, comes=row(NOW))
    assert desk.state["asked"]
    assert (
        f"--body {{'input': ''}} --url {APP}/hostruntime/admin/functions/check_tokens?api-version=2023-12-01"
        in (desk.changes[0])
    )
    assert len(desk.changes) == 1
    assert "The check succeeded" in said.out
    assert "Tokens: 15; healthy 5, info 4, warning 3, unknown 2, critical 1\n" in said.out
    assert "  ade: 3 tokens\n  apns: 1 tokens\n  vpp: 1 tokens\n" in said.out
    assert WORKBOOK in said.out
    assert desk.sleeps == ["10"] * 2  # its row is there at the third look


def test_every_query_reads_the_apps_account_with_the_callers_own_sign_in(desk):
    first_check(desk, comes=row(NOW))
    queries = [call for call in desk.calls if call.startswith("storage entity query")]
    assert queries
    for call in queries:
        assert f"--auth-mode login --subscription {SUBSCRIPTION} --account-name sttokens --table-name CheckRun" in call


def test_the_columns_that_are_shown_are_the_tables():
    source = (INFRA / "hooks/first_check.py").read_text("utf-8")
    shown = set(re.findall(r'"([A-Z][A-Za-z]+)"', source)) - {"CheckRun"}
    assert len(shown) > 8
    assert shown <= {column.name for column in CHECK_RUN.columns} | {"PartitionKey", "RowKey"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (NOW - timedelta(hours=1), NOW),
        # A clock that is ahead of Azure's: what counts is that the row is newer than the one before.
        (NOW - timedelta(hours=1), NOW - timedelta(minutes=10)),
        (NOW - timedelta(days=40), NOW),
        (NOW, datetime(2026, 12, 1, tzinfo=UTC)),
    ],
)
def test_an_older_row_is_not_taken_for_the_answer(desk, old, new):
    desk.state["rows"] = [row(old, Outcome.FAILED, store_error="old"), row(old - timedelta(hours=1))]
    said = first_check(desk, comes=row(new))
    assert "The check succeeded" in said.out


@pytest.mark.exhaustive
def test_without_a_new_row_it_gives_up_after_five_minutes_and_says_when_the_next_check_is_due(desk):
    desk.state["rows"] = [row(NOW - timedelta(hours=1))]
    said = first_check(desk)
    assert desk.sleeps == ["10"] * 29
    assert "Waiting up to 300 seconds" in said.out
    assert "No row of it appeared." in said.out
    assert "Application Insights of func-tokens" in said.out
    assert "The next check runs by itself at 11:07 UTC" in said.out


def test_a_connector_that_could_not_be_read_is_reported_with_its_remedy(desk):
    said = first_check(desk, comes=row(NOW, Outcome.DEGRADED, connectors={Connector.VPP: REFUSED}))
    assert "The check is degraded" in said.out
    assert "  ade: 3 tokens\n" in said.out
    assert (
        '  vpp: could not be read. GET /beta/deviceAppManagement/vppTokens: refused (HTTP 403). Ask "them", {now}.'
        in said.out
    )


@pytest.mark.parametrize("error", ["store_error", "publish_error"])
def test_a_failed_check_is_reported_with_its_error(desk, error):
    said = first_check(desk, comes=row(NOW, Outcome.FAILED, **{error: "Table TokenStatus could not be read: 403."}))
    assert "The check failed" in said.out
    assert "Table TokenStatus could not be read: 403." in said.out
    assert "30 minutes" in said.out


def test_a_host_that_is_not_up_yet_is_asked_again(desk):
    desk.fault("hostruntime", "Bad Gateway()", times=3)
    said = first_check(desk, comes=row(NOW))
    assert "The check succeeded" in said.out
    assert desk.sleeps[:3] == ["10"] * 3


def test_a_platform_that_refuses_the_request_is_quoted_and_the_deployment_goes_on(desk):
    desk.fault("hostruntime", 'Not Found({"Code":"NotFound"})')
    said = first_check(desk)
    assert len(desk.sleeps) == 11
    assert 'Azure did not accept the request. Azure says: Not Found({"Code":"NotFound"})' in said.out
    assert "11:07 UTC" in said.out


def test_a_deployer_who_may_not_run_functions_does_not_wait(desk):
    desk.fault("hostruntime", 'Forbidden({"error":{"code":"AuthorizationFailed"}})')
    said = first_check(desk)
    assert desk.sleeps == []
    assert "Azure did not accept the request" in said.out


def test_a_deployer_without_a_right_on_the_table_still_gets_the_check_and_does_not_wait(desk):
    desk.fault("storage entity query", NO_TABLE_RIGHT)
    said = first_check(desk)
    assert desk.state["asked"]
    assert desk.sleeps == []
    assert "Storage Table Data Reader on the storage account sttokens" in said.out
    assert WORKBOOK in said.out
    assert "11:07 UTC" in said.out


@pytest.mark.parametrize(("hour", "minute", "due"), [(10, 6, "10:07"), (10, 7, "11:07"), (23, 30, "00:07")])
def test_the_next_check_is_due_at_minute_7(desk, hour, minute, due):
    now = NOW.replace(hour=hour, minute=minute)
    desk.set_clock(now)
    desk.state["accounts"] = []
    assert f"The next check runs by itself at {due} UTC" in first_check(desk).out


@pytest.mark.parametrize("missing", ["FUNCTION_APP_ID", "TABLES_ENDPOINT", "az", "sign-in"])
def test_what_is_missing_is_said_and_the_deployment_goes_on(desk, missing):
    environment = {missing: ""} if missing in DEPLOYED else {}
    if missing == "az":
        (desk.bin / "az").unlink()
    if missing == "sign-in":
        desk.state["accounts"] = []
    said = first_check(desk, **environment)
    assert "no check is requested" in said.out
    assert "11:07 UTC" in said.out
    assert desk.changes == []
