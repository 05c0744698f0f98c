"""The alert rules' queries: accepted by Microsoft's language service, right over rows, and alerts that live rightly."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import Any, NamedTuple

import duckdb_kql
import kusto
import pytest
from duckdb import DuckDBPyConnection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.publishing.rows import FINDINGS, NONE, RUNS
from shared.storage.columns import iso
from simulator.rules import (
    EXAMPLE_DEPLOYMENT,
    EXAMPLE_INSTANT,
    FREQUENCY,
    MAXIMUM_FIRED,
    RULES,
    RULES_BY_CONNECTOR,
    WINDOW,
    Alert,
    AlertEngine,
    Rule,
    alert_of,
    create_tables,
    firing,
    insert,
)

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
RULE = {rule.name: rule for rule in RULES}
CRITICAL, WARNING, FAILING, SILENT = RULES

# ---------------------------------------------------------------- what Azure accepts

FORBIDDEN = {"SearchOperator", "TakeOperator", "UnionOperator", "EvaluateOperator", "ago"}
"""`limit` is a TakeOperator, and plugins such as `bag_unpack` and `pivot` need an EvaluateOperator.
https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-create-log-alert-rule"""

CRITICAL_TAIL = CRITICAL.kql[CRITICAL.kql.index("| project TokenName") :].strip()

BROKEN = {
    "an unknown column": ("and Condition", "and Conditions"),
    "an unknown table": ("AppleTokenRun_CL", "AppleTokenRuns_CL"),
    "a wrong type": ("coalesce(Arrived, 0) >= Rows", "Arrived >= Outcome"),
    "a missing dimension": ("Action, Tokens", "Tokens"),
    "a dimension that is no string": (
        CRITICAL_TAIL,
        f"{CRITICAL_TAIL} | project-away Condition | extend Condition = 7",
    ),
    "a measure that is no number": ("Tokens = 1", 'Tokens = "1"'),
    "no measure": (", Tokens = 1", ""),
    "a datetime column": (CRITICAL_TAIL, f"{CRITICAL_TAIL}, Seen = TimeGenerated"),
    "a reserved column": (CRITICAL_TAIL, f"{CRITICAL_TAIL}, AggregatedValue = 1"),
    "search": (CRITICAL_TAIL, f'| search "x" {CRITICAL_TAIL}'),
    "take": (CRITICAL_TAIL, f"| take 5 {CRITICAL_TAIL}"),
    "limit": (CRITICAL_TAIL, f"| limit 5 {CRITICAL_TAIL}"),
    "union": (CRITICAL_TAIL, f"| union AppleTokenFinding_CL {CRITICAL_TAIL}"),
    "bag_unpack": (CRITICAL_TAIL, f"| evaluate bag_unpack(todynamic(Action)) {CRITICAL_TAIL}"),
    "pivot": (CRITICAL_TAIL, f"{CRITICAL_TAIL} | evaluate pivot(Tier)"),
    "ago": (CRITICAL_TAIL, f"| where TimeGenerated > ago(1h) {CRITICAL_TAIL}"),
}
"""What is wrong, and how it gets into `token_critical`."""


def broken(what: str) -> str:
    old, new = BROKEN[what]
    assert old in CRITICAL.kql
    return CRITICAL.kql.replace(old, new)


@pytest.fixture(scope="module")
def analysed() -> dict[str, Any]:
    """What the language service says of every query here."""
    queries = {rule.name: rule.kql for rule in RULES}
    queries |= {"deployed": SILENT.deployed(NOW).kql} | {what: broken(what) for what in BROKEN}
    return kusto.analysed(queries)


def complaints(answer: dict[str, Any], rule: Rule) -> list[str]:
    """What an alert rule with that query would be refused for, or could not measure."""
    columns = answer["columns"]
    return [
        *answer["diagnostics"],
        *(f"forbidden: {word}" for word in sorted(FORBIDDEN & set(answer["words"]))),
        *(f"no dimension: {name}" for name in rule.dimensions if columns.get(name) != "string"),
        *(f"no measure: {columns.get('Tokens')}" for _ in [0] if columns.get("Tokens") not in {"int", "long"}),
        *(f"datetime: {name}" for name, kind in columns.items() if kind == "datetime"),
        *(f"reserved: {name}" for name in columns if name == "AggregatedValue"),
    ]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_query_is_accepted_and_gives_its_dimensions_and_its_measure(analysed, rule):
    assert complaints(analysed[rule.name], rule) == []
    grouped = RULES_BY_CONNECTOR[RULES.index(rule)]
    assert set(analysed[rule.name]["columns"]) == {*rule.dimensions, *grouped.dimensions, "Tokens"}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_query_is_rejected(analysed, what):
    assert complaints(analysed[what], CRITICAL) != []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_has_no_more_dimensions_than_azure_takes(rule):
    assert len(rule.dimensions) <= 6


def test_the_deployment_finds_one_place_for_its_instant(analysed):
    assert [rule.kql.count(EXAMPLE_INSTANT) for rule in RULES] == [0, 0, 0, 1]
    assert f'let CreatedOn = todatetime("{EXAMPLE_INSTANT}");\n' in SILENT.kql
    assert 'let CreatedOn = todatetime("2026-03-04T12:00:00Z");\n' in SILENT.deployed(NOW).kql
    assert complaints(analysed["deployed"], SILENT) == []


def test_both_token_queries_differ_in_the_severity_alone():
    def rest(rule: Rule) -> list[str]:
        return [line for line in rule.kql.splitlines()[1:] if not line.startswith("| where Severity")]

    assert rest(CRITICAL) == rest(WARNING)


# ---------------------------------------------------------------- rows


class Found(NamedTuple):
    """A step of a finding as a run published it."""

    severity: str = "critical"
    finding: str = "expiring"
    token: str = "t1"
    connector: str = "ade"
    tier: str = "7 days or less"
    condition: str = "expires 2026-03-11 (7 days or less)"
    caused_by: str = NONE
    action: str = "Renew it"
    name: str = "Token"


HEALTHY = Found(severity=NONE, finding=NONE, tier=NONE, condition=NONE, action=NONE)


@cache
def connection() -> DuckDBPyConnection:
    """One for all tests: opening it takes longer than most of them."""
    con = duckdb_kql.connect()
    create_tables(con)
    return con


class Log:
    """The two tables, at first empty, and runs that are written into them."""

    def __init__(self) -> None:
        self.con = connection()
        self.runs = 0
        self.deployment = EXAMPLE_DEPLOYMENT
        for table in (FINDINGS, RUNS):
            self.con.execute(f'TRUNCATE "{table.name}"')

    def findings(self, on: datetime, run_id: str, found: Iterable[Found]) -> None:
        insert(self.con, FINDINGS.name, [finding_row(on, run_id, one, self.deployment) for one in found])

    def outcomes(self, on: datetime, run_id: str = "r", *, rows: int | None = None, **outcomes: str) -> None:
        """A row for each connector named; `rows` belongs to `all`."""
        insert(
            self.con,
            RUNS.name,
            [run_row(on, run_id, connector, outcome, rows, self.deployment) for connector, outcome in outcomes.items()],
        )

    def run(
        self,
        ago: timedelta,
        *found: Found,
        closing: str | None = "succeeded",
        rows: int | None = None,
        now: datetime = NOW,
    ) -> str:
        """A run `ago` before `now` whose rows have all arrived, unless `rows` says that it meant to send more."""
        self.runs += 1
        run_id = f"run {self.runs}"
        self.findings(now - ago, run_id, found)
        if closing:
            self.outcomes(now - ago, run_id, rows=len(found) if rows is None else rows, all=closing)
        return run_id

    def fires(self, rule: Rule, now: datetime = NOW) -> list[dict[str, str]]:
        return [alert.dimensions for alert in firing(self.con, now, [rule])]

    def severity(self, now: datetime = NOW) -> str | None:
        """Which of the two rules tells of the only finding."""
        told = firing(self.con, now, [CRITICAL, WARNING])
        assert len(told) <= 1
        return told[0].rule.removeprefix("token_") if told else None


def finding_row(on: datetime, run_id: str, found: Found, deployment: str = EXAMPLE_DEPLOYMENT) -> dict[str, object]:
    return {
        "TimeGenerated": iso(on),
        "Deployment": deployment,
        "RunId": run_id,
        "Connector": found.connector,
        "TokenId": found.token,
        "TokenName": found.name,
        "Finding": found.finding,
        "Severity": found.severity,
        "Tier": found.tier,
        "Condition": found.condition,
        "CausedBy": found.caused_by,
        "Action": found.action,
    }


def run_row(
    on: datetime, run_id: str, connector: str, outcome: str, rows: int | None, deployment: str = EXAMPLE_DEPLOYMENT
) -> dict[str, object]:
    row = {"TimeGenerated": iso(on), "Deployment": deployment, "RunId": run_id}
    return row | {"Connector": connector, "Outcome": outcome} | ({"Rows": rows} if connector == "all" else {})


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_query_runs_as_it_stands(log, rule):
    log.run(6 * HOUR, Found("critical"), Found("warning", "devices_dropped"))
    log.outcomes(NOW - 6 * HOUR, ade="failed")
    log.outcomes(NOW - 5 * HOUR, ade="failed")
    rows = duckdb_kql.query(log.con, rule.kql, query_now=NOW)
    assert set(rows.columns) >= {*rule.dimensions, "Tokens"}
    assert [row[-1] for row in rows.fetchall()] == [1]


def test_an_open_finding_is_told_with_what_to_do(log):
    log.run(5 * MINUTE, Found())
    assert log.fires(CRITICAL) == [
        {
            "TokenName": "Token",
            "TokenId": "t1",
            "Connector": "ade",
            "Finding": "expiring",
            "Condition": "Token: expires 2026-03-11 (7 days or less)",
            "Action": "Renew it",
        }
    ]
    assert log.fires(WARNING) == []


@pytest.mark.parametrize(
    ("severity", "told"),
    [("critical", "critical"), ("unknown", "warning"), ("warning", "warning"), ("info", None), (NONE, None)],
)
def test_the_severity_chooses_the_rule(log, severity, told):
    log.run(5 * MINUTE, Found(severity))
    assert log.severity() == told


@pytest.mark.parametrize("severity", ["critical", "warning", "unknown"])
def test_a_row_of_a_healthy_token_is_no_finding(log, severity):
    log.run(5 * MINUTE, HEALTHY._replace(severity=severity))
    assert log.severity() is None


@pytest.mark.parametrize("severity", ["critical", "warning", "unknown"])
@pytest.mark.parametrize("condition", [NONE, "no successful sync since 2026-03-01 09:10 UTC"])
def test_what_another_finding_explains_is_not_told(log, severity, condition):
    log.run(5 * MINUTE, Found(severity, "sync_stale", condition=condition, caused_by="expired"))
    assert log.severity() is None


@pytest.mark.parametrize("condition", [NONE, ""])
def test_a_finding_without_a_condition_raises_nothing(log, condition):
    """One that raises no alert, and the row of a release that knew no conditions."""
    log.run(5 * MINUTE, Found("unknown", "unread", condition=condition))
    assert log.severity() is None


def test_a_step_that_could_not_be_stored_is_held_back_while_a_whole_run_is_known(log):
    log.run(47 * HOUR, HEALTHY)
    log.run(5 * MINUTE, Found(caused_by="not_stored"), closing="failed")
    assert log.severity() is None
    assert log.severity(NOW + HOUR - MINUTE) is None
    assert log.severity(NOW + HOUR) == "critical"


def test_a_finding_ends_with_a_whole_run_that_does_not_tell_it(log):
    log.run(65 * MINUTE, Found())
    log.run(5 * MINUTE, HEALTHY)
    assert log.severity() is None


def test_a_finding_ends_with_the_last_token(log):
    log.run(65 * MINUTE, Found())
    log.run(5 * MINUTE)
    assert log.severity() is None


def test_a_degraded_run_can_be_whole(log):
    log.run(65 * MINUTE, Found())
    log.run(5 * MINUTE, HEALTHY, closing="degraded")
    assert log.severity() is None


UNFINISHED = {"no closing row": {"closing": None}, "failed": {"closing": "failed"}, "rows missing": {"rows": 2}}


@pytest.mark.parametrize("why", UNFINISHED)
def test_an_unfinished_run_removes_nothing(log, why):
    log.run(65 * MINUTE, Found())
    log.run(5 * MINUTE, HEALTHY, **UNFINISHED[why])
    assert log.severity() == "critical"


@pytest.mark.parametrize("why", UNFINISHED)
def test_an_unfinished_run_adds(log, why):
    log.run(65 * MINUTE, HEALTHY)
    log.run(5 * MINUTE, Found(), **UNFINISHED[why])
    assert log.severity() == "critical"


def test_a_closing_row_that_does_not_say_how_many_rows_removes_nothing(log):
    log.run(65 * MINUTE, Found())
    log.findings(NOW, "x", [HEALTHY])
    log.outcomes(NOW, "x", all="succeeded")
    assert log.severity() == "critical"


def test_a_connector_s_row_is_no_closing_row(log):
    log.run(65 * MINUTE, Found())
    log.findings(NOW, "x", [HEALTHY])
    insert(log.con, RUNS.name, [run_row(NOW, "x", "ade", "succeeded", None) | {"Rows": 1}])
    assert log.severity() == "critical"


def test_rows_of_other_runs_make_no_run_whole(log):
    log.run(65 * MINUTE, Found(), HEALTHY._replace(token="t2"))
    log.run(5 * MINUTE, HEALTHY, rows=2)
    assert log.severity() == "critical"


def test_more_rows_than_it_meant_to_send_make_a_run_whole(log):
    log.run(65 * MINUTE, Found())
    log.run(5 * MINUTE, HEALTHY, HEALTHY, rows=1)
    assert log.severity() is None


def test_a_row_that_arrives_twice_is_one_finding(log):
    log.run(5 * MINUTE, Found(), Found())
    assert len(log.fires(CRITICAL)) == 1
    rows = duckdb_kql.query(log.con, CRITICAL.kql, query_now=NOW).fetchall()
    assert [row[-1] for row in rows] == [1]


def test_a_finding_ends_when_the_last_late_row_arrives(log):
    log.run(65 * MINUTE, Found())
    log.outcomes(NOW, "late", rows=2, all="succeeded")
    assert log.severity() == "critical"
    log.findings(NOW, "late", [HEALTHY])
    assert log.severity() == "critical"
    log.findings(NOW, "late", [HEALTHY._replace(token="t2")])
    assert log.severity() is None


def test_an_older_whole_run_that_arrives_late_reopens_nothing(log):
    log.run(5 * MINUTE, HEALTHY)
    log.run(65 * MINUTE, Found())
    assert log.severity() is None


def test_the_newest_whole_run_counts_and_not_the_one_before(log):
    log.run(125 * MINUTE, Found())
    log.run(65 * MINUTE, HEALTHY)
    log.run(5 * MINUTE, closing="failed")
    assert log.severity() is None


def test_an_unfinished_run_of_the_same_instant_adds(log):
    log.run(5 * MINUTE, HEALTHY)
    log.run(5 * MINUTE, Found(), closing=None)
    assert log.severity() == "critical"


def test_with_no_whole_run_every_row_counts(log):
    log.run(47 * HOUR, Found(), closing=None)
    log.run(5 * MINUTE, HEALTHY, closing="failed")
    assert log.severity() == "critical"


def test_a_connector_that_cannot_be_read_keeps_its_findings_and_is_not_told_token_by_token(log):
    log.run(65 * MINUTE, Found())
    log.run(5 * MINUTE, Found(), Found("unknown", "unread", condition=NONE), closing="degraded")
    assert log.severity() == "critical"


def test_each_step_is_a_row_of_its_own_and_a_later_one_ends_none(log):
    steps = [Found("warning", tier=f"{n} days or less", condition=f"expires soon ({n})") for n in (60, 30)]
    log.run(5 * MINUTE, *steps, Found())
    assert [row["Condition"] for row in log.fires(WARNING)] == ["Token: expires soon (30)", "Token: expires soon (60)"]
    assert len(log.fires(CRITICAL)) == 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("x" * 30, "x" * 30),
        ("x" * 31, f"{'x' * 19}…{'x' * 10}"),
        ("Contoso Retail iPads of North America (3f8313bb)", "Contoso Retail iPad…(3f8313bb)"),
        ("Contoso Retail iPads Europe West", "Contoso Retail iPad…urope West"),
        ("\U0001f34e" * 40, f"{'\U0001f34e' * 19}…{'\U0001f34e' * 10}"),
    ],
)
def test_a_long_name_is_shortened_where_the_subject_has_it_and_nowhere_else(log, name, shown):
    log.run(5 * MINUTE, Found(name=name))
    (alert,) = log.fires(CRITICAL)
    assert (alert["TokenName"], alert["Condition"]) == (name, f"{shown}: expires 2026-03-11 (7 days or less)")


def test_a_step_of_another_date_is_another_step(log):
    log.run(5 * MINUTE, Found(), Found(condition="expires 2026-03-09 (7 days or less)"))
    assert len(log.fires(CRITICAL)) == 2


def test_where_two_rows_of_a_step_disagree_the_first_one_keeps_its_alert(log):
    log.run(5 * MINUTE, Found(name="New", action="New"), closing=None)
    log.run(65 * MINUTE, Found(name="Old", action="Old"), closing=None)
    (told,) = log.fires(CRITICAL)
    assert (told["TokenName"], told["Action"]) == ("Old", "Old")


def test_a_step_before_the_newest_whole_run_counts_no_more(log):
    log.run(65 * MINUTE, Found("critical"))
    log.run(5 * MINUTE, Found("warning", condition="another"))
    assert log.severity() == "warning"


def test_a_step_is_known_by_connector_token_finding_and_condition(log):
    found = Found()
    others = [found._replace(connector="vpp"), found._replace(token="t2"), found._replace(finding="invalid")]
    log.run(5 * MINUTE, found, *others)
    assert len(log.fires(CRITICAL)) == 4


def test_rows_older_than_the_window_and_newer_than_now_are_not_seen(log):
    log.run(WINDOW, Found(), closing=None)
    log.run(-MINUTE, Found(), closing=None)
    assert log.severity() is None
    assert log.severity(NOW - MINUTE) == "critical"
    assert log.severity(NOW + MINUTE) == "critical"


# ---------------------------------------------------------------- the monitor itself


@pytest.mark.parametrize("connector", ["ade", "apns", "vpp", "devices", "all"])
@pytest.mark.parametrize(("apart", "fires"), [(timedelta(minutes=29, seconds=59), False), (30 * MINUTE, True)])
def test_failures_are_told_when_they_are_30_minutes_apart(log, connector, apart, fires):
    log.outcomes(NOW - apart, **{connector: "failed"})
    log.outcomes(NOW, **{connector: "failed"})
    assert log.fires(FAILING) == ([{"Connector": connector}] if fires else [])


def test_a_single_failure_is_not_told_however_old(log):
    log.outcomes(NOW - 40 * HOUR, vpp="failed")
    assert log.fires(FAILING) == []


def test_an_unknown_outcome_is_no_failure_and_ends_none(log):
    for hours in (5, 4, 3):
        log.outcomes(NOW - hours * HOUR, devices="unknown", ade="failed" if hours > 3 else "unknown")
    assert log.fires(FAILING) == [{"Connector": "ade"}]


@pytest.mark.parametrize("outcome", ["succeeded", "skipped", "degraded"])
def test_what_did_not_fail_ends_a_failure(log, outcome):
    log.outcomes(NOW - 2 * HOUR, ade="failed", vpp="failed")
    log.outcomes(NOW - HOUR, ade="failed", vpp="failed")
    log.outcomes(NOW, ade=outcome, vpp="failed")
    assert log.fires(FAILING) == [{"Connector": "vpp"}]


def test_failures_count_from_the_newest_row_that_did_not_fail(log):
    log.outcomes(NOW - 3 * HOUR, ade="failed")
    log.outcomes(NOW - 2 * HOUR, ade="succeeded")
    log.outcomes(NOW - HOUR, ade="failed")
    assert log.fires(FAILING) == []
    log.outcomes(NOW, ade="failed")
    assert log.fires(FAILING) == [{"Connector": "ade"}]


def test_a_success_that_arrives_late_ends_no_failure_after_it(log):
    log.outcomes(NOW - HOUR, ade="failed")
    log.outcomes(NOW, ade="failed")
    log.outcomes(NOW - 2 * HOUR, ade="succeeded")
    assert log.fires(FAILING) == [{"Connector": "ade"}]


def test_a_failure_of_the_instant_of_a_success_is_over(log):
    log.outcomes(NOW - HOUR, "r1", ade="failed")
    log.outcomes(NOW - HOUR, "r2", ade="succeeded")
    log.outcomes(NOW, ade="failed")
    assert log.fires(FAILING) == []


def test_one_failing_connector_is_not_hidden_by_another(log):
    for ago in (HOUR, 0 * HOUR):
        log.outcomes(NOW - ago, ade="failed", vpp="succeeded", all="degraded")
    assert log.fires(FAILING) == [{"Connector": "ade"}]


@pytest.mark.parametrize("outcome", ["succeeded", "degraded", "failed"])
def test_silence_begins_four_hours_after_the_newest_closing_row_whatever_it_says(log, outcome):
    log.outcomes(NOW - 5 * HOUR, all="succeeded")
    log.outcomes(NOW, all=outcome)
    assert log.fires(SILENT, NOW + 4 * HOUR) == []
    assert log.fires(SILENT, NOW + 4 * HOUR + timedelta(seconds=1)) == [{}]


def test_only_a_closing_row_breaks_the_silence(log):
    log.outcomes(NOW, ade="succeeded", devices="succeeded")
    log.findings(NOW, "r", [Found()])
    assert log.fires(SILENT) == [{}]


def test_an_empty_table_is_silent(log):
    assert log.fires(SILENT) == [{}]


def test_a_fresh_deployment_has_four_hours_for_its_first_check(log):
    rule = SILENT.deployed(NOW)
    assert log.fires(rule, NOW + 4 * HOUR) == []
    assert log.fires(rule, NOW + 4 * HOUR + timedelta(seconds=1)) == [{}]


@pytest.mark.parametrize(
    ("created", "silent"), [("2026-03-04T11:59:59.1234567Z", False), ("4/3/2026 11:59:59 sometime", True), ("", True)]
)
def test_a_creation_of_any_form_is_read_or_counts_as_long_ago(log, created, silent):
    rule = SILENT._replace(kql=SILENT.kql.replace(EXAMPLE_INSTANT, created))
    assert bool(log.fires(rule, NOW)) is silent


def test_rows_that_have_left_the_window_are_silence(log):
    log.outcomes(NOW, all="succeeded")
    assert log.fires(SILENT, NOW + WINDOW + MINUTE) == [{}]


# ---------------------------------------------------------------- against the definitions, in Python

type Row = dict[str, Any]


def step_of(row: Row) -> tuple[str, ...]:
    return (row["Connector"], row["TokenId"], row["Finding"], row["Tier"], row["Condition"])


def open_steps(findings: list[Row], runs: list[Row]) -> list[Row]:
    """What is open: of each step the first row since the newest whole run."""
    whole = [
        run["TimeGenerated"]
        for run in runs
        if run["Connector"] == "all"
        and run["Outcome"] != "failed"
        and len({step_of(row) for row in findings if row["RunId"] == run["RunId"]}) >= run["Rows"]
    ]
    counting: dict[tuple[str, ...], list[Row]] = {}
    for row in findings:
        held_back = row["CausedBy"] != NONE and (whole or row["CausedBy"] != "not_stored")
        if row["Condition"] != NONE and not held_back and (not whole or row["TimeGenerated"] >= max(whole)):
            counting.setdefault(step_of(row), []).append(row)
    opened = [min(rows, key=lambda row: row["TimeGenerated"]) for rows in counting.values()]
    return [row | {"Condition": f"{shortened(row['TokenName'])}: {row['Condition']}"} for row in opened]


def shortened(name: str) -> str:
    """Return a token's name as a subject has it."""
    return name if len(name) <= 30 else f"{name[:19]}…{name[-10:]}"


