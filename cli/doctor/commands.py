"""The commands that fix things, with what is known of the deployment filled in."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cli import SCRIPT, program
from cli.doctor.facts import Facts
from cli.doctor.lines import Words
from cli.doctor.reads import Account

GRANT: Final = "{infra}/grant-graph-role.sh --principal-id {principal}"
SET: Final = "az functionapp config appsettings set --ids {app_id} --settings"

_INFRA: Final = Path(__file__).parents[2] / "infra"
"""The scripts of an installed package."""

_CLOCKS: Final = {"win32": "w32tm /resync /force", "darwin": "sudo sntp -sS time.apple.com"}
SET_CLOCK: Final = _CLOCKS.get(sys.platform, "sudo timedatectl set-ntp true")


def command(facts: Facts, words: str, *more: str, **values: str) -> Words:
    """Split a command into words and fill in `values` and what is known; `more` are words that follow."""
    known = {**_known(facts), **values}
    return *(word.format_map(known) for word in words.split()), *more


def sign_in(facts: Facts) -> Words:
    """Sign in to the monitor's tenant."""
    return command(facts, "az login --tenant {tenant}" if facts.places.get("TENANT_ID") else "az login")


def provision(facts: Facts) -> Words:
    """Deploy the infrastructure again."""
    by_hand = "az deployment group create --resource-group {group} --parameters YOUR_PARAMETERS.bicepparam"
    return _azd(facts, "provision") or command(facts, by_hand)


def deploy(facts: Facts) -> Words:
    """Deploy the code again."""
    by_hand = "python infra/deploy_code.py --resource-group {group} --name {app}"
    return _azd(facts, "deploy") or command(facts, by_hand)


def refresh(facts: Facts) -> Words:
    """Have azd record the deployment's outputs again."""
    return _azd(facts, "env", "refresh") or ("azd", "env", "refresh")


def set_settings(facts: Facts, values: Mapping[str, str]) -> Words:
    """Change app settings."""
    return command(facts, SET, *(f"{name}={value}" for name, value in values.items()))


def assign(facts: Facts, role: str, scope: str, account: Account | None = None) -> Words:
    """Assign a role in Azure to the operator's account, or else to the app's identity."""
    words = (
        "az role assignment create --role {role} --assignee-object-id {assignee} --assignee-principal-type {kind} "
        "--scope {scope}"
    )
    assignee = account.object_id if account else _known(facts)["principal"]
    kind = "User" if account and account.is_person else "ServicePrincipal"
    return command(facts, words, role=role, assignee=assignee, kind=kind, scope=scope)


def trigger() -> Words:
    """Ask the app for a check."""
    return *program().split(), "trigger", "check"


def storage_account_id(facts: Facts) -> str:
    """Return the resource id of the tables' account, which is in the app's resource group."""
    host = (facts.places.value("TABLES_ENDPOINT") or "").partition("//")[2].partition("/")[0]
    name = host.partition(".")[0] if ".table." in host else "STORAGE_ACCOUNT"
    return f"{_known(facts)['group_id']}/providers/Microsoft.Storage/storageAccounts/{name}"


def collection_rule_id(facts: Facts) -> str:
    """Return the resource id of the data collection rule; where it was not found, by the template's naming."""
    if rule := facts.collection_rule:
        return rule.id
    known = _known(facts)
    named = f"dcr-{known['app'].removeprefix('func-')}" if known["app"].startswith("func-") else "DATA_COLLECTION_RULE"
    return f"{known['group_id']}/providers/Microsoft.Insights/dataCollectionRules/{named}"


def _azd(facts: Facts, *verb: str) -> Words | None:
    """Return a command of azd for its environment; None where there is none."""
    name = facts.places.azd_environment
    return ("azd", *verb, "--environment", name) if name else None


def _known(facts: Facts) -> dict[str, str]:
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
