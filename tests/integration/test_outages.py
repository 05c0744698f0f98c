"""Everything but Graph can fail, too: the run says what, does the rest, and whatever is known stays told."""

import asyncio
import time

import pytest
from support import DAY, HOUR, MINUTE, NOW, STREAM_FINDINGS, STREAM_RUNS, ade, push, silent, tenant

from shared import check as check_module
from shared.settings import SettingsError
from simulator import faults
from simulator.graph import ADE
from simulator.tenant import Tenant, many

PUBLISHER = "Monitoring Metrics Publisher on the data collection rule"
CONTRIBUTOR = "Storage Table Data Contributor on the table"
NOT_READ = [
    f"CheckFailed: The check was not whole. {table} could not be read:" for table in ("TokenStatus", "DeviceInspection")
]
"""Both are read side by side, and the sentence begins with the one that fails first."""


def ingestion_error(code: int, error: str):
    body = {"error": {"code": error, "message": "said by the service"}}
    return faults.reply(lambda _: faults.web.json_response(body, status=code))


def closing_rows(request) -> bool:
    return STREAM_RUNS in request.path and b'"all"' in request.body


# Logs Ingestion


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (
            ingestion_error(403, "OperationFailed"),
            f"HTTP 403 OperationFailed: give the app's identity the role {PUBLISHER}",
        ),
        (ingestion_error(413, "ContentLengthLimitExceeded"), "HTTP 413 ContentLengthLimitExceeded"),
        (ingestion_error(404, "NotFound"), "HTTP 404 NotFound: what infra/main.bicep deploys is not there"),
        (faults.dropped(), "no connection"),
    ],
    ids=["403", "413", "404", "dropped"],
)
async def test_findings_that_are_not_taken_fail_the_run_and_the_statuses_are_stored_all_the_same(
    monitor, sim, fault, why
):
    sim.ingestion.fail(STREAM_FINDINGS, fault)
    run = await monitor.check()
    assert (run.outcome, run.store_error) == ("failed", None)
    assert run.publish_error.startswith("3 of 3 rows of AppleTokenFinding_CL were not taken: ")
    assert why in run.publish_error
    assert len(monitor.statuses()) == 3
    assert len(monitor.history()) == 3
    (record,) = monitor.runs()
    assert (record["Outcome"], record["PublishError"]) == ("failed", run.publish_error)
    closing = monitor.closing()
    assert (closing["Outcome"], closing["Error"], closing["Rows"]) == ("failed", run.publish_error, 3)
    # The connectors were read, and that is what their rows say.
    assert [row["Outcome"] for row in monitor.run_rows().values()] == ["succeeded"] * 4 + ["failed"]


async def test_findings_that_are_taken_in_part_fail_the_run_and_resolve_nothing(monitor, sim):
    sim.graph.tenant = tenant(ade("Contoso HQ", expires=5 * DAY))
    alerts = monitor.alerts()
    await monitor.check()
    assert len(alerts.soon()) == 1
    long = {"tokenName": "n" * 512, "appleIdentifier": "a" * 512}  # so that they do not fit into one call
    sim.graph.tenant = Tenant((*({**item, **long} for item in many(900, NOW).ade), ade(expires=370 * DAY)))
    sim.ingestion.fail(STREAM_FINDINGS, ingestion_error(413, "ContentLengthLimitExceeded"), skip=1, times=1)
    run = await monitor.check(HOUR, proxied=False)
    assert run.outcome == "failed"
    taken = len(monitor.published(run.id))
    assert 0 < taken < run.rows
    assert f"{run.rows - taken} of {run.rows} rows of AppleTokenFinding_CL were not taken" in run.publish_error
    assert (
        "resolved",
        "token_critical",
        "Contoso HQ",
        "ade",
        "expiring",
        "expires 2026-11-28 (7 days or less)",
    ) not in alerts.until(monitor.now + 59 * MINUTE)


