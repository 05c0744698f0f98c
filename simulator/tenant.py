"""Creates the simulated tenant's data with pure functions of a clock: what Graph contains at an instant.

Names and domains are examples, GUIDs are made up. Property names, date forms and defaults follow public payloads:
https://learn.microsoft.com/graph/api/resources/intune-enrollment-deponboardingsetting?view=graph-rest-beta,
https://learn.microsoft.com/graph/api/resources/intune-onboarding-vpptoken?view=graph-rest-beta,
https://learn.microsoft.com/graph/api/resources/intune-devices-applepushnotificationcertificate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final

from simulator.devices import (
    NEVER,
    Item,
    default_profiles,
    device,
    fixed_id,
    fleet,
    graph_date,
    many_devices,
    profile,
    troubleshooting_events,
)

__all__ = [
    "APNS_SECRET",
    "NEVER",
    "TOPIC",
    "VPP_SECRET",
    "Item",
    "Tenant",
    "ade_token",
    "default_tenant",
    "device",
    "fixed_id",
    "graph_date",
    "healthy_tenant",
    "many",
    "many_devices",
    "push_certificate",
    "vpp_token",
]

VPP_SECRET: Final = "SECRET-VPP-TOKEN"
"""The beginning of every VPP token's `token`; the app must not store or send it."""
APNS_SECRET: Final = "SECRET-APNS-CERTIFICATE"
"""The beginning of the push certificate's `certificate`; the app must not store or send it."""

TOPIC: Final = "com.apple.mgmt.External.3f1d7c52-6a0e-4b7a-9c1d-8e2f5a6b7c80"


@dataclass(frozen=True)
class Tenant:
    """The content of Graph, which a test may change in any way."""

    ade: tuple[Item, ...] = ()
    vpp: tuple[Item, ...] = ()
    apns: Item | None = None
    """The push certificate; None if none is set up. Graph adds a new ID at each reading."""
    devices: Mapping[str, Sequence[Item]] = field(default_factory=dict)
    """Devices by token ID, as in the next two fields; a token that is not listed has none."""
    profiles: Mapping[str, Sequence[Item]] = field(default_factory=dict)
    defaults: Mapping[str, Mapping[str, Item | None]] = field(default_factory=dict)
    """Default profiles by token ID and platform: `Ios`, `MacOs`, `TvOS`, `VisionOS`."""
    events: Sequence[Item] = ()

    @cached_property
    def tokens(self) -> Mapping[str, Item]:
        """The ADE tokens by ID."""
        return {item["id"]: item for item in self.ade if isinstance(item.get("id"), str)}


def ade_token(name: str, *, expires: datetime | str, synced: datetime | str | None, **others: object) -> Item:
    """Return a `depOnboardingSetting`; `others` are properties by Graph's names and override the default ones.

    Its ID is made from the name; dates are instants or Graph's own text.
    """
    return {
        "@odata.type": "#microsoft.graph.depOnboardingSetting",
        "id": fixed_id(name),
        "appleIdentifier": "mdm@contoso.com",
        "tokenExpirationDateTime": _date(expires),
        "lastModifiedDateTime": graph_date(_modified(expires, synced)),
        "lastSuccessfulSyncDateTime": _date(synced),
        "lastSyncTriggeredDateTime": NEVER,
        "shareTokenWithSchoolDataSyncService": False,
        "lastSyncErrorCode": 0,
        "tokenType": "dep",
        "tokenName": name,
        "syncedDeviceCount": 120,
        "dataSharingConsentGranted": True,
        "roleScopeTagIds": ["0"],
        **others,
    }


def vpp_token(name: str, *, expires: datetime | str, synced: datetime | str | None, **others: object) -> Item:
    """Return a `vppToken` of the beta endpoint, including its secret; see `ade_token`."""
    return {
        "@odata.type": "#microsoft.graph.vppToken",
        "id": fixed_id(f"vpp {name}"),
        "organizationName": "Contoso Ltd",
        "vppTokenAccountType": "business",
        "appleId": "apps@contoso.com",
        "expirationDateTime": _date(expires),
        "lastModifiedDateTime": _date(synced),
        "lastSyncDateTime": _date(synced),
        "token": f"{VPP_SECRET}-{fixed_id(name)}",
        "lastSyncStatus": "completed",
        "automaticallyUpdateApps": True,
        "countryOrRegion": "us",
        "dataSharingConsentGranted": True,
        "displayName": name,
        "locationName": f"{name} location",
        "claimTokenManagementFromExternalMdm": False,
        "state": "valid",
        "roleScopeTagIds": ["0"],
        "tokenActionResults": [],
        **others,
    }


