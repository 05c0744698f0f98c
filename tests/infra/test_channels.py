"""Who is notified, channel by channel: what is deployed, what is refused, and that form and azd say the same."""

import json
import re
from typing import Any

import compiler
import pytest
from deployment import Deployment, Resource, azd, deployment, variant
from expressions import evaluate
from test_portal import FIELDS, FORM, handed_over

pytestmark = compiler.needed

SUBSCRIPTION = "/subscriptions/22222222-2222-4222-8222-222222222222"
GROUP = f"{SUBSCRIPTION}/resourceGroups/rg-ops/providers/Microsoft.Insights/actionGroups"
OPS, ON_CALL, DESK, RETAIL = (f"{GROUP}/{name}" for name in ("ag-ops", "ag-on-call", "ag-desk", "ag-retail"))
HOOK, FLOW = "https://example.com/hook", "https://example.com/flow?sig=abc"


def own(found: Deployment) -> Resource:
    return found.one("Microsoft.Insights/actionGroups")["properties"]


def notified(found: Deployment) -> dict[str, list[str]]:
    """The groups that each rule notifies, by their names; `own` is the deployment's."""
    mine = found.one("Microsoft.Insights/actionGroups")["name"]
    ids = {name: rule["actions"]["actionGroups"] for name, rule in found.alerts.items()}
    disabled = found.one("Microsoft.Insights/activityLogAlerts")["properties"]["actions"]["actionGroups"]
    ids["rule_disabled"] = [group["actionGroupId"] for group in disabled]
    return {
        rule: ["own" if (name := one.rpartition("/")[2]) == mine else name for one in groups]
        for rule, groups in ids.items()
    }


# Each channel


def test_an_e_mail_goes_to_each_address_in_the_common_schema():
    assert own(deployment("government"))["emailReceivers"] == [
        {"name": "email-1", "emailAddress": "intune@fabrikam.us", "useCommonAlertSchema": True},
        {"name": "email-2", "emailAddress": "on-call@fabrikam.us", "useCommonAlertSchema": True},
    ]


def test_only_the_addresses_are_notified_by_default():
    receivers = {name: value for name, value in own(deployment("public")).items() if name.endswith("Receivers")}
    assert {name for name, value in receivers.items() if value and not isinstance(value, str)} == {"emailReceivers"}
    assert {rule: groups for rule, groups in notified(deployment("public")).items() if groups != ["own"]} == {}
    for kind in ("Microsoft.Logic/workflows", "Microsoft.AlertsManagement/actionRules"):
        assert deployment("public").all(kind) == []


def test_text_messages_pushes_and_emails_go_to_each_number_account_and_member_of_a_role():
    found = own(
        variant(
            "param alertSmsNumbers = ['+1 5551234567', '+49 15112345678']\n"
            "param alertAppAccounts = ['on-call@contoso.com']\n"
            f"param alertRoles = [{', '.join(f"'{role}'" for role in ROLES)}]"
        )
    )
    assert found["smsReceivers"] == [
        {"name": "sms-1", "countryCode": "1", "phoneNumber": "5551234567"},
        {"name": "sms-2", "countryCode": "49", "phoneNumber": "15112345678"},
    ]
    assert found["azureAppPushReceivers"] == [{"name": "app-1", "emailAddress": "on-call@contoso.com"}]
    assert [(one["roleId"], one["useCommonAlertSchema"]) for one in found["armRoleReceivers"]] == [
        (role_id, True) for role_id in ROLES.values()
    ]


ROLES = {
    "Owner": "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
    "Contributor": "b24988ac-6180-42a0-ab88-20f7382dd24c",
    "Reader": "acdd72a7-3385-48ef-bd42-f606fba81ae7",
    "Monitoring Contributor": "749f88d5-cbae-40b8-bcfc-e573ddc772fa",
    "Monitoring Reader": "43d0d8ad-25c7-4714-9337-8ba259a9fe05",
}
"""https://learn.microsoft.com/azure/role-based-access-control/built-in-roles"""


def test_a_webhook_gets_the_common_schema():
    # The address is secure, so the compiler shows what is done with it and not what comes of it.
    receivers = own(variant(f"param alertWebhook = '{HOOK}'"))["webhookReceivers"]
    assert receivers.startswith("[if(empty(parameters('alertWebhook')), createArray(), ")
    assert "'serviceUri', parameters('webhook'), 'useCommonAlertSchema', true())" in receivers


def test_teams_gets_a_card_through_a_logic_app():
    found = variant(f"param teamsWebhook = '{FLOW}'")
    workflow = found.one("Microsoft.Logic/workflows")
    assert workflow["condition"] == "[not(empty(parameters('teamsWebhook')))]"
    parameters = workflow["properties"]["parameters"]
    assert parameters["webhook"] == {"value": "[parameters('teamsWebhook')]"}
    assert parameters["portalUrl"] == {"value": "https://portal.azure.com"}
    (trigger,) = workflow["properties"]["definition"]["triggers"]
    receivers = own(found)["logicAppReceivers"]
    assert f"'{trigger}'" in receivers
    assert "listCallbackUrl(" in receivers
    assert "'useCommonAlertSchema', true())" in receivers
    assert FLOW not in json.dumps(found.resources)


