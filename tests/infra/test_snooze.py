"""infra/snooze-token.sh, run against a stand-in for the Azure CLI (fake_az.py)."""

import re

import pytest

from shared.model.tokens import PUSH_CERTIFICATE_ID
from tests.infra.desk import GROUP, INFRA, SUBSCRIPTION, TENANT, TOKEN, WORKSPACE, alert_rules

SNOOZE = ("--token-id", TOKEN, "--until", "2026-12-01T08:00", "--resource-group", "rg-tokens")


ALERT_RULES = [
    f"{GROUP}/providers/Microsoft.Insights/scheduledQueryRules/tokens-{n}" for n in ("token_critical", "token_warning")
]


def test_one_token_is_silenced_until_an_instant(desk):
    said = desk.run("snooze-token.sh", *SNOOZE)
    assert said.status == 0, said.err
    rule = desk.state["rules"][f"snooze-{TOKEN}"]
    assert {key: rule[key] for key in ("location", "properties")} == {
        "location": "Global",
        "properties": {
            "scopes": [WORKSPACE],
            "conditions": [
                {"field": "AlertRuleId", "operator": "Equals", "values": ALERT_RULES},
                {"field": "AlertContext", "operator": "Contains", "values": [TOKEN]},
            ],
            "schedule": {"effectiveUntil": "2026-12-01T08:00:00", "timeZone": "UTC"},
            "actions": [{"actionType": "RemoveAllActionGroups"}],
            "description": f"Silences the alerts of the Apple token {TOKEN}.",
            "enabled": True,
        },
    }
    assert rule["id"] == f"{GROUP}/providers/Microsoft.AlertsManagement/actionRules/snooze-{TOKEN}"


@pytest.mark.parametrize(
    ("subscription", "home"),
    [(SUBSCRIPTION, GROUP), (TENANT, f"/subscriptions/{TENANT}/resourceGroups/rg-logs")],
    ids=["of the group's subscription", "of another subscription"],
)
def test_a_snooze_covers_the_workspace_wherever_it_is_and_is_found_again(desk, subscription, home):
    """Alerts fire on the workspace, and an alert processing rule has to be in the subscription of its scope."""
    logs = f"/subscriptions/{subscription}/resourceGroups/rg-logs"
    central = f"{logs}/providers/Microsoft.OperationalInsights/workspaces/log-central"
    desk.state["alert_rules"] = alert_rules(central)
    assert desk.run("snooze-token.sh", *SNOOZE).status == 0
    rule = desk.state["rules"][f"snooze-{TOKEN}"]
    assert rule["properties"]["scopes"] == [central]
    assert rule["id"] == f"{home}/providers/Microsoft.AlertsManagement/actionRules/snooze-{TOKEN}"
    assert TOKEN in desk.run("snooze-token.sh", "--list", "--resource-group", "rg-tokens").out
    assert desk.run("snooze-token.sh", "--remove", "--token-id", TOKEN, "--resource-group", "rg-tokens").status == 0
    processing = [call for call in desk.calls if "actionRules" in call]
    assert [call for call in processing if f"--url {home}/" not in call] == []
    assert desk.state["rules"] == {}


def test_two_deployments_of_a_group_are_silenced_alike(desk):
    other = WORKSPACE.replace("log-tokens", "log-test")
    desk.state["alert_rules"] += [one | {"id": f"{one['id']}-test"} for one in alert_rules(other)]
    assert desk.run("snooze-token.sh", *SNOOZE).status == 0
    properties = desk.state["rules"][f"snooze-{TOKEN}"]["properties"]
    assert properties["scopes"] == [WORKSPACE, other]
    assert properties["conditions"][0]["values"] == [*ALERT_RULES, *(f"{rule}-test" for rule in ALERT_RULES)]


@pytest.mark.parametrize("rules", [[], alert_rules(WORKSPACE, "byConnector")], ids=["none", "Connector"])
def test_a_group_whose_alerts_name_no_token_is_refused_since_nothing_would_be_silenced(desk, rules):
    desk.state["alert_rules"] = rules
    said = desk.run("snooze-token.sh", *SNOOZE)
    assert (said.status, desk.changes) == (1, [])
    assert "No alert rule of rg-tokens names a token" in said.err


def test_it_prints_how_to_remove_the_rule_and_that_works(desk):
    said = desk.run("snooze-token.sh", *SNOOZE).out
    command = re.search(r"^ +infra/snooze-token\.sh (.+)$", said, re.MULTILINE)[1]
    assert desk.run("snooze-token.sh", *command.split()).status == 0
    assert desk.state["rules"] == {}


def test_no_query_of_a_rule_holds_the_push_certificates_id_since_alerts_hold_their_query():
    for query in (INFRA / "queries").glob("*.kql"):
        assert PUSH_CERTIFICATE_ID not in query.read_text()


def test_said_again_it_moves_the_instant(desk):
    desk.run("snooze-token.sh", *SNOOZE)
    desk.run("snooze-token.sh", *(argument.replace("12-01", "12-09") for argument in SNOOZE))
    assert len(desk.state["rules"]) == 1
    schedule = desk.state["rules"][f"snooze-{TOKEN}"]["properties"]["schedule"]
    assert schedule["effectiveUntil"] == "2026-12-09T08:00:00"


