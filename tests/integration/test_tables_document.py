"""docs/tables.md: every query and every example in it, carried out against what two checks have written."""

import csv
import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb_kql
import httpx
import pytest

from shared.publishing.rows import FINDINGS, RUNS
from simulator import bearer, faults
from simulator.devices import fixed_id
from simulator.graph import VPP
from simulator.host import run_worker

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tables.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
COLUMNS = {
    table: set(re.findall(r"^\| `(\w+)` \|", columns, re.MULTILINE))
    for table, columns in re.findall(r"<!-- columns (\w+) -->(.*?)<!-- /columns", PAGE, re.DOTALL)
}


def blocks(language):
    return [text for kind, text in BLOCKS if kind == language]


@pytest.fixture(scope="module")
def sim(simulator):
    """A tenant after two checks, and an inspection that failed for one token; the second check could not read VPP."""
    simulator.reset()
    assert run_worker(simulator.env(), "check_tokens").success
    simulator.graph.fail(lambda request: fixed_id("Contoso Labs") in request.path, faults.missing_role())
    assert run_worker(simulator.env(), "inspect_devices").success
    simulator.graph.heal()
    simulator.graph.fail(VPP, faults.missing_role())
    assert run_worker(simulator.env(), "check_tokens").success
    yield simulator
    simulator.reset()


# Table Storage

AZ = '''#!{python}
"""Carries out `az storage entity query` as the Azure CLI does, and notes how it was asked."""

import argparse, json, os, sys
from azure.data.tables import TableServiceClient
from azure.identity import DefaultAzureCredential

assert sys.argv[1:4] == ["storage", "entity", "query"], sys.argv
options = argparse.ArgumentParser(allow_abbrev=False)
for name in ("auth-mode", "account-name", "table-name", "filter", "query", "output"):
    options.add_argument("--" + name)
options.add_argument("--select", nargs="+")
asked = options.parse_args(sys.argv[4:])
service = TableServiceClient(os.environ["TABLES_ENDPOINT"], credential=DefaultAzureCredential())
table = service.get_table_client(asked.table_name)
rows = [dict(row) for row in table.query_entities(asked.filter, select=",".join(asked.select))]
print(json.dumps({{"asked": vars(asked), "rows": rows}}, default=str))
'''

SELECTED = (
    lambda row: row["Health"] != "healthy",
    lambda row: row.get("DaysLeft", 61) <= 60,
    lambda row: row["PartitionKey"] == "ade" and row["Health"] in {"critical", "unknown"},
    lambda row: row["PartitionKey"].startswith("ade:") and row["TokenName"] == "Contoso HQ",
    lambda row: row["ChangedOn"] >= datetime(2026, 11, 1, tzinfo=UTC),
    lambda row: row["Outcome"] != "succeeded",
    lambda row: any(row.get(name, 0) > 0 for name in ("Waiting", "Failed", "Blocked", "NotContacted")),
    lambda row: not row["Complete"],
    lambda row: row["TokenName"] == "Contoso HQ",
)
"""What each query of the Azure CLI is to select, in the order of the page."""


@pytest.fixture
def environment(sim, tmp_path):
    az = tmp_path / "az"
    az.write_text(AZ.format(python=sys.executable))
    az.chmod(0o755)
    token_id = next(row["RowKey"] for row in sim.table_rows("TokenStatus") if row["TokenName"] == "Contoso HQ")
    environment = sim.env()
    return environment | {
        "ACCOUNT": "youraccount",
        "TOKEN_ID": token_id,
        "PATH": f"{tmp_path}:{environment['PATH']}",
        "REQUESTS_CA_BUNDLE": environment["SSL_CERT_FILE"],
    }


def carried_out(command, environment, cwd):
    ended = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize(("block", "selected"), list(zip(blocks("bash"), SELECTED, strict=True)))
@pytest.mark.exhaustive
def test_the_azure_cli_selects_what_the_page_states(sim, environment, tmp_path, block, selected):
    bash = shutil.which("bash")
    assert bash
    told = json.loads(carried_out([bash, "-euc", block], environment, tmp_path))
    asked = told["asked"]
    assert (asked["auth_mode"], asked["account_name"]) == ("login", "youraccount")
    rows = sim.table_rows(asked["table_name"])
    expected = [row for row in rows if selected(row)]
    assert expected
    assert [[str(row.get(name)) for name in asked["select"]] for row in told["rows"]] == [
        [str(row.get(name)) for name in asked["select"]] for row in expected
    ]
    shown = re.findall(r"[:&](\w+)", asked["query"] or "")
    assert set(shown) <= set(asked["select"]) <= COLUMNS[asked["table_name"]]


@pytest.mark.exhaustive
def test_powershell_requests_what_the_page_states(sim):
    (block,) = blocks("powershell")
    value = {name: text for name, _, text in re.findall(r"^\$(\w+) = (['\"])(.*)\2$", block, re.MULTILINE)}
    headers = dict(re.findall(r"^ +'([\w-]+)' += '(.+)'$", block, re.MULTILINE))
    assert headers.keys() == {"Accept", "x-ms-version"}
    audience = re.search(r"-ResourceUrl '(.+?)'", block)[1]
    answer = httpx.get(
        f"{sim.env()['TABLES_ENDPOINT']}/{value['table']}()",
        params={"$filter": value["filter"], "$select": value["select"]},
        headers=headers | {"Authorization": f"Bearer {bearer.issue(audience)[0]}"},
        verify=sim.tls.client(),
    )
    rows = answer.raise_for_status().json()["value"]
    assert len(rows) == sum(row["Health"] != "healthy" for row in sim.table_rows("TokenStatus"))
    assert all(row.keys() <= set(value["select"].split(",")) for row in rows)


