"""The portal's form: it asks for what the template takes, explains each field, and refuses what cannot be meant."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
FORM = json.loads((ROOT / "infra" / "createUiDefinition.json").read_text("utf-8"))["parameters"]
TEMPLATE = json.loads((ROOT / "infra" / "azuredeploy.json").read_text("utf-8"))
ELEMENTS = [*FORM["basics"], *(element for step in FORM["steps"] for element in step["elements"])]
FIELDS = {element["name"]: element for element in ELEMENTS if element["type"] != "Microsoft.Common.TextBlock"}

IDENTITY = (
    "/subscriptions/22222222-2222-4222-8222-222222222222/resourceGroups/rg/providers/"
    "Microsoft.ManagedIdentity/userAssignedIdentities/id-apple-tokens"
)


def allowed(parameter: str) -> list[str] | None:
    """The values that the template takes, where it names them."""
    found: dict[str, Any] = TEMPLATE["parameters"][parameter]
    while "$ref" in found:
        found = TEMPLATE["definitions"][found["$ref"].rpartition("/")[2]]
    return found.get("allowedValues") or found.get("items", {}).get("allowedValues")


def test_the_form_fills_every_required_parameter_and_knows_no_other_than_the_templates():
    required = {name for name, one in TEMPLATE["parameters"].items() if "defaultValue" not in one}
    assert required <= set(FORM["outputs"]) <= set(TEMPLATE["parameters"])


def test_every_field_goes_somewhere_and_every_output_comes_from_a_field():
    used = re.findall(r"basics\('(\w+)'\)|steps\('options'\)\.(\w+)", " ".join(FORM["outputs"].values()))
    assert {one or other for one, other in used} == set(FIELDS)
    assert FORM["outputs"]["location"] == "[location()]"


def test_the_form_asks_for_little_and_explains_each_field():
    assert len(FIELDS) <= 9
    assert sum(field["constraints"]["required"] for field in FORM["basics"] if "constraints" in field) == 2
    for name, field in FIELDS.items():
        assert len(field["toolTip"]) > 30, name
        assert field["label"], name


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if field["type"].endswith("DropDown")])
def test_a_choice_offers_what_the_template_takes(name):
    offered = FIELDS[name]["constraints"]["allowedValues"]
    assert sorted(one["value"] for one in offered) == sorted(allowed(name) or [])
    default = FIELDS[name]["defaultValue"]
    labels = [one["label"] for one in offered]
    assert set([default] if isinstance(default, str) else default) <= set(labels)
    default_value = TEMPLATE["parameters"][name]["defaultValue"]
    chosen = [one["value"] for one in offered if one["label"] in default]
    assert chosen == (default_value if isinstance(default_value, list) else [default_value])


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("namePrefix", ["apple-tokens", "a", "9x"], ["", "-a", "a b", "ü", "x" * 61]),
        (
            "alertEmails",
            ["a@contoso.com", " a@contoso.com , b@contoso.co.uk "],
            ["", "a", "a@b", "a@contoso.com,", "a@contoso.com b@contoso.com", "a@contoso.com;b@contoso.com"],
        ),
        ("identityResourceId", ["", IDENTITY], ["id-apple-tokens", f"{IDENTITY}/x", IDENTITY.replace("/sub", "sub")]),
        ("readerGroupId", ["", "33333333-3333-4333-8333-333333333333"], ["Intune admins", "33333333"]),
        ("packageUrl", ["", "https://example.com/a.zip"], ["http://example.com/a.zip", "a.zip", "https://a b"]),
    ],
)
def test_a_text_is_checked_before_anything_is_deployed(name, good, bad):
    constraints = FIELDS[name]["constraints"]
    assert [text for text in good if not re.search(constraints["regex"], text)] == []
    assert [text for text in bad if re.search(constraints["regex"], text)] == []
    assert constraints["required"] is ("" in bad)
    assert constraints["validationMessage"].endswith(".")


def test_the_link_in_the_readme_leads_to_template_and_form():
    readme = (ROOT / "README.md").read_text("utf-8")
    (link,) = re.findall(r"https://portal\.azure\.com/#create/Microsoft\.Template/uri/\S+?(?=\))", readme)
    template, _, form = link.partition("/uri/")[2].partition("/createUIDefinitionUri/")
    root = "https://raw.githubusercontent.com/ade-token-monitor/ade-token-monitor/main/infra"
    assert unquote(template) == f"{root}/azuredeploy.json"
    assert unquote(form) == f"{root}/createUiDefinition.json"


def test_the_project_has_one_address():
    """In the form, the template, the workflows and the documents."""
    texts = [
        path.read_text("utf-8", errors="replace")
        for pattern in ("*.md", "docs/*.md", "infra/**/*.*", "azure.yaml", ".github/workflows/*")
        for path in ROOT.glob(pattern)
    ]
    found = set(re.findall(r"github(?:usercontent)?\.com/([\w-]+/ade-token-monitor)", " ".join(texts)))
    assert found == {"ade-token-monitor/ade-token-monitor"}