def critical(findings: list[Row], runs: list[Row], _: datetime) -> list[Row]:
    return [row for row in open_steps(findings, runs) if row["Severity"] == "critical"]


def warning(findings: list[Row], runs: list[Row], _: datetime) -> list[Row]:
    return [row for row in open_steps(findings, runs) if row["Severity"] in {"warning", "unknown"}]


def failing(_: list[Row], runs: list[Row], __: datetime) -> list[Row]:
    told = []
    for connector in {run["Connector"] for run in runs}:
        own = [run for run in runs if run["Connector"] == connector]
        good = [run["TimeGenerated"] for run in own if run["Outcome"] not in {"failed", "unknown"}]
        bad = [run["TimeGenerated"] for run in own if run["Outcome"] == "failed"]
        since = [on for on in bad if not good or on > max(good)]
        if since and instant(max(since)) - instant(min(since)) >= 30 * MINUTE:
            told.append({"Connector": connector})
    return told


def silent(_: list[Row], runs: list[Row], now: datetime) -> list[Row]:
    newest = max((run["TimeGenerated"] for run in runs if run["Connector"] == "all"), default=EXAMPLE_INSTANT)
    return [{}] if now - instant(newest) > 4 * HOUR else []


ORACLE: dict[str, Callable[[list[Row], list[Row], datetime], list[Row]]] = {
    "token_critical": critical,
    "token_warning": warning,
    "check_failing": failing,
    "check_silent": silent,
}


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def expected(findings: list[Row], runs: list[Row], now: datetime = NOW) -> list[Alert]:
    def seen(rows: list[Row]) -> list[Row]:
        return [row for row in rows if now - WINDOW < instant(row["TimeGenerated"]) <= now]

    alerts = []
    for rule in RULES:
        rows = ORACLE[rule.name](seen(findings), seen(runs), now)
        alerts += [alert_of(rule, values) for values in sorted(tuple(row[d] for d in rule.dimensions) for row in rows)]
    return alerts


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[Row], list[Row]]:
    """Rows of runs up to three days old that were lost, doubled, left without an end, and are in no order."""
    outcomes = st.sampled_from(["succeeded", "failed", "unknown"])
    codes = st.sampled_from(["expiring", "sync_stale", "unread", NONE])
    tokens = st.tuples(st.sampled_from(["ade", "vpp"]), st.sampled_from(["t1", "t2"]), codes)
    states = st.tuples(
        st.sampled_from(["critical", "warning", "unknown", "info"]),
        st.sampled_from([NONE, NONE, "expired", "not_stored"]),
        st.sampled_from(["7", "14", NONE]),
        st.sampled_from([1, 1, 1, 1, 2, 0]),
    )
    ages = st.one_of(st.integers(-2, 60), st.integers(280, 300)).map(lambda tens: tens * 10)
    findings: list[Row] = []
    runs: list[Row] = []
    for age in draw(st.lists(ages, unique=True, max_size=6)):
        on, run_id = NOW - age * MINUTE, f"run {age}"
        rows = draw(st.dictionaries(tokens, states, max_size=4))
        for (connector, token, code), (severity, cause, tier, times) in rows.items():
            found = Found(severity, code, token, connector, tier, tier, cause, action=f"Do {tier}", name=token * 20)
            findings += [finding_row(on, run_id, found)] * times
        for connector, outcome in draw(st.dictionaries(st.sampled_from(["ade", "devices"]), outcomes)).items():
            runs.append(run_row(on, run_id, connector, outcome, None))
        if closing := draw(st.sampled_from(["succeeded", "succeeded", "degraded", "failed", None])):
            runs += [run_row(on, run_id, "all", closing, len(rows))] * draw(st.sampled_from([1, 1, 2]))
    order = Random(draw(st.integers(0, 99)))  # noqa: S311 - an order, not a secret
    order.shuffle(findings)
    order.shuffle(runs)
    return findings, runs


