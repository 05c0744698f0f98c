"""The workbook: queries that Azure accepts, right over rows, and a page that never calls the unknown healthy.

How it looks can only be seen in the portal. Here stand what it asks for and what it is told.
"""

# ruff: noqa: S608 - the SQL is made of our own names and queries; values are bound

import json
import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import compiler
import duckdb_kql
import kusto
import pytest
from duckdb import DuckDBPyConnection
from msgspec.structs import replace

from shared.guidance.guidance import Guidance
from shared.model.runs import Failure, Outcome, Run
from shared.model.tokens import Connector, Finding, Health, Status
from shared.publishing.rows import CLOSING, DEVICES, FINDINGS, RUNS, RunSource, finding_rows
from shared.text import without_links
from simulator.host import run_worker
from simulator.rules import EXAMPLE_DEPLOYMENT, RULES, create_tables, firing, insert
from simulator.stack import Simulator
from simulator.story import inspect_once
from tests.unit.builders import a_status, a_step, ade, apns, vpp
from tests.unit.terms import ADE, APNS, CRITICAL, DAY, HOUR, INFO, MINUTE, NOTHING, NOW, UNKNOWN, VPP, WARNING

TENANT = "11111111-2222-3333-4444-555555555555"
GUIDANCE = Guidance()
KQL = {path.stem: path.read_text("utf-8") for path in sorted((compiler.INFRA / "workbook").glob("*.kql"))}

ALL = "'ade','apns','vpp'"
"""What the portal puts into a query where every connector is chosen."""

PRESENT, LATELY = 2 * DAY, 90 * DAY
SEES = dict.fromkeys(KQL, LATELY) | dict.fromkeys(["health", "tokens", "expiry_months", "expiry_tokens"], PRESENT)
"""How far back each query sees; of those that follow the chosen history, the default."""

FOLLOWS = {
    "sync_lag", "synced_devices", "device_tokens", "inspection_states",
    "run_outcomes", "run_durations", "run_failures", "runs",
}  # fmt: skip

type Row = dict[str, Any]


def chosen(kql: str, connectors: str = ALL, grain: str = "1h") -> str:
    """The query as the portal sends it: what people chose stands in it."""
    return kql.replace("{Connector}", connectors).replace("{TimeRange:grain}", grain)


# ---------------------------------------------------------------- the page, as it would be deployed

WORKSPACE = (
    "/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/logs"
    "/providers/Microsoft.OperationalInsights/workspaces/log-ade"
)
PARAMETERS = f"""
using '../modules/workbook.bicep'
param name = 'ade-abc'
param displayName = 'Apple tokens (ade)'
param location = 'westeurope'
param tags = {{ owner: 'intune' }}
param workspaceId = '{WORKSPACE}'
param deploymentId = '{EXAMPLE_DEPLOYMENT}'
param portalUrl = 'https://portal.azure.us'
"""
DOCUMENTS = "param documentsUrl = 'https://example.org/documents'\n"


def snapshot(folder: Path, more: str = "") -> dict[str, Any]:
    file = folder / "workbook.bicepparam"
    file.write_text(PARAMETERS + more, "utf-8")
    found = compiler.snapshot(file)
    assert found["diagnostics"] == []
    return found


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory) -> dict[str, Any]:
    """The module without the parameters that it can do without."""
    return snapshot(tmp_path_factory.mktemp("workbook"))


@pytest.fixture(scope="module")
def linked(tmp_path_factory) -> dict[str, Any]:
    """The same at another deployment, with the place of the documents."""
    (resource,) = snapshot(tmp_path_factory.mktemp("linked"), DOCUMENTS)["predictedResources"]
    return resource


@pytest.fixture(scope="module")
def deployed(evaluated) -> dict[str, Any]:
    (resource,) = evaluated["predictedResources"]
    return resource


@pytest.fixture(scope="module")
def page(deployed) -> dict[str, Any]:
    return json.loads(deployed["properties"]["serializedData"])


@pytest.fixture(scope="module")
def items(page) -> dict[str, Any]:
    """The items that show a query, by the query's file."""
    return {file_of(item["content"]["query"]): item for item in page["items"] if item["type"] == 3}


def file_of(query: str) -> str:
    (name,) = (name for name, text in KQL.items() if text == query)
    return name


@compiler.needed
def test_the_workbook_belongs_to_the_workspace_and_is_the_same_one_at_every_deployment(deployed, linked):
    properties = deployed["properties"]
    assert deployed["type"] == "Microsoft.Insights/workbooks"
    assert deployed["kind"] == "shared"
    assert deployed["tags"] == {"owner": "intune"}
    assert properties["displayName"] == "Apple tokens (ade)"
    assert properties["sourceId"] == WORKSPACE
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", deployed["name"])
    assert linked["name"] == deployed["name"]


@compiler.needed
def test_the_link_leads_to_the_workbook_in_the_portal_of_its_cloud(evaluated, deployed):
    tenant = "22222222-2222-4222-8222-222222222222"
    assert evaluated["outputs"] == {
        "id": deployed["id"],
        "name": deployed["name"],
        "url": f"https://portal.azure.us/#@{tenant}/resource{deployed['id']}/workbook",
    }


