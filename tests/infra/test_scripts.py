"""The administrator's scripts, run against a stand-in for the Azure CLI (fake_az.py)."""

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
import tree_sitter
import tree_sitter_powershell

from shared.graph.connectors import EVENTS_ROLE, GRANT_SCRIPT, ROLE
from tests.infra import fake_az, test_snooze
from tests.infra.desk import (
    ASSIGNMENT,
    EVENTS_ROLE_ID,
    GRAPH,
    IDENTITY,
    INFRA,
    NEW_PRINCIPAL,
    PRINCIPAL,
    ROLE_ID,
    ROOT,
    TENANT,
    TOKEN,
    Desk,
)

SHELL_SCRIPTS = sorted(INFRA.rglob("*.sh"))

DENIED = 'Forbidden({"error":{"code":"Authorization_RequestDenied","message":"Insufficient privileges to complete."}})'
UNKNOWN_YET = 'Not Found({"error":{"code":"Request_ResourceNotFound","message":"Resource does not exist."}})'
NOT_VALID_YET = 'Bad Request({"error":{"code":"Request_BadRequest","message":"Not a valid reference update."}})'
ALREADY = 'Bad Request({"error":{"message":"Permission being assigned already exists on the object"}})'


# ---------------------------------------------------------------- all scripts


def shellcheck(*scripts: Path) -> str:
    command = [Path(sys.executable).parent / "shellcheck", "--color=never", *scripts]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


def shell_scripts() -> Iterable[Path]:
    yield from SHELL_SCRIPTS
    for script in (ROOT / ".ci").iterdir():
        if script.is_file() and re.match(r"#!\S*[ /](ba)?sh\n", script.read_text()):
            yield script


def test_shellcheck_finds_nothing():
    assert len(set(shell_scripts())) >= 5
    assert shellcheck(*shell_scripts()) == ""


@pytest.mark.parametrize("flaw", ["rm $1", "[[ $1 == a ]]"])
def test_shellcheck_would_find_what_is_wrong_or_not_known_to_every_sh(flaw, tmp_path):
    script = tmp_path / "flawed.sh"
    script.write_text(f"#!/bin/sh\n{flaw}\n")
    assert "SC" in shellcheck(script)


@pytest.mark.parametrize("script", SHELL_SCRIPTS, ids=lambda script: script.name)
def test_a_script_can_be_run_as_the_app_and_azd_call_it(script):
    assert os.access(script, os.X_OK)
    assert script.read_text().startswith("#!/bin/sh\n")


@pytest.mark.parametrize("script", ["grant-graph-role.sh", "snooze-token.sh"])
def test_help_reports_every_option_that_the_script_takes(desk, script):
    said = desk.run(script, "--help")
    assert said.status == 0
    taken = set(re.findall(r"^    (--[\w-]+)\)", (INFRA / script).read_text(), re.MULTILINE))
    assert taken
    assert taken <= set(re.findall(r"--[\w-]+", said.out))
    assert desk.calls == []


@pytest.mark.parametrize("script", ["grant-graph-role.sh", "snooze-token.sh"])
@pytest.mark.parametrize("arguments", [["--identity"], ["--resource-group", "--list"], ["--resource-group="], ["rg"]])
def test_an_option_that_is_unknown_or_lacks_its_value_is_named_before_anything_is_called(desk, script, arguments):
    said = desk.run(script, *arguments)
    assert (said.status, desk.calls) == (1, [])
    assert arguments[0] in said.err
    assert "--help" in said.err


