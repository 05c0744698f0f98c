"""`trigger`: the deployed app is asked for a run, and its result is shown."""

import re

import pytest
from aiohttp import web
from cli_scene import ade, now, tenant
from operators import Operator

import cli.trigger
from shared.words import next_tick
from simulator import arm, bearer, faults
from simulator.devices import fleet
from simulator.tenant import Tenant
from tests.scenes import DAY, HOUR


@pytest.fixture
def operator(simulator):
    simulator.reset()
    operator = Operator(simulator)
    simulator.graph.tenant = tenant(ade("Contoso HQ", expires=20 * DAY))
    return operator


@pytest.fixture
def quick(monkeypatch):
    """A host that starts is asked again at once."""
    monkeypatch.setattr(cli.trigger, "_PAUSES", (0.01, 0.01))


STARTS = "hostruntime"


def accepted(operator):
    """From now on, the host takes what it is asked for and does nothing."""
    operator.sim.arm.fail(STARTS, faults.reply(lambda _: web.Response(status=202)))


def test_a_check_is_requested_with_the_own_sign_in_and_shown(operator):
    operator.check(ade(), ago=HOUR)
    done = operator.run("trigger")
    assert done.returncode == 0, done
    assert re.search(r"^[\d-]+ [\d:]+ UTC  ● succeeded .* ADE 1, APNs 1, VPP 1$", done.stdout, re.MULTILINE)
    assert len(operator.sim.table_rows("CheckRun")) == 2
    (asked,) = [request for request in operator.sim.arm.requests if STARTS in request.path]
    assert asked.path == f"{arm.APP_ID}/hostruntime/admin/functions/check_tokens"
    assert (asked.method, asked.body) == ("POST", b'{"input": ""}')
    assert "x-functions-key" not in {name.lower() for name in asked.headers}


@pytest.mark.exhaustive
def test_a_failed_check_has_exit_code_3(operator):
    operator.sim.ingestion.fail("", faults.status(403))
    done = operator.run("trigger")
    assert done.returncode == 3
    assert "failed" in done.stdout
    assert "The check failed; the app tries twice more, a minute apart." in done.stdout


def test_a_check_without_a_row_is_reported_with_the_time_of_the_next_one(operator):
    accepted(operator)
    due = next_tick(now())
    done = operator.run("trigger", "--timeout", "1")
    assert (done.returncode, done.stdout) == (3, "")
    assert "after 1 seconds the table CheckRun has no row of it" in done.stderr
    assert "python -m cli doctor" in done.stderr
    assert f"The app also checks every hour, next at {due:%H:%M} UTC." in done.stderr


def test_the_missing_role_is_named(operator):
    operator.sim.arm.forbidden.add("/check_tokens")
    done = operator.run("trigger")
    assert done.returncode == 3
    assert f"HTTP 403 (AuthorizationFailed: The client '{bearer.USER}'" in done.stderr
    assert "Website Contributor" in done.stderr
    assert "The app also checks every hour" in done.stderr


def test_an_app_without_the_function_is_reported_as_not_deployed(operator):
    operator.sim.arm.functions = []
    done = operator.run("trigger")
    assert done.returncode == 3
    assert "HTTP 404" in done.stderr
    assert "that its code was deployed" in done.stderr


@pytest.mark.usefixtures("quick")
@pytest.mark.exhaustive
def test_a_host_that_is_starting_is_asked_again(operator):
    operator.sim.arm.fail(STARTS, faults.status(503), times=6)  # the SDK tries three times by itself
    done = operator.run("trigger")
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("quick")
@pytest.mark.exhaustive
def test_a_stopped_app_is_reported_with_the_command_that_starts_it(operator):
    operator.sim.arm.state = "Stopped"
    done = operator.run("trigger")
    assert done.returncode == 3
    assert f"The function app {arm.APP_NAME} is stopped." in done.stderr
    assert f"az functionapp start --name {arm.APP_NAME} --resource-group {arm.RESOURCE_GROUP}" in done.stderr


@pytest.mark.usefixtures("quick")
def test_a_host_that_does_not_start_is_reported(operator):
    operator.sim.arm.fail(STARTS, faults.status(502))
    done = operator.run("trigger")
    assert done.returncode == 3
    assert "HTTP 502" in done.stderr


def test_a_wrong_or_missing_resource_id_is_refused(operator):
    for app_id in ("func-contoso", "/subscriptions/1/resourceGroups/2/providers/Microsoft.Web/x/3"):
        done = operator.run("trigger", "--function-app-id", app_id)
        assert done.returncode == 3
        assert "FUNCTION_APP_ID cannot be used" in done.stderr
    assert "FUNCTION_APP_ID is not known" in operator.run("trigger", FUNCTION_APP_ID=None).stderr
    assert operator.run("trigger", "everything").returncode == 3


@pytest.mark.exhaustive
def test_an_inspection_is_shown_with_its_counts(operator):
    hq = ade("Contoso HQ")
    operator.check(hq, ago=HOUR)
    operator.sim.graph.tenant = Tenant((hq,), devices={hq["id"]: fleet(hq["id"], now(), enrolled=3)})
    done = operator.run("trigger", "inspect")
    assert done.returncode == 0, done
    assert "1 token inspected, 1 of them completely." in done.stdout
    assert "judges the new counts." in done.stdout


def test_an_inspection_that_writes_nothing_is_reported(operator):
    accepted(operator)
    done = operator.run("trigger", "inspect", "--timeout", "1")
    assert done.returncode == 0
    assert "wrote nothing within 1 seconds: no token was due, or it" in done.stdout


def test_pruning_is_requested_and_not_awaited(operator):
    done = operator.run("trigger", "prune")
    assert (done.returncode, done.stdout) == (0, f"{arm.APP_NAME} was asked for prune_history.\n")
    operator.sim.arm.wait()
    assert [result.success for result in operator.sim.arm.results] == [True]