@compiler.needed
def test_every_query_of_the_folder_is_asked_once(page):
    parameters = page["items"][0]["content"]["parameters"]
    asked = [part["query"] for part in parameters if "query" in part]
    asked += [item["content"]["query"] for item in page["items"] if item["type"] == 3]
    assert Counter(map(file_of, asked)) == dict.fromkeys(KQL, 1)


@compiler.needed
def test_no_empty_place_says_that_all_is_well(items):
    for name, item in items.items():
        message = item["content"]["noDataMessage"]
        assert item["content"]["title"]
        assert message.endswith(".")
        assert "healthy" not in message
        assert "noDataMessageStyle" not in item["content"]  # whose best known value is green
        if name not in {"last_check", "run_failures"}:
            assert "Last check" in message


@compiler.needed
def test_every_query_reads_the_workspace_and_names_no_resource(page):
    *_, freshness = page["items"][0]["content"]["parameters"]
    for content in [freshness, *(item["content"] for item in page["items"] if item["type"] == 3)]:
        assert content["queryType"] == 0
        assert content["resourceType"] == "microsoft.operationalinsights/workspaces"
        assert content["crossComponentResources"] == [WORKSPACE]
        assert "/subscriptions/" not in content["query"]


@compiler.needed
def test_the_present_does_not_follow_the_chosen_history(page, items):
    *_, freshness = page["items"][0]["content"]["parameters"]
    contents = {name: item["content"] for name, item in items.items()} | {"freshness": freshness}
    for name, content in contents.items():
        assert content["timeContext"]["durationMs"] == SEES[name] / timedelta(milliseconds=1)
        assert ("timeContextFromParameter" in content) == (name in FOLLOWS)
        assert content.get("timeContextFromParameter", "TimeRange") == "TimeRange"
        assert "{TimeRange" not in content["query"] or name in FOLLOWS


@compiler.needed
def test_people_choose_a_history_of_90_days_and_every_connector_unless_they_say_otherwise(page):
    choices = page["items"][0]
    assert choices["type"] == 9
    history, connector, freshness = choices["content"]["parameters"]
    assert (history["name"], history["type"]) == ("TimeRange", 4)
    assert history["value"] == {"durationMs": LATELY / timedelta(milliseconds=1)}
    assert history["value"] in history["typeSettings"]["selectableValues"]
    assert (connector["name"], connector["type"], connector["multiSelect"]) == ("Connector", 2, True)
    assert connector["value"] == connector["typeSettings"]["additionalResourceOptions"] == ["value::all"]
    assert "selectAllValue" not in connector["typeSettings"]
    listed = [choice["value"] for choice in json.loads(connector["jsonData"])]
    assert connector["delimiter"].join(f"{connector['quote']}{one}{connector['quote']}" for one in listed) == ALL
    assert listed == [str(one) for one in Connector]
    assert freshness["isHiddenWhenLocked"]
    assert len({part["id"] for part in choices["content"]["parameters"]}) == 3


@compiler.needed
def test_what_to_do_is_shown_unless_a_check_is_known_to_be_recent(page):
    _, help_, *_ = page["items"]
    assert help_["conditionalVisibility"] == {
        "parameterName": "Freshness",
        "comparison": "isNotEqualTo",
        "value": "recent",
    }
    text = help_["content"]["json"]
    assert help_["content"]["style"] == "warning"
    for word in ("check_tokens", "grant-graph-role", "Monitoring Metrics Publisher", "four hours"):
        assert word in text


@compiler.needed
def test_the_documents_are_named_and_linked_where_their_place_is_known(deployed, linked):
    def text(resource: dict[str, Any]) -> str:
        items = json.loads(resource["properties"]["serializedData"])["items"]
        return next(item["content"]["json"] for item in items if item["name"] == "documents")

    for document in ("docs/deployment.md", "docs/alerts.md"):
        assert f"`{document}`" in text(deployed)
        assert f"(https://example.org/documents/{document})" in text(linked)


@compiler.needed
def test_no_text_and_no_link_is_made_of_what_a_token_is_called(page, items):
    """Names come from outside: only as cells and series are they shown, which the portal escapes."""
    for item in page["items"]:
        if item["type"] == 1:
            assert "{" not in item["content"]["json"]
        assert "{" not in item["content"].get("title", "")
    for item in items.values():
        targets = re.findall(r'"linkTarget": "(\w+)"', json.dumps(item))
        assert set(targets) <= {"GenericDetails"}


@compiler.needed
def test_the_page_keeps_within_what_the_portal_shows_quickly(page, items):
    """Thresholds of the analyser that Microsoft runs over its own workbooks.

    https://github.com/microsoft/Application-Insights-Workbooks/blob/master/scripts/src/Rules.ts
    """
    assert len(json.dumps(page, indent=2)) < 100_000
    assert len(items) <= 40
    assert all(len(text) <= 3_000 for text in KQL.values())
    assert not any(re.search(r"\bprint ", text) for text in KQL.values())


