"""`doctor` as a whole: everything in place, this machine, and how it is told."""

import shlex
from datetime import timedelta
from email.utils import format_datetime

import pytest
from cli_scene import ade, now
from doctoring import OTHER, TABLES, Patient
from rich.cells import cell_len

from shared.graph.connectors import ROLE
from simulator import bearer, directory, faults
from simulator.bearer import PRINCIPAL_ID
from simulator.rules import firing
from tests.scenes import DAY, HOUR, MINUTE


@pytest.fixture
def patient(simulator):
    simulator.reset()
    return Patient(simulator)


# Everything in place


def test_a_healthy_deployment_passes_in_every_line(patient):
    patient.hourly(26)
    done = patient.cli("doctor", "--write")
    assert done.returncode == 0, done.stdout
    assert done.stderr == ""
    assert "\n22 passed.\n" in done.stdout
    assert "\x1b" not in done.stdout


def test_without_write_nothing_is_written_and_sending_is_not_tried(patient):
    patient.hourly(2)
    before = [patient.sim.table_rows(name) for name in TABLES]
    sent = len(patient.sim.ingestion.requests)
    told = patient.lines()
    assert told["Ingestion"]["state"] == "not tried"
    assert "--write tries it" in told["Ingestion"]["said"]
    assert {line["state"] for what, line in told.items() if what != "Ingestion"} == {"passed"}
    assert before == [patient.sim.table_rows(name) for name in TABLES]
    assert len(patient.sim.ingestion.requests) == sent
    changing = [one for one in patient.sim.graph.requests if one.method != "GET"]
    assert changing == []


@pytest.mark.exhaustive
def test_what_write_leaves_behind_is_one_row_that_no_alert_rule_counts(patient):
    patient.sim.graph.fail("vppTokens", faults.missing_role())
    patient.hourly(2, ade(expires=3 * DAY))
    patient.sim.graph.heal()
    instants = (now() + MINUTE, now() + 5 * HOUR)
    before = [patient.sim.table_rows(name) for name in TABLES]
    alerts = [firing(patient.sim.con, instant) for instant in instants]
    runs, findings = (patient.sim.log_rows(f"AppleToken{name}_CL") for name in ("Run", "Finding"))
    assert set(patient.failing("--write")) == {"Reading"}
    assert before == [patient.sim.table_rows(name) for name in TABLES]
    assert patient.sim.log_rows("AppleTokenFinding_CL") == findings
    (row,) = [row for row in patient.sim.log_rows("AppleTokenRun_CL") if row not in runs]
    assert (row["Connector"], row["Outcome"], row["Tokens"]) == ("doctor", "skipped", 0)
    assert [{alert.rule for alert in told} for told in alerts] == [
        {"token_critical", "check_failing"},
        {"token_critical", "check_failing", "check_silent"},
    ]
    assert [firing(patient.sim.con, instant) for instant in instants] == alerts


def test_the_app_passes_over_a_row_that_a_killed_doctor_left_behind(patient):
    patient.hourly(2)
    for table in TABLES:
        patient.put(table, {"PartitionKey": "doctor", "RowKey": "write-test", "TokenName": "Written by doctor"})
    run = patient.check()
    assert run.outcome.value == "succeeded"
    assert patient.failing("--write") == {}
    assert patient.run("status").returncode == 0


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_no_line_but_a_long_word_is_wider_than_the_terminal(patient, columns):
    done = patient.run("doctor", COLUMNS=str(columns))
    assert done.returncode == 2
    wide = [line for line in done.stdout.splitlines() if cell_len(line) > columns]
    assert all(len(line.removesuffix(" \\").split()) == 1 for line in wide), wide


def test_a_command_can_be_pasted_although_it_is_longer_than_a_line(patient):
    patient.sim.graph.directory.grants = []
    patient.hourly(1)
    text = patient.run("doctor", COLUMNS="60").stdout
    assert f"    infra/grant-graph-role.sh --principal-id \\\n      {PRINCIPAL_ID}\n" in text


# This machine


def test_with_nothing_known_nothing_could_be_tried(patient, tmp_path):
    nothing = dict.fromkeys(name for name in patient.sim.operator_env() if name.endswith(("_ID", "_ENDPOINT")))
    done = patient.run("doctor", cwd=tmp_path, **nothing)
    assert done.returncode == 3
    assert "22 not tried." in done.stdout
    assert "--tables-endpoint" in done.stdout


def test_the_tables_alone_are_enough_to_look_at(patient):
    patient.hourly(2)
    names = ("FUNCTION_APP_ID", "IDENTITY_CLIENT_ID", "IDENTITY_PRINCIPAL_ID", "LOGS_INGESTION_RULE_ID")
    told = patient.lines(**dict.fromkeys(names))
    assert {what for what, line in told.items() if line["state"] == "not tried"} == {
        "Places", "App", "Functions", "App settings", "Alert rules", "Rule id", "Identity", "Graph role", "Ingestion",
    }  # fmt: skip
    assert told["Right to publish"]["state"] == "passed"
    assert patient.run("doctor", **dict.fromkeys(names)).returncode == 0


