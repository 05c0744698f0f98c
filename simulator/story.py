"""Plays the scenario: runs the check and the inspection every hour, and the alert rules every 15 minutes."""

import asyncio
import os
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from shared.check import check
from shared.clients import open_clients
from shared.inspection import inspect
from shared.model.runs import Run
from shared.settings import Settings
from simulator import faults, rules
from simulator.scenario import Scene, scenario
from simulator.stack import Simulator, applied

CHECK_EVERY = timedelta(hours=1)
INSPECT_AFTER = timedelta(minutes=30)
"""The time from a check to the inspection, as in their schedules."""


class Moment(NamedTuple):
    """An evaluation of the alert rules in the story, every 15 minutes."""

    on: datetime
    run: Run | None
    """The check, if one was due."""
    alerts: list[rules.Event]
    """The alerts that the rules fired and resolved."""


def play(sim: Simulator, start: datetime, days: float) -> Iterator[Moment]:
    """Play the story, `days` long from `start`; the app runs in this process, on the story's clock."""
    engine = rules.AlertEngine(sim.con, [rule.deployed(start) for rule in (*rules.RULES, rules.SUMMARY)])
    moments = int(timedelta(days=days) / rules.FREQUENCY)
    with applied(sim.env()), asyncio.Runner() as runner:
        settings = Settings.load(os.environ)
        for number in range(moments):
            now = start + number * rules.FREQUENCY
            due = (now - start) % CHECK_EVERY == timedelta(0)
            if due:
                _set(sim, scenario(now, start, days))
            run = runner.run(_check(settings, now)) if due else None
            if (now - start) % CHECK_EVERY == INSPECT_AFTER:
                runner.run(_inspect(settings, now))
            yield Moment(now, run, engine.evaluate(now))


def inspect_once(sim: Simulator, now: datetime) -> None:
    """Run an inspection in this process, at the time `now`."""
    with applied(sim.env()):
        asyncio.run(_inspect(Settings.load(os.environ), now))


def _set(sim: Simulator, scene: Scene) -> None:
    sim.graph.tenant = scene.tenant
    sim.graph.heal()
    if scene.outage:
        sim.graph.fail("", faults.status(502))


async def _check(settings: Settings, now: datetime) -> Run:
    async with open_clients(settings) as clients:
        return await check(settings, clients, run_id=str(uuid.uuid4()), now=now)


async def _inspect(settings: Settings, now: datetime) -> None:
    async with open_clients(settings) as clients:
        await inspect(settings, clients, run_id=str(uuid.uuid4()), now=now)