# ---------------------------------------------------------------- what Azure accepts

VARIANTS = {"all": (ALL, "1d"), "one": ("'apns'", "5m")}


@pytest.fixture(scope="module")
def analysed() -> dict[str, Any]:
    """What the language service says of every query, as the portal sends it, by file and variant."""
    queries = {f"{name} {kind}": chosen(text, *given) for name, text in KQL.items() for kind, given in VARIANTS.items()}
    return kusto.analysed(queries | {"misspelled": chosen(KQL["health"]).replace("RunId", "RunIds")})


@pytest.mark.parametrize("kind", VARIANTS)
@pytest.mark.parametrize("name", KQL)
def test_a_query_is_accepted(analysed, name, kind):
    assert analysed[f"{name} {kind}"]["diagnostics"] == []
    assert analysed[f"{name} {kind}"]["columns"]
    assert set(re.findall(r"{.*?}", KQL[name])) <= {"{Connector}", "{TimeRange:grain}"}
    assert analysed["misspelled"]["diagnostics"] != []


NUMBERS = {"int", "long", "real"}


def complaints(content: dict[str, Any], columns: dict[str, str]) -> list[str]:
    """What of an item's looks has no column, or not the one that was meant."""
    tiles = [part for part in content.get("tileSettings", {}).values() if isinstance(part, dict)]
    formatters = [*content.get("gridSettings", {}).get("formatters", []), *tiles]
    kinds = {4: NUMBERS, 6: {"datetime"}, 12: NUMBERS, 18: {"string"}}
    told = []
    for formatter in formatters:
        # The portal takes the name for a regular expression.
        matched = [name for name in columns if re.search(formatter["columnMatch"], name)]
        if matched != [formatter["columnMatch"]]:
            told.append(f"{formatter['columnMatch']} is {matched}")
        elif columns[matched[0]] not in kinds.get(formatter["formatter"], {"string"}):
            told.append(f"{matched[0]} is a {columns[matched[0]]}")
    if chart := content.get("chartSettings"):
        wanted = {chart["xAxis"]: {"datetime", "string"}} | dict.fromkeys(chart["yAxis"], NUMBERS)
        wanted |= {chart["group"]: {"string"}} if "group" in chart else {}
        told += [f"{name} is a {columns.get(name)}" for name, fit in wanted.items() if columns.get(name) not in fit]
        # A column that no axis names would become a series, or hide the group.
        told += [f"{name} is not drawn" for name in columns if name not in wanted]
    return told


@compiler.needed
def test_every_column_that_the_page_names_is_in_its_query_s_result_with_the_right_type(items, analysed):
    for name, item in items.items():
        assert complaints(item["content"], analysed[f"{name} all"]["columns"]) == []
    drawn = {item["content"]["visualization"] for item in items.values()}
    assert drawn == {"table", "tiles", "linechart", "barchart", "categoricalbar"}


@compiler.needed
@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("tokens", "Days left", "Days right"),
        ("tokens", "Health", "e"),
        ("sync_lag", "Hours", "Token"),
        ("expiry_months", "Month", "Tokens"),
    ],
)
def test_a_page_that_names_another_column_is_rejected(items, analysed, name, old, new):
    text = json.dumps(items[name]["content"])
    assert f'"{old}"' in text
    broken = json.loads(text.replace(f'"{old}"', f'"{new}"'))
    assert complaints(broken, analysed[f"{name} all"]["columns"]) != []


@compiler.needed
def test_every_word_for_a_health_an_outcome_and_an_age_has_its_icon_or_colour(items):
    def words(name: str, column: str) -> set[str]:
        content = items[name]["content"]
        parts = [*content.get("gridSettings", {}).get("formatters", []), *content.get("tileSettings", {}).values()]
        (found,) = (part for part in parts if isinstance(part, dict) and part["columnMatch"] == column)
        grid = found["formatOptions"]["thresholdsGrid"]
        assert grid[-1]["operator"] == "Default"
        assert "{0}" in grid[0]["text"] or "✔" in grid[0]["text"]
        return {threshold["thresholdValue"] for threshold in grid[:-1]}

    assert words("health", "Health") == words("tokens", "Health") == {str(health) for health in Health}
    assert words("findings", "Severity") >= {"critical", "unknown", "warning", "info"}
    assert words("runs", "Outcome") == words("last_check", "How it ended") == {str(outcome) for outcome in Outcome}
    assert words("last_check", "State") == {"recent", "late"}
    assert words("inspections", "State") == {"fresh", "not fresh", "not watched"}
    assert words("device_findings", "Severity") >= {"unknown", "warning", "info"}
    series = {
        name: {one["seriesName"] for one in items[name]["content"]["chartSettings"]["seriesLabelSettings"]}
        for name in ("run_outcomes", "inspection_states")
    }
    assert series["run_outcomes"] == {str(outcome) for outcome in Outcome} | {"unfinished"}
    assert series["inspection_states"] == {"fresh", "not fresh", "not watched"}


