"""Simulates the Logs Ingestion API of one data collection rule, more strictly than Azure; its rows go into DuckDB.

https://learn.microsoft.com/azure/azure-monitor/logs/logs-ingestion-api-overview. Azure drops an unknown column without
an error and leaves a value of the wrong type empty; here, both are errors, so that a test fails.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import duckdb
from aiohttp import web

from shared.publishing.rows import FINDINGS, RUNS
from simulator import bearer
from simulator.rules import insert
from simulator.server import Server

RULE_ID: Final = "dcr-5a1e0f0d2c7b4e8f9a6d3c1b0e2f4a68"

LARGEST_CALL: Final = 1024 * 1024
"""The most bytes of a call, decompressed. https://learn.microsoft.com/azure/azure-monitor/service-limits#logs-ingestion-api"""

NULLABLE: Final = frozenset(
    {
        "ExpiresOn",
        "DaysLeft",
        "LastSuccessfulSync",
        "LastSyncErrorCode",
        "SyncedDevices",
        "ObservedOn",
        "TokenType",
        "AppleId",
        "Error",
        "Rows",
    }
)
"""Columns that a row may leave out."""

_RANGES: Final = {"int": 1 << 31, "long": 1 << 63}


def _streams() -> dict[str, dict[str, str]]:
    declared: dict[str, dict[str, str]] = {}
    for name, columns in ((FINDINGS.name, FINDINGS.columns), (RUNS.name, RUNS.columns)):
        declared[f"Custom-{name}"] = {column.name: column.type for column in columns}
    return declared


@dataclass
class Ingestion(Server):
    """Accepts rows for the streams `Custom-<table>`; a call inserts all of its rows or none."""

    con: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)
    """The database with the tables, which other threads may query at any time."""
    rule_id: str = RULE_ID
    audiences: tuple[str, ...] = (bearer.MONITOR,)
    streams: dict[str, dict[str, str]] = field(default_factory=_streams)
    """The column types, by stream and column: `string`, `datetime`, `int` or `long`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        # Another cursor on the same database: a connection must not be used by two threads at once.
        self._cursor = self.con.cursor()
        self._inserting = threading.Lock()

    def reset(self) -> None:
        """Remove faults, recordings, and rows."""
        super().reset()
        with self._inserting:
            for stream in self.streams:
                self._cursor.execute(f'DELETE FROM "{_table(stream)}"')  # noqa: S608 (our own names)

    async def answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        """Answer with 204, or with an error that names the row and the column."""
        refused = bearer.refusal(request, self.audiences)
        if refused is not None:
            return _error(401, "InvalidToken", refused)
        try:
            stream = self._stream(request)
            self._insert(stream, checked(_decompressed(request, body), self.streams[stream]))
        except RefusedError as refusal:
            return _error(refusal.status, refusal.code, str(refusal))
        return web.Response(status=204)

    def _stream(self, request: web.Request) -> str:
        match request.path.strip("/").split("/"):
            case ["dataCollectionRules", rule_id, "streams", stream] if request.method == "POST":
                pass
            case _:
                raise RefusedError(f"There is no {request.method} {request.path}.", 404, "NotFound")
        if "api-version" not in request.query:
            raise RefusedError("The query must name an api-version.", 400, "MissingApiVersion")
        if rule_id != self.rule_id:
            raise RefusedError(f"Data collection rule with immutable Id '{rule_id}' not found.", 404, "NotFound")
        if stream not in self.streams:
            raise RefusedError(f"Stream {stream} was not configured for the rule.", 400, "InvalidStream")
        return stream

    def _insert(self, stream: str, rows: list[dict[str, Any]]) -> None:
        with self._inserting:
            insert(self._cursor, _table(stream), rows)


class RefusedError(Exception):
    """The service refuses a call, with a reason, an HTTP status, and a code."""

    def __init__(self, message: str, status: int = 400, code: str = "InvalidRows") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def _decompressed(request: web.Request, body: bytes) -> bytes:
    # The web server has decompressed it already.
    if request.headers.get("Content-Encoding") != "gzip":
        raise RefusedError("The body must be compressed with gzip.", 415, "UnsupportedEncoding")
    if len(body) > LARGEST_CALL:
        message = f"A call holds 1 MB at most; this one has {len(body)} bytes."
        raise RefusedError(message, 413, "ContentLengthLimitExceeded")
    return body


def checked(body: bytes, columns: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the rows of a call, with dates as DuckDB reads them.

    Raises:
        RefusedError: if `body` is not a JSON array of objects with exactly the columns of the stream.

    """
    try:
        rows = json.loads(body)
    except ValueError as error:
        raise RefusedError(f"The body is not JSON: {error}.") from error
    if not isinstance(rows, list):
        raise RefusedError("The body is not a JSON array.")
    return [_row(row, columns, f"Row {number}") for number, row in enumerate(rows)]


def _row(row: object, columns: Mapping[str, str], where: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise RefusedError(f"{where} is not an object.")
    if unknown := sorted(row.keys() - columns.keys()):
        raise RefusedError(f"{where}: the stream has no column {', '.join(unknown)}.")
    values = {name: value for name, value in row.items() if value is not None}
    if missing := sorted(columns.keys() - values.keys() - NULLABLE):
        raise RefusedError(f"{where}: {', '.join(missing)} is missing.")
    return {name: _value(value, columns[name], f"{where}, {name}") for name, value in values.items()}


def _value(value: object, kind: str, where: str) -> object:
    match kind:
        case "string" if isinstance(value, str):
            return value
        case "int" | "long" if isinstance(value, int) and not isinstance(value, bool):
            if not -_RANGES[kind] <= value < _RANGES[kind]:
                raise RefusedError(f"{where}: {value} is out of the range of {kind}.")
            return value
        case "datetime" if isinstance(value, str):
            return _instant(value, where)
    raise RefusedError(f"{where}: {value!r} is no {kind}.")


def _instant(text: str, where: str) -> str:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise RefusedError(f"{where}: {text!r} is no datetime.") from error
    if instant.tzinfo is None:
        raise RefusedError(f"{where}: {text!r} has no offset.")
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat()


def _table(stream: str) -> str:
    return stream.removeprefix("Custom-")


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)
