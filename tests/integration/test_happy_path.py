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
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import azure_functions_runtime
import pytest
import support
from support import DAY, HOUR, MINUTE, NOW, ade, push, tenant, vpp

from shared import __version__
from shared.publishing.rows import FINDINGS, RUNS
from shared.storage.rows import CHECK_RUN, TOKEN_HISTORY, TOKEN_STATUS
from simulator import bearer
from simulator.graph import ADE, APNS, VPP
from simulator.host import ROOT, run_worker
from simulator.tenant import APNS_SECRET, VPP_SECRET, Tenant, default_tenant, fixed_id, many

GUID = "11111111-2222-4333-8444-555555555555"


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


@pytest.mark.parametrize(
    ("name", "schedule"),
    [
        ("check_tokens", "%CHECK_SCHEDULE%"),
        ("inspect_devices", "%INSPECT_SCHEDULE%"),
        ("prune_history", "%PRUNE_SCHEDULE%"),
    ],
)
def test_the_host_is_told_the_schedule_and_two_retries_a_minute_apart(functions, name, schedule):
    (trigger,) = functions[name]["bindings"]
    assert trigger == {
        "name": "timer",
        "type": "timerTrigger",
        "direction": "IN",
        "schedule": schedule,
        "runOnStartup": False,
        "useMonitor": True,
    }
    assert functions[name]["retry"] == {"retry_strategy": "fixed_delay", "max_retry_count": 2, "delay_interval": 60.0}


def test_the_host_finds_these_functions_and_no_others(functions):
    assert sorted(functions) == ["check_tokens", "inspect_devices", "prune_history"]


# One invocation in the worker


def summary_lines(logs: str) -> list[dict]:
    return [json.loads(line) for line in re.findall(r"^INFO shared\.check: check_tokens (.*)$", logs, re.MULTILINE)]


def utc(row: dict, name: str) -> datetime:
    """A column of a log row as an instant."""
    return row[name].replace(tzinfo=UTC)


