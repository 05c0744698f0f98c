"""Models Azure Monitor's log alert rules, with the project's own queries and DuckDB.

The rules and their queries are those that Azure runs, read from `infra` and translated by duckdb-kql. The model
adds what surrounds them: the window, the split by dimensions, and the life of an alert from fired to resolved.
https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-types#log-alerts
"""

# ruff: noqa: S608 - the SQL is made of our own names and queries; values are bound

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import duckdb_kql
import msgspec
from duckdb import DuckDBPyConnection

from shared.publishing.rows import FINDINGS, RUNS
from shared.storage.columns import ColumnType

INFRA: Final = Path(__file__).parents[1] / "infra"

EXAMPLE_DEPLOYMENT: Final = "this-deployment"
"""The value in the queries that Bicep replaces with the deployment's own; the simulator's rows carry it."""

EXAMPLE_INSTANT: Final = "2000-01-01T00:00:00Z"
"""The instant in `check_silent.kql` that Bicep replaces with that of the deployment's creation."""

MAXIMUM_FIRED: Final = 300
"""The most alerts that a stateful rule fires in one evaluation.
https://learn.microsoft.com/azure/azure-monitor/fundamentals/service-limits#alerts (November 2026)"""

MAXIMUM_OPEN: Final = 5_000
"""The most alerts of one rule that are open at a time; same page."""

STATELESS_FREQUENCY: Final = timedelta(days=1)
"""The time between two evaluations of a stateless rule: the longest that Azure offers."""

WINDOW: Final = timedelta(days=2)
"""How far back a rule sees: the longest window that Azure offers."""

_TABLES: Final = (FINDINGS, RUNS)
_TYPES: Final[Mapping[ColumnType, str]] = {
    "string": "VARCHAR",
    "datetime": "TIMESTAMP",  # duckdb-kql takes an instant for UTC without a zone
    "int": "INTEGER",
    "long": "BIGINT",
    "boolean": "BOOLEAN",
}
_SCHEMA: Final = {table.name: [column.name for column in table.columns] for table in _TABLES}
_COLUMNS: Final = {table.name: {c.name: _TYPES[c.type] for c in table.columns} for table in _TABLES}

# What the query sees of a table: the rows in Azure's window, up to the evaluation. Not materialized, because a query
# that reads a table twice would otherwise copy all of its columns.
_WINDOW: Final = ", ".join(
    f'"{name}" AS NOT MATERIALIZED (SELECT * FROM main."{name}" WHERE "TimeGenerated" > $since'
    f' AND "TimeGenerated" <= $until)'
    for name in _SCHEMA
)
_CONTENT: Final = f"WITH {_WINDOW} SELECT " + ", ".join(
    f'(SELECT [count(*), sum(epoch_us("TimeGenerated"))] FROM "{name}")' for name in _SCHEMA
)

type _Values = tuple[str, ...]
"""The values of a rule's dimensions, in their order; they identify an alert."""


class Rule(NamedTuple):
    """A log alert rule; it fires if the total of the column `Tokens` for a set of dimensions is over 0."""

    name: str
    severity: int
    """From 0 (critical) to 4 (verbose)."""
    kql: str
    dimensions: tuple[str, ...]
    subject: str
    """The template of the emails' subjects; Azure replaces each `${data...}` by the value that it names."""
    clean: int = 2
    """Evaluations in a row without the condition that resolve an alert: two at a frequency of 15 minutes or more.
    https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-overview#stateful-alerts"""
    stateless: bool = False
    """Whether the rule fires at each evaluation that meets its condition, and never resolves."""
    description: str = ""
    properties: tuple[tuple[str, str], ...] = ()
    """The description and the custom properties of a deployed rule. The model evaluates neither."""

    def deployed(self, on: datetime, deployment: str = EXAMPLE_DEPLOYMENT) -> "Rule":
        """Put the instant (to the second) and the name of a deployment into the rule, as Bicep does."""
        kql = self.kql.replace(EXAMPLE_INSTANT, f"{on.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")
        return self._replace(kql=kql.replace(EXAMPLE_DEPLOYMENT, deployment))


class Alert(NamedTuple):
    """A set of dimensions for which a rule's condition holds."""

    rule: str
    severity: int
    dimensions: dict[str, str]


