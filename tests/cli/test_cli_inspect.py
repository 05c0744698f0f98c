"""`inspect TOKEN`: a token's devices counted from here, and what is kept of it where it is told to."""

from dataclasses import replace

import pytest
from cli_scene import DAY, HOUR, ade, now, tenant
from operators import Operator

from shared.storage.rows import key
from simulator import faults
from simulator.devices import fleet
from simulator.graph import DEVICES
from simulator.tenant import default_tenant

HQ, RETAIL = ade("Contoso HQ"), ade("Contoso Retail", syncedDeviceCount=14)


@pytest.fixture
def operator(simulator):
    simulator.reset()
    operator = Operator(simulator)
    kinds = {"enrolled": 5, "waiting": 3, "failed": 4, "blocked": 1, "idle": 1, "deleted": 2, "imported": 1}
    listed = {RETAIL["id"]: fleet(RETAIL["id"], now(), **kinds)}
    operator.check(of=replace(tenant(HQ, RETAIL), devices=listed), ago=HOUR)
    operator.sim.graph.clock = now
    return operator


def test_it_counts_names_examples_and_says_what_the_next_check_would_find(operator):
    before = operator.kept()
    done = operator.by_code("inspect", "retail")
    assert done.returncode == 0, done
    assert f"Contoso Retail (ADE, {RETAIL['id']})" in done.stdout
    assert "  Devices           14 (enrolled 5, failed 4, notContacted 4, blocked 1)" in done.stdout
    assert "  Deleted           2 (Intune keeps them for 30 to 45 days)" in done.stdout
    assert "  Other sources     1 (adminImport 1)" in done.stdout
    assert "▲ 3 devices waiting for an enrollment profile\n    " in done.stdout
    assert "▲ 4 devices whose enrollment failed\n    " in done.stdout
    assert "▲ 1 device whose enrollment is blocked\n    " in done.stdout
    assert f"{RETAIL['id'][:4].upper()}0000000" in done.stdout
    assert "+ devices_without_profile (warning): " in done.stdout
    assert "+ enrollment_failing (warning): " in done.stdout
    assert "Nothing was written" in done.stdout
    assert operator.kept() == before


def test_with_write_the_next_check_judges_by_it(operator):
    done = operator.by_code("inspect", RETAIL["id"], "--write")
    assert done.returncode == 0, done
    (row,) = operator.sim.table_rows("DeviceInspection")
    assert (row["RowKey"], row["Devices"], row["RunId"][:4]) == (key(RETAIL["id"]), 14, "cli-")
    assert f"It is kept: run {row['RunId']}." in done.stdout
    operator.check(of=operator.sim.graph.tenant, ago=0 * HOUR)
    (status,) = [row for row in operator.sim.table_rows("TokenStatus") if row["TokenName"] == "Contoso Retail"]
    assert '"devices_without_profile"' in status["Findings"]
    done = operator.by_code("inspect", RETAIL["id"])
    assert "As known before: devices_without_profile, enrollment_failing" in done.stdout
    assert "Inspected before  " in done.stdout


def test_a_token_whose_devices_are_well_is_told_as_that(operator):
    done = operator.by_code("inspect", "Contoso HQ")
    assert done.returncode == 0
    assert "The next check would find nothing wrong with its devices." in done.stdout


def test_what_the_app_wrote_in_the_meantime_is_not_replaced(operator):
    operator.by_code("inspect", "retail", "--write")
    (row,) = operator.sim.table_rows("DeviceInspection")

    def app(request):
        if DEVICES in request.path:
            operator.put("DeviceInspection", {**row, "RunId": "the app's"})

    operator.sim.graph.on_request = app
    done = operator.by_code("inspect", "retail", "--write")
    assert done.returncode == 3
    assert "Nothing was written: the app inspected the token in the meantime" in done.stderr
    assert [row["RunId"] for row in operator.sim.table_rows("DeviceInspection")] == ["the app's"]


# Which token


def test_several_tokens_that_fit_are_listed(operator):
    done = operator.by_code("inspect", "contoso")
    assert done.returncode == 3
    assert "'contoso' can mean 2 tokens." in done.stderr
    assert HQ["id"] in done.stderr
    assert RETAIL["id"] in done.stderr
    assert "Contoso Apps" not in done.stderr
    assert operator.sim.authority.requests == []


