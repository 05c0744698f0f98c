"""`status`: what it shows, what it leaves out, and its exit code."""

from datetime import timedelta

import pytest
from cli_scene import CHECKED, ade, now, tenant, vpp
from rich.cells import cell_len

from cli.judgement import Freshness, judge
from shared.model.runs import Failure
from shared.model.tokens import Connector, Health
from shared.storage.reading import reader
from shared.storage.rows import RunRow, StatusRow
from simulator.tenant import default_tenant
from tests.scenes import DAY, HOUR, MINUTE

HEALTHY = ade("Contoso HQ")
EXPIRING = ade("Contoso Retail", expires=20 * DAY)
CRITICAL = ade("Contoso Labs", expires=3 * DAY)
UNREADABLE = ade("Contoso Archive", tokenExpirationDateTime="2027-13-01T00:00:00Z")


# Exit codes


@pytest.mark.parametrize(
    ("tokens", "code"),
    [((HEALTHY,), 0), ((HEALTHY, EXPIRING), 1), ((HEALTHY, CRITICAL), 2), ((HEALTHY, UNREADABLE), 2)],
)
def test_the_exit_code_separates_healthy_warning_and_critical_or_unknown(scene, tokens, code):
    scene.check(*tokens)
    done = scene.run("status")
    assert (done.returncode, done.stderr) == (code, "")


def test_the_exit_code_is_3_without_data(scene):
    done = scene.cli("status")
    assert done.returncode == 3
    assert "There are no tokens in the table TokenStatus, and the monitor has not run." in done.stdout
    scene.ran(12 * MINUTE, connectors={Connector.ADE: 0}, counts={})
    done = scene.run("status")
    assert done.returncode == 3
    assert "the monitor last ran 12 minutes ago" in done.stdout


@pytest.mark.parametrize(
    ("age", "code", "message"),
    [
        (3 * HOUR + MINUTE, 3, "too old to rely on: the last of the hourly checks was 3 hours ago"),
        (2 * HOUR + 5 * MINUTE, 1, "older than it should be"),
    ],
)
def test_old_data_is_shown_with_a_message(scene, age, code, message):
    scene.check(EXPIRING, ago=age)
    done = scene.run("status")
    assert done.returncode == code
    assert "Contoso Retail" in done.stdout
    assert message in done.stdout


def row(connector="ade", key="1", *, ago=CHECKED, health="healthy", findings="[]", **columns):
    return reader(StatusRow)(
        {
            "PartitionKey": connector,
            "RowKey": key,
            "TokenName": f"Token {key}",
            "Health": health,
            "Findings": findings,
            "CheckedOn": NOW - ago,
            **columns,
        }
    )


NOW = now()


@pytest.mark.parametrize(
    ("age", "freshness", "code"),
    [
        (2 * HOUR, Freshness.FRESH, 0),
        (2 * HOUR + timedelta(seconds=1), Freshness.LATE, 0),
        (3 * HOUR, Freshness.LATE, 0),
        (3 * HOUR + timedelta(seconds=1), Freshness.STALE, 3),
        (-5 * MINUTE, Freshness.FRESH, 0),
        (-5 * MINUTE - timedelta(seconds=1), Freshness.AHEAD, 3),
    ],
)
def test_the_limits_of_age(age, freshness, code):
    judged = judge([row(ago=age)], [], NOW)
    assert (judged.freshness, judged.code) == (freshness, code)
    assert bool(judged.messages) == (freshness is not Freshness.FRESH)


# Filters


def test_filters_apply_to_the_output_and_the_exit_code(scene):
    scene.check(of=tenant(CRITICAL, vpps=[vpp(expires=20 * DAY)]))
    assert scene.run("status").returncode == 2
    done = scene.run("status", "--connector", "vpp", "--connector", "apns")
    assert done.returncode == 1
    assert "Contoso Labs" not in done.stdout
    assert "2 tokens of 3: 1 warning, 1 healthy." in done.stdout
    done = scene.run("status", "--health", "healthy", "--health", "info")
    assert done.returncode == 0
    assert "Apple MDM push certificate" in done.stdout
    assert "Contoso Apps" not in done.stdout


def test_filters_that_leave_no_token_say_so(scene):
    scene.check(CRITICAL)
    done = scene.run("status", "--connector", "vpp", "--connector", "ade", "--health", "warning")
    assert done.returncode == 0
    assert "None of 3 tokens is ADE or VPP and warning." in done.stdout


def test_a_connector_that_could_not_be_read_is_unknown_without_tokens_too(scene):
    scene.check(HEALTHY)
    failure = Failure(connector=Connector.VPP, asked="GET /x", reason="it was refused", remedy="Grant the role.")
    scene.ran(timedelta(minutes=1), "degraded", connectors={Connector.ADE: 1, Connector.VPP: failure})
    scene.remove("TokenStatus", "vpp")
    done = scene.run("status")
    assert done.returncode == 2
    assert "VPP could not be read: GET /x: it was refused. Grant the role." in done.stdout
    assert scene.run("status", "--connector", "vpp").returncode == 2
    assert scene.run("status", "--connector", "ade").returncode == 0
    assert scene.run("status", "--health", "critical").returncode == 0


