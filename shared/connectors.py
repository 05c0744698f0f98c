"""What ties the tenant to Apple: for each connector where Graph keeps it, what is asked, and wire to `Token`.

Property names and shapes are those of Microsoft Graph's reference: `depOnboardingSetting` and `vppToken` (beta) and
`applePushNotificationCertificate`, below https://learn.microsoft.com/graph/api/resources. What those pages leave open
(nulls, year 1, seven-digit fractions, changing ids) is from public captures of live payloads.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec

from shared.graph import Graph
from shared.pages import GraphError
from shared.text import bounded
from shared.tokens import PUSH_CERTIFICATE_ID, PUSH_CERTIFICATE_NAME, Connector, Failure, Reading, Token
from shared.wire import Item

_log: Final = logging.getLogger(__name__)

ROLE: Final = "DeviceManagementServiceConfig.Read.All"
"""The application role that all three connectors need. https://learn.microsoft.com/graph/permissions-reference"""

EVENTS_ROLE: Final = "DeviceManagementManagedDevices.Read.All"
"""The further one for Intune's own record of failed enrollments, which only `ENROLLMENT_EVENTS` asks for."""

GRANT_SCRIPT: Final = "infra/grant-graph-role.sh"

_GRANTS: Final[Mapping[str, str]] = {ROLE: GRANT_SCRIPT, EVENTS_ROLE: f"{GRANT_SCRIPT} --enrollment-events"}
"""What grants each role."""

_VPP_STATES: Final = frozenset({"valid", "expired", "invalid", "assignedToExternalMDM", "duplicateLocationId"})


class Source(NamedTuple):
    """Where Graph keeps a connector."""

    path: str
    properties: tuple[str, ...]
    """What is asked for with `$select`: everything needed, and no secret."""
    decode: Callable[["Item"], Token]
    is_list: bool = True

    @property
    def address(self) -> str:
        """Path and query below Graph's root."""
        return f"{self.path}?$select={','.join(self.properties)}"


async def read(graph: Graph, connector: Connector, seconds: float) -> Reading:
    """Everything that the connector holds, or why it could not be read within `seconds`; never a part of it."""
    source = SOURCES[connector]
    try:
        async with asyncio.timeout(seconds):
            tokens = await _tokens(graph, source)
    except TimeoutError:
        reason = f"no whole answer within {seconds:g} seconds"
        late = GraphError(f"GET {source.path}", reason, "Graph was slow or asked to wait; the next check asks again.")
        return Reading(connector=connector, failure=failure(graph, connector, late))
    except GraphError as error:
        return Reading(connector=connector, failure=failure(graph, connector, error))
    except Exception as error:  # noqa: BLE001 # a fault in one connector's answer must not hide the others'
        _log.error("A fault while reading %s", connector.value, exc_info=error)
        reason = f"a fault of the monitor or of a library ({type(error).__name__})"
        fault = GraphError(f"GET {source.path}", reason, "The log of the app tells where; please report it.")
        return Reading(connector=connector, failure=failure(graph, connector, fault))
    return Reading(connector=connector, tokens=tokens)


async def _tokens(graph: Graph, source: Source) -> tuple[Token, ...]:
    """By id: one that is seen twice counts once, and the last one wins."""
    found: dict[str, Token] = {}
    asked = f"GET {source.path}"
    if not source.is_list:
        try:
            token = source.decode(Item(msgspec.Raw(await graph.get(source.address)), asked))
        except GraphError as error:
            if error.status == 404 and error.code == "ResourceNotFound":
                return ()  # no push certificate is set up; any other 404 is a failure
            raise
        return (token,)
    async for page in graph.pages(source.address):
        for raw in page:
            token = source.decode(Item(raw, asked))
            found[token.id] = token
    return tuple(found.values())


def failure(graph: Graph, connector: Connector, error: GraphError, role: str = ROLE) -> Failure:
    """`error` as a failure; of a refusal it says whether the app's own token has `role`."""
    remedy = _refusal_remedy(graph, role) if error.status in {401, 403} else error.remedy
    return Failure(
        connector=connector,
        asked=error.asked,
        reason=error.reason,
        status=error.status,
        code=error.code,
        message=error.message,
        request_id=error.request_id,
        remedy=remedy,
    )


