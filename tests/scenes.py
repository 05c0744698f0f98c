"""Tenants at an instant, and the app's own runs in them."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.clients import open_clients
from shared.settings import Settings
from simulator.stack import applied
from simulator.tenant import Item, Tenant, ade_token, push_certificate, vpp_token

NOW = datetime(2026, 11, 23, 5, 7, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def ade(name="Contoso HQ", *, now=NOW, expires=200 * DAY, synced=5 * HOUR, **others) -> Item:
    """Return a healthy ADE token with `others` in place of its properties; `expires` and `synced` count from `now`."""
    return ade_token(name, expires=now + expires, synced=now - synced, **others)


def vpp(name="Contoso Apps", *, now=NOW, expires=170 * DAY, synced=4 * HOUR, **others) -> Item:
    return vpp_token(name, expires=now + expires, synced=now - synced, **others)


def push(*, now=NOW, expires=300 * DAY, **others) -> Item:
    return push_certificate(expires=now + expires, **others)


def tenant(*ades, vpps=None, apns=None, now=NOW) -> Tenant:
    """Return one healthy token of each connector, with `ades` in place of the ADE one."""
    return Tenant(ades or (ade(now=now),), (vpp(now=now),) if vpps is None else tuple(vpps), apns or push(now=now))


async def ran[T](work: Callable[..., Awaitable[T]], environment: Mapping[str, str], **run: Any) -> T:
    """Run the app's own `check` or `inspect` in this process."""
    with applied(environment):
        settings = Settings.load(environment)
        async with open_clients(settings) as clients:
            return await work(settings, clients, **run)
