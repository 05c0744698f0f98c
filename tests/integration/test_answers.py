"""An answer without end is not read to its end: what asked for it fails with the reason, and takes no memory."""

import gzip
from datetime import UTC, datetime
from itertools import chain, repeat

import pytest

from simulator import faults
from simulator.graph import ADE
from simulator.tenant import many

PEAK_MIB = 300
TOO_LONG = "the answer has more than {} MiB, and was not read to its end"

PIECE = b"x" * 1024 * 1024


def a_long_text():
    return chain([b'{"value":[{"id":"1","tokenName":"'], repeat(PIECE, 300), [b'"}]}'])


ANSWERS = {
    "a GiB, compressed": faults.zipped(1024),
    "no end": faults.endless(),
    "a text of 300 MB": faults.streamed(a_long_text),
}
VALUES = {
    "empty objects": (b"{},", b'{"value":['),
    "one long text": (b"x", '{"value":[{"PartitionKey":"ade","RowKey":"\U0001f34e'.encode()),
}
"""What takes more memory than it has bytes: what is repeated, and what precedes it."""
SERVICES = {
    "Graph": ("graph", ADE, [f"Connector ade could not be read: GET {ADE}: ", TOO_LONG.format(8)]),
    "identity": (
        "identity",
        "",
        [
            f"{part}: no sign-in (ManagedIdentityCredential: {TOO_LONG.format(1)})"
            for part in (
                "TokenStatus could not be read",
                "CheckRun could not be written",
                "rows of AppleTokenRun_CL were not taken",
            )
        ],
    ),
    "tables": ("proxy", "TokenStatus", [f"TokenStatus could not be read: AnswerTooLongError ({TOO_LONG.format(16)})"]),
    "ingestion": (
        "ingestion",
        "",
        [f"rows of AppleTokenFinding_CL were not taken: AnswerTooLongError ({TOO_LONG.format(1)})"],
    ),
}


ENCODED = {
    "br": b"{}",
    "gzip, gzip": gzip.compress(gzip.compress(b'{"value":[]}')),
    "identity, gzip": gzip.compress(b'{"value":[]}'),
}


@pytest.mark.parametrize(("encoding", "body"), ENCODED.items(), ids=ENCODED)
async def test_an_answer_in_an_encoding_that_was_not_asked_for_is_refused(monitor, sim, encoding, body):
    sim.graph.fail(ADE, faults.streamed(lambda: [body], encoding=encoding))
    sim.proxy.fail("TokenStatus", faults.streamed(lambda: [body], encoding=encoding), method="GET")
    run = await monitor.check()
    says = f"the answer is encoded as {encoding!r}"
    assert says in monitor.run_rows(run.id)["ade"]["Error"]
    assert says in run.store_error
    assert run.outcome == "failed"


@pytest.fixture
def seen(monitor):
    """A tenant that one check has seen."""
    assert monitor.invoke().success
    return monitor


def expect_small(result):
    assert result.peak_mib is not None, result.exception
    assert result.peak_mib < PEAK_MIB, result.peak_mib


@pytest.mark.parametrize(("server", "where", "parts"), SERVICES.values(), ids=SERVICES)
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.sampled(1)
def test_an_answer_without_end_fails_what_asked_for_it_and_takes_no_memory(seen, sim, server, where, parts, answer):
    getattr(sim, server).fail(where, answer, method="GET" if server == "proxy" else None)
    result = seen.invoke()
    expect_small(result)
    assert result.success is (server == "graph"), "only a degraded run is not repeated"
    assert [part for part in parts if part not in f"{result.exception} {result.logs}"] == []
    if server == "graph":
        assert {of: row["Outcome"] for of, row in seen.run_rows().items() if of != "devices"} == {
            "ade": "failed",
            "apns": "succeeded",
            "vpp": "succeeded",
            "all": "degraded",
        }
        assert {row["Health"] for (of, _), row in seen.statuses().items() if of == "ade"} <= {"unknown", "critical"}


@pytest.mark.parametrize(("of", "start"), VALUES.values(), ids=VALUES)
@pytest.mark.sampled(1)
def test_an_answer_of_the_tables_that_takes_more_memory_than_its_bytes_fails_the_run(seen, sim, of, start):
    sim.proxy.fail("TokenStatus", faults.zipped(15, of, start), method="GET")
    result = seen.invoke()
    expect_small(result)
    assert not result.success
    assert "TokenStatus could not be read" in result.exception


@pytest.mark.exhaustive
def test_answers_without_end_to_requests_side_by_side_do_not_add_up(seen, sim):
    """Sixteen tokens of an inspection, and sixteen changes of a check."""
    sim.graph.tenant = many(16, datetime.now(UTC), devices=2)
    assert seen.invoke().success
    sim.graph.fail("", faults.endless())
    expect_small(seen.invoke("inspect_devices"))
    for service in (sim.proxy, sim.ingestion):
        service.fail(lambda request: request.method != "GET", faults.endless())
    expect_small(seen.invoke())
