"""`history` and `runs`: what changed about a token, and what the monitor itself did."""

import csv
import io
from dataclasses import replace
from datetime import timedelta

import pytest
from cli_scene import CHECKED, DAY, HOUR, MINUTE, ade, now, push, tenant

from shared.model.runs import Failure
from shared.model.tokens import Connector
from simulator.tenant import default_tenant, fixed_id


def told(scene, *arguments, **environment):
    done = scene.run("history", *arguments, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


# Which token


@pytest.mark.parametrize("text", ["Contoso Labs", "contoso labs", "labs", "LAB", "56d7758f", "56D7758F-7614", " Labs "])
@pytest.mark.sampled(3)
def test_a_token_is_named_by_its_id_its_name_or_a_part_of_it(scene, text):
    scene.check(of=default_tenant(now() - CHECKED))
    assert fixed_id("Contoso Labs").startswith("56d7758f-7614")
    assert told(scene, text).startswith("Contoso Labs (ADE, 56d7758f-7614-")


def test_a_name_wins_over_a_longer_one_that_it_is_a_part_of(scene):
    scene.check(ade("Contoso"), ade("Contoso HQ"))
    assert told(scene, "contoso").startswith("Contoso (ADE,")


def test_several_candidates_are_listed_and_the_id_of_one_is_enough(scene):
    scene.check(of=default_tenant(now() - CHECKED))
    done = scene.run("history", "Retail")
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "'Retail' can mean 2 tokens.",
        "Name one by its id:",
        "  3f8313bb-f37c-5627-922c-c221c7d1bfc6  ADE   Contoso Retail",
        "  9df15d76-62b3-57d1-b4f5-30825bde467c  ADE   Contoso Retail",
    ]
    assert "with expired, sync_stale." in told(scene, "3f8313bb-f37c-5627-922c-c221c7d1bfc6", COLUMNS="200")
    assert "with expiring (30)" in told(scene, "9df15d76", COLUMNS="200")


def test_of_many_candidates_some_are_listed(scene):
    scene.check(*(ade(f"Contoso {number:02d}") for number in range(25)))
    done = scene.run("history", "Contoso")
    assert "'Contoso' can mean 26 tokens." in done.stderr  # Contoso Apps is one, too
    assert done.stderr.splitlines()[-1] == "  and 6 more"


def test_candidates_stand_below_each_other_in_a_narrow_terminal(scene):
    scene.check(of=default_tenant(now() - CHECKED))
    code, shown = scene.terminal("history", "fabrikam", "--quiet", columns=60)
    assert code == 3
    lines = shown.splitlines()
    assert lines[:2] == ["'fabrikam' can mean 4 tokens.", "Name one by its id:"]
    assert all(len(line) <= 60 and line.startswith("  ") for line in lines[2:])
    assert f"  {fixed_id('Fabrikam Kiosks')}  ADE   Fabrikam" in lines  # the name goes on in the next one


def test_a_token_that_nobody_knows_is_said_in_a_sentence(scene):
    scene.check(ade("Contoso HQ"))
    done = scene.run("history", "Nobody")
    assert (done.returncode, done.stdout) == (3, "")
    assert "No token has 'Nobody' as its id or name" in done.stderr


@pytest.mark.parametrize("text", ["Fabrikam Pilot", fixed_id("Fabrikam Pilot"), "pilot"])
def test_a_token_that_has_left_the_status_is_found_in_the_history(scene, text):
    scene.check(ade("Contoso HQ"), ade("Fabrikam Pilot", expires=3 * DAY), ago=10 * DAY)
    for ago in (9 * DAY, 9 * DAY - HOUR, DAY):
        scene.check(ade("Contoso HQ"), ago=ago)
    assert "Fabrikam Pilot" not in scene.run("status").stdout
    text = told(scene, text, COLUMNS="200")
    assert text.startswith(f"Fabrikam Pilot (ADE, {fixed_id('Fabrikam Pilot')}): removed\n")
    assert text.index("removed began") < text.index("was seen for the first time")


