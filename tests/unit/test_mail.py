"""What Azure would send of an alert: the payload, the subject of the mail, and whose silence it falls under."""

import json
import re

import duckdb_kql
import pytest
from builders import HEALTHY_TOKENS, a_status, a_step, ade, apns, at, fired, judged, vpp
from msgspec.structs import replace
from terms import ADE, APNS, CRITICAL, DAY, NOTHING, NOW, VPP

from shared.guidance.catalogue import CATALOGUE
from shared.guidance.guidance import Guidance
from shared.model.tokens import Code, Finding
from shared.publishing.rows import FINDINGS, RUNS, finding_rows
from simulator.host import ROOT
from simulator.mail import payload, subject
from simulator.rules import (
    EXAMPLE_DEPLOYMENT,
    RULES,
    RULES_BY_CONNECTOR,
    AlertEngine,
    Event,
    alert_of,
    create_tables,
    insert,
)

RULE = {rule.name: rule for rule in RULES}
CRITICAL_RULE = RULE["token_critical"]
PHONE = 62
"""Characters of a subject that a phone shows before a mail is opened."""
LONGEST = 128
"""Characters at which an older API cut a subject, so that nobody would know what was resolved."""


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


# --- the subject


def test_a_subject_is_filled_from_the_payload_by_the_paths_of_its_template():
    event = event_of(CRITICAL_RULE, "resolved", Condition="Contoso Retail: expired 2026-11-20")
    assert subject(CRITICAL_RULE, event) == "Critical: Contoso Retail: expired 2026-11-20 (Resolved)"
    with pytest.raises(LookupError):
        subject(CRITICAL_RULE._replace(subject="${data.essentials.severities}"), event)
    with pytest.raises(LookupError):
        subject(CRITICAL_RULE._replace(subject="${data.alertContext.condition.allOf[0].dimensions[6].value}"), event)


def test_a_name_that_resembles_a_template_is_not_filled():
    event = event_of(CRITICAL_RULE, Condition="${data.essentials.alertId}: invalid")
    assert subject(CRITICAL_RULE, event) == "Critical: ${data.essentials.alertId}: invalid (Fired)"


SHOWN = [(code, connector) for code, topic in CATALOGUE.findings.items() for connector in topic.entries]
NAMES = ["Contoso Retail", "Contoso Retail Paris", "Contoso Retail iPads of North America (3f8313bb)"]
"""Of 14, of 20 and of far more characters."""


@pytest.fixture(scope="module")
def subjects():
    """The subject of every step by finding, connector, name and condition."""

    def status(code, connector, name):
        token = HEALTHY_TOKENS[connector](name=name, id=name)
        facts = {"code": 17} if connector is ADE else {"status": "failed"}
        finding = Finding(code=code, severity=CRITICAL, since=NOW, until=NOW + 30 * DAY, facts=facts, name=name)
        tiers = (None, "7 days or less", "30 days or more")
        steps = [a_step(tier or "begun", CRITICAL, Guidance().condition(token, finding, tier)) for tier in tiers]
        return a_status(token, replace(finding, steps=tuple(steps)))

    found = {}
    for event in fired(CRITICAL_RULE, *(status(*shown, name) for shown in SHOWN for name in NAMES)):
        name, _, connector, code, condition, _ = event.alert.dimensions.values()
        found[code, connector, name, condition.rpartition(": ")[2]] = subject(CRITICAL_RULE, event)
    return found


@pytest.mark.parametrize(("code", "connector"), SHOWN)
def test_a_phone_shows_severity_token_and_condition_of_every_finding(subjects, code, connector):
    """What follows the condition proper is the time of the last sync, until when an event is reported, and the step."""
    found = [(*of[2:], line) for of, line in subjects.items() if of[:2] == (code, connector)]
    assert len(found) == 3 * len(NAMES)
    for name, condition, line in found:
        assert line.endswith(f": {condition} (Fired)")
        assert len(line) <= LONGEST
        proper = re.split(r" since \S+ \S+ UTC|, reported until| \(\d", condition)[0]
        assert "unknown" not in proper
        if len(name) <= 20:
            assert f"Critical: {name}: {proper}" in line[:PHONE]
        if code in {Code.EXPIRED, Code.EXPIRING}:
            assert re.search(r"\d{4}-\d\d-\d\d$", proper)
            assert proper in line[:PHONE]


def test_a_long_name_loses_its_middle_in_the_subject(subjects):
    line = subjects[Code.EXPIRED, ADE, NAMES[-1], "expired 2027-06-11"]
    assert line == "Critical: Contoso Retail iPad…(3f8313bb): expired 2027-06-11 (Fired)"


# --- how many


@pytest.mark.parametrize(("renewed", "emails"), [(8.5, 5), (400, 17)])
def test_a_renewal_sends_as_many_emails_as_the_documents_state(renewed, emails):
    days = [day for day in (-50, -20, -4, 3, 8, *range(9, 400, 30)) if day < renewed]
    expiries = {**dict.fromkeys(days, NOW + 9 * DAY), renewed: NOW + 765 * DAY}
    moments = [
        at(day * DAY, ade(expires_on=expiry, last_successful_sync=NOW + day * DAY)) for day, expiry in expiries.items()
    ]
    kinds = []
    with duckdb_kql.connect() as con:
        create_tables(con)
        engine = AlertEngine(con, [rule._replace(clean=1) for rule in RULES if rule.name.startswith("token_")])
        for judgement in judged(*moments)[-2:]:
            (status,) = judgement.statuses
            rows = list(finding_rows(status, "tenant", EXAMPLE_DEPLOYMENT, Guidance()))
            insert(con, FINDINGS.name, rows)
            run = {"TimeGenerated": rows[0]["TimeGenerated"], "RunId": rows[0]["RunId"], "Rows": len(rows)}
            insert(
                con, RUNS.name, [run | {"Deployment": EXAMPLE_DEPLOYMENT, "Connector": "all", "Outcome": "succeeded"}]
            )
            kinds += [event.kind for event in engine.evaluate(status.checked_on)]
    assert kinds == ["fired"] * emails + ["resolved"] * emails
    assert f"**{emails}**" in (ROOT / "docs" / "alerts.md").read_text("utf-8")


# --- silence

OTHER = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.mark.parametrize("connector", [ADE, APNS, VPP])
@pytest.mark.parametrize("name", [OTHER, OTHER.upper(), f"x{OTHER}x", "my push-certificate", "PUSH-CERTIFICATE"])
def test_an_alert_names_no_token_but_its_own_by_id(connector, name):
    """`infra/snooze-token.sh` silences the alerts whose context contains a token's id, in any case of letters."""
    made = {ADE: ade, APNS: apns, VPP: vpp}[connector](name=name, expires_on=NOW - DAY)
    (status,) = judged(at(NOTHING, made))[-1].statuses
    (alert,) = fired(CRITICAL_RULE, status)
    context = json.dumps(payload(CRITICAL_RULE, alert)["data"]["alertContext"]).casefold()
    assert context.count(made.id) == 1
    others = {OTHER, "push-certificate"} - {made.id}
    assert [other for other in others if other in context] == []
