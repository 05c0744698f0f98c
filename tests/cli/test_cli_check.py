"""`check`: what one check from here would change, and what it leaves behind where it is told to."""

import pytest
from cli_scene import DAY, HOUR, ade, now, push, tenant, vpp
from operators import Operator

from simulator import faults
from simulator.graph import ADE, VPP

HEALTHY, WARNING, CRITICAL = ade("Contoso HQ"), ade("Contoso HQ", expires=20 * DAY), ade("Contoso HQ", expires=3 * DAY)


@pytest.fixture
def operator(simulator):
    simulator.reset()
    return Operator(simulator)


def turns(operator, *ades, **others):
    """What Graph tells from now on."""
    operator.sim.graph.tenant = tenant(*ades, **others)
    operator.sim.graph.clock = now


# What would change


def test_it_shows_what_would_change_and_writes_nothing(operator):
    operator.check(HEALTHY, ade("Contoso Labs", expires=5 * DAY))
    turns(operator, CRITICAL, ade("Contoso Labs", expires=300 * DAY), ade("Contoso New"))
    before, sent = operator.kept(), len(operator.sim.ingestion.requests)
    done = operator.by_code("check")
    assert "● healthy → ✖ critical  Contoso HQ (ADE)" in done.stdout
    assert "+ expiring (critical, step 7): 'Contoso HQ' expires in" in done.stdout
    assert "    → " in done.stdout
    assert "✖ critical → ● healthy  Contoso Labs (ADE)" in done.stdout
    assert "- expiring (critical, step 7) is gone" in done.stdout
    assert "new: ● healthy  Contoso New (ADE)" in done.stdout
    assert "3 tokens would change, 2 would stay as they are." in done.stdout
    assert "5 tokens: 1 critical, 4 healthy." in done.stdout
    assert "Nothing was written" in done.stdout
    assert (operator.kept(), len(operator.sim.ingestion.requests)) == (before, sent)


def test_a_finding_that_gets_worse_says_what_it_was(operator):
    operator.check(WARNING)
    turns(operator, CRITICAL)
    done = operator.by_code("check")
    assert "+ expiring (critical, step 7) (was expiring (warning, step 30))" in done.stdout


@pytest.mark.parametrize(("token", "code"), [(HEALTHY, 0), (WARNING, 1), (CRITICAL, 2)])
@pytest.mark.parametrize("write", [(), ("--write",)])
def test_the_exit_code_is_that_of_the_tokens(operator, token, code, write):
    operator.check(HEALTHY)
    turns(operator, token)
    done = operator.by_code("check", *write)
    assert done.returncode == code, done


def test_it_judges_by_the_app_s_own_limits(operator):
    operator.check(ade(expires=80 * DAY))
    operator.sim.arm.changed["EXPIRY_WARNING_DAYS"] = "90,30"
    done = operator.by_code("check")
    assert done.returncode == 1
    assert "+ expiring (warning, step 90)" in done.stdout
    assert "The limits are the app's own." in done.stdout


# What a check by hand leaves behind


def test_with_write_it_stores_and_publishes_and_says_whose_run_it_was(operator):
    operator.check(HEALTHY, ago=HOUR)
    turns(operator, CRITICAL)
    done = operator.by_code("check", "--write")
    assert "It was stored and published: run cli-" in done.stdout
    (row,) = [row for row in operator.sim.table_rows("TokenStatus") if row["TokenName"] == "Contoso HQ"]
    assert (row["Health"], row["RunId"][:4]) == ("critical", "cli-")
    assert row["RunId"] in [run["RunId"] for run in operator.sim.table_rows("CheckRun")]
    assert row["RunId"] in [change["RunId"] for change in operator.sim.table_rows("TokenHistory")]
    found = [one for one in operator.sim.log_rows("AppleTokenFinding_CL") if one["RunId"] == row["RunId"]]
    assert {one["Finding"] for one in found} == {"expiring", "none"}


def test_it_is_no_heartbeat_of_the_app(operator):
    operator.check(of=tenant(ade(synced=9 * HOUR), vpps=[vpp(synced=9 * HOUR)]), ago=5 * HOUR)
    assert operator.by_code("check", "--write").returncode == 0
    assert {row["RunId"][:4] for row in operator.sim.log_rows("AppleTokenRun_CL")} == {"run-"}
    assert operator.alerts() == [("check_silent", None, None)]


def test_it_does_not_say_that_the_app_may_read(operator):
    for hours in (2, 1):
        operator.sim.graph.fail(ADE, faults.missing_role())
        operator.check(HEALTHY, ago=hours * HOUR)
    operator.sim.graph.heal()
    assert operator.by_code("check", "--write").returncode == 0
    assert ("check_failing", None, None) in operator.alerts()


def test_it_can_raise_an_alert_and_end_none(operator):
    labs = ade("Contoso Labs", expires=3 * DAY)
    operator.check(HEALTHY, labs, ago=HOUR)
    turns(operator, CRITICAL, ade("Contoso Labs", expires=300 * DAY))
    operator.by_code("check", "--write")
    both = [("token_critical", "Contoso HQ", "expiring"), ("token_critical", "Contoso Labs", "expiring")]
    assert operator.alerts() == both
    operator.check(of=operator.sim.graph.tenant, ago=0 * HOUR)
    assert operator.alerts() == both[:1]


