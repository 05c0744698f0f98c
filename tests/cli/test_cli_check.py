"""`check`: the tokens of a tenant, read and judged on this machine; nothing is stored."""

from dataclasses import replace

import pytest
from cli_scene import CHECKED, ade, now, push, tenant, vpp
from operators import Operator

from simulator import faults
from simulator.devices import fleet
from simulator.graph import DEVICES, VPP
from simulator.tenant import default_tenant
from tests.scenes import DAY, HOUR, MINUTE

HEALTHY, WARNING, CRITICAL = (ade("Contoso HQ", expires=days * DAY + HOUR) for days in (200, 20, 3))
RETAIL = ade("Contoso Retail", syncedDeviceCount=14)
ROLE = "DeviceManagementServiceConfig.Read.All"


@pytest.fixture
def operator(simulator):
    simulator.reset()
    return Operator(simulator)


def turns(operator, *ades, **others):
    """What Graph lists from now on."""
    operator.sim.graph.tenant = tenant(*ades, **others)
    operator.sim.graph.clock = now


def stranger(operator, *arguments, **environment):
    """The command on a machine that knows no deployment and has no sign-in to Azure; only the simulator's addresses."""
    leads = ("GRAPH_ENDPOINT", "AZURE_AUTHORITY_HOST", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PATH", "NO_PROXY")
    ours = operator.sim.operator_env()
    only = dict.fromkeys(operator.environment()) | {name: ours[name] for name in leads} | {"COLUMNS": "100"}
    return operator.run("check", "--device-code", *arguments, **{**only, **environment})


# Without a deployment


def test_check_works_without_a_deployment_and_stores_nothing(operator, tmp_path):
    turns(operator, CRITICAL)
    before = operator.kept()
    for server in (operator.sim.identity, operator.sim.arm, operator.sim.proxy):
        server.requests.clear()
    done = stranger(operator, cwd=tmp_path)
    assert done.returncode == 2, done
    assert "✖ critical  Contoso HQ" in done.stdout
    assert "'Contoso HQ' expires in" in done.stdout
    assert "3 tokens: 1 critical, 2 healthy.\nChecked less than a minute ago" in done.stdout
    assert done.stdout.endswith("Nothing was stored or published.\n")
    assert operator.kept() == before
    assert [server.requests for server in (operator.sim.identity, operator.sim.arm, operator.sim.proxy)] == [[], [], []]


def test_check_names_before_sign_in_what_it_reads_and_who_may_have_to_consent(operator):
    turns(operator, HEALTHY)
    lines = stranger(operator).stderr.splitlines()
    assert lines[0].startswith("This command reads Intune's Apple tokens")
    assert lines[0].endswith("from Microsoft Graph. It stores and publishes nothing.")
    assert lines[1].startswith(
        f"It asks for one permission, {ROLE}, for the client Microsoft Graph Command Line Tools."
    )
    assert "a Privileged Role Administrator, Cloud Application Administrator or Application Administrator" in lines[1]
    assert "Read Only Operator" in lines[2]
    assert lines[3].startswith("To sign in to Graph, open ")
    assert "lists of devices" in stranger(operator, "--devices").stderr.splitlines()[0]


@pytest.mark.parametrize(("token", "code"), [(HEALTHY, 0), (WARNING, 1), (CRITICAL, 2)])
def test_the_exit_code_is_that_of_the_tokens(operator, token, code):
    operator.check(HEALTHY)
    turns(operator, token)
    assert [operator.by_code("check").returncode, stranger(operator).returncode] == [code, code]


def test_a_tenant_without_tokens_is_not_healthy(operator):
    operator.sim.graph.tenant = replace(tenant(), ade=(), vpp=(), apns=None)
    done = stranger(operator)
    assert "Graph shows you no tokens: there are none, or none in the scope of your Intune role." in done.stdout
    assert "healthy" not in done.stdout


# With a deployment


def test_check_prints_what_status_prints_and_judges_with_memory(operator):
    of = tenant(CRITICAL, vpps=[vpp(expires=170 * DAY + HOUR)], apns=push(expires=300 * DAY + HOUR))
    operator.check(of=of)
    operator.sim.graph.clock = now
    before, sent = operator.kept(), len(operator.sim.ingestion.requests)
    done = operator.by_code("check")
    table = operator.run("status").stdout.partition("\nChecked ")[0]
    assert done.stdout.startswith(table)
    assert (operator.kept(), len(operator.sim.ingestion.requests)) == (before, sent)


def test_a_finding_that_needs_memory_is_found_where_tables_are_known(operator):
    operator.check(HEALTHY)
    turns(operator, HEALTHY, apns=push(topicIdentifier="com.apple.mgmt.External.other"))
    assert "✖ critical  Apple MDM push certificate" in operator.by_code("check").stdout
    assert "● healthy   Apple MDM push certificate" in stranger(operator).stdout


def test_check_judges_by_the_thresholds_of_the_app(operator):
    operator.check(ade(expires=80 * DAY))
    operator.sim.arm.changed["EXPIRY_WARNING_DAYS"] = "90,30"
    assert operator.by_code("check").returncode == 1
    operator.sim.arm.forbidden.add("/config/appsettings/list")
    done = operator.by_code("check")
    assert done.returncode == 0
    assert "▲ The default thresholds apply instead of the app's: Azure Resource Manager" in done.stdout


def test_a_token_outside_the_scope_of_the_role_is_named(operator):
    operator.check(HEALTHY, ade("Contoso Labs"))
    turns(operator, HEALTHY)
    done = operator.by_code("check")
    assert "Graph does not show you 'Contoso Labs' (ADE): removed, or outside the scope of your" in done.stdout


def test_tables_that_cannot_be_read_leave_a_check_without_memory(operator):
    operator.check(HEALTHY)
    turns(operator, CRITICAL)
    operator.sim.proxy.fail("TokenStatus", faults.table_status(403, "AuthorizationPermissionMismatch"))
    done = operator.by_code("check", TABLES_ENDPOINT=operator.sim.operator_env(proxied=True)["TABLES_ENDPOINT"])
    assert done.returncode == 2
    assert "▲ The tokens are judged without what the monitor remembers. TokenStatus could not be read" in done.stdout
    assert "Storage Table Data Reader" in done.stdout


# What cannot be read


def test_a_connector_that_cannot_be_read_hides_no_other(operator):
    turns(operator, HEALTHY)
    operator.sim.graph.fail(VPP, faults.missing_role())
    done = stranger(operator)
    assert done.returncode == 2, "it is never healthy"
    assert "VPP could not be read" in done.stdout
    assert "Your account needs an Intune role that reads" in " ".join(done.stdout.split())
    assert "identity" not in done.stdout
    assert "Contoso HQ" in done.stdout


def test_the_exit_code_is_3_when_nothing_can_be_read(operator):
    operator.check(HEALTHY)
    operator.sim.graph.fail("/device", faults.missing_role())
    done = stranger(operator)
    assert (done.returncode, done.stdout) == (3, "")
    assert "Graph does not let this sign-in read anything: GET /beta/deviceManagement/depOnboard" in done.stderr
    assert "Read Only Operator" in done.stderr
    operator.sim.graph.heal()
    operator.sim.graph.fail("/device", faults.status(500))
    for done in (operator.by_code("check"), stranger(operator)):
        assert done.returncode == 3
        assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("▲")] == ["ADE", "APNs", "VPP"]


