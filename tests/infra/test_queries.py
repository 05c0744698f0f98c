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
from hypothesis import given
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


def test_an_open_finding_is_reported_with_what_to_do(log):
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


def ran(ago: int, *found: Found, **how: Any) -> tuple[timedelta, tuple[Found, ...], dict[str, Any]]:
    """A run `ago` minutes before now, as `Log.run` writes it."""
    return ago * MINUTE, found, how


OPEN = Found()
UNREAD = Found("unknown", "unread", condition=NONE)
EXPLAINED = Found(finding="sync_stale", caused_by="expired")

STORIES = {
    "critical": ([ran(5, OPEN)], "critical"),
    "unknown": ([ran(5, Found("unknown"))], "warning"),
    "warning": ([ran(5, Found("warning"))], "warning"),
    "info": ([ran(5, Found("info"))], None),
    "no severity": ([ran(5, Found(NONE))], None),
    "a healthy token": ([ran(5, HEALTHY._replace(severity="critical"))], None),
    "explained by another finding": ([ran(5, EXPLAINED, EXPLAINED._replace(severity="warning", condition=NONE))], None),
    "no condition": ([ran(5, UNREAD, UNREAD._replace(condition=""))], None),
    "not stored": ([ran(47 * 60, HEALTHY), ran(5, Found(caused_by="not_stored"), closing="failed")], None),
    "not stored, no complete run": ([ran(5, Found(caused_by="not_stored"), closing="failed")], "critical"),
    "gone with a complete run": ([ran(65, OPEN), ran(5, HEALTHY)], None),
    "gone with the last token": ([ran(65, OPEN), ran(5)], None),
    "gone with a degraded run": ([ran(65, OPEN), ran(5, HEALTHY, closing="degraded")], None),
    "no closing row": ([ran(65, OPEN), ran(5, HEALTHY, closing=None)], "critical"),
    "a failed run": ([ran(65, OPEN), ran(5, HEALTHY, closing="failed")], "critical"),
    "rows missing": ([ran(65, OPEN), ran(5, HEALTHY, rows=2)], "critical"),
    "rows of another run": ([ran(65, OPEN, HEALTHY._replace(token="t2")), ran(5, HEALTHY, rows=2)], "critical"),
    "new without a closing row": ([ran(65, HEALTHY), ran(5, OPEN, closing=None)], "critical"),
    "new in a failed run": ([ran(65, HEALTHY), ran(5, OPEN, closing="failed")], "critical"),
    "new with rows missing": ([ran(65, HEALTHY), ran(5, OPEN, rows=2)], "critical"),
    "new at the instant of a complete run": ([ran(5, HEALTHY), ran(5, OPEN, closing=None)], "critical"),
    "more rows than meant": ([ran(65, OPEN), ran(5, HEALTHY, HEALTHY, rows=1)], None),
    "an older complete run that arrives late": ([ran(5, HEALTHY), ran(65, OPEN)], None),
    "the newest complete run": ([ran(125, OPEN), ran(65, HEALTHY), ran(5, closing="failed")], None),
    "no complete run": ([ran(47 * 60, OPEN, closing=None), ran(5, HEALTHY, closing="failed")], "critical"),
    "unread with its connector": ([ran(65, OPEN), ran(5, OPEN, UNREAD, closing="degraded")], "critical"),
    "another step": ([ran(65, OPEN), ran(5, Found("warning", condition="another"))], "warning"),
    "older than the window": ([ran(48 * 60, OPEN, closing=None)], None),
    "newer than now": ([ran(-1, OPEN, closing=None)], None),
    "in the window": ([ran(48 * 60 - 1, OPEN, closing=None)], "critical"),
}


@pytest.mark.parametrize(("runs", "expected"), STORIES.values(), ids=STORIES)
def test_a_finding_raises_the_alert_of_its_severity_until_a_complete_run_no_longer_has_it(log, runs, expected):
    for ago, found, how in runs:
        log.run(ago, *found, **how)
    assert log.severity() == expected


@pytest.mark.parametrize("closing", [{"all": "succeeded"}, {"ade": "succeeded"}], ids=str)
def test_a_run_whose_number_of_rows_is_unknown_ends_no_finding(log, closing):
    log.run(65 * MINUTE, OPEN)
    log.findings(NOW, "x", [HEALTHY])
    log.outcomes(NOW, "x", **closing)
    assert log.severity() == "critical"


