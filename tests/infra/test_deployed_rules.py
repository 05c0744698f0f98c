"""The alert rules that would be deployed: what they say of themselves, whom they tell, and when they look."""

import re
from datetime import timedelta

import alert_pictures
import compiler
import msgspec
import pytest
from deployment import EXAMPLES, INFRA, deployment, replaced, variant

from shared.clouds import CLOUDS
from shared.guidance.guidance import Guidance
from shared.model.tokens import Connector
from shared.publishing.rows import FINDINGS, RUNS
from simulator.rules import EXAMPLE_DEPLOYMENT, EXAMPLE_INSTANT, RULES, RULES_BY_CONNECTOR, SUMMARY

pytestmark = compiler.needed

GROUPED = {"public": RULES, "government": RULES, "china": RULES_BY_CONNECTOR}


@pytest.fixture(params=EXAMPLES)
def example(request: pytest.FixtureRequest) -> str:
    return request.param


SEVERITIES = {"token_critical": 1, "token_warning": 2, "check_failing": 2, "check_silent": 1, "summary": 4}


def test_the_rules_are_the_five_with_their_severities(example):
    assert {name: rule["severity"] for name, rule in deployment(example).alerts.items()} == SEVERITIES


def test_the_deployed_rules_are_those_that_the_model_evaluates(example):
    assert deployment(example).rules == (*GROUPED[example], SUMMARY)


def queries() -> list[str]:
    """Every query of the repository, those of the documents included."""
    kql = [path.read_text("utf-8") for folder in ("queries", "workbook") for path in (INFRA / folder).glob("*.kql")]
    pages = [(INFRA.parent / "docs" / name).read_text("utf-8") for name in ("tables.md", "deployment.md")]
    documented = [text.replace("\\|", "|") for page in pages for text in re.findall(r"`(\w+_CL .*?)`", page)]
    return kql + documented + [text for page in pages for text in re.findall(r"```kusto\n(.*?)```", page, re.DOTALL)]


def test_every_query_reads_the_rows_of_one_deployment_alone():
    ours = rf"({FINDINGS.name}|{RUNS.name})\s*\| where Deployment == \"{EXAMPLE_DEPLOYMENT}\""
    for query in queries():
        assert [query.count(table.name) for table in (FINDINGS, RUNS)] != [0, 0]
        assert re.findall(ours, query) == re.findall(rf"{FINDINGS.name}|{RUNS.name}", query), query


def test_a_deployment_reads_what_its_app_sends_and_is_another_one_with_another_identity(example):
    found = deployment(example)
    suffix = found.one("Microsoft.Web/sites")["name"].removeprefix("func-")
    (identity,) = found.one("Microsoft.Web/sites")["identity"]["userAssignedIdentities"]
    ours = found.settings["DEPLOYMENT"].strip("[]")
    assert re.fullmatch(rf"uniqueString\('{suffix}', reference\('{identity}', '[\d-]+'\)\.principalId\)", ours)
    texts = [rule["criteria"]["allOf"][0]["query"] for rule in found.alerts.values()]
    for text in (*texts, found.one("Microsoft.Insights/workbooks")["properties"]["serializedData"]):
        assert replaced(text)[1][EXAMPLE_DEPLOYMENT] == ours


@pytest.mark.parametrize("rule", SEVERITIES)
def test_a_rule_is_stateful_and_sees_two_days_every_quarter_of_an_hour_but_for_the_daily_summary(example, rule):
    found = deployment(example).alerts[rule]
    stateful = rule != "summary"
    assert (found["evaluationFrequency"], found["windowSize"]) == ("PT15M" if stateful else "P1D", "P2D")
    assert (found["autoMitigate"], found["enabled"]) == (stateful, True)
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
        assert timedelta(minutes=5) <= frequency <= (timedelta(hours=1) if properties["autoMitigate"] else window / 2)


@pytest.mark.parametrize(("day", "number"), [("Sunday", 0), ("Wednesday", 3), ("Saturday", 6)])
def test_the_summary_comes_on_the_day_that_was_chosen(day, number):
    rule = variant(f"param summaryDay = '{day}'").alerts["summary"]
    assert rule["enabled"] is True
    assert f"let Weekday = {number}d;" in replaced(rule["criteria"]["allOf"][0]["query"])[0]


