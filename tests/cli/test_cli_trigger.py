"""`trigger`: the deployed app is asked for a run, and what comes of it is told."""

import re

import pytest
from aiohttp import web
from cli_scene import DAY, HOUR, ade, now, tenant
from operators import Operator

import cli.trigger
from shared.words import next_tick
from simulator import arm, bearer, faults
from simulator.devices import fleet
from simulator.tenant import Tenant


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


def test_the_app_checks_and_its_run_is_shown(operator):
    operator.check(ade(), ago=HOUR)
    done = operator.run("trigger")
    assert done.returncode == 0, done
    assert re.search(r"^[\d-]+ [\d:]+ UTC  ● succeeded .* ADE 1, APNs 1, VPP 1$", done.stdout, re.MULTILINE)
    runs = [row["RunId"] for row in operator.sim.table_rows("CheckRun")]
    assert len(runs) == 2


def test_the_app_is_asked_with_the_operator_s_own_sign_in_and_an_empty_input(operator):
    operator.run("trigger")
    (asked,) = [request for request in operator.sim.arm.requests if STARTS in request.path]
    assert asked.path == f"{arm.APP_ID}/hostruntime/admin/functions/check_tokens"
    assert (asked.method, asked.body) == ("POST", b'{"input": ""}')
    assert "x-functions-key" not in {name.lower() for name in asked.headers}


def test_a_check_that_was_not_whole_is_no_success(operator):
    operator.sim.ingestion.fail("", faults.status(403))
    done = operator.run("trigger")
    assert done.returncode == 3
    assert "failed" in done.stdout
    assert "The check failed; the app tries twice more, a minute apart." in done.stdout


def test_a_run_that_does_not_come_is_told_with_the_next_one(operator):
    accepted(operator)
    due = next_tick(now())
    done = operator.run("trigger", "--timeout", "1")
    assert (done.returncode, done.stdout) == (3, "")
    assert "after 1 seconds the table CheckRun has no row of it" in done.stderr
    assert "python -m cli doctor" in done.stderr
    assert f"The app also checks every hour, next at {due:%H:%M} UTC." in done.stderr


def test_without_the_role_it_says_which_one_it_takes(operator):
    operator.sim.arm.forbidden.add("/check_tokens")
    done = operator.run("trigger")
    assert done.returncode == 3
    assert f"HTTP 403 (AuthorizationFailed: The client '{bearer.USER}'" in done.stderr
    assert "Website Contributor" in done.stderr
    assert "The app also checks every hour" in done.stderr


def test_an_app_without_the_function_has_no_code(operator):
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
def test_an_app_that_is_stopped_is_told_with_what_starts_it(operator):
    operator.sim.arm.state = "Stopped"
    done = operator.run("trigger")
    assert done.returncode == 3
    assert f"The function app {arm.APP_NAME} is stopped." in done.stderr
    assert f"az functionapp start --name {arm.APP_NAME} --resource-group {arm.RESOURCE_GROUP}" in done.stderr


@pytest.mark.usefixtures("quick")
def test_a_host_that_does_not_start_is_told(operator):
    operator.sim.arm.fail(STARTS, faults.status(502))
    done = operator.run("trigger")
    assert done.returncode == 3
    assert "HTTP 502" in done.stderr


@pytest.mark.parametrize("app_id", ["func-contoso", "/subscriptions/1/resourceGroups/2/providers/Microsoft.Web/x/3"])
def test_a_resource_id_that_is_none_is_told(operator, app_id):
    done = operator.run("trigger", "--function-app-id", app_id)
    assert done.returncode == 3
    assert "FUNCTION_APP_ID cannot be used" in done.stderr


def test_an_app_that_is_not_known_is_asked_for(operator):
    assert "FUNCTION_APP_ID is not known" in operator.run("trigger", FUNCTION_APP_ID=None).stderr


def test_an_inspection_tells_what_it_wrote(operator):
    hq = ade("Contoso HQ")
    operator.check(hq, ago=HOUR)
    operator.sim.graph.tenant = Tenant((hq,), devices={hq["id"]: fleet(hq["id"], now(), enrolled=3)})
    done = operator.run("trigger", "inspect")
    assert done.returncode == 0, done
    assert "1 token inspected, 1 of them completely." in done.stdout
    assert "judges the new counts." in done.stdout


def test_an_inspection_of_which_nothing_comes_is_told_as_that(operator):
    accepted(operator)
    done = operator.run("trigger", "inspect", "--timeout", "1")
    assert done.returncode == 0
    assert "wrote nothing within 1 seconds: no token was due, or it" in done.stdout


def test_pruning_is_asked_for_and_not_waited_for(operator):
    done = operator.run("trigger", "prune")
    assert (done.returncode, done.stdout) == (0, f"{arm.APP_NAME} was asked for prune_history.\n")
    operator.sim.arm.wait()
    assert [result.success for result in operator.sim.arm.results] == [True]


def test_what_else_is_asked_for_is_a_mistype(operator):
    assert operator.run("trigger", "everything").returncode == 3