@pytest.mark.parametrize("zone", ["W. Europe Standard Time", "UTC+12", "Central Standard Time (Mexico)"])
def test_another_time_zone_and_name_are_taken(desk, zone):
    assert desk.run("snooze-token.sh", *SNOOZE, "--timezone", zone, "--name", "holiday_1").status == 0
    assert desk.state["rules"]["holiday_1"]["properties"]["schedule"]["timeZone"] == zone


@pytest.mark.parametrize(
    "token", ["*", "ade", "push", f"{TOKEN[:-1]}", f"{TOKEN}*", f'{TOKEN[:-1]}"', f"{TOKEN}\n", TOKEN * 2]
)
def test_what_is_no_tokens_id_is_refused_since_the_filter_would_silence_more(desk, token):
    said = desk.run("snooze-token.sh", "--token-id", token, *SNOOZE[2:])
    assert (said.status, desk.calls) == (1, [])
    assert "A token's ID is a GUID, or push-certificate" in said.err


def test_the_subscriptions_id_is_refused_since_every_alert_holds_it(desk):
    said = desk.run("snooze-token.sh", "--token-id", SUBSCRIPTION, *SNOOZE[2:])
    assert (said.status, desk.state["rules"]) == (1, {})
    assert "every alert contains" in said.err


@pytest.mark.parametrize(
    ("until", "zone", "taken"),
    [
        ("2026-11-23T10:21", "UTC", True),
        ("2026-11-23T10:20", "UTC", False),
        ("2027-01-01T00:00", "UTC", True),
        ("2028-02-29T09:08", "UTC", True),
        # The day's latest zone is 12 hours behind UTC.
        ("2026-11-22T22:21", "Hawaiian Standard Time", True),
        ("2026-11-22T22:19", "Hawaiian Standard Time", False),
    ],
)
def test_the_instant_lies_in_the_future(desk, until, zone, taken):
    said = desk.run("snooze-token.sh", *SNOOZE[:3], until, *SNOOZE[4:], "--timezone", zone)
    assert said.status == (0 if taken else 1), said.err
    assert bool(desk.state["rules"]) == taken
    assert taken or "has to lie in the future" in said.err


@pytest.mark.parametrize("until", ["2026-12-01", "2026-12-01T08:00Z", '2026-12-01T08:00"'])
def test_an_instant_in_another_form_is_refused_with_an_example(desk, until):
    said = desk.run("snooze-token.sh", *SNOOZE[:3], until, *SNOOZE[4:])
    assert (said.status, desk.calls) == (1, [])
    assert "2026-12-01T08:00;" in said.err


@pytest.mark.parametrize(
    ("option", "value"), [("--timezone", "Europe/Berlin"), ("--timezone", 'UTC"'), ("--name", "a/b"), ("--name", "a?b")]
)
def test_what_would_break_out_of_the_request_is_refused(desk, option, value):
    said = desk.run("snooze-token.sh", *SNOOZE, option, value)
    assert (said.status, desk.calls) == (1, [])
    assert option in said.err


def test_the_list_reports_token_instant_and_rule(desk):
    desk.run("snooze-token.sh", *SNOOZE, "--timezone", "W. Europe Standard Time")
    desk.state["rules"]["other"] = {
        "name": "other",
        "properties": {"conditions": [{"field": "Severity", "values": ["0"]}]},
    }
    desk.state["rules"]["route"] = {
        "name": "route",
        "properties": {
            "conditions": [{"field": "AlertContext", "values": ["Retail"]}],
            "actions": [{"actionType": "AddActionGroups", "actionGroupIds": ["ag-retail"]}],
        },
    }
    said = desk.run("snooze-token.sh", "--list", "--resource-group", "rg-tokens")
    assert said.status == 0
    heading, *lines = said.out.splitlines()
    assert heading.split() == ["Token", "Until", "Time", "zone", "Rule"]
    assert [re.split(r"  +", line) for line in lines] == [
        [TOKEN, "2026-12-01T08:00:00", "W. Europe Standard Time", f"snooze-{TOKEN}"]
    ]


def test_an_empty_list_says_none(desk):
    assert "none" in desk.run("snooze-token.sh", "--list", "--resource-group", "rg-tokens").out


@pytest.mark.parametrize("which", [("--token-id", TOKEN), ("--name", f"snooze-{TOKEN}")])
def test_a_snooze_is_removed_by_token_or_name(desk, which):
    desk.run("snooze-token.sh", *SNOOZE)
    said = desk.run("snooze-token.sh", "--remove", *which, "--resource-group", "rg-tokens")
    assert said.status == 0, said.err
    assert desk.state["rules"] == {}


def test_removing_a_missing_rule_is_an_error(desk):
    said = desk.run("snooze-token.sh", "--remove", "--token-id", TOKEN, "--resource-group", "rg-tokens")
    assert (said.status, desk.changes) == (1, [])
    assert "There is no alert processing rule" in said.err


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("sign-in", "run 'az login'"),
        ("az", "The Azure CLI, az, is missing"),
        ("group", "The resource group rg-tokens was not found"),
        ("right", "Monitoring Contributor"),
    ],
)
def test_what_keeps_it_from_silencing_is_said(desk, fault, said):
    if fault == "sign-in":
        desk.state["accounts"] = []
    if fault == "az":
        (desk.bin / "az").unlink()
    if fault == "group":
        desk.state["groups"] = []
    if fault == "right":
        desk.fault("--method put", 'Forbidden({"error":{"code":"AuthorizationFailed"}})')
    refused = desk.run("snooze-token.sh", *SNOOZE)
    assert refused.status == 1
    assert said in refused.err
