"""The commands that fix things, with what is known of the deployment filled in."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cli import SCRIPT, program
from cli.doctor.facts import Facts

GRANT: Final = "{infra}/grant-graph-role.sh --principal-id {principal}"
RESTART: Final = "az functionapp restart --ids {app_id}"

_INFRA: Final = Path(__file__).parents[2] / "infra"
"""The scripts of an installed package."""

_CLOCKS: Final = {"win32": "w32tm /resync /force", "darwin": "sudo sntp -sS time.apple.com"}
SET_CLOCK: Final = _CLOCKS.get(sys.platform, "sudo timedatectl set-ntp true")


def command(facts: Facts, words: str, *more: str, **others: str) -> str:
    """Return a command, quoted for a shell, with what is known and `others` filled in; `more` are words that follow."""
    known = values(facts) | others
    return shlex.join([*(word.format_map(known) for word in words.split()), *more])


def sign_in(facts: Facts) -> str:
    """Return the command that signs in to the monitor's tenant."""
    return command(facts, "az login --tenant {tenant}" if facts.places.get("TENANT_ID") else "az login")


def provision(facts: Facts) -> str:
    """Return the command that deploys the infrastructure again."""
    by_hand = "az deployment group create --resource-group {group} --parameters YOUR_PARAMETERS.bicepparam"
    return _azd(facts, "azd provision", by_hand)


def deploy(facts: Facts) -> str:
    """Return the command that deploys the code again."""
    return _azd(facts, "azd deploy", "python infra/deploy_code.py --resource-group {group} --name {app}")


def refresh(facts: Facts) -> str:
    """Return the command with which azd records the deployment's outputs again."""
    return _azd(facts, "azd env refresh", "azd env refresh")


def _azd(facts: Facts, words: str, by_hand: str) -> str:
    name = facts.places.azd_environment
    return command(facts, f"{words} --environment", name) if name else command(facts, by_hand)


def set_settings(facts: Facts, settings: Mapping[str, str]) -> str:
    """Return the command that changes app settings."""
    words = "az functionapp config appsettings set --ids {app_id} --settings"
    return command(facts, words, *(f"{name}={value}" for name, value in settings.items()))


def assign(facts: Facts, role: str, scope: str, assignee: str, kind: str = "ServicePrincipal") -> str:
    """Return the command that assigns a role in Azure."""
    words = (
        "az role assignment create --role {role} --assignee-object-id {assignee} --assignee-principal-type {kind} "
        "--scope {scope}"
    )
    return command(facts, words, role=role, assignee=assignee, kind=kind, scope=scope)


def storage_account_id(facts: Facts) -> str:
    """Return the resource id of the tables' account, which is in the app's resource group."""
    host = (facts.places.value("TABLES_ENDPOINT") or "").partition("//")[2].partition("/")[0]
    name = host.partition(".")[0] if ".table." in host else "STORAGE_ACCOUNT"
    return f"{values(facts)['group_id']}/providers/Microsoft.Storage/storageAccounts/{name}"


def collection_rule_id(facts: Facts) -> str:
    """Return the resource id of the data collection rule; where it was not found, by the template's naming."""
    if rule := facts.collection_rule:
        return rule.id
    app = values(facts)["app"]
    name = app.replace("func-", "dcr-", 1) if app.startswith("func-") else "DATA_COLLECTION_RULE"
    return f"{values(facts)['group_id']}/providers/Microsoft.Insights/dataCollectionRules/{name}"


def values(facts: Facts) -> dict[str, str]:
    """Return what fills in a command: a value that is not known is a placeholder in capitals."""
    app_id = facts.places.value("FUNCTION_APP_ID")
    group_id = app_id.partition("/providers/")[0] if app_id else "RESOURCE_GROUP_ID"
    return {
        "infra": str(_INFRA) if program() == SCRIPT else "infra",
        "app_id": app_id or "FUNCTION_APP_ID",
        "app": (app_id or "FUNCTION_APP_ID").rpartition("/")[2],
        "group_id": group_id,
        "group": facts.places.value("RESOURCE_GROUP") or group_id.rpartition("/")[2],
        "principal": facts.principal_id or "IDENTITY_PRINCIPAL_ID",
        "tenant": facts.places.value("TENANT_ID") or "TENANT_ID",
        "graph": facts.setting("GRAPH_ENDPOINT") or "https://graph.microsoft.com",
    }
