"""Signs in to Microsoft Graph so that a role that is granted late does not wait until a cached token expires.

Azure caches a managed identity's token for about 24 hours, separately for each resource, and issues no newer one:
https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/managed-identity-best-practice-recommendations#limitation-of-using-managed-identities-for-authorization
Graph accepts three forms of its resource, so there are three tokens. A request also fixes a token's roles for a day, so
the forms are requested in turn, with time for a grant between them. The tokens' claims date them.
"""

import asyncio
import base64
import logging
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError

from shared.model.runs import GraphToken
from shared.text import bounded

_log: Final = logging.getLogger(__name__)

GRAPH_APP_ID: Final = "00000003-0000-0000-c000-000000000000"
"""Microsoft Graph's application ID in every cloud."""

WAITS: Final = (timedelta(), timedelta(hours=1), timedelta(hours=6))
"""The age of the first form's token from which each form is requested."""

_APART: Final = timedelta(hours=1)
"""The least time between two forms."""

_RENEWED_SECONDS: Final = 300
_ANOTHER_SECONDS: Final = 10
"""The longest time that a run waits for a form other than the first."""


class Held(NamedTuple):
    """The claims of one form's token."""

    resource: str
    roles: frozenset[str]
    issued_on: datetime
    expires_on: datetime


class _Payload(msgspec.Struct):
    iat: float
    exp: float
    roles: list[str] = []
    scp: str | None = None
    """The delegated permissions, which only a person's token has."""


def forms(audience: str) -> tuple[str, ...]:
    """Return the forms of Graph's resource in the order of their requests."""
    return audience, f"{audience}/", GRAPH_APP_ID


def turn(held: Sequence[Held], number: int) -> datetime:
    """Return when the form of that number (from 0) may be requested, after those of `held`."""
    return max(held[0].issued_on + WAITS[number], held[-1].issued_on + _APART)


def chosen(held: Sequence[Held], needed: Sequence[str], next_turn: datetime | None) -> GraphToken:
    """Return the first of `held` with the most important roles of `needed`, which are in order of importance.

    `next_turn` is that of the next form; None if every form was requested.
    """
    best = max(held, key=lambda one: [role in one.roles for role in needed])
    lacks = tuple(role for role in needed if role not in best.roles)
    oldest_ends = min(one.expires_on for one in held)
    retry_on = min(next_turn or oldest_ends, oldest_ends)
    return GraphToken(resource=best.resource, lacks=lacks, expires_on=best.expires_on, retry_on=retry_on)


class GraphCredential(AsyncTokenCredential):
    """Returns access tokens for Graph, for any scope; whoever passes `credential` closes it."""

    def __init__(
        self,
        credential: AsyncTokenCredential,
        resources: Sequence[str],
        *,
        needed: Sequence[str] = (),
        now: datetime | None = None,
    ) -> None:
        """`resources` are forms of Graph's resource; those after the first are only for a managed identity.

        `needed` are the app's roles in order of importance; `now` is the start of the run.
        """
        self._credential = credential
        self._resources = resources
        self._needed = needed
        self._now = now or datetime.now(UTC)
        self._lock = asyncio.Lock()
        self._kept: AccessToken | None = None
        self.token: GraphToken | None = None
        """The token in use; None before the first one, for a person's, and if its claims cannot be read."""
        self.by_person = False
        """Whether the token in use is a person's."""

    async def get_token(
        self,
        *scopes: str,  # noqa: ARG002 # the resource is this class's own choice
        claims: str | None = None,
        tenant_id: str | None = None,
        enable_cae: bool = False,
        **kwargs: Any,  # noqa: ANN401 # the base's
    ) -> AccessToken:
        """Return the run's token, a new one if Graph refused the last (`claims`) or it is about to expire.

        An AzureError means that no token is issued for the first form.
        """
        async with self._lock:
            if claims or self._kept is None or self._kept.expires_on - time.time() < _RENEWED_SECONDS:
                options = {"claims": claims, "tenant_id": tenant_id, "enable_cae": enable_cae, **kwargs}
                self._kept = await self._choose(options)
            return self._kept

    async def _choose(self, options: dict[str, Any]) -> AccessToken:
        first = await self._credential.get_token(_scope(self._resources[0]), **options)
        payload = _payload(first.token)
        self.by_person = payload is not None and payload.scp is not None
        claims = _held(self._resources[0], payload)
        if claims is None:
            self.token = None
            return first
        tokens, asked = {claims: first}, 1
        next_turn = self._turn(tokens, asked)
        while next_turn and next_turn <= self._now and chosen([*tokens], self._needed, None).lacks:
            tokens |= await self._another(self._resources[asked], options)
            asked += 1
            next_turn = self._turn(tokens, asked)
        self.token = chosen([*tokens], self._needed, next_turn)
        return next(token for of, token in tokens.items() if of.resource == self.token.resource)

    def _turn(self, held: Iterable[Held], asked: int) -> datetime | None:
        return turn([*held], asked) if asked < len(self._resources) else None

    async def _another(self, resource: str, options: dict[str, Any]) -> dict[Held, AccessToken]:
        """Return the token for another form, if Entra issues one: the run can continue without it."""
        try:
            async with asyncio.timeout(_ANOTHER_SECONDS):
                token = await self._credential.get_token(_scope(resource), **options)
        except (AzureError, TimeoutError) as error:
            _log.warning("No token for Graph in the form %s: %s", resource, bounded(str(error) or "no answer in time"))
            return {}
        claims = _held(resource, _payload(token.token))
        return {claims: token} if claims else {}

    async def close(self) -> None:
        """Do nothing: the credential belongs to whoever passed it."""

    async def __aexit__(self, *_: object) -> None:
        """Do nothing, as `close`."""


def _scope(resource: str) -> str:
    """Return the scope for which azure-identity sends exactly `resource` to the identity's endpoint."""
    return f"{resource}/.default"


def _payload(token: str) -> _Payload | None:
    """Return the claims of a token; None if they cannot be read."""
    try:
        encoded = token.split(".")[1]
        return msgspec.json.decode(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)), type=_Payload)
    except (IndexError, ValueError):
        return None


def _held(resource: str, claims: _Payload | None) -> Held | None:
    """Return the claims of an application's token; None for a person's, and if they cannot be read."""
    if claims is None or claims.scp is not None:
        return None
    try:
        issued_on, expires_on = (datetime.fromtimestamp(instant, UTC) for instant in (claims.iat, claims.exp))
    except (ValueError, OverflowError, OSError):
        return None
    return Held(resource, frozenset(claims.roles), issued_on, expires_on)
