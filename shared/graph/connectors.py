"""Reads the connectors: for each one, the address, the properties, and the decoding of an object into a `Token`.

Microsoft Graph's reference documents the properties of `depOnboardingSetting` and `vppToken` (beta) and
`applePushNotificationCertificate`: https://learn.microsoft.com/graph/api/resources. What these pages leave open (nulls,
year 1, seven-digit fractions, changing IDs) is from public captures of live payloads.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from shared.graph.client import Graph
from shared.graph.pages import REPORT, GraphError
from shared.graph.wire import Item
from shared.model.runs import Failure, Reading
from shared.model.tokens import PUSH_CERTIFICATE_ID, PUSH_CERTIFICATE_NAME, Connector, Token
from shared.text import unnamed

_log: Final = logging.getLogger(__name__)

ROLE: Final = "DeviceManagementServiceConfig.Read.All"
"""The application role that all three connectors need. https://learn.microsoft.com/graph/permissions-reference"""

EVENTS_ROLE: Final = "DeviceManagementManagedDevices.Read.All"
"""The additional role for Intune's record of failed enrollments, which only `ENROLLMENT_EVENTS` requires."""

INTUNE_ROLE: Final = (
    "Your account needs an Intune role that reads enrollment and Apps and Books tokens, such as Read Only Operator, or "
    "Entra's Intune Administrator or Global Reader."
)
"""The remedy if Graph refuses a person, for whom a role of the app's identity has no effect."""

GRANT_SCRIPT: Final = "infra/grant-graph-role.sh"

_GRANTS: Final[Mapping[str, str]] = {ROLE: GRANT_SCRIPT, EVENTS_ROLE: f"{GRANT_SCRIPT} --enrollment-events"}
"""The commands that grant the roles."""

_VPP_STATES: Final = frozenset({"valid", "expired", "invalid", "assignedToExternalMDM", "duplicateLocationId"})
_VPP_SYNC_STATUSES: Final = frozenset({"none", "inProgress", "completed", "failed"})
"""https://learn.microsoft.com/graph/api/resources/intune-onboarding-vpptokensyncstatus"""

_NOTHING: Final = frozenset({"", "none", "null", "nil", "na", "undefined", "notapplicable", "noerror", "noerrors"})
"""Values of an upload's status and reason that mean that there is none: in lower case, without punctuation."""
_PUNCTUATION: Final = re.compile(r"[\s./()<>_-]+")
_UPLOADED: Final = re.compile(r"\b(success|succeed|complete|uploaded|valid|active|ok)", re.IGNORECASE)
_NOT_UPLOADED: Final = re.compile(r"fail|error|denied|reject|invalid|expired|revoked|\bun|\bnot", re.IGNORECASE)
"""This page does not list the statuses: https://learn.microsoft.com/graph/api/resources/intune-devices-applepushnotificationcertificate"""

_LONGEST_LIST: Final = 16 * 1024 * 1024
"""Bytes of all pages of a list, whose tokens are in memory together: 2,000 tokens have 2 MiB."""

_MODIFIED: Final = "lastModifiedDateTime"
_UPLOAD: Final = ("certificateUploadStatus", "certificateUploadFailureReason")

_LOST: Final = (
    "The other tokens were checked; none counts as removed, since it can be one of these. "
    "If it lasts, open the entries in Intune and report them to Microsoft."
)


class Source(NamedTuple):
    """The place of a connector in Graph."""

    path: str
    properties: str
    """The value of `$select`: everything that is needed, and no secret."""
    decode: Callable[[Item], Token]
    is_list: bool = True
    may_be_whole: bool = False
    """Whether it contains no secret, so that it may be read without `$select`."""

    @property
    def address(self) -> str:
        """Return the path and query below Graph's root."""
        return f"{self.path}?$select={self.properties}"


async def read_all(graph: Graph, watched: Iterable[Connector], seconds: float) -> list[Reading]:
    """Read the connectors in parallel, each with its own time limit."""
    return await asyncio.gather(*(read(graph, connector, seconds) for connector in sorted(watched)))


async def read(graph: Graph, connector: Connector, seconds: float) -> Reading:
    """Return everything that the connector holds, or why it could not be read within `seconds`; see `Reading`."""
    source, tokens = SOURCES[connector], tuple[Token, ...]()
    asked, error = f"GET {source.path}", None
    try:
        async with asyncio.timeout(seconds):
            tokens, error = await _tokens(graph, source)
    except TimeoutError:
        reason = f"no whole answer within {seconds:g} seconds"
        error = GraphError(asked, reason, "Graph was slow or asked to wait; the next check asks again.")
    except GraphError as refused:
        error = refused
    except Exception as fault:  # noqa: BLE001 # a fault in one connector's answer must not hide the others'
        _log.error("A fault while reading %s", connector.value, exc_info=fault)
        reason = f"a fault of the monitor or of a library ({type(fault).__name__})"
        error = GraphError(asked, reason, "The app's log has the details; please report it.")
    return Reading(connector=connector, tokens=tokens, failure=failure(graph, connector, error) if error else None)