def test_existing_groups_hear_of_every_alert_or_of_those_of_one_severity():
    found = variant(
        f"param alertActionGroups = ['{OPS}']\nparam criticalActionGroups = ['{ON_CALL}', '{OPS}']\n"
        f"param warningActionGroups = ['{DESK}']"
    )
    critical, warning = ["own", "ag-ops", "ag-on-call"], ["own", "ag-ops", "ag-desk"]
    expected = {1: critical, 2: warning, 4: ["own", "ag-ops"]}
    by_severity = {name: expected[rule["severity"]] for name, rule in found.alerts.items()}
    assert notified(found) == by_severity | {"rule_disabled": critical}


def test_a_rule_notifies_five_groups_at_most():
    four = variant(f"param alertActionGroups = [{', '.join(f"'{GROUP}/{n}'" for n in range(4))}]")
    assert notified(four)["token_critical"] == ["own", "0", "1", "2", "3"]


def test_a_route_adds_a_group_to_the_alerts_of_some_tokens():
    found = variant(
        "param alertRoutes = [\n"
        f"  {{ text: 'Retail', actionGroupId: '{RETAIL}' }}\n  {{ text: 'Kiosk', actionGroupId: '{DESK}' }}\n"
        f"  {{ text: 'Retail', actionGroupId: '{ON_CALL}' }}\n]"
    )
    rules = {rule["properties"]["conditions"][1]["values"][0]: rule for rule in found.all(ACTION_RULES)}
    assert list(rules) == ["Retail", "Kiosk"]
    assert len({rule["name"] for rule in rules.values()}) == 2
    retail = rules["Retail"]["properties"]
    assert retail["actions"] == [{"actionType": "AddActionGroups", "actionGroupIds": [RETAIL, ON_CALL]}]
    assert retail["scopes"] == found.all("Microsoft.Insights/scheduledQueryRules")[0]["properties"]["scopes"]
    about_tokens = [
        rule["id"]
        for rule in found.all("Microsoft.Insights/scheduledQueryRules")
        if "TokenName" in json.dumps(rule["properties"]["criteria"]["allOf"][0]["dimensions"])
    ]
    assert len(about_tokens) == 2
    assert retail["conditions"] == [
        {"field": "AlertRuleId", "operator": "Equals", "values": about_tokens},
        {"field": "AlertContext", "operator": "Contains", "values": ["Retail"]},
    ]
    # The default group still hears of it: the alert rules are as without routes, and nothing removes a group.
    assert notified(found) == notified(deployment("public"))


ACTION_RULES = "Microsoft.AlertsManagement/actionRules"


def routes(text: str, group: str = RETAIL) -> str:
    return f"param alertRoutes = [{{ text: '{text}', actionGroupId: '{group}' }}]"


def groups(parameter: str, count: int, first: int = 0) -> str:
    return f"param {parameter} = [{', '.join(f"'{GROUP}/{n}'" for n in range(first, first + count))}]"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        *(
            (f"param alertSmsNumbers = ['{number}']", f'"{number}" in alertSmsNumbers is no number that Azure sends')
            for number in ("5551234567", "+1 ", "+1 555 1234567", "+999 5551234567")
        ),
        (groups("alertActionGroups", 5), "name at most four in alertActionGroups, not 5"),
        (
            f"{groups('alertActionGroups', 2)}\n{groups('criticalActionGroups', 3, 2)}",
            "name at most four in alertActionGroups and criticalActionGroups together, not 5",
        ),
        (
            f"{groups('alertActionGroups', 3)}\n{groups('warningActionGroups', 2, 3)}",
            "name at most four in alertActionGroups and warningActionGroups together, not 5",
        ),
        ("param alertActionGroups = ['ag-ops']", '"ag-ops" is no action group: write a resource id'),
        (routes("Retail", "ag-retail"), '"ag-retail" is no action group: write a resource id'),
        (routes("Connector"), '"Connector" in alertRoutes would match every alert or none'),
        (routes(" Retail"), '" Retail" in alertRoutes would match every alert or none'),
        (f"param alertGrouping = 'Connector'\n{routes('Retail')}", "alerts of alertGrouping Connector name none"),
        ("param alertRoles = ['Security Admin']", "'Security Admin'"),
        (routes("ab"), "Error BCP333"),
        (f"param alertSmsNumbers = [{', '.join(["'+1 5551234567'"] * 11)}]", "Error BCP332"),
    ],
)
@pytest.mark.sampled(5)
def test_what_azure_does_not_take_is_refused_with_a_sentence(wrong, sentence):
    with pytest.raises(AssertionError) as refusal:
        variant(wrong)
    assert sentence in str(refusal.value)


# The form


CHANNELS = [name for name, text in FORM["outputs"].items() if "steps('channels')" in text]


