"""The record: history exactly once, whenever a run dies or races another one, and rows that no id or text can break."""

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from dying import Death, die
from support import held

from simulator import faults
from simulator.host import worker
from simulator.tenant import many
from tests.scenes import DAY, HOUR, MINUTE, NOW, ade, push, tenant, vpp

BEFORE = tenant(
    ade("Contoso HQ", expires=5 * DAY),
    ade("Contoso Labs", lastSyncErrorCode=3, synced=80 * HOUR),
    ade("Contoso Retail"),
    vpps=[vpp("Contoso Apps"), vpp("Contoso Books", state="invalid")],
)
AFTER = tenant(
    ade("Contoso HQ", expires=370 * DAY),
    ade("Contoso Labs", lastSyncErrorCode=3, synced=80 * HOUR),
    ade("Contoso Retail", appleIdentifier="other@contoso.com"),
    ade("Contoso Warehouse", synced=50 * HOUR),
    vpps=[vpp("Contoso Apps", lastSyncStatus="failed"), vpp("Contoso Books", state="invalid")],
    apns=push(topicIdentifier="com.apple.mgmt.External.other"),
)


def changes_by_token(monitor) -> Counter:
    """Every change in the history but the instants of it."""
    return Counter(
        (
            row["PartitionKey"],
            row.get("OldHealth"),
            row["Health"],
            json.dumps([{**each, "new": ""} if each["field"] == "first_seen" else each for each in row["Changes"]]),
        )
        for row in monitor.history()
    )


def shown(monitor) -> dict:
    """What the statuses say but the instants of it."""
    return {
        of: (row["Health"], [(each["code"], each["severity"], each["caused_by"]) for each in row["Findings"]])
        for of, row in monitor.statuses().items()
    }


REFERENCE: list[tuple[Counter, dict]] = []
"""History and statuses of the story where nothing fails, once some test has needed them."""


async def reference(monitor) -> tuple[Counter, dict]:
    if not REFERENCE:
        sim = monitor.sim
        sim.graph.tenant = BEFORE
        await monitor.check()
        sim.graph.tenant = AFTER
        await monitor.check(HOUR)
        await monitor.check(MINUTE)
        REFERENCE.append((changes_by_token(monitor), shown(monitor)))
        sim.reset()
        monitor.now = NOW
    return REFERENCE[0]


def dead(monitor, after: timedelta):
    """A run that shall not come to its end."""
    return monitor.check(after, run_id=f"dead at {monitor.now + after}")


OPENED = [
    ("fired", "token_critical", "Contoso Books", "vpp", "invalid", "invalid"),
    ("fired", "token_critical", "Contoso HQ", "ade", "expiring", "expires 2026-11-28 (7 days or less)"),
    ("fired", "token_critical", "Contoso Labs", "ade", "terms_not_accepted", "Apple's terms not accepted"),
]


async def play(monitor, death: Death) -> bool:
    """Two checks, the second of which dies and is repeated a minute later, as the host does."""
    sim = monitor.sim
    sim.reset()
    monitor.now = NOW
    sim.graph.tenant = BEFORE
    alerts = monitor.alerts()
    await monitor.check()
    assert sorted(alerts.soon()) == OPENED
    sim.graph.tenant = AFTER
    for server in monitor.servers:
        server.requests.clear()
    died = await die(monitor, death, dead(monitor, HOUR))
    if died and "all" not in monitor.run_rows(f"dead at {monitor.now}"):
        # Whatever the dead run has sent, nothing resolves for it.
        assert not [event for event in alerts.until(monitor.now + 50 * MINUTE) if event[0] == "resolved"], death
    await monitor.check(MINUTE if died else HOUR)
    assert (
        "token_critical",
        "Contoso HQ",
        "ade",
        "expiring",
        "expires 2026-11-28 (7 days or less)",
    ) not in monitor.firing()
    return died


@pytest.mark.exhaustive
@pytest.mark.parametrize("carried_out", [False, True], ids=["before it is carried out", "after it was carried out"])
@pytest.mark.parametrize("where", ["Identity", "Graph", "Ingestion", "Proxy"])
async def test_the_history_is_exact_when_a_run_that_dies_at_any_request_is_repeated(monitor, where, carried_out):
    history, statuses = await reference(monitor)
    at = 0
    while True:
        at += 1
        death = Death(where, at, carried_out)
        if not await play(monitor, death):
            break
        assert changes_by_token(monitor) == history, death
        assert shown(monitor) == statuses, death
        assert monitor.runs()[-1]["Outcome"] == "succeeded", death
    assert at > {"Identity": 2, "Graph": 3, "Ingestion": 3, "Proxy": 15}[where]


