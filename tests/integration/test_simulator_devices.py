"""The simulated Graph's devices, profiles, default profiles and failed enrollments, as a client sees them."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest

from simulator import bearer, faults
from simulator.devices import (
    DEFAULTS,
    KINDS,
    MIXED,
    PROFILE_SECRET,
    ZERO_GUID,
    default_profiles,
    enrollment_event,
    fleet,
    profile,
    profile_id,
    troubleshooting_events,
)
from simulator.graph import ADE, DEVICES, EVENTS, PROFILES
from simulator.scenario import events, scenario
from simulator.tenant import NEVER, Tenant, ade_token, default_tenant, device, fixed_id, many, many_devices

NOW = datetime(2026, 11, 23, 5, 7, tzinfo=UTC)
HOUR = timedelta(hours=1)
TOKEN = ade_token("Contoso HQ", expires=NOW, synced=NOW)
ID = TOKEN["id"]
BOTH = [bearer.SERVICE_ROLE, bearer.EVENTS_ROLE]


def at(token_id=ID, part=""):
    return f"{ADE}/{quote(token_id, safe='')}{part and f'/{part}'}"


@pytest.fixture
async def get(sim):
    async with httpx.AsyncClient(verify=sim.tls.client(), trust_env=False, timeout=10) as client:

        async def ask(path, roles=BOTH, **query):
            token, _ = bearer.issue(bearer.GRAPH, roles=roles)
            url = path if path.startswith("http") else f"{sim.graph.url}{path}"
            params = {f"${name}": value for name, value in query.items()} or None
            return await client.get(url, params=params, headers={"Authorization": f"Bearer {token}"})

        yield ask


async def pages(get, path, **query):
    page = (await get(path, **query)).json()
    found = [page]
    while link := page.get("@odata.nextLink"):
        page = (await get(link)).json()
        found.append(page)
    return found


def refused(answer):
    return answer.status_code, answer.json()["error"]["code"]


# Lists below a token


@pytest.mark.parametrize(
    ("query", "sizes"),
    [
        ({}, [100, 100, 50]),
        ({"top": "200"}, [200, 50]),
        ({"top": "5000"}, [240, 10]),
        ({"top": "250"}, [240, 10]),
        ({"top": "240"}, [240, 10]),
    ],
)
async def test_a_list_of_devices_is_paged_to_its_end(sim, get, query, sizes):
    sim.graph.largest_page = 240
    listed = many_devices(250, ID, NOW)
    sim.graph.tenant = Tenant((TOKEN,), devices={ID: listed})
    found = await pages(get, at(part=DEVICES), **query)
    assert [len(page["value"]) for page in found] == sizes
    assert [item for page in found for item in page["value"]] == list(listed)
    assert found[0]["@odata.context"].endswith(
        f"/beta/$metadata#deviceManagement/depOnboardingSettings('{ID}')/{DEVICES}"
    )


async def test_select_goes_on_from_page_to_page(sim, get):
    sim.graph.tenant = Tenant((TOKEN,), devices={ID: many_devices(30, ID, NOW)})
    found = await pages(get, at(part=DEVICES), top="20", select="serialNumber, platform")
    assert [len(page["value"]) for page in found] == [20, 10]
    assert {tuple(item) for page in found for item in page["value"]} == {("serialNumber", "platform")}


async def test_a_page_is_what_it_was_when_it_is_asked_for_again_and_follows_a_new_tenant(sim, get):
    listed = many_devices(30, ID, NOW)
    sim.graph.tenant = Tenant((TOKEN,), devices={ID: listed})
    first = await get(at(part=DEVICES), top="20")
    await get(at(part=DEVICES), top="20", select="id")
    listed._made.clear()
    assert (await get(at(part=DEVICES), top="20")).content == first.content
    assert not listed._made  # nothing was made again
    sim.graph.tenant = Tenant((TOKEN,), devices={ID: many_devices(20, ID, NOW + HOUR)})
    other = (await get(at(part=DEVICES), top="20")).json()
    assert other["value"] != first.json()["value"]
    assert "@odata.nextLink" not in other


async def test_a_list_of_devices_may_hold_whatever_json_can_hold(sim, get):
    hostile = device('"; drop\u2028\x00\ud800 ', token_id=ID, now=NOW, enrollmentState=7, createdDateTime=[None])
    sim.graph.tenant = Tenant((TOKEN,), devices={ID: [hostile]})
    assert json.loads((await get(at(part=DEVICES))).content)["value"] == [hostile]


async def test_the_position_in_a_list_is_opaque_and_expires(sim, get):
    sim.graph.tenant = Tenant((TOKEN,), devices={ID: many_devices(30, ID, NOW)})
    link = (await get(at(part=DEVICES), top="20")).json()["@odata.nextLink"]
    (position,) = parse_qs(urlsplit(link).query)["$skiptoken"]
    assert not position.isdecimal()
    assert len((await get(link)).json()["value"]) == 10
    sim.graph.era += 1
    assert refused(await get(link)) == (400, "BadRequest")
    assert refused(await get(link.replace("Skip", "Jump"))) == (400, "BadRequest")


@pytest.mark.parametrize("top", ["0", "-1", "many", ""])
async def test_a_page_of_no_size_is_refused(get, top):
    assert refused(await get(ADE, top=top)) == (400, "BadRequest")


@pytest.mark.parametrize("option", ["select", "top"])
async def test_a_graph_that_refuses_an_option_does_so_for_devices_alone(sim, get, option):
    sim.graph.tenant = Tenant((TOKEN,), devices={ID: many_devices(30, ID, NOW)}, profiles={ID: [profile(token_id=ID)]})
    asked = {"select": "id", "top": "7"}
    setattr(sim.graph, f"refuses_{option}", True)
    assert refused(await get(at(part=DEVICES), **asked)) == (400, "BadRequest")
    assert (await get(at(part=DEVICES), **{name: asked[name] for name in asked if name != option})).status_code == 200
    assert (await get(ADE, **asked)).status_code == 200
    assert (await get(at(part=PROFILES), **asked)).status_code == 200
    sim.graph.reset()
    sim.graph.tenant = Tenant((TOKEN,))
    assert (await get(at(part=DEVICES), **asked)).json()["value"] == []


@pytest.mark.parametrize("part", ["", DEVICES, PROFILES])
async def test_an_unknown_token_has_no_address(get, part):
    assert refused(await get(at(fixed_id("nobody's"), part))) == (404, "ResourceNotFound")


@pytest.mark.parametrize("path", [at(part="defaultProfiles"), at().replace("beta", "v1.0"), at(part=f"{DEVICES}/one")])
async def test_other_addresses_below_a_token_are_not_served(sim, get, path):
    sim.graph.tenant = Tenant((TOKEN,))
    assert refused(await get(path)) == (404, "BadRequest")


@pytest.mark.parametrize("odd", ["a/b", "50%", "a b?c#d", "ü", "it's"])
async def test_a_token_of_an_odd_id_is_found(sim, get, odd):
    sim.graph.tenant = Tenant(({**TOKEN, "id": odd},), devices={odd: many_devices(3, odd, NOW)})
    assert (await get(at(odd))).json()["id"] == odd
    assert len((await get(at(odd, DEVICES))).json()["value"]) == 3


async def test_faults_strike_in_the_middle_of_a_list(sim, get):
    sim.graph.tenant = Tenant((TOKEN,), devices={ID: many_devices(30, ID, NOW)})
    sim.graph.fail(DEVICES, faults.status(503), skip=1, times=1)
    sim.graph.fail(DEVICES, faults.item_is(7), times=1)
    found = [await get(at(part=DEVICES), top="10") for _ in range(3)]
    assert [answer.status_code for answer in found] == [200, 503, 200]
    assert found[0].json()["value"][0] == 7


# Profiles


async def test_profiles_hold_a_password_unless_select_leaves_it_out(sim, get):
    listed = [profile("One", token_id=ID), profile("Macs", token_id=ID, platform="MacOs")]
    sim.graph.tenant = Tenant((TOKEN,), profiles={ID: listed})
    assert (await get(at(part=PROFILES))).json()["value"] == listed
    assert listed[1]["adminAccountPassword"].startswith(PROFILE_SECRET)
    (one, _) = (await get(at(part=PROFILES), select="id,displayName")).json()["value"]
    assert one == {
        "@odata.type": "#microsoft.graph.depIOSEnrollmentProfile",
        "id": f"{ID}_{profile_id(ID, 'One')}",
        "displayName": "One",
    }


async def test_one_request_brings_the_default_profiles(sim, get):
    sim.graph.tenant = Tenant((TOKEN,), defaults={ID: default_profiles(ID, "Ios", "MacOs")})
    expand = ",".join(f"{name}($select=id,displayName)" for name in DEFAULTS)
    found = (await get(at(), select="id", expand=expand)).json()
    own = f"{ID}_{profile_id(ID, 'Contoso devices')}"
    assert found.pop("@odata.context").endswith("depOnboardingSettings/$entity")
    assert found == {
        "@odata.type": "#microsoft.graph.depOnboardingSetting",
        "id": ID,
        "defaultIosEnrollmentProfile": {"id": own, "displayName": "Contoso devices"},
        "defaultMacOsEnrollmentProfile": {"id": f"ECV2_{own}", "displayName": "Contoso devices"},
        "defaultTvOSEnrollmentProfile": None,
        "defaultVisionOSEnrollmentProfile": None,
    }


async def test_expand_takes_any_case_and_without_select_brings_everything(sim, get):
    sim.graph.tenant = Tenant((TOKEN,), defaults={ID: default_profiles(ID, "MacOs")})
    found = (await get(at(), expand="defaultmacosenrollmentprofile,defaulttvosenrollmentprofile")).json()
    assert found["tokenName"] == "Contoso HQ"
    assert found["defaultMacOsEnrollmentProfile"]["adminAccountPassword"].startswith(PROFILE_SECRET)
    assert "@odata.type" not in found["defaultMacOsEnrollmentProfile"]
    assert found["defaultTvOSEnrollmentProfile"] is None
    assert "defaultIosEnrollmentProfile" not in found
    assert "defaultIosEnrollmentProfile" not in (await get(at())).json()


@pytest.mark.parametrize(
    "expand", ["defaultWatchOSEnrollmentProfile", "defaultIosEnrollmentProfile($top=1)", "defaultIosEnrollmentProfile("]
)
async def test_another_expand_is_refused(sim, get, expand):
    sim.graph.tenant = Tenant((TOKEN,))
    assert refused(await get(at(), expand=expand)) == (400, "BadRequest")


# Failed enrollments


async def test_events_need_a_role_of_their_own(sim, get):
    answer = await get(EVENTS, roles=[bearer.SERVICE_ROLE])
    assert refused(answer) == (403, "Forbidden")
    assert bearer.EVENTS_ROLE in answer.json()["error"]["message"]
    assert (await get(EVENTS, roles=[bearer.EVENTS_ROLE])).status_code == 200
    assert refused(await get(ADE, roles=[bearer.EVENTS_ROLE])) == (403, "Forbidden")
    assert sim.identity.roles == [bearer.SERVICE_ROLE]


@pytest.mark.parametrize(
    ("compared", "numbers"),
    [
        ("eventDateTime ge 2026-11-23T02:07:00Z", [0, 1, 2, 3]),
        ("eventDateTime gt 2026-11-23T02:07:00.0000007Z", [0, 1, 2]),
        ("eventDateTime ge 2026-11-22T20:07:00-06:00 and eventDateTime lt 2026-11-23T05:07:00Z", [1, 2, 3]),
        ("eventDateTime le 2026-11-23T01:08:00Z", [4]),
    ],
)
async def test_events_are_filtered_by_date(sim, get, compared, numbers):
    listed = [enrollment_event(number, on=NOW - number * HOUR) for number in range(5)]
    sim.graph.tenant = Tenant(events=listed)
    sim.graph.page_size = 2
    found = await pages(get, EVENTS, filter=compared)
    assert [item for page in found for item in page["value"]] == [listed[number] for number in numbers]


@pytest.mark.parametrize(
    "query",
    [
        {"filter": "enrollmentType eq 'appleBulkWithUser'"},
        {"filter": "eventDateTime ge 2026-11-23T02:07:00"},
        {"filter": "eventDateTime ge yesterday"},
        {"select": "eventDateTime,enrollmentType"},  # which only one type of event has
    ],
)
async def test_events_take_no_other_query(get, query):
    assert refused(await get(EVENTS, **query)) == (400, "BadRequest")


def test_events_are_of_several_types_and_kinds_of_enrollment():
    found = troubleshooting_events(60, NOW)
    bulk = [each for each in found if each.get("enrollmentType", "").startswith("appleBulk")]
    assert len({each["id"] for each in found}) == 60
    assert len(bulk) == 30
    assert len({each["failureCategory"] for each in bulk}) == 3
    assert sum("enrollmentType" not in each for each in found) == 10


# The tenants


def test_many_devices_are_made_on_demand_and_the_same_each_time():
    listed = many_devices(200_000, ID, NOW)
    assert (len(listed), listed[199_999], listed[-1:]) == (200_000, listed[-1], [listed[-1]])
    assert listed == many_devices(200_000, ID, NOW)
    assert listed[1000:2000] == [listed[number] for number in range(1000, 2000)]
    assert list(many_devices(60, ID, NOW)) == listed[:60]
    for name in ("id", "serialNumber"):
        assert len({item[name] for item in listed}) == 200_000
    with pytest.raises(IndexError):
        listed[200_000]


def test_devices_show_every_form_of_what_graph_sends():
    found = list(many_devices(120, ID, NOW))
    own = profile_id(ID, "Contoso devices")
    assert {item["requestedEnrollmentProfileId"] for item in found} == {own, f"{ID}_{own}", None, "", ZERO_GUID}
    assert {item["lastContactedDateTime"] for item in found} >= {NEVER, None}
    assert {item["createdDateTime"][-6:] for item in found} >= {"-08:00", "00007Z"}
    assert {item["platform"] for item in found} == {"ios", "macOS", "watchOS"}
    assert {item["discoverySource"] for item in found} == {"deviceEnrollmentProgram", "adminImport"}
    assert sum(item["isDeleted"] for item in found) == 6
    assert Counter(item["enrollmentState"] for item in found)["quarantined"] == 6
    assert set(MIXED) == set(KINDS) - {"foreign"}
    assert len({tuple(item) for item in found}) == 1


def test_a_fleet_has_so_many_of_each_kind():
    states = Counter(item["enrollmentState"] for item in fleet(ID, NOW, enrolled=5, failed=2, waiting=1))
    assert states == {"enrolled": 5, "failed": 2, "notContacted": 1}
    assert list(fleet(ID, NOW)) == []


def own(items):
    return [item for item in items if item["discoverySource"] == "deviceEnrollmentProgram" and not item["isDeleted"]]


def without_profile(items, now):
    """Devices that wait for a profile for more than a day."""
    return [
        item
        for item in own(items)
        if item["requestedEnrollmentProfileId"] in {None, "", ZERO_GUID}
        and item["enrollmentState"] != "enrolled"
        and item["createdDateTime"] < (now - 24 * HOUR).isoformat()
    ]


def symptoms(tenant, now):
    """Tokens by name with what their devices suffer from, and numbers; the four that an inspection looks for."""
    for token in tenant.ade:
        listed = tenant.devices.get(token["id"], [])
        name, count = token["tokenName"], token["syncedDeviceCount"]
        if waiting := without_profile(listed, now):
            yield name, "without profile", len(waiting)
        if bad := [item for item in own(listed) if item["enrollmentState"] in {"failed", "blocked"}]:
            yield name, "failing", len(bad)
        numbers = (len(listed), len(own(listed)))
        if not min(numbers) - 10 <= count <= max(numbers) + 10:
            yield name, "missing", count - len(own(listed))
        platforms = {item["platform"] for item in own(listed)}
        defaults = tenant.defaults.get(token["id"], {})
        if "macOS" in platforms and not defaults.get("MacOs"):
            yield name, "no default profile", sum(item["platform"] == "macOS" for item in own(listed))


def test_the_default_tenant_shows_each_symptom_once():
    tenant = default_tenant(NOW)
    assert set(tenant.devices) <= set(tenant.tokens)
    assert list(symptoms(tenant, NOW)) == [
        ("Fabrikam Academy", "without profile", 9),
        ("Contoso Field Service", "failing", 16),
        ("Contoso Labs", "no default profile", 29),
        ("Contoso Warehouse", "missing", 46),
    ]


def test_many_tokens_can_have_devices():
    tenant = many(3, NOW, devices=40)
    assert [len(listed) for listed in tenant.devices.values()] == [40, 40, 40]
    assert [token["syncedDeviceCount"] for token in tenant.ade] == [40, 40, 40]
    assert not many(3, NOW).devices


def test_each_symptom_comes_and_goes_in_the_story():
    days = 30
    seen = {}
    for hour in range(0, 24 * days, 6):
        now = NOW + hour * HOUR
        tenant = scenario(now, NOW, days).tenant
        assert set(tenant.devices) >= set(tenant.tokens)
        for name, symptom, _ in symptoms(tenant, now):
            seen.setdefault((name, symptom), []).append(hour / 24)
    assert {key: (min(on), max(on)) for key, on in seen.items()} == {
        ("Contoso HQ", "without profile"): (pytest.approx(4.6, abs=0.3), pytest.approx(11.4, abs=0.3)),
        ("Contoso Warehouse", "missing"): (pytest.approx(4.5, abs=0.3), pytest.approx(27, abs=0.3)),
        ("Fabrikam Academy", "failing"): (pytest.approx(12.9, abs=0.3), pytest.approx(17.4, abs=0.3)),
        ("Fabrikam Berlin", "no default profile"): (pytest.approx(15.9, abs=0.3), pytest.approx(21.9, abs=0.3)),
    }
    assert sum("devices" in event.what or "Macs" in event.what for event in events(NOW, days)) >= 8