@given(logs())
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_over_any_rows_a_query_says_what_its_definition_says(rows):
    log = Log()
    insert(log.con, FINDINGS.name, rows[0])
    insert(log.con, RUNS.name, rows[1])
    assert firing(log.con, NOW) == expected(*rows)


@given(logs(), logs())
@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_two_deployments_in_one_workspace_never_see_each_other_s_rows(ours, theirs):
    log = Log()
    for table, own, others in zip((FINDINGS, RUNS), ours, theirs, strict=True):
        insert(log.con, table.name, [*own, *({**row, "Deployment": OTHER} for row in others)])
    of_others = [rule.deployed(instant(EXAMPLE_INSTANT), OTHER) for rule in RULES]
    assert firing(log.con, NOW) == expected(*ours)
    assert firing(log.con, NOW, of_others) == expected(*theirs)


OTHER = "another-deployment"
"""Its rows are in the same workspace: those of a removed deployment, or of one beside this."""

# ---------------------------------------------------------------- the life of an alert


def play(engine: AlertEngine, start: datetime, times: int) -> list[tuple[str, str, datetime]]:
    """What comes of that many evaluations."""
    return [
        (event.kind, event.alert.rule, event.on)
        for step in range(times)
        for event in engine.evaluate(start + step * FREQUENCY)
    ]


