"""The sizes that the documents compute costs from are those of the rows that a check writes."""

import json
import re

from docs.costs import INSTANCE_GB, PRICES, SIZES, Sizes, costs, examples, total, total_with_free_logs
from shared.publishing.rows import FINDINGS, RUNS
from shared.storage.rows import TOKEN_HISTORY, TOKEN_STATUS
from simulator.host import ROOT
from simulator.tenant import many
from tests.scenes import NOW


def size(rows: list[dict]) -> float:
    """Mean bytes of a row as JSON."""
    return sum(len(json.dumps(row, default=str)) for row in rows) / len(rows)


async def test_the_documents_know_how_large_a_row_is(monitor, sim):
    sim.graph.tenant = many(250, NOW)
    await monitor.check(proxied=False)
    runs = sim.log_rows(RUNS.name)
    measured = Sizes(
        finding_row=round(size(sim.log_rows(FINDINGS.name))),
        run_rows=round(size(runs) * len(runs)),
        status_row=round(size(sim.table_rows(TOKEN_STATUS.name))),
        history_row=round(size(sim.table_rows(TOKEN_HISTORY.name))),
    )
    for name, value in SIZES._asdict().items():
        assert 0.9 < getattr(measured, name) / value < 1.1, (name, measured)


def test_the_documents_state_the_size_of_an_instance():
    flex = (ROOT / "infra" / "modules" / "flex.bicep").read_text("utf-8")
    assert re.findall(r"instanceMemoryMB: (\d+)", flex) == [f"{INSTANCE_GB * 1024}"], "set INSTANCE_GB of docs/costs.py"


def test_another_plan_changes_its_own_line_and_free_logs_only_those_of_logs():
    for flex, app_service in zip(
        examples(app_service=False).values(), examples(app_service=True).values(), strict=True
    ):
        different = [other for one, other in zip(flex, app_service, strict=True) if one != other]
        assert [line.usd for line in different] == [PRICES.b1_month]
        logs = [line.usd for line in flex if line.what in ("rows for the rules", "logs of host and worker")]
        assert round(total(flex) - total_with_free_logs(flex), 6) == round(sum(logs), 6) > 0
    many_tokens = costs(100_000, open_alerts=0, check_seconds=5, inspect_seconds=60)
    free = PRICES.free_ingestion_gb * PRICES.ingestion_gb
    assert round(total(many_tokens) - total_with_free_logs(many_tokens), 6) == round(free, 6)