STATES = (
    "freshness",
    "last_check",
    "health",
    "tokens",
    "findings",
    "expiry_months",
    "expiry_tokens",
    "device_findings",
)


@pytest.mark.parametrize("name", STATES)
def test_the_page_means_by_a_complete_run_what_the_alert_rules_mean(name):
    def definition(kql: str) -> str:
        return kql[kql.index('    | where Connector == "all" and') : kql.index(">= Rows")]

    assert definition(KQL[name]) == definition(RULES[0].kql)


# ---------------------------------------------------------------- rows

SCHEMA = {table.name: [column.name for column in table.columns] for table in (FINDINGS, RUNS)}
WINDOW = ", ".join(
    f'"{name}" AS (SELECT * FROM main."{name}" WHERE "TimeGenerated" > $since AND "TimeGenerated" <= $until)'
    for name in SCHEMA
)


@cache
def connection() -> DuckDBPyConnection:
    con = duckdb_kql.connect()
    create_tables(con)
    return con


@cache
def translated(kql: str) -> Any:
    return duckdb_kql.to_sql(kql, schema=SCHEMA, query_now=NOW)


def rows_of(con: DuckDBPyConnection, name: str, now: datetime, connectors: str = ALL, grain: str = "1h") -> list[Row]:
    """The query's rows, as the portal would get them at `now`."""
    until = naive(now)
    query = translated(chosen(KQL[name], connectors, grain))
    given = {"since": until - SEES[name], "until": until} | dict.fromkeys(query.parameters, until)
    found = con.execute(f"WITH {WINDOW} SELECT * FROM ({query})", given)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


class Log:
    """The two tables, at first empty, and checks that are written into them as the app writes them."""

    def __init__(self) -> None:
        self.con = connection()
        self.runs = 0
        for name in SCHEMA:
            self.con.execute(f'TRUNCATE "{name}"')

    def run(
        self,
        ago: timedelta,
        *statuses: Status,
        outcome: str = "succeeded",
        failures: Iterable[Connector] = (),
        error: str | None = None,
        lost: int = 0,
        closed: bool = True,
        seconds: float = 2,
        devices: str | None = "succeeded",
        devices_error: str | None = None,
        deployment: str = EXAMPLE_DEPLOYMENT,
    ) -> list[Row]:
        """A check `ago` before now; `lost` of its rows do not arrive. `devices` is what it says of the inspections."""
        self.runs += 1
        on = NOW - ago
        told = [replace(status, checked_on=on, run_id=f"run {self.runs}") for status in statuses]
        rows = [row for status in told for row in finding_rows(status, TENANT, deployment, GUIDANCE)]
        failed = {
            one: Failure(connector=one, asked=f"GET /{one}", reason="Graph refused", status=403, remedy="Grant it.")
            for one in failures
        }
        run = Run(
            id=f"run {self.runs}",
            started_on=on,
            duration_ms=round(seconds * 1000),
            outcome=Outcome(outcome),
            connectors={one: failed.get(one, 1) for one in Connector},
            counts={one: Counter(s.health for s in told if s.token.connector is one) for one in Connector},
            rows=len(rows),
        )
        parts = [
            (one.value, "failed" if one in failed else "succeeded", str(failed[one]) if one in failed else None)
            for one in Connector
        ]
        if devices:
            parts.append((DEVICES, devices, devices_error))
        if closed:
            parts.append((CLOSING, outcome, error))
        totals = {health: run.total(health) for health in Health}
        sources = [
            RunSource(run, name, how, why, totals if name == CLOSING else run.counts.get(name, {}), TENANT, deployment)
            for name, how, why in parts
        ]
        insert(self.con, FINDINGS.name, rows[: len(rows) - lost])
        insert(self.con, RUNS.name, [RUNS.row(source) for source in sources])
        return rows

    def shows(self, name: str, *, after: timedelta = NOTHING, connectors: str = ALL, grain: str = "1h") -> list[Row]:
        """The query's rows, `after` now."""
        return rows_of(self.con, name, NOW + after, connectors, grain)

    def one(self, name: str, **given: Any) -> Row:
        (row,) = self.shows(name, **given)
        return row

    def tiles(self, **given: Any) -> dict[str, int]:
        return {row["Health"]: row["Tokens"] for row in self.shows("health", **given)}

    def column(self, name: str, column: str, **given: Any) -> list[Any]:
        return [row[column] for row in self.shows(name, **given)]


@pytest.fixture
def log() -> Log:
    return Log()


def found(code: str, severity: Health, tier: str | None = None, caused_by: str | None = None) -> Finding:
    steps = () if caused_by else (a_step(tier or "begun", severity),)
    return Finding(code=code, severity=severity, tier=tier, caused_by=caused_by, since=NOW - DAY, steps=steps)


def naive(instant: datetime) -> datetime:
    return instant.replace(tzinfo=None)