def test_markup_in_a_name_is_text(operator):
    turns(operator, ade("[red]Evil[/red] \x1b[2J", expires=3 * DAY), vpps=[vpp()], apns=push())
    done = stranger(operator, "--devices")
    assert "[red]Evil[/red]" in done.stdout
    assert "\x1b" not in done.stdout


def test_the_output_fits_into_60_columns(operator):
    operator.sim.graph.tenant = default_tenant(now())
    done = stranger(operator, "--devices", COLUMNS="60")
    assert max(map(len, done.stdout.splitlines())) <= 60


# Devices


@pytest.fixture
def devices(operator):
    kinds = {"enrolled": 5, "waiting": 3, "failed": 4, "blocked": 1, "idle": 1, "deleted": 2, "imported": 1}
    listed = {RETAIL["id"]: fleet(RETAIL["id"], now(), **kinds)}
    operator.sim.graph.tenant = replace(tenant(HEALTHY, RETAIL), devices=listed)
    operator.sim.graph.clock = now
    return operator


def test_devices_are_counted_judged_and_shown_with_examples(devices):
    before = devices.kept()
    done = stranger(devices, "--devices")
    assert done.returncode == 1, done
    assert "'Contoso Retail' has 3 of 14 devices waiting without an enrollment policy" in done.stdout
    assert "'Contoso Retail' has 5 of 14 devices that do not enroll (4 failed, 1 blocked)" in done.stdout
    counted = {line.partition("  ")[0]: line.split() for line in done.stdout.splitlines()}
    assert counted["Contoso Retail"][2:7] == ["14", "▲", "3", "▲", "5"]
    assert f"Contoso Retail: {RETAIL['id'][:4].upper()}0000000" in done.stdout
    assert devices.kept() == before
    assert not [request for request in devices.sim.graph.requests if "troubleshootingEvents" in request.path]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (faults.missing_role(), "Your account needs an Intune role that reads"),
        (faults.delay(3), "Contoso Retail: Graph did not list the devices within 1 seconds."),
    ],
    ids=["refused", "slow"],
)
def test_devices_of_one_token_that_cannot_be_read_hide_no_other(devices, fault, reason):
    stranger(devices)
    assert not [request for request in devices.sim.graph.requests if DEVICES in request.path], "only with --devices"
    devices.sim.graph.fail(RETAIL["id"], fault)
    done = stranger(devices, "--devices", INSPECT_TIMEOUT_SECONDS="1")
    assert reason in " ".join(done.stdout.split())
    assert "\nContoso HQ  " in done.stdout


# The page


def test_the_page_of_a_check_holds_tokens_and_devices_without_a_deployment(devices, tmp_path):
    file = tmp_path / "tokens.html"
    done = stranger(devices, "--devices", "--report", str(file))
    assert f"Wrote {file}" in done.stderr
    text = file.read_text("utf-8")
    for part in ("Needs attention (1)", "Contoso Retail", "from a check on one machine", "By state"):
        assert part in text
    assert f"{RETAIL['id'][:4].upper()}0000000" not in text


def test_the_page_of_a_check_holds_the_history_of_a_deployment(operator, tmp_path):
    operator.check(HEALTHY, ago=CHECKED + HOUR)
    operator.ran(MINUTE, "failed", store_error="No room.")
    turns(operator, CRITICAL)
    file = tmp_path / "tokens.html"
    assert operator.by_code("check", "--report", str(file)).returncode == 2
    for part in ("was seen for the first time", "No room.", "Needs attention (1)"):
        assert part in file.read_text("utf-8")


def test_a_file_that_is_not_a_report_is_refused_before_sign_in(operator, tmp_path):
    file = tmp_path / "own.html"
    file.write_text("<html>somebody's own page</html>", "utf-8")
    done = stranger(operator, "--report", str(file))
    assert done.returncode == 3
    assert "exists, and is not a report of this program.\nName another file with --report." in done.stderr
    assert operator.sim.authority.requests == []