def test_an_alert_fires_once_however_often_its_finding_is_told(log):
    engine = AlertEngine(log.con, [CRITICAL])
    events = []
    for step in range(12):
        if step % 4 == 0:
            log.run(MINUTE, Found(), now=NOW + step * FREQUENCY)
        events += engine.evaluate(NOW + step * FREQUENCY)
    assert [(event.kind, event.on, event.alert.severity) for event in events] == [("fired", NOW, 1)]
    assert [alert.dimensions["TokenId"] for alert in engine.open] == ["t1"]


def test_an_alert_resolves_with_the_second_clean_evaluation(log):
    engine = AlertEngine(log.con, [CRITICAL])
    log.run(MINUTE, Found())
    assert play(engine, NOW, 1) == [("fired", "token_critical", NOW)]
    log.run(MINUTE, HEALTHY, now=NOW + FREQUENCY)
    assert play(engine, NOW + FREQUENCY, 1) == []
    assert len(engine.open) == 1
    assert play(engine, NOW + 2 * FREQUENCY, 4) == [("resolved", "token_critical", NOW + 2 * FREQUENCY)]
    assert engine.open == []


def test_one_clean_evaluation_between_two_others_resolves_nothing(log):
    engine = AlertEngine(log.con, [CRITICAL])
    for step, found in enumerate([Found(), HEALTHY, Found(), HEALTHY, Found()]):
        log.run(MINUTE, found, now=NOW + step * FREQUENCY)
        assert len(play(engine, NOW + step * FREQUENCY, 1)) == (1 if step == 0 else 0)
    assert len(engine.open) == 1


