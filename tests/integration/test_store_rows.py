"""Rows that the app finds: of other releases, with any ID and text, or older than the retention."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from azure.data.tables import UpdateMode

from shared.clients import open_clients
from shared.guidance.guidance import Guidance
from shared.settings import Settings
from shared.storage.rows import TOKEN_STATUS
from shared.storage.store import Store, StoreError
from simulator import faults
from simulator.graph import ADE
from simulator.stack import applied
from simulator.tenant import Tenant, many
from tests.scenes import DAY, HOUR, MINUTE, NOW, ade, push, tenant


def operations(body: bytes) -> int:
    return body.count(b"Content-Type: application/http")


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
@pytest.mark.sampled(2)
async def test_a_row_of_another_release_is_read(monitor, sim, more):
    remember(sim, {**GOLDEN, **more})
    sim.graph.tenant = tenant(ade("Contoso HQ", id=GOLDEN["token"]["id"], lastSyncErrorCode=3))
    run = await monitor.check()
    assert (run.outcome, run.store_error) == ("succeeded", None)
    status = monitor.statuses()["ade", "Contoso HQ"]
    assert status["FirstSeen"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert monitor.stored()["terms_not_accepted"]["since"] == "2026-11-01T00:00:00.000000Z"
    assert "first_seen" not in str([row["Changes"] for row in monitor.history() if "ade" in row["PartitionKey"]])


@pytest.mark.parametrize(
    "memory",
    [
        json.dumps({**GOLDEN, "token": {**GOLDEN["token"], "id": "another"}}),
        "[" * 20_000,
        json.dumps({**GOLDEN, "health": 9}),
        "",
    ],
    ids=["another token", "nested", "a health that is none", "empty"],
)
@pytest.mark.sampled(2)
async def test_a_row_whose_memory_cannot_be_read_is_named_and_replaced(monitor, sim, memory):
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


async def test_a_memory_longer_than_any_column_is_not_read(monitor, sim):
    remember(sim, GOLDEN)
    sim.graph.tenant = tenant(ade("Contoso HQ", id=GOLDEN["token"]["id"]))

    def longer(page):
        for row in page["value"]:
            row["Memory"] += " " * 32_768

    sim.proxy.fail("TokenStatus", faults.rewritten(longer), method="GET")
    run = await monitor.check()
    assert "remembers cannot be read; it is judged anew" in run.store_error


async def test_an_unreadable_row_without_a_token_in_graph_becomes_a_removed_token(monitor, sim):
    remember(sim, "no JSON", row="gone")
    run = await monitor.check()
    assert "the row ade/gone remembers cannot be read" in run.store_error
    assert monitor.statuses()["ade", "unnamed gone"]["Health"] == "unknown"
    run = await monitor.check(HOUR)
    assert (run.outcome, run.store_error) == ("succeeded", None)
    assert monitor.statuses()["ade", "unnamed gone"]["Findings"][0]["code"] == "removed"
    await monitor.check(7 * DAY)
    assert ("ade", "unnamed gone") not in monitor.statuses()


async def test_an_unreadable_row_is_kept_while_graph_fails(monitor, sim):
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


async def test_a_row_of_an_unknown_connector_is_left_alone(monitor, sim):
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
    " leading and trailing ",
    "..",
    "$batch",
    "(a),RowKey='b'",
    "a&b=c;d,e+f",
    "{0}<xml>&amp;",
    "x" * 512,
    "/" * 512,
    "\U0001f34e" * 300,
    "x" * 10_000,
]


async def test_hostile_ids_have_keys_that_are_found_again_and_differ(monitor, sim):
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


# Pruning


async def prune(monitor, before) -> int:
    environment = monitor.environment()
    with applied(environment):
        async with open_clients(Settings.load(environment)) as clients:
            return await Store(clients.tables, clients.transactions, Guidance()).prune(before)


async def test_pruning_deletes_only_rows_older_than_the_retention(monitor, sim):
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


async def test_pruning_that_fails_in_part_names_the_table_and_the_deleted_rows(monitor, sim):
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
    sim.proxy.heal()
    await monitor.check(MINUTE)
    sim.proxy.fail("TokenHistory", faults.table_status(404, "TableNotFound"), method="GET")
    with pytest.raises(StoreError, match="2 old rows were deleted, and not all: TokenHistory could not be read"):
        await prune(monitor, NOW + DAY)
    assert monitor.runs() == []


def test_the_pruning_function_logs_the_number_of_deleted_rows(monitor, sim):
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