BERLIN = a_status(ade(id="b0000000-1", name="Berlin", expires_on=NOW + 20 * DAY), found("expiring", WARNING, "30"))
PARIS = a_status(ade(id="p0000000-1", name="Paris", last_successful_sync=NOW - 50 * HOUR, synced_devices=9))
ROME = a_status(
    vpp(id="r0000000-1", name="Rome", expires_on=NOW - 3 * DAY),
    found("expired", CRITICAL, "0"),
    found("sync_stale", WARNING, None, "expired"),
)
OSLO = a_status(vpp(id="o0000000-1", name="Oslo", expires_on=None), found("unreadable", UNKNOWN))
BONN = a_status(ade(id="n0000000-1", name="Bonn", expires_on=NOW + 365 * DAY), found("not_set_up", INFO))
PUSH = a_status(apns())
MIXED = (BERLIN, PARIS, ROME, OSLO, BONN, PUSH)


def test_the_page_shows_no_number_for_empty_tables(log):
    for name in KQL:
        if name not in {"freshness", "last_check"}:
            assert log.shows(name) == []
    assert log.one("freshness") == {"Freshness": "none"}
    told = log.one("last_check")
    assert (told["State"], told["Last whole check"], told["Shown as of"]) == ("none", "none within 90 days", None)


# ---------------------------------------------------------------- how old it is


@pytest.mark.parametrize(
    ("ago", "state", "told"),
    [
        (NOTHING, "recent", "a moment ago"),
        (HOUR, "recent", "60 minutes ago"),
        (4 * HOUR, "recent", "4 hours ago"),
        (4 * HOUR + MINUTE, "late", "4 hours ago"),
        (50 * HOUR, "late", "2 days ago"),
        (91 * DAY, "none", "none within 90 days"),
    ],
)
def test_the_top_says_how_old_the_newest_whole_check_is_and_from_four_hours_on_that_it_is_late(log, ago, state, told):
    log.run(ago + HOUR, BERLIN)
    log.run(ago, BERLIN)
    shown = log.one("last_check")
    assert (shown["State"], shown["Last whole check"]) == (state, told)
    assert log.one("freshness") == {"Freshness": state}
    if state != "none":
        assert shown["Shown as of"] == shown["Last check that ended"] == naive(NOW - ago)


def test_two_days_after_the_last_check_nothing_is_shown_as_the_present(log):
    log.run(NOTHING, *MIXED)
    assert sum(log.tiles(after=47 * HOUR).values()) == 6
    for name in ("health", "tokens", "findings", "expiry_months", "expiry_tokens"):
        assert log.shows(name, after=49 * HOUR) == []
    assert log.one("last_check", after=49 * HOUR)["Last whole check"] == "2 days ago"


# ---------------------------------------------------------------- the present


def test_tiles_count_each_token_once_by_its_health(log):
    log.run(65 * MINUTE, PUSH)
    log.run(5 * MINUTE, *MIXED)
    assert log.tiles() == {"critical": 1, "unknown": 1, "warning": 1, "info": 1, "healthy": 2}
    assert log.column("health", "Meaning")[0] == "Act now"
    assert list(log.tiles()) == ["critical", "unknown", "warning", "info", "healthy"]


def test_a_tenant_without_tokens_has_tiles_of_zero(log):
    log.run(5 * MINUTE)
    assert set(log.tiles().values()) == {0}
    assert len(log.tiles()) == 5
    assert set(log.column("expiry_months", "Tokens")) == {0}
    assert log.shows("tokens") == log.shows("findings") == []


def test_only_the_chosen_connectors_are_shown(log):
    log.run(5 * MINUTE, *MIXED)
    assert log.tiles(connectors="'vpp','apns'") == {"critical": 1, "unknown": 1, "warning": 0, "info": 0, "healthy": 1}
    assert set(log.column("tokens", "Connector", connectors="'vpp'")) == {"vpp"}
    assert set(log.column("findings", "Connector", connectors="'ade'")) == {"ade"}
    assert sum(log.column("expiry_months", "Tokens", connectors="'apns'")) == 1
    assert log.column("expiry_tokens", "Connector", connectors="'apns'") == ["apns"]
    assert set(log.column("sync_lag", "Token", connectors="'vpp'")) == {"Oslo", "Rome"}
    assert log.shows("synced_devices", connectors="'vpp'") == []


def test_tokens_stand_in_the_order_of_their_expiry_after_those_whose_expiry_is_not_known(log):
    log.run(5 * MINUTE, *MIXED)
    rows = log.shows("tokens")
    assert [(row["Token"], row["Days left"]) for row in rows] == [
        ("Oslo", None),
        ("Rome", -3),
        ("Berlin", 20),
        ("Apple MDM push certificate", 200),
        ("Paris", 200),
        ("Bonn", 365),
    ]
    berlin = rows[2]
    assert (berlin["Health"], berlin["Connector"], berlin["Apple ID"]) == ("warning", "ade", "mdm@contoso.com")
    assert berlin["Expires on"] == naive(NOW + 20 * DAY)
    assert berlin["Last successful sync"] == naive(NOW - HOUR)
    assert berlin["Synced devices"] == 40


