"""Prepares the situations of docs/operations.md: what happened in a simulated tenant before a command was run."""

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

from cli_scene import ade, push, tenant, vpp
from operators import Operator

from simulator import faults
from simulator.devices import default_profiles, fleet, profile
from simulator.tenant import NEVER, TOPIC, Tenant
from tests.scenes import DAY, HOUR, MINUTE

NOW = datetime(2026, 11, 24, 2, 14, tzinfo=UTC)
"""The time at which the commands run."""

LAST = 7 * MINUTE
"""The age of the last check."""

TOOK = 1900
"""The milliseconds that each check takes, because the time of a real one differs."""

HQ, RETAIL, LABS, WAREHOUSE = "Contoso HQ", "Contoso Retail", "Contoso Labs", "Contoso Warehouse"


class Night(Operator):
    """A scene with faults that last until the command has run."""

    meanwhile: contextlib.ExitStack


SITUATIONS: dict[str, Callable[[Night], object]] = {}
"""The functions that prepare a situation, by its name on the page."""


def situation(make: Callable[[Night], object]) -> Callable[[Night], object]:
    """Register a function as the situation of the same name."""
    SITUATIONS[make.__name__.replace("_", "-")] = make
    return make


# Tokens


@situation
def expired(night):
    night.hourly(3, of=tenant(ade(HQ), ade(RETAIL, expires=-30 * MINUTE, synced=9 * HOUR)))


@situation
def expiring(night):
    night.hourly(2, of=tenant(ade(HQ), ade(RETAIL, expires=12 * DAY), vpps=[vpp(expires=25 * DAY)]))


@situation
def terms(night):
    night.hourly(2, ade(HQ), ade(RETAIL, synced=40 * HOUR, lastSyncErrorCode=3))


@situation
def sync(night):
    night.hourly(2, ade(HQ), ade(RETAIL, synced=40 * HOUR), ade(LABS, synced=14 * HOUR, lastSyncErrorCode=17))


@situation
def removed(night):
    night.check(ade(HQ), ade(LABS), ago=2 * HOUR + LAST)
    night.hourly(2, ade(HQ))


@situation
def topic(night):
    night.check(of=tenant(apns=push()), ago=HOUR + LAST)
    night.check(of=tenant(apns=push(expires=364 * DAY, topicIdentifier=f"{TOPIC[:-4]}9d04")), ago=LAST)


@situation
def apps(night):
    refused = vpp("Contoso Books", state="assignedToExternalMDM")
    night.hourly(2, of=tenant(vpps=[vpp(), refused, vpp("Contoso Apps copy", state="duplicateLocationId")]))


@situation
def unreadable(night):
    night.hourly(2, ade(HQ), ade(LABS, tokenExpirationDateTime="2027-13-01T00:00:00Z"))


@situation
def info(night):
    night.check(ade(HQ), ade(RETAIL), ago=HOUR + LAST)
    pilot = ade("Contoso Pilot", tokenType="none", tokenExpirationDateTime=NEVER, lastSuccessfulSyncDateTime=NEVER)
    night.check(ade(HQ), ade(RETAIL, appleIdentifier="jo@contoso.com"), pilot, ago=LAST)


@situation
def renewed(night):
    """Renew the token after the last check, and have the requested check finish at once."""
    night.hourly(2, ade(HQ), ade(RETAIL, expires=-90 * MINUTE, synced=9 * HOUR))
    night.check(ade(HQ), ade(RETAIL, expires=365 * DAY, synced=9 * HOUR), ago=timedelta(0))
    asked = {**night.sim.table_rows("CheckRun")[0], "DurationMs": TOOK}
    with night.sim.tables.client() as client:
        client.get_table_client("CheckRun").delete_entity(asked["PartitionKey"], asked["RowKey"])
    night.meanwhile.enter_context(patch.object(night.sim.arm, "_run", lambda _: night.put("CheckRun", asked)))