async def test_a_closing_row_that_is_refused_rewrites_the_record_of_the_run_as_failed(monitor, sim):
    sim.ingestion.fail(closing_rows, ingestion_error(403, "OperationFailed"))
    run = await monitor.check()
    assert run.outcome == "failed"
    assert len(monitor.published(run.id)) == 3
    assert list(monitor.run_rows()) == ["ade", "apns", "vpp", "devices"]
    (record,) = monitor.runs()
    assert record["Outcome"] == "failed"
    assert "1 of 1 rows of AppleTokenRun_CL were not taken: HTTP 403" in record["PublishError"]
    records = [request for request in sim.proxy.requests if "CheckRun" in request.path]
    assert [b'"succeeded"' in request.body for request in records] == [True, False]


async def test_connectors_rows_that_are_refused_make_a_closing_row_that_says_failed(monitor, sim):
    sim.ingestion.fail(STREAM_RUNS, ingestion_error(403, "OperationFailed"), times=1)
    run = await monitor.check()
    assert run.outcome == "failed"
    assert list(monitor.run_rows()) == ["all"]
    assert monitor.closing()["Outcome"] == "failed"
    assert "4 of 4 rows of AppleTokenRun_CL" in monitor.closing()["Error"]
    assert [record["Outcome"] for record in monitor.runs()] == ["failed"]


async def test_a_degraded_run_that_cannot_publish_is_failed(monitor, sim):
    sim.graph.fail(ADE, faults.status(502))
    sim.ingestion.fail(STREAM_FINDINGS, ingestion_error(403, "OperationFailed"))
    assert (await monitor.check()).outcome == "failed"


async def test_ingestion_that_throttles_for_a_moment_is_asked_again(monitor, sim):
    sim.ingestion.fail(STREAM_FINDINGS, faults.status(429, retry_after=1), times=1)
    run = await monitor.check()
    assert run.outcome == "succeeded"
    assert len(monitor.published(run.id)) == 3


def test_an_invocation_whose_rows_are_refused_ends_in_one_clear_sentence(monitor, sim):
    sim.ingestion.fail("", ingestion_error(403, "OperationFailed"))
    result = monitor.invoke()
    assert not result.success
    assert result.exception.startswith("CheckFailed: The check was not whole. 3 of 3 rows of AppleTokenFinding_CL")
    assert PUBLISHER in result.exception
    assert "\n" not in result.exception
    assert [run["Outcome"] for run in monitor.runs()] == ["failed"]
    assert "Traceback" not in result.logs
    assert result.logs.count("check_tokens {") == 1


async def test_with_ingestion_gone_the_record_is_written_and_says_failed(monitor, sim):
    with sim.ingestion.refusing():
        run = await monitor.check(CHECK_TIMEOUT_SECONDS=4)
    assert run.outcome == "failed"
    assert run.duration_ms < 4_500
    assert len(monitor.statuses()) == 3
    (record,) = monitor.runs()
    assert record["Outcome"] == "failed"
    assert record["PublishError"]


# Table Storage


@pytest.fixture
async def remembered(monitor, sim):
    """Two tokens that one check has seen: one about to be critical for its age, one that has a sync error."""
    sim.graph.tenant = tenant(ade("Contoso HQ"), ade("Contoso Labs", lastSyncErrorCode=17))
    await monitor.check()
    assert monitor.stored("ade", "Contoso Labs")["sync_error"]["severity"] == "warning"
    for server in monitor.servers:
        server.requests.clear()
    return monitor