def test_a_check_that_has_half_arrived_changes_no_tile_and_can_open_a_finding(log):
    log.run(65 * MINUTE, PARIS, PUSH)
    log.run(5 * MINUTE, BERLIN, PARIS, PUSH, lost=1)
    assert log.tiles() == {"critical": 0, "unknown": 0, "warning": 0, "info": 0, "healthy": 2}
    assert "Berlin" not in log.column("tokens", "Token")
    assert log.column("findings", "Token") == ["Berlin"]


def test_rows_that_arrive_twice_count_once(log):
    rows = log.run(5 * MINUTE, *MIXED)
    before = {name: log.shows(name) for name in KQL if name != "runs"}
    insert(log.con, FINDINGS.name, rows)
    assert {name: log.shows(name) for name in before} == before


HOSTILE = """'"] | take 1 // <img src=x onerror=alert(1)> [a](javascript:b) {Connector} $(c) `d` \\ \u202e\n=1+1"""


def test_a_hostile_name_is_shown_as_it_is(log):
    enemy = a_status(
        ade(id="'; drop", name=HOSTILE, apple_id=HOSTILE, expires_on=NOW + 5 * DAY),
        found("expiring", CRITICAL, "7"),
        found("devices_missing", WARNING),
    )
    log.run(5 * MINUTE, enemy, PARIS, failures=[VPP], outcome="degraded")
    for name in ("tokens", "findings", "expiry_tokens", "sync_lag", "synced_devices", "device_findings"):
        assert without_links(HOSTILE) in log.column(name, "Token")
    assert log.tiles()["critical"] == log.tiles()["healthy"] == 1


def test_tokens_of_one_name_are_shown_with_the_start_of_their_ids(log):
    twins = [a_status(ade(id=f"{letter}1234567-x", name="Twin", expires_on=NOW + 30 * DAY), WAITING) for letter in "ab"]
    log.run(5 * MINUTE, *twins, BERLIN)
    for name in ("tokens", "expiry_tokens", "sync_lag", "synced_devices", "device_findings"):
        assert set(log.column(name, "Token")) - {"Berlin"} == {"Twin (a1234567)", "Twin (b1234567)"}


def test_open_findings_are_reported_the_worst_first_with_what_to_do(log):
    log.run(5 * MINUTE, *MIXED)
    rows = log.shows("findings")
    assert [(row["Severity"], row["Token"], row["Finding"]) for row in rows] == [
        ("critical", "Rome", "expired"),
        ("unknown", "Oslo", "unreadable"),
        ("warning", "Berlin", "expiring"),
        ("warning", "Rome", "sync_stale"),
        ("info", "Bonn", "not_set_up"),
    ]
    assert rows[2]["What to do"] == "Renew it."
    assert "Berlin" in rows[2]["Summary"]
    lasting = ["it lasts (0)", "it lasts (begun)", "it lasts (30)", "", "it lasts (begun)"]
    assert [row["Condition"] for row in rows] == lasting
    assert [row["Caused by"] for row in rows] == ["", "", "", "expired", ""]


def test_a_finding_is_reported_with_the_check_that_first_found_it_within_90_days(log):
    log.run(95 * DAY, BERLIN, OSLO)
    log.run(80 * DAY, BERLIN)
    log.run(HOUR, BERLIN, OSLO)
    seen = {row["Token"]: row["First seen within 90 days"] for row in log.shows("findings")}
    assert seen == {"Berlin": naive(NOW - 80 * DAY), "Oslo": naive(NOW - HOUR)}


def test_what_the_alert_rules_fire_for_is_among_the_open_findings_with_the_same_action(log):
    log.run(40 * HOUR, OSLO, ROME)
    log.run(3 * HOUR, *MIXED)
    log.run(2 * HOUR, ROME, OSLO, PARIS, outcome="failed")
    worse = replace(BERLIN, findings=(found("expiring", CRITICAL, "7"),), health=CRITICAL)
    log.run(5 * MINUTE, worse, PARIS, lost=1)
    told = {(row["Severity"], row["Token"], row["Finding"], row["What to do"]) for row in log.shows("findings")}
    alerts = firing(log.con, NOW, [rule for rule in RULES if rule.name.startswith("token_")])
    assert len(alerts) == 4
    for alert in alerts:
        names = alert.dimensions
        severities = {"critical"} if alert.rule == "token_critical" else {"warning", "unknown"}
        assert {(s, names["TokenName"], names["Finding"], names["Action"]) for s in severities} & told


# ---------------------------------------------------------------- the coming year


