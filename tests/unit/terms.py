"""The connectors, the severities, and the instants that tests name."""

from datetime import UTC, datetime, timedelta

from shared.model.tokens import Connector, Health

ADE, APNS, VPP = Connector.ADE, Connector.APNS, Connector.VPP
HEALTHY, INFO, WARNING, UNKNOWN, CRITICAL = Health

NOW = datetime(2026, 11, 23, 6, 7, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NOTHING = timedelta()
