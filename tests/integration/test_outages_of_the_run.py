"""The identity, the time, a setting, or the app itself fails: the closing row is attempted, and is failed."""

import asyncio
import time
from contextlib import nullcontext

import pytest
from support import STREAM_FINDINGS, STREAM_RUNS, silent

from shared import check as check_module
from shared.settings import SettingsError
from simulator import faults
from tests.scenes import HOUR

NO_IDENTITY = faults.text(400, '{"statusCode": 400, "message": "Identity not found"}', "application/json")


# Identity


async def expect_nobody_signed_in(monitor, run) -> None:
    assert run.outcome == "failed"
    for failure in run.connectors.values():
        assert "managed identity" in failure.remedy or "no whole answer" in failure.reason
    assert {row["RunId"] for row in monitor.statuses().values()} == {"run-1"}
    assert monitor.published(run.id) == []


async def test_every_connector_fails_and_the_closing_row_is_attempted_without_an_identity(monitor, sim):
    await monitor.check()
    sim.identity.fail("", NO_IDENTITY)
    run = await monitor.check(HOUR)
    await expect_nobody_signed_in(monitor, run)
    assert "TokenStatus could not be read: no sign-in" in run.store_error
    assert "4 of 4 rows of AppleTokenRun_CL were not taken: no sign-in" in run.publish_error
    assert "1 of 1 rows of AppleTokenRun_CL were not taken: no sign-in" in run.publish_error


@pytest.mark.parametrize("refuses", [False, True], ids=["fails", "refuses connections"])
@pytest.mark.exhaustive
async def test_an_identity_endpoint_that_is_down_leaves_time_to_attempt_the_closing_row(monitor, sim, refuses):
    await monitor.check()
    sim.identity.fail("", faults.text(500, '{"message": "Internal"}', "application/json"))
    with sim.identity.refusing() if refuses else nullcontext():
        run = await monitor.check(HOUR, CHECK_TIMEOUT_SECONDS=6)
    await expect_nobody_signed_in(monitor, run)
    assert run.duration_ms < 6_500
    assert "Time ran out while sending the closing row" in run.publish_error


# Time


SLOW = 3
BUSY = 0.5
"""Seconds that a busy machine may add to any of this."""


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("$batch", "Time ran out while saving"),
        (STREAM_FINDINGS, "Time ran out while sending the findings"),
        (STREAM_RUNS, "Time ran out while sending the connectors' rows"),
        ("TokenHistory", "Time ran out while saving"),
        ("CheckRun", "Time ran out while recording the run"),
        ("TokenStatus", "Time ran out while loading"),
    ],
)
@pytest.mark.sampled(2)
async def test_a_silent_service_leaves_time_for_the_closing_row(monitor, sim, where, why):
    for server in (sim.ingestion, sim.proxy):
        server.fail(where, silent(), times=1 if where == STREAM_RUNS else None)
    begun = time.monotonic()
    run = await monitor.check(CHECK_TIMEOUT_SECONDS=SLOW)
    assert time.monotonic() - begun < SLOW + BUSY
    assert run.outcome == "failed"
    assert f"{why} (CHECK_TIMEOUT_SECONDS is {SLOW})." in f"{run.store_error} {run.publish_error}"
    assert monitor.closing(run.id)["Outcome"] == "failed"
    assert why in monitor.closing(run.id)["Error"]
    assert len(monitor.published(run.id)) == (0 if where == STREAM_FINDINGS else 3)
    assert len(monitor.statuses()) == (0 if where in {"$batch", "TokenStatus"} else 3)


@pytest.mark.exhaustive
async def test_a_run_ends_within_its_time_when_every_service_is_silent(monitor):
    for server in monitor.servers:
        server.fail("", silent())
    begun = time.monotonic()
    run = await monitor.check(CHECK_TIMEOUT_SECONDS=SLOW)
    assert time.monotonic() - begun < SLOW + BUSY
    assert run.outcome == "failed"
    assert "Time ran out while sending the closing row" in run.publish_error
    assert len(run.connectors) == 3


# Settings


@pytest.mark.parametrize(
    ("function", "settings"),
    [
        (
            "check_tokens",
            {
                "GRAPH_ENDPOINT": "http://graph.example",
                "CONNECTORS": "ade,dep",
                "TENANT_ID": "",
                "EXPIRY_CRITICAL_DAYS": "1,7",
            },
        ),
        ("prune_history", {"HISTORY_RETENTION_DAYS": "0"}),
    ],
)
@pytest.mark.sampled(1)
def test_wrong_settings_end_the_invocation_before_any_request_and_all_are_named(monitor, function, settings):
    result = monitor.invoke(function, **settings)
    assert not result.success
    assert result.exception.startswith("SettingsError: The app settings cannot be used. ")
    assert [name for name in settings if name not in result.exception] == []
    assert "\n" not in result.exception
    assert monitor.requests() == []


async def test_a_wrong_setting_that_the_sdk_reads_is_named(monitor):
    with pytest.raises(SettingsError, match="AZURE_TOKEN_CREDENTIALS cannot be used"):
        await monitor.check(AZURE_TOKEN_CREDENTIALS="Nobody")
    assert monitor.requests() == []


# Faults of our own


async def test_a_fault_in_the_judgment_sends_a_failed_closing_row(known, sim, monkeypatch, caplog):
    alerts = known.alerts()
    assert len(alerts.soon()) == 2
    monkeypatch.setattr(check_module, "judge", lambda *_, **__: 1 / 0)
    alerted = []
    for _ in range(2):
        run = await known.check(HOUR)
        assert (run.outcome, run.rows) == ("failed", 0)
        assert run.store_error == "A fault of the monitor while judging (ZeroDivisionError); its log has the details."
        assert known.closing(run.id)["Error"] == run.store_error
        assert known.closing(run.id)["Outcome"] == "failed"
        alerted += alerts.soon()
    assert "ZeroDivisionError: division by zero" in caplog.text
    assert alerted == [("fired", "check_failing", "all")]
    assert known.run_rows()["devices"]["Outcome"] == "unknown"
    assert {row["RunId"] for row in known.statuses().values()} == {"run-1"}
    assert [record["Outcome"] for record in known.runs()] == ["succeeded", "failed", "failed"]
    assert sim.ingestion.requests


@pytest.mark.parametrize("name", ["save", "record", "load"])
async def test_a_fault_in_the_store_sends_a_failed_closing_row(monitor, monkeypatch, name):
    async def faulty(*_args, **_options):
        raise ZeroDivisionError

    monkeypatch.setattr(check_module.Store, name, faulty)
    run = await monitor.check()
    assert run.outcome == "failed"
    assert "A fault of the monitor while" in run.store_error
    assert len(monitor.published(run.id)) == 3
    assert monitor.closing()["Outcome"] == "failed"


async def test_a_fault_in_reading_one_connector_hides_no_other(monitor, monkeypatch):
    async def faulty(*_args):
        await asyncio.sleep(0)
        raise ZeroDivisionError

    monkeypatch.setattr("shared.graph.client.Graph.get", faulty)
    run = await monitor.check()
    assert run.outcome == "degraded"
    assert "a fault of the monitor or of a library (ZeroDivisionError)" in monitor.run_rows()["apns"]["Error"]
    assert {of for of, _ in monitor.statuses()} == {"ade", "vpp"}
