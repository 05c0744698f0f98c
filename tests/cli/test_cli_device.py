"""`device SERIAL`: which token lists a device, and what the command reports when none does."""

import json
import os

import pytest
from aiohttp import web
from cli_scene import ade, now
from operators import Operator

from simulator import faults
from simulator.devices import PROFILE, device, many_devices, profile
from simulator.graph import DEVICES, PROFILES
from simulator.tenant import Tenant

HQ, RETAIL = ade("Contoso HQ"), ade("Contoso Retail")
SERIAL = "C02XK1ABJGH5"


@pytest.fixture
def operator(simulator):
    simulator.reset()
    return Operator(simulator)


def listed(operator, *devices, of=RETAIL, tokens=(HQ, RETAIL), others=150):
    """A token whose list holds `devices` behind many others."""
    own = [*many_devices(others, of["id"], now()), *devices]
    profiles = {of["id"]: [profile("Kiosks", token_id=of["id"]), profile(token_id=of["id"])]}
    operator.sim.graph.tenant = Tenant(tuple(tokens), devices={of["id"]: own}, profiles=profiles)


def one(serial=SERIAL, of=RETAIL, **others):
    return device(serial, token_id=of["id"], now=now(), **others)


def test_a_serial_number_in_any_spelling_is_requested_once_for_each_token_without_tables(operator):
    listed(operator, one())
    assert operator.by_code("device", f" {SERIAL.lower()} ", TABLES_ENDPOINT=None).returncode == 0
    asked = [request for request in operator.sim.graph.requests if request.path.endswith(DEVICES)]
    assert [request.query["$filter"] for request in asked] == [f"serialNumber eq '{SERIAL}'"] * 2
    assert not [request for request in operator.sim.arm.requests if "appsettings" in request.path]


@pytest.mark.parametrize("serial", ["x' or '1' eq '1", "A&B=C?D#E", "100%25", "é/a\\b"])
@pytest.mark.sampled(2)
def test_a_serial_number_of_any_characters_is_requested_unchanged(operator, serial):
    listed(operator, one(serial.upper()))
    done = operator.by_code("device", serial)
    assert done.returncode == 0, done
    assert done.stdout.count(f" lists {serial.upper()}.") == 1
    asked = [request for request in operator.sim.graph.requests if request.path.endswith(DEVICES)]
    assert {request.status for request in asked} == {200}, "Graph understood the filter"
    assert operator.by_code("device", f"{serial}X").returncode == 3


def test_no_profile_and_no_contact_are_shown_in_text_and_json(operator):
    listed(operator, one(kind="waiting"))
    done = operator.by_code("device", SERIAL)
    assert "  Profile       none: the device does not enroll until one is assigned\n" in done.stdout
    assert "  State         notContacted\n" in done.stdout
    assert "  Last contact  never\n" in done.stdout
    document = json.loads(operator.by_code("device", SERIAL, "--format", "json").stdout)
    assert (document["serial"], document["tokens"], document["searched"], document["failures"]) == (SERIAL, 2, 2, [])
    (found,) = document["devices"]
    assert (found["token"], found["token_id"]) == ("Contoso Retail", RETAIL["id"])
    assert (found["profile"], found["last_contact"], found["deleted"]) == (None, None, False)
    assert (found["state"], found["source"]) == ("notContacted", "deviceEnrollmentProgram")


def test_a_profile_without_a_name_in_graph_is_shown_by_its_id(operator):
    listed(operator, one(requestedEnrollmentProfileId="ECV2_1_newer-kind"))
    assert "  Profile       ECV2_1_newer-kind (Graph gives no name)" in operator.by_code("device", SERIAL).stdout
    listed(operator, one())
    operator.sim.graph.fail(PROFILES, faults.item_is({"id": None}), times=1)
    assert f"  Profile       {PROFILE}, requested on " in operator.by_code("device", SERIAL).stdout
    operator.sim.graph.fail(PROFILES, faults.status(404))
    done = operator.by_code("device", SERIAL)
    assert done.returncode == 0
    assert "(Graph gives no name)" in done.stdout


