"""Signs a person in to Microsoft Graph, because the Azure CLI's sign-in has no Intune permission.

https://learn.microsoft.com/graph/auth-v2-user, https://learn.microsoft.com/powershell/microsoftgraph/authentication-commands
"""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError
from azure.core.pipeline.transport import RequestsTransport
from azure.identity import (
    AzureAuthorityHosts,
    CredentialUnavailableError,
    DeviceCodeCredential,
    InteractiveBrowserCredential,
)

from cli import CommandError
from cli.places import Places
from cli.refusals import first_line, signed_out
from cli.session import GraphSignIn, Session
from shared.graph.connectors import ROLE
from shared.http.answers import ACCEPTED, OTHER_BYTES, AnswerTooLongError, Body
from shared.text import bounded

_PERMISSIONS: Final = frozenset({ROLE, ROLE.replace(".Read.", ".ReadWrite.")})
_AUTHORITIES: Final = {
    "AzureCloud": AzureAuthorityHosts.AZURE_PUBLIC_CLOUD,
    "AzureUSGovernment": AzureAuthorityHosts.AZURE_GOVERNMENT,
    "AzureChinaCloud": AzureAuthorityHosts.AZURE_CHINA,
}
_CONSENT: Final = (
    f"An administrator of the tenant has to consent once to {ROLE} for this client, or for another that --client-id "
    "names."
)
_BROWSER_SECONDS: Final = 300
_PIECE: Final = 64 * 1024

_NOT_CONSENTED: Final = ("AADSTS65001", "AADSTS65004", "AADSTS90094")
"""Not consented, declined, an administrator's alone.
https://learn.microsoft.com/entra/identity-platform/reference-error-codes"""


class Account(NamedTuple):
    """Who is signed in, as a token names it."""

    is_person: bool
    name: str
    tenant_id: str
    object_id: str

    @property
    def kind(self) -> str:
        """The account's type, in the words of a role assignment."""
        return "User" if self.is_person else "ServicePrincipal"


class _Person(AsyncTokenCredential):
    """A person's sign-in, which the SDK offers only without async; it requests one permission, whoever calls."""

    def __init__(self, credential: DeviceCodeCredential | InteractiveBrowserCredential, scope: str) -> None:
        self._credential = credential
        self._scope = scope

    async def get_token(
        self,
        *scopes: str,  # noqa: ARG002 # see above
        claims: str | None = None,
        tenant_id: str | None = None,  # noqa: ARG002
        enable_cae: bool = False,  # noqa: ARG002
        **kwargs: Any,  # noqa: ANN401, ARG002 # the base's
    ) -> AccessToken:
        return await asyncio.to_thread(self._credential.get_token, self._scope, claims=claims)

    async def close(self) -> None:
        await asyncio.to_thread(self._credential.close)

    async def __aexit__(self, *_: object) -> None:
        await self.close()


@asynccontextmanager
async def graph_credential(
    session: Session, default: AsyncTokenCredential, audience: str
) -> AsyncIterator[AsyncTokenCredential]:
    """Sign in to read what the monitor reads; the person is asked at once.

    Raises:
        CommandError: if nobody signs in, or the sign-in lacks the permission.

    """
    if session.graph_sign_in.how == "default":
        _verify(
            session,
            await default_token(default, f"{audience}/.default"),
            f"The default sign-in has no permission {ROLE} for Graph; the Azure CLI's never has.",
            "Leave out --credential default and sign in with a browser, or with --device-code.",
        )
        yield default
        return
    async with _Person(_made(session), f"{audience}/{ROLE}") as person:
        try:
            token = await person.get_token()
        except AzureError as error:
            raise _not_signed_in(error, session.graph_sign_in) from error
        _verify(session, token, f"This sign-in has no permission {ROLE} for Graph.", _CONSENT)
        yield person


def _verify(session: Session, token: AccessToken, lacking: str, remedy: str) -> None:
    """Verify that the token is of the monitor's tenant, beside whose memory others' tokens would look removed.

    Raises:
        CommandError: if it is not, or lacks the permission: the sentence `lacking` with its `remedy`.

    """
    wanted, found = session.places.value("TENANT_ID"), claims(token)
    actual = str(found.get("tid") or "")
    if wanted and actual and actual.casefold() != wanted.casefold():
        raise CommandError(
            f"This sign-in is of the tenant {bounded(actual, 100)}, and the monitor's is {bounded(wanted, 100)}.",
            "Sign in to the monitor's tenant: `az login --tenant TENANT_ID`, or with --device-code.",
        )
    roles: Iterable[object] = found.get("roles") or ()  # a person's permissions are delegated, an application's roles
    if not _PERMISSIONS & {*map(str, roles), *str(found.get("scp") or "").split()}:
        raise CommandError(lacking, remedy)


