"""The commands that mend things, with what is known of the deployment filled in."""

import sys
from typing import Final

from cli.arm import CollectionRule
from cli.doctor.facts import Facts

GRANT: Final = "infra/grant-graph-role.sh"

_CLOCKS: Final = {"win32": ("w32tm", "/resync", "/force"), "darwin": ("sudo", "sntp", "-sS", "time.apple.com")}

type Words = tuple[str, ...]


def app_id(facts: Facts) -> str:
    """The app's resource id, or a word in its place."""
    return facts.places.value("FUNCTION_APP_ID") or "FUNCTION_APP_ID"


def group_id(facts: Facts) -> str:
    """That of the resource group."""
    return app_id(facts).partition("/providers/")[0] if facts.places.get("FUNCTION_APP_ID") else "RESOURCE_GROUP_ID"


def sign_in(facts: Facts) -> Words:
    """Sign in to the right tenant."""
    tenant = facts.places.value("TENANT_ID")
    return ("az", "login", *(("--tenant", tenant) if tenant else ()))


def provision(facts: Facts) -> Words:
    """Deploy the infrastructure again."""
    name = facts.places.azd_environment
    if name:
        return "azd", "provision", "--environment", name
    group = facts.places.value("RESOURCE_GROUP") or group_id(facts).rpartition("/")[2]
    words = ("az", "deployment", "group", "create", "--resource-group", group)
    return (*words, "--parameters", "YOUR_PARAMETERS.bicepparam")


def refresh(facts: Facts) -> Words:
    """Have azd note again what the deployment put out."""
    name = facts.places.azd_environment
    return "azd", "env", "refresh", *(("--environment", name) if name else ())


def deploy(facts: Facts) -> Words:
    """Deploy the code again."""
    name = facts.places.azd_environment
    if name:
        return "azd", "deploy", "--environment", name
    group, app = group_id(facts).rpartition("/")[2], app_id(facts).rpartition("/")[2]
    return "python", "infra/deploy_code.py", "--resource-group", group, "--name", app


def set_settings(facts: Facts, **values: str) -> Words:
    """Change app settings."""
    pairs = (f"{name}={value}" for name, value in values.items())
    return "az", "functionapp", "config", "appsettings", "set", "--ids", app_id(facts), "--settings", *pairs


def of_app(facts: Facts, *verb: str) -> Words:
    """`az functionapp VERB` of the app."""
    return "az", "functionapp", *verb, "--ids", app_id(facts)


def grant(principal_id: str | None, *, events: bool) -> Words:
    """Grant the Graph role."""
    words = (GRANT, "--principal-id", principal_id or "IDENTITY_PRINCIPAL_ID")
    return (*words, "--enrollment-events") if events else words


def take_back(facts: Facts, principal_id: str, grant_id: str) -> Words:
    """Take a Graph role from somebody."""
    graph = facts.setting("GRAPH_ENDPOINT") or "https://graph.microsoft.com"
    url = f"{graph}/v1.0/servicePrincipals/{principal_id}/appRoleAssignments/{grant_id}"
    return "az", "rest", "--method", "delete", "--url", url


def assign(role: str, assignee: Words, scope: str) -> Words:
    """Give somebody a role in Azure."""
    return "az", "role", "assignment", "create", "--role", role, *assignee, "--scope", scope


def principal(principal_id: str | None) -> Words:
    """The app's identity as somebody who is given a role."""
    return (
        "--assignee-object-id",
        principal_id or "IDENTITY_PRINCIPAL_ID",
        "--assignee-principal-type",
        "ServicePrincipal",
    )


def storage_account_id(facts: Facts) -> str:
    """The resource id of the account that the tables are in, which lies in the app's resource group."""
    host = (facts.places.value("TABLES_ENDPOINT") or "").partition("//")[2].partition("/")[0]
    name = host.partition(".")[0] if ".table." in host else "STORAGE_ACCOUNT"
    return f"{group_id(facts)}/providers/Microsoft.Storage/storageAccounts/{name}"


def collection_rule_id(facts: Facts, rule: CollectionRule | None) -> str:
    """The resource id of the data collection rule; where it was not found, by the template's way of naming."""
    if rule:
        return rule.id
    name = app_id(facts).rpartition("/")[2]
    named = f"dcr-{name.removeprefix('func-')}" if name.startswith("func-") else "DATA_COLLECTION_RULE"
    return f"{group_id(facts)}/providers/Microsoft.Insights/dataCollectionRules/{named}"


def set_clock() -> Words:
    """Set this machine's clock."""
    return _CLOCKS.get(sys.platform, ("sudo", "timedatectl", "set-ntp", "true"))