def test_a_token_that_has_left_has_the_last_of_its_names(scene):
    pilot = {"id": fixed_id("Fabrikam Pilot")}
    scene.check(ade("Fabrikam Pilot", **pilot), ago=12 * DAY)
    scene.check(ade("Fabrikam Trial", **pilot), ago=11 * DAY)
    for ago in (10 * DAY, 10 * DAY - HOUR, DAY):
        scene.check(ade("Contoso HQ"), ago=ago)
    assert told(scene, "trial").startswith("Fabrikam Trial (ADE,")
    assert scene.run("history", "pilot").returncode == 3


@pytest.mark.parametrize("token_id", ["a/b\\c#d?e%f", "O'Brien's", "x" * 600, "ü:1"])
def test_an_id_may_be_any_text(scene, token_id):
    scene.check(ade("Contoso HQ", id=token_id))
    assert "was seen for the first time" in told(scene, "Contoso HQ")
    if len(token_id) < 400:  # a longer one is not kept whole in a key
        assert "was seen for the first time" in told(scene, token_id)


def test_an_id_cannot_move_the_cursor(scene):
    scene.check(ade("Contoso HQ", id="x\x1b[2J"))
    done = scene.run("history", "Contoso HQ")
    assert "\x1b" not in done.stdout
    assert "(ADE, x\ufffd[2J)" in done.stdout


# What changed


def test_changes_stand_newest_first_with_the_health_after_each(scene):
    for days, ago in ((40, 5 * DAY), (20, 3 * DAY), (300, 2 * HOUR)):
        scene.check(of=tenant(apns=push(expires=days * DAY)), ago=ago)
    first, *changes = told(scene, "push", COLUMNS="200").splitlines()
    assert first.endswith("): healthy for 2 hours")
    assert ["● healthy" in changes[0], "▲ warning" in changes[1], "▲ warning" in changes[2]] == [True] * 3
    assert "was renewed" in changes[0]
    assert "expiring (60) became expiring (30)" in changes[1]
    assert "was seen for the first time" in changes[2]
    assert told(scene, "push", "--days", "4", COLUMNS="200").splitlines() == [first, *changes[:2]]


def test_no_change_is_said(scene):
    seen = tenant(apns=push())
    scene.check(of=seen, ago=3 * DAY)
    scene.check(of=seen)
    assert "Nothing changed in 2 days." in told(scene, "push", "--days", "2")


def test_history_as_json_and_csv(scene):
    scene.check(ade("=1+1", expires=20 * DAY))
    document = scene.json("history", "=1+1")
    assert set(document) == {"connector", "id", "name", "health", "changes"}
    assert (document["name"], document["health"]) == ("=1+1", "warning")
    (change,) = document["changes"]
    assert set(change) == {
        "changed_on", "connector", "id", "name", "old_health", "health", "sentence", "changes", "run_id", "problems",
    }  # fmt: skip
    assert change["old_health"] is None
    assert {
        "field": "finding",
        "old": None,
        "new": {"code": "expiring", "severity": "warning", "tier": "30"},
    } in change["changes"]
    (line,) = csv.DictReader(io.StringIO(scene.run("history", "=1+1", "--format", "csv").stdout, newline=""))
    assert (line["token"], line["health"]) == ("'=1+1", "warning")


def test_a_row_of_the_history_that_cannot_be_read_is_shown_as_far_as_it_goes(scene):
    scene.check(ade("Contoso HQ"))
    (row,) = [row for row in scene.sim.table_rows("TokenHistory") if row["TokenName"] == "Contoso HQ"]
    scene.put("TokenHistory", {**row, "Changes": "{", "Sentence": "", "Health": "odd"})
    assert "? unknown   The row does not say what changed." in told(scene, "Contoso HQ")


# What the monitor did