async def expect_judged_without_memory(monitor, run) -> None:
    assert run.outcome == "failed"
    found = monitor.found(run.id)
    assert found == {("Contoso HQ", "none", "none", "none"): 1, ("Contoso Labs", "sync_error", "warning", "begun"): 1}
    # Memory would have said since when; without it, no step is known to have been reached before.
    assert {row["CausedBy"] for row in monitor.published(run.id) if row["Tier"] != "none"} == {"not_stored"}
    closing = monitor.closing(run.id)
    assert (closing["Outcome"], closing["Error"], closing["Rows"]) == ("failed", run.store_error, 4)
    # Nothing was stored, replaced or removed.
    assert {row["RunId"] for row in monitor.statuses().values()} == {"run-1"}
    assert len(monitor.history()) == 4


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (
            faults.table_status(403, "AuthorizationPermissionMismatch"),
            f"HTTP 403 AuthorizationPermissionMismatch: give the app's identity the role {CONTRIBUTOR}",
        ),
        (faults.table_status(404, "TableNotFound"), "HTTP 404 TableNotFound: what infra/main.bicep deploys is not"),
        (faults.table_status(400, "InvalidInput"), "HTTP 400 InvalidInput"),
        (faults.text(200, "<html>"), "A fault of the monitor while loading (DeserializationError)"),
    ],
    ids=["403", "404", "400", "HTML"],
)
async def test_tables_that_cannot_be_read_leave_the_readings_judged_and_published(remembered, sim, fault, why):
    sim.graph.tenant = tenant(ade("Contoso HQ"), ade("Contoso Labs", lastSyncErrorCode=17))
    sim.proxy.fail("TokenStatus", fault, method="GET")
    run = await remembered.check(HOUR)
    assert why in run.store_error, run.store_error
    await expect_judged_without_memory(remembered, run)
    assert [record["Outcome"] for record in remembered.runs()] == ["succeeded", "failed"]
    assert remembered.runs()[-1]["StoreError"] == run.store_error


async def test_a_token_that_only_the_unreadable_tables_know_is_not_called_removed(remembered, sim):
    alerts = remembered.alerts()
    alerts.soon()
    sim.graph.tenant = tenant(ade("Contoso HQ"))
    sim.proxy.fail("", faults.table_status(403, "AuthorizationPermissionMismatch"))
    for _ in range(3):
        run = await remembered.check(HOUR)
        assert "removed" not in {row["Finding"] for row in remembered.published(run.id)}
        assert not [event for event in alerts.soon() if event[0] == "resolved"]
    sim.proxy.heal()
    assert ("ade", "Contoso Labs") in remembered.statuses()


async def test_nothing_that_needs_memory_is_told_while_there_is_none(remembered, sim):
    sim.graph.tenant = tenant(
        ade("Contoso HQ", appleIdentifier="other@contoso.com", syncedDeviceCount=0, synced=MINUTE),
        ade("Contoso Labs", lastSyncErrorCode=17),
        apns=push(topicIdentifier="another"),
    )
    sim.proxy.fail("TokenStatus", faults.table_status(403, "AuthorizationPermissionMismatch"))
    run = await remembered.check(HOUR)
    assert {row["Finding"] for row in remembered.published(run.id)} == {"none", "sync_error"}
    sim.proxy.heal()
    await remembered.check(HOUR)
    assert set(remembered.stored("ade", "Contoso HQ")) == {"apple_id_changed", "devices_dropped"}
    assert set(remembered.stored("apns")) == {"push_topic_changed"}


async def test_with_the_tables_gone_everything_is_published_and_the_run_is_failed(remembered, sim):
    with sim.proxy.refusing():
        run = await remembered.check(HOUR, CHECK_TIMEOUT_SECONDS=5)
    assert run.duration_ms < 5_500
    await expect_judged_without_memory(remembered, run)
    assert list(remembered.run_rows(run.id)) == ["ade", "apns", "vpp", "devices", "all"]