def test_a_row_that_arrives_twice_is_one_finding(log):
    log.run(5 * MINUTE, Found(), Found())
    assert [row[-1] for row in duckdb_kql.query(log.con, CRITICAL.kql, query_now=NOW).fetchall()] == [1]


def test_a_finding_ends_when_the_last_late_row_arrives(log):
    log.run(65 * MINUTE, Found())
    log.outcomes(NOW, "late", rows=2, all="succeeded")
    log.findings(NOW, "late", [HEALTHY])
    assert log.severity() == "critical"
    log.findings(NOW, "late", [HEALTHY._replace(token="t2")])
    assert log.severity() is None


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


def test_where_two_rows_of_a_step_disagree_the_first_one_keeps_its_alert(log):
    log.run(5 * MINUTE, Found(name="New", action="New"), closing=None)
    log.run(65 * MINUTE, Found(name="Old", action="Old"), closing=None)
    (told,) = log.fires(CRITICAL)
    assert (told["TokenName"], told["Action"]) == ("Old", "Old")


def test_a_step_is_known_by_connector_token_finding_and_condition(log):
    found = Found()
    others = [found._replace(connector="vpp"), found._replace(token="t2"), found._replace(finding="invalid")]
    log.run(5 * MINUTE, found, *others)
    assert len(log.fires(CRITICAL)) == 4


# ---------------------------------------------------------------- the monitor itself


@pytest.mark.parametrize(
    ("outcomes", "fires"),
    [
        ([(30, "failed"), (0, "failed")], True),
        ([(29, "failed"), (0, "failed")], False),
        ([(2_400, "failed")], False),
        ([(300, "unknown"), (180, "unknown")], False),
        ([(300, "failed"), (240, "failed"), (180, "unknown")], True),
        ([(120, "failed"), (60, "failed"), (0, "succeeded")], False),
        ([(120, "failed"), (60, "failed"), (0, "skipped")], False),
        ([(120, "failed"), (60, "failed"), (0, "degraded")], False),
        ([(180, "failed"), (120, "succeeded"), (60, "failed")], False),
        ([(180, "failed"), (120, "succeeded"), (60, "failed"), (0, "failed")], True),
        ([(60, "failed"), (0, "failed"), (120, "succeeded")], True),  # the success arrives late
        ([(60, "failed"), (60, "succeeded"), (0, "failed")], False),
    ],
)
def test_failures_30_minutes_apart_raise_an_alert_until_a_run_does_not_fail(log, outcomes, fires):
    connectors = ("ade", "all", "apns", "devices")
    for number, (ago, outcome) in enumerate(outcomes):
        log.outcomes(NOW - ago * MINUTE, f"r{number}", **dict.fromkeys(connectors, outcome))
    assert {alert["Connector"] for alert in log.fires(FAILING)} == (set(connectors) if fires else set())


def test_a_failing_connector_raises_its_alert_beside_one_that_succeeds(log):
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


@given(logs(), logs())
def test_a_query_follows_its_definition_over_any_rows_and_sees_no_other_deployment(ours, theirs):
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


def test_an_alert_resolves_with_the_second_clean_evaluation(log):
    engine = AlertEngine(log.con, [CRITICAL])
    log.run(MINUTE, Found())
    assert play(engine, NOW, 1) == [("fired", "token_critical", NOW)]
    log.run(MINUTE, HEALTHY, now=NOW + FREQUENCY)
    assert play(engine, NOW + FREQUENCY, 1) == []
    assert len(engine.open) == 1
    assert play(engine, NOW + 2 * FREQUENCY, 4) == [("resolved", "token_critical", NOW + 2 * FREQUENCY)]
    assert engine.open == []


def test_a_changed_dimension_is_a_new_alert_and_the_old_one_resolves(log):
    engine = AlertEngine(log.con, [CRITICAL])
    log.run(MINUTE, Found(condition="7"))
    engine.evaluate(NOW)
    log.run(MINUTE, Found(condition="1"), now=NOW + FREQUENCY)
    events = [event for step in range(1, 4) for event in engine.evaluate(NOW + step * FREQUENCY)]
    alerts = [(event.kind, event.alert.dimensions["Condition"]) for event in events]
    assert alerts == [("fired", "Token: 1"), ("resolved", "Token: 7")]


def test_blindness_resolves_nothing_until_the_window_is_empty_and_silence_is_reported_long_before(log):
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


@pytest.mark.exhaustive
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