@pytest.mark.exhaustive
def test_the_history_is_exact_when_a_killed_worker_is_started_again(monitor, sim):
    now = datetime.now(UTC)
    sim.graph.tenant = tenant(ade("Contoso HQ", now=now), now=now)
    assert monitor.invoke().success
    renewed = ade("Contoso HQ", now=now, expires=400 * DAY, lastSyncErrorCode=3)
    sim.graph.tenant = tenant(renewed, apns=push(now=now, expires=10 * DAY), now=now)
    with worker(monitor.environment(), "check_tokens") as running:
        killed = faults.carried_out_then(faults.calling(running.kill, faults.dropped()))
        sim.proxy.fail("TokenHistory", killed, method="PUT", times=1)
        assert running.wait(60).returncode == -9
    sim.proxy.heal()
    retried = monitor.invoke()
    assert retried.success, retried.exception
    changes = [(row["PartitionKey"].split(":")[0], row["Changes"][0]["field"]) for row in monitor.history()]
    first_sights = [(connector, "first_seen") for connector in ("ade", "apns", "vpp")]
    assert sorted(changes) == sorted([*first_sights, ("ade", "health"), ("apns", "health")])
    assert set(monitor.stored()) == {"terms_not_accepted"}
    assert set(monitor.stored("apns")) == {"expiring"}
    assert {row["RunId"] for row in monitor.statuses().values()} == {retried.invocation_id}


# Runs that overlap


async def test_one_of_two_overlapping_runs_gives_way_and_its_retry_is_complete(monitor, sim):
    history, statuses = await reference(monitor)
    sim.graph.tenant = BEFORE
    await monitor.check()
    sim.graph.tenant = AFTER
    go, met = asyncio.Event(), asyncio.Event()
    hold = held(go, asyncio.get_running_loop(), met)
    sim.proxy.fail(batch, hold, times=3)
    slow = asyncio.ensure_future(monitor.check(HOUR, run_id="slow"))
    await met.wait()
    quick = await monitor.check(MINUTE, run_id="quick")
    assert quick.outcome == "succeeded"
    go.set()
    gave_way = await slow
    assert gave_way.outcome == "failed"
    assert gave_way.store_error == (
        "TokenStatus: another run wrote the same rows at the same time, so this one gave way."
    )
    assert monitor.closing("slow")["Outcome"] == "failed"
    assert monitor.closing("slow")["Error"] == gave_way.store_error
    assert changes_by_token(monitor) == history
    assert {row["RunId"] for row in monitor.statuses().values()} == {"quick"}
    retry = await monitor.check(MINUTE)
    assert retry.outcome == "succeeded"
    assert changes_by_token(monitor) == history
    assert shown(monitor) == statuses


async def test_two_first_runs_at_the_same_time_write_each_token_once(monitor, sim):
    sim.graph.tenant = BEFORE
    runs = await asyncio.gather(monitor.check(run_id="one"), monitor.check(run_id="two"))
    assert {run.outcome for run in runs} <= {"failed", "succeeded"}
    assert (await monitor.check(MINUTE)).outcome == "succeeded"
    assert sorted(Counter(row["PartitionKey"] for row in monitor.history()).values()) == [1] * 6


def batch(request) -> bool:
    return request.path.endswith("$batch")


@pytest.mark.parametrize(
    ("lost", "sent"),
    [(faults.dropped(), 1), (faults.table_status(503), 2), (faults.table_status(500, "OperationTimedOut"), 2)],
    ids=["the connection dropped", "503", "500"],
)
@pytest.mark.sampled(1)
async def test_a_lost_answer_to_a_transaction_is_not_taken_for_another_run(monitor, sim, lost, sent):
    history, statuses = await reference(monitor)
    for story, after in ((BEFORE, timedelta()), (AFTER, HOUR)):
        sim.graph.tenant = story
        sim.proxy.requests.clear()
        sim.proxy.fail(batch, faults.carried_out_then(lost), times=3)
        run = await monitor.check(after)
        assert (run.outcome, run.store_error) == ("succeeded", None)
        # The SDK sends what was refused again, and not what got no answer.
        assert len([request for request in sim.proxy.requests if batch(request)]) == 3 * sent
    assert changes_by_token(monitor) == history
    assert shown(monitor) == statuses