async def default_token(credential: AsyncTokenCredential, scope: str) -> AccessToken:
    """Return a token of the sign-in of the other commands.

    Raises:
        CommandError: if there is none.

    """
    try:
        return await credential.get_token(scope)
    except AzureError as error:
        raise signed_out(error) from error


def claims(token: AccessToken) -> dict[str, Any]:
    """Return the claims of a token; empty if they cannot be read."""
    try:
        payload = token.token.split(".")[1]
        payload_claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return {}
    return payload_claims if isinstance(payload_claims, dict) else {}


async def account(credential: AsyncTokenCredential, scope: str) -> Account:
    """Return who is signed in with the sign-in of the other commands.

    Raises:
        CommandError: if nobody is.

    """
    found = claims(await default_token(credential, scope))
    name = found.get("upn") or found.get("unique_name") or found.get("appid") or "an account without a name"
    texts = (bounded(str(text or "unknown"), 100) for text in (name, found.get("tid"), found.get("oid")))
    return Account(found.get("idtyp") != "app", *texts)


def _made(session: Session) -> DeviceCodeCredential | InteractiveBrowserCredential:
    transport = RequestsTransport()
    transport.open()
    transport.session.headers.update(ACCEPTED)
    transport.session.hooks["response"].append(_read)
    how, client_id = session.graph_sign_in
    options = {"client_id": client_id, "transport": transport, **_authority(session.places)}
    if tenant := session.places.value("TENANT_ID"):
        options["tenant_id"] = tenant
    try:
        if how == "device-code":

            def prompt(address: str, code: str, _expires: datetime) -> None:
                # With --quiet, too: without the code nobody can sign in.
                session.warn(f"To sign in to Graph, open {bounded(address)} in a browser and enter {bounded(code)}.")

            return DeviceCodeCredential(prompt_callback=prompt, **options)
        if not session.quiet:
            session.warn("Sign in to Graph in the browser that opens. --device-code needs no browser here.")
        return InteractiveBrowserCredential(timeout=_BROWSER_SECONDS, **options)
    except ValueError as error:
        raise CommandError(
            f"Nobody can sign in there: {bounded(str(error), 300).rstrip('.')}.", "Check TENANT_ID and --client-id."
        ) from None


def _read(response: Any, **_: object) -> None:  # noqa: ANN401 # a library's without types
    """Read an answer as far as one of a sign-in can go: a hook of `requests`, which would read all of it.

    Raises:
        AnswerTooLongError: where it goes on.

    """
    body = Body(None, OTHER_BYTES)  # urllib3 decompresses as much as is asked for
    try:
        pieces = [piece for chunk in response.iter_content(_PIECE) for piece in body.pieces(chunk)]
    except AnswerTooLongError:
        response.close()
        raise
    response._content = b"".join(pieces)  # noqa: SLF001 # there is no other way to keep what was read


def _authority(places: Places) -> dict[str, Any]:
    usual = _AUTHORITIES[places.checked("AZURE_CLOUD", "AzureCloud")]
    # The SDK's own variable, for clouds that it does not know; it asks Microsoft about every authority but those three.
    named = os.environ.get("AZURE_AUTHORITY_HOST", "").strip()
    host = urlsplit(named if "//" in named else f"//{named}").netloc
    return {"authority": host or usual, "disable_instance_discovery": bool(host) and host not in _AUTHORITIES.values()}


def _not_signed_in(error: AzureError, sign_in: GraphSignIn) -> CommandError:
    text = first_line(str(error).removeprefix("Authentication failed: "))
    if "authority configuration" in text:  # MSAL's, which goes on with examples of authorities
        where = text.partition(". ")[0]
        return CommandError(
            f"Nobody can sign in there ({where}).", "Check TENANT_ID, and AZURE_AUTHORITY_HOST if it is set."
        )
    if isinstance(error, CredentialUnavailableError) and sign_in.how == "browser":
        remedy = "Sign in with --device-code instead."
    elif any(code in text for code in _NOT_CONSENTED):
        remedy = _CONSENT
    elif isinstance(error.__cause__, ServiceRequestError) or not isinstance(error, ClientAuthenticationError):
        remedy = "Check the network, proxy and VPN."
    else:
        remedy = "Try again, or sign in with --device-code from another machine's browser."
    return CommandError(f"Nobody signed in to Graph ({text}).", remedy)
