"""A service other than Graph fails: the run names it, does the rest, and keeps what is known."""

import re

import pytest
from support import STREAM_FINDINGS, STREAM_RUNS

from simulator import faults
from simulator.graph import ADE
from simulator.tenant import Tenant, many
from tests.scenes import DAY, HOUR, MINUTE, NOW, ade, tenant

PUBLISHER = "Monitoring Metrics Publisher on the data collection rule"
CONTRIBUTOR = "Storage Table Data Contributor on the table"
DENIED = faults.table_status(403, "AuthorizationPermissionMismatch")
NOT_READ = r"CheckFailed: The check was not whole\. (TokenStatus|DeviceInspection) could not be read: "
"""Both are read side by side, and the sentence begins with the one that fails first."""
NO_IDENTITY = faults.text(400, '{"statusCode": 400, "message": "Identity not found"}', "application/json")


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
@pytest.mark.sampled(1)
async def test_rows_that_are_refused_fail_the_run_and_the_statuses_are_stored(monitor, sim, fault, why):
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


@pytest.mark.exhaustive
async def test_rows_that_are_refused_in_part_fail_the_run_and_resolve_nothing(monitor, sim):
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


async def test_a_refused_closing_row_makes_the_record_of_the_run_failed(monitor, sim):
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


async def test_refused_connectors_rows_make_the_closing_row_failed(monitor, sim):
    sim.graph.fail(ADE, faults.status(502))
    sim.ingestion.fail(STREAM_RUNS, ingestion_error(403, "OperationFailed"), times=1)
    run = await monitor.check()
    assert run.outcome == "failed", "which is worse than degraded"
    assert list(monitor.run_rows()) == ["all"]
    assert monitor.closing()["Outcome"] == "failed"
    assert "4 of 4 rows of AppleTokenRun_CL" in monitor.closing()["Error"]
    assert [record["Outcome"] for record in monitor.runs()] == ["failed"]


async def test_throttled_ingestion_is_repeated(monitor, sim):
    sim.ingestion.fail(STREAM_FINDINGS, faults.status(429, retry_after=1), times=1)
    run = await monitor.check()
    assert run.outcome == "succeeded"
    assert len(monitor.published(run.id)) == 3


async def test_the_record_is_failed_when_ingestion_is_down(monitor, sim):
    with sim.ingestion.refusing():
        run = await monitor.check(CHECK_TIMEOUT_SECONDS=4)
    assert run.outcome == "failed"
    assert run.duration_ms < 4_500
    assert len(monitor.statuses()) == 3
    (record,) = monitor.runs()
    assert record["Outcome"] == "failed"
    assert record["PublishError"]


NOT_SENT = r"CheckFailed: The check was not whole\. 3 of 3 rows of AppleTokenFinding_CL"
NOT_DELETED = "StoreError: 0 old rows were deleted, and not all: CheckRun could not be read"


@pytest.mark.parametrize(
    ("server", "fault", "function", "starts", "remedy"),
    [
        ("ingestion", ingestion_error(403, "OperationFailed"), "check_tokens", NOT_SENT, PUBLISHER),
        ("proxy", DENIED, "check_tokens", f"{NOT_READ}HTTP 403", CONTRIBUTOR),
        ("proxy", DENIED, "prune_history", NOT_DELETED, CONTRIBUTOR),
        ("identity", NO_IDENTITY, "check_tokens", f"{NOT_READ}no sign-in", "managed identity"),
    ],
)
@pytest.mark.sampled(2)
def test_an_invocation_that_fails_ends_in_one_sentence_with_the_remedy(
    monitor, sim, server, fault, function, starts, remedy
):
    getattr(sim, server).fail("", fault)
    result = monitor.invoke(function)
    assert not result.success
    assert re.match(starts, result.exception)
    assert remedy in result.exception
    assert "\n" not in result.exception
    assert "Traceback" not in result.logs


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
        (DENIED, f"HTTP 403 AuthorizationPermissionMismatch: give the app's identity the role {CONTRIBUTOR}"),
        (faults.table_status(404, "TableNotFound"), "HTTP 404 TableNotFound: what infra/main.bicep deploys is not"),
        (faults.table_status(400, "InvalidInput"), "HTTP 400 InvalidInput"),
        (faults.text(200, "<html>"), "A fault of the monitor while loading (DeserializationError)"),
    ],
    ids=["403", "404", "400", "HTML"],
)
@pytest.mark.sampled(2)
async def test_unreadable_tables_leave_the_readings_judged_and_published(remembered, sim, fault, why):
    sim.graph.tenant = tenant(ade("Contoso HQ"), ade("Contoso Labs", lastSyncErrorCode=17))
    sim.proxy.fail("TokenStatus", fault, method="GET")
    run = await remembered.check(HOUR)
    assert why in run.store_error, run.store_error
    await expect_judged_without_memory(remembered, run)
    assert [record["Outcome"] for record in remembered.runs()] == ["succeeded", "failed"]
    assert remembered.runs()[-1]["StoreError"] == run.store_error


