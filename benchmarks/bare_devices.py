"""Makes only an inspection's calls to Graph, with bare httpx and msgspec, as the baseline for the app.

Run it in a process of its own: `python benchmarks/bare_devices.py TOKEN_ID`, with the app's environment. It imports
nothing from the project, and prints one JSON line: the milliseconds of the calls and the number of decoded devices.
"""

import asyncio
import json
import os
import sys
import time
from datetime import datetime

import httpx
import msgspec

GRAPH = os.environ["GRAPH_ENDPOINT"]
SELECT = (
    "serialNumber,requestedEnrollmentProfileId,requestedEnrollmentProfileAssignmentDateTime,discoverySource,isDeleted,"
    "createdDateTime,lastContactedDateTime,enrollmentState,platform"
)
EXPAND = ",".join(
    f"default{name}EnrollmentProfile($select=id,displayName)" for name in ("Ios", "MacOs", "TvOS", "VisionOS")
)


class Device(msgspec.Struct, gc=False, rename="camel"):
    """The properties of a device that the inspection requests."""

    discovery_source: str | None = None
    serial_number: str | None = None
    requested_enrollment_profile_id: str | None = None
    requested_enrollment_profile_assignment_date_time: datetime | None = None
    is_deleted: bool | None = None
    created_date_time: datetime | None = None
    last_contacted_date_time: datetime | None = None
    enrollment_state: str | None = None
    platform: str | None = None


class Page(msgspec.Struct):
    """A page of the list."""

    value: list[Device]
    next_link: str | None = msgspec.field(name="@odata.nextLink", default=None)


async def inspect(token_id: str) -> int:
    async with httpx.AsyncClient(timeout=60, http2=True) as http:
        signed_in = await http.get(
            os.environ["IDENTITY_ENDPOINT"],
            params={
                "api-version": "2019-08-01",
                "resource": "https://graph.microsoft.com",
                "client_id": os.environ["AZURE_CLIENT_ID"],
            },
            headers={"X-IDENTITY-HEADER": os.environ["IDENTITY_HEADER"]},
        )
        bearer = {"Authorization": f"Bearer {signed_in.raise_for_status().json()['access_token']}"}

        async def get(url: str) -> bytes:
            return (await http.get(url, headers=bearer)).raise_for_status().content

        token = f"{GRAPH}/beta/deviceManagement/depOnboardingSettings/{token_id}"
        json.loads(await get(f"{token}/enrollmentProfiles?$select=id&$top=1000"))
        json.loads(await get(f"{token}?$select=id&$expand={EXPAND}"))
        devices, url = 0, f"{token}/importedAppleDeviceIdentities?$select={SELECT}&$top=1000"
        while url:
            page = msgspec.json.decode(await get(url), type=Page)
            devices += len(page.value)
            url = page.next_link or ""
        return devices


def main() -> None:
    begun = time.perf_counter()
    devices = asyncio.run(inspect(sys.argv[1]))
    print(json.dumps({"ms": 1000 * (time.perf_counter() - begun), "devices": devices}))


if __name__ == "__main__":
    main()