def test_the_summary_can_be_switched_off_and_nothing_else_with_it():
    rules = variant("param summaryDay = 'Off'").alerts
    assert [name for name, rule in rules.items() if not rule["enabled"]] == ["summary"]


def test_an_alert_reads_well_on_a_phone(example):
    for name, rule in deployment(example).alerts.items():
        if name == "summary":
            continue
        subject = rule["actions"]["actionProperties"]["Email.Subject"]
        (condition,) = rule["criteria"]["allOf"]
        places = re.findall(r"\$\{data\.alertContext\.condition\.allOf\[0\]\.dimensions\[(\d)\]\.value\}", subject)
        shown = [condition["dimensions"][int(place)]["name"] for place in places]
        told = {"token_critical", "token_warning"}
        by_token = ["Condition"] if GROUPED[example] is RULES else ["Connector", "Finding", "Tier"]
        assert shown == (by_token if name in told else ["Connector"] if name == "check_failing" else [])
        assert subject.startswith("Critical: " if rule["severity"] == 1 else "Warning: ")
        assert subject.endswith(" (${data.essentials.monitorCondition})")
        assert len(re.sub(r"\$\{[^}]*\}", "", subject)) <= 80
        assert len(rule["description"]) <= 4096


def test_a_description_says_what_to_do_where_and_with_which_role(example):
    guidance = Guidance(cloud=CLOUDS[deployment(example).settings["AZURE_CLOUD"]])
    blades = [guidance.entry("expired", connector).link for connector in Connector]
    for name, rule in deployment(example).alerts.items():
        lines = rule["description"].splitlines()
        assert len(rule["description"]) <= 4096
        assert all(re.match(r"[A-Z]", line) and "{" not in line for line in lines)
        assert not re.search(r"push-certificate", rule["description"]), (
            "infra/snooze-token.sh would silence every alert"
        )
        if name != "summary":
            place, role = (
                next(n for n, line in enumerate(lines) if line.startswith(f"{w}: ")) for w in ("Where", "Role")
            )
            assert 1 < place < role
        shown = [line.rpartition(" ")[2] for line in lines if "Microsoft_Intune" in line]
        assert shown == (blades if name.startswith("token_") else []), (
            "the places are those of shared/guidance/guidance.json"
        )


def test_a_runbook_is_a_page_that_exists(example):
    for rule in deployment(example).alerts.values():
        assert rule["actions"]["customProperties"]["Subject"] == rule["actions"]["actionProperties"]["Email.Subject"]
        url = rule["actions"]["customProperties"]["Runbook"]
        assert rule["description"].endswith(f"\nRun book: {url}")
        path, _, anchor = url.partition("/blob/main/")[2].partition("#")
        text = (INFRA.parent / path).read_text("utf-8")
        assert not anchor or f'<a id="{anchor}"></a>' in text


def test_silence_counts_from_the_creation_of_the_storage_account(example):
    """Which no upgrade changes, so none edits the rule."""
    found = deployment(example)
    (condition,) = found.alerts["check_silent"]["criteria"]["allOf"]
    account = found.one("Microsoft.Storage/storageAccounts")["id"]
    created = replaced(condition["query"])[1][EXAMPLE_INSTANT]
    assert re.fullmatch(rf"reference\('{account}', '[\d-]+'\)\.creationTime", created)


def test_a_rule_that_azure_disables_is_reported(example):
    disabled = deployment(example).one("Microsoft.Insights/activityLogAlerts")["properties"]
    assert disabled["enabled"] is True
    assert {(one["field"], one["equals"]) for one in disabled["condition"]["allOf"]} == {
        ("category", "Administrative"),
        ("operationName", "Microsoft.Insights/scheduledQueryRules/disable/action"),
    }


@pytest.mark.parametrize("name", alert_pictures.PICTURES)
def test_the_pictures_of_an_alert_are_of_what_azure_would_send_now(name):
    shown = alert_pictures.PICTURES[name]()
    assert "Critical: Contoso Retail: expires 2026-11-30 (7 days or less) (Fired)" in shown
    assert "3f8313bb-f37c-5627-922c-c221c7d1bfc6" in shown
    current = alert_pictures.taken_of(name) == alert_pictures.digest(shown)
    assert current, f"docs/images/{name}.png is not current: run {alert_pictures.RENEW}"
