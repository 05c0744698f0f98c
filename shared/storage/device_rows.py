"""Declares the columns of `DeviceInspection`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from shared.model.counts import Counts, Inspected, Inspection
from shared.model.tokens import Connector
from shared.storage.columns import Declare, RawText, Stored, fits, json_text, key, stored, table, unnamed_row


def _last[V](value: Callable[[Inspected], V | None]) -> Callable[[Inspection], V | None]:
    """Return a function that takes `value` from the last complete inspection."""
    return lambda inspection: None if inspection.last is None else value(inspection.last)


def _counted[V](value: Callable[[Counts], V | None]) -> Callable[[Inspection], V | None]:
    return _last(lambda last: value(last.counts))


def inspection_memory(inspection: Inspection) -> str:
    """Return an inspection as JSON: without examples if it is too long, then also without the unfinished inspection."""
    pause, last = inspection.pause, inspection.last
    lighter = [inspection]
    if pause:
        lighter.append(replace(inspection, pause=replace(pause, counts=replace(pause.counts, examples={}))))
    if last:
        bare = replace(last, counts=replace(last.counts, examples={}))
        lighter += [replace(one, last=bare) for one in (lighter[-1], replace(inspection, pause=None))]
    texts = (json_text(one) for one in lighter)
    return next((text for text in texts if fits(text)), json_text(replace(inspection, last=None, pause=None)))


_inspection = Declare[Inspection]()


@dataclass(frozen=True, kw_only=True)
class InspectionRow(Stored[Inspection]):
    """A row of `DeviceInspection`; counts are None if no inspection was complete."""

    table_name = "DeviceInspection"

    # fmt: off
    connector: str = _inspection("PartitionKey", "The connector: `ade`.", lambda _: Connector.ADE.value, missing="")
    row_key: RawText = _inspection("RowKey", "The token's ID.", lambda i: key(i.token_id))
    name: str = _inspection("TokenName", "The token's name.", lambda i: i.token_name, missing=unnamed_row)
    inspected_on: datetime | None = _inspection("InspectedOn", "Start of the run that began the last complete inspection, to which all counts belong.", _last(lambda last: last.on))
    run_id: str | None = _inspection("RunId", "The ID of the run that wrote the row.", lambda i: i.run_id)
    complete: bool | None = _inspection("Complete", "Whether that run completed the inspection. If not, the counts are older than `RunId`.", lambda i: i.complete)
    error: str | None = _inspection("Error", "Why the inspection is not complete; for a complete one, what could not be read.", lambda i: i.error)
    devices: int | None = _inspection("Devices", "Devices of Automated Device Enrollment that are not deleted.", _counted(lambda c: c.devices))
    deleted: int | None = _inspection("Deleted", "Entries that are deleted. Intune keeps released devices for 30 to 45 days.", _counted(lambda c: c.deleted))
    imported: int | None = _inspection("Imported", "Entries of other sources, such as Apple Configurator.", _counted(lambda c: c.imported))
    without_profile: int | None = _inspection("WithoutProfile", "Devices without an enrollment profile.", _counted(lambda c: c.without_profile))
    waiting: int | None = _inspection("Waiting", "Of these, the devices that are not enrolled and have been in the list for more than a day.", _counted(lambda c: c.waiting))
    not_contacted: int | None = _inspection("NotContacted", "Devices with a profile that have had no contact for longer than `DEVICE_CONTACT_DAYS`.", _counted(lambda c: c.not_contacted))
    failed: int | None = _inspection("Failed", "Devices whose enrollment failed.", _counted(lambda c: c.failed))
    blocked: int | None = _inspection("Blocked", "Devices whose enrollment is blocked.", _counted(lambda c: c.blocked))
    by_state: dict[str, int] = _inspection("ByState", 'JSON: devices by `enrollmentState`, such as `{"enrolled":300,"notContacted":40}`.', _counted(lambda c: json_text(c.by_state)), missing={})
    by_platform: dict[str, int] = _inspection("ByPlatform", 'JSON: devices by platform, such as `{"ios":300,"macOS":40}`.', _counted(lambda c: json_text(c.by_platform)), missing={})
    default_profiles: dict[str, str | None] | None = _inspection("DefaultProfiles", 'JSON: the name of the default profile by platform, `null` for none, such as `{"ios":"Phones","macOS":null}`.', _last(lambda last: None if last.defaults is None else json_text(last.defaults)))
    examples: str | None = _inspection("Examples", 'JSON: serial numbers by symptom (`waiting`, `not_contacted`, `failed`, `blocked`), at most `DEVICE_EXAMPLES` for each. Personal data.', _counted(lambda c: json_text(c.examples)), internal=True)
    newest_device_on: datetime | None = _inspection("NewestDeviceOn", "When the newest device was added to the list.", _counted(lambda c: stored(c.newest_on)))
    memory: str | None = _inspection("Memory", "JSON, internal: what the next inspection and the next check need.", inspection_memory, internal=True)
    # fmt: on


DEVICE_INSPECTION: Final = table(InspectionRow)