# Devices


def _fleets(back: timedelta = timedelta(0)) -> Tenant:
    """Return devices that wait or fail, a list that is shorter than Apple's count, and a healthy token."""
    fleets = {
        HQ: {"enrolled": 120},
        RETAIL: {"enrolled": 111, "waiting": 9},
        LABS: {"enrolled": 104, "failed": 11, "blocked": 5},
        WAREHOUSE: {"enrolled": 70, "idle": 4},
    }
    tokens = tuple(ade(name, synced=back + 5 * HOUR) for name in fleets)
    ids = {token["tokenName"]: token["id"] for token in tokens}
    return Tenant(
        tokens,
        (vpp(synced=back + 4 * HOUR),),
        push(),
        devices={ids[name]: fleet(ids[name], NOW - back, **kinds) for name, kinds in fleets.items()},
        profiles={token_id: [profile(token_id=token_id)] for token_id in ids.values()},
        defaults={token_id: default_profiles(token_id, "Ios", "MacOs") for token_id in ids.values()},
    )


@situation
def devices(night):
    before = 8 * DAY
    night.check(of=_fleets(before), ago=before)
    night.inspect(ago=before)
    night.inspect(of=_fleets(), ago=37 * MINUTE)
    night.check(of=_fleets(), ago=LAST)


@situation
def not_inspected(night):
    night.check(ade(HQ, synced=3 * DAY), ade(RETAIL, synced=3 * DAY), ago=60 * HOUR)
    night.inspect(ago=59 * HOUR)
    night.hourly(2, ade(HQ), ade(RETAIL))


# The monitor itself


@situation
def well(night):
    night.hourly(4, ade(HQ), ade(RETAIL))


@situation
def role_missing(night):
    """Revoke the role in a tenant that watches one connector; the others would report the same."""
    night.sim.identity.roles, night.sim.graph.directory.grants = [], []
    night.sim.graph.fail("deviceManagement", faults.missing_role())
    night.hourly(24, ade(HQ), ade(RETAIL), CONNECTORS="ade")


@situation
def outage(night):
    night.check(ade(HQ), ade(RETAIL), ago=HOUR + LAST)
    night.sim.graph.fail("", faults.status(503, retry_after=3600))
    night.hourly(1, ade(HQ), ade(RETAIL), CHECK_TIMEOUT_SECONDS="3")


@situation
def unpublished(night):
    night.check(ade(HQ), ade(RETAIL), ago=2 * HOUR + LAST)
    night.sim.ingestion.fail("", faults.status(403, error="OperationFailed"))
    night.hourly(2, ade(HQ), ade(RETAIL))


@situation
def stopped(night):
    tokens = (ade(HQ, synced=11 * HOUR), ade(RETAIL, synced=13 * HOUR, expires=12 * DAY))
    night.check(of=Tenant(tokens, (vpp(synced=8 * HOUR),), push()), ago=6 * HOUR + LAST)
    night.sim.graph.tenant = tenant(ade(HQ), ade(RETAIL, synced=13 * HOUR, lastSyncErrorCode=3, expires=12 * DAY))
    night.sim.arm.state = "Stopped"


@situation
def rule_disabled(night):
    well(night)
    night.sim.arm.disabled_rules.add("token_critical")


@situation
def eventful(night):
    """Let a token expire and be renewed, and let one check get no answer from Graph."""
    for hours in range(6, -1, -1):
        if hours == 3:
            night.sim.graph.fail("depOnboardingSettings", faults.status(503, retry_after=3600))
        night.check(
            ade(HQ, synced=9 * HOUR, lastSyncErrorCode=3 if hours > 2 else 0),
            ade(RETAIL, synced=9 * HOUR, expires=-5 * HOUR if hours > 1 else 365 * DAY),
            ago=hours * HOUR + LAST,
            CHECK_TIMEOUT_SECONDS="3",
        )
        night.sim.graph.heal()
