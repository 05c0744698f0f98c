"""The alert rules that would be deployed: what they say of themselves, whom they tell, and when they look."""

import re
from datetime import UTC, datetime, timedelta

import compiler
import msgspec
import pytest
from deployment import EXAMPLES, INFRA, deployment

from simulator.rules import RULES, RULES_BY_CONNECTOR

pytestmark = compiler.needed

GROUPED = {"public": RULES, "government": RULES, "china": RULES_BY_CONNECTOR}
DEPLOYED = datetime(2026, 11, 23, 8, tzinfo=UTC)


@pytest.fixture(params=EXAMPLES)
def example(request: pytest.FixtureRequest) -> str:
    return request.param


SEVERITIES = {"token_critical": 1, "token_warning": 2, "check_failing": 2, "check_silent": 1}


def test_the_rules_are_the_four_with_their_severities(example):
    assert {name: rule["severity"] for name, rule in deployment(example).alerts.items()} == SEVERITIES


def test_the_deployed_rules_are_those_that_the_model_evaluates(example):
    assert deployment(example).rules == tuple(rule.deployed(DEPLOYED) for rule in GROUPED[example])


@pytest.mark.parametrize("rule", SEVERITIES)
def test_a_rule_is_stateful_and_sees_two_days_every_quarter_of_an_hour(example, rule):
    found = deployment(example).alerts[rule]
    assert (found["evaluationFrequency"], found["windowSize"]) == ("PT15M", "P2D")
    assert found["autoMitigate"] is True
    assert not {"muteActionsDuration", "resolveConfiguration", "overrideQueryTimeRange"} & set(found)
    assert found["skipQueryValidation"] is True
    (condition,) = found["criteria"]["allOf"]
    assert condition["failingPeriods"] == {"numberOfEvaluationPeriods": 1, "minFailingPeriodsToAlert": 1}
    measured = (condition["timeAggregation"], condition["metricMeasureColumn"], condition["operator"])
    assert (*measured, condition["threshold"]) == ("Total", "Tokens", "GreaterThan", 0)
    assert all((d["operator"], d["values"]) == ("Include", ["*"]) for d in condition["dimensions"])


def test_a_window_holds_two_schedules_and_the_retries(example):
    """An hourly check that is missed once, and the next one's two retries, lie within every rule's window."""
    minute, hours = deployment(example).settings["CHECK_SCHEDULE"].split()[1:3]
    assert (minute.isdigit(), hours) == (True, "*")
    for properties in deployment(example).alerts.values():
        window = msgspec.convert(properties["windowSize"], timedelta)
        frequency = msgspec.convert(properties["evaluationFrequency"], timedelta)
        assert 2 * timedelta(hours=1) + timedelta(minutes=15) <= window <= timedelta(days=2)
        assert timedelta(minutes=5) <= frequency <= timedelta(hours=1)


def test_an_alert_reads_well_on_a_phone(example):
    for name, rule in deployment(example).alerts.items():
        subject = rule["actions"]["actionProperties"]["Email.Subject"]
        (condition,) = rule["criteria"]["allOf"]
        places = re.findall(r"\$\{data\.alertContext\.condition\.allOf\[0\]\.dimensions\[(\d)\]\.value\}", subject)
        shown = [condition["dimensions"][int(place)]["name"] for place in places]
        told = {"token_critical", "token_warning"}
        by_token = ["TokenName", "Condition"] if GROUPED[example] is RULES else ["Connector", "Finding", "Tier"]
        assert shown == (by_token if name in told else ["Connector"] if name == "check_failing" else [])
        assert subject.startswith("Critical: " if rule["severity"] == 1 else "Warning: ")
        assert subject.endswith(" (${data.essentials.monitorCondition})")
        assert len(re.sub(r"\$\{[^}]*\}", "", subject)) <= 80
        assert len(rule["description"]) <= 4096


def test_severity_token_and_condition_stand_at_the_beginning_of_a_subject():
    (rule,) = [rule for rule in RULES if rule.name == "token_critical"]
    told = {"TokenName": "Contoso Retail", "Condition": "expires 2026-12-02 (7 days or less)"}
    subject = rule.headed(dict.fromkeys(rule.dimensions, "-") | told, "Resolved")
    assert subject == "Critical: Contoso Retail: expires 2026-12-02 (7 days or less) (Resolved)"
    assert len(subject.removesuffix(" (Resolved)")) <= 62
    longest = rule.headed(dict.fromkeys(rule.dimensions, "-") | told | {"TokenName": "x" * 20}, "Fired")
    assert "expires 2026-12-02" in longest[:62]


def test_a_runbook_is_a_page_that_exists(example):
    for rule in deployment(example).alerts.values():
        url = rule["actions"]["customProperties"]["Runbook"]
        assert rule["description"].endswith(f" {url}")
        path, _, anchor = url.partition("/blob/main/")[2].partition("#")
        text = (INFRA.parent / path).read_text("utf-8")
        assert not anchor or f'<a id="{anchor}"></a>' in text


def test_everybody_is_told_in_the_common_schema():
    group = deployment("government").one("Microsoft.Insights/actionGroups")["properties"]
    assert [(mail["emailAddress"], mail["useCommonAlertSchema"]) for mail in group["emailReceivers"]] == [
        ("intune@fabrikam.us", True),
        ("on-call@fabrikam.us", True),
    ]
    assert len({mail["name"] for mail in group["emailReceivers"]}) == 2
    assert 1 <= len(group["groupShortName"]) <= 12
    # The address is secure, so the compiler shows what is done with it and not what comes of it.
    assert group["webhookReceivers"].startswith("[if(empty(parameters('webhook')), createArray(), ")
    assert "'serviceUri', parameters('webhook'), 'useCommonAlertSchema', true())" in group["webhookReceivers"]


def test_every_alert_goes_to_the_action_group(example):
    found = deployment(example)
    group = found.one("Microsoft.Insights/actionGroups")["id"]
    assert {tuple(rule["actions"]["actionGroups"]) for rule in found.alerts.values()} == {(group,)}
    disabled = found.one("Microsoft.Insights/activityLogAlerts")["properties"]
    assert disabled["actions"] == {"actionGroups": [{"actionGroupId": group}]}


def test_a_rule_that_azure_disables_is_told_of(example):
    disabled = deployment(example).one("Microsoft.Insights/activityLogAlerts")["properties"]
    assert disabled["enabled"] is True
    assert {(one["field"], one["equals"]) for one in disabled["condition"]["allOf"]} == {
        ("category", "Administrative"),
        ("operationName", "Microsoft.Insights/scheduledQueryRules/disable/action"),
    }
