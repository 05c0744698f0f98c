"""Sends rows to the data collection rule with the reader's own sign-in."""

from typing import Final

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ServiceRequestError
from azure.monitor.ingestion.aio import LogsIngestionClient

from cli import CommandError
from cli.arm import open_arm
from cli.places import Places
from cli.refusals import signed_out
from cli.sign_in import claims, default_token
from shared.clouds import CLOUDS
from shared.http.azure_errors import described
from shared.storage.columns import Row
from shared.text import bounded

PUBLISHER: Final = "Monitoring Metrics Publisher"
"""The role on the rule that sending takes."""


def scope(places: Places) -> str:
    """Return the scope of a token for Logs Ingestion.

    Raises:
        CommandError: if the cloud is not known.

    """
    return f"{CLOUDS[places.checked('AZURE_CLOUD', 'AzureCloud')].logs}/.default"


async def send(places: Places, credential: AsyncTokenCredential, table: str, row: Row) -> None:
    """Send one row of that table.

    Raises:
        CommandError: if the rule's address is not known, or cannot be used.
        AzureError: if the row was refused.

    """
    endpoint, rule_id = (places.required(f"LOGS_INGESTION_{name}") for name in ("ENDPOINT", "RULE_ID"))
    async with LogsIngestionClient(
        endpoint, credential, credential_scopes=[scope(places)], permit_redirects=False
    ) as client:
        await client.upload(rule_id, f"Custom-{table}", [row])


async def require_access(places: Places, credential: AsyncTokenCredential) -> None:
    """Verify that everything that sending takes is known, and that somebody is signed in.

    Raises:
        CommandError: if not.

    """
    for name in ("LOGS_INGESTION_ENDPOINT", "LOGS_INGESTION_RULE_ID", "TENANT_ID", "DEPLOYMENT"):
        places.required(name)
    await default_token(credential, scope(places))


async def send_or_explain(places: Places, credential: AsyncTokenCredential, table: str, row: Row) -> None:
    """Send one row as `send` does.

    Raises:
        CommandError: if it was not sent, with the reason and the remedy.

    """
    try:
        await send(places, credential, table, row)
    except AzureError as error:
        raise await _described(places, credential, error) from error


async def _described(places: Places, credential: AsyncTokenCredential, error: AzureError) -> CommandError:
    status = error.status_code if isinstance(error, HttpResponseError) else None
    endpoint = bounded(places.required("LOGS_INGESTION_ENDPOINT"), 200)
    match status:
        case 401 | 403:
            return await _not_allowed(places, credential, status)
        case None if isinstance(error, ClientAuthenticationError):
            return signed_out(error)
        case None:
            what = "cannot be reached" if isinstance(error, ServiceRequestError) else "did not answer as expected"
            remedy = "Check LOGS_INGESTION_ENDPOINT, the network, proxy and VPN."
            return CommandError(f"Nothing was sent: {endpoint} {what}.", remedy)
        case 404:
            rule_id = places.required("LOGS_INGESTION_RULE_ID")
            return CommandError(
                f"Nothing was sent: there is no data collection rule {rule_id} at {endpoint}.",
                "LOGS_INGESTION_ENDPOINT and LOGS_INGESTION_RULE_ID are outputs of the deployment.",
            )
        case _:
            return CommandError(f"Nothing was sent: {described(error, right=PUBLISHER)}.", "Try again in a minute.")


async def _not_allowed(places: Places, credential: AsyncTokenCredential, status: int) -> CommandError:
    who = claims(await default_token(credential, scope(places)))
    kind = "ServicePrincipal" if who.get("idtyp") == "app" else "User"
    assignee = (
        f"--assignee-object-id {who['oid']} --assignee-principal-type {kind}" if who.get("oid") else "--assignee YOU"
    )
    return CommandError(
        f"Nothing was sent: you may not send rows to the data collection rule (HTTP {status}).",
        "An Owner or User Access Administrator of the rule can assign the role, which can take 30 minutes to work:\n"
        f'az role assignment create --role "{PUBLISHER}" {assignee} --scope {await _rule(places, credential)}',
    )


async def _rule(places: Places, credential: AsyncTokenCredential) -> str:
    """Return the data collection rule's resource id, or a placeholder."""
    try:
        async with open_arm(places, credential) as arm:
            rules = await arm.collection_rules()
    except CommandError:
        rules = []
    wanted = places.required("LOGS_INGESTION_RULE_ID")
    return next((bounded(one.id) for one in rules if one.immutable_id == wanted), "DATA_COLLECTION_RULE_ID")
