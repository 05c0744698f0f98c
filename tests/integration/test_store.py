"""The record: history exactly once, whenever a run dies or races another one, and rows that no id or text can break."""

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from azure.data.tables import UpdateMode
from dying import Death, die
from support import DAY, HOUR, MINUTE, NOW, ade, held, push, tenant, vpp

from shared.clients import open_clients
from shared.guidance.guidance import Guidance
from shared.settings import Settings
from shared.storage.columns import key
from shared.storage.rows import TOKEN_STATUS
from shared.storage.store import Store, StoreError
from simulator import faults
from simulator.graph import ADE
from simulator.host import worker
from simulator.stack import applied
from simulator.tenant import Tenant, many

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


def told(monitor) -> Counter:
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


async def reference(monitor) -> tuple[Counter, dict]:
    """History and statuses of the story where nothing dies."""
    sim = monitor.sim
    sim.graph.tenant = BEFORE
    await monitor.check()
    sim.graph.tenant = AFTER
    await monitor.check(HOUR)
    await monitor.check(MINUTE)
    result = told(monitor), shown(monitor)
    sim.reset()
    monitor.now = NOW
    return result


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
async def test_a_run_that_dies_at_any_request_leaves_the_history_exact_once_it_is_repeated(monitor, where, carried_out):
    history, statuses = await reference(monitor)
    at = 0
    while True:
        at += 1
        death = Death(where, at, carried_out)
        if not await play(monitor, death):
            break
        assert told(monitor) == history, death
        assert shown(monitor) == statuses, death
        assert monitor.runs()[-1]["Outcome"] == "succeeded", death
    assert at > {"Identity": 2, "Graph": 3, "Ingestion": 3, "Proxy": 15}[where]


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(3))
async def test_however_often_runs_die_in_a_row_no_change_is_lost_or_doubled(monitor, seed):
    history, statuses = await reference(monitor)
    random = Random(seed)  # noqa: S311 (a repeatable story, not a secret)
    sim = monitor.sim
    for story in (BEFORE, AFTER):
        sim.graph.tenant = story
        deaths = 0
        while deaths < 4:
            where, most = random.choice([("Proxy", 16), ("Proxy", 16), ("Ingestion", 3), ("Graph", 3)])
            death = Death(where, random.randint(1, most), random.random() < 0.5)
            await die(monitor, death, dead(monitor, MINUTE))
            deaths += 1
        await monitor.check(MINUTE)
        await monitor.check(MINUTE)
    assert told(monitor) == history
    assert shown(monitor) == statuses


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("part", "method", "carried_out"),
    [
        ("TokenStatus", "GET", False),
        ("TokenStatus", "POST", False),
        ("TokenStatus", "POST", True),
        ("TokenHistory", "PUT", False),
        ("TokenHistory", "PUT", True),
        ("CheckRun", "PUT", True),
        ("AppleTokenFinding", "POST", True),
        ("AppleTokenRun", "POST", False),
    ],
)
def test_a_killed_worker_that_the_host_starts_again_leaves_the_history_exact(monitor, sim, part, method, carried_out):
    now = datetime.now(UTC)
    sim.graph.tenant = tenant(ade("Contoso HQ", now=now), vpps=[vpp(now=now)], apns=push(now=now))
    assert monitor.invoke().success
    renewed = ade("Contoso HQ", now=now, expires=400 * DAY, lastSyncErrorCode=3)
    sim.graph.tenant = tenant(renewed, vpps=[vpp(now=now)], apns=push(now=now, expires=10 * DAY))
    with worker(monitor.environment(), "check_tokens") as running:
        end = faults.calling(running.kill, faults.dropped())
        for server in (sim.proxy, sim.ingestion):
            server.fail(part, faults.carried_out_then(end) if carried_out else end, method=method, times=1)
        killed = running.wait(60)
    assert killed.returncode == -9
    sim.proxy.heal()
    sim.ingestion.heal()
    retried = monitor.invoke()
    assert retried.success, retried.exception
    changes = Counter((row["PartitionKey"].split(":")[0], row["Changes"][0]["field"]) for row in monitor.history())
    assert changes == {
        ("ade", "first_seen"): 1,
        ("vpp", "first_seen"): 1,
        ("apns", "first_seen"): 1,
        ("ade", "health"): 1,
        ("apns", "health"): 1,
    }
    assert set(monitor.stored()) == {"terms_not_accepted"}
    assert set(monitor.stored("apns")) == {"expiring"}
    assert {row["RunId"] for row in monitor.statuses().values()} == {retried.invocation_id}


