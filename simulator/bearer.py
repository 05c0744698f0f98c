"""Issues and checks simulated bearer tokens of Entra ID: JWTs whose claims are checked and whose signature is not."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterable
from typing import Any, Final

from aiohttp import web
from azure.core.credentials import AccessToken

GRAPH: Final = "https://graph.microsoft.com"
STORAGE: Final = "https://storage.azure.com"
MONITOR: Final = "https://monitor.azure.com"
MANAGEMENT: Final = "https://management.azure.com"
"""The audiences of the public cloud."""

GRAPH_APP_ID: Final = "00000003-0000-0000-c000-000000000000"
GRAPH_FORMS: Final = (GRAPH, f"{GRAPH}/", GRAPH_APP_ID)
"""The forms of Graph's resource that Entra ID accepts: with and without a slash, and the application ID."""

TENANT_ID: Final = "7e7a4f6c-0c1d-4a52-9b1e-5f3c2a1d0e11"
CLIENT_ID: Final = "c11e0a5d-61f2-4f0b-8f57-2d9c3b7a4e22"
PRINCIPAL_ID: Final = "0b1ec701-d2a3-4b64-9c85-1e6f7d8a9b33"
"""The simulated tenant and the app's user-assigned identity in it."""

USER: Final = "oncall@contoso.com"
USER_ID: Final = "5e1f0c2a-93b7-4d18-8a66-0c4d5e6f7a81"
"""A person who signs in with a browser."""

SERVICE_ROLE: Final = "DeviceManagementServiceConfig.Read.All"
"""The application role that the three connectors and the inspection of devices need."""

EVENTS_ROLE: Final = "DeviceManagementManagedDevices.Read.All"
"""The additional role that reading Intune's record of failed enrollments needs."""

LIFETIME_SECONDS: Final = 24 * 3600
"""The lifetime of a managed identity's token: about a day."""

type Claims = dict[str, Any]


def issue(
    resource: str, *, roles: Iterable[str] = (), lifetime_seconds: int = LIFETIME_SECONDS, now: float | None = None
) -> tuple[str, Claims]:
    """Return a token for `resource` and its claims; like Entra ID, omit `roles` if there are none.

    The token is issued at `now` (epoch seconds), by default the real time.
    """
    who = {"appid": CLIENT_ID, "oid": PRINCIPAL_ID, "sub": PRINCIPAL_ID, "idtyp": "app"}
    claims = _claims(resource, lifetime_seconds, now) | who
    if granted := list(roles):
        claims["roles"] = granted
    return signed(claims), claims


def issue_to_user(resource: str, scopes: Iterable[str], *, client_id: str, lifetime_seconds: int = 3600) -> str:
    """Return a person's token for `resource`: it contains delegated permissions and no roles."""
    who = {"appid": client_id, "oid": USER_ID, "sub": USER_ID, "idtyp": "user", "upn": USER}
    return signed(_claims(resource, lifetime_seconds) | who | {"scp": " ".join(scopes)})


def _claims(resource: str, lifetime_seconds: int, now: float | None = None) -> Claims:
    now = int(time.time() if now is None else now)
    return {
        "aud": resource,
        "iss": f"https://sts.windows.net/{TENANT_ID}/",
        "iat": now,
        "nbf": now - 300,
        "exp": now + lifetime_seconds,
        "tid": TENANT_ID,
        "ver": "1.0",
    }


def signed(claims: Claims) -> str:
    """Return the claims as a JWT."""
    text = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
    signature = hmac.new(b"the simulator's own key", text.encode(), hashlib.sha256).digest()
    return f"{text}.{_encoded(signature)}"


def refusal(request: web.Request, audiences: Iterable[str]) -> str | None:
    """Return why the request's bearer token is refused; None if it is valid for one of `audiences`."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or not token:
        return "Access token is empty."
    claims = read(token)
    if claims is None:
        return "CompactToken parsing failed with error code: 80049217"
    if claims.get("aud", "").rstrip("/") not in {audience.rstrip("/") for audience in audiences}:
        return f"Access token validation failure. Invalid audience: {claims.get('aud')}."
    if not claims.get("nbf", 0) <= time.time() < claims.get("exp", 0):
        return "Lifetime validation failed, the token is expired."
    return None


def roles(request: web.Request) -> frozenset[str]:
    """Return the application roles in the request's token, or its delegated permissions."""
    claims = read(request.headers.get("Authorization", "").partition(" ")[2]) or {}
    return frozenset([*claims.get("roles", ()), *claims.get("scp", "").split()])


def read(token: str) -> Claims | None:
    """Return the claims of a token; None if it is not a token."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return None
    return claims if isinstance(claims, dict) else None


class StaticCredential:
    """A credential for the Azure SDKs that gives access to the simulated services without a sign-in."""

    def get_token(self, *scopes: str, **_options: object) -> AccessToken:
        """Return a token for the resource that the first scope names."""
        token, claims = issue(scopes[0].removesuffix("/.default"))
        return AccessToken(token, claims["exp"])


def _part(value: Claims) -> str:
    return _encoded(json.dumps(value).encode())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