def _refusal_remedy(graph: Graph, role: str) -> str:
    """Returns what resolves a refusal, by what the token itself says."""
    token = graph.token
    if token is None:
        return f"Check that the app's identity has the Graph role {role}; {_GRANTS[role]} grants it."
    until = f"{token.expires_on:%Y-%m-%d %H:%M} UTC"
    if role in token.lacks:
        return (
            f"The app's token has no Graph role {role}: run {_GRANTS[role]} to grant it, unless that is done. Azure "
            f"keeps this token until {until}; the app asks for another one from {token.retry_on:%Y-%m-%d %H:%M} UTC on."
        )
    return (
        f"The app's token (until {until}) has the role {role}, and Graph refuses all the same: check that the tenant "
        "has an active Intune licence and that no Conditional Access policy for workload identities blocks the app."
    )


def _ade(item: Item) -> Token:
    token_id = item.id()
    kind = item.text("type", "tokenType")
    # A token that was never set up has no expiry, and that is not unreadable.
    never = kind == "none" and not item.has("tokenExpirationDateTime")
    expires_on = None if never else item.instant("expires_on", "tokenExpirationDateTime", required=kind != "none")
    return Token(
        connector=Connector.ADE,
        id=token_id,
        name=item.text("name", "tokenName") or unnamed(token_id),
        type=kind,
        apple_id=item.text("apple_id", "appleIdentifier"),
        expires_on=expires_on,
        last_successful_sync=item.instant("last_successful_sync", "lastSuccessfulSyncDateTime"),
        last_modified=item.instant("last_modified", "lastModifiedDateTime"),
        sync_error_code=item.number("sync_error_code", "lastSyncErrorCode"),
        synced_devices=item.number("synced_devices", "syncedDeviceCount"),
        unreadable=tuple(item.unreadable),
    )


def _apns(item: Item) -> Token:
    item.id()
    return Token(
        connector=Connector.APNS,
        id=PUSH_CERTIFICATE_ID,
        name=PUSH_CERTIFICATE_NAME,
        type=Connector.APNS.value,
        apple_id=item.text("apple_id", "appleIdentifier"),
        expires_on=item.instant("expires_on", "expirationDateTime", required=True),
        topic=item.text("topic", "topicIdentifier", required=True),
        serial_number=item.text("serial_number", "certificateSerialNumber"),
        upload_failure=item.text("upload_failure", "certificateUploadFailureReason"),
        unreadable=tuple(item.unreadable),
    )


def _vpp(item: Item) -> Token:
    token_id = item.id()
    names = [item.text("name", name) for name in ("displayName", "locationName", "organizationName")]
    state = item.text("state", "state", required=True)
    if state is not None and state not in _VPP_STATES:
        item.cannot_read("state", "state")
    status = item.text("sync_status", "lastSyncStatus", required=True)
    # The last sync is the last success only where it was completed.
    last_sync = item.instant("last_successful_sync", "lastSyncDateTime") if status == "completed" else None
    return Token(
        connector=Connector.VPP,
        id=token_id,
        name=next(filter(None, names), None) or unnamed(token_id),
        type=item.text("type", "vppTokenAccountType"),
        apple_id=item.text("apple_id", "appleId"),
        expires_on=item.instant("expires_on", "expirationDateTime", required=True),
        last_successful_sync=last_sync,
        sync_status=status,
        state=state,
        unreadable=tuple(item.unreadable),
    )


def unnamed(token_id: str) -> str:
    """What people read for a token that has no name."""
    return f"unnamed {bounded(token_id[:8])}"


SOURCES: Final[Mapping[Connector, Source]] = {
    # Graph has these only in beta; Microsoft supports Intune's beta calls, and changes them more often.
    Connector.ADE: Source(
        "/beta/deviceManagement/depOnboardingSettings",
        (
            "id",
            "tokenName",
            "tokenType",
            "appleIdentifier",
            "tokenExpirationDateTime",
            "lastModifiedDateTime",
            "lastSuccessfulSyncDateTime",
            "lastSyncErrorCode",
            "syncedDeviceCount",
        ),
        _ade,
    ),
    Connector.APNS: Source(
        "/v1.0/deviceManagement/applePushNotificationCertificate",
        (
            "id",
            "appleIdentifier",
            "expirationDateTime",
            "topicIdentifier",
            "certificateSerialNumber",
            "certificateUploadFailureReason",
        ),
        _apns,
        is_list=False,
    ),
    # Beta, since only there tokens have names of their own and the state `duplicateLocationId`.
    Connector.VPP: Source(
        "/beta/deviceAppManagement/vppTokens",
        (
            "id",
            "displayName",
            "locationName",
            "organizationName",
            "vppTokenAccountType",
            "appleId",
            "expirationDateTime",
            "lastSyncDateTime",
            "lastSyncStatus",
            "state",
        ),
        _vpp,
    ),
}