async def test_tables_that_cannot_be_written_leave_the_findings_published_and_nothing_resolves(monitor, sim):
    sim.graph.tenant = tenant(ade("Contoso HQ", expires=5 * DAY))
    alerts = monitor.alerts()
    await monitor.check()
    assert len(alerts.soon()) == 1
    sim.graph.tenant = tenant(ade("Contoso HQ", expires=370 * DAY))
    denied = faults.table_status(403, "AuthorizationPermissionMismatch")
    sim.proxy.fail("", denied, method="POST")
    sim.proxy.fail("", denied, method="PUT")
    told = []
    for _ in range(2):
        run = await monitor.check(HOUR)
        assert run.outcome == "failed"
        assert "could not be written: HTTP 403 AuthorizationPermissionMismatch" in run.store_error
        assert f"give the app's identity the role {CONTRIBUTOR}" in run.store_error
        assert monitor.found(run.id) == {("Contoso HQ", "none", "none", "none"): 1}
        assert monitor.closing(run.id)["Outcome"] == "failed"
        told += alerts.soon()
    assert told == [("fired", "check_failing", "all")]
    assert [run["Outcome"] for run in monitor.runs()] == ["succeeded"]
    sim.proxy.heal()
    await monitor.check(HOUR)
    assert sorted(alerts.until(monitor.now + 50 * MINUTE)) == [
        ("resolved", "check_failing", "all"),
        ("resolved", "token_critical", "Contoso HQ", "ade", "expiring", "expires 2026-11-28 (7 days or less)"),
    ]


@pytest.mark.parametrize("method", ["GET", "POST"], ids=["unreadable", "unwritable"])
@pytest.mark.exhaustive
async def test_what_begins_in_an_outage_of_the_tables_is_raised_once_it_is_remembered_and_then_kept(
    monitor, sim, method
):
    alerts = monitor.alerts()
    sim.graph.tenant = tenant(ade("Contoso HQ", expires=8 * DAY), vpps=[])
    await monitor.check()
    (begun,) = alerts.soon()
    sim.proxy.fail("TokenStatus", faults.table_status(403, "AuthorizationPermissionMismatch"), method=method)
    if method == "POST":
        sim.proxy.fail("", faults.table_status(403, "AuthorizationPermissionMismatch"), method=method)
    told = []
    for hour in range(1, 45):
        # The token is renamed, gets another error each hour, and comes closer to its expiry.
        now = ade(f"Contoso {hour}", id=sim.graph.tenant.ade[0]["id"], expires=8 * DAY, lastSyncErrorCode=10 + hour)
        sim.graph.tenant = tenant({**now, "lastSuccessfulSyncDateTime": f"{monitor.now:%Y-%m-%dT%H:%M:%SZ}"}, vpps=[])
        await monitor.check(HOUR)
        alerts.skip()
        told += alerts.soon()
    assert told == [("fired", "check_failing", "all")]
    sim.proxy.heal()
    for _ in range(3):
        await monitor.check(HOUR)
        told += alerts.until(monitor.now + 59 * MINUTE)
    assert sorted(told[1:]) == [
        ("fired", "token_critical", "Contoso HQ", "ade", "expiring", "expires 2026-12-01 (7 days or less)"),
        ("fired", "token_warning", "Contoso 44", "ade", "sync_error", "sync error, code 54"),
        ("resolved", "check_failing", "all"),
    ]
    assert begun[1:] in alerts.open


def test_an_invocation_without_its_role_at_the_tables_ends_in_one_clear_sentence(monitor, sim):
    sim.proxy.fail("", faults.table_status(403, "AuthorizationPermissionMismatch"))
    result = monitor.invoke()
    assert not result.success
    assert result.exception.startswith(tuple(f"{sentence} HTTP 403" for sentence in NOT_READ))
    assert CONTRIBUTOR in result.exception
    assert "\n" not in result.exception


# Identity


async def expect_nobody_signed_in(monitor, run) -> None:
    assert run.outcome == "failed"
    for failure in run.connectors.values():
        assert "managed identity" in failure.remedy or "no whole answer" in failure.reason
    assert {row["RunId"] for row in monitor.statuses().values()} == {"run-1"}
    assert monitor.published(run.id) == []