def test_runs_stand_newest_first_and_say_what_went_wrong(scene):
    scene.ran(3 * HOUR)
    failure = Failure(connector=Connector.VPP, asked="GET /x", reason="it was [red]refused[/]", remedy="Grant it.")
    scene.ran(2 * HOUR, "degraded", connectors={Connector.ADE: 3, Connector.VPP: failure})
    scene.ran(HOUR, "failed", store_error="TokenStatus could not be written.", past_due=True)
    done = scene.run("runs")
    assert done.returncode == 0
    places = [
        done.stdout.index(text)
        for text in (
            "✖ failed      250 ms  late, ADE 1",
            "    TokenStatus could not be written.",
            "▲ degraded    250 ms  ADE 3, VPP not read",
            "    vpp: GET /x: it was [red]refused[/]. Grant it.",
            "● succeeded   250 ms  ADE 1",
            "3 checks, newest first: 1 failed, 1 degraded, 1 succeeded.",
        )
    ]
    assert places == sorted(places)


def test_a_day_of_runs_is_shown_unless_somebody_wants_more_or_fewer(scene):
    for hour in range(30):
        scene.ran(hour * HOUR + MINUTE)
    assert len(scene.json("runs")["runs"]) == 24
    assert len(scene.json("runs", "--limit", "3")["runs"]) == 3
    assert len(scene.json("runs", "--days", "1")["runs"]) == 24
    assert len(scene.json("runs", "--days", "2")["runs"]) == 30
    assert len(scene.json("runs", "--days", "2", "--limit", "5")["runs"]) == 5


def test_runs_go_back_over_months(scene):
    """A month is a partition of the table."""
    agos = [timedelta(days=days, minutes=5) for days in (0, 20, 45, 80, 200)]
    for ago in reversed(agos):
        scene.ran(ago)
    started = [run["started_on"] for run in scene.json("runs")["runs"]]
    assert len(started) == 5
    assert started == sorted(started, reverse=True)
    assert len(scene.json("runs", "--days", "60")["runs"]) == 3
    assert scene.json("runs", "--limit", "2")["runs"] == scene.json("runs")["runs"][:2]


def test_without_a_run_there_is_nothing_to_tell(scene):
    done = scene.run("runs")
    assert (done.returncode, done.stdout) == (3, "")
    assert "The monitor has not run: the table CheckRun is empty." in done.stderr
    scene.ran(3 * DAY)
    done = scene.run("runs", "--days", "2")
    assert done.returncode == 3
    assert "The monitor has not run in 2 days" in done.stderr


def test_runs_as_json_and_csv(scene):
    scene.ran(HOUR, "failed", publish_error="=no")
    (run,) = scene.json("runs")["runs"]
    assert set(run) == {
        "run_id", "started_on", "duration_ms", "outcome", "connectors", "tokens", "counts", "store_error",
        "publish_error", "past_due", "version", "problems",
    }  # fmt: skip
    assert run["counts"] == {"critical": 0, "unknown": 0, "warning": 0, "info": 0, "healthy": 1}
    (line,) = csv.DictReader(io.StringIO(scene.run("runs", "--format", "csv").stdout, newline=""))
    assert (line["outcome"], line["errors"], line["past_due"], line["healthy"]) == ("failed", "'=no", "false", "1")


def test_a_run_whose_row_cannot_be_read_is_not_taken_for_a_good_one(scene):
    scene.ran(HOUR)
    (row,) = scene.sim.table_rows("CheckRun")
    scene.put("CheckRun", {**{name: value for name, value in row.items() if name != "Outcome"}, "Connectors": "?"})
    text = scene.run("runs").stdout
    assert "✖ unknown" in text
    assert "Connectors is not what this release knows" in text
    scene.check(of=replace(tenant(), vpp=()), ago=2 * HOUR)
    assert "The newest check, 1 hour ago, ended as unknown" in scene.run("status", COLUMNS="200").stdout
