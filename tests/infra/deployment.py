"""Returns what would be deployed: the resources of a parameter file, as the Bicep compiler evaluates them."""

import re
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import compiler

from simulator.rules import EXAMPLE_DEPLOYMENT, EXAMPLE_INSTANT, Rule

INFRA = compiler.INFRA
EXAMPLES = ("public", "government", "china")
TENANT_ID = "44444444-4444-4444-8444-444444444444"
_GIVEN = {"tenant_id": TENANT_ID, "deployment_name": "main"}
"""Modules are named after the deployment, so without its name nothing that passes between them is evaluated."""

type Resource = dict[str, Any]


class Deployment:
    """The resources of one deployment."""

    def __init__(self, snapshot: dict[str, Any]) -> None:
        assert snapshot["diagnostics"] == []
        self.resources: list[Resource] = snapshot["predictedResources"]
        self.outputs: dict[str, Any] = snapshot["outputs"]

    def all(self, kind: str) -> list[Resource]:
        return [resource for resource in self.resources if resource["type"] == kind]

    def one(self, kind: str) -> Resource:
        (resource,) = self.all(kind)
        return resource

    @property
    def settings(self) -> dict[str, str]:
        """Return the app settings by name."""
        listed = self.one("Microsoft.Web/sites")["properties"]["siteConfig"]["appSettings"]
        names = [setting["name"] for setting in listed]
        assert len(names) == len(set(names))
        return {setting["name"]: setting["value"] for setting in listed}

    @property
    def alerts(self) -> dict[str, Resource]:
        """Return the query rules' properties, by the rules' names without the prefix."""
        rules = self.all("Microsoft.Insights/scheduledQueryRules")
        return {rule["name"].rpartition("-")[2]: rule["properties"] for rule in rules}

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Return the query rules as the model evaluates them, with examples in place of values that only Azure has."""
        return tuple(_rule(name, properties) for name, properties in self.alerts.items())


def _rule(name: str, properties: Resource) -> Rule:
    (condition,) = properties["criteria"]["allOf"]
    dimensions = tuple(dimension["name"] for dimension in condition["dimensions"])
    query = replaced(condition["query"])[0]
    subject = properties["actions"]["actionProperties"]["Email.Subject"]
    return Rule(name, properties["severity"], query, dimensions, subject, stateless=not properties["autoMitigate"])


def replaced(expression: str) -> tuple[str, dict[str, str]]:
    """Parse `[replace(replace('text', 'old', new), 'old', new)]` into the text and its replacements."""
    text, *new = re.split(rf", '({EXAMPLE_DEPLOYMENT}|{EXAMPLE_INSTANT})', ", expression.strip("[]"))
    text = re.sub(r"^(replace\()+'|'$", "", text).replace("''", "'")
    return text, {old: value.removesuffix(")") for old, value in zip(new[::2], new[1::2], strict=True)}


@cache
def deployment(example: str) -> Deployment:
    """Return what infra/examples/<example>.bicepparam deploys."""
    return Deployment(compiler.snapshot(INFRA / "examples" / f"{example}.bicepparam", **_GIVEN))


@cache
def variant(parameters: str) -> Deployment:
    """Return what the public example deploys with other `parameters`: lines of a parameter file."""
    base = (INFRA / "examples" / "public.bicepparam").read_text("utf-8")
    for name in re.findall(r"^param (\w+)", parameters, re.MULTILINE):
        base = re.sub(rf"^param {name} = .*\n", "", base, flags=re.MULTILINE)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "variant.bicepparam"
        file.write_text(f"{base}\n{parameters}\n", "utf-8")
        return Deployment(compiler.snapshot(file, **_GIVEN))


def azd() -> Deployment:
    """Return what azd deploys with the environment variables that are set."""
    return Deployment(compiler.snapshot(INFRA / "subscription.bicepparam", **_GIVEN, resource_group=None))