async def test_without_an_identity_every_connector_fails_and_the_closing_row_is_attempted(monitor, sim):
    await monitor.check()
    sim.identity.fail("", faults.text(400, '{"statusCode": 400, "message": "Identity not found"}', "application/json"))
    run = await monitor.check(HOUR)
    await expect_nobody_signed_in(monitor, run)
    assert "TokenStatus could not be read: no sign-in" in run.store_error
    assert "4 of 4 rows of AppleTokenRun_CL were not taken: no sign-in" in run.publish_error
    assert "1 of 1 rows of AppleTokenRun_CL were not taken: no sign-in" in run.publish_error


@pytest.mark.exhaustive
async def test_an_identity_endpoint_that_fails_for_long_leaves_time_to_attempt_the_closing_row(monitor, sim):
    await monitor.check()
    sim.identity.fail("", faults.text(500, '{"message": "Internal"}', "application/json"))
    run = await monitor.check(HOUR, CHECK_TIMEOUT_SECONDS=6)
    await expect_nobody_signed_in(monitor, run)
    assert run.duration_ms < 6_500
    assert "Time ran out while sending the closing row" in run.publish_error


@pytest.mark.exhaustive
async def test_an_identity_endpoint_that_refuses_connections_fails_the_run_within_its_time(monitor, sim):
    with sim.identity.refusing():
        run = await monitor.check(CHECK_TIMEOUT_SECONDS=6)
    assert run.outcome == "failed"
    assert run.duration_ms < 6_500
    assert len(run.connectors) == 3
    assert all(not isinstance(failure, int) for failure in run.connectors.values())


def test_an_invocation_without_an_identity_says_so_in_one_sentence(monitor, sim):
    sim.identity.fail("", faults.text(400, '{"message": "Identity not found"}', "application/json"))
    result = monitor.invoke()
    assert not result.success
    assert result.exception.startswith(tuple(f"{sentence} no sign-in" for sentence in NOT_READ))
    assert "managed identity" in result.exception
    assert "\n" not in result.exception


async def test_an_identity_that_has_no_role_at_the_tables_only_still_reads_and_publishes(monitor, sim):
    resources = sim.identity.resources
    sim.identity.resources = frozenset(resource for resource in resources if "storage" not in resource)
    try:
        run = await monitor.check()
    finally:
        sim.identity.resources = resources
    assert run.outcome == "failed"
    assert len(monitor.published(run.id)) == 3
    assert monitor.closing()["Outcome"] == "failed"


# Time


SLOW = 3
BUSY = 0.5
"""Seconds that a busy machine may add to any of this."""


@pytest.mark.parametrize(
    ("where", "why"),
    [
        (STREAM_FINDINGS, "Time ran out while sending the findings"),
        (STREAM_RUNS, "Time ran out while sending the connectors' rows"),
        ("TokenHistory", "Time ran out while saving"),
        ("CheckRun", "Time ran out while recording the run"),
        ("TokenStatus", "Time ran out while loading"),
    ],
)
@pytest.mark.exhaustive
async def test_a_service_that_does_not_answer_leaves_time_for_the_closing_row(monitor, sim, where, why):
    for server in (sim.ingestion, sim.proxy):
        server.fail(where, silent(), times=1 if where == STREAM_RUNS else None)
    begun = time.monotonic()
    run = await monitor.check(CHECK_TIMEOUT_SECONDS=SLOW)
    assert time.monotonic() - begun < SLOW + BUSY
    assert run.outcome == "failed"
    assert f"{why} (CHECK_TIMEOUT_SECONDS is {SLOW})." in f"{run.store_error} {run.publish_error}"
    assert monitor.closing(run.id)["Outcome"] == "failed"
    assert why in monitor.closing(run.id)["Error"]


