"""What a check leaves behind when nothing fails: statuses, history, the run, and rows that alert rules can read.

Invocations run the deployment package, with the packages that it carries.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import zipfile
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import azure_functions_runtime
import pytest
import support

from shared import __version__
from shared.publishing.rows import FINDINGS, RUNS
from shared.storage.rows import TOKEN_STATUS
from simulator.graph import ADE, APNS, VPP
from simulator.host import ROOT, run_worker
from simulator.tenant import APNS_SECRET, VPP_SECRET, Tenant, default_tenant, fixed_id, many
from tests.scenes import NOW


@pytest.fixture
def monitor(monitor, package, monkeypatch):
    monkeypatch.setattr(support, "run_worker", partial(run_worker, app=package))
    return monitor


# The functions, as the host sees them


@pytest.fixture(scope="module")
def functions(simulator, package):
    listed = run_worker(simulator.env(), None, app=package)
    assert listed.success, listed.exception
    return {function["name"]: function for function in listed.functions}


def test_the_host_finds_three_timers_with_two_retries_a_minute_apart(functions):
    schedules = {"check_tokens": "CHECK", "inspect_devices": "INSPECT", "prune_history": "PRUNE"}
    assert functions.keys() == schedules.keys()
    for name, schedule in schedules.items():
        (trigger,) = functions[name]["bindings"]
        assert trigger == {
            "name": "timer",
            "type": "timerTrigger",
            "direction": "IN",
            "schedule": f"%{schedule}_SCHEDULE%",
            "runOnStartup": False,
            "useMonitor": True,
        }
        assert functions[name]["retry"] == {
            "retry_strategy": "fixed_delay",
            "max_retry_count": 2,
            "delay_interval": 60.0,
        }


# One invocation in the worker


def summary_lines(logs: str) -> list[dict]:
    return [json.loads(line) for line in re.findall(r"^INFO shared\.check: check_tokens (.*)$", logs, re.MULTILINE)]


def utc(row: dict, name: str) -> datetime:
    """A column of a log row as an instant."""
    return row[name].replace(tzinfo=UTC)


def test_one_invocation_leaves_status_history_run_and_rows_of_every_token(monitor, sim):
    number, before = 250, datetime.now(UTC)
    sim.graph.tenant = many(number, before)
    result = monitor.invoke(past_due=True)
    assert (result.success, result.returncode, result.exception) == (True, 0, None)

    pages = [request for request in sim.graph.requests if request.path == ADE]
    assert [request.query.get("$skiptoken") for request in pages] == [None, "100", "200"]
    ids = {item["id"] for item in sim.graph.tenant.ade}
    rows = sim.table_rows(TOKEN_STATUS.name)
    assert {row["RowKey"] for row in rows} == ids
    assert {row["RunId"] for row in rows} == {result.invocation_id}
    (started,) = {row["CheckedOn"] for row in rows}
    assert before <= started <= datetime.now(UTC)

    history = monitor.history()
    assert {row["PartitionKey"] for row in history} == {f"ade:{token}" for token in ids}
    assert {row["RowKey"] for row in history} == {f"{253402300799999 - int(started.timestamp() * 1000):015d}"}
    assert all(row["Changes"][0]["field"] == "first_seen" for row in history)
    assert len(history) == number

    findings, closing = monitor.published(), monitor.closing()
    assert {row["TokenId"] for row in findings} == ids
    assert {utc(row, "TimeGenerated") for row in (*findings, *sim.log_rows(RUNS.name))} == {started}
    assert {row["RunId"] for row in (*findings, *sim.log_rows(RUNS.name))} == {result.invocation_id}
    # A healthy token has one row that says so, and each other one a row for each finding.
    stored = {row["RowKey"]: [each["code"] for each in json.loads(row["Findings"])] or ["none"] for row in rows}
    assert sorted((row["TokenId"], row["Finding"]) for row in findings) == sorted(
        (token, code) for token, codes in stored.items() for code in codes
    )

    run_rows = sim.log_rows(RUNS.name)
    assert [row["Connector"] for row in run_rows] == ["ade", "apns", "vpp", "devices", "all"]
    assert [row["Outcome"] for row in run_rows] == ["succeeded"] * 5
    assert [row["Tokens"] for row in run_rows] == [number, 0, 0, 0, number]
    assert [row["Rows"] for row in run_rows] == [None, None, None, None, len(findings)]
    healths = [row["Health"] for row in rows]
    for column in ("Healthy", "Info", "Warning", "Unknown", "Critical"):
        count = healths.count(column.lower())
        assert [row[column] for row in run_rows] == [count, 0, 0, 0, count]
    assert closing["Error"] is None

    (run,) = monitor.runs()
    assert (run["PartitionKey"], run["RowKey"]) == (f"{started:%Y-%m}", history[0]["RowKey"])
    assert (run["RunId"], run["Outcome"], run["StartedOn"]) == (result.invocation_id, "succeeded", started)
    assert run["Connectors"] == {"ade": {"tokens": number}, "apns": {"tokens": 0}, "vpp": {"tokens": 0}}
    assert (run["Tokens"], run["PastDue"], run["Version"]) == (number, True, __version__)
    assert {"StoreError", "PublishError"}.isdisjoint(run)

    (summary,) = summary_lines(result.logs)
    assert summary == {
        "run": result.invocation_id,
        "outcome": "succeeded",
        "started_on": started.isoformat(),
        "duration_ms": summary["duration_ms"],
        "past_due": True,
        "connectors": {"ade": number, "apns": 0, "vpp": 0},
        "health": {name: healths.count(name) for name in ("healthy", "info", "warning", "unknown", "critical")},
        "rows": len(findings),
    }
    ours = [line for line in result.logs.splitlines() if line and not line.startswith("WARNING root: Auth level")]
    assert len(ours) == 1, result.logs


def test_no_secret_is_asked_for_or_reaches_a_table_a_row_or_the_log(monitor, sim):
    sim.graph.tenant = default_tenant(datetime.now(UTC))
    result = monitor.invoke()
    assert result.success
    kept = "\n".join(
        [
            *(str(row) for table in sim.tables.tables for row in sim.table_rows(table)),
            *(str(row) for table in (FINDINGS, RUNS) for row in sim.log_rows(table.name)),
            *(request.body.decode("utf-8", "replace") for request in (*sim.proxy.requests, *sim.ingestion.requests)),
            *(str(request.query) for request in monitor.requests()),
            result.logs,
        ]
    )
    assert "Contoso Books" in kept
    for secret in (VPP_SECRET, APNS_SECRET, sim.identity.header, "eyJ", "Bearer "):
        assert secret not in kept, secret
    asked = {request.path: request.query["$select"].split(",") for request in sim.graph.requests}
    assert asked.keys() == {ADE, APNS, VPP}
    assert all({"token", "certificate"}.isdisjoint(names) for names in asked.values())


@pytest.fixture
def loaded(sim, package, tmp_path):
    """The file of every module that is loaded after a check."""
    app = tmp_path / "app"
    shutil.copytree(package / "shared", app / "shared", ignore=shutil.ignore_patterns("__pycache__"))
    if (package / ".python_packages").is_dir():
        (app / ".python_packages").symlink_to(package / ".python_packages")
    lister = textwrap.dedent("""
        import atexit, json, sys
        atexit.register(lambda: print("MODULES", json.dumps({
            name: getattr(module, "__file__", None) for name, module in sys.modules.items()
        }), file=sys.stderr))
    """)
    (app / "function_app.py").write_text((package / "function_app.py").read_text("utf-8") + lister)
    sim.graph.tenant = default_tenant(datetime.now(UTC))
    result = run_worker(sim.env(), "check_tokens", app=app)
    assert result.success, result.exception
    (modules,) = re.findall("^MODULES (.*)$", result.logs, re.MULTILINE)
    return {name: Path(file) for name, file in json.loads(modules).items() if file}


IMPORTED = {
    "_cffi_backend", "aiohappyeyeballs", "aiohttp", "aiosignal", "anyio", "attr", "azure", "certifi",
    "charset_normalizer", "cryptography", "frozenlist", "h11", "h2", "hpack", "httpcore", "httpx", "hyperframe",
    "idna", "isodate", "kiota_abstractions", "kiota_authentication_azure", "kiota_http", "kiota_serialization_form",
    "kiota_serialization_json", "kiota_serialization_multipart", "kiota_serialization_text", "markupsafe", "msal",
    "msgraph", "msgraph_core", "msgspec", "multidict", "opentelemetry", "propcache", "requests", "stduritemplate",
    "typing_extensions", "urllib3", "werkzeug", "yarl"
}  # fmt: skip
"""Top-level packages that a check imports: each costs time at every cold start."""


def test_a_check_imports_these_packages_and_nothing_from_elsewhere(loaded, package, tmp_path):
    if not (package / ".python_packages").is_dir():
        pytest.skip("the deployment package runs on Linux on x86_64 alone")
    packages = tmp_path / "app" / ".python_packages" / "lib" / "site-packages"
    tops = {file.relative_to(packages).parts[0] for file in loaded.values() if file.is_relative_to(packages)}
    assert {name.partition(".")[0] for name in tops} == IMPORTED
    assert not [name for name in loaded if name.startswith(("msgraph.generated.models", "opentelemetry.sdk"))]
    worker = Path(azure_functions_runtime.__file__).parents[1]
    places = (tmp_path / "app", ROOT / "simulator", Path(os.__file__).parent)
    others = {name: file for name, file in loaded.items() if not any(file.is_relative_to(place) for place in places)}
    assert all(file.is_relative_to(worker) for file in others.values()), others
    assert {name.partition(".")[0] for name in others} <= {"azure_functions_runtime", "azurefunctions"}


def test_the_package_is_small_and_a_check_writes_nothing_into_it(sim, package):
    if not (package / ".python_packages").is_dir() or package == ROOT:
        pytest.skip("the deployment package runs on Linux on x86_64 alone")
    packed = ROOT / "dist" / f"ade-token-monitor-{__version__}.zip"
    assert run_worker(sim.env(), "check_tokens", app=package).success
    with zipfile.ZipFile(packed) as content:
        there = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
        assert there == set(content.namelist())
        assert sum(entry.file_size for entry in content.infolist()) <= 60e6
    assert packed.stat().st_size <= 20e6


# What is in the rows


async def test_a_tenant_without_tokens_is_complete_and_empty(monitor, sim):
    sim.graph.tenant = Tenant()
    run = await monitor.check()
    assert run.outcome == "succeeded"
    assert monitor.runs()[-1]["Connectors"]["apns"] == {"tokens": 0}
    closing = monitor.closing()
    assert (closing["Outcome"], closing["Rows"], closing["Tokens"]) == ("succeeded", 0, 0)


async def test_a_first_check_shows_every_finding_that_needs_no_memory(monitor, sim):
    sim.graph.tenant = default_tenant(NOW)
    await monitor.check()
    shown = {
        (of, name, finding["code"], finding["severity"], finding["tier"])
        for (of, name), row in monitor.statuses().items()
        for finding in row["Findings"]
    }
    # The two tokens of one name are told apart by their ids, so the rows of `statuses` above hold one of them.
    assert shown - {
        ("ade", "Contoso Retail", "expired", "critical", "0"),
        ("ade", "Contoso Retail", "expiring", "warning", "30"),
        ("ade", "Contoso Retail", "sync_stale", "critical", None),
    } == {
        ("ade", "Contoso Field Service", "expiring", "critical", "7"),
        ("ade", "Fabrikam Logistics", "terms_not_accepted", "critical", None),
        ("ade", "Fabrikam Logistics", "sync_stale", "critical", None),
        ("ade", "Contoso Labs", "sync_error", "warning", None),
        ("ade", "Contoso Warehouse", "sync_stale", "warning", None),
        ("ade", "Fabrikam Kiosks", "never_synced", "warning", None),
        ("ade", "Contoso Pilot", "not_set_up", "info", None),
        ("ade", "Contoso Archive", "unreadable", "unknown", None),
        ("vpp", "Contoso Apps", "expiring", "warning", "60"),
        ("vpp", "Contoso Books", "invalid", "critical", None),
        ("vpp", "Contoso Apps copy", "duplicate_location", "warning", None),
        ("vpp", "Fabrikam Apps", "sync_error", "warning", None),
        ("apns", "Apple MDM push certificate", "expiring", "warning", "14"),
    }
    retail = [row for row in sim.table_rows(TOKEN_STATUS.name) if row["TokenName"] == "Contoso Retail"]
    assert {row["RowKey"] for row in retail} == {fixed_id("Contoso Retail 1"), fixed_id("Contoso Retail 2")}
    for row in retail:
        assert f"Contoso Retail ({row['RowKey'][:8]})" in row["Summary"]


# What a second check can show


def test_the_app_loads_in_a_fresh_process_without_a_request(sim):
    done = subprocess.run(
        [sys.executable, "-c", "import function_app"],
        cwd=ROOT,
        env=sim.env(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [*sim.identity.requests, *sim.graph.requests, *sim.ingestion.requests, *sim.proxy.requests] == []
