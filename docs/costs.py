# ruff: noqa: INP001 - imported by docs.generate; docs/ is no package of the app
"""Calculates what a deployment costs a month from the prices and sizes below; `docs.generate` writes the tables."""

from typing import Final, NamedTuple

from docs.markdown import table

HOURS: Final = 730
"""The number of checks in a month."""


class Sizes(NamedTuple):
    """Sizes in bytes of JSON, measured in the simulator with 250 tokens; a test measures them again."""

    finding_row: int = 720
    run_rows: int = 1_720
    """All rows of a run that are not about a token."""
    status_row: int = 1_610
    history_row: int = 380


class Prices(NamedTuple):
    """List prices in USD from the price pages, East US, November 2026; they change, and differ between regions.

    https://azure.microsoft.com/pricing/details/monitor/, .../functions/, .../storage/tables/, .../app-service/linux/,
    .../private-link/
    """

    ingestion_gb: float = 2.30
    retention_gb_month: float = 0.10
    """The price after the first 31 days, which are free."""
    rule_month: float = 0.50
    """The price of a log alert rule every 15 minutes, including its first time series."""
    series_month: float = 0.05
    gb_second: float = 0.000026
    free_gb_seconds: int = 100_000
    million_executions: float = 0.40
    free_executions: int = 250_000
    free_ingestion_gb: int = 5
    """The free ingestion of a billing account, which other workspaces share."""
    free_mails: int = 1_000
    table_gb_month: float = 0.045
    table_10k_operations: float = 0.00036
    b1_month: float = 13.14
    endpoint_hour: float = 0.01


SIZES: Final = Sizes()
PRICES: Final = Prices()

INSTANCE_GB: Final = 2
"""The `instanceMemoryMB` of infra/modules/flex.bicep, in GB."""

LOG_RETENTION_DAYS: Final = 90
"""The default of `logRetentionDays`."""

_GB: Final = 1e9
_HOST_LOGS: Final = 0.1
"""The logs of host and worker in GB a month: a cautious estimate, because no deployment was measured."""


class Cost(NamedTuple):
    """A line of the bill."""

    what: str
    how: str
    usd: float


def costs(
    tokens: int, *, open_alerts: int, check_seconds: int, inspect_seconds: int, app_service: bool = False
) -> list[Cost]:
    """Return the monthly bill of a tenant by its number of tokens; `inspect_seconds` is the sum of a day."""
    rows = HOURS * (tokens * SIZES.finding_row + SIZES.run_rows) / _GB
    kept = rows * (LOG_RETENTION_DAYS - 31) / (HOURS / 24)
    gb_seconds = INSTANCE_GB * (HOURS * check_seconds + HOURS / 24 * inspect_seconds)
    operations = HOURS * (5 + tokens / 1_000 + tokens / 100)
    stored = (tokens * SIZES.status_row + 13 * HOURS * SIZES.run_rows + tokens * 20 * SIZES.history_row) / _GB
    return [
        Cost(
            "alert rules",
            f"4 rules every 15 minutes, 1 a day, {open_alerts} open alerts",
            5 * PRICES.rule_month + open_alerts * PRICES.series_month,
        ),
        Cost(INGESTED[0], f"{HOURS * (tokens + 5):,} rows, {rows:.2f} GB", rows * PRICES.ingestion_gb),
        Cost("their retention", f"{LOG_RETENTION_DAYS} days, the first 31 free", kept * PRICES.retention_gb_month),
        Cost(INGESTED[1], f"{_HOST_LOGS} GB (an estimate)", _HOST_LOGS * PRICES.ingestion_gb),
        Cost("App Service plan", "B1, one instance", PRICES.b1_month) if app_service else _flex(gb_seconds),
        Cost(
            "Table Storage",
            f"{operations:,.0f} operations, {stored:.2f} GB",
            operations / 10_000 * PRICES.table_10k_operations + stored * PRICES.table_gb_month,
        ),
    ]


INGESTED: Final = ("rows for the rules", "logs of host and worker")
"""The lines that the free ingestion of a billing account covers."""


