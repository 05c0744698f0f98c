"""`status`: what somebody sees who was just woken, and what a pipeline goes by."""

from datetime import timedelta

import pytest
from cli_scene import CHECKED, DAY, HOUR, MINUTE, ade, now, push, tenant, vpp
from rich.cells import cell_len

from cli.judgement import Freshness, judge
from shared.model.runs import Failure
from shared.model.tokens import Connector, Health
from shared.storage.reading import reader
from shared.storage.rows import RunRow, StatusRow
from simulator.tenant import default_tenant

HEALTHY = ade("Contoso HQ")
EXPIRING = ade("Contoso Retail", expires=20 * DAY)
CRITICAL = ade("Contoso Labs", expires=3 * DAY)
UNREADABLE = ade("Contoso Archive", tokenExpirationDateTime="2027-13-01T00:00:00Z")


# What the exit code says


@pytest.mark.parametrize(
    ("tokens", "code"),
    [((HEALTHY,), 0), ((HEALTHY, EXPIRING), 1), ((HEALTHY, CRITICAL), 2), ((HEALTHY, UNREADABLE), 2)],
)
def test_the_exit_code_tells_well_from_warnings_and_from_critical_or_unknown(scene, tokens, code):
    scene.check(*tokens)
    done = scene.cli("status")
    assert done.returncode == code, done.stderr
    assert done.stderr == ""


def test_without_data_it_could_not_tell(scene):
    done = scene.cli("status")
    assert done.returncode == 3
    assert "There are no tokens in the table TokenStatus, and the monitor has not run." in done.stdout


def test_a_tenant_without_tokens_is_no_tenant_that_is_well(scene):
    scene.ran(12 * MINUTE, connectors={Connector.ADE: 0}, counts={})
    done = scene.run("status")
    assert done.returncode == 3
    assert "the monitor last ran 12 minutes ago" in done.stdout


def test_data_older_than_three_hours_is_shown_and_judges_nothing(scene):
    scene.check(HEALTHY, ago=3 * HOUR + MINUTE)
    done = scene.cli("status")
    assert done.returncode == 3
    assert "Contoso HQ" in done.stdout
    assert "too old to rely on: the last of the hourly checks was 3 hours ago" in done.stdout


def test_data_of_more_than_two_hours_is_judged_with_a_warning(scene):
    scene.check(EXPIRING, ago=2 * HOUR + 5 * MINUTE)
    done = scene.run("status")
    assert done.returncode == 1
    assert "older than it should be" in done.stdout
    assert "Checked 2 hours ago" in done.stdout


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


# What the filters leave


def test_only_what_the_filters_leave_is_shown_and_judged(scene):
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


def test_filters_that_leave_nothing_find_nothing_wrong_and_say_so(scene):
    scene.check(CRITICAL)
    done = scene.run("status", "--connector", "vpp", "--connector", "ade", "--health", "warning")
    assert done.returncode == 0
    assert "None of 3 tokens is ADE or VPP and warning." in done.stdout


def test_a_connector_that_could_not_be_read_is_unknown_even_if_it_never_had_a_token(scene):
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


# What is to be seen


def test_the_worst_stands_first_with_what_is_wrong_and_what_to_do(scene):
    scene.check(HEALTHY, EXPIRING, CRITICAL)
    text = scene.run("status").stdout
    places = [text.index(told) for told in ("✖ critical  Contoso Labs", "▲ warning   Contoso Retail", "● healthy")]
    assert places == sorted(places)
    assert "'Contoso Labs' expires in 3 days" in text
    assert "    → As Apple Business Organization Administrator, " in text
    assert "5 tokens: 1 critical, 1 warning, 3 healthy." in text
    assert "Checked 12 minutes ago (" in text


def test_two_tokens_of_one_name_can_be_told_apart(scene):
    scene.check(of=default_tenant(now() - CHECKED))
    text = scene.run("status").stdout
    assert "Contoso Retail (3f8313bb)" in text
    assert "Contoso Retail (9df15d76)" in text


def test_a_check_that_failed_is_told(scene):
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


def test_a_failure_of_long_ago_is_no_news():
    assert judge([row()], [run(CHECKED, "succeeded"), run(3 * HOUR, "failed")], NOW).messages
    assert not judge([row()], [run(CHECKED, "succeeded"), run(3 * HOUR + MINUTE, "failed")], NOW).messages


def test_tokens_are_shown_although_the_runs_cannot_be_read(scene):
    scene.check(EXPIRING)
    with scene.without("CheckRun"):
        done = scene.run("status")
    assert done.returncode == 1
    assert "The monitor's runs are not known. The table CheckRun is missing" in done.stdout