async def test_a_lost_answer_to_a_deletion_is_not_taken_for_another_run(monitor, sim):
    sim.graph.tenant = BEFORE
    await monitor.check()
    lost = faults.carried_out_then(faults.table_status(503))
    sim.proxy.fail(lambda request: batch(request) and b"DELETE" in request.body, lost, times=1)
    run = await monitor.check(HOUR, CONNECTORS="ade,apns")
    assert (run.outcome, run.store_error) == ("succeeded", None)
    assert {of for of, _ in monitor.statuses()} == {"ade", "apns"}


# Sizes


@pytest.mark.exhaustive
async def test_changes_that_exceed_the_time_are_reported_and_written_by_the_next_run(monitor, sim):
    sim.graph.tenant = many(300, NOW)
    sim.proxy.fail("TokenHistory", faults.delay(0.2))
    run = await monitor.check(CHECK_TIMEOUT_SECONDS=3)
    assert run.outcome == "failed"
    assert run.store_error == "Time ran out while saving (CHECK_TIMEOUT_SECONDS is 3)."
    assert run.duration_ms < 3_000
    assert (monitor.closing()["Outcome"], monitor.closing()["Error"]) == ("failed", run.store_error)
    assert 0 < len(monitor.history()) < 300
    sim.proxy.heal()
    run = await monitor.check(MINUTE)
    assert run.outcome == "succeeded"
    assert len(monitor.history()) == 300
    assert {row["ChangedOn"] for row in monitor.history()} == {NOW}


# What cannot be written


async def test_a_status_is_not_replaced_while_its_pending_change_cannot_be_written(monitor, sim):
    history, statuses = await reference(monitor)
    sim.graph.tenant = BEFORE
    sim.proxy.fail("TokenHistory", faults.table_status(403, "AuthorizationPermissionMismatch"))
    first = await monitor.check()
    assert first.outcome == "failed"
    assert "TokenHistory could not be written: HTTP 403" in first.store_error
    assert "Storage Table Data Contributor" in first.store_error
    assert len(monitor.statuses()) == 6
    sim.graph.tenant = AFTER
    second = await monitor.check(HOUR)
    assert second.outcome == "failed"
    # Only the new token's row could be written; the others still carry what is not in the history.
    stood = {of: row["RunId"] for of, row in monitor.statuses().items()}
    assert {name for (_, name), run in stood.items() if run == second.id} == {"Contoso Warehouse"}
    assert monitor.history() == []
    sim.proxy.heal()
    third = await monitor.check(HOUR)
    assert third.outcome == "succeeded"
    assert changes_by_token(monitor) == history
    assert shown(monitor) == statuses


async def test_a_change_that_cannot_be_written_holds_back_one_row(monitor, sim):
    sim.graph.tenant = BEFORE
    await monitor.check()
    (hq,) = [row["RowKey"] for (_, name), row in monitor.statuses().items() if name == "Contoso HQ"]
    sim.proxy.fail(lambda request: "TokenHistory" in request.path and hq in request.path, faults.table_status(403))
    sim.proxy.requests.clear()
    run = await monitor.check(HOUR)
    assert run.outcome == "failed"
    behind = {name for (_, name), row in monitor.statuses().items() if row["RunId"] != run.id}
    assert behind == {"Contoso HQ"}


async def test_a_rejected_transaction_is_reported_once_and_the_other_connectors_are_saved(monitor, sim):
    sim.graph.tenant = BEFORE
    sim.proxy.fail(lambda request: batch(request) and b"vpp" in request.body, faults.table_status(400, "InvalidInput"))
    run = await monitor.check()
    assert run.outcome == "failed"
    assert run.store_error == "TokenStatus could not be written: HTTP 400 InvalidInput."
    assert {of for of, _ in monitor.statuses()} == {"ade", "apns"}
    # What was not saved is not in the history either.
    assert {row["PartitionKey"].split(":")[0] for row in monitor.history()} == {"ade", "apns"}