@pytest.mark.exhaustive
def test_python_prints_the_findings_and_writes_the_csv(sim, environment, tmp_path):
    findings, _, file = blocks("python")
    rows = sim.table_rows("TokenStatus")
    told = carried_out([sys.executable, "-c", findings], environment, tmp_path).splitlines()
    causes = [finding for row in rows for finding in json.loads(row["Findings"]) if finding["caused_by"] is None]
    assert len(told) == len(causes)
    assert any("terms_not_accepted" in line for line in told)
    assert not any("explained by" in line for line in told)

    carried_out([sys.executable, "-c", file], environment, tmp_path)
    with (tmp_path / "tokens.csv").open(encoding="utf-8-sig", newline="") as written:
        table = list(csv.DictReader(written))
    assert [row["TokenName"] for row in table] == [row["TokenName"] for row in rows]
    assert [row["DaysLeft"] for row in table] == [str(row.get("DaysLeft", "")) for row in rows]


def test_python_prints_the_serial_numbers_of_the_named_token(sim, environment, tmp_path):
    _, serials, _ = blocks("python")
    told = carried_out([sys.executable, "-c", serials], environment, tmp_path).splitlines()
    academy = sim.graph.tenant.devices[fixed_id("Fabrikam Academy")]
    waiting = [device["serialNumber"] for device in academy if device["enrollmentState"] == "notContacted"]
    (line,) = (line for line in told if line.startswith("Fabrikam Academy waiting "))
    assert set(line.split()[3:]) <= set(waiting)
    assert len(line.split()) == 3 + 9
    assert {line.partition(" failed ")[0] for line in told if " failed " in line} == {"Contoso Field Service"}


def test_the_examples_of_json_columns_have_the_form_of_the_rows(sim):
    findings, changes, connectors, serials = map(json.loads, blocks("json"))
    (example,) = findings
    for row in sim.table_rows("TokenStatus"):
        for finding in json.loads(row["Findings"]):
            assert finding.keys() == example.keys()
    for row in sim.table_rows("TokenHistory"):
        for change in json.loads(row["Changes"]):
            assert change.keys() == changes[0].keys()
            if change["field"] == "finding":
                assert (change["new"] or change["old"]).keys() == changes[1]["new"].keys()
    degraded, succeeded = (json.loads(row["Connectors"]) for row in sim.table_rows("CheckRun"))
    assert succeeded["ade"].keys() == connectors["ade"].keys()
    assert degraded["vpp"].keys() == connectors["vpp"].keys()
    assert degraded["vpp"]["error"].startswith(connectors["vpp"]["error"].removesuffix("..."))
    examples = [json.loads(row["Examples"]) for row in sim.table_rows("DeviceInspection") if row["Complete"]]
    assert set().union(*examples) == serials.keys()
    for row in (*examples, serials):
        assert all(listed and all(isinstance(one, str) for one in listed) for listed in row.values())


def test_the_page_names_every_column_of_the_rows(sim):
    for table in sim.tables.tables:
        assert set().union(*sim.table_rows(table)) <= COLUMNS[table], table


# The custom tables


@pytest.mark.exhaustive
def test_microsofts_language_service_accepts_the_queries(sim):  # noqa: ARG001 - beside the others
    tables = {
        table.name: f"({', '.join(f'{column.name}: {column.type}' for column in table.columns)})"
        for table in (FINDINGS, RUNS)
    }
    queries = {str(number): text for number, text in enumerate(blocks("kusto"))}
    node = shutil.which("node")
    assert node
    told = subprocess.run(
        [node, str(ROOT / "tests" / "infra" / "kusto.mjs")],
        input=json.dumps({"tables": tables, "queries": queries}),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert [answer["diagnostics"] for answer in json.loads(told).values()] == [[] for _ in queries]


def test_the_queries_return_what_the_page_states(sim):
    newest, standing, devices, inspected, fresh, checks, unread = (
        duckdb_kql.kql(sim.con, query).fetchall() for query in blocks("kusto")
    )
    findings, runs = sim.log_rows(FINDINGS.name), sim.log_rows(RUNS.name)
    last = max(row["TimeGenerated"] for row in findings)
    assert len(newest) == sum(row["TimeGenerated"] == last and row["Finding"] != "none" for row in findings)
    assert len(standing) == len({(r["TokenId"], r["Finding"], r["Tier"]) for r in findings if r["Finding"] != "none"})
    assert {row[7] for row in standing} <= {1, 2}
    assert {row[1] for row in devices} == {row["TokenName"] for row in findings if row["SyncedDevices"] is not None}
    assert [row[:3] for row in inspected] == [
        ("Contoso Field Service", "enrollment_failing", "warning"),
        ("Fabrikam Academy", "devices_without_profile", "warning"),
    ]
    ((*when, outcome, error),) = fresh
    assert (len(when), outcome, error) == (1, "succeeded", None)  # no token has been known for two days
    assert (sum(row[1] for row in checks), sum(row[2] for row in checks)) == (2, 0)
    assert max(row[3] for row in checks) == max(row["DurationMs"] for row in runs if row["Connector"] == "all")
    assert [row[1] for row in unread] == ["vpp"]


def test_nothing_on_the_page_is_left_untested():
    assert {kind for kind, _ in BLOCKS} == {"bash", "powershell", "python", "json", "kusto"}
    assert COLUMNS.keys() == {"TokenStatus", "TokenHistory", "CheckRun", "DeviceInspection", FINDINGS.name, RUNS.name}
