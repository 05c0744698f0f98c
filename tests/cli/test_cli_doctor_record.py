"""`doctor` on the record: the tables, and what the app's own runs say in them."""

from datetime import UTC, datetime, timedelta

import pytest
from doctoring import TRIGGER, Patient

from cli.doctor.runs import missed
from shared import __version__
from shared.model.runs import Failure
from shared.model.tokens import Connector
from shared.storage.reading import reader
from shared.storage.rows import RunRow
from simulator import arm, faults
from tests.scenes import DAY, HOUR, MINUTE


@pytest.fixture
def patient(simulator):
    simulator.reset()
    return Patient(simulator)


# The record


def test_a_table_that_is_missing(patient):
    patient.hourly(1)
    with patient.without("DeviceInspection"):
        told = patient.the_failure("DeviceInspection")
    assert "The table DeviceInspection is missing" in told["said"]
    assert told["command"].startswith("az deployment group create --resource-group rg-apple-tokens")


def test_tables_that_the_operator_may_not_read(patient):
    patient.hourly(1)
    patient.sim.proxy.fail("", faults.table_status(403, "AuthorizationPermissionMismatch", "Not authorized."))
    way = patient.through_the_proxy()
    failed = patient.failing(**way)
    assert set(failed) == {"TokenStatus", "TokenHistory", "CheckRun", "DeviceInspection"}
    assert failed["CheckRun"]["command"].startswith(
        "az role assignment create --role 'Storage Table Data Reader' --assignee-object-id"
    )


def test_tables_that_the_operator_may_read_and_not_write(patient):
    patient.hourly(1)
    for method in ("PATCH", "MERGE", "PUT", "DELETE"):
        patient.sim.proxy.fail("", faults.table_status(403, "AuthorizationPermissionMismatch", "No."), method=method)
    way = patient.through_the_proxy()
    assert patient.failing(**way) == {}
    told = patient.failing("--write", **way)["TokenStatus"]
    assert "You can read it, and not write to it" in told["said"]
    assert "Storage Table Data Contributor" in told["command"]


def test_an_app_that_has_not_run(patient):
    told = patient.the_failure("Last check")
    assert told["said"].startswith("The app has not run")
    assert told["command"] == TRIGGER


@pytest.mark.parametrize(("ago", "fails"), [(2 * HOUR - MINUTE, False), (2 * HOUR + MINUTE, True)])
def test_the_last_check_and_the_heartbeat_are_no_older_than_two_hours(patient, ago, fails):
    patient.ran(ago)
    told = patient.lines()
    assert {told[what]["state"] for what in ("Last check", "Heartbeat")} == {"failed" if fails else "passed"}
    if fails:
        assert told["Last check"]["command"] == f"az functionapp restart --ids {arm.APP_ID}"


def test_a_stopped_app_that_no_longer_checks_is_to_be_started_once_and_not_restarted(patient):
    patient.ran(9 * DAY)
    patient.sim.arm.state = "Stopped"
    told = patient.failing()
    assert "9 days ago" in told["Last check"]["said"]
    assert [what for what, line in told.items() if "az functionapp" in (line["command"] or "")] == ["App"]
    assert {told[what]["remedy"] for what in ("Last check", "Heartbeat")} == {"The app does not run: see App."}


def test_checks_that_did_not_come(patient):
    patient.at_ticks(0, 1, 4, 5)
    told = patient.the_failure("Schedule")
    assert told["said"].startswith("2 hourly checks of the last day did not come")
    assert told["command"] == f"az functionapp restart --ids {arm.APP_ID}"


NOW = datetime(2026, 11, 23, 12, 17, tzinfo=UTC)


def started(on):
    return reader(RunRow)({"StartedOn": on, "Connectors": "{}"})


def runs(*starts):
    """Runs of that day, by hour and minute."""
    return [started(NOW.replace(hour=hour, minute=minute)) for hour, minute in starts]


@pytest.mark.parametrize(
    ("starts", "now_at", "hours"),
    [
        ([(9, 7), (10, 7), (11, 7), (12, 7)], NOW, []),
        ([(9, 7), (10, 7), (11, 7)], NOW, [12]),
        ([(9, 7), (10, 7), (11, 7)], NOW - timedelta(seconds=1), []),  # it may still be starting
        ([(9, 7), (10, 58), (12, 7)], NOW, [11]),  # a late one stands for its own hour
        ([(9, 7), (11, 6), (12, 7)], NOW, [10]),  # clocks differ by seconds
        ([(9, 7), (11, 5), (12, 7)], NOW, [11]),
        ([], NOW, []),
        ([(12, 7)], NOW, []),  # nothing is known of what was before
    ],
)
def test_a_tick_was_missed_when_no_check_began_within_its_hour(starts, now_at, hours):
    assert [tick.hour for tick in missed(runs(*starts), now_at, 7)] == hours


def test_ticks_of_more_than_a_day_ago_are_no_news():
    assert len(missed([started(NOW - 2 * DAY)], NOW, 7)) == 24


def test_one_check_that_was_lost_and_followed_by_others_is_told_and_fails_nothing(patient):
    patient.at_ticks(0, 1, 3)
    assert patient.failing() == {}
    assert "in the last day but for one at" in patient.lines()["Schedule"]["said"]


def test_a_run_that_could_not_read_for_another_reason(patient):
    failure = Failure(connector=Connector.VPP, asked="GET /x", reason="Graph failed", status=503, remedy="Wait.")
    patient.ran(outcome="degraded", connectors={Connector.ADE: 1, Connector.VPP: failure})
    told = patient.the_failure("Reading")
    assert told["said"] == "The newest check could not read VPP. VPP: GET /x: Graph failed (HTTP 503). Wait."


def test_a_run_that_could_not_store(patient):
    patient.ran(outcome="failed", store_error="TokenStatus could not be read: HTTP 500.")
    told = patient.failing()
    assert "TokenStatus could not be read: HTTP 500." in told["Storing"]["said"]


@pytest.mark.parametrize(("version", "command"), [("0.0.9", "deploy_code.py"), ("99.0", "git pull")])
def test_the_app_and_this_program_are_of_different_releases(patient, version, command):
    patient.ran()
    patient.change_run(Version=version)
    told = patient.the_failure("Version")
    assert version in told["said"]
    assert __version__ in told["said"]
    assert command in told["command"]
