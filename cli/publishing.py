"""Sends rows to the data collection rule with the reader's own sign-in."""

from typing import Final

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError
from azure.core.pipeline.transport import AioHttpTransport
from azure.monitor.ingestion.aio import LogsIngestionClient

from cli import CommandError
from cli.arm import open_arm
from cli.places import Places
from cli.refusals import signed_out
from cli.sign_in import account, default_token
from shared.clouds import CLOUDS
from shared.http.answers import AnswerTooLongError, azure_session
from shared.http.azure_errors import described, status_of
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


async def require_access(places: Places, credential: AsyncTokenCredential) -> None:
    """Verify that everything that sending takes is known, and that somebody is signed in.

    Raises:
        CommandError: if not.

    """
    for name in ("LOGS_INGESTION_ENDPOINT", "LOGS_INGESTION_RULE_ID", "TENANT_ID", "DEPLOYMENT"):
        places.required(name)
    await default_token(credential, scope(places))


async def send(places: Places, credential: AsyncTokenCredential, table: str, row: Row) -> None:
    """Send one row of that table.

    Raises:
        CommandError: if it was not sent, with the reason and the remedy.

    """
    endpoint, rule_id = (places.required(f"LOGS_INGESTION_{name}") for name in ("ENDPOINT", "RULE_ID"))
    client = LogsIngestionClient(
        endpoint,
        credential,
        credential_scopes=[scope(places)],
        transport=AioHttpTransport(session=azure_session()),
        permit_redirects=False,
    )
    try:
        async with client:
            await client.upload(rule_id, f"Custom-{table}", [row])
    except AzureError as error:
        raise _refused(error, bounded(endpoint, 200), rule_id) from error


def _refused(error: AzureError, endpoint: str, rule_id: str) -> CommandError:
    status, role = status_of(error), ""
    match status:
        case 401 | 403:
            role = PUBLISHER
            why = f"you may not send rows to the data collection rule (HTTP {status}). The app's own right can differ"
            remedy = f"An Owner or User Access Administrator of the rule can assign the role {PUBLISHER} to you, which "
            remedy += "can take 30 minutes to work."
        case None if isinstance(error, AnswerTooLongError):
            why, remedy = f"{endpoint}: {error}", "Check LOGS_INGESTION_ENDPOINT, the network, proxy and VPN."
        case None if isinstance(error, ClientAuthenticationError):
            return signed_out(error)
        case None:
            what = "cannot be reached" if isinstance(error, ServiceRequestError) else "did not answer as expected"
            why, remedy = f"{endpoint} {what}", "Check LOGS_INGESTION_ENDPOINT, the network, proxy and VPN."
        case 404:
            why = f"there is no data collection rule with the immutable id {rule_id} at {endpoint}"
            remedy = "LOGS_INGESTION_ENDPOINT and LOGS_INGESTION_RULE_ID are outputs of the deployment."
        case _:
            why, remedy = described(error, right=PUBLISHER), "Try again in a minute."
    return CommandError(f"Nothing was sent: {why}.", remedy, status=status, role=role)


async def assignment(places: Places, credential: AsyncTokenCredential) -> str:
    """Return the command that assigns to the reader the role that sending takes."""
    who = await account(credential, scope(places))
    assignee = f"--assignee-object-id {who.object_id} --assignee-principal-type {who.kind}"
    rule_id = await _rule(places, credential)
    return f'az role assignment create --role "{PUBLISHER}" {assignee} --scope {rule_id}'


async def _rule(places: Places, credential: AsyncTokenCredential) -> str:
    """Return the data collection rule's resource id, or a placeholder."""
    try:
        async with open_arm(places, credential) as arm:
            rules = await arm.collection_rules()
    except CommandError:
        rules = []
    wanted = places.required("LOGS_INGESTION_RULE_ID")
    return next((bounded(one.id) for one in rules if one.immutable_id == wanted), "DATA_COLLECTION_RULE_ID")
