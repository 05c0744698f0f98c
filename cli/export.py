"""What other programs read: JSON of a stable shape, and CSV that a spreadsheet takes for text.

Instants are ISO 8601 in UTC, what is not known is null (JSON) or empty (CSV). Names are only ever added.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from cli.judgement import Judged, action
from shared.guidance.guidance import Guidance
from shared.model.tokens import Health
from shared.storage.rows import ChangeRow, RunRow, StatusRow, StoredFinding, plain_changes

type Value = str | int | float | bool | None

_FORMULA: Final = re.compile(r"((?:^|[;,|\t\r\n])[\s\"\ufeff]*)(?=[=+\-@\t\r\n＝＋－＠])")  # noqa: RUF001 # some languages use the wide signs
"""The place before a sign that a spreadsheet takes for the beginning of a formula.

Spreadsheets strip blanks and quotation marks before it, and split cells at the list separator of their own language.
"""


def iso(instant: datetime | None) -> str | None:
    """An instant as other programs read it: `2026-11-23T06:07:00Z`."""
    if instant is None:
        return None
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def json_text(document: object) -> str:
    """JSON for people and programs."""
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def csv_text(columns: Sequence[str], lines: Iterable[Sequence[Value]]) -> str:
    """Return CSV with a header. Text that looks like a formula gets an apostrophe in front; numbers stay."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(columns)
    for line in lines:
        writer.writerow(_cell(value) for value in line)
    return out.getvalue()


def _cell(value: Value) -> Value:
    if isinstance(value, bool):
        return str(value).lower()
    return _FORMULA.sub(r"\1'", value) if isinstance(value, str) else value


def status_document(judged: Judged, guidance: Guidance) -> dict[str, Any]:
    """`status --format json`."""
    return {
        "checked_on": iso(judged.checked_on),
        "freshness": judged.freshness.value,
        "exit_code": judged.code,
        "messages": list(judged.messages),
        "unread": dict(judged.unread),
        "counts": {str(health): number for health, number in judged.counts.items()},
        "run": run_object(judged.runs[0]) if judged.runs else None,
        "tokens": [_token(row, guidance) for row in judged.rows],
    }


def _token(row: StatusRow, guidance: Guidance) -> dict[str, Any]:
    return {
        "connector": row.connector,
        "id": row.id,
        "name": row.name,
        "type": row.type,
        "apple_id": row.apple_id,
        "health": str(row.health),
        "health_since": iso(row.health_since),
        "summary": row.summary,
        "expires_on": iso(row.expires_on),
        "days_left": row.days_left,
        "last_successful_sync": iso(row.last_successful_sync),
        "last_sync_error_code": row.last_sync_error_code,
        "synced_devices": row.synced_devices,
        "first_seen": iso(row.first_seen),
        "observed_on": iso(row.observed_on),
        "checked_on": iso(row.checked_on),
        "changed_on": iso(row.changed_on),
        "run_id": row.run_id,
        "problems": list(row.problems),
        "findings": [_finding(row, finding, guidance) for finding in row.findings],
    }


def _finding(row: StatusRow, finding: StoredFinding, guidance: Guidance) -> dict[str, Any]:
    return {
        "code": finding.code,
        "severity": str(finding.severity),
        "tier": finding.tier,
        "since": iso(finding.since),
        "until": iso(finding.until),
        "caused_by": finding.caused_by,
        "summary": finding.summary,
        "action": action(row, finding, guidance),
        "facts": dict(finding.facts),
    }


STATUS_COLUMNS: Final = (
    "connector",
    "token",
    "id",
    "health",
    "findings",
    "summary",
    "action",
    "expires_on",
    "days_left",
    "last_successful_sync",
    "last_sync_error_code",
    "synced_devices",
    "type",
    "apple_id",
    "health_since",
    "checked_on",
)


def status_lines(rows: Iterable[StatusRow], guidance: Guidance) -> Iterator[Sequence[Value]]:
    """`status --format csv`: a line for each token, its findings worst first and separated by blanks."""
    for row in rows:
        actions = filter(None, (action(row, finding, guidance) for finding in row.findings))
        yield (
            row.connector,
            row.label,
            row.id,
            str(row.health),
            " ".join(finding.code for finding in row.findings),
            "; ".join((row.summary, *row.problems)),
            next(actions, None),
            iso(row.expires_on),
            row.days_left,
            iso(row.last_successful_sync),
            row.last_sync_error_code,
            row.synced_devices,
            row.type,
            row.apple_id,
            iso(row.health_since),
            iso(row.checked_on),
        )


def change_object(row: ChangeRow) -> dict[str, Any]:
    """One entry of `history --format json`."""
    return {
        "changed_on": iso(row.changed_on),
        "connector": row.connector,
        "id": row.id,
        "name": row.name,
        "old_health": None if row.old_health is None else str(row.old_health),
        "health": str(row.health),
        "sentence": row.sentence,
        "changes": plain_changes(row.fields),
        "run_id": row.run_id,
        "problems": list(row.problems),
    }


HISTORY_COLUMNS: Final = ("changed_on", "connector", "token", "id", "old_health", "health", "sentence")


def history_lines(rows: Iterable[ChangeRow]) -> Iterator[Sequence[Value]]:
    """`history --format csv`: a line for each change."""
    for row in rows:
        old = None if row.old_health is None else str(row.old_health)
        yield iso(row.changed_on), row.connector, row.name, row.id, old, str(row.health), row.sentence


def run_object(row: RunRow) -> dict[str, Any]:
    """One entry of `runs --format json`."""
    return {
        "run_id": row.run_id,
        "started_on": iso(row.started_on),
        "duration_ms": row.duration_ms,
        "outcome": row.outcome,
        "connectors": {
            name: {"error": one.error} if one.error else {"tokens": one.tokens} for name, one in row.connectors.items()
        },
        "tokens": row.tokens,
        "counts": {str(health): row.counts.get(health) for health in sorted(Health, reverse=True)},
        "store_error": row.store_error,
        "publish_error": row.publish_error,
        "past_due": row.past_due,
        "version": row.version,
        "problems": list(row.problems),
    }


RUN_COLUMNS: Final = (
    "started_on",
    "outcome",
    "duration_ms",
    "tokens",
    "critical",
    "unknown",
    "warning",
    "info",
    "healthy",
    "errors",
    "past_due",
    "version",
    "run_id",
)


def run_lines(rows: Iterable[RunRow]) -> Iterator[Sequence[Value]]:
    """`runs --format csv`: a line for each run."""
    for row in rows:
        counts = (row.counts.get(health) for health in sorted(Health, reverse=True))
        yield (
            iso(row.started_on),
            row.outcome,
            row.duration_ms,
            row.tokens,
            *counts,
            " ".join(row.errors),
            row.past_due,
            row.version,
            row.run_id,
        )