# What is not written


def test_a_token_that_the_operator_does_not_see_is_not_taken_for_a_removed_one(operator):
    operator.check(HEALTHY, ade("Contoso Labs"))
    turns(operator, HEALTHY)
    before = operator.kept()
    done = operator.by_code("check", "--write")
    assert done.returncode == 3
    assert "Graph does not show you 'Contoso Labs' (ADE): removed, or outside the scope of your role." in done.stdout
    assert "Nothing was written: Graph does not show you 'Contoso Labs' (ADE), which the monitor knows." in done.stderr
    assert "all scope tags" in done.stderr
    assert operator.kept() == before


def test_by_other_limits_than_the_app_s_nothing_is_written(operator):
    operator.check(HEALTHY)
    operator.sim.arm.forbidden.add("/config/appsettings/list")
    before = operator.kept()
    done = operator.by_code("check")
    assert done.returncode == 0
    assert "The limits are the usual ones, and not the app's: Azure Resource Manager answered HTTP 403" in done.stdout
    done = operator.by_code("check", "--write")
    assert done.returncode == 3
    assert "Nothing was written: the app's own settings are not known" in done.stderr
    assert operator.kept() == before


def test_a_connector_that_cannot_be_read_hides_no_other_one_and_is_not_written(operator):
    operator.check(HEALTHY)
    turns(operator, CRITICAL)
    operator.sim.graph.fail(VPP, faults.missing_role())
    before = operator.kept()
    done = operator.by_code("check")
    assert done.returncode == 2
    assert "VPP could not be read" in done.stdout
    assert "Graph refused access" in done.stdout
    assert "Intune role that reads enrollment" in done.stdout
    assert "identity" not in done.stdout
    assert "Contoso HQ" in done.stdout
    done = operator.by_code("check", "--write")
    assert done.returncode == 3
    assert "Nothing was written: VPP could not be read, and by hand only a whole look is kept." in done.stderr
    assert operator.kept() == before


def test_somebody_who_may_read_nothing_is_told_which_role_it_takes(operator):
    operator.check(HEALTHY)
    operator.sim.graph.fail("/device", faults.missing_role())
    done = operator.by_code("check")
    assert (done.returncode, done.stdout) == (3, "")
    assert "Graph lets this sign-in read nothing: GET /beta/deviceManagement/depOnboardingSettings" in done.stderr
    assert "Read Only Operator" in done.stderr


def test_somebody_whom_graph_refuses_for_the_license_of_the_tenant_is_told_that(operator):
    operator.check(HEALTHY)
    operator.sim.graph.fail("/device", faults.status(403, message="Request not applicable to target tenant."))
    done = operator.by_code("check")
    assert (done.returncode, done.stdout) == (3, "")
    assert "active Intune license" in done.stderr


def test_without_graph_it_could_not_tell(operator):
    operator.check(HEALTHY)
    operator.sim.graph.fail("/device", faults.status(500))
    done = operator.by_code("check")
    assert done.returncode == 3
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("▲")] == ["ADE", "APNs", "VPP"]


def test_tables_that_cannot_be_read_are_told_in_a_sentence(operator):
    operator.check(HEALTHY)
    operator.sim.proxy.fail("TokenStatus", faults.table_status(403, "AuthorizationPermissionMismatch"))
    done = operator.by_code("check", TABLES_ENDPOINT=operator.sim.operator_env(proxied=True)["TABLES_ENDPOINT"])
    assert (done.returncode, done.stdout) == (3, "")
    assert "TokenStatus could not be read" in done.stderr
    assert "Storage Table Data Reader" in done.stderr


def test_what_could_not_be_published_is_told_and_the_rest_is_kept(operator):
    operator.check(HEALTHY)
    turns(operator, CRITICAL)
    operator.sim.ingestion.fail("", faults.status(403))
    done = operator.by_code("check", "--write")
    assert done.returncode == 3
    assert "The check was not whole: run cli-" in done.stdout
    assert "Monitoring Metrics Publisher" in done.stdout
    assert "It ran with your sign-in" in done.stdout
    assert "critical" in {row["Health"] for row in operator.sim.table_rows("TokenStatus")}


def test_a_place_that_writing_takes_is_asked_for_before_anybody_signs_in(operator):
    operator.check(HEALTHY)
    operator.sim.arm.forbidden.add("/config/appsettings/list")
    done = operator.by_code("check", "--write", LOGS_INGESTION_RULE_ID=None)
    assert done.returncode == 3
    assert "LOGS_INGESTION_RULE_ID is not known" in done.stderr
    assert operator.sim.authority.requests == []


def test_names_from_outside_are_shown_as_they_are_and_do_nothing(operator):
    operator.check(HEALTHY)
    turns(operator, ade("[red]Evil[/red] \x1b[2J", expires=3 * DAY), vpps=[vpp()], apns=push())
    done = operator.by_code("check")
    assert "[red]Evil[/red]" in done.stdout
    assert "\x1b" not in done.stdout


def test_it_is_readable_in_60_columns(operator):
    operator.check(HEALTHY)
    turns(operator, CRITICAL)
    done = operator.by_code("check", COLUMNS="60")
    assert max(map(len, done.stdout.splitlines())) <= 60