def test_a_changed_dimension_is_a_new_alert_and_the_old_one_resolves(log):
    engine = AlertEngine(log.con, [CRITICAL])
    log.run(MINUTE, Found(condition="7"))
    engine.evaluate(NOW)
    log.run(MINUTE, Found(condition="1"), now=NOW + FREQUENCY)
    events = [event for step in range(1, 4) for event in engine.evaluate(NOW + step * FREQUENCY)]
    alerts = [(event.kind, event.alert.dimensions["Condition"]) for event in events]
    assert alerts == [("fired", "Token: 1"), ("resolved", "Token: 7")]


def test_blindness_resolves_nothing_until_the_window_is_empty_and_silence_is_told_long_before(log):
    log.run(0 * HOUR, Found())
    events = play(AlertEngine(log.con), NOW, 4 * 50)
    assert events == [
        ("fired", "token_critical", NOW),
        ("fired", "check_silent", NOW + 4 * HOUR + FREQUENCY),
        ("resolved", "token_critical", NOW + WINDOW + FREQUENCY),
    ]


def test_revived_rows_of_a_removed_deployment_fire_nothing(log):
    log.deployment = OTHER
    log.run(HOUR, Found(), Found("warning", "sync_stale"), rows=9)
    for ago in (2 * HOUR, HOUR):
        log.outcomes(NOW - ago, ade="failed", all="failed", rows=0)
    assert AlertEngine(log.con, [rule.deployed(NOW - HOUR) for rule in RULES]).evaluate(NOW) == []