def test_a_deleted_entry_follows_the_one_that_counts(operator):
    listed(operator, one(kind="deleted"), of=HQ)
    operator.sim.graph.tenant.devices[RETAIL["id"]] = [one()]
    done = operator.by_code("device", SERIAL)
    assert done.returncode == 0
    heads = [line for line in done.stdout.splitlines() if f" lists {SERIAL}" in line]
    assert heads == [
        f"Contoso Retail ({RETAIL['id']}) lists {SERIAL}.",
        f"Contoso HQ ({HQ['id']}) lists {SERIAL} as deleted.",
    ]
    assert "  Deleted       yes; Intune keeps the entry for 30 to 45 days" in done.stdout


def test_a_device_that_no_token_lists_has_a_remedy(operator):
    listed(operator)
    done = operator.by_code("device", SERIAL)
    assert done.returncode == 3
    assert f"None of the 2 ADE tokens searched lists {SERIAL}." in done.stdout
    assert "select Sync" in done.stdout


# What Graph may do with a filter


@pytest.mark.parametrize("how", ["refuses_filter", "ignores_filter", "filters_all_out"])
def test_whole_lists_are_read_when_graph_does_not_filter(operator, how):
    listed(operator, one())
    setattr(operator.sim.graph, how, True)
    operator.sim.graph.refuses_select = operator.sim.graph.refuses_top = how == "refuses_filter"
    operator.sim.graph.largest_page = 60
    done = operator.by_code("device", SERIAL)
    assert done.returncode == 0, done
    assert done.stdout.count(f" lists {SERIAL}") == 1


def test_a_device_is_reported_missing_only_after_a_filter_found_one_that_is_there(operator):
    listed(operator)
    assert operator.by_code("device", SERIAL).returncode == 3
    asked = [request.query for request in operator.sim.graph.requests if request.path.endswith(DEVICES)]
    filtered = [query["$filter"] for query in asked if "$filter" in query]
    assert filtered[:2] == [f"serialNumber eq '{SERIAL}'"] * 2
    assert len(filtered) == 3
    assert len(asked) <= 5, "the lists are not read as a whole"


# What goes wrong


@pytest.mark.parametrize("lost", [{**HQ, "id": 7}, {"tokenName": "Contoso HQ"}, None], ids=["number", "no id", "null"])
@pytest.mark.sampled(1)
def test_a_malformed_entry_among_the_tokens_hides_no_other_and_is_reported(operator, lost):
    listed(operator, one())
    operator.sim.graph.fail("/depOnboardingSettings", faults.item_is(lost))
    done = operator.by_code("device", SERIAL)
    assert done.returncode == 0, done
    assert f"lists {SERIAL}." in done.stdout
    assert "▲ The devices of some ADE tokens were not searched, because 1 of 2 entries of the list" in done.stdout
    document = json.loads(operator.by_code("device", "NOWHERE", "--format", "json").stdout)
    assert (document["tokens"], document["searched"], document["not_searched"].count("1 of 2 entries")) == (1, 1, 1)


def test_a_malformed_entry_among_the_devices_is_reported_when_the_device_is_not_found(operator):
    listed(operator, others=2)
    operator.sim.graph.ignores_filter = True
    operator.sim.graph.fail(f"{RETAIL['id']}/{DEVICES}", faults.item_is({"serialNumber": 7}))
    done = operator.by_code("device", SERIAL)
    assert done.returncode == 3
    assert "▲ 1 of the lists' entries could not be read; the device can be one of them." in done.stdout