def test_the_roles_are_the_same_in_every_way_to_grant_them():
    for name in ("grant-graph-role.sh", "grant-graph-role.ps1", "graph-role/main.bicep"):
        text = (INFRA / name).read_text()
        assert set(re.findall(r"\b[A-Z]\w+\.Read\w*\.All\b", text)) - {
            "AppRoleAssignment.ReadWrite.All",
            "Application.Read.All",
        } == {ROLE, EVENTS_ROLE}, name
        assert set(re.findall(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", text)) <= {
            fake_az.GRAPH_APP,
            "00000000-0000-0000-0000-000000000000",
        }, name


def powershell_errors(source: bytes) -> list[str]:
    """Returns the places that PowerShell's grammar cannot read."""
    root = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language())).parse(source).root_node
    found, nodes = [], [root]
    while nodes:
        node = nodes.pop()
        nodes += node.children
        if node.is_error or node.is_missing:
            found.append(f"line {node.start_point.row + 1}: {node.text.decode()[:60]}")
    return found


def test_powershell_can_be_parsed():
    scripts = list(INFRA.rglob("*.ps1"))
    assert [script.name for script in scripts] == ["grant-graph-role.ps1"]
    source = scripts[0].read_bytes()
    assert powershell_errors(source) == []
    for flaw in (source.replace(b"} catch {", b"catch {"), source.replace(b"param(", b"param"), source + b"if ($a {"):
        assert powershell_errors(flaw)


def test_powershell_asks_for_what_granting_needs_and_no_more():
    text = (INFRA / "grant-graph-role.ps1").read_text()
    scopes = re.search(r"Scopes\s+= (.+)", text)[1]
    assert re.findall(r"'([^']+)'", scopes) == ["AppRoleAssignment.ReadWrite.All", "Application.Read.All"]


# ---------------------------------------------------------------- granting


BY_NAME = ("--identity", "id-tokens", "--resource-group", "rg-tokens")
BY_PRINCIPAL = ("--principal-id", PRINCIPAL)


@pytest.mark.parametrize("whose", [BY_NAME, BY_PRINCIPAL, ("--identity-id", IDENTITY)], ids=lambda whose: whose[0])
def test_a_missing_role_is_granted_and_read_back(desk, whose):
    said = desk.run("grant-graph-role.sh", *whose)
    assert said.status == 0, said.err
    assert desk.granted == {(PRINCIPAL, ROLE_ID)}
    assert desk.state["assignments"][0]["resourceId"] == GRAPH
    assert "--method get" in desk.calls[-1]
    assert "Granted the identity" in said.out
    assert "24 hours" in said.out
    assert desk.sleeps == []


def test_a_role_that_is_there_is_left_alone(desk):
    desk.state["assignments"] = [ASSIGNMENT]
    said = desk.run("grant-graph-role.sh", *BY_NAME)
    assert (said.status, desk.changes) == (0, [])
    assert said.out == f"Nothing to do: the identity id-tokens has the Graph role {ROLE}.\n"


@pytest.mark.parametrize("different", [{"appRoleId": EVENTS_ROLE_ID}, {"resourceId": TENANT}])
def test_another_role_or_another_resources_is_not_taken_for_it(desk, different):
    desk.state["assignments"] = [ASSIGNMENT | different]
    assert desk.run("grant-graph-role.sh", *BY_NAME).status == 0
    assert ASSIGNMENT["appRoleId"] in {a["appRoleId"] for a in desk.state["assignments"] if a["resourceId"] == GRAPH}


def test_enrollment_events_need_a_second_role_and_only_what_is_missing_is_granted(desk):
    desk.state["assignments"] = [ASSIGNMENT]
    said = desk.run("grant-graph-role.sh", *BY_NAME, "--enrollment-events")
    assert said.status == 0
    assert desk.granted == {(PRINCIPAL, ROLE_ID), (PRINCIPAL, EVENTS_ROLE_ID)}
    assert len(desk.changes) == 1