def test_nobody_is_signed_in(patient):
    patient.hourly(1)
    patient.sim.identity.fail("", faults.text(400, '{"statusCode": 400, "message": "no identity"}'))
    told = patient.the_failure("Sign-in")
    assert told["command"] == f"az login --tenant {bearer.TENANT_ID}"


def test_somebody_is_signed_in_to_another_tenant(patient):
    patient.hourly(1)
    patient.sim.arm.changed["TENANT_ID"] = OTHER
    told = patient.the_failure("Sign-in", TENANT_ID=OTHER)
    assert f"signed in to tenant {bearer.TENANT_ID}, and the monitor is of {OTHER}" in told["said"]
    assert told["command"] == f"az login --tenant {OTHER}"


@pytest.mark.parametrize(
    ("ahead", "fails", "told"),
    [
        (timedelta(minutes=4, seconds=57), False, "4 minutes apart"),
        (timedelta(minutes=5, seconds=4), True, "5 minutes behind Azure's"),
        (timedelta(minutes=-4, seconds=-56), False, "4 minutes apart"),
        (timedelta(hours=-2, seconds=-4), True, "2 hours ahead of Azure's"),
    ],
)
def test_this_machines_clock_is_compared_with_azures(patient, ahead, fails, told):
    patient.hourly(1)

    async def shifted(_request, answer):
        response = await answer()
        response.headers["Date"] = format_datetime(now() + ahead, usegmt=True)
        return response

    patient.sim.proxy.fail("", shifted)
    line = patient.lines(**patient.through_the_proxy())["Clock"]
    assert (line["state"], told in line["said"]) == ("failed" if fails else "passed", True), line
    assert bool(line["command"]) == fails


def test_the_clock_is_compared_with_an_answer_that_never_ends(patient):
    patient.hourly(1)
    patient.sim.proxy.fail(lambda request: "/Token" not in request.path, faults.endless(), times=1)
    assert patient.lines(**patient.through_the_proxy())["Clock"]["state"] == "passed"


def test_this_machine_looks_at_another_deployment_than_the_apps(patient):
    patient.hourly(1)
    patient.sim.arm.changed["LOGS_INGESTION_ENDPOINT"] = "https://other.ingest.monitor.azure.com"
    told = patient.the_failure("Places")
    assert "the app is set to 'https://other.ingest.monitor.azure.com'" in told["said"]
    assert told["command"] == "azd env refresh"


def test_what_cannot_be_reached_is_told_once(patient):
    patient.hourly(1)
    with patient.sim.arm.refusing():
        told = patient.lines()
    assert (told["App"]["state"], told["App"]["command"]) == ("failed", None)
    assert "cannot be reached" in told["App"]["said"]
    assert (told["Rule id"]["state"], told["Rule id"]["said"]) == ("failed", "For the same reason as App.")
    assert told["Graph role"]["state"] == told["CheckRun"]["state"] == "passed"


# Texts that want to be more than texts


def test_hostile_names_are_told_as_text_and_quoted_in_commands(patient):
    patient.hourly(1)
    identity = patient.sim.graph.directory.principals[PRINCIPAL_ID]
    identity["displayName"] = "[red]x[/]\x1b[2J\n; rm -rf ~"
    patient.sim.graph.directory.grants = [(directory.ALERTS_PRINCIPAL_ID, ROLE)]
    patient.sim.graph.directory.principals[directory.ALERTS_PRINCIPAL_ID]["displayName"] = (
        f"{directory.APP_IDENTITY}\x07"
    )
    wrong = "$(reboot) `id`"
    patient.sim.arm.changed["LOGS_INGESTION_RULE_ID"] = wrong
    text = patient.run("doctor", COLUMNS="200", TENANT_ID="'; reboot").stdout
    assert "[red]x[/]" in text
    assert f"--tenant {shlex.quote("'; reboot")}\n" in text
    for sign in ("\x1b", "\x07"):
        assert sign not in text
    told = patient.failing(TENANT_ID="$(reboot)")
    assert told["Sign-in"]["command"] == "az login --tenant '$(reboot)'"


def test_the_help_has_examples_and_names_the_fields(patient):
    told = " ".join(patient.run("doctor", "--help").stdout.split())
    for part in (
        "python -m cli doctor --write",
        "what, state, said, remedy, command, then",
        "3 nothing could be tried",
    ):
        assert part in told


def test_quiet_leaves_only_the_result(patient):
    patient.hourly(1, ade())
    done = patient.cli("doctor", "--quiet", NO_COLOR="1")
    assert done.stderr == ""
    assert done.stdout.startswith("● passed")
