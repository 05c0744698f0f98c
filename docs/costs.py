# ruff: noqa: INP001 - imported by docs.generate; docs/ is no package of the app
"""What a deployment costs a month, from prices and sizes that stand here once; `docs.generate` writes the table."""

from typing import Final, NamedTuple

HOURS: Final = 730
"""Checks in a month."""


class Sizes(NamedTuple):
    """Bytes of JSON, measured in the simulator over 250 tokens; a test measures them again."""

    finding_row: int = 700
    run_rows: int = 1_550
    """All rows of one run that tell of no token."""
    status_row: int = 1_610
    history_row: int = 400


class Prices(NamedTuple):
    """USD at list price, East US, November 2026. The price pages' figures; they change, and differ between regions.

    https://azure.microsoft.com/pricing/details/monitor/, .../functions/, .../storage/tables/, .../app-service/linux/
    """

    ingestion_gb: float = 2.30
    retention_gb_month: float = 0.10
    """After the first 31 days, which are free."""
    rule_month: float = 0.50
    """One log alert rule every 15 minutes, its first time series included."""
    series_month: float = 0.05
    gb_second: float = 0.000026
    free_gb_seconds: int = 100_000
    table_gb_month: float = 0.045
    table_10k_operations: float = 0.00036
    b1_month: float = 13.14


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


def costs(tokens: int, *, open_alerts: int, check_seconds: int, inspect_seconds: int) -> list[Cost]:
    """The bill of a tenant of so many tokens; `inspect_seconds` are those of a whole day."""
    rows = HOURS * (tokens * SIZES.finding_row + SIZES.run_rows) / _GB
    kept = rows * (LOG_RETENTION_DAYS - 31) / (HOURS / 24)
    gb_seconds = INSTANCE_GB * (HOURS * check_seconds + HOURS / 24 * inspect_seconds)
    operations = HOURS * (5 + tokens / 1_000 + tokens / 100)
    stored = (tokens * SIZES.status_row + 13 * HOURS * SIZES.run_rows + tokens * 20 * SIZES.history_row) / _GB
    free = PRICES.free_gb_seconds
    return [
        Cost(
            "alert rules",
            f"4 rules every 15 minutes, {open_alerts} open alerts",
            4 * PRICES.rule_month + open_alerts * PRICES.series_month,
        ),
        Cost("rows for the rules", f"{HOURS * (tokens + 5):,} rows, {rows:.2f} GB", rows * PRICES.ingestion_gb),
        Cost("their retention", f"{LOG_RETENTION_DAYS} days, the first 31 free", kept * PRICES.retention_gb_month),
        Cost("logs of host and worker", f"{_HOST_LOGS} GB (a guess)", _HOST_LOGS * PRICES.ingestion_gb),
        Cost(
            "Flex Consumption",
            f"{gb_seconds:,.0f} GB-s, {free:,} of them free",
            max(0, gb_seconds - free) * PRICES.gb_second,
        ),
        Cost(
            "Table Storage",
            f"{operations:,.0f} operations, {stored:.2f} GB",
            operations / 10_000 * PRICES.table_10k_operations + stored * PRICES.table_gb_month,
        ),
    ]


EXAMPLES: Final = {
    5: costs(5, open_alerts=2, check_seconds=5, inspect_seconds=60),
    2_000: costs(2_000, open_alerts=20, check_seconds=20, inspect_seconds=1_200),
}
"""By tokens: two tenants, one as large as Intune allows. Seconds are cautious guesses, since Azure starts cold."""


def total(bill: list[Cost]) -> float:
    """USD a month."""
    return sum(cost.usd for cost in bill)