@pytest.mark.parametrize("number", [1, 101, 250])
def test_one_invocation_leaves_status_history_run_and_rows_of_every_token(monitor, sim, number):
    before = datetime.now(UTC)
    sim.graph.tenant = many(number, before)
    result = monitor.invoke()
    assert (result.success, result.returncode, result.exception) == (True, 0, None)

    pages = [request for request in sim.graph.requests if request.path == ADE]
    assert [request.query.get("$skiptoken") for request in pages] == [None, "100", "200"][: 1 + number // 100]
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
    assert (run["Tokens"], run["PastDue"], run["Version"]) == (number, False, __version__)
    assert {"StoreError", "PublishError"}.isdisjoint(run)

    (summary,) = summary_lines(result.logs)
    assert (summary["outcome"], summary["run"], summary["rows"]) == ("succeeded", result.invocation_id, len(findings))
    assert summary["health"]["critical"] == healths.count("critical")
    ours = [line for line in result.logs.splitlines() if line and not line.startswith("WARNING root: Auth level")]
    assert len(ours) == 1, result.logs


def test_a_second_run_doubles_no_history_and_replaces_every_status(monitor, sim):
    sim.graph.tenant = many(101, datetime.now(UTC))
    first, second = monitor.invoke(), monitor.invoke()
    assert first.success
    assert second.success
    history = monitor.history()
    assert len(history) == 101
    assert {row["RunId"] for row in history} == {first.invocation_id}
    assert {row["RunId"] for row in sim.table_rows(TOKEN_STATUS.name)} == {second.invocation_id}
    assert [run["RunId"] for run in monitor.runs()] == [first.invocation_id, second.invocation_id]
    assert len(monitor.published(first.invocation_id)) == len(monitor.published(second.invocation_id))


def test_a_tick_that_came_late_is_noted_in_the_run_and_in_the_log(monitor):
    late = monitor.invoke(past_due=True)
    assert late.success
    assert [run["PastDue"] for run in monitor.runs()] == [True]
    assert [summary["past_due"] for summary in summary_lines(late.logs)] == [True]


def test_no_secret_of_apple_or_entra_reaches_a_table_a_row_or_the_log(monitor, sim):
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


def test_graph_is_asked_for_the_needed_properties_and_for_no_secret(monitor, sim):
    sim.graph.tenant = Tenant(many(101, NOW).ade, (vpp(),), push())
    assert monitor.invoke().success
    asked = {}
    for request in sim.graph.requests:
        asked.setdefault(request.path, []).append(set(request.query["$select"].split(",")))
    assert set(asked) == {ADE, APNS, VPP}
    assert len(asked[ADE]) == 2
    assert all({"id", "tokenExpirationDateTime", "lastSyncErrorCode"} <= names for names in asked[ADE])
    assert all("token" not in names and "displayName" in names for names in asked[VPP])
    assert all("certificate" not in names and "topicIdentifier" in names for names in asked[APNS])


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


def test_a_check_imports_these_packages_and_no_others(loaded, package, tmp_path):
    if not (package / ".python_packages").is_dir():
        pytest.skip("the deployment package runs on Linux on x86_64 alone")
    packages = tmp_path / "app" / ".python_packages" / "lib" / "site-packages"
    tops = {file.relative_to(packages).parts[0] for file in loaded.values() if file.is_relative_to(packages)}
    assert {name.partition(".")[0] for name in tops} == IMPORTED
    assert not [name for name in loaded if name.startswith(("msgraph.generated.models", "opentelemetry.sdk"))]


def test_whatever_a_check_imports_is_part_of_the_package_the_worker_or_python(loaded, package, tmp_path):
    if not (package / ".python_packages").is_dir():
        pytest.skip("the deployment package runs on Linux on x86_64 alone")
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


async def test_no_row_holds_a_property_beyond_the_documented_ones(monitor, sim):
    sim.graph.tenant = default_tenant(NOW)
    run = await monitor.check()
    sim.graph.tenant = default_tenant(NOW + 40 * DAY)
    await monitor.check(HOUR)
    assert run.outcome == "succeeded"
    keys = {"PartitionKey", "RowKey"}
    status = {
        *("TokenName", "TokenType", "AppleId", "Health", "HealthSince", "Findings", "Summary", "ExpiresOn", "DaysLeft"),
        *("LastSuccessfulSync", "LastSyncErrorCode", "SyncedDevices", "FirstSeen", "ObservedOn", "CheckedOn", "RunId"),
        *("ChangedOn", "Memory"),
    }
    history = {"ChangedOn", "RunId", "TokenName", "OldHealth", "Health", "Changes", "Sentence"}
    check_run = {
        *("RunId", "StartedOn", "DurationMs", "Outcome", "Connectors", "GraphToken", "Tokens", "Healthy", "Info"),
        *("Warning", "Unknown", "Critical", "StoreError", "PublishError", "PastDue", "Version"),
    }
    for table, documented in ((TOKEN_STATUS, status), (TOKEN_HISTORY, history), (CHECK_RUN, check_run)):
        seen = {name for row in sim.table_rows(table.name) for name in row}
        assert seen <= documented | keys, table.name
        absent = {"StoreError", "PublishError"} if table is CHECK_RUN else set()
        assert seen == (documented | keys) - absent, table.name
    findings = [
        *(
            "TimeGenerated",
            "EntraTenantId",
            "Deployment",
            "RunId",
            "Connector",
            "TokenId",
            "TokenName",
            "TokenType",
            "AppleId",
        ),
        *(
            "Health",
            "Finding",
            "Severity",
            "Tier",
            "Condition",
            "CausedBy",
            "Summary",
            "Action",
            "ExpiresOn",
            "DaysLeft",
        ),
        *("LastSuccessfulSync", "LastSyncErrorCode", "SyncedDevices", "ObservedOn"),
    ]
    runs = [
        *(
            "TimeGenerated",
            "EntraTenantId",
            "Deployment",
            "RunId",
            "Connector",
            "Outcome",
            "Error",
            "Tokens",
            "Healthy",
            "Info",
        ),
        *("Warning", "Unknown", "Critical", "DurationMs", "Version", "Rows"),
    ]
    assert [column.name for column in FINDINGS.columns] == findings
    assert [column.name for column in RUNS.columns] == runs
    assert {row["EntraTenantId"] for row in monitor.published()} == {bearer.TENANT_ID}


async def test_an_administrator_reads_the_row_of_an_expiring_token(monitor, sim):
    sim.graph.tenant = tenant(ade("Contoso HQ", expires=6 * DAY + HOUR, id=GUID, syncedDeviceCount=412))
    run = await monitor.check()
    (row,) = [row for row in sim.table_rows(TOKEN_STATUS.name) if row["PartitionKey"] == "ade"]
    assert {name: row[name] for name in ("RowKey", "TokenName", "TokenType", "AppleId", "Health")} == {
        "RowKey": GUID,
        "TokenName": "Contoso HQ",
        "TokenType": "dep",
        "AppleId": "mdm@contoso.com",
        "Health": "critical",
    }
    assert row["ExpiresOn"] == NOW + 6 * DAY + HOUR
    assert (row["DaysLeft"], row["LastSyncErrorCode"], row["SyncedDevices"]) == (6, 0, 412)
    assert {row[name] for name in ("HealthSince", "FirstSeen", "ObservedOn", "CheckedOn", "ChangedOn")} == {NOW}
    (finding,) = json.loads(row["Findings"])
    assert finding == {
        "code": "expiring",
        "severity": "critical",
        "tier": "7",
        "since": "2026-11-23T05:07:00.000000Z",
        "until": None,
        "caused_by": None,
        "summary": finding["summary"],
        "facts": {},
    }
    assert "Contoso HQ" in finding["summary"]
    assert "expires in 6 days" in row["Summary"]
    (sent,) = [row for row in monitor.published(run.id) if row["Connector"] == "ade"]
    dimensions = (sent["Finding"], sent["Severity"], sent["Tier"], sent["CausedBy"])
    assert dimensions == ("expiring", "critical", "7 days or less", "none")
    assert sent["Summary"] == finding["summary"]
    assert 0 < len(sent["Action"]) <= 200
    assert (sent["DaysLeft"], sent["SyncedDevices"], sent["Health"]) == (6, 412, "critical")


async def test_a_token_with_nothing_wrong_has_one_row_that_says_none(monitor):
    run = await monitor.check()
    rows = monitor.published(run.id)
    assert [(row["Connector"], row["Health"]) for row in rows] == [
        ("ade", "healthy"),
        ("apns", "healthy"),
        ("vpp", "healthy"),
    ]
    assert {
        row[name] for row in rows for name in ("Finding", "Severity", "Tier", "Condition", "CausedBy", "Action")
    } == {"none"}
    assert run.rows == 3
    assert monitor.firing() == []


async def test_the_push_certificate_keeps_one_row_though_graph_gives_it_another_id_each_time(monitor, sim):
    for _ in range(3):
        await monitor.check(HOUR)
    (row,) = [row for row in sim.table_rows(TOKEN_STATUS.name) if row["PartitionKey"] == "apns"]
    assert (row["RowKey"], row["TokenName"]) == ("push-certificate", "Apple MDM push certificate")
    assert len([row for row in monitor.history() if row["PartitionKey"] == "apns:push-certificate"]) == 1
    assert {row["TokenId"] for row in monitor.published() if row["Connector"] == "apns"} == {"push-certificate"}


async def test_no_push_certificate_is_a_complete_and_empty_reading(monitor, sim):
    sim.graph.tenant = Tenant((ade(),), (vpp(),), None)
    run = await monitor.check()
    assert run.outcome == "succeeded"
    assert monitor.runs()[-1]["Connectors"]["apns"] == {"tokens": 0}
    assert (monitor.run_rows()["apns"]["Outcome"], monitor.run_rows()["apns"]["Tokens"]) == ("succeeded", 0)


async def test_a_tenant_without_any_token_is_checked_and_said_to_be_whole(monitor, sim):
    sim.graph.tenant = Tenant()
    run = await monitor.check()
    assert run.outcome == "succeeded"
    closing = monitor.closing()
    assert (closing["Outcome"], closing["Rows"], closing["Tokens"]) == ("succeeded", 0, 0)


async def test_the_public_capture_is_critical_for_the_terms_and_raises_one_alert(monitor, sim):
    sim.graph.tenant = tenant(
        ade("Fabrikam Logistics", expires=243 * DAY, synced=92 * DAY, lastSyncErrorCode=3, syncedDeviceCount=0)
    )
    alerts = monitor.alerts()
    run = await monitor.check()
    terms, stale = monitor.statuses()["ade", "Fabrikam Logistics"]["Findings"]
    assert (terms["code"], terms["severity"], terms["caused_by"]) == ("terms_not_accepted", "critical", None)
    assert (stale["code"], stale["severity"], stale["caused_by"]) == ("sync_stale", "critical", "terms_not_accepted")
    assert {(row["Finding"], row["CausedBy"]) for row in monitor.published(run.id) if row["Finding"] != "none"} == {
        ("terms_not_accepted", "none"),
        ("sync_stale", "terms_not_accepted"),
    }
    terms = ("token_critical", "Fabrikam Logistics", "ade", "terms_not_accepted", "Apple's terms not accepted")
    assert alerts.soon() == [("fired", *terms)]


async def test_every_finding_that_a_first_check_can_show_is_shown(monitor, sim):
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


async def test_a_renewal_is_told_in_the_history_and_is_no_finding(monitor, sim):
    sim.graph.tenant = tenant(ade(expires=5 * DAY))
    await monitor.check()
    sim.graph.tenant = tenant(ade(expires=370 * DAY))
    await monitor.check(HOUR)
    assert monitor.stored() == {}
    (change,) = [row for row in monitor.history() if row["ChangedOn"] == monitor.now]
    assert (change["OldHealth"], change["Health"]) == ("critical", "healthy")
    assert [(each["field"], each["old"], each["new"]) for each in change["Changes"]] == [
        ("health", "critical", "healthy"),
        ("finding", {"code": "expiring", "severity": "critical", "tier": "7"}, None),
        ("expiry", "2026-11-28T05:07:00Z", "2027-11-28T05:07:00Z"),
    ]
    assert "was renewed" in change["Sentence"]


async def test_a_token_that_is_gone_is_first_unread_then_removed_and_leaves_after_a_week(monitor, sim):
    sim.graph.tenant = tenant(ade("Contoso HQ"), ade("Fabrikam Pilot", expires=20 * DAY))
    await monitor.check()
    sim.graph.tenant = tenant(ade("Contoso HQ"))
    await monitor.check(HOUR)
    assert {code: each["severity"] for code, each in monitor.stored("ade", "Fabrikam Pilot").items()} == {
        "unread": "unknown",
        "expiring": "warning",
    }
    await monitor.check(29 * MINUTE)
    assert "unread" in monitor.stored("ade", "Fabrikam Pilot")
    removing = await monitor.check(MINUTE)
    assert {code: each["severity"] for code, each in monitor.stored("ade", "Fabrikam Pilot").items()} == {
        "removed": "warning"
    }
    assert removing.outcome == "succeeded"
    assert {
        finding: count for (name, finding, *_), count in monitor.found(removing.id).items() if name == "Fabrikam Pilot"
    } == {"removed": 1}
    await monitor.check(timedelta(days=7) - MINUTE)
    assert "removed" in monitor.stored("ade", "Fabrikam Pilot")
    await monitor.check(MINUTE)
    assert ("ade", "Fabrikam Pilot") not in monitor.statuses()
    history = [row for row in monitor.history() if row["TokenName"] == "Fabrikam Pilot"]
    assert [[each["field"] for each in row["Changes"]] for row in history] == [
        ["first_seen", "finding"],
        ["finding", "finding"],
    ]
    ended, begun = history[1]["Changes"]
    assert (ended["old"]["code"], ended["new"], begun["old"], begun["new"]["code"]) == (
        "expiring",
        None,
        None,
        "removed",
    )


async def test_a_token_of_a_connector_that_is_no_longer_watched_leaves_at_once(monitor):
    await monitor.check()
    run = await monitor.check(HOUR, CONNECTORS="ade, apns")
    assert run.outcome == "succeeded"
    assert {of for of, _ in monitor.statuses()} == {"ade", "apns"}
    assert monitor.run_rows(run.id)["vpp"]["Outcome"] == "skipped"
    assert {row["Connector"] for row in monitor.published(run.id)} == {"ade", "apns"}
    assert "vpp" not in monitor.runs()[-1]["Connectors"]


async def test_a_push_certificate_created_anew_is_critical_until_the_old_topic_returns(monitor, sim):
    await monitor.check()
    sim.graph.tenant = tenant(apns=push(topicIdentifier="com.apple.mgmt.External.other"))
    await monitor.check(HOUR)
    assert monitor.stored("apns")["push_topic_changed"]["severity"] == "critical"
    sim.graph.tenant = tenant()
    await monitor.check(HOUR)
    assert monitor.stored("apns") == {}


async def test_one_run_is_told_in_one_line_and_no_token_has_a_line_of_its_own(monitor, sim, caplog):
    sim.graph.tenant = many(50, NOW)
    run = await monitor.check()
    (line,) = [record for record in caplog.records if record.name.startswith("shared")]
    told = json.loads(line.getMessage().removeprefix("check_tokens "))
    assert told == {
        "run": run.id,
        "outcome": "succeeded",
        "started_on": NOW.isoformat(),
        "duration_ms": run.duration_ms,
        "past_due": False,
        "connectors": {"ade": 50, "apns": 0, "vpp": 0},
        "health": {"healthy": 45, "info": 0, "warning": 1, "unknown": 0, "critical": 4},
        "rows": 50,
    }


def test_the_app_loads_in_a_fresh_process_without_calling_anybody(sim):
    states = "gc.isenabled(), gc.get_freeze_count() > 50_000, gc.get_stats()[1]['collections']"
    done = subprocess.run(
        [sys.executable, "-c", f"import gc, function_app; print({states})"],
        cwd=ROOT,
        env=sim.env(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True True 0\n", "")
    assert [*sim.identity.requests, *sim.graph.requests, *sim.ingestion.requests, *sim.proxy.requests] == []


@pytest.mark.exhaustive
async def test_a_healthy_tenant_tells_nothing_for_two_days(monitor, sim):
    alerts = monitor.alerts()
    for hour in range(0, 48, 3):
        sim.graph.tenant = tenant(ade(synced=(5 - hour) * HOUR), vpps=[vpp(synced=(4 - hour) * HOUR)])
        await monitor.check(3 * HOUR if hour else timedelta())
        assert alerts.soon() == []
    assert len(monitor.history()) == 3
