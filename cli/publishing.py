"""Sends rows to the data collection rule with the operator's sign-in."""

from typing import Final

from azure.core.credentials_async import AsyncTokenCredential
from azure.monitor.ingestion.aio import LogsIngestionClient

from cli.places import Places
from shared.clouds import CLOUDS
from shared.storage.rows import Row

PUBLISHER: Final = "Monitoring Metrics Publisher"
"""The role that it takes on the rule."""


def scope(places: Places) -> str:
    """What a token is asked for.

    Raises:
        CommandError: where the cloud is none that is known.

    """
    return f"{CLOUDS[places.checked('AZURE_CLOUD', 'AzureCloud')].logs}/.default"


async def send(places: Places, credential: AsyncTokenCredential, table: str, row: Row) -> None:
    """Send a row of that table.

    Raises:
        CommandError: where it is not known where to, or that cannot be used.
        AzureError: where it was not taken.

    """
    endpoint, rule_id = (places.required(f"LOGS_INGESTION_{name}") for name in ("ENDPOINT", "RULE_ID"))
    async with LogsIngestionClient(
        endpoint, credential, credential_scopes=[scope(places)], permit_redirects=False
    ) as client:
        await client.upload(rule_id, f"Custom-{table}", [row])
