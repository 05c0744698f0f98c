"""The columns of `DeviceInspection`, whose rows are what the next inspection and the next check remember."""

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from shared.model.counts import Counts, Inspected, Inspection
from shared.model.tokens import Connector
from shared.storage.rows import Column, Table, fits, json_text, key, stored


def _last[V](value: Callable[[Inspected], V | None]) -> Callable[[Inspection], V | None]:
    """`value` of the last complete inspection."""
    return lambda inspection: None if inspection.last is None else value(inspection.last)


def _counted[V](value: Callable[[Counts], V | None]) -> Callable[[Inspection], V | None]:
    return _last(lambda last: value(last.counts))


def inspection_memory(inspection: Inspection) -> str:
    """An inspection as JSON. Where it would not fit, it goes without examples; then one under way has to start over."""
    pause, last = inspection.pause, inspection.last
    lighter = [inspection]
    if pause:
        lighter.append(replace(inspection, pause=replace(pause, counts=replace(pause.counts, examples={}))))
    if last:
        bare = replace(last, counts=replace(last.counts, examples={}))
        lighter += [replace(one, last=bare) for one in (lighter[-1], replace(inspection, pause=None))]
    texts = (json_text(one) for one in lighter)
    return next((text for text in texts if fits(text)), json_text(replace(inspection, last=None, pause=None)))


DEVICE_INSPECTION: Final = Table[Inspection](
    "DeviceInspection",
    "The devices of each ADE token, as the last complete inspection counted them.",
    (
        Column("PartitionKey", "string", "The connector: `ade`.", lambda _: Connector.ADE.value),
        Column("RowKey", "string", "The token's ID.", lambda i: key(i.token_id)),
        Column("TokenName", "string", "The token's name.", lambda i: i.token_name),
        Column("InspectedOn", "datetime", "Start of the run that began the last complete inspection, to which all counts belong.", _last(lambda last: last.on)),
        Column("RunId", "string", "The ID of the run that wrote the row.", lambda i: i.run_id),
        Column("Complete", "boolean", "Whether that run completed the inspection. If not, the counts are older than `RunId`.", lambda i: i.complete),
        Column("Error", "string", "Why the inspection is not complete; for a complete one, what could not be read.", lambda i: i.error),
        Column("Devices", "int", "Devices of Automated Device Enrollment that are not deleted.", _counted(lambda c: c.devices)),
        Column("Deleted", "int", "Entries that are deleted. Intune keeps released devices for 30 to 45 days.", _counted(lambda c: c.deleted)),
        Column("Imported", "int", "Entries of other sources, such as Apple Configurator.", _counted(lambda c: c.imported)),
        Column("WithoutProfile", "int", "Devices without an enrollment profile.", _counted(lambda c: c.without_profile)),
        Column("Waiting", "int", "Of these, the devices that are not enrolled and have been in the list for more than a day.", _counted(lambda c: c.waiting)),
        Column("NotContacted", "int", "Devices with a profile that have had no contact for longer than `DEVICE_CONTACT_DAYS`.", _counted(lambda c: c.not_contacted)),
        Column("Failed", "int", "Devices whose enrollment failed.", _counted(lambda c: c.failed)),
        Column("Blocked", "int", "Devices whose enrollment is blocked.", _counted(lambda c: c.blocked)),
        Column("ByState", "string", 'JSON: devices by `enrollmentState`, such as `{"enrolled":300,"notContacted":40}`.', _counted(lambda c: json_text(c.by_state))),
        Column("ByPlatform", "string", 'JSON: devices by platform, such as `{"ios":300,"macOS":40}`.', _counted(lambda c: json_text(c.by_platform))),
        Column("DefaultProfiles", "string", 'JSON: the name of the default profile by platform, `null` for none, such as `{"ios":"Phones","macOS":null}`.', _last(lambda last: None if last.defaults is None else json_text(last.defaults))),
        Column("Examples", "string", 'JSON: serial numbers by symptom (`waiting`, `not_contacted`, `failed`, `blocked`), at most `DEVICE_EXAMPLES` for each. Personal data.', _counted(lambda c: json_text(c.examples))),
        Column("NewestDeviceOn", "datetime", "When the newest device was added to the list.", _counted(lambda c: stored(c.newest_on))),
        Column("Memory", "string", "JSON, internal: what the next inspection and the next check need.", inspection_memory),
    ),
)  # fmt: skip
