"""The four ways of docs/deployment.md, as far as they go without Azure: the real az, over recorded HTTP.

What is not run: azd itself, the portal, and GitHub's actions. What they read is: the hooks, the form, the steps.
"""

import json
import re
from datetime import UTC, datetime

import compiler
import pytest

from tests.infra import recorded
from tests.infra.desk import GROUP, NEW_PRINCIPAL, ROLE_ID, ROOT, WORKSPACE, alert_rules
from tests.infra.test_hooks import row
from tests.infra.test_portal import FIELDS, TEMPLATE, handed_over

pytestmark = [recorded.needed, compiler.needed, pytest.mark.exhaustive]

PAGE = (ROOT / "docs" / "deployment.md").read_text("utf-8")
IDENTITY = "/userAssignedIdentities/id-apple-tokens"
GRANT = f"POST /v1.0/servicePrincipals/{NEW_PRINCIPAL}/appRoleAssignments"
LISTED = "GET /sites/func-tokens/functions"


@pytest.fixture
async def here(tmp_path):
    async with recorded.workplace(tmp_path) as place:
        yield place


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def documented(title: str, kind: str = "sh") -> list[str]:
    """Returns the section's blocks, with this tenant's names in place of the examples."""
    blocks = re.findall(rf"^( *)```{kind}\n(.*?)^ *```", section(title), re.MULTILINE | re.DOTALL)
    texts = [re.sub(f"^{indent}", "", block, flags=re.MULTILINE) for indent, block in blocks]
    named = [text.replace("rg-apple-tokens", "rg-tokens") for text in texts]
    return [text.replace("--name FUNCTION_APP_NAME", "--name func-tokens") for text in named]


LEFT_OUT = re.compile(r"^(python3? infra/package\.py|az bicep upgrade)\n", re.MULTILINE)
"""The package is there already, and Bicep is the one on the PATH."""


async def done(place: recorded.Workplace, commands: str, **environment: str) -> str:
    said = await place.run(LEFT_OUT.sub("", commands), **environment)
    assert said.status == 0, said.err
    return said.out


async def test_az_makes_the_identity_grants_deploys_and_sends_the_code_in_this_order(here):
    first, _ = documented("az")
    identity, deployment = first.partition("az deployment")[::2]
    made = (await done(here, identity)).splitlines()[-1]
    assert made.endswith(f"/resourceGroups/rg-tokens/providers/Microsoft.ManagedIdentity{IDENTITY}")
    said = await done(here, f"az deployment{deployment}".replace("ID_THAT_THE_SCRIPT_PRINTED", made))
    assert "func-tokens lists check_tokens, inspect_devices, prune_history." in said
    assert here.azure.changes == [
        "PUT ",
        f"PUT {IDENTITY}",
        GRANT,
        "POST /deployments/azuredeploy/validate",
        "PUT /deployments/azuredeploy",
        "POST /api/publish",
    ]
    assert here.azure.transcript[-1] == LISTED
    assert here.azure.body(GRANT)["appRoleId"] == ROLE_ID
    sent = here.azure.body("PUT /deployments/azuredeploy")["properties"]
    assert sent["parameters"]["identityResourceId"] == {"value": made}
    assert sent["parameters"]["alertEmails"] == {"value": ["intune-admins@contoso.com"]}
    assert sent["template"] == TEMPLATE
    (publish,) = [request for request in here.azure.requests if request.path == "/api/publish"]
    assert publish.query == {"RemoteBuild": "false"}


async def test_az_deploys_the_parameter_file_that_is_copied_as_documented(here):
    await done(here, documented("az")[1])
    assert here.azure.changes == ["POST /deployments/deployment1/validate", "PUT /deployments/deployment1"]
    sent = here.azure.body("PUT /deployments/deployment1")["properties"]
    assert set(sent["parameters"]) >= {"namePrefix", "location", "alertEmails"}
    assert {**sent["template"], "metadata": {}} == {**TEMPLATE, "metadata": {}}


async def test_the_portals_form_takes_what_the_script_prints_and_the_template_what_the_form_hands_over(here):
    cloud_shell = documented("The portal")[0].partition("\n")[2]
    made = (await done(here, cloud_shell)).splitlines()[-1]
    assert here.azure.changes == ["PUT ", f"PUT {IDENTITY}", GRANT]
    assert re.search(FIELDS["identityResourceId"]["constraints"]["regex"], made)
    given = {name: {"value": value} for name, value in handed_over(identityResourceId=made).items()}
    (here.folder / "form.json").write_text(json.dumps({"parameters": given}))
    create = "az deployment group create --resource-group rg-tokens --template-file infra/azuredeploy.json"
    await done(here, f"{create} --parameters @form.json")
    assert here.azure.body("PUT /deployments/azuredeploy")["properties"]["parameters"] == given


