"""Tokens for the app's managed identity from the endpoint that Functions and App Service give it.

https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference

azure-identity asks the same endpoint, but importing it also imports every other way to sign in, with MSAL, requests and
cryptography: a sixth of the time of a check that starts cold (`make bench`).
"""

import time
from collections.abc import Mapping
from typing import Any, Final, Self

import msgspec
from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.core.pipeline import AsyncPipeline
from azure.core.pipeline.policies import AsyncRetryPolicy
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.core.rest import AsyncHttpResponse, HttpRequest

from shared.text import bounded

_RENEWED_SECONDS: Final = 300
"""A token that ends earlier than this is asked for again."""


class _Answer(msgspec.Struct):
    access_token: str
    expires_on: str | int


class ManagedIdentity(AsyncTokenCredential):
    """Signs in as the user-assigned identity `client_id`, or as the app's own identity without one."""

    def __init__(
        self, environment: Mapping[str, str], client_id: str | None, transport: AsyncHttpTransport[Any, Any]
    ) -> None:
        """Nothing is asked for yet; whoever gives `transport` closes it."""
        self._url = environment["IDENTITY_ENDPOINT"]
        self._headers = {"X-IDENTITY-HEADER": environment["IDENTITY_HEADER"]}
        self._identity = {"client_id": client_id} if client_id else {}
        self._pipeline: AsyncPipeline[HttpRequest, AsyncHttpResponse] = AsyncPipeline(transport, [AsyncRetryPolicy()])
        self._kept: dict[str, AccessToken] = {}

    @staticmethod
    def serves(environment: Mapping[str, str]) -> bool:
        """Returns whether the settings name the managed identity alone, and its endpoint is there."""
        named = environment.get("AZURE_TOKEN_CREDENTIALS", "").lower() == "managedidentitycredential"
        return named and bool(environment.get("IDENTITY_ENDPOINT") and environment.get("IDENTITY_HEADER"))

    async def get_token(
        self,
        *scopes: str,
        claims: str | None = None,
        tenant_id: str | None = None,  # noqa: ARG002 # the endpoint knows one tenant
        enable_cae: bool = False,  # noqa: ARG002 # the endpoint has no such parameter
        **_: object,
    ) -> AccessToken:
        """Returns a token for the resource of the one scope: the kept one, unless it ends soon or `claims` refuse it.

        Raises:
            ClientAuthenticationError: where the endpoint issues none.

        """
        resource = scopes[0].removesuffix("/.default")
        kept = self._kept.get(resource)
        if claims or kept is None or kept.expires_on - time.time() < _RENEWED_SECONDS:
            self._kept[resource] = kept = await self._ask(resource)
        return kept

    async def _ask(self, resource: str) -> AccessToken:
        query = {"api-version": "2019-08-01", "resource": resource, **self._identity}
        try:
            asked = await self._pipeline.run(HttpRequest("GET", self._url, params=query, headers=self._headers))
        except AzureError as error:
            raise _refused(str(error)) from error
        response = asked.http_response
        if response.status_code != 200:
            raise _refused(f"HTTP {response.status_code} {response.text()}")
        try:
            answer = msgspec.json.decode(await response.read(), type=_Answer)
            return AccessToken(answer.access_token, int(answer.expires_on))
        except ValueError as error:  # its text may quote the token
            raise _refused("its endpoint did not answer as documented") from error

    async def close(self) -> None:
        """Does nothing: the transport is its giver's."""

    async def __aenter__(self) -> Self:
        """Does nothing: the transport is open."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Does nothing, as `close`."""


def _refused(why: str) -> ClientAuthenticationError:
    return ClientAuthenticationError(message=f"ManagedIdentityCredential: {bounded(why)}")