class Event(NamedTuple):
    """A notification of an action group; for `dropped`, one that is not sent because a limit was reached."""

    kind: Literal["fired", "resolved", "dropped"]
    alert: Alert
    on: datetime
    fired_on: datetime
    """When the alert fired: `on`, unless it is resolved."""


class _Grouped(msgspec.Struct):
    dimensions: tuple[str, ...]
    subject: str


class _Definition(msgspec.Struct):
    """A rule in `infra/alert-rules.json`, as far as the model needs it."""

    name: str
    severity: int
    frequency: timedelta
    window: timedelta
    dimensions: tuple[str, ...]
    subject: str
    stateless: bool = False
    by_connector: _Grouped | None = msgspec.field(name="byConnector", default=None)


def _rule(definition: _Definition, *, by_connector: bool) -> Rule:
    # Not a method: a msgspec struct outlives the interpreter and keeps this module, and DuckDB would fail at exit.
    name = definition.name
    frequency = STATELESS_FREQUENCY if definition.stateless else FREQUENCY
    if (definition.frequency, definition.window) != (frequency, WINDOW):
        raise ValueError(f"{name}: the model evaluates such a rule every {frequency} over {WINDOW} alone")
    grouped = definition.by_connector if by_connector and definition.by_connector else definition
    kql = (INFRA / "queries" / f"{name}.kql").read_text(encoding="utf-8")
    return Rule(name, definition.severity, kql, grouped.dimensions, grouped.subject, stateless=definition.stateless)


_DEFINITIONS: Final = msgspec.json.decode((INFRA / "alert-rules.json").read_bytes(), type=list[_Definition])

FREQUENCY: Final = next(one.frequency for one in _DEFINITIONS if not one.stateless)
"""The time between two evaluations of a stateful rule."""

RULES: Final = tuple(_rule(one, by_connector=False) for one in _DEFINITIONS if not one.stateless)
"""The stateful rules of the deployment, one alert for each token and condition."""

RULES_BY_CONNECTOR: Final = tuple(_rule(one, by_connector=True) for one in _DEFINITIONS if not one.stateless)
"""The stateful rules for tenants with many tokens: one alert for each connector and condition."""

(SUMMARY,) = (_rule(one, by_connector=False) for one in _DEFINITIONS if one.stateless)
"""The stateless rule: a sign of life, for each grouping of alerts."""


def create_tables(con: DuckDBPyConnection) -> None:
    """Create the two custom tables, empty. Instants are TIMESTAMP without a zone, in UTC."""
    for name, columns in _COLUMNS.items():
        con.execute(f'CREATE TABLE "{name}" ({", ".join(f'"{c}" {kind}' for c, kind in columns.items())})')


def insert(con: DuckDBPyConnection, table: str, rows: Iterable[Mapping[str, object]]) -> None:
    """Append `rows`, as `shared.storage.rows` makes them (instants are RFC 3339 text), to one of the two tables.

    As in the service, a column that a row does not name is null, and a name that is not a column is dropped without an
    error. https://learn.microsoft.com/azure/azure-monitor/logs/logs-ingestion-api-overview
    """
    # One JSON text instead of a parameter for each value: forty times as fast at 2,000 rows.
    text, shape = (msgspec.json.encode(value).decode() for value in (list(rows), [_COLUMNS[table]]))
    con.execute(f'INSERT INTO "{table}" BY NAME SELECT unnest(from_json(?, ?), max_depth := 2)', [text, shape])


def firing(con: DuckDBPyConnection, now: datetime, rules: Sequence[Rule] = RULES) -> list[Alert]:
    """List for what each rule's condition holds at `now`, by rule and dimensions, without state and limits."""
    return [alert_of(rule, values) for rule in rules for values in _met(con, rule, now)]


def alert_of(rule: Rule, values: Sequence[str]) -> Alert:
    """Name the alert of `rule` for one set of dimension values, in the order of its dimensions."""
    return Alert(rule.name, rule.severity, dict(zip(rule.dimensions, values, strict=True)))


class _Fired(NamedTuple):
    """An alert that is open."""

    on: datetime
    clean: int = 0
    """The number of evaluations in a row at which its condition did not hold."""