def push_certificate(*, expires: datetime | str, **others: object) -> Item:
    """Return the `applePushNotificationCertificate`; its upload status is null, as on every healthy one."""
    return {
        "appleIdentifier": "push@contoso.com",
        "topicIdentifier": TOPIC,
        "expirationDateTime": _date(expires),
        "certificateUploadStatus": None,
        "certificateUploadFailureReason": None,
        "certificateSerialNumber": "5C0FFEE5C0FFEE01",
        "certificate": f"{APNS_SECRET}-MIIFdjCCBF6gAwIBAgII",
        **others,
    }


def default_tenant(now: datetime) -> Tenant:
    """Return sixteen tokens with everything that checks and inspections can find; see the comment on each."""

    def ago(**part: float) -> datetime:
        return now - timedelta(**part)

    def ahead(**part: float) -> datetime:
        return now + timedelta(**part)

    fabrikam: Item = {"appleIdentifier": "ade@fabrikam.com"}
    ade = (
        ade_token("Contoso HQ", expires=ahead(days=212), synced=ago(hours=5), syncedDeviceCount=412),
        ade_token(  # the other type, and dates with an offset
            "Fabrikam Academy",
            expires=graph_date(ahead(days=150), offset_hours=-8),
            synced=graph_date(ago(hours=9), offset_hours=-8),
            tokenType="appleSchoolManager",
            **fabrikam,
        ),
        # Expired, and Apple still reports no error: the expiry must be judged before the code.
        ade_token("Contoso Retail", expires=ago(days=3), synced=ago(days=3, hours=2), id=fixed_id("Contoso Retail 1")),
        # A second token of that name, expiring at tier 30.
        ade_token("Contoso Retail", expires=ahead(days=26), synced=ago(hours=7), id=fixed_id("Contoso Retail 2")),
        ade_token("Contoso Field Service", expires=ahead(days=6), synced=ago(hours=3)),  # tier 7
        # The public capture: eight months ahead, code 3, no devices, last success three months ago.
        ade_token(
            "Fabrikam Logistics",
            expires=ahead(days=243),
            synced=ago(days=92),
            lastSyncErrorCode=3,
            syncedDeviceCount=0,
            **fabrikam,
        ),
        ade_token("Contoso Labs", expires=ahead(days=101), synced=ago(hours=14), lastSyncErrorCode=17),  # unknown code
        ade_token("Contoso Warehouse", expires=ahead(days=188), synced=ago(hours=50)),  # stale
        ade_token(  # never synced
            "Fabrikam Kiosks",
            expires=ahead(days=355),
            synced=NEVER,
            lastModifiedDateTime=graph_date(ago(days=10)),
            syncedDeviceCount=0,
            **fabrikam,
        ),
        ade_token(  # not set up: a public key was downloaded, a token never uploaded
            "Contoso Pilot",
            expires=NEVER,
            synced=NEVER,
            lastModifiedDateTime=graph_date(ago(days=40)),
            tokenType="none",
            appleIdentifier=None,
            syncedDeviceCount=0,
            dataSharingConsentGranted=False,
        ),
        ade_token(  # unreadable: there is no thirteenth month
            "Contoso Archive",
            expires="2027-13-01T00:00:00.0000000Z",
            synced=ago(hours=6),
            lastModifiedDateTime=graph_date(ago(days=200)),
        ),
    )
    vpp = (
        vpp_token("Contoso Apps", expires=ahead(days=52), synced=ago(hours=4)),  # tier 60
        vpp_token("Contoso Books", expires=ahead(days=170), synced=ago(hours=4), state="invalid"),
        vpp_token("Contoso Apps copy", expires=ahead(days=260), synced=ago(hours=11), state="duplicateLocationId"),
        vpp_token(  # its last sync failed
            "Fabrikam Apps",
            expires=ahead(days=300),
            synced=ago(hours=2),
            lastSyncStatus="failed",
            organizationName="Fabrikam, Inc.",
            appleId="apps@fabrikam.com",
        ),
    )
    devices = _default_devices(now, {token["tokenName"]: token["id"] for token in ade})
    labs = fixed_id("Contoso Labs")  # it has Macs and no default profile for them
    return Tenant(
        ade,
        vpp,
        push_certificate(expires=ahead(days=12)),  # tier 14
        devices=devices,
        profiles={token_id: [profile(token_id=token_id)] for token_id in devices},
        defaults={
            **{token_id: default_profiles(token_id, "Ios", "MacOs") for token_id in devices},
            labs: default_profiles(labs, "Ios"),
        },
        events=troubleshooting_events(15, now),
    )


