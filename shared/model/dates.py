"""Decides which dates are possible: Apple's and Intune's services have a beginning, and tokens last a few years."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec.structs import replace

from shared.model.tokens import Connector, Token, Unreadable
from shared.words import CLOCK_SKEW

FIRST: Final = datetime(2007, 1, 1, tzinfo=UTC)
"""No token, sync, or device is older: Apple's push service, enrollment program, and volume purchases began later."""

FURTHEST: Final = timedelta(days=3653)
"""Ten years ahead. Tokens and push certificates are valid for one year."""

_PROPERTIES: Final[Mapping[Connector, Mapping[str, str]]] = {
    Connector.ADE: {
        "expires_on": "tokenExpirationDateTime",
        "last_successful_sync": "lastSuccessfulSyncDateTime",
        "last_modified": "lastModifiedDateTime",
    },
    Connector.APNS: {"expires_on": "expirationDateTime"},
    Connector.VPP: {
        "expires_on": "expirationDateTime",
        "last_successful_sync": "lastSyncDateTime",
        "last_sync": "lastSyncDateTime",
        "last_modified": "lastModifiedDateTime",
    },
}
"""The dates that are judged, with Graph's names."""

_SYNCS: Final = frozenset({"last_successful_sync", "last_sync"})


def plausible(instant: datetime | None, now: datetime) -> datetime | None:
    """Return `instant`, or None if it is impossible."""
    return instant if instant is not None and instant >= FIRST and instant - now <= FURTHEST else None


def believable(token: Token, now: datetime) -> Token:
    """Return `token` with impossible dates as unreadable."""
    lost = []
    for field, name in _PROPERTIES[token.connector].items():
        instant = getattr(token, field)
        ahead = CLOCK_SKEW if field in _SYNCS else FURTHEST
        if instant is not None and (instant < FIRST or instant - now > ahead):
            lost.append(Unreadable(field=field, property=name, raw=instant.isoformat()))
    if not lost:
        return token
    return replace(token, **{one.field: None for one in lost}, unreadable=(*token.unreadable, *lost))