async def test_a_token_that_only_unreadable_tables_know_is_not_removed(remembered, sim):
    alerts = remembered.alerts()
    alerts.soon()
    sim.graph.tenant = tenant(ade("Contoso HQ"))
    sim.proxy.fail("", DENIED)
    for _ in range(3):
        run = await remembered.check(HOUR)
        assert "removed" not in {row["Finding"] for row in remembered.published(run.id)}
        assert not [event for event in alerts.soon() if event[0] == "resolved"]
    sim.proxy.heal()
    assert ("ade", "Contoso Labs") in remembered.statuses()


async def test_everything_is_published_and_the_run_fails_when_the_tables_are_down(remembered, sim):
    with sim.proxy.refusing():
        run = await remembered.check(HOUR, CHECK_TIMEOUT_SECONDS=3)
    assert run.duration_ms < 3_500
    await expect_judged_without_memory(remembered, run)
    assert list(remembered.run_rows(run.id)) == ["ade", "apns", "vpp", "devices", "all"]


async def test_unwritable_tables_leave_the_findings_published_and_nothing_resolves(monitor, sim):
    sim.graph.tenant = tenant(ade("Contoso HQ", expires=5 * DAY))
    alerts = monitor.alerts()
    await monitor.check()
    assert len(alerts.soon()) == 1
    sim.graph.tenant = tenant(ade("Contoso HQ", expires=370 * DAY))
    sim.proxy.fail("", DENIED, method="POST")
    sim.proxy.fail("", DENIED, method="PUT")
    alerted = []
    for _ in range(2):
        run = await monitor.check(HOUR)
        assert run.outcome == "failed"
        assert "could not be written: HTTP 403 AuthorizationPermissionMismatch" in run.store_error
        assert f"give the app's identity the role {CONTRIBUTOR}" in run.store_error
        assert monitor.found(run.id) == {("Contoso HQ", "none", "none", "none"): 1}
        assert monitor.closing(run.id)["Outcome"] == "failed"
        alerted += alerts.soon()
    assert alerted == [("fired", "check_failing", "all")]
    assert [run["Outcome"] for run in monitor.runs()] == ["succeeded"]
    sim.proxy.heal()
    await monitor.check(HOUR)
    assert sorted(alerts.until(monitor.now + 50 * MINUTE)) == [
        ("resolved", "check_failing", "all"),
        ("resolved", "token_critical", "Contoso HQ", "ade", "expiring", "expires 2026-11-28 (7 days or less)"),
    ]


@pytest.mark.parametrize("method", ["GET", "POST"], ids=["unreadable", "unwritable"])
@pytest.mark.exhaustive
async def test_a_finding_that_begins_in_an_outage_of_the_tables_fires_once_it_is_stored(monitor, sim, method):
    alerts = monitor.alerts()
    sim.graph.tenant = tenant(ade("Contoso HQ", expires=8 * DAY), vpps=[])
    await monitor.check()
    (begun,) = alerts.soon()
    sim.proxy.fail("TokenStatus", DENIED, method=method)
    if method == "POST":
        sim.proxy.fail("", DENIED, method=method)
    alerted = []
    for hour in range(1, 45):
        # The token is renamed, gets another error each hour, and comes closer to its expiry.
        now = ade(f"Contoso {hour}", id=sim.graph.tenant.ade[0]["id"], expires=8 * DAY, lastSyncErrorCode=10 + hour)
        sim.graph.tenant = tenant({**now, "lastSuccessfulSyncDateTime": f"{monitor.now:%Y-%m-%dT%H:%M:%SZ}"}, vpps=[])
        await monitor.check(HOUR)
        alerts.skip()
        alerted += alerts.soon()
    assert alerted == [("fired", "check_failing", "all")]
    sim.proxy.heal()
    for _ in range(3):
        await monitor.check(HOUR)
        alerted += alerts.until(monitor.now + 59 * MINUTE)
    assert sorted(alerted[1:]) == [
        ("fired", "token_critical", "Contoso HQ", "ade", "expiring", "expires 2026-12-01 (7 days or less)"),
        ("fired", "token_warning", "Contoso 44", "ade", "sync_error", "sync error, code 54"),
        ("resolved", "check_failing", "all"),
    ]
    assert begun[1:] in alerts.open
