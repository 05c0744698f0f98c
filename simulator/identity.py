"""Simulates App Service's endpoint for the managed identity, which `ManagedIdentityCredential` calls.

https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference

With `caches`, it keeps a token while it is valid, separately for each spelling of the resource in requests:
https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/managed-identity-best-practice-recommendations#limitation-of-using-managed-identities-for-authorization
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from aiohttp import web

from simulator import bearer
from simulator.server import Server

PATH: Final = "/msi/token"


@dataclass
class Identity(Server):
    """Issues tokens for the app's user-assigned identity; `fail("", ...)` plans its faults."""

    roles: list[str] = field(default_factory=lambda: [bearer.SERVICE_ROLE])
    """The roles in new tokens for Graph, by default without `bearer.EVENTS_ROLE`."""
    resources: frozenset[str] = frozenset({*bearer.GRAPH_FORMS, bearer.STORAGE, bearer.MONITOR, bearer.MANAGEMENT})
    """The resources for which Entra ID issues tokens."""
    lifetime_seconds: int = bearer.LIFETIME_SECONDS
    header: str = field(default_factory=lambda: uuid4().hex)
    """The value that the app must send as `X-IDENTITY-HEADER`."""
    clock: Callable[[], float] = time.time
    """Returns the epoch seconds at which tokens are issued and expire from the cache."""
    caches: bool = False
    """Whether tokens are cached as in Azure; otherwise, a change of `roles` takes effect at once."""
    cached: dict[str, tuple[str, bearer.Claims]] = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        """The value of `IDENTITY_ENDPOINT`."""
        return f"{self.url}{PATH}"

    def reset(self) -> None:
        """Remove faults, recordings, and cached tokens, and restore the default role."""
        super().reset()
        self.roles = [bearer.SERVICE_ROLE]
        self.lifetime_seconds = bearer.LIFETIME_SECONDS
        self.clock = time.time
        self.caches = False
        self.cached.clear()

    async def answer(self, request: web.Request, body: bytes) -> web.StreamResponse:  # noqa: ARG002 (the base's)
        """Answer with a token, or with the reason why there is none."""
        if request.path != PATH or request.method != "GET":
            return _refused(404, "No such endpoint.")
        if request.headers.get("X-IDENTITY-HEADER") != self.header:
            return _refused(403, "Invalid or missing X-IDENTITY-HEADER.")
        if request.query.get("api-version") != "2019-08-01":
            return _refused(400, "Unsupported api-version.")
        if request.query.get("client_id") not in {None, bearer.CLIENT_ID}:
            return _refused(400, "No User Assigned or Delegated Managed Identity found for specified ClientId.")
        resource = request.query.get("resource", "")
        if resource not in self.resources:
            return _refused(400, f"AADSTS500011: The resource principal named {resource} was not found in the tenant.")
        token, claims = self._token(resource)
        return web.json_response(
            {
                "access_token": token,
                "expires_on": str(claims["exp"]),
                "resource": resource,
                "token_type": "Bearer",
                "client_id": bearer.CLIENT_ID,
            }
        )

    def _token(self, resource: str) -> tuple[str, bearer.Claims]:
        now = self.clock()
        if not self.caches or resource not in self.cached or self.cached[resource][1]["exp"] <= now:
            granted = self.roles if resource in bearer.GRAPH_FORMS else ()
            self.cached[resource] = bearer.issue(
                resource, roles=granted, lifetime_seconds=self.lifetime_seconds, now=now
            )
        return self.cached[resource]


def _refused(status: int, message: str) -> web.Response:
    return web.json_response({"statusCode": status, "message": message}, status=status)
