"""What Azure would send of an alert: the payload, the subject of the mail, and whose silence it falls under."""

import json
import re

import pytest
from builders import ADE, APNS, CRITICAL, DAY, HEALTHY_TOKENS, NOTHING, NOW, VPP, ade, apns, at, judged, vpp

from shared.guidance.catalogue import CATALOGUE
from shared.guidance.guidance import Guidance
from shared.model.tokens import Code, Finding
from shared.storage.rows import finding_rows
from simulator.mail import payload, subject
from simulator.rules import RULES, RULES_BY_CONNECTOR, Event, alert_of

RULE = {rule.name: rule for rule in RULES}
CRITICAL_RULE = RULE["token_critical"]
PHONE = 62
"""Characters of a subject that a phone shows before a mail is opened."""


def event_of(rule, kind="fired", **dimensions):
    values = [dimensions.get(name, f"the {name}") for name in rule.dimensions]
    return Event(kind, alert_of(rule, values), NOW + (DAY if kind == "resolved" else NOTHING), NOW)


# --- the payload


@pytest.mark.parametrize(
    "rule", dict.fromkeys((*RULES, *RULES_BY_CONNECTOR)), ids=lambda rule: f"{rule.name}-{len(rule.dimensions)}"
)
@pytest.mark.parametrize("kind", ["fired", "resolved"])
def test_the_payload_is_that_of_a_log_alert_in_the_common_schema(rule, kind):
    rule = rule._replace(description="What it says.", properties=(("Runbook", "https://docs"),))
    sent = json.loads(json.dumps(payload(rule, event_of(rule, kind))))
    assert (set(sent), sent["schemaId"]) == ({"schemaId", "data"}, "azureMonitorCommonAlertSchema")
    essentials, context = sent["data"]["essentials"], sent["data"]["alertContext"]
    assert essentials["severity"] == f"Sev{rule.severity}"
    assert (essentials["signalType"], essentials["monitoringService"]) == ("Log", "Log Alerts V2")
    assert (essentials["monitorCondition"], essentials["description"]) == (kind.capitalize(), "What it says.")
    assert essentials["firedDateTime"] == "2026-11-23T06:07:00.0000000Z"
    assert essentials.get("resolvedDateTime") == ("2026-11-24T06:07:00.0000000Z" if kind == "resolved" else None)
    assert context["conditionType"] == "LogQueryCriteria"
    (criterion,) = context["condition"]["allOf"]
    assert [one["name"] for one in criterion["dimensions"]] == list(rule.dimensions)
    assert context["properties"] == sent["data"]["customProperties"] == {"Runbook": "https://docs"}


def test_the_resolved_alert_is_the_one_that_fired():
    told = [
        payload(CRITICAL_RULE, event_of(CRITICAL_RULE, kind))["data"]["essentials"] for kind in ("fired", "resolved")
    ]
    assert told[0]["alertId"] == told[1]["alertId"]


# --- the subject


def test_a_subject_is_filled_from_the_payload_by_the_paths_of_its_template():
    told = event_of(CRITICAL_RULE, "resolved", TokenName="Contoso Retail", Condition="expired 2026-11-20")
    assert subject(CRITICAL_RULE, told) == "Critical: Contoso Retail: expired 2026-11-20 (Resolved)"
    with pytest.raises(LookupError):
        subject(CRITICAL_RULE._replace(subject="${data.essentials.severities}"), told)
    with pytest.raises(LookupError):
        subject(CRITICAL_RULE._replace(subject="${data.alertContext.condition.allOf[0].dimensions[6].value}"), told)


def test_a_name_that_looks_like_a_template_is_not_filled():
    told = event_of(CRITICAL_RULE, TokenName="${data.essentials.alertId}", Condition="invalid")
    assert subject(CRITICAL_RULE, told) == "Critical: ${data.essentials.alertId}: invalid (Fired)"


SHOWN = [(code, connector) for code, topic in CATALOGUE.findings.items() for connector in topic.entries]


@pytest.mark.parametrize(("code", "connector"), SHOWN)
def test_a_phone_shows_severity_token_and_condition_of_every_finding(code, connector):
    """What follows the condition proper is the time of the last sync, until when an event is reported, and the step."""
    token = HEALTHY_TOKENS[connector](name="Contoso Retail Paris")  # 20 characters
    facts = {"code": 17} if connector is ADE else {"status": "failed"}
    finding = Finding(code=code, severity=CRITICAL, since=NOW, until=NOW + 30 * DAY, facts=facts)
    for tier in (None, "7 days or less", "30 days or more"):
        condition = Guidance().condition(token, finding, tier)
        told = subject(CRITICAL_RULE, event_of(CRITICAL_RULE, TokenName=token.name, Condition=condition))
        proper = re.split(r" since \S+ \S+ UTC|, reported until| \(\d", condition)[0]
        assert f"Critical: {token.name}: {proper}" in told[:PHONE]
        assert told.endswith(f"{condition} (Fired)")
        assert "unknown" not in proper
        if code in {Code.EXPIRED, Code.EXPIRING}:
            assert re.search(r"\d{4}-\d\d-\d\d", told[:PHONE])


# --- silence

OTHER = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.mark.parametrize("connector", [ADE, APNS, VPP])
@pytest.mark.parametrize("name", [OTHER, OTHER.upper(), f"x{OTHER}x", "my push-certificate", "PUSH-CERTIFICATE"])
def test_an_alert_names_no_token_but_its_own_by_id(connector, name):
    """`infra/snooze-token.sh` silences the alerts whose context contains a token's id, in any case of letters."""
    made = {ADE: ade, APNS: apns, VPP: vpp}[connector](name=name, expires_on=NOW - DAY)
    (status,) = judged(at(NOTHING, made))[-1].statuses
    (row,) = finding_rows(status, "tenant", "this-deployment", Guidance())
    told = event_of(CRITICAL_RULE, **{name: row[name] for name in CRITICAL_RULE.dimensions})
    context = json.dumps(payload(CRITICAL_RULE, told)["data"]["alertContext"]).casefold()
    assert context.count(made.id) == 1
    others = {OTHER, "push-certificate"} - {made.id}
    assert [other for other in others if other in context] == []


def test_the_name_of_a_token_without_a_finding_is_published_the_same_way():
    (status,) = judged(at(NOTHING, ade(name=f"https://evil.example/{OTHER}")))[-1].statuses
    (row,) = finding_rows(status, "tenant", "this-deployment", Guidance())
    assert row["TokenName"] == "https: //evil .example/0f8fad5b d9cb 469f a165 70867728950e"
