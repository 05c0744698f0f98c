# ruff: noqa: INP001 - imported by docs.generate; docs/ is no package of the app
"""What a deployment costs a month, from prices and sizes that are here once; `docs.generate` writes the tables."""

from typing import Final, NamedTuple

from docs.markdown import table

HOURS: Final = 730
"""Checks in a month."""


class Sizes(NamedTuple):
    """Bytes of JSON, measured in the simulator over 250 tokens; a test measures them again."""

    finding_row: int = 720
    run_rows: int = 1_720
    """All rows of one run that are about no token."""
    status_row: int = 1_610
    history_row: int = 380


class Prices(NamedTuple):
    """USD at list price, East US, November 2026. The price pages' figures; they change, and differ between regions.

    https://azure.microsoft.com/pricing/details/monitor/, .../functions/, .../storage/tables/, .../app-service/linux/,
    .../private-link/
    """

    ingestion_gb: float = 2.30
    retention_gb_month: float = 0.10
    """After the first 31 days, which are free."""
    rule_month: float = 0.50
    """One log alert rule every 15 minutes, its first time series included."""
    series_month: float = 0.05
    gb_second: float = 0.000026
    free_gb_seconds: int = 100_000
    million_executions: float = 0.40
    free_executions: int = 250_000
    free_ingestion_gb: int = 5
    """Of a billing account, so other workspaces use it, too."""
    free_mails: int = 1_000
    table_gb_month: float = 0.045
    table_10k_operations: float = 0.00036
    b1_month: float = 13.14
    endpoint_hour: float = 0.01


SIZES: Final = Sizes()
PRICES: Final = Prices()

INSTANCE_GB: Final = 2
"""`instanceMemoryMB` of infra/modules/flex.bicep."""

LOG_RETENTION_DAYS: Final = 90
"""The default of `logRetentionDays`."""

_GB: Final = 1e9
_HOST_LOGS: Final = 0.1
"""GB a month that host and worker log: a cautious guess, since no deployment was measured."""


class Cost(NamedTuple):
    """One line of the bill."""

    what: str
    how: str
    usd: float


def costs(
    tokens: int, *, open_alerts: int, check_seconds: int, inspect_seconds: int, app_service: bool = False
) -> list[Cost]:
    """The bill of a tenant of so many tokens; `inspect_seconds` are those of a whole day."""
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
        Cost(INGESTED[1], f"{_HOST_LOGS} GB (a guess)", _HOST_LOGS * PRICES.ingestion_gb),
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
    """By tokens: two tenants, one as large as Intune allows. Seconds are cautious guesses, since Azure starts cold."""
    return {
        5: costs(5, open_alerts=2, check_seconds=5, inspect_seconds=60, app_service=app_service),
        2_000: costs(2_000, open_alerts=20, check_seconds=20, inspect_seconds=1_200, app_service=app_service),
    }


ENDPOINTS: Final = 3
"""Private endpoints of infra/modules/network.bicep."""

FURTHER: Final = (
    Cost("`network`", f"{ENDPOINTS} private endpoints, all hours", ENDPOINTS * HOURS * PRICES.endpoint_hour),
    Cost("`diagnosticSettings`", "0.3 GB of resource logs (a guess)", 0.3 * PRICES.ingestion_gb),
)
"""What parameters add. Virtual network, DNS zones, firewall and private link scope are there before."""


class Grant(NamedTuple):
    """What a month has free."""

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
    Grant("mails of an action group", f"{PRICES.free_mails:,}", "subscription", "monitor"),
)
"""Free grants of the price pages, November 2026."""


def total(bill: list[Cost]) -> float:
    """USD a month."""
    return sum(cost.usd for cost in bill)


def total_with_free_logs(bill: list[Cost]) -> float:
    """USD a month where nothing else uses the billing account's free ingestion."""
    logs = sum(cost.usd for cost in bill if cost.what in INGESTED)
    return total(bill) - min(logs, PRICES.free_ingestion_gb * PRICES.ingestion_gb)


# ---------------------------------------------------------------- tables


def bills(*, app_service: bool) -> str:
    """The table of what a month costs, for each example tenant."""
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
    """The table of what parameters add to a month."""
    return table(("parameter", "adds", "USD"), ((one.what, one.how, _usd(one.usd)) for one in FURTHER))


def grants() -> str:
    """The table of what a month has free."""
    address = "https://azure.microsoft.com/pricing/details"
    rows = ((one.what, one.free, one.of, f"[{one.page}]({address}/{one.page}/)") for one in GRANTS)
    return table(("what", "free in a month", "of each", "price page, November 2026"), rows)


def cost() -> str:
    """The bill in one sentence."""
    by_tokens = examples(app_service=False).items()
    sums = [f"about {round(total(bill)):,} USD a month for {tokens:,} tokens" for tokens, bill in by_tokens]
    return f"At list prices {' and '.join(sums)}: [how that is computed](docs/deployment.md#what-it-costs).\n"


def _usd(amount: float) -> str:
    return f"{amount:.2f}" if amount >= 0.005 or not amount else "below 0.01"