def test_a_token_that_nobody_knows_is_told_before_anybody_signs_in(operator):
    done = operator.by_code("inspect", "fabrikam")
    assert done.returncode == 3
    assert "No ADE token has the id or name 'fabrikam'" in done.stderr
    assert operator.sim.authority.requests == []


@pytest.mark.parametrize("text", ["Contoso Apps", "push"])
def test_a_token_of_another_connector_has_no_devices(operator, text):
    done = operator.by_code("inspect", text)
    assert done.returncode == 3
    assert "is no ADE token, and only those have devices." in done.stderr


# What goes wrong


def refused(operator):
    before = operator.kept()
    done = operator.by_code("inspect", "retail", "--write")
    assert done.returncode == 3
    assert operator.kept() == before
    return done.stderr


def test_somebody_who_may_not_read_devices_is_told_which_role_it_takes(operator):
    operator.sim.graph.fail(RETAIL["id"], faults.missing_role())
    said = refused(operator)
    assert "Graph does not let you read the devices of 'Contoso Retail' (HTTP 403)." in said
    assert "Read Only Operator" in said


@pytest.mark.parametrize("place", ["enrollmentProfiles", "$expand"])
@pytest.mark.parametrize("fault", [faults.missing_role(), faults.status(403), faults.status(401)])
def test_profiles_that_a_person_may_not_read_take_an_intune_role_and_none_of_the_app(operator, place, fault):
    operator.sim.graph.fail(lambda request: place in f"{request.path}?{request.query}", fault)
    done = operator.by_code("inspect", "retail")
    assert done.returncode == 0, done
    told = " ".join(done.stdout.split())
    assert "Graph does not tell the" in told
    assert "Whoever signs in needs an Intune role" in told
    assert not [word for word in ("identity", "grant-graph-role", "The app's token") if word in told]


def test_a_token_that_graph_does_not_show_may_be_out_of_scope(operator):
    operator.sim.graph.tenant = tenant(HQ)
    said = refused(operator)
    assert "Graph does not show you the token 'Contoso Retail' (HTTP 404)." in said
    assert "scope tags" in said


def test_a_list_that_breaks_off_is_not_kept(operator):
    operator.sim.graph.largest_page = 5
    operator.sim.graph.fail(DEVICES, faults.status(500), skip=1)
    assert "The devices of 'Contoso Retail' could not be read: Graph failed (HTTP 500)." in refused(operator)


def test_a_list_that_takes_too_long_is_not_kept(operator):
    operator.sim.arm.changed["INSPECT_TIMEOUT_SECONDS"] = "1"
    operator.sim.graph.fail(DEVICES, faults.delay(3))
    assert "Graph did not list the devices of 'Contoso Retail' within 1 seconds." in refused(operator)


def test_a_table_that_cannot_be_written_is_told(operator):
    operator.sim.proxy.fail("DeviceInspection", faults.table_status(403, "AuthorizationPermissionMismatch"), skip=1)
    way = operator.sim.operator_env(proxied=True)["TABLES_ENDPOINT"]
    done = operator.by_code("inspect", "retail", "--write", TABLES_ENDPOINT=way)
    assert done.returncode == 3
    assert "Nothing was written: DeviceInspection could not be written: HTTP 403" in done.stderr
    assert "a role that is named is one that you need" in done.stderr


def test_with_events_on_it_says_that_it_does_not_read_them(operator):
    operator.sim.arm.changed["ENROLLMENT_EVENTS"] = "true"
    assert operator.by_code("inspect", "retail", "--write").returncode == 0
    assert not [request for request in operator.sim.graph.requests if "troubleshootingEvents" in request.path]


def test_a_tenant_of_every_kind_is_readable_in_60_columns(operator):
    operator.check(of=default_tenant(now()), ago=DAY / 24)
    done = operator.by_code("inspect", "Contoso Labs", COLUMNS="60")
    assert max(map(len, done.stdout.splitlines())) <= 60
