"""Signing in to Graph as a person: what is requested and shown, and the remedy when it fails."""

import pytest
from cli_scene import ade
from operators import Operator

from simulator import bearer

OTHER_TENANT = "11111111-2222-4333-8444-555555555555"
ROLE = "DeviceManagementServiceConfig.Read.All"


@pytest.fixture
def operator(simulator):
    simulator.reset()
    operator = Operator(simulator)
    operator.check(ade())
    return operator


def forms(operator, path):
    """The bodies of the requests to an endpoint of the authority."""
    return [request.body.decode() for request in operator.sim.authority.requests if request.path.endswith(path)]


def test_a_device_code_signs_in_with_microsoft_s_client_and_one_permission(operator):
    done = operator.by_code("check")
    assert done.returncode == 0
    assert done.stderr.endswith(
        "\nTo sign in to Graph, open https://microsoft.com/devicelogin in a browser and enter SIMULATED.\n"
    )
    (form,) = forms(operator, "/devicecode")
    assert "client_id=14d82eec-204b-4c2f-b7e8-296a70dab67e" in form
    assert f"graph.microsoft.com%2F{ROLE}" in form
    assert ".default" not in form


def test_another_client_can_be_named_and_quiet_still_shows_the_code(operator):
    done = operator.run("check", "--credential", "device-code", "--client-id", OTHER_TENANT, "--quiet")
    assert done.returncode == 0
    assert "enter SIMULATED" in done.stderr
    assert f"client_id={OTHER_TENANT}" in forms(operator, "/devicecode")[0]


def test_a_browser_opens_and_signs_in(operator, tmp_path):
    done = operator.cli("check", BROWSER=operator.browser(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("\nSign in to Graph in the browser that opens. --device-code needs no browser here.\n")


def test_the_default_credential_is_used_when_it_has_the_permission(operator):
    done = operator.run("check", "--credential", "default")
    assert done.returncode == 0
    assert "one permission" not in done.stderr
    assert operator.sim.authority.requests == []


def refused(operator, *arguments, **environment):
    """What is said to somebody who did not get in; Graph is not asked then."""
    operator.sim.graph.requests.clear()
    # In a process of its own: a browser that is still open, and the server that waits for it, would outlive this test.
    typed = operator.cli if "BROWSER" in environment else operator.run
    done = typed("check", *arguments, **environment)
    assert (done.returncode, done.stdout) == (3, ""), done
    assert operator.sim.graph.requests == []
    return done.stderr


def test_the_default_credential_without_the_permission_is_refused_before_graph_does(operator):
    operator.sim.identity.roles = ()
    said = refused(operator, "--credential", "default")
    assert f"has no permission {ROLE} for Graph; the Azure CLI's never has." in said
    assert "--device-code" in said


def test_another_tenant_s_sign_in_is_refused(operator):
    said = refused(operator, "--credential", "default", TENANT_ID=OTHER_TENANT)
    assert f"This sign-in is of the tenant {bearer.TENANT_ID}, and the monitor's is {OTHER_TENANT}." in said


@pytest.mark.parametrize("how", [("--device-code",), ()], ids=["code", "browser"])
@pytest.mark.sampled(1)
def test_each_refusal_of_entra_has_its_remedy(operator, tmp_path, how):
    authority, browser = operator.sim.authority, operator.browser(tmp_path)
    said = refused(operator, *how, TENANT_ID=OTHER_TENANT, BROWSER=browser)
    assert "Nobody can sign in there" in said
    assert "Check TENANT_ID" in said
    authority.decision = "declined"
    assert "Nobody signed in to Graph" in refused(operator, *how, BROWSER=browser)
    authority.reset()
    authority.consented.clear()
    said = refused(operator, *how, BROWSER=browser)
    assert f"An administrator of the tenant has to consent once to {ROLE} for this client" in said
    assert "--client-id" in said


@pytest.mark.exhaustive
def test_a_device_code_that_is_not_entered_expires(operator):
    operator.sim.authority.decision = "pending"
    operator.sim.authority.device_code_seconds = 2
    assert "Nobody signed in to Graph" in refused(operator, "--device-code")


def test_device_code_is_named_when_no_browser_opens(operator, tmp_path):
    said = refused(operator, BROWSER=str(tmp_path / "none"), PATH=str(tmp_path), DISPLAY=None)
    assert "Sign in with --device-code instead." in said


@pytest.mark.exhaustive
def test_the_network_is_named_when_the_authority_is_down(operator):
    with operator.sim.authority.refusing():
        said = refused(operator, "--device-code")
    assert "Check the network, proxy and VPN." in said
    assert "Traceback" not in said