async def _tokens(graph: Graph, source: Source) -> tuple[tuple[Token, ...], GraphError | None]:
    """Return the tokens, and why some entries of the list are not tokens. Of entries with one ID, the last counts."""
    asked = f"GET {source.path}"
    if not source.is_list:
        try:
            token = source.decode(Item(msgspec.Raw(await graph.get(source.address)), asked))
        except GraphError as error:
            if error.status == 404 and (error.code or "").casefold() == "resourcenotfound":
                return (), None  # no push certificate is set up; any other 404 is a failure
            raise
        return (token,), None
    found: dict[str, Token] = {}
    number, size, lost, first = 0, 0, 0, None
    async for page in _pages(graph, source):
        size += sum(map(len, page))
        if size > _LONGEST_LIST:
            raise GraphError(asked, f"the list has more than {_LONGEST_LIST // 1024 // 1024} MiB", REPORT)
        for raw in page:
            number += 1
            try:
                token = source.decode(Item(raw, asked))
                found[token.id] = token
            except GraphError as error:
                lost, first = lost + 1, first or error.reason
    if first is None:
        return tuple(found.values()), None
    reason = f"{lost} of {number} entries of the list could not be read: {first}"
    return tuple(found.values()), GraphError(asked, reason, _LOST)


async def _pages(graph: Graph, source: Source) -> AsyncIterator[list[msgspec.Raw]]:
    """Yield the list's pages; without `$select` if Graph refuses it and the list contains no secret."""
    begun = False
    try:
        async for page in graph.pages(source.address):
            begun = True
            yield page
    except GraphError as error:
        if begun or not (source.may_be_whole and error.refuses_option):
            raise
    else:
        return
    async for page in graph.pages(source.path):
        yield page


def failure(graph: Graph, connector: Connector, error: GraphError, role: str = ROLE) -> Failure:
    """Return `error` as a failure. The remedy for a refusal depends on whether the app's token has `role`."""
    remedy = _refusal_remedy(graph, role) if error.by_roles else error.remedy
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
    """Return what resolves a refusal, according to the roles in the access token."""
    if graph.by_person:
        return INTUNE_ROLE
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
        "has an active Intune license and that no Conditional Access policy for workload identities blocks the app."
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
        upload_failure=_upload_failure(item),
        unreadable=tuple(item.unreadable),
    )


def _upload_failure(item: Item) -> str | None:
    """Return why the certificate could not be uploaded: the reason, or the status if that is the only sign."""
    status, reason = (
        text if _PUNCTUATION.sub("", text or "").casefold() not in _NOTHING else None
        for text in (item.text("upload_failure", name) for name in _UPLOAD)
    )
    if status is None or _NOT_UPLOADED.search(status):
        return reason or status
    if reason or not _UPLOADED.search(status):  # they contradict each other, or the status is unknown
        item.cannot_read("upload_failure", _UPLOAD[0])
    return None


def _vpp(item: Item) -> Token:
    token_id = item.id()
    names = [item.text("name", name) for name in ("displayName", "locationName", "organizationName")]
    state = item.text("state", "state", required=True)
    if state is not None and state not in _VPP_STATES:
        item.cannot_read("state", "state")
    status = item.text("sync_status", "lastSyncStatus", required=True)
    if status is not None and status not in _VPP_SYNC_STATUSES:
        item.cannot_read("sync_status", "lastSyncStatus")
    last_sync = item.instant("last_sync", "lastSyncDateTime")
    return Token(
        connector=Connector.VPP,
        id=token_id,
        name=next(filter(None, names), None) or unnamed(token_id),
        type=item.text("type", "vppTokenAccountType"),
        apple_id=item.text("apple_id", "appleId"),
        expires_on=item.instant("expires_on", "expirationDateTime", required=True),
        last_sync=last_sync,
        last_successful_sync=last_sync if status == "completed" else None,
        # It only dates other values, so its absence loses nothing.
        last_modified=item.instant("last_modified", _MODIFIED) if item.has(_MODIFIED) else None,
        sync_status=status,
        state=state,
        unreadable=tuple(item.unreadable),
    )


SOURCES: Final[Mapping[Connector, Source]] = {
    # Only in beta. Microsoft supports Intune's beta calls, and changes them more often.
    Connector.ADE: Source(
        "/beta/deviceManagement/depOnboardingSettings",
        "id,tokenName,tokenType,appleIdentifier,tokenExpirationDateTime,lastModifiedDateTime,"
        "lastSuccessfulSyncDateTime,lastSyncErrorCode,syncedDeviceCount",
        _ade,
        may_be_whole=True,
    ),
    Connector.APNS: Source(
        "/v1.0/deviceManagement/applePushNotificationCertificate",
        f"id,appleIdentifier,expirationDateTime,topicIdentifier,certificateSerialNumber,{','.join(_UPLOAD)}",
        _apns,
        is_list=False,
    ),
    # Beta, because only there tokens have names and the state `duplicateLocationId`.
    Connector.VPP: Source(
        "/beta/deviceAppManagement/vppTokens",
        "id,displayName,locationName,organizationName,vppTokenAccountType,appleId,expirationDateTime,"
        "lastModifiedDateTime,lastSyncDateTime,lastSyncStatus,state",
        _vpp,
    ),
}