@pytest.mark.parametrize(
    ("cloud", "graph"),
    [
        ("AzureCloud", "https://graph.microsoft.com/"),
        ("AzureUSGovernment", "https://graph.microsoft.us/"),
        ("AzureChinaCloud", "https://microsoftgraph.chinacloudapi.cn"),
    ],
)
def test_graph_is_the_one_of_azs_cloud(desk, cloud, graph):
    desk.state |= {"cloud": cloud, "graph": graph}
    assert desk.run("grant-graph-role.sh", *BY_PRINCIPAL).status == 0
    asked = [call for call in desk.calls if call.startswith("rest")]
    assert asked
    assert all(f" --url {graph.rstrip('/')}/v1.0/servicePrincipals" in call for call in asked)


def test_the_identity_is_made_before_the_grant_and_its_resource_id_is_printed(desk):
    desk.state |= {"groups": [], "identities": []}
    said = desk.run("grant-graph-role.sh", *BY_NAME, "--create", "--location", "westeurope")
    assert said.status == 0, said.err
    group, identity, grant = desk.changes
    assert group.startswith("group create --name rg-tokens --location westeurope ")
    made = f'rest --method put --url {IDENTITY}?api-version=2023-01-31 --body {{"location": "westeurope"}} '
    assert identity.startswith(made)
    assert grant.startswith("rest --method post ")
    assert desk.granted == {(NEW_PRINCIPAL, ROLE_ID)}
    assert said.out.endswith(f"'Existing identity' (parameter identityResourceId):\n{IDENTITY}\n")
    assert '"label": "Existing identity"' in (INFRA / "createUiDefinition.json").read_text()


def test_the_resource_id_is_printed_even_if_the_grant_is_refused(desk):
    desk.state["identities"] = []
    desk.fault("--method post", DENIED)
    said = desk.run("grant-graph-role.sh", *BY_NAME, "--create", "--location", "westeurope")
    assert said.status == 2
    assert said.out.endswith(f"{IDENTITY}\n")
    assert f"--principal-id {NEW_PRINCIPAL}" in said.err


@pytest.mark.parametrize("there", [True, False], ids=["an identity", "none"])
def test_a_dry_run_changes_nothing(desk, there):
    desk.state["identities"] = desk.state["identities"] if there else []
    said = desk.run("grant-graph-role.sh", *BY_NAME, "--create", "--location", "westeurope", "--dry-run")
    assert (said.status, desk.changes) == (0, [])
    assert "Would" in said.out
    assert ROLE in said.out


@pytest.mark.parametrize("complaint", [UNKNOWN_YET, NOT_VALID_YET])
@pytest.mark.parametrize("call", ["--method get .*/appRoleAssignments", "--method post"])
def test_a_new_identity_that_entra_does_not_show_yet_is_waited_for_and_the_reason_is_said(desk, call, complaint):
    desk.fault(call, complaint, times=2)
    said = desk.run("grant-graph-role.sh", *BY_NAME, WAIT_SECONDS="7")
    assert said.status == 0, said.err
    assert desk.granted == {(PRINCIPAL, ROLE_ID)}
    assert desk.sleeps == ["7", "7"]
    assert "Entra ID does not know the identity id-tokens" in said.out


def test_waiting_for_an_identity_has_an_end_and_says_what_else_it_may_be(desk):
    desk.fault("/appRoleAssignments", UNKNOWN_YET)
    said = desk.run("grant-graph-role.sh", *BY_PRINCIPAL)
    assert said.status == 1
    assert desk.sleeps == ["10"] * 17
    assert "not the client id" in said.err
    assert TENANT in said.err


def test_a_grant_that_is_not_shown_at_once_is_waited_for(desk):
    desk.state["unseen"] = 3
    said = desk.run("grant-graph-role.sh", *BY_NAME)
    assert said.status == 0
    assert desk.sleeps == ["10"] * 2
    assert "Entra ID does not show the grant yet. Trying again in 10 seconds, 17 more times at most." in said.out


def test_a_grant_that_is_never_shown_is_a_failure(desk):
    desk.state["unseen"] = 99
    said = desk.run("grant-graph-role.sh", *BY_NAME)
    assert said.status == 1
    assert "does not show it" in said.err
    assert "Granted" not in said.out


