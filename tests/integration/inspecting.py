"""Tokens with devices, and what is remembered of them."""

import json
from collections.abc import Mapping, Sequence

from azure.data.tables import UpdateMode

from shared.storage.device_rows import DEVICE_INSPECTION
from simulator import faults
from simulator.devices import DEFAULTS, KINDS, Devices, default_profiles, fixed_id, fleet, profile
from simulator.graph import ADE, DEVICES
from simulator.tenant import Item, Tenant
from tests.scenes import DAY, NOW, ade, push, vpp

HQ = fixed_id("Contoso HQ")
PLATFORMS = tuple(DEFAULTS.values())

JSON = ("ByState", "ByPlatform", "DefaultProfiles", "Examples", "Memory")
OF_THE_RUN = frozenset({"InspectedOn", "RunId", "Complete", "Error", "Memory"})


def some(token_id: str = HQ, *, now=NOW, **kinds: int) -> Devices:
    """Return devices by kind and number; see `simulator.devices.KINDS`."""
    return fleet(token_id, now, **kinds)


def owning(devices: Mapping[str, Sequence[Item]], *, now=NOW, synced: Mapping[str, int] | None = None) -> Tenant:
    """Healthy tokens, by name, with these devices, as many as each says itself, and a default profile everywhere."""
    lists = {fixed_id(name): listed for name, listed in devices.items()}
    return Tenant(
        tuple(
            ade(name, now=now, syncedDeviceCount=(synced or {}).get(name, len(listed)))
            for name, listed in devices.items()
        ),
        (vpp(now=now),),
        push(now=now),
        devices=lists,
        profiles={token_id: [profile(token_id=token_id)] for token_id in lists},
        defaults={token_id: default_profiles(token_id, *PLATFORMS) for token_id in lists},
    )


def spread(*names: str, now=NOW, **kinds: int) -> Tenant:
    """Return a tenant with tokens of these names, each with the same kinds of devices."""
    return owning({name: some(fixed_id(name), now=now, **kinds) for name in names}, now=now)


def remembered(monitor) -> dict[str, dict]:
    """Return the rows of `DeviceInspection` by the token's name, with their JSON decoded."""
    rows = monitor.sim.table_rows(DEVICE_INSPECTION.name)
    return {
        row["TokenName"]: {name: json.loads(value) if name in JSON else value for name, value in row.items()}
        for row in rows
    }


def the_row(monitor, name: str = "Contoso HQ") -> dict:
    return remembered(monitor)[name]


def counted(row: Mapping) -> dict:
    """Return what a row contains about devices, without the times and the run."""
    return {name: value for name, value in row.items() if name not in OF_THE_RUN}


def forge(monitor, name: str = "Contoso HQ", **memory) -> None:
    """Change what a row remembers, as a person with write access to the table could."""
    (row,) = [row for row in monitor.sim.table_rows(DEVICE_INSPECTION.name) if row["TokenName"] == name]
    changed = json.loads(row["Memory"])
    changed.update({key: {**changed[key], **value} for key, value in memory.items()})
    keys = {key: row[key] for key in ("PartitionKey", "RowKey")}
    with monitor.sim.tables.client() as tables:
        table = tables.get_table_client(DEVICE_INSPECTION.name)
        table.update_entity({**keys, "Memory": json.dumps(changed)}, mode=UpdateMode.MERGE)


# Where Graph keeps it


def lists(request) -> bool:
    """Return whether a request is for a page of devices."""
    return request.path.endswith(f"/{DEVICES}")


def further(request) -> bool:
    """Return whether a request is for a page of devices other than the first."""
    return lists(request) and "$skiptoken" in request.query


def of(name: str):
    """Return a function that states whether a request is for that token's devices."""
    path = f"{ADE}/{fixed_id(name)}/{DEVICES}"
    return lambda request: request.path == path


def further_of(name: str):
    """Return a function that states whether a request is for a later page of that token's devices."""
    path = f"{ADE}/{fixed_id(name)}/{DEVICES}"
    return lambda request: request.path == path and "$skiptoken" in request.query


def asked(monitor, which=lists) -> list:
    """Return the requests to Graph for which `which` returns true."""
    return [request for request in monitor.sim.graph.requests if which(request)]


def tokens_asked(monitor) -> list[str]:
    """Return the IDs of the tokens whose devices were requested, each once, in that order."""
    return list(dict.fromkeys(request.path.split("/")[-2] for request in asked(monitor)))


# Two lists of four pages each


NAMES = ("Contoso HQ", "Contoso Labs")
EVERYTHING = dict.fromkeys(KINDS, 3)
BEFORE = {"enrolled": 9, "waiting": 9}


def all_counted(monitor) -> dict[str, dict]:
    return {name: counted(row) for name, row in remembered(monitor).items()}


EXPECTED: dict[str, dict] = {}
"""What is stored of two lists of four pages each where nothing fails, once some test has needed it."""


async def undisturbed(monitor) -> dict[str, dict]:
    """Return these counts; the monitor is as it was before."""
    if not EXPECTED:
        sim = monitor.sim
        sim.graph.tenant = spread(*NAMES, **EVERYTHING)
        sim.graph.largest_page = 10
        await monitor.check()
        await monitor.inspect(DAY)
        EXPECTED.update(all_counted(monitor))
        again(monitor)
    return EXPECTED


async def changed_since_yesterday(monitor) -> dict[str, dict]:
    """The same lists, and what is remembered of others; no request is recorded yet."""
    sim = monitor.sim
    sim.graph.tenant = spread(*NAMES, **BEFORE)
    sim.graph.largest_page = 10
    await monitor.check()
    await monitor.inspect()
    yesterday = all_counted(monitor)
    sim.graph.tenant = spread(*NAMES, **EVERYTHING)
    monitor.now += DAY
    for server in monitor.servers:
        server.requests.clear()
    return yesterday


async def half_done(monitor) -> dict[str, dict]:
    """After a run in which Graph failed once two of four pages of each list were counted."""
    yesterday = await changed_since_yesterday(monitor)
    for name in NAMES:
        monitor.sim.graph.fail(of(name), faults.status(500), skip=2)
    assert await monitor.inspect() == {"failed": 2, "not_reached": 0}
    monitor.sim.graph.heal()
    monitor.sim.graph.requests.clear()
    return yesterday


def again(monitor) -> None:
    monitor.sim.reset()
    monitor.now = NOW
    monitor.sim.graph.clock = lambda: monitor.now