def test_revived_rows_of_a_removed_deployment_resolve_nothing_and_break_no_silence(log):
    log.run(47 * HOUR, Found(), Found("warning", "sync_stale"))
    for ago in (2 * HOUR, HOUR):
        log.outcomes(NOW - ago, ade="failed")
    engine = AlertEngine(log.con)
    assert {event.alert.rule for event in engine.evaluate(NOW)} == {rule.name for rule in RULES}
    log.deployment = OTHER
    log.run(MINUTE, HEALTHY)
    log.outcomes(NOW, ade="succeeded")
    assert play(engine, NOW + MINUTE, 3) == []
    assert len(engine.open) == len(RULES)


def test_rules_keep_their_alerts_apart(log):
    log.run(MINUTE, Found(), Found("warning", "sync_stale"))
    log.outcomes(NOW - HOUR, "x", apns="failed")
    log.outcomes(NOW, "y", apns="failed")
    alerts = [event.alert for event in AlertEngine(log.con).evaluate(NOW)]
    assert [(alert.rule, alert.severity) for alert in alerts] == [
        ("token_critical", 1),
        ("token_warning", 2),
        ("check_failing", 2),
    ]
    assert alerts == firing(log.con, NOW)


def test_in_a_storm_what_azure_does_not_fire_at_once_is_on_record(log):
    log.run(MINUTE, *(Found(token=f"t{n:03}") for n in range(MAXIMUM_FIRED + 2)))
    engine = AlertEngine(log.con, [CRITICAL])
    first, second = engine.evaluate(NOW), engine.evaluate(NOW + FREQUENCY)
    assert [event.kind for event in first] == ["fired"] * MAXIMUM_FIRED + ["dropped"] * 2
    assert [(e.kind, e.alert.dimensions["TokenId"]) for e in second] == [("fired", "t300"), ("fired", "t301")]
    assert play(engine, NOW + 2 * FREQUENCY, 3) == []
    log.run(-HOUR, HEALTHY)
    events = play(engine, NOW + HOUR + FREQUENCY, 2)
    assert [kind for kind, *_ in events] == ["resolved"] * (MAXIMUM_FIRED + 2)
    assert engine.open == []