def test_each_month_of_the_coming_year_has_its_bar_and_names(log):
    log.run(5 * MINUTE, *MIXED)
    months = {row["Month"]: row["Tokens"] for row in log.shows("expiry_months")}
    assert list(months) == ["2026-11", "2026-12", *(f"2027-{month:02}" for month in range(1, 12))]
    # Berlin; Paris and the push certificate; Bonn, which was renewed today. Rome has expired, Oslo's date is not known.
    assert {month: count for month, count in months.items() if count} == {"2026-12": 1, "2027-06": 2, "2027-11": 1}
    named = [(row["Month"], row["Token"]) for row in log.shows("expiry_tokens")]
    assert named == [
        ("2026-12", "Berlin"),
        ("2027-06", "Apple MDM push certificate"),
        ("2027-06", "Paris"),
        ("2027-11", "Bonn"),
    ]


# ---------------------------------------------------------------- over time


def test_the_sync_lag_is_what_each_check_found_and_keeps_a_step_s_worst(log):
    log.run(3 * HOUR, PARIS)
    log.run(3 * HOUR - MINUTE, PARIS)
    log.run(NOTHING, PARIS, BERLIN, PUSH)
    points = [(row["TimeGenerated"], row["Token"], row["Hours"]) for row in log.shows("sync_lag")]
    at = [datetime(2026, 11, 23, hour) for hour in (3, 6)]  # noqa: DTZ001 # as DuckDB gives them
    assert points == [(at[0], "Paris", 47.0), (at[1], "Berlin", 1.0), (at[1], "Paris", 50.0)]
    assert [row["Hours"] for row in log.shows("sync_lag", grain="1d")] == [1.0, 50.0]


def test_a_drop_of_devices_that_lasted_an_hour_is_seen_in_a_day_s_step(log):
    for ago, devices in ((4, 40), (3, 2), (2, 40)):
        log.run(ago * HOUR, replace(BERLIN, token=ade(id="b", name="Berlin", synced_devices=devices)))
    assert log.column("synced_devices", "Devices") == [40, 2, 40]
    assert log.column("synced_devices", "Devices", grain="1d") == [2]


def test_charts_draw_the_ten_tokens_that_matter_most_and_each_by_its_newest_name(log):
    def tokens(name: str) -> list[Status]:
        tokens = (ade(id=f"{n:02}", name=f"{name} {n:02}", synced_devices=n) for n in range(30))
        return [
            a_status(replace(token, last_successful_sync=NOW - (10 + token.synced_devices) * HOUR)) for token in tokens
        ]

    log.run(2 * HOUR, *tokens("Old"))
    log.run(HOUR, *tokens("New"))
    for name in ("sync_lag", "synced_devices"):
        assert set(log.column(name, "Token")) == {f"New {n}" for n in range(20, 30)}
        assert len(log.shows(name)) == 20


# ---------------------------------------------------------------- the devices

WAITING = replace(
    found("devices_without_profile", WARNING),
    facts={"waiting": 9, "without_profile": 14, "devices": 120, "inspected": "2026-11-23 05:37 UTC"},
)
FAILING = replace(
    found("enrollment_failing", WARNING),
    facts={"failing": 16, "failed": 11, "blocked": 5, "devices": 120, "inspected": "2026-11-23 05:37 UTC"},
)
NO_DEFAULT = replace(found("no_default_profile", INFO), facts={"platforms": "macOS"})
KIEL = a_status(ade(id="k0000000-1", name="Kiel", synced_devices=120), WAITING, FAILING, found("expiring", WARNING))
LYON = a_status(ade(id="l0000000-1", name="Lyon"), NO_DEFAULT)
LATE = "1 of 3 ADE tokens without a complete inspection in 48 hours; 'Lyon': inspect_devices has never inspected it"


def test_findings_about_devices_are_reported_by_token_with_what_was_counted_and_what_to_do(log):
    log.run(5 * MINUTE, KIEL, LYON, BERLIN, ROME)
    rows = log.shows("device_findings")
    assert [(row["Token"], row["Severity"], row["Finding"]) for row in rows] == [
        ("Kiel", "warning", "devices_without_profile"),
        ("Kiel", "warning", "enrollment_failing"),
        ("Lyon", "info", "no_default_profile"),
    ]
    assert "9 of 120 devices waiting" in rows[0]["What was found"]
    assert "(11 failed, 5 blocked)" in rows[1]["What was found"]
    assert "macOS" in rows[2]["What was found"]
    assert rows[0]["What to do"] == "Renew it."
    assert rows[0]["Synced devices"] == 120
    assert log.shows("device_findings", connectors="'vpp','apns'") == []


@pytest.mark.parametrize(
    ("outcome", "state"),
    [("succeeded", "fresh"), ("failed", "not fresh"), ("skipped", "not watched"), ("unknown", "not known")],
)
def test_the_section_says_whether_the_inspections_are_fresh_and_since_when_it_has_been_said(log, outcome, state):
    log.run(9 * HOUR, KIEL, devices=outcome)
    log.run(8 * HOUR, KIEL, devices="other")
    for ago in (3, 2, 1):
        log.run(ago * HOUR, KIEL, devices=outcome, devices_error=LATE if outcome == "failed" else None)
    told = log.one("inspections")
    assert told["State"] == state
    assert told["Said by the check of"] == naive(NOW - HOUR)
    assert told["Said since, within 90 days"] == naive(NOW - 3 * HOUR)
    assert told["Why"] == (LATE if outcome == "failed" else None)
    assert log.one("inspections", after=3 * HOUR)["State"] == state
    assert log.one("inspections", after=3 * HOUR + MINUTE)["State"] == "not known", "the check is too old"
    if outcome == "failed":
        assert {(row["What failed"], row["Error"]) for row in log.shows("run_failures")} >= {
            ("inspecting devices", LATE)
        }