def test_two_tokens_of_one_name_can_be_told_apart_where_the_line_is_short(scene):
    scene.check(of=default_tenant(now() - CHECKED))
    heads = [line for line in scene.run("status", COLUMNS="60").stdout.splitlines() if line.startswith(("✖", "▲"))]
    assert any("(3f8313bb)" in line for line in heads)
    assert any("(9df15d76)" in line for line in heads)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal(scene, columns):
    scene.check(of=default_tenant(now() - CHECKED))
    for arguments in (("status",), ("runs",), ("history", "Contoso Labs")):
        text = scene.run(*arguments, COLUMNS=str(columns)).stdout
        assert max(cell_len(line) for line in text.splitlines()) <= columns


# Rows that nobody should believe


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"Findings": "[{"}, "Findings is not what this release knows"),
        ({"Findings": None}, "Findings is missing"),
        ({"Health": None}, "Health is missing"),
        ({"Health": "splendid"}, "Health is 'splendid'"),
        ({"CheckedOn": None}, "CheckedOn is missing"),
        ({"ExpiresOn": "tomorrow"}, "ExpiresOn is 'tomorrow'"),
    ],
)
def test_a_row_that_cannot_be_read_as_a_whole_is_unknown_and_says_why(scene, columns, told):
    scene.check(HEALTHY)
    scene.change_row("Contoso HQ", **columns)
    done = scene.run("status", COLUMNS="200")
    assert done.returncode == 2
    assert "? unknown   Contoso HQ" in done.stdout
    assert f"What the table says of this token cannot be believed: {told}." in done.stdout


def test_a_row_that_calls_itself_healthy_is_as_bad_as_its_worst_finding():
    finding = '[{"code":"expired","severity":"critical"}]'
    assert judge([row(health="healthy", findings=finding)], [], NOW).code == 2
    assert judge([row(findings='[{"code":"new","severity":"apocalyptic"}]')], [], NOW).rows[0].health is Health.UNKNOWN


def test_a_row_that_the_others_have_left_behind_is_unknown():
    judged = judge([row(key="1"), row(key="2", ago=CHECKED + 3 * HOUR + MINUTE)], [], NOW)
    assert [(one.name, one.health) for one in judged.rows] == [("Token 2", Health.UNKNOWN), ("Token 1", Health.HEALTHY)]
    assert judged.rows[0].problems == ("it was last checked 3 hours before the others",)
    assert judge([row(key="1"), row(key="2", ago=CHECKED + 3 * HOUR)], [], NOW).code == 0


def test_a_connector_of_a_later_release_is_shown_and_judged():
    judged = judge([row(connector="watch", health="warning")], [], NOW)
    assert (judged.rows[0].connector, judged.code) == ("watch", 1)


# Names that want to be more than names


@pytest.mark.parametrize(
    "name", ["[bold red]Contoso[/]", "[link=http://x]Contoso[/link]", "[/]", ":warning: x", "a\\[b]", "{name} %s"]
)
def test_markup_in_a_name_is_text(scene, name):
    scene.check(ade(name, expires=3 * DAY))
    assert f"✖ critical  {name}" in scene.run("status").stdout
    assert f"'{name}'" in scene.run("history", name).stdout.replace("\n" + 34 * " ", " ")


def test_a_row_cannot_move_the_cursor_or_split_a_line(scene):
    scene.check(HEALTHY)
    scene.change_row("Contoso HQ", TokenName="x\x1b[2J\x1b]0;title\x07\n✖ critical\u202etxt", Health="warning")
    code, shown = scene.terminal("status")
    assert code == 1
    for sign in ("\x1b[2J", "\x1b]0;", "\x07", "\u202e"):
        assert sign not in shown
    assert sum("critical" in line for line in shown.splitlines()) == 1


def test_a_push_certificate_and_a_vpp_token_have_a_line_too(scene):
    scene.check(of=tenant(HEALTHY, vpps=[vpp(state="invalid")], apns=push(expires=12 * DAY)))
    text = scene.run("status").stdout
    assert "✖ critical  Contoso Apps                VPP" in text
    assert "▲ warning   Apple MDM push certificate  APNs" in text


def test_nothing_but_reading_happens(scene):
    scene.check(HEALTHY)
    before = [scene.sim.table_rows(name) for name in ("TokenStatus", "TokenHistory", "CheckRun", "DeviceInspection")]
    with scene.sim.ingestion.refusing(), scene.sim.graph.refusing():
        for arguments in (("status",), ("history", "Contoso HQ"), ("runs",), ("report", "--output", "-")):
            assert scene.run(*arguments).returncode == 0
    assert before == [
        scene.sim.table_rows(name) for name in ("TokenStatus", "TokenHistory", "CheckRun", "DeviceInspection")
    ]