@pytest.mark.exhaustive
async def test_services_that_are_all_silent_end_the_run_in_its_time(monitor):
    for server in monitor.servers:
        server.fail("", silent())
    begun = time.monotonic()
    run = await monitor.check(CHECK_TIMEOUT_SECONDS=SLOW)
    assert time.monotonic() - begun < SLOW + BUSY
    assert run.outcome == "failed"
    assert "Time ran out while sending the closing row" in run.publish_error
    assert len(run.connectors) == 3


async def test_slow_saving_takes_nothing_from_publishing(monitor, sim):
    sim.proxy.fail("", silent(), method="POST")
    run = await monitor.check(CHECK_TIMEOUT_SECONDS=SLOW)
    assert run.outcome == "failed"
    assert len(monitor.published(run.id)) == run.rows == 3
    assert monitor.statuses() == {}
    assert monitor.history() == []


async def test_slow_publishing_takes_nothing_from_saving(monitor, sim):
    sim.ingestion.fail(STREAM_FINDINGS, silent())
    run = await monitor.check(CHECK_TIMEOUT_SECONDS=SLOW)
    assert run.outcome == "failed"
    assert len(monitor.statuses()) == len(monitor.history()) == 3
    assert monitor.runs()[0]["PublishError"] == run.publish_error


# Settings


def test_wrong_settings_end_the_invocation_before_anybody_is_called_and_all_are_named(monitor):
    result = monitor.invoke(
        GRAPH_ENDPOINT="http://graph.example", CONNECTORS="ade,dep", TENANT_ID="", EXPIRY_CRITICAL_DAYS="1,7"
    )
    assert not result.success
    assert result.exception.startswith("SettingsError: The app settings cannot be used. ")
    for name in ("GRAPH_ENDPOINT", "CONNECTORS", "TENANT_ID is missing", "EXPIRY_CRITICAL_DAYS"):
        assert name in result.exception
    assert "\n" not in result.exception
    assert monitor.requests() == []


def test_pruning_with_wrong_settings_deletes_nothing_and_says_why(monitor):
    result = monitor.invoke("prune_history", HISTORY_RETENTION_DAYS="0")
    assert not result.success
    assert "HISTORY_RETENTION_DAYS is '0'" in result.exception
    assert monitor.requests() == []


async def test_a_setting_that_the_sdk_reads_itself_is_named_like_ours(monitor):
    with pytest.raises(SettingsError, match="AZURE_TOKEN_CREDENTIALS cannot be used"):
        await monitor.check(AZURE_TOKEN_CREDENTIALS="Nobody")
    assert monitor.requests() == []


# Faults of our own


async def test_a_fault_in_the_judgement_still_sends_a_closing_row_that_says_failed(
    remembered, sim, monkeypatch, caplog
):
    alerts = remembered.alerts()
    assert ("fired", "token_warning", "Contoso Labs", "ade", "sync_error", "sync error, code 17") in alerts.soon()
    monkeypatch.setattr(check_module, "judge", lambda *_, **__: 1 / 0)
    told = []
    for _ in range(2):
        run = await remembered.check(HOUR)
        assert (run.outcome, run.rows) == ("failed", 0)
        assert run.store_error == "A fault of the monitor while judging (ZeroDivisionError); its log has the details."
        assert remembered.closing(run.id)["Error"] == run.store_error
        assert remembered.closing(run.id)["Outcome"] == "failed"
        told += alerts.soon()
    assert "ZeroDivisionError: division by zero" in caplog.text
    assert told == [("fired", "check_failing", "all")]
    assert remembered.run_rows()["devices"]["Outcome"] == "unknown"
    assert {row["RunId"] for row in remembered.statuses().values()} == {"run-1"}
    assert [record["Outcome"] for record in remembered.runs()] == ["succeeded", "failed", "failed"]
    assert sim.ingestion.requests


@pytest.mark.parametrize("name", ["save", "record", "load"])
async def test_a_fault_in_the_store_still_sends_a_closing_row_that_says_failed(monitor, monkeypatch, name):
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
