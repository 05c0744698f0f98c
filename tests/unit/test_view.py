"""How tokens, runs and alerts look in a terminal."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from rich.console import Console

from cli import view
from cli.judgement import worst_first
from shared.guidance.guidance import Guidance
from shared.storage.reading import reader
from shared.storage.rows import RunRow, StatusRow

NOW = datetime(2026, 11, 23, 5, 7, tzinfo=UTC)


def row(name="Contoso HQ", health="healthy", findings=(), **columns):
    return {
        "PartitionKey": "ade",
        "RowKey": "6a2b12a2-83ee-58a1-bd73-69d0e8f26e27",
        "TokenName": name,
        "TokenType": "dep",
        "Health": health,
        "Findings": json.dumps(list(findings)),
        "CheckedOn": NOW,
        **columns,
    }


def finding(code="expired", severity="critical", **fields):
    return {
        "code": code,
        "severity": severity,
        "since": NOW.isoformat(),
        "summary": f"It {code}.",
        "facts": {},
        **fields,
    }


def shown(rows, width=80):
    console = Console(file=StringIO(), width=width, highlight=False)
    view.print_statuses(console, worst_first(map(reader(StatusRow), rows)), Guidance(), NOW)
    return console.file.getvalue()


def test_a_finding_that_another_explains_asks_for_nothing_of_its_own():
    stale = finding("sync_stale", "warning", caused_by="expired")
    text = shown([row("Contoso Retail", "critical", [finding(tier="0"), stale])])
    assert text.count("→") == 1


@pytest.mark.parametrize(
    ("expires", "days", "told"),
    [(NOW + timedelta(days=1), 1, "2026-11-24 (1 day)"), (NOW, 0, "2026-11-23 (expired)"), (None, None, "not known")],
)
def test_an_expiry_is_a_date_and_the_days_left(expires, days, told):
    columns = {} if expires is None else {"ExpiresOn": expires, "DaysLeft": days}
    assert told in shown([row(**columns)])


def test_the_run_says_which_connector_was_not_read_and_what_failed():
    console = Console(file=StringIO(), width=100, highlight=False)
    run = {
        "Outcome": "failed",
        "StartedOn": NOW,
        "DurationMs": 250,
        "RunId": "r",
        "Connectors": '{"ade":{"tokens":3},"vpp":{"error":"GET /x: [red]no"}}',
        **dict.fromkeys(("Tokens", "Healthy", "Info", "Warning", "Unknown", "Critical"), 1),
        "StoreError": "TokenStatus could not be written.",
    }
    view.print_run(console, reader(RunRow)(run))
    text = console.file.getvalue()
    for told in ("failed", "ADE: 3 read", "VPP: not read: GET /x: [red]no", "TokenStatus could not be written."):
        assert told in text