def test_the_form_and_azd_deploy_the_channels_that_a_parameter_file_does(monkeypatch):
    form = handed_over(
        alertSmsNumbers="+1 5551234567, +49 15112345678",
        alertAppAccounts="on-call@contoso.com , desk@contoso.com",
        alertRoles=["Owner", "Monitoring Reader"],
        teamsWebhook=FLOW,
        alertWebhook=HOOK,
        alertActionGroups=f"{OPS}, {DESK}",
        criticalActionGroups=ON_CALL,
        warningActionGroups=RETAIL,
        alertRoutes=[{"text": "Retail", "actionGroupId": RETAIL}],
    )
    handed = {name: form[name] for name in CHANNELS}
    assert handed == {
        "alertSmsNumbers": ["+1 5551234567", "+49 15112345678"],
        "alertAppAccounts": ["on-call@contoso.com", "desk@contoso.com"],
        "alertRoles": ["Owner", "Monitoring Reader"],
        "teamsWebhook": FLOW,
        "alertWebhook": HOOK,
        "alertActionGroups": [OPS, DESK],
        "criticalActionGroups": [ON_CALL],
        "warningActionGroups": [RETAIL],
        "alertRoutes": [{"text": "Retail", "actionGroupId": RETAIL}],
    }
    by_file = variant("\n".join(f"param {name} = {bicep(value)}" for name, value in handed.items()))
    environment = {
        "ALERT_SMS_NUMBERS": "+1 5551234567,+49 15112345678",
        "ALERT_APP_ACCOUNTS": "on-call@contoso.com, desk@contoso.com",
        "ALERT_ROLES": "Owner,Monitoring Reader",
        "TEAMS_WEBHOOK": FLOW,
        "ALERT_WEBHOOK": HOOK,
        "ALERT_ACTION_GROUPS": f"{OPS},{DESK}",
        "CRITICAL_ACTION_GROUPS": ON_CALL,
        "WARNING_ACTION_GROUPS": RETAIL,
        "ALERT_ROUTES": f"Retail={RETAIL}",
        "ALERT_EMAILS": "intune-admins@contoso.com",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    by_azd = azd()
    assert own(by_azd) == own(by_file)
    assert notified(by_azd) == notified(by_file)
    assert [rule["properties"]["actions"] for rule in by_azd.all(ACTION_RULES)] == [
        rule["properties"]["actions"] for rule in by_file.all(ACTION_RULES)
    ]


def bicep(value: Any) -> str:
    match value:
        case str():
            return f"'{value}'"
        case list():
            return f"[{', '.join(map(bicep, value))}]"
    return f"{{ {', '.join(f'{name}: {bicep(one)}' for name, one in value.items())} }}"


def complaint(name: str, values: dict[str, str]) -> str | None:
    """What the form says against a field's text, if anything."""
    constraints = FIELDS[name]["constraints"]
    checks = constraints.get("validations") or [constraints | {"message": constraints["validationMessage"]}]
    for check in checks:
        if "regex" in check and not re.search(check["regex"], values[name]):
            return check["message"]
        if "isValid" in check and not evaluate(check["isValid"][1:-1], {"steps": lambda _: values}):
            return check["message"]
    return None


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        (
            "alertSmsNumbers",
            ["", "+1 5551234567", "+49 15112345678,+971 501234567"],
            [
                "5551234567",
                "+999 5551234567",
                "+1 555-1234",
                "+1 5551234567;+1 5551234568",
                ",".join(["+1 5551234567"] * 11),
            ],
        ),
        ("alertAppAccounts", ["", "a@contoso.com, b@contoso.com"], ["a", ",".join(["a@contoso.com"] * 11)]),
        ("teamsWebhook", ["", FLOW], ["http://example.com", "flow"]),
        ("alertWebhook", ["", HOOK], ["http://example.com/hook"]),
        ("alertActionGroups", ["", OPS, f"{OPS}, {DESK}, {ON_CALL}, {RETAIL}"], ["ag-ops", ",".join([OPS] * 5)]),
        ("criticalActionGroups", ["", f"{OPS},{DESK}"], [f"{OPS};{DESK}", f"{OPS},{DESK},{ON_CALL}"]),
        ("warningActionGroups", ["", f"{OPS},{DESK}"], [HOOK, f"{OPS},{DESK},{ON_CALL}"]),
    ],
)
def test_the_form_refuses_what_the_deployment_would(name, good, bad):
    others = {"alertActionGroups": f"{GROUP}/1,{GROUP}/2"}
    for text in good:
        assert complaint(name, others | {name: text}) is None, text
    for text in bad:
        said = complaint(name, others | {name: text})
        assert said, text
        assert said.endswith(".")


def test_the_form_knows_the_country_codes_that_the_deployment_does():
    source = (compiler.INFRA / "modules" / "action-groups.bicep").read_text("utf-8")
    (codes,) = re.findall(r"'([\d,]{50,})'", source)
    taken = [
        code
        for code in map(str, range(1, 1000))
        if complaint("alertSmsNumbers", {"alertSmsNumbers": f"+{code} 12345"}) is None
    ]
    assert taken == sorted(codes.split(","), key=int)