def test_somebody_elses_grant_at_the_same_time_is_as_good(desk):
    desk.state |= {"assignments": [ASSIGNMENT], "unseen": 1}
    desk.fault("--method post", ALREADY)
    said = desk.run("grant-graph-role.sh", *BY_NAME)
    assert said.status == 0, said.err


@pytest.mark.parametrize(
    ("cloud", "environment"),
    [("AzureCloud", ""), ("AzureUSGovernment", " -Environment USGov"), ("AzureChinaCloud", " -Environment China")],
)
@pytest.mark.parametrize("call", ["--method post", "--method get .*/servicePrincipals"])
def test_a_refusal_says_who_may_and_the_commands_to_run_and_ends_with_2(desk, call, cloud, environment):
    desk.state["cloud"] = cloud
    desk.fault(call, DENIED)
    said = desk.run("grant-graph-role.sh", *BY_NAME, "--enrollment-events")
    assert said.status == 2
    assert "Global Administrator or a Privileged Role Administrator" in said.err
    assert f"    az cloud set --name {cloud}\n" in said.err
    assert f"    az login --tenant {TENANT} --allow-no-subscriptions\n" in said.err
    assert f"    infra/grant-graph-role.sh --principal-id {PRINCIPAL} --enrollment-events\n" in said.err
    powershell = (
        f"infra/grant-graph-role.ps1 -PrincipalId {PRINCIPAL} -TenantId {TENANT}{environment} -EnrollmentEvents"
    )
    assert f"    {powershell}\n" in said.err
    assert desk.sleeps == []


def test_the_command_that_a_refusal_prints_grants_the_role(desk):
    desk.fault("--method post", DENIED, times=1)
    refused = desk.run("grant-graph-role.sh", *BY_NAME)
    command = re.search(r"^ +infra/grant-graph-role\.sh (.+)$", refused.err, re.MULTILINE)[1]
    assert desk.run("grant-graph-role.sh", *command.split()).status == 0
    assert desk.granted == {(PRINCIPAL, ROLE_ID)}


def test_a_missing_sign_in_is_reported_with_the_command_to_run(desk):
    desk.state["accounts"] = []
    said = desk.run("grant-graph-role.sh", *BY_NAME)
    assert said.status == 1
    assert "Nobody is signed in to AzureCloud: run 'az login'" in said.err


def test_a_missing_az_is_reported(desk):
    (desk.bin / "az").unlink()
    said = desk.run("grant-graph-role.sh", *BY_NAME)
    assert said.status == 1
    assert "The Azure CLI, az, is missing" in said.err


@pytest.mark.parametrize("whose", [("--identity", "other", "--resource-group", "rg-tokens"), (*BY_NAME[:3], "other")])
def test_an_identity_that_is_not_there_is_named_with_the_subscription_that_was_searched(desk, whose):
    said = desk.run("grant-graph-role.sh", *whose)
    assert (said.status, desk.changes) == (1, [])
    assert "There is no such identity in the subscription Production" in said.err
    assert "--create" in said.err


def test_an_identity_that_may_not_be_looked_up_is_not_taken_for_a_missing_one(desk):
    desk.fault("userAssignedIdentities", "(AuthorizationFailed) The client does not have authorization.")
    said = desk.run("grant-graph-role.sh", *BY_NAME, "--create", "--location", "westeurope")
    assert (said.status, desk.changes) == (1, [])
    assert "AuthorizationFailed" in said.err


def test_a_subscription_that_az_does_not_know_is_named(desk):
    said = desk.run("grant-graph-role.sh", *BY_PRINCIPAL, "--subscription", "elsewhere")
    assert (said.status, desk.changes) == (1, [])
    assert "knows no subscription elsewhere" in said.err


