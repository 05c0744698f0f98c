"""What other programs read: JSON of a stable shape, and CSV that a spreadsheet takes for text.

Instants are ISO 8601 in UTC, what is not known is null (JSON) or empty (CSV). Names are only ever added.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from cli.judgement import Judged, action
from shared.guidance.guidance import Guidance
from shared.model.tokens import Health
from shared.storage.rows import ChangeRow, RunRow, StatusRow, plain_changes

type Object = dict[str, Any]

_FORMULA: Final = re.compile(r"((?:^|[;,|\t\r\n])[\s\"\ufeff]*)(?=[=+\-@\t\r\n＝＋－＠])")  # noqa: RUF001 # some languages use the wide signs
"""The place before a sign that a spreadsheet takes for the beginning of a formula.

Spreadsheets strip blanks and quotation marks before it, and split cells at the list separator of their own language.
"""

_STATUS: Final = (
    "connector id name type apple_id health health_since summary expires_on days_left last_successful_sync "
    "last_sync_error_code synced_devices first_seen observed_on checked_on changed_on run_id problems"
)
_FINDING: Final = "code severity tier since until caused_by summary"
_CHANGE: Final = "changed_on connector id name old_health health sentence run_id problems"
_RUN: Final = "run_id started_on duration_ms outcome tokens store_error publish_error past_due version problems"


def json_text(document: object) -> str:
    """Return JSON for people and programs."""
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def iso(instant: datetime | None) -> str | None:
    """Return an instant as other programs read it: `2026-11-23T06:07:00Z`."""
    return None if instant is None else instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _object(row: object, names: str) -> Object:
    """Return the attributes of a row with these names, as JSON has them."""
    return {name: plain(getattr(row, name)) for name in names.split()}


def plain(value: object) -> object:
    """Return a value as JSON has it."""
    match value:
        case datetime():
            return iso(value)
        case Health():
            return str(value)
        case Mapping():
            return {name: plain(part) for name, part in value.items()}
        case tuple():
            return list(value)
    return value


def csv_text(columns: str, rows: Iterable[Object]) -> str:
    """Return these columns as CSV with a header. Text that looks like a formula gets an apostrophe; numbers stay."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(columns.split())
    writer.writerows([_cell(row[column]) for column in columns.split()] for row in rows)
    return out.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return _FORMULA.sub(r"\1'", value) if isinstance(value, str) else value


def status_document(judged: Judged, guidance: Guidance) -> Object:
    """Return what `status --format json` prints."""
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


def _token(row: StatusRow, guidance: Guidance) -> Object:
    findings = [
        {**_object(one, _FINDING), "action": action(row, one, guidance), "facts": dict(one.facts)}
        for one in row.findings
    ]
    return {**_object(row, _STATUS), "findings": findings}


def status_csv(rows: Iterable[StatusRow], guidance: Guidance) -> str:
    """Return what `status --format csv` prints: a line for each token, its findings worst first, in one cell."""

    def line(row: StatusRow) -> Object:
        token = _token(row, guidance)
        return {
            **token,
            "token": row.label,
            "findings": " ".join(one["code"] for one in token["findings"]),
            "summary": "; ".join((row.summary, *row.problems)),
            "action": next((one["action"] for one in token["findings"] if one["action"]), None),
        }

    columns = (
        "connector token id health findings summary action expires_on days_left last_successful_sync "
        "last_sync_error_code synced_devices type apple_id health_since checked_on"
    )
    return csv_text(columns, map(line, rows))


def change_object(row: ChangeRow) -> Object:
    """Return one entry of `history --format json`."""
    return {**_object(row, _CHANGE), "changes": plain_changes(row.fields)}


def history_csv(rows: Iterable[ChangeRow]) -> str:
    """Return what `history --format csv` prints: a line for each change."""
    lines = ({**change_object(row), "token": row.name} for row in rows)
    return csv_text("changed_on connector token id old_health health sentence", lines)


def run_object(row: RunRow) -> Object:
    """Return one entry of `runs --format json`."""
    results = {name: _object(one, "error" if one.error else "tokens") for name, one in row.connectors.items()}
    counts = {str(health): row.counts.get(health) for health in sorted(Health, reverse=True)}
    return {**_object(row, _RUN), "connectors": results, "counts": counts}


def runs_csv(rows: Iterable[RunRow]) -> str:
    """Return what `runs --format csv` prints: a line for each run."""
    objects = ((row, run_object(row)) for row in rows)
    lines = ({**one, **one["counts"], "errors": " ".join(row.errors)} for row, one in objects)
    columns = "started_on outcome duration_ms tokens critical unknown warning info healthy errors past_due version"
    return csv_text(f"{columns} run_id", lines)