# Output


def test_a_failed_check_is_shown(scene):
    scene.check(HEALTHY)
    scene.ran(5 * MINUTE, "failed", publish_error="Logs Ingestion answered HTTP 403.")
    done = scene.run("status")
    assert "The newest check, 5 minutes ago, ended as failed: Logs Ingestion answered HTTP 403." in done.stdout
    assert done.returncode == 0
    scene.ran(2 * MINUTE)
    assert "A check failed 5 minutes ago; later checks did not." in scene.run("status").stdout
    assert "failed" not in judge([row()], [run(4 * HOUR, "failed")], NOW).messages


def run(ago, outcome):
    return reader(RunRow)({"StartedOn": NOW - ago, "Outcome": outcome, "Connectors": "{}"})


def test_an_old_failure_is_not_shown():
    assert judge([row()], [run(CHECKED, "succeeded"), run(3 * HOUR, "failed")], NOW).messages
    assert not judge([row()], [run(CHECKED, "succeeded"), run(3 * HOUR + MINUTE, "failed")], NOW).messages


def test_tokens_are_shown_when_the_runs_cannot_be_read(scene):
    scene.check(EXPIRING)
    with scene.without("CheckRun"):
        done = scene.run("status")
    assert done.returncode == 1
    assert "The monitor's runs are not known. The table CheckRun is missing" in done.stdout


def test_lines_fit_the_terminal_and_tell_tokens_of_one_name_apart(scene):
    scene.check(of=default_tenant(now() - CHECKED))
    for arguments in (("status",), ("runs",), ("history", "Contoso Labs")):
        lines = scene.run(*arguments, COLUMNS="60").stdout.splitlines()
        assert max(map(cell_len, lines)) <= 60
        if arguments == ("status",):
            heads = [line for line in lines if line.startswith(("✖", "▲"))]
            assert [sum(f"({start})" in line for line in heads) for start in ("3f8313bb", "9df15d76")] == [1, 1]


# Rows that cannot be relied on


@pytest.mark.parametrize(
    ("columns", "expected"),
    [({"Health": "splendid"}, "Health is 'splendid'"), ({"CheckedOn": None}, "CheckedOn is missing")],
)
def test_a_malformed_row_is_unknown_with_the_reason(scene, columns, expected):
    scene.check(HEALTHY)
    scene.change_row("Contoso HQ", **columns)
    done = scene.run("status", COLUMNS="200")
    assert done.returncode == 2
    assert "? unknown   Contoso HQ" in done.stdout
    assert f"What the table says of this token cannot be believed: {expected}." in done.stdout


def test_a_healthy_row_is_as_bad_as_its_worst_finding():
    finding = '[{"code":"expired","severity":"critical"}]'
    assert judge([row(health="healthy", findings=finding)], [], NOW).code == 2
    assert judge([row(findings='[{"code":"new","severity":"apocalyptic"}]')], [], NOW).rows[0].health is Health.UNKNOWN


def test_a_row_checked_long_before_the_others_is_unknown():
    judged = judge([row(key="1"), row(key="2", ago=CHECKED + 3 * HOUR + MINUTE)], [], NOW)
    assert [(one.name, one.health) for one in judged.rows] == [("Token 2", Health.UNKNOWN), ("Token 1", Health.HEALTHY)]
    assert judged.rows[0].problems == ("it was last checked 3 hours before the others",)
    assert judge([row(key="1"), row(key="2", ago=CHECKED + 3 * HOUR)], [], NOW).code == 0


def test_a_connector_of_a_later_release_is_shown_and_judged():
    judged = judge([row(connector="watch", health="warning")], [], NOW)
    assert (judged.rows[0].connector, judged.code) == ("watch", 1)


# Hostile names


def test_markup_in_a_name_is_text(scene):
    name = "[link=http://x]Contoso[/link] :warning: a\\[b] {name} %s"
    scene.check(ade(name, expires=3 * DAY))
    for arguments in (("status",), ("history", name)):
        assert f"'{name}'" in scene.run(*arguments, COLUMNS="200").stdout


def test_a_row_cannot_move_the_cursor_or_split_a_line(scene):
    scene.check(HEALTHY)
    scene.change_row("Contoso HQ", TokenName="x\x1b[2J\x1b]0;title\x07\n✖ critical\u202etxt", Health="warning")
    code, shown = scene.terminal("status")
    assert code == 1
    for sign in ("\x1b[2J", "\x1b]0;", "\x07", "\u202e"):
        assert sign not in shown
    assert sum("critical" in line for line in shown.splitlines()) == 1


def test_the_reading_commands_write_nothing(scene):
    scene.check(HEALTHY)
    before = [scene.sim.table_rows(name) for name in ("TokenStatus", "TokenHistory", "CheckRun", "DeviceInspection")]
    with scene.sim.ingestion.refusing(), scene.sim.graph.refusing():
        for arguments in (("status",), ("history", "Contoso HQ"), ("runs",), ("report", "--output", "-")):
            assert scene.run(*arguments).returncode == 0
    assert before == [
        scene.sim.table_rows(name) for name in ("TokenStatus", "TokenHistory", "CheckRun", "DeviceInspection")
    ]