# Runs that overlap


async def test_of_two_runs_that_overlap_one_gives_way_and_its_retry_is_right(monitor, sim):
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
    assert told(monitor) == history
    assert {row["RunId"] for row in monitor.statuses().values()} == {"quick"}
    retry = await monitor.check(MINUTE)
    assert retry.outcome == "succeeded"
    assert told(monitor) == history
    assert shown(monitor) == statuses


async def test_two_first_runs_at_the_same_time_tell_each_token_once(monitor, sim):
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
async def test_a_lost_answer_to_a_transaction_is_no_lost_race(monitor, sim, lost, sent):
    history, statuses = await reference(monitor)
    for story, after in ((BEFORE, timedelta()), (AFTER, HOUR)):
        sim.graph.tenant = story
        sim.proxy.requests.clear()
        sim.proxy.fail(batch, faults.carried_out_then(lost), times=3)
        run = await monitor.check(after)
        assert (run.outcome, run.store_error) == ("succeeded", None)
        # The SDK sends what was refused again, and not what got no answer.
        assert len([request for request in sim.proxy.requests if batch(request)]) == 3 * sent
    assert told(monitor) == history
    assert shown(monitor) == statuses


async def test_a_lost_answer_to_the_deletion_of_a_row_is_no_lost_race(monitor, sim):
    sim.graph.tenant = BEFORE
    await monitor.check()
    lost = faults.carried_out_then(faults.table_status(503))
    sim.proxy.fail(lambda request: batch(request) and b"DELETE" in request.body, lost, times=1)
    run = await monitor.check(HOUR, CONNECTORS="ade,apns")
    assert (run.outcome, run.store_error) == ("succeeded", None)
    assert {of for of, _ in monitor.statuses()} == {"ade", "apns"}


async def test_a_transaction_that_was_dropped_is_told_and_made_good_by_the_next_run(monitor, sim):
    history, statuses = await reference(monitor)
    sim.graph.tenant = BEFORE
    await monitor.check()
    sim.graph.tenant = AFTER
    sim.proxy.fail(batch, faults.dropped(), times=1)
    run = await monitor.check(HOUR)
    assert run.outcome == "failed"
    assert "TokenStatus could not be written: no connection (Server disconnected)" in run.store_error
    assert (await monitor.check(MINUTE)).outcome == "succeeded"
    assert told(monitor) == history
    assert shown(monitor) == statuses


# Sizes


def operations(body: bytes) -> int:
    return body.count(b"Content-Type: application/http")


async def test_transactions_hold_at_most_100_operations_and_every_token_arrives(monitor, sim):
    sim.graph.tenant = many(250, NOW)
    run = await monitor.check()
    assert run.outcome == "succeeded"
    batches = [operations(request.body) for request in sim.proxy.requests if batch(request)]
    assert sorted(batches) == [50, 100, 100]
    assert len(monitor.sim.table_rows(TOKEN_STATUS.name)) == 250


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # of more than 1 MiB, says aiohttp
@pytest.mark.exhaustive
async def test_transactions_stay_under_4_mib_whatever_texts_the_tokens_carry(monitor, sim):
    text = '\u0001\U0001f34e"\\' * 200
    raw = {"tokenExpirationDateTime": text, "lastSuccessfulSyncDateTime": text, "lastModifiedDateTime": text}
    hostile = {"tokenName": text, "appleIdentifier": text, "tokenType": text, "lastSyncErrorCode": text, **raw}
    sim.graph.tenant = Tenant(tuple(ade(f"Contoso {n}", **hostile) for n in range(250)))
    run = await monitor.check()
    assert (run.outcome, run.store_error, run.publish_error) == ("succeeded", None, None)
    bodies = [len(request.body) for request in sim.proxy.requests if batch(request)]
    assert max(bodies) < 4 * 1024 * 1024
    assert len(bodies) > 3
    assert len(sim.table_rows(TOKEN_STATUS.name)) == 250
    assert max(len(request.body) for request in sim.ingestion.requests) < 1024 * 1024
    assert len(monitor.published(run.id)) == run.rows