def test_a_subscription_of_another_tenant_is_refused_since_graph_would_be_asked_in_the_wrong_one(desk):
    desk.state["accounts"].append({"id": TOKEN, "name": "Other", "tenantId": "other-tenant"})
    said = desk.run("grant-graph-role.sh", *BY_PRINCIPAL, "--subscription", TOKEN)
    assert (said.status, desk.changes) == (1, [])
    assert f"run 'az account set --subscription {TOKEN}'" in said.err


def test_a_role_that_graph_does_not_have_is_named(desk):
    desk.state["graph_app"]["appRoles"] = desk.state["graph_app"]["appRoles"][:1]
    said = desk.run("grant-graph-role.sh", *BY_NAME)
    assert said.status == 1
    assert f"has no application role {ROLE}" in said.err


@pytest.mark.parametrize(
    "around", ["{}", "\n{}\nCode: Other\nMessage: {}", "Here it is:\n{}\nTraceback (most recent call last):\n  File"]
)
def test_any_other_failure_is_reported_in_azures_words_and_those_are_reported_once(desk, around):
    desk.fault("--method post", around.replace("{}", "Service Unavailable"))
    said = desk.run("grant-graph-role.sh", *BY_NAME)
    assert (said.status, desk.sleeps) == (1, [])
    assert f"It failed to grant the Graph role {ROLE} to the identity id-tokens. Azure says: " in said.err
    assert said.err.count("Service Unavailable") == 1
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Whose role?"),
        (["--identity", "id-tokens"], "--resource-group"),
        ([*BY_NAME, *BY_PRINCIPAL], "in one way"),
        (["--principal-id", "id-tokens"], "object (principal) id"),
        (["--principal-id", PRINCIPAL[:-1]], "object (principal) id"),
        (["--principal-id", f"{PRINCIPAL[:-1]}x"], "object (principal) id"),
        (["--principal-id", f"{PRINCIPAL}\n"], "object (principal) id"),
        ([*BY_NAME, "--create"], "--location"),
        (["--identity", "id?tokens", *BY_NAME[2:]], "take names"),
        ([*BY_NAME[:3], "rg/tokens"], "take names"),
        (["--identity-id", "id-tokens"], "resource id"),
        (["--identity-id", f"{IDENTITY}?x"], "resource id"),
        ([*BY_NAME, "--create", "--location", 'west"europe'], "take names"),
        ([*BY_PRINCIPAL, "--create", "--location", "westeurope"], "--identity and --resource-group"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused_before_anything_is_called(desk, arguments, said):
    refused = desk.run("grant-graph-role.sh", *arguments)
    assert (refused.status, desk.calls) == (1, [])
    assert said in refused.err


@pytest.mark.parametrize("quoted", [[], ["--enrollment-events"]])
def test_called_as_the_app_quotes_it_the_script_says_what_else_it_needs(desk, quoted):
    assert (ROOT / GRANT_SCRIPT) == INFRA / "grant-graph-role.sh"
    said = desk.run("grant-graph-role.sh", *quoted)
    assert said.status == 1
    assert all(option in said.err for option in ("--identity", "--resource-group", "--principal-id", "--help"))


# ---------------------------------------------------------------- other shells


@pytest.mark.parametrize(
    ("script", "arguments", "environment"),
    [
        ("grant-graph-role.sh", (*BY_NAME, "--create", "--location", "westeurope", "--enrollment-events"), {}),
        ("snooze-token.sh", test_snooze.SNOOZE, {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.exhaustive
def test_bash_which_is_sh_on_a_mac_does_the_same(script, arguments, environment, tmp_path):
    seen = []
    for shell in ("sh", "bash --posix"):
        folder = tmp_path / shell.partition(" ")[0]
        folder.mkdir()
        desk = Desk(folder)
        desk.state |= {"identities": [], "groups": ["rg-tokens"]}
        said = desk.run(script, *arguments, shell=shell, **environment)
        seen.append((said.status, said.out, said.err, desk.calls))
    assert seen[0] == seen[1]
    assert seen[0][0] == 0