def _default_devices(now: datetime, ids: Mapping[str, str]) -> dict[str, Sequence[Item]]:
    """Return as many devices as `syncedDeviceCount`, or as a comment states, and deleted and imported ones."""
    counts: tuple[tuple[str, dict[str, int]], ...] = (
        ("Contoso HQ", {"enrolled": 390, "assigned": 20, "added": 2, "deleted": 6, "imported": 4}),
        ("Fabrikam Academy", {"enrolled": 100, "waiting": 9, "bare": 5, "added": 6}),  # waiting without a profile
        ("Contoso Field Service", {"enrolled": 104, "failed": 11, "blocked": 5, "deleted": 2}),  # enrollments fail
        ("Contoso Warehouse", {"enrolled": 70, "idle": 4, "deleted": 3}),  # 46 of 120 are missing
        ("Contoso Labs", {"enrolled": 110, "reset": 6, "odd": 3, "foreign": 1}),  # no default profile for its Macs
        ("Contoso Archive", {"enrolled": 118, "idle": 2}),
    )
    devices: dict[str, Sequence[Item]] = {ids[name]: fleet(ids[name], now, **kinds) for name, kinds in counts}
    for number in (1, 2):
        token_id = fixed_id(f"Contoso Retail {number}")
        devices[token_id] = fleet(token_id, now, enrolled=120)
    return devices


def healthy_tenant(now: datetime) -> Tenant:
    """Return one token of each connector, without any finding, also about devices."""
    hq = ade_token("Contoso HQ", expires=now + timedelta(days=212), synced=now - timedelta(hours=5))
    token_id = hq["id"]
    return Tenant(
        (hq,),
        (vpp_token("Contoso Apps", expires=now + timedelta(days=170), synced=now - timedelta(hours=4)),),
        push_certificate(expires=now + timedelta(days=300)),
        devices={token_id: fleet(token_id, now, enrolled=110, assigned=10, deleted=4)},
        profiles={token_id: [profile(token_id=token_id)]},
        defaults={token_id: default_profiles(token_id, "Ios", "MacOs")},
    )


def many(number: int, now: datetime, *, devices: int = 0) -> Tenant:
    """Return a tenant of `number` ADE tokens, every tenth of them expired, expiring, stale, or in error.

    With `devices`, each token has that many, of every kind, and no default profile.
    """
    troubles: tuple[Item, ...] = (
        {"tokenExpirationDateTime": graph_date(now - timedelta(days=2))},
        {"tokenExpirationDateTime": graph_date(now + timedelta(days=20))},
        {"lastSuccessfulSyncDateTime": graph_date(now - timedelta(hours=80))},
        {"lastSyncErrorCode": 3},
    )

    def token(index: int) -> Item:
        healthy = ade_token(
            f"Contoso site {index:04d}",
            expires=now + timedelta(days=90 + index % 270),
            synced=now - timedelta(minutes=10 + index % 600),
            syncedDeviceCount=devices or 20 + index % 500,
        )
        return healthy if index % 10 else {**healthy, **troubles[index // 10 % len(troubles)]}

    tokens = tuple(token(index) for index in range(number))
    ids = [item["id"] for item in tokens] if devices else []
    return Tenant(tokens, devices={token_id: many_devices(devices, token_id, now) for token_id in ids})


def _date(value: datetime | str | None) -> str | None:
    return graph_date(value) if isinstance(value, datetime) else value


def _modified(expires: datetime | str, synced: datetime | str | None) -> datetime:
    """Return when a token with those dates was last uploaded: a year before it expires, and not after its last sync."""
    candidates = []
    if isinstance(expires, datetime):
        candidates.append(expires - timedelta(days=365))
    if isinstance(synced, datetime):
        candidates.append(synced)
    return min(candidates, default=datetime(2026, 1, 1, tzinfo=UTC))
