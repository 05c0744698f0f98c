"""Sends the rows that Azure Monitor's alert rules read through Logs Ingestion."""

import json
from collections.abc import Collection, Iterable, Iterator, MutableMapping, Sequence
from typing import Any, Final

from azure.core.exceptions import AzureError
from azure.monitor.ingestion import LogsUploadError
from azure.monitor.ingestion.aio import LogsIngestionClient

from shared.guidance.guidance import Guidance
from shared.http.azure_errors import described, status_of
from shared.model.runs import Failure, Outcome, Run
from shared.model.tokens import Connector, Key, Status
from shared.publishing.rows import CLOSING, DEVICES, FINDINGS, RUNS, RunSource, finding_rows
from shared.settings import Settings
from shared.storage.columns import Row, Table

MOST_BYTES: Final = 1_000_000
"""One call takes 1 MB. https://learn.microsoft.com/azure/azure-monitor/fundamentals/service-limits"""

_RIGHT: Final = "Monitoring Metrics Publisher on the data collection rule"


class PublishError(Exception):
    """Reports rows that were not sent, with their number, the cause, and the remedy."""

    def __init__(self, table: str, lost: int, rows: int, cause: Exception) -> None:
        why = described(cause, right=_RIGHT) if isinstance(cause, AzureError) else type(cause).__name__
        super().__init__(f"{lost} of {rows} rows of {table} were not taken: {why}.")
        self.table = table
        self.status = status_of(cause)
        """The HTTP status of the first refusal, if there was an answer."""


class Monitor:
    """Sends rows to the two custom tables. A method raises PublishError if some were not accepted."""

    def __init__(self, logs: LogsIngestionClient, guidance: Guidance, settings: Settings) -> None:
        self._logs = logs
        self._guidance = guidance
        self._rule_id = settings.logs_ingestion_rule_id
        self._of = settings.tenant_id, settings.deployment

    def finding_rows(self, statuses: Iterable[Status], unsaved: Collection[Key] = ()) -> list[Row]:
        """Return the rows of all tokens; new steps of the tokens in `unsaved` are held back."""
        return [
            row
            for status in statuses
            for row in finding_rows(status, *self._of, self._guidance, stored=status.key not in unsaved)
        ]

    async def send_findings(self, rows: Sequence[Row]) -> None:
        """Send the rows of `finding_rows`."""
        await self._send(FINDINGS, rows)

    async def send_connectors(self, run: Run) -> None:
        """Send a row for each connector, and one that reports whether the inspections of devices are fresh."""
        sources = [*(self._connector_source(run, connector) for connector in Connector), self._devices_source(run)]
        await self._send(RUNS, [RUNS.row(source) for source in sources])

    async def send_closing(self, run: Run) -> None:
        """Send the run's closing row, without which the alert rules ignore the run."""
        error = " ".join(filter(None, (run.store_error, run.publish_error))) or None
        counts = {health: run.total(health) for by_health in run.counts.values() for health in by_health}
        source = RunSource(run, CLOSING, run.outcome.value, error, counts, *self._of)
        await self._send(RUNS, [RUNS.row(source)])

    def _connector_source(self, run: Run, connector: Connector) -> RunSource:
        result = run.connectors.get(connector)
        failed = isinstance(result, Failure)
        outcome = Outcome.FAILED if failed else "skipped" if result is None else Outcome.SUCCEEDED
        counts = run.counts.get(connector, {})
        return RunSource(run, connector.value, outcome, str(result) if failed else None, counts, *self._of)

    def _devices_source(self, run: Run) -> RunSource:
        """Return the row about devices, which counts no tokens, and does not affect the run's outcome."""
        if Connector.ADE not in run.connectors:
            return RunSource(run, DEVICES, "skipped", None, {}, *self._of)
        known = Outcome.FAILED if run.devices_error else Outcome.SUCCEEDED
        outcome = known if run.devices_known else "unknown"
        return RunSource(run, DEVICES, outcome, run.devices_error, {}, *self._of)

    async def _send[Source](self, table: Table[Source], rows: Sequence[Row]) -> None:
        lost: list[LogsUploadError] = []

        async def on_error(error: LogsUploadError) -> None:
            lost.append(error)

        try:
            for call in _calls(rows):
                await self._logs.upload(self._rule_id, f"Custom-{table.name}", call, on_error=on_error)
        finally:
            # A cancelled upload has already reported what was refused before it.
            if lost:
                number = sum(len(error.failed_logs) for error in lost)
                raise PublishError(table.name, number, len(rows), lost[0].error)


def _calls(rows: Iterable[Row]) -> Iterator[list[MutableMapping[str, Any]]]:
    """Split rows into calls within the service's limit; the SDK's own code ignores the commas."""
    call: list[MutableMapping[str, Any]] = []
    size = 0
    for row in rows:
        length = len(json.dumps(row)) + 2
        if call and size + length > MOST_BYTES:
            yield call
            call, size = [], 0
        call.append(row)
        size += length
    if call:
        yield call
