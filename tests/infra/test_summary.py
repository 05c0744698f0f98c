"""The weekly sign of life: one row on one day, all of its text in its dimensions, and never healthier than is known."""

# ruff: noqa: S608 - the SQL is made of our own names

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import duckdb_kql
import kusto
import pytest
from duckdb import DuckDBPyConnection
from test_queries import complaints

from shared.publishing.rows import FINDINGS, RUNS
from shared.storage.columns import iso
from simulator.rules import EXAMPLE_DEPLOYMENT, SUMMARY, AlertEngine, create_tables, firing, insert

MONDAY = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOT_KNOWN = "not known: no check was complete in the last 48 hours"


@pytest.fixture
def con() -> DuckDBPyConnection:
    con = duckdb_kql.connect()
    create_tables(con)
    return con


def ran(con: DuckDBPyConnection, on: datetime, *tokens: dict[str, Any], **columns: Any) -> None:
    """A run with a closing row, and a row for each token."""
    row = {"TimeGenerated": iso(on), "RunId": iso(on), "Deployment": EXAMPLE_DEPLOYMENT}
    counts = dict.fromkeys(("Healthy", "Info", "Warning", "Unknown", "Critical"), 0)
    closing = {"Connector": "all", "Outcome": "succeeded", "Rows": len(tokens), "Tokens": len(tokens)}
    insert(con, FINDINGS.name, [row | {"Connector": "ade", "Finding": "none"} | token for token in tokens])
    insert(con, RUNS.name, [row | closing | counts | columns])


def token(name: str, days: float | None, **columns: Any) -> dict[str, Any]:
    expires = {} if days is None else {"ExpiresOn": iso(MONDAY + days * DAY)}
    return {"TokenId": f"id of {name}", "TokenName": name} | expires | columns


def summary(con: DuckDBPyConnection, now: datetime = MONDAY) -> tuple[str, ...]:
    (alert,) = firing(con, now, [SUMMARY])
    return tuple(alert.dimensions.values())


def test_azure_accepts_the_query_and_finds_its_dimensions():
    answer = kusto.analysed({"summary": SUMMARY.kql})["summary"]
    assert complaints(answer, SUMMARY) == []
    assert list(answer["columns"]) == [*SUMMARY.dimensions, "Tokens"]


def test_it_counts_tokens_checks_and_names_the_next_three_expiries(con):
    for hours in range(60, 0, -1):
        ran(con, MONDAY - hours * HOUR, Outcome="degraded" if hours == 7 else "succeeded")
    tokens = [
        token("Late", 300),
        token("Expired", -1),
        token("Second", 20),
        token("First", 9.5),
        token("Third", 30, Connector="vpp"),
        token("No date", None),
    ]
    ran(con, MONDAY, *tokens, Healthy=2, Info=1, Warning=1, Unknown=1, Critical=1)
    assert summary(con) == (
        "6 tokens: 2 healthy, 1 critical, 1 warning, 1 unknown, 1 info",
        "First (ade) on 2026-12-02; Second (ade) on 2026-12-13; Third (vpp) on 2026-12-23",
        "47 of 48 checks complete",
    )


def test_it_comes_when_no_row_arrived_at_all(con):
    assert summary(con) == (NOT_KNOWN, "none known", "0 of 48 checks complete")


@pytest.mark.parametrize("columns", [{"Outcome": "failed"}, {"Rows": 9}, {"Rows": None}, {"Connector": "ade"}])
@pytest.mark.sampled(1)
def test_a_run_that_is_not_whole_says_nothing_of_the_tokens(con, columns):
    ran(con, MONDAY - HOUR, token("Old", 5), Healthy=1)
    ran(con, MONDAY, token("New", 5), token("Other", 6), **{"Healthy": 2} | columns)
    health, expiries, _ = summary(con)
    assert health.startswith("1 token: 1 healthy")
    assert expiries == "Old (ade) on 2026-11-28"
    con.execute(f'DELETE FROM "{RUNS.name}" WHERE "Tokens" = 1')
    assert summary(con)[:2] == (NOT_KNOWN, "none known")


def test_a_row_that_arrives_twice_makes_no_run_whole(con):
    ran(con, MONDAY, token("One", 5), token("One", 5), Healthy=1)
    assert summary(con)[0] == NOT_KNOWN


def test_a_token_with_several_findings_is_one_and_a_removed_one_is_none(con):
    ran(con, MONDAY - HOUR, token("Removed", 1))
    steps = [token("One", 5, Finding="expiring", Tier=tier, Condition=f"of {tier}") for tier in ("14", "7")]
    ran(con, MONDAY, *steps, token("One", 5, Finding="sync_stale"), token("Gone", 2, Finding="removed"), Tokens=2)
    assert summary(con)[1] == "One (ade) on 2026-11-28"


@pytest.mark.parametrize("first", [timedelta(minutes=minutes) for minutes in (0, 59)])
def test_an_hourly_check_is_48_checks_whenever_the_rule_looks(con, first):
    for hours in range(52):
        ran(con, MONDAY + first - hours * HOUR)
    assert summary(con)[2] == "48 of 48 checks complete"


@pytest.mark.parametrize("name", ["x" * 512, '"<b>[a](https://e)'])
def test_a_name_is_bounded_plain_text(con, name):
    ran(con, MONDAY, *(token(name, days, TokenId=str(days)) for days in (1, 2, 3, 4)))
    kept = name if len(name) <= 40 else f"{name[:39]}…"
    expiries = summary(con)[1]
    assert expiries.count(kept) == 3
    assert len(expiries) < 200


def test_another_deployment_s_rows_are_not_its_own(con):
    ran(con, MONDAY, token("Theirs", 5))
    for table in (FINDINGS, RUNS):
        con.execute(f'UPDATE "{table.name}" SET "Deployment" = \'another\'')
    assert summary(con) == (NOT_KNOWN, "none known", "0 of 48 checks complete")


@pytest.mark.exhaustive
@pytest.mark.parametrize("start", [timedelta(), timedelta(hours=5, minutes=20)])
def test_it_fires_once_a_week_for_each_day_that_can_be_chosen_and_never_resolves(con, start):
    for number, day in enumerate(("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")):
        rule = SUMMARY._replace(kql=re.sub(r"Weekday = \dd", f"Weekday = {number}d", SUMMARY.kql))
        engine = AlertEngine(con, [rule])
        begin = datetime(2026, 11, 22, tzinfo=UTC) + start
        events = [event for step in range(15 * 4) for event in engine.evaluate(begin + step * DAY / 4)]
        assert {(event.kind, f"{event.on:%a}", event.alert.severity) for event in events} == {("fired", day, 4)}
        assert {later.on - event.on for event, later in pairwise(events)} == {7 * DAY}
        assert engine.open == []