def test_a_token_that_cannot_be_searched_hides_no_other(operator):
    listed(operator, one())
    operator.sim.graph.fail(f"{HQ['id']}/{DEVICES}", faults.status(500))
    done = operator.by_code("device", SERIAL)
    assert done.returncode == 0
    assert "▲ The list of Contoso HQ could not be searched: Graph failed (HTTP 500)." in done.stdout
    listed(operator)
    done = operator.by_code("device", SERIAL)
    assert done.returncode == 3
    assert "None of the 1 ADE token searched lists " in done.stdout


def test_many_tokens_that_cannot_be_searched_are_counted(operator):
    tokens = [ade(f"Contoso {number}") for number in range(12)]
    listed(operator, tokens=tokens)
    operator.sim.graph.fail(DEVICES, faults.missing_role())
    done = operator.by_code("device", SERIAL)
    assert done.returncode == 3
    assert " ".join(done.stdout.split()).count("your Intune role does not let you read its devices (HTTP 403)") == 5
    assert "Nor could those of 7 more tokens." in done.stdout


REFUSED = {
    "a role": (faults.missing_role(), "Read Only Operator"),
    "a license": (faults.status(403, message="Request not applicable to target tenant."), "active Intune license"),
}


@pytest.mark.parametrize(("fault", "remedy"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_of_the_tokens_has_a_remedy(operator, fault, remedy):
    listed(operator)
    operator.sim.graph.fail("/depOnboardingSettings", fault)
    done = operator.by_code("device", SERIAL)
    assert (done.returncode, done.stdout) == (3, "")
    assert "Graph does not let you read the ADE tokens (HTTP 403)." in done.stderr
    assert remedy in done.stderr
    assert "identity" not in done.stderr


def test_a_tenant_without_tokens_is_named(operator):
    operator.sim.graph.tenant = Tenant()
    assert "Graph shows you no ADE token." in operator.by_code("device", SERIAL).stderr


@pytest.mark.parametrize("serial", [os.fsdecode(b"C02\xff"), "  ", "X" * 65, "C02\u200bX"])
@pytest.mark.sampled(2)
def test_an_invalid_serial_number_is_refused_before_sign_in(operator, serial):
    done = operator.by_code("device", serial)
    assert done.returncode == 3
    assert "not a serial number" in done.stderr or "Argument 2 is not text" in done.stderr
    assert operator.sim.authority.requests == []


def test_a_search_that_takes_too_long_names_its_progress(operator, monkeypatch):
    monkeypatch.setattr("cli.device_search.SECONDS", 1.0)
    listed(operator, one())
    operator.sim.graph.fail(f"{HQ['id']}/{DEVICES}", faults.delay(4))
    done = operator.by_code("device", SERIAL)
    assert done.returncode == 0
    assert "at 1 of 2 tokens." in done.stdout


# Hostile text


def test_hostile_text_does_not_change_the_terminal(operator):
    hostile = ade("[bold]\x1b[2J\u202eevil")
    listed(operator, one(of=hostile, enrollmentState="\x1b]0;x\x07", platform="[red]"), of=hostile, tokens=[hostile])
    done = operator.by_code("device", SERIAL)
    assert done.returncode == 0
    assert not {"\x1b", "\x07", "\u202e"} & set(done.stdout)
    assert "[bold]" in done.stdout
    assert "[red]" in done.stdout


@pytest.mark.exhaustive
def test_a_long_search_shows_its_progress(operator):
    listed(operator, one())
    operator.sim.graph.fail(f"{HQ['id']}/{DEVICES}", faults.delay(1))
    code, shown = operator.terminal("device", SERIAL, "--device-code")
    assert code == 0
    assert "1 of 2" in shown
    assert "of 2" not in operator.terminal("device", SERIAL, "--device-code", "--quiet")[1]


def test_a_throttled_search_waits_as_long_as_graph_asks(operator):
    listed(operator, one())
    throttled = faults.reply(lambda _: web.Response(status=429, headers={"Retry-After": "1"}))
    operator.sim.graph.fail(DEVICES, throttled, times=2)
    assert operator.by_code("device", SERIAL).returncode == 0
