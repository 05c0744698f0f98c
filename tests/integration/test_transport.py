"""What leaves the app beside its requests: log records of the libraries, and requests that somebody else asks for."""

import logging

import hpack
import pytest
from support import counting

from shared import clients
from simulator import faults
from simulator.server import Recorded
from tests.scenes import HOUR


class Records(logging.Handler):
    """Keeps what the app's own thread logs; the simulator's is on another."""

    def __init__(self):
        super().__init__()
        self.kept = []

    def emit(self, record):
        if record.threadName != "simulator":
            self.kept.append(record)


@pytest.fixture
def records(monitor):  # noqa: ARG001 # the fixture before it sets a level, too
    """Everything is at DEBUG: the root, and each logger that there is."""
    handler, loggers = Records(), [logging.getLogger(name) for name in (None, *logging.root.manager.loggerDict)]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    logging.root.addHandler(handler)
    yield handler.kept
    logging.root.removeHandler(handler)
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


def texts(records):
    """The records' messages, and the headers that their encoded blocks decode to."""
    decoder = hpack.Decoder()
    for record in list(records):
        yield record.getMessage()
        if record.msg.startswith("Encoded header block"):
            yield from (str(value) for _, value in decoder.decode(record.args[0]))


async def everything(monitor, sim, records):
    """A check and an inspection; the tokens that they were given."""
    records.clear()
    sim.identity.caches = True
    assert (await monitor.check()).outcome == "succeeded"
    assert (await monitor.inspect(HOUR))["failed"] == 0
    issued = [token for token, _ in sim.identity.cached.values()]
    assert len(issued) == 3
    return issued


async def test_no_log_record_holds_a_token_at_debug_level(monitor, sim, records):
    issued = await everything(monitor, sim, records)
    told = list(texts(records))
    assert any(text.startswith("check_tokens ") for text in told)
    assert [text for text in told if any(token in text for token in issued)] == []
    below = {record.name for record in records if record.levelno < logging.WARNING}
    assert {name.partition(".")[0] for name in below} == {"shared"}


async def test_header_blocks_would_hold_the_token_without_quiet_loggers(monitor, sim, records, monkeypatch):
    """That the test before can fail: Graph is asked over HTTP/2, whose library logs what it encodes."""
    monkeypatch.setattr(clients, "quiet", lambda: None)
    issued = await everything(monitor, sim, records)
    assert any(token in text for text in texts(records) for token in issued)


# Redirects


def method(name, part):
    def where(request: Recorded):
        return request.method == name and part in request.path

    return where


REQUESTS = {
    "a table that is read": ("proxy", method("GET", "TokenStatus")),
    "a row that is written": ("proxy", method("PUT", "CheckRun")),
    "a transaction": ("proxy", method("POST", "$batch")),
    "rows that are sent": ("ingestion", method("POST", "")),
    "a token": ("identity", method("GET", "")),
}


@pytest.mark.parametrize(("server", "where"), REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("code", [307, 302, 308])
@pytest.mark.sampled(5)
async def test_no_client_follows_a_redirect(monitor, sim, server, where, code):
    with counting() as (port, met):
        getattr(sim, server).fail(where, faults.redirect(f"http://127.0.0.1:{port}/", code))
        run = await monitor.check()
        assert met == []
    assert run.outcome == "failed"
    assert any(where(request) for request in getattr(sim, server).requests)
