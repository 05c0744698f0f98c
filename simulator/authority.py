"""Simulates a person's sign-in: the OpenID endpoints of Entra ID for a device code, and for a redirected browser.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code and
https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow. No password is involved:
`decision` determines whether a sign-in is approved.
"""

import time
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import parse_qs, urlencode
from uuid import uuid4

from aiohttp import web

from simulator import bearer
from simulator.server import Server

USER_CODE: Final = "SIMULATED"

_DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"
_NOT_RESOURCES: Final = frozenset({"openid", "profile", "offline_access", "email"})


@dataclass
class Authority(Server):
    """Issues delegated tokens for Graph, with the permissions that are asked for and consented to."""

    decision: Literal["approved", "declined", "pending"] = "approved"
    """The person's decision; `pending` means that there is none yet."""
    consented: set[str] = field(default_factory=lambda: {bearer.SERVICE_ROLE})
    """Names of the delegated permissions that have been consented to in the tenant."""
    interval: int = 1
    """Seconds between two polls for a device code's token."""
    device_code_seconds: int = 900

    def __post_init__(self) -> None:
        super().__post_init__()
        self._grants: dict[str, dict[str, str]] = {}

    def reset(self) -> None:
        """Restore the state after the start."""
        super().reset()
        self.decision, self.consented = "approved", {bearer.SERVICE_ROLE}
        self.interval, self.device_code_seconds = 1, 900
        self._grants = {}

    async def answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        """Answer as the endpoint does."""
        tenant, _, endpoint = request.path.strip("/").partition("/")
        if tenant not in {bearer.TENANT_ID, "common", "organizations"}:
            return _refused("invalid_tenant", f"AADSTS90002: Tenant '{tenant}' not found.")
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        match request.method, endpoint:
            case "GET", "v2.0/.well-known/openid-configuration":
                return web.json_response(self._configuration(tenant))
            case "POST", "oauth2/v2.0/devicecode":
                return self._device_code(form)
            case "GET", "oauth2/v2.0/authorize":
                return self._authorize(dict(request.query))
            case "POST", "oauth2/v2.0/token":
                return self._token(form)
            case _:
                return web.json_response({"error": "not_found"}, status=404)

    def _configuration(self, tenant: str) -> dict[str, Any]:
        endpoints = f"{self.url}/{tenant}/oauth2/v2.0"
        return {
            "issuer": f"{self.url}/{bearer.TENANT_ID}/v2.0",
            "authorization_endpoint": f"{endpoints}/authorize",
            "token_endpoint": f"{endpoints}/token",
            "device_authorization_endpoint": f"{endpoints}/devicecode",
        }

    def _device_code(self, form: dict[str, str]) -> web.Response:
        if refused := self._unconsented(form.get("scope", "")):
            return refused
        code = uuid4().hex
        self._grants[code] = form
        address = "https://microsoft.com/devicelogin"
        message = f"To sign in, use a web browser to open the page {address} and enter the code {USER_CODE}."
        return web.json_response(
            {
                "device_code": code,
                "user_code": USER_CODE,
                "verification_uri": address,
                "expires_in": self.device_code_seconds,
                "interval": self.interval,
                "message": message,
            }
        )

    def _authorize(self, query: dict[str, str]) -> web.Response:
        """Redirect the browser back at once, as after a person's sign-in."""
        code = uuid4().hex
        self._grants[code] = query
        parameters = {"state": query.get("state", "")}
        if self.decision == "approved" and self._unconsented(query.get("scope", "")) is None:
            parameters |= {"code": code}
        else:
            parameters |= {"error": "access_denied", "error_description": "AADSTS65004: User declined to consent."}
        location = f"{query.get('redirect_uri', '')}/?{urlencode(parameters)}"
        return web.Response(status=302, headers={"Location": location})

    def _token(self, form: dict[str, str]) -> web.Response:
        kind = form.get("grant_type")
        code = form.get("device_code" if kind == _DEVICE_CODE else "code" if kind == "authorization_code" else "", "")
        grant = self._grants.get(code)
        if grant is None or grant.get("client_id") != form.get("client_id"):
            return _refused(
                "invalid_grant", "AADSTS70008: The provided authorization code or refresh token is expired."
            )
        if kind == _DEVICE_CODE and self.decision == "pending":
            return _refused("authorization_pending", "AADSTS70016: The application is waiting for the user.")
        if kind == _DEVICE_CODE and self.decision == "declined":
            return _refused("authorization_declined", "AADSTS70020: The user declined.")
        client_id, scopes = grant["client_id"], self._names(grant.get("scope", ""))
        token = bearer.issue_to_user(bearer.GRAPH, scopes, client_id=client_id)
        return web.json_response(
            {
                "token_type": "Bearer",
                "scope": " ".join(f"{bearer.GRAPH}/{scope}" for scope in scopes),
                "expires_in": 3600,
                "access_token": token,
                "id_token": self._id_token(client_id, grant.get("nonce")),
            }
        )

    def _id_token(self, client_id: str, nonce: str | None) -> str:
        now = int(time.time())
        claims: bearer.Claims = {
            "aud": client_id,
            "iss": f"{self.url}/{bearer.TENANT_ID}/v2.0",
            "iat": now,
            "exp": now + 3600,
            "sub": bearer.USER_ID,
            "oid": bearer.USER_ID,
            "tid": bearer.TENANT_ID,
            "preferred_username": bearer.USER,
        }
        return bearer.signed(claims | ({"nonce": nonce} if nonce else {}))

    def _unconsented(self, scope: str) -> web.Response | None:
        if set(self._names(scope)) <= self.consented:
            return None
        return _refused("invalid_grant", "AADSTS65001: The user or administrator has not consented to the application.")

    def _names(self, scope: str) -> list[str]:
        """Return the names of the permissions in a scope, without the scopes that every sign-in requests."""
        return [name.rpartition("/")[2] for name in scope.split() if name not in _NOT_RESOURCES]


def _refused(error: str, description: str) -> web.Response:
    return web.json_response({"error": error, "error_description": description}, status=400)