async def test_a_pipeline_deploys_the_template_then_the_package_and_verifies_it(here):
    await done(here, "cp infra/examples/public.bicepparam infra/examples/production.bicepparam")
    (workflow,) = documented("A pipeline", "yaml")
    steps = recorded.of_yaml(workflow)["jobs"]["deploy"]["steps"]
    used = [step.get("uses", "run").partition("@")[0] for step in steps]
    assert used == ["actions/checkout", "actions/setup-python", "azure/login", "run", "run", "run"]
    output = here.folder / "output"
    for step in steps:
        await done(here, f"{step.get('run', 'true')}\n", GITHUB_OUTPUT=str(output), APP="func-tokens")
    assert output.read_text() == "app=func-tokens\n"
    assert steps[-1]["env"] == {"APP": "${{ steps.template.outputs.app }}"}
    assert here.azure.changes[1:] == ["PUT /deployments/deployment1", "POST /api/publish"]
    assert here.azure.transcript[-1] == LISTED


AZD = ("prepackage", "preprovision", "postprovision", "postdeploy")
"""The order in which `azd up` runs the hooks: it packages, provisions, and deploys."""


async def test_azds_hooks_grant_before_the_code_and_show_the_first_check(here):
    project = recorded.of_yaml((ROOT / "azure.yaml").read_text("utf-8"))
    (service,) = project["services"].values()
    hooks = service["hooks"] | project["hooks"]
    assert set(hooks) == set(AZD)
    assert (service["remoteBuild"], service["dist"]) == (False, "dist/app")
    assert project["infra"] == {"provider": "bicep", "path": "infra", "module": "subscription"}
    assert {name for name, hook in hooks.items() if hook["posix"].get("continueOnError")} == {"postdeploy"}
    handed_on = re.findall(r"^output (\w+)", (ROOT / "infra" / "subscription.bicep").read_text("utf-8"), re.MULTILINE)
    environment = {"ALERT_EMAILS": "a@contoso.com"}
    here.azure.coming = row(datetime.now(UTC))
    said = {}
    for name in AZD:
        if name == "postprovision":
            assert here.azure.transcript == []
            environment |= {output: recorded.OUTPUTS.get(output, "") for output in handed_on}
        command = f"{hooks[name]['posix']['run']}\n"
        said[name] = await done(here, command, **environment)
        assert hooks[name]["windows"]["run"] == f"{command.strip().replace('python3', 'python')}; exit $LASTEXITCODE"
    assert here.azure.changes == [GRANT, "POST /sites/func-tokens/hostruntime/admin/functions/check_tokens"]
    assert "Granted the identity with the object id" in said["postprovision"]
    assert "The check succeeded" in said["postdeploy"]


async def test_a_token_is_silenced_listed_and_notified_again(here):
    """What the queries of `snooze-token.sh` find is az's own answer, and not a stand-in's."""
    here.azure.made |= {one["id"].lower(): one for one in ({"id": GROUP}, *alert_rules(WORKSPACE))}
    (snooze,) = [block for block in documented("Silence and maintenance") if "--until" in block]
    token = re.search(r"--token-id (\S+)", snooze)[1]
    await done(here, snooze.replace("2026", str(datetime.now(UTC).year + 1)))
    listed = await done(here, "infra/snooze-token.sh --list --resource-group rg-tokens")
    assert re.split(r"  +", listed.splitlines()[1])[::2] == [token, "UTC"]
    await done(here, f"infra/snooze-token.sh --remove --token-id {token} --resource-group rg-tokens")
    assert here.azure.changes == [f"PUT /actionRules/snooze-{token}", f"DELETE /actionRules/snooze-{token}"]
    sent = here.azure.body(f"PUT /actionRules/snooze-{token}")["properties"]
    rules, context = sent["conditions"]
    assert (sent["scopes"], context["values"]) == ([WORKSPACE], [token])
    assert [rule.rpartition("-")[2] for rule in rules["values"]] == ["token_critical", "token_warning"]


async def test_removing_deletes_the_workspace_for_good_before_its_group(here):
    """One that goes with its group comes back with its rows for 14 days, and cannot be deleted for good by then."""
    here.azure.made |= {one["id"].lower(): one for one in ({"id": GROUP}, {"id": WORKSPACE, "name": "log-tokens"})}
    listed, *deleted = documented("Removing it")[0].splitlines()
    name = (await done(here, listed)).strip()
    await done(here, "\n".join(deleted).replace("WORKSPACE_NAME", name))
    assert here.azure.changes == ["DELETE /workspaces/log-tokens", "DELETE "]
    asked = [request.query for request in here.azure.requests if request.method == "DELETE"]
    assert asked[0]["force"] == "true"
