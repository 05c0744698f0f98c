"""`test-alert`: one alert fires and resolves, and no other changes."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from cli_scene import ade, now
from operators import Operator

import cli.alert
from shared.words import next_tick
from simulator import arm, bearer, faults, rules
from tests.scenes import DAY, HOUR, MINUTE

OPEN = ("token_critical", "TEST", "test")
SOON = timedelta(seconds=5)


@pytest.fixture
def operator(simulator):
    simulator.reset()
    return Operator(simulator)


def sent(operator):
    return [row for row in operator.sim.log_rows("AppleTokenFinding_CL") if row["Connector"] == "test"]


# What comes of it


def test_it_fires_until_the_next_complete_check_and_changes_no_real_alert(operator):
    tokens = ade("Contoso Labs", expires=3 * DAY), ade("Contoso Retail", expires=20 * DAY)
    operator.check(*tokens, ago=HOUR)
    real = operator.alerts()
    before = operator.kept()
    done = operator.run("test-alert", "--now")
    assert done.returncode == 0, done
    assert operator.alerts(SOON) == sorted([*real, OPEN])
    after = operator.kept()
    finding = "AppleTokenFinding_CL"
    assert {name: rows for name, rows in after.items() if name != finding} == {
        name: rows for name, rows in before.items() if name != finding
    }
    assert [row for row in after[finding] if row["Connector"] != "test"] == before[finding]
    (row,) = sent(operator)
    assert (row["TokenName"], row["TokenId"], row["Finding"], row["Severity"]) == ("TEST", "TEST", "test", "critical")
    assert row["CausedBy"] == "none"
    assert "This is a test" in row["Action"]
    assert "This is a test" in row["Summary"]
    assert len(row["Action"]) <= 200
    operator.sim.ingestion.fail("Custom-AppleTokenFinding_CL", faults.status(400))
    operator.check(*tokens, ago=timedelta())
    assert OPEN in operator.alerts(SOON), "the check was not complete"
    operator.sim.ingestion.heal()
    operator.check(*tokens, ago=timedelta())
    assert operator.alerts(SOON) == real
    assert len(sent(operator)) == 1


def test_it_does_not_replace_a_check(operator):
    operator.check(ade(), ago=5 * HOUR)
    operator.run("test-alert", "--now")
    assert ("check_silent", None, None) in operator.alerts(SOON)


@pytest.mark.parametrize("split", [rules.RULES, rules.RULES_BY_CONNECTOR], ids=["by token", "by connector"])
@pytest.mark.sampled(1)
def test_each_test_is_an_alert_of_its_own_that_resolves(operator, split):
    operator.check(ade(), ago=HOUR)
    engine = rules.AlertEngine(operator.sim.con, split)
    for number in (1, 2):
        operator.run("test-alert", "--now")
        (fired,) = [event for event in engine.evaluate(now() + number * SOON) if event.kind == "fired"]
        assert (fired.alert.rule, fired.alert.dimensions["Connector"]) == ("token_critical", "test")
        if split is rules.RULES:
            assert fired.alert.dimensions["Condition"].startswith(cli.alert.NAME)  # the subject of an email
        time.sleep(1.1)  # a test is known by its second
    operator.check(ade(), ago=timedelta())
    on = now() + 3 * SOON
    assert engine.evaluate(on) == []
    assert {event.kind for event in engine.evaluate(on + 2 * rules.FREQUENCY)} == {"resolved"}


# What is said, and when it is sent


def test_it_announces_what_fires_and_when(operator):
    done = operator.run("test-alert", "--now", COLUMNS="300")
    (row,) = sent(operator)
    on = row["TimeGenerated"].replace(tzinfo=UTC)
    assert f"was sent at {on:%H:%M:%S} UTC" in done.stdout
    assert f"By {on + 20 * MINUTE:%H:%M} UTC the alert rule token_critical (severity 1) fires" in done.stdout
    assert "every 15 minutes" in done.stdout
    assert f"The app's next complete check, at {next_tick(on):%H:%M} UTC, ends it" in done.stdout
    assert "python -m cli doctor" in done.stdout


def test_it_announces_the_rule_as_it_is_deployed():
    (rule,) = [rule for rule in rules.RULES if rule.name == cli.alert.RULE]
    assert rule.severity == cli.alert.SEVERITY
    assert cli.alert.EVERY == rules.FREQUENCY
    told = json.loads((rules.INFRA / "alert-rules.json").read_text())
    subjects = next(one for one in told if one["name"] == cli.alert.RULE)
    assert subjects["subject"].startswith("Critical: ${data.alertContext.condition.allOf[0].dimensions[4].value}")
    assert subjects["dimensions"][4] == "Condition"
    assert subjects["byConnector"]["dimensions"][0] == "Connector"


def at(text):
    return datetime.fromisoformat(f"2026-11-23T{text}+00:00")


@pytest.mark.parametrize(
    ("now", "sends"),
    [
        ("06:06:59", "06:10:00"),
        ("06:07:00", "06:10:00"),
        ("06:09:59", "06:10:00"),
        ("06:10:00", "06:10:00"),
        ("06:47:00", "06:47:00"),
        ("06:47:01", "07:10:00"),
        ("23:59:00", "00:10:00"),
    ],
)
def test_it_is_sent_long_enough_before_a_check_ends_it(now, sends):
    expected = at(sends) + (DAY if sends < now else timedelta())
    assert cli.alert.sends_on(at(now)) == expected


def test_it_announces_that_it_waits_for_its_time(operator, monkeypatch):
    due = now() + timedelta(seconds=2)
    monkeypatch.setattr(cli.alert, "sends_on", lambda _: due)
    done = operator.run("test-alert")
    assert f"The finding is sent at {due:%H:%M} UTC: the check at minute 7 would end it" in done.stderr
    assert "--now sends it at once" in done.stderr
    assert sent(operator)[0]["TimeGenerated"].replace(tzinfo=UTC) >= due


# Waiting for the end


def test_it_waits_for_the_next_complete_check(operator, monkeypatch):
    monkeypatch.setattr(cli.alert, "_POLL_SECONDS", 0.2)
    operator.check(ade(), ago=HOUR)
    operator.ran(ago=-HOUR, outcome="failed")
    looked, ends = threading.Event(), now() + 3 * HOUR

    def app():
        looked.wait(20)
        operator.ran(ago=now() - ends)

    operator.sim.proxy.on_response = lambda request: request.names("CheckRun") and looked.set()
    thread = threading.Thread(target=app)
    thread.start()
    way = operator.sim.operator_env(proxied=True)["TABLES_ENDPOINT"]
    done = operator.run("test-alert", "--now", "--wait", TABLES_ENDPOINT=way)
    thread.join()
    assert done.returncode == 0, done
    assert looked.is_set()
    assert f"The check of {ends:%Y-%m-%d %H:%M} UTC ended it; the alert resolves by" in done.stdout


def test_an_app_that_does_not_check_is_reported(operator, monkeypatch):
    monkeypatch.setattr(cli.alert, "_LONGEST_WAIT", timedelta(seconds=1))
    operator.check(ade(), ago=HOUR)
    done = operator.run("test-alert", "--now", "--wait")
    assert done.returncode == 3
    assert "The app has not checked since" in done.stderr
    assert "python -m cli doctor" in done.stderr


# What goes wrong


def refused(operator, *arguments, **environment):
    done = operator.run("test-alert", "--now", *arguments, **environment)
    assert (done.returncode, done.stdout) == (3, ""), done
    assert sent(operator) == []
    return done.stderr


def test_a_missing_role_is_reported_with_the_command_that_assigns_it(operator):
    operator.sim.ingestion.fail("", faults.status(403))
    said = refused(operator)
    assert "you may not send rows to the data collection rule (HTTP 403)" in said
    assert (
        'az role assignment create --role "Monitoring Metrics Publisher" --assignee-object-id '
        f"{bearer.PRINCIPAL_ID} --assignee-principal-type ServicePrincipal --scope {arm.COLLECTION_RULE_ID}"
    ) in " ".join(said.split())
    assert "--scope DATA_COLLECTION_RULE_ID" in refused(operator, FUNCTION_APP_ID=None)


def test_a_wrong_rule_id_is_reported(operator):
    said = refused(operator, "--logs-ingestion-rule-id", "dcr-00000000000000000000000000000000")
    assert "there is no data collection rule with the immutable id dcr-00000000000000000000000000000000 at" in said


def test_no_service_and_no_sign_in_have_a_remedy(operator):
    with operator.sim.ingestion.refusing():
        assert "cannot be reached" in refused(operator)
    operator.sim.identity.fail("", faults.status(400))
    assert "az login" in refused(operator)


@pytest.mark.parametrize(
    "name", ["LOGS_INGESTION_RULE_ID", "LOGS_INGESTION_ENDPOINT", "TENANT_ID", "DEPLOYMENT", "TABLES_ENDPOINT"]
)
@pytest.mark.sampled(1)
def test_a_missing_setting_is_named(operator, name):
    assert f"{name} is not known" in refused(operator, "--wait", **{name: None})