def _flex(gb_seconds: float) -> Cost:
    executions = 2 * HOURS + HOURS // 24
    billed = max(0, gb_seconds - PRICES.free_gb_seconds) * PRICES.gb_second
    billed += max(0, executions - PRICES.free_executions) / 1e6 * PRICES.million_executions
    return Cost("Flex Consumption", f"{gb_seconds:,.0f} GB-s, {executions:,} executions", billed)


def examples(*, app_service: bool) -> dict[int, list[Cost]]:
    """Return two bills by number of tokens, one for the most that Intune allows; seconds are cautious estimates."""
    return {
        5: costs(5, open_alerts=2, check_seconds=5, inspect_seconds=60, app_service=app_service),
        2_000: costs(2_000, open_alerts=20, check_seconds=20, inspect_seconds=1_200, app_service=app_service),
    }


ENDPOINTS: Final = 3
"""The number of private endpoints in infra/modules/network.bicep."""

FURTHER: Final = (
    Cost("`network`", f"{ENDPOINTS} private endpoints, all hours", ENDPOINTS * HOURS * PRICES.endpoint_hour),
    Cost("`diagnosticSettings`", "0.3 GB of resource logs (an estimate)", 0.3 * PRICES.ingestion_gb),
)
"""The costs that parameters add. The virtual network, DNS zones, firewall, and private link scope already exist."""


class Grant(NamedTuple):
    """A free grant per month."""

    what: str
    free: str
    of: str
    page: str


GRANTS: Final = (
    Grant(
        "Flex Consumption",
        f"{PRICES.free_gb_seconds:,} GB-s and {PRICES.free_executions:,} executions",
        "subscription",
        "functions",
    ),
    Grant("log ingestion", f"{PRICES.free_ingestion_gb} GB", "billing account", "monitor"),
    Grant("log retention", "31 days; 90 days for the tables of Application Insights", "workspace", "monitor"),
    Grant("emails of an action group", f"{PRICES.free_mails:,}", "subscription", "monitor"),
)
"""The free grants on the price pages, November 2026."""


def total(bill: list[Cost]) -> float:
    """Return the total in USD a month."""
    return sum(cost.usd for cost in bill)


def total_with_free_logs(bill: list[Cost]) -> float:
    """Return the total in USD a month if nothing else uses the billing account's free ingestion."""
    logs = sum(cost.usd for cost in bill if cost.what in INGESTED)
    return total(bill) - min(logs, PRICES.free_ingestion_gb * PRICES.ingestion_gb)


# ---------------------------------------------------------------- tables


def bills(*, app_service: bool) -> str:
    """Return the table of monthly costs of each example tenant."""
    by_tokens = examples(app_service=app_service)
    bills = list(by_tokens.values())
    header = ("what", *(part for tokens in by_tokens for part in (f"{tokens:,} tokens", "USD")))
    rows = [
        (lines[0].what, *(part for line in lines for part in (line.how, _usd(line.usd))))
        for lines in zip(*bills, strict=True)
    ]
    totals = ("**together**", *(part for bill in bills for part in ("", f"**{_usd(total(bill))}**")))
    free = (part for bill in bills for part in ("", _usd(total_with_free_logs(bill))))
    return table(header, [*rows, totals, ("while the billing account's free log ingestion is unused", *free)])


def further_costs() -> str:
    """Return the table of monthly costs that parameters add."""
    return table(("parameter", "adds", "USD"), ((one.what, one.how, _usd(one.usd)) for one in FURTHER))


def grants() -> str:
    """Return the table of free grants per month."""
    address = "https://azure.microsoft.com/pricing/details"
    rows = ((one.what, one.free, one.of, f"[{one.page}]({address}/{one.page}/)") for one in GRANTS)
    return table(("what", "free in a month", "of each", "price page, November 2026"), rows)


def cost() -> str:
    """Return the bill in one sentence."""
    by_tokens = examples(app_service=False).items()
    sums = [f"about {round(total(bill)):,} USD a month for {tokens:,} tokens" for tokens, bill in by_tokens]
    return f"At list prices {' and '.join(sums)}: [how that is computed](docs/deployment.md#what-it-costs).\n"


def _usd(amount: float) -> str:
    return f"{amount:.2f}" if amount >= 0.005 or not amount else "below 0.01"
