"""Analyzes queries over the two custom tables with Microsoft's own language service."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.publishing.rows import FINDINGS, RUNS

SERVICE_COLUMNS = (
    "TenantId: string, Type: string, _ResourceId: string, _SubscriptionId: string, _ItemId: string,"
    " _TimeReceived: datetime, _BilledSize: real, _IsBillable: string"
)
"""https://learn.microsoft.com/azure/azure-monitor/logs/log-standard-columns"""


def analysed(queries: Mapping[str, str]) -> dict[str, Any]:
    """Return each query's `diagnostics`, `columns`, and `words`; one process serves all, because it loads slowly."""
    tables = {
        table.name: f"({', '.join(f'{column.name}: {column.type}' for column in table.columns)}, {SERVICE_COLUMNS})"
        for table in (FINDINGS, RUNS)
    }
    node = shutil.which("node")
    assert node, "node is missing: https://nodejs.org"
    done = subprocess.run(
        [node, str(Path(__file__).with_name("kusto.mjs"))],
        input=json.dumps({"tables": tables, "queries": dict(queries)}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)