class AlertEngine:
    """Keeps the rules' state from evaluation to evaluation.

    In between, rows may be added (a late row is inserted late), and deleted after they have left the window. A row
    never changes. Time must not go backward.
    """

    def __init__(self, con: DuckDBPyConnection, rules: Sequence[Rule] = RULES) -> None:
        self._con = con
        self._rules = rules
        self._open: dict[str, dict[_Values, _Fired]] = {rule.name: {} for rule in rules}
        self._met: dict[str, list[_Values]] = {}
        self._due: dict[str, datetime] = {}
        self._content: object = None

    @property
    def open(self) -> list[Alert]:
        """Alerts that have fired and not resolved."""
        return [alert_of(rule, values) for rule in self._rules for values in self._open[rule.name]]

    def evaluate(self, now: datetime) -> list[Event]:
        """Evaluate each rule that is due once, as Azure does; return the events, in the order of the rules.

        A stateful rule is due every time, as if called every `FREQUENCY`.
        """
        content = _content(self._con, now)
        changed, self._content = content != self._content, content
        events = []
        for rule in self._rules:
            if rule.stateless:
                events += self._stateless(rule, now)
                continue
            if changed or rule.name not in self._met or _reads_clock(rule):
                self._met[rule.name] = _met(self._con, rule, now)
            events += [
                Event(kind, alert_of(rule, values), now, fired_on)
                for kind, values, fired_on in _advance(rule, self._open[rule.name], self._met[rule.name], now)
            ]
        return events

    def _stateless(self, rule: Rule, now: datetime) -> list[Event]:
        if now < self._due.get(rule.name, now):
            return []
        self._due[rule.name] = now + STATELESS_FREQUENCY
        return [Event("fired", alert_of(rule, values), now, now) for values in _met(self._con, rule, now)]


def _advance(
    rule: Rule, fired: dict[_Values, _Fired], met: Sequence[_Values], now: datetime
) -> list[tuple[Literal["fired", "resolved", "dropped"], _Values, datetime]]:
    """Evaluate a rule once, and update its open alerts, `fired`; return each event's kind, alert, and firing time."""
    holds = set(met)
    for values, one in fired.items():
        fired[values] = one._replace(clean=0 if values in holds else one.clean + 1)
    resolved = {values: one.on for values, one in fired.items() if one.clean >= rule.clean}
    for values in resolved:
        del fired[values]
    new = [values for values in met if values not in fired]
    # It is not documented which alerts the service drops, or whether it tries again. Here, the first in order fire, and
    # the others are new again at the next evaluation.
    room = max(0, min(MAXIMUM_FIRED, MAXIMUM_OPEN - len(fired)))
    fired.update(dict.fromkeys(new[:room], _Fired(now)))
    return [
        *(("resolved", values, on) for values, on in resolved.items()),
        *(("fired", values, now) for values in new[:room]),
        *(("dropped", values, now) for values in new[room:]),
    ]


def _met(con: DuckDBPyConnection, rule: Rule, now: datetime) -> list[_Values]:
    """List the dimension values for which the rule's condition holds, in order."""
    clock = dict.fromkeys(_translated(rule.kql).parameters, _utc(now))
    return [row[:-1] for row in con.execute(_sql(rule), _moments(now) | clock).fetchall()]


def _content(con: DuckDBPyConnection, now: datetime) -> object:
    """Measure what a rule can see: rows and the sum of their instants.

    Rows that leave the window are older than those that enter it, so the sum grows even if as many enter as leave.
    """
    return con.execute(_CONTENT, _moments(now)).fetchone()


def _moments(now: datetime) -> dict[str, datetime]:
    return {"since": _utc(now - WINDOW), "until": _utc(now)}


def _utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(tzinfo=None)


@cache
def _sql(rule: Rule) -> str:
    names = "".join(f'"{name}", ' for name in rule.dimensions)
    return (
        f'WITH {_WINDOW} SELECT {names} sum("Tokens") AS "Total" FROM ({_translated(rule.kql)})'
        f' {"GROUP BY ALL" if names else ""} HAVING "Total" > 0 ORDER BY ALL'
    )


def _reads_clock(rule: Rule) -> bool:
    """Return whether the query's result can change while the rows that it sees do not."""
    return bool(_translated(rule.kql).parameters)


@cache
def _translated(kql: str) -> Any:  # noqa: ANN401 - the library is not typed
    # Translating takes many times as long as running. The library binds the pinned clock as a parameter, so that one
    # translation serves every instant.
    return duckdb_kql.to_sql(kql, schema=_SCHEMA, query_now=datetime(2000, 1, 1, tzinfo=UTC))