@pytest.mark.exhaustive
async def test_two_thousand_changes_at_once_are_all_written(monitor, sim):
    sim.graph.tenant = many(2_000, NOW)
    run = await monitor.check(proxied=False, CHECK_TIMEOUT_SECONDS=60)
    assert (run.outcome, run.tokens) == ("succeeded", 2_000)
    assert len(monitor.history()) == 2_000


async def test_changes_that_do_not_fit_into_the_time_are_reported_and_written_by_the_runs_that_follow(monitor, sim):
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


async def test_a_status_whose_pending_change_cannot_be_written_is_not_replaced(monitor, sim):
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
    assert told(monitor) == history
    assert shown(monitor) == statuses


async def test_one_change_that_cannot_be_written_holds_back_one_row_and_no_other(monitor, sim):
    sim.graph.tenant = BEFORE
    await monitor.check()
    (hq,) = [row["RowKey"] for (_, name), row in monitor.statuses().items() if name == "Contoso HQ"]
    sim.proxy.fail(lambda request: "TokenHistory" in request.path and hq in request.path, faults.table_status(500))
    sim.proxy.requests.clear()
    run = await monitor.check(HOUR)
    assert run.outcome == "failed"
    behind = {name for (_, name), row in monitor.statuses().items() if row["RunId"] != run.id}
    assert behind == {"Contoso HQ"}


async def test_a_rejected_transaction_is_told_once_and_the_other_connectors_are_saved(monitor, sim):
    sim.graph.tenant = BEFORE
    sim.proxy.fail(lambda request: batch(request) and b"vpp" in request.body, faults.table_status(400, "InvalidInput"))
    run = await monitor.check()
    assert run.outcome == "failed"
    assert run.store_error == "TokenStatus could not be written: HTTP 400 InvalidInput."
    assert {of for of, _ in monitor.statuses()} == {"ade", "apns"}
    # What was not saved is not in the history either.
    assert {row["PartitionKey"].split(":")[0] for row in monitor.history()} == {"ade", "apns"}


# Rows of other releases


GOLDEN = {
    "token": {"connector": "ade", "id": "11111111-2222-4333-8444-555555555555", "name": "Contoso HQ"},
    "label": "Contoso HQ",
    "health": 4,
    "health_since": "2026-11-01T00:00:00Z",
    "findings": [{"code": "terms_not_accepted", "severity": 4, "since": "2026-11-01T00:00:00Z"}],
    "first_seen": "2026-01-01T00:00:00Z",
    "checked_on": "2026-11-23T04:07:00Z",
    "run_id": "an older run",
    "changed_on": "2026-11-01T00:00:00Z",
}
"""The least that a row of any release holds; it never changes."""


