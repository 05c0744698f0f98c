"""The portal's form: it asks for what the template takes, explains each field, and refuses what cannot be meant."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from expressions import evaluate

import shared
from docs import generate, project
from docs.project import repository

ROOT = Path(__file__).parents[2]
FORM = json.loads((ROOT / "infra" / "createUiDefinition.json").read_text("utf-8"))["parameters"]
TEMPLATE = json.loads((ROOT / "infra" / "azuredeploy.json").read_text("utf-8"))
ELEMENTS = [*FORM["basics"], *(element for step in FORM["steps"] for element in step["elements"])]
FIELDS = {element["name"]: element for element in ELEMENTS if element["type"] != "Microsoft.Common.TextBlock"}

IDENTITY = (
    "/subscriptions/22222222-2222-4222-8222-222222222222/resourceGroups/rg/providers/"
    "Microsoft.ManagedIdentity/userAssignedIdentities/id-apple-tokens"
)
HUB = "/subscriptions/22222222-2222-4222-8222-222222222222/resourceGroups/rg-hub/providers"
SUBNET = f"{HUB}/Microsoft.Network/virtualNetworks/vnet-hub/subnets/snet-app"
ZONE = f"{HUB}/Microsoft.Network/privateDnsZones/privatelink.blob.core.windows.net"
SCOPE = f"{HUB}/Microsoft.Insights/privateLinkScopes/ampls-hub"
WORKSPACE = f"{HUB}/Microsoft.OperationalInsights/workspaces/log-central"


def allowed(parameter: str) -> list[str] | None:
    """The values that the template takes, where it names them."""
    found: dict[str, Any] = TEMPLATE["parameters"][parameter]
    while "$ref" in found or "items" in found:
        found = TEMPLATE["definitions"][found["$ref"].rpartition("/")[2]] if "$ref" in found else found["items"]
    return found.get("allowedValues")


def test_the_form_fills_every_required_parameter_and_knows_no_other_than_the_templates():
    required = {name for name, one in TEMPLATE["parameters"].items() if "defaultValue" not in one}
    assert required <= set(FORM["outputs"]) <= set(TEMPLATE["parameters"])


def test_every_field_goes_somewhere_and_every_output_comes_from_a_field():
    used = set(re.findall(r"(basics|steps\('\w+'\))[.(]'?(\w+)", " ".join(FORM["outputs"].values())))
    places = {("basics", element["name"]) for element in FORM["basics"]} | {
        (f"steps('{step['name']}')", element["name"]) for step in FORM["steps"] for element in step["elements"]
    }
    assert used == {(step, name) for step, name in places if name in FIELDS}
    assert FORM["outputs"]["location"] == "[location()]"


def test_the_form_asks_for_little_and_explains_each_field():
    assert all(len(step["elements"]) <= 9 for step in FORM["steps"])
    required = [field["name"] for field in FORM["basics"] if field.get("constraints", {}).get("required")]
    assert required == ["namePrefix", "alertEmails", "identityResourceId"]
    for name, field in FIELDS.items():
        assert len(field["toolTip"]) > 30, name
        assert field["label"], name
        secret = TEMPLATE["parameters"].get(name, {}).get("type") == "securestring"
        assert (field["type"] == "Microsoft.Common.PasswordBox") is secret, name
        # What has to be filled in outside of the first page has a default, or is hidden until somebody asks for it.
        assert (
            field in FORM["basics"]
            or not field["constraints"].get("required")
            or {"defaultValue", "visible"} & set(field)
        )


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if field["type"].endswith("DropDown")])
def test_a_choice_offers_what_the_template_takes(name):
    offered = FIELDS[name]["constraints"]["allowedValues"]
    assert sorted(one["value"] for one in offered) == sorted(filter(None, allowed(name) or []))
    default = FIELDS[name].get("defaultValue", [])
    labels = [one["label"] for one in offered]
    assert set([default] if isinstance(default, str) else default) <= set(labels)
    default_value = TEMPLATE["parameters"][name]["defaultValue"]
    chosen = [one["value"] for one in offered if one["label"] in default]
    assert chosen == (default_value if isinstance(default_value, list) else [default_value or "B1"])


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("namePrefix", ["apple-tokens", "a", "9x"], ["", "-a", "a b", "ü", "x" * 61]),
        (
            "alertEmails",
            ["a@contoso.com", " a@contoso.com , b@contoso.co.uk "],
            ["", "a", "a@b", "a@contoso.com,", "a@contoso.com b@contoso.com", "a@contoso.com;b@contoso.com"],
        ),
        ("identityResourceId", [IDENTITY], ["", "id-apple-tokens", f"{IDENTITY}/x", IDENTITY.replace("/sub", "sub")]),
        ("readerGroupId", ["", "33333333-3333-4333-8333-333333333333"], ["Intune admins", "33333333"]),
        ("appSubnetId", [SUBNET], ["", "snet-app", SUBNET.rpartition("/subnets")[0], f"{SUBNET}/x"]),
        ("endpointSubnetId", [SUBNET], ["", "snet-app"]),
        ("blobZoneId", ["", ZONE], ["privatelink.blob.core.windows.net", SUBNET]),
        ("queueZoneId", ["", ZONE], ["privatelink.queue.core.windows.net"]),
        ("tableZoneId", ["", ZONE], ["privatelink.table.core.windows.net"]),
        ("privateLinkScopeId", ["", SCOPE], ["ampls-hub", ZONE]),
        ("workspaceResourceId", ["", WORKSPACE], ["log-central", SCOPE]),
        (
            "tags",
            ["", "owner=team", "owner=endpoint team,costCenter=", "a=1, b=2"],
            ["owner", "=team", "a=b=c", "a=1,", ",a=1", 'a="1"', "a=\\"],
        ),
        ("packageUrl", ["", "https://example.com/a.zip"], ["http://example.com/a.zip", "a.zip", "https://a b"]),
    ],
)
def test_a_text_is_checked_before_anything_is_deployed(name, good, bad):
    constraints = FIELDS[name]["constraints"]
    assert [text for text in good if not re.search(constraints["regex"], text)] == []
    assert [text for text in bad if re.search(constraints["regex"], text)] == []
    assert constraints["required"] is ("" in bad)
    assert constraints["validationMessage"].endswith(".")


# What it hands over


def answers(**given: object) -> dict[str, object]:
    """The value of each field when a person leaves everything else as it is."""
    filled: dict[str, object] = {"alertEmails": "a@contoso.com", "identityResourceId": IDENTITY}
    for name, field in FIELDS.items():
        values = {one["label"]: one["value"] for one in field["constraints"].get("allowedValues", [])}
        default = field.get("defaultValue", "")
        chosen = [values[one] for one in default] if isinstance(default, list) else values.get(default, default)
        filled.setdefault(name, chosen)
    return filled | given


def handed_over(**given: object) -> dict[str, object]:
    """The template's parameters as the form's expressions make them."""
    filled = answers(**given)
    functions = {"basics": filled.__getitem__, "steps": lambda _: filled, "location": lambda: "westeurope"}
    return {name: evaluate(text[1:-1], functions) for name, text in FORM["outputs"].items()}


def test_a_form_that_is_left_as_it_is_hands_over_the_templates_defaults():
    given = handed_over()
    defaults = {name: one["defaultValue"] for name, one in TEMPLATE["parameters"].items() if "defaultValue" in one}
    asked = ("identityResourceId", "packageUrl")
    assert {name: value for name, value in given.items() if name in defaults and name not in asked} == {
        name: value for name, value in defaults.items() if name in given and name not in asked
    }


NETWORK = {
    "appSubnetId": SUBNET,
    "endpointSubnetId": f"{SUBNET}-endpoints",
    "blobZoneId": ZONE,
    "queueZoneId": "",
    "tableZoneId": ZONE,
    "privateLinkScopeId": SCOPE,
}


def test_network_tags_and_size_are_handed_over_as_the_template_takes_them():
    given = handed_over(
        isPrivate=True,
        **NETWORK,
        tags="owner=endpoint team, costCenter=4711",
        hosting="AppService",
        appServiceSku="P0v3",
    )
    assert given["network"] == NETWORK
    (members,) = [one["properties"] for name, one in TEMPLATE["definitions"].items() if name.endswith("Network")]
    assert set(NETWORK) == set(members)
    assert given["tags"] == {"owner": "endpoint team", "costCenter": "4711"}
    assert given["appServiceSku"] == "P0v3"


def test_what_was_filled_in_and_then_hidden_is_not_handed_over():
    given = handed_over(isPrivate=False, **NETWORK, hosting="FlexConsumption", appServiceSku="P0v3")
    assert (given["network"], given["appServiceSku"]) == ({}, "")


def test_the_link_in_the_readme_leads_to_template_and_form():
    readme = (ROOT / "README.md").read_text("utf-8")
    (link,) = re.findall(r"https://portal\.azure\.com/#create/Microsoft\.Template/uri/\S+?(?=\))", readme)
    template, _, form = link.partition("/uri/")[2].partition("/createUIDefinitionUri/")
    root = f"https://raw.githubusercontent.com/{repository()}/v{shared.__version__}/infra"
    assert unquote(template) == f"{root}/azuredeploy.json"
    assert unquote(form) == f"{root}/createUiDefinition.json"


def test_the_form_deploys_the_package_of_its_own_release():
    name = f"ade-token-monitor-{shared.__version__}.zip"
    released = f"https://github.com/{repository()}/releases/download/v{shared.__version__}/{name}"
    assert FIELDS["packageUrl"]["defaultValue"] == released


def test_a_fork_sets_its_address_in_one_place(tmp_path, monkeypatch):
    """`make template` then writes it everywhere: what is not generated names the old address nowhere."""
    old = repository()
    monkeypatch.setattr(project, "SETTING", tmp_path / "project.json")
    project.SETTING.write_text('{ "repository": "contoso/tokens.fork" }')
    texts = {path.relative_to(ROOT): render() for path, render in generate.PAGES.items()}
    for pattern in (
        "*.md",
        "*.y*ml",
        "docs/*",
        "infra/**/*.*",
        ".github/**/*.*",
        ".ci/*",
        "cli/**/*.py",
        "shared/**/*.py",
    ):
        for path in ROOT.glob(pattern):
            if path.is_file() and path.suffix != ".pyc":
                texts.setdefault(path.relative_to(ROOT), path.read_text("utf-8", errors="replace"))
    named = {path for path, text in texts.items() if re.search(old.replace("/", "(/|%2F)"), text)}
    assert named == {Path("infra/project.json"), Path("infra/azuredeploy.json")}  # the second is compiled afterwards
    link = "https%3A%2F%2Fraw.githubusercontent.com%2Fcontoso%2Ftokens.fork%2Fv"
    assert texts[Path("README.md")].count(link) == 2
    assert "github.com/contoso/tokens.fork && cd tokens.fork" in texts[Path("docs/deployment.md")]