def test_more_alerts_than_azure_keeps_open_are_dropped(log, monkeypatch):
    monkeypatch.setattr("simulator.rules.MAXIMUM_OPEN", 3)
    log.run(MINUTE, *(Found(token=f"t{n}") for n in range(4)))
    engine = AlertEngine(log.con, [CRITICAL])
    assert [event.kind for event in engine.evaluate(NOW)] == ["fired"] * 3 + ["dropped"]
    assert [event.kind for event in engine.evaluate(NOW + FREQUENCY)] == ["dropped"]


def test_one_alert_for_each_connector_and_condition_outlasts_a_storm(log):
    found = [Found(token=f"t{n:03}") for n in range(400)]
    log.run(MINUTE, *found, *(one._replace(connector="vpp") for one in found))
    alerts = firing(log.con, NOW, RULES_BY_CONNECTOR)
    assert [alert.dimensions["Connector"] for alert in alerts] == ["ade", "vpp"]
    assert list(alerts[0].dimensions) == ["Connector", "Finding", "Tier", "Action"]


def test_an_evaluation_sees_every_row_that_arrives_comes_of_age_or_leaves(log):
    rules = [rule._replace(clean=1) for rule in RULES]
    engine = AlertEngine(log.con, rules)
    random = Random(6)  # noqa: S311 - a repeatable game, not a secret
    changes = 0
    for hour in [*range(12), *range(12, 62, 3)]:
        now = NOW + hour * HOUR
        if hour < 12:
            ago = random.choice([-3, -2, 0, 5, 46]) * HOUR
            log.run(ago, random.choice([HEALTHY, Found(), Found("warning")]), rows=random.choice([1, 2]), now=now)
            log.outcomes(now - ago, ade=random.choice(["failed", "failed", "succeeded"]))
        changes += len(engine.evaluate(now))
        assert engine.open == firing(log.con, now)
    assert changes > 5


def test_an_evaluation_sees_a_change_though_as_many_rows_came_as_left_and_were_pruned(log):
    engine = AlertEngine(log.con, [CRITICAL._replace(clean=1)])
    for hour in range(52):
        now = NOW + hour * HOUR
        for table in (FINDINGS, RUNS):
            pruned = f'DELETE FROM "{table.name}" WHERE "TimeGenerated" <= ?'  # noqa: S608 - our own names
            log.con.execute(pruned, [iso(now - WINDOW - HOUR)])
        log.run(timedelta(), Found() if hour < 51 else HEALTHY, now=now)
        engine.evaluate(now)
        assert len(engine.open) == (1 if hour < 51 else 0)