def remember(sim, memory: object, *, row="11111111-2222-4333-8444-555555555555", of="ade") -> None:
    text = memory if isinstance(memory, str) else json.dumps(memory)
    with sim.tables.client() as client:
        entity = {"PartitionKey": of, "RowKey": row, "TokenName": "Contoso HQ", "Findings": "[]", "Memory": text}
        client.get_table_client(TOKEN_STATUS.name).upsert_entity(entity, mode=UpdateMode.REPLACE)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"learned_later": {"a": [1]}, "token": {**GOLDEN["token"], "learned_later": 1}},
        {"findings": [*GOLDEN["findings"], {"code": "of_a_later_release", "severity": 2, "since": NOW.isoformat()}]},
    ],
    ids=["the least", "fields that this release does not know", "a finding that this release does not know"],
)
async def test_a_row_of_another_release_is_remembered(monitor, sim, more):
    remember(sim, {**GOLDEN, **more})
    sim.graph.tenant = tenant(ade("Contoso HQ", id=GOLDEN["token"]["id"], lastSyncErrorCode=3))
    run = await monitor.check()
    assert (run.outcome, run.store_error) == ("succeeded", None)
    status = monitor.statuses()["ade", "Contoso HQ"]
    assert status["FirstSeen"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert monitor.stored()["terms_not_accepted"]["since"] == "2026-11-01T00:00:00.000000Z"
    assert "first_seen" not in str([row["Changes"] for row in monitor.history() if "ade" in row["PartitionKey"]])


async def test_findings_of_a_later_release_stay_while_graph_is_down(monitor, sim):
    later = {"code": "of_a_later_release", "severity": 2, "since": NOW.isoformat()}
    remember(sim, {**GOLDEN, "findings": [*GOLDEN["findings"], later]})
    sim.graph.fail(ADE, faults.status(502))
    run = await monitor.check()
    assert {code for _, code, *_ in monitor.found(run.id)} == {"terms_not_accepted", "of_a_later_release", "unread"}


@pytest.mark.parametrize(
    "memory",
    ["", "{}", "null", "[]", "no JSON", '{"token":', "[" * 20_000, json.dumps({**GOLDEN, "health": 9})],
    ids=["empty", "no field", "null", "a list", "no JSON", "half", "nested", "a health that is none"],
)
@pytest.mark.sampled(2)
async def test_a_row_whose_memory_cannot_be_read_is_named_and_healed_by_the_next_run(monitor, sim, memory):
    remember(sim, memory)
    sim.graph.tenant = tenant(ade("Contoso HQ", id=GOLDEN["token"]["id"]), ade("Contoso Labs"))
    run = await monitor.check()
    assert run.outcome == "failed"
    assert run.store_error == (
        f"TokenStatus: what the row ade/{GOLDEN['token']['id']} remembers cannot be read; it is judged anew."
    )
    assert monitor.closing()["Error"] == run.store_error
    again = await monitor.check(MINUTE)
    assert (again.outcome, again.store_error) == ("succeeded", None)
    assert monitor.statuses()["ade", "Contoso HQ"]["Health"] == "healthy"


async def test_a_memory_that_is_longer_than_any_column_is_not_read(monitor, sim):
    remember(sim, GOLDEN)
    sim.graph.tenant = tenant(ade("Contoso HQ", id=GOLDEN["token"]["id"]))

    def longer(page):
        for row in page["value"]:
            row["Memory"] += " " * 32_768

    sim.proxy.fail("TokenStatus", faults.rewritten(longer), method="GET")
    run = await monitor.check()
    assert "remembers cannot be read; it is judged anew" in run.store_error


async def test_a_memory_that_tells_of_another_token_is_not_believed(monitor, sim):
    remember(sim, GOLDEN, row="another")
    sim.graph.tenant = tenant(ade("Contoso HQ", id="another"))
    run = await monitor.check()
    assert "the row ade/another remembers cannot be read" in run.store_error
    assert (await monitor.check(MINUTE)).outcome == "succeeded"
    assert {row["RowKey"] for (of, _), row in monitor.statuses().items() if of == "ade"} == {"another"}


async def test_a_token_that_neither_its_row_nor_graph_tells_of_goes_the_way_of_a_removed_one(monitor, sim):
    remember(sim, "no JSON", row="gone")
    run = await monitor.check()
    assert "the row ade/gone remembers cannot be read" in run.store_error
    assert monitor.statuses()["ade", "unnamed gone"]["Health"] == "unknown"
    run = await monitor.check(HOUR)
    assert (run.outcome, run.store_error) == ("succeeded", None)
    assert monitor.statuses()["ade", "unnamed gone"]["Findings"][0]["code"] == "removed"
    await monitor.check(7 * DAY)
    assert ("ade", "unnamed gone") not in monitor.statuses()


async def test_an_unreadable_row_stays_while_graph_cannot_say_whether_its_token_is_there(monitor, sim):
    remember(sim, "no JSON", row="perhaps")
    sim.graph.fail(ADE, faults.status(502))
    for _ in range(2):
        run = await monitor.check(HOUR)
        assert "the row ade/perhaps remembers cannot be read" in run.store_error
    sim.graph.heal()
    sim.graph.tenant = tenant(ade("Contoso HQ", id="perhaps"))
    await monitor.check(HOUR)
    run = await monitor.check(HOUR)
    assert (run.outcome, run.store_error) == ("succeeded", None)
    assert ("ade", "Contoso HQ") in monitor.statuses()


async def test_an_unreadable_row_of_a_connector_that_is_not_watched_leaves_at_once(monitor, sim):
    remember(sim, "no JSON", of="vpp", row="gone")
    await monitor.check(CONNECTORS="ade,apns")
    run = await monitor.check(MINUTE, CONNECTORS="ade,apns")
    assert (run.outcome, run.store_error) == ("succeeded", None)
    assert {of for of, _ in monitor.statuses()} == {"ade", "apns"}


async def test_rows_of_a_later_releases_connector_are_left_alone(monitor, sim):
    remember(sim, "what a later release wrote", of="abm", row="1")
    for _ in range(2):
        run = await monitor.check(HOUR)
        assert (run.outcome, run.store_error) == ("succeeded", None)
    (row,) = [row for row in sim.table_rows(TOKEN_STATUS.name) if row["PartitionKey"] == "abm"]
    assert row["Memory"] == "what a later release wrote"


# Ids and texts


IDS = [
    "11111111-2222-4333-8444-555555555555",
    "a/b\\c#d?e%f",
    "%2F%252F",
    "it's",
    "''",
    'say "hi"',
    "tab\there",
    "line\nbreak\r\n",
    "nul\x00",
    "\x7f\x80\x9f",
    "ünïcode 名前",
    "\U0001f34e apple",
    "e\u0301",
    "\u202eright to left",
    "\ufffd",
    " leading and trailing ",
    ".",
    "..",
    "$batch",
    "(a),RowKey='b'",
    "a&b=c;d,e+f",
    "{0}<xml>&amp;",
    "~",
    "x" * 400,
    "x" * 512,
    "/" * 512,
    "\U0001f34e" * 300,
    "x" * 10_000,
]


async def test_hostile_ids_are_keys_that_are_found_again_and_kept_apart(monitor, sim):
    sim.graph.tenant = tenant(*(ade(f"Contoso {n}", id=token) for n, token in enumerate(IDS)))
    for hour in range(3):
        run = await monitor.check(HOUR if hour else timedelta())
        assert (run.outcome, run.store_error, run.publish_error) == ("succeeded", None, None)
        assert run.connectors["ade"] == len(IDS)
    rows = [row for row in sim.table_rows(TOKEN_STATUS.name) if row["PartitionKey"] == "ade"]
    assert len(rows) == len(IDS)
    assert {row["RunId"] for row in rows} == {run.id}
    assert {row["FirstSeen"] for row in rows} == {NOW}
    assert len([row for row in monitor.history() if row["PartitionKey"].startswith("ade:")]) == len(IDS)
    for row in rows:
        assert not set("/\\#?") & set(row["RowKey"])
        assert row["RowKey"].isprintable() or "\u202e" in row["RowKey"]
        assert len(row["RowKey"].encode("utf-16-le")) <= 1024
    plain = {row["TokenName"]: row["RowKey"] for row in rows}
    assert (plain["Contoso 0"], plain["Contoso 1"]) == (IDS[0], "a%2Fb%5Cc%23d%3Fe%25f")
    # They change and go like any other.
    sim.graph.tenant = tenant()
    await monitor.check(HOUR)
    await monitor.check(HOUR)
    await monitor.check(8 * DAY)
    assert {name for of, name in monitor.statuses() if of == "ade"} == {"Contoso HQ"}


def test_ids_that_differ_have_keys_that_differ():
    assert len({key(token) for token in IDS}) == len(IDS)


async def test_a_token_named_like_a_number_a_formula_or_nothing_keeps_its_name(monitor, sim):
    names = ["0", "=1+1", "None", "null", "'; DROP TABLE", "<b>", "{severity}", "\\N"]
    sim.graph.tenant = tenant(*(ade(name) for name in names))
    run = await monitor.check()
    assert run.outcome == "succeeded"
    assert {name for of, name in monitor.statuses() if of == "ade"} == set(names)
    assert {row["TokenName"] for row in monitor.published() if row["Connector"] == "ade"} == set(names)


# Pruning


async def prune(monitor, before) -> int:
    environment = monitor.environment()
    with applied(environment):
        async with open_clients(Settings.load(environment)) as clients:
            return await Store(clients.tables, clients.transactions, Guidance()).prune(before)


async def test_pruning_deletes_what_is_older_than_the_retention_and_nothing_else(monitor, sim):
    sim.graph.tenant = Tenant(many(120, NOW).ade)
    await monitor.check()
    sim.graph.tenant = Tenant(many(120, NOW).ade, apns=push())
    await monitor.check(DAY)
    history, runs = monitor.history(), monitor.runs()
    assert (len([row for row in history if row["ChangedOn"] == NOW]), len(runs)) == (120, 2)
    assert await prune(monitor, NOW) == 0
    assert (monitor.history(), monitor.runs()) == (history, runs)
    sim.proxy.requests.clear()
    assert await prune(monitor, NOW + timedelta(milliseconds=1)) == 121
    assert monitor.history() == [row for row in history if row["ChangedOn"] > NOW]
    assert [row["StartedOn"] for row in monitor.runs()] == [NOW + DAY]
    assert len(monitor.statuses()) == 121
    assert all(operations(request.body) <= 100 for request in sim.proxy.requests)


async def test_pruning_deletes_many_rows_of_one_token_in_batches_of_100(monitor, sim):
    with sim.tables.client() as client:
        table = client.get_table_client("TokenHistory")
        for start in range(0, 250, 50):
            table.submit_transaction(
                [
                    ("create", {"PartitionKey": "ade:1", "RowKey": f"{251606890379999 + n:015d}"})
                    for n in range(start, start + 50)
                ]
            )
    assert await prune(monitor, NOW) == 249  # the first of them is of NOW itself
    batches = [operations(request.body) for request in sim.proxy.requests if batch(request)]
    assert sorted(batches) == [49, 100, 100]


async def test_pruning_that_fails_in_part_says_how_many_rows_went_and_which_table_did_not(monitor, sim):
    await monitor.check()
    sim.proxy.fail("CheckRun", faults.table_status(403, "AuthorizationPermissionMismatch"), method="POST")
    with pytest.raises(StoreError) as told_so:
        await prune(monitor, NOW + DAY)
    assert str(told_so.value) == (
        "3 old rows were deleted, and not all: CheckRun could not be written: HTTP 403 "
        "AuthorizationPermissionMismatch: give the app's identity the role Storage Table Data Contributor on the "
        "table; a new grant can take up to 30 minutes."
    )
    assert (monitor.history(), len(monitor.runs())) == ([], 1)


async def test_pruning_goes_on_with_the_other_table_where_one_cannot_be_read(monitor, sim):
    await monitor.check()
    sim.proxy.fail("TokenHistory", faults.table_status(404, "TableNotFound"), method="GET")
    with pytest.raises(StoreError, match="1 old rows were deleted, and not all: TokenHistory could not be read"):
        await prune(monitor, NOW + DAY)
    assert (len(monitor.history()), monitor.runs()) == (3, [])


def test_the_pruning_function_tells_how_many_rows_it_deleted(monitor, sim):
    old = int((datetime.now(UTC) - 401 * DAY).timestamp() * 1000)
    young = int((datetime.now(UTC) - 399 * DAY).timestamp() * 1000)
    with sim.tables.client() as client:
        for table, partition in (("TokenHistory", "ade:1"), ("CheckRun", "2025-10")):
            for instant in (old, young):
                row = {"PartitionKey": partition, "RowKey": f"{253402300799999 - instant:015d}"}
                client.get_table_client(table).create_entity(row)
    result = monitor.invoke("prune_history")
    assert result.success, result.exception
    assert "INFO function_app: prune_history deleted 2 rows from before" in result.logs
    assert [len(sim.table_rows(table)) for table in ("TokenHistory", "CheckRun")] == [1, 1]


def test_a_pruning_that_failed_ends_the_invocation_in_one_clear_sentence(monitor, sim):
    sim.proxy.fail("", faults.table_status(403, "AuthorizationPermissionMismatch"))
    result = monitor.invoke("prune_history")
    assert not result.success
    assert result.exception.startswith("StoreError: 0 old rows were deleted, and not all: CheckRun could not be read")
    assert "Storage Table Data Contributor" in result.exception
    assert "\n" not in result.exception
