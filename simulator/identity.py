"""The managed identity's endpoint of App Service, which `ManagedIdentityCredential` calls.

https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference

Where `caches` is set, it keeps a token for as long as it is valid, apart for each resource as the request spells it:
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
    """Hands out tokens for the app's one user-assigned identity. `fail("", ...)` plans its faults."""

    roles: list[str] = field(default_factory=lambda: [bearer.SERVICE_ROLE])
    """What tokens for Graph grant from now on; `bearer.EVENTS_ROLE` is not among it until somebody adds it."""
    resources: frozenset[str] = frozenset({*bearer.GRAPH_FORMS, bearer.STORAGE, bearer.MONITOR, bearer.MANAGEMENT})
    """What Entra issues tokens for."""
    lifetime_seconds: int = bearer.LIFETIME_SECONDS
    header: str = field(default_factory=lambda: uuid4().hex)
    """What the app must send as `X-IDENTITY-HEADER`."""
    clock: Callable[[], float] = time.time
    """Epoch seconds, by which tokens are issued and leave the cache."""
    caches: bool = False
    """Whether it caches tokens as Azure does; without, a change of `roles` works at once."""
    cached: dict[str, tuple[str, bearer.Claims]] = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        """What `IDENTITY_ENDPOINT` names."""
        return f"{self.url}{PATH}"

    def reset(self) -> None:
        """Drops faults, recordings and cached tokens, and grants the usual role again."""
        super().reset()
        self.roles = [bearer.SERVICE_ROLE]
        self.lifetime_seconds = bearer.LIFETIME_SECONDS
        self.clock = time.time
        self.caches = False
        self.cached.clear()

    async def answer(self, request: web.Request, body: bytes) -> web.StreamResponse:  # noqa: ARG002 (the base's)
        """A token, or why there is none."""
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