def test_tokens_with_a_finding_about_devices_are_drawn_by_finding_and_each_once_in_a_step(log):
    for ago in (3, 2):
        log.run(ago * HOUR, KIEL, LYON)
    log.run(HOUR, KIEL, replace(KIEL, token=ade(id="other", name="Kiel")))
    counted = {row["Finding"]: row["Tokens"] for row in log.shows("device_tokens", grain="1d")}
    assert counted == {"devices_without_profile": 2, "enrollment_failing": 2, "no_default_profile": 1}
    assert [row["Tokens"] for row in log.shows("device_tokens") if row["Finding"] == "enrollment_failing"] == [1, 1, 2]


def test_checks_are_counted_by_what_they_said_of_the_inspections(log):
    for ago, outcome in ((5, "succeeded"), (4, "succeeded"), (3, "failed"), (2, "skipped")):
        log.run(ago * HOUR, KIEL, devices=outcome)
    counted = {row["Inspections"]: row["Checks"] for row in log.shows("inspection_states", grain="1d")}
    assert counted == {"fresh": 2, "not fresh": 1, "not watched": 1}


@pytest.fixture(scope="module")
def published():
    """What the app itself sent of a check, of inspections more than a week apart, and of the check that judges them."""
    with Simulator() as simulator:
        assert run_worker(simulator.env(), "check_tokens").success
        inspect_once(simulator, datetime.now(UTC) - 8 * DAY)
        for function in ("inspect_devices", "check_tokens"):
            assert run_worker(simulator.env(), function).success
        yield simulator


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", KQL)
def test_every_query_reports_something_of_what_the_app_itself_sent_and_failures_alone_are_none(published, name):
    assert bool(rows_of(published.con, name, datetime.now(UTC))) == (name != "run_failures")


# ---------------------------------------------------------------- the checks


def test_checks_are_counted_by_how_they_ended_and_one_that_did_not_end_is_unfinished(log):
    log.run(5 * HOUR, PUSH)
    log.run(4 * HOUR, PUSH, outcome="degraded", failures=[ADE])
    log.run(3 * HOUR, PUSH, outcome="failed", error="Store is down.")
    log.run(2 * HOUR, PUSH, closed=False)
    log.run(5 * MINUTE, PUSH, closed=False)
    counted = {row["Ended"]: row["Checks"] for row in log.shows("run_outcomes", grain="1d")}
    assert counted == {"succeeded": 1, "degraded": 1, "failed": 1, "unfinished": 1}


def test_failures_are_reported_newest_first_with_their_error(log):
    log.run(3 * HOUR, PUSH, outcome="degraded", failures=[VPP, APNS])
    log.run(2 * HOUR, PUSH)
    log.run(HOUR, PUSH, outcome="failed", error="Store is down.")
    rows = log.shows("run_failures")
    assert [row["What failed"] for row in rows[:1]] == ["store or publish"]
    assert rows[0]["Error"] == "Store is down."
    assert {row["What failed"] for row in rows[1:]} == {"reading vpp", "reading apns"}
    assert all("Graph refused (HTTP 403)" in row["Error"] and "Grant it." in row["Error"] for row in rows[1:])


def test_closing_rows_are_listed_newest_first_with_the_rows_that_arrived(log):
    log.run(3 * HOUR, *MIXED)
    log.run(2 * HOUR, closed=False)
    log.run(HOUR, *MIXED, lost=2, outcome="degraded", seconds=2.5)
    newest, oldest = log.shows("runs")
    assert (newest["Check"], newest["Outcome"], newest["Seconds"]) == (naive(NOW - HOUR), "degraded", 2.5)
    assert (newest["Rows sent"], newest["Rows arrived"]) == (7, 5)
    assert (oldest["Rows sent"], oldest["Rows arrived"]) == (7, 7)
    assert log.column("run_durations", "Seconds") == [2.0, 2.5]
    assert log.column("run_durations", "Seconds", grain="1d") == [2.5]
    assert [newest[column] for column in ("Tokens", "Critical", "Unknown", "Warning", "Info", "Healthy")] == [
        6, 1, 1, 1, 1, 2,
    ]  # fmt: skip


def test_lists_of_checks_stay_short_in_a_long_history(log):
    for hour in range(130):
        log.run(hour * HOUR, PUSH, outcome="degraded", failures=[ADE])
    assert len(log.shows("runs")) == len(log.shows("run_failures")) == 100
    assert log.shows("runs")[0]["Check"] == naive(NOW)
