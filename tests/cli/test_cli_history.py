"""`history` and `runs`: the changes of a token, and the runs of the monitor."""

import csv
import io
from dataclasses import replace
from datetime import timedelta

import pytest
from cli_scene import CHECKED, ade, now, push, tenant

from shared.model.runs import Failure
from shared.model.tokens import Connector
from simulator.tenant import default_tenant, fixed_id
from tests.scenes import DAY, HOUR, MINUTE


def history(scene, *arguments, **environment):
    done = scene.run("history", *arguments, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


# Which token


@pytest.mark.parametrize("text", ["contoso labs", " Lab ", "56D7758F-7614"])
def test_a_token_is_found_by_its_id_or_name_or_a_part_of_it(scene, text):
    scene.check(of=default_tenant(now() - CHECKED))
    assert fixed_id("Contoso Labs").startswith("56d7758f-7614")
    assert history(scene, text).startswith("Contoso Labs (ADE, 56d7758f-7614-")


def test_several_candidates_are_listed_with_their_ids(scene):
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
    assert "with expired, sync_stale." in history(scene, "3f8313bb-f37c-5627-922c-c221c7d1bfc6", COLUMNS="200")
    assert "with expiring (30)" in history(scene, "9df15d76", COLUMNS="200")


def test_only_some_of_many_candidates_are_listed(scene):
    scene.check(*(ade(f"Contoso {number:02d}") for number in range(24)), ade("Con"))
    assert history(scene, "con").startswith("Con (ADE,"), "a whole name precedes a part of one"
    done = scene.run("history", "Contoso")
    assert "'Contoso' can mean 25 tokens." in done.stderr  # Contoso Apps is one, too
    assert done.stderr.splitlines()[-1] == "  and 5 more"


def test_an_unknown_token_is_named_in_a_sentence(scene):
    scene.check(ade("Contoso HQ"))
    done = scene.run("history", "Nobody")
    assert (done.returncode, done.stdout) == (3, "")
    assert "No token has 'Nobody' as its id or name" in done.stderr


@pytest.mark.parametrize("text", [fixed_id("Fabrikam Pilot"), "pilot"])
@pytest.mark.sampled(1)
def test_a_removed_token_is_found_in_the_history(scene, text):
    scene.check(ade("Contoso HQ"), ade("Fabrikam Pilot", expires=3 * DAY), ago=10 * DAY)
    for ago in (9 * DAY, 9 * DAY - HOUR, DAY):
        scene.check(ade("Contoso HQ"), ago=ago)
    assert "Fabrikam Pilot" not in scene.run("status").stdout
    text = history(scene, text, COLUMNS="200")
    assert text.startswith(f"Fabrikam Pilot (ADE, {fixed_id('Fabrikam Pilot')}): removed\n")
    assert text.index("removed began") < text.index("was seen for the first time")


@pytest.mark.parametrize("token_id", ["a/b\\c#d?e%f", "x\x1b[2J", "x" * 600])
@pytest.mark.sampled(1)
def test_an_id_may_be_any_text(scene, token_id):
    scene.check(ade("Contoso HQ", id=token_id))
    assert "was seen for the first time" in history(scene, "Contoso HQ")
    assert "\x1b" not in history(scene, "Contoso HQ")
    if token_id.isprintable() and len(token_id) < 400:  # a longer one is not kept whole in a key
        assert "was seen for the first time" in history(scene, token_id)


# What changed


def test_changes_are_newest_first_with_the_health_after_each(scene):
    for days, ago in ((40, 5 * DAY), (20, 3 * DAY), (300, 2 * HOUR)):
        scene.check(of=tenant(apns=push(expires=days * DAY)), ago=ago)
    first, *changes = history(scene, "push", COLUMNS="200").splitlines()
    assert first.endswith("): healthy for 2 hours")
    assert ["● healthy" in changes[0], "▲ warning" in changes[1], "▲ warning" in changes[2]] == [True] * 3
    assert "was renewed" in changes[0]
    assert "expiring (60) became expiring (30)" in changes[1]
    assert "was seen for the first time" in changes[2]
    assert history(scene, "push", "--days", "4", COLUMNS="200").splitlines() == [first, *changes[:2]]


def test_history_without_a_change_has_a_message(scene):
    seen = tenant(apns=push())
    scene.check(of=seen, ago=3 * DAY)
    scene.check(of=seen)
    assert "Nothing changed in 2 days." in history(scene, "push", "--days", "2")


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


def test_a_malformed_row_of_the_history_is_shown_as_unknown(scene):
    scene.check(ade("Contoso HQ"))
    (row,) = [row for row in scene.sim.table_rows("TokenHistory") if row["TokenName"] == "Contoso HQ"]
    scene.put("TokenHistory", {**row, "Changes": "{", "Sentence": "", "Health": "odd"})
    assert "? unknown   The row does not say what changed." in history(scene, "Contoso HQ")


# What the monitor did


def test_runs_are_newest_first_with_their_errors(scene):
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


def test_a_day_of_runs_is_shown_by_default(scene):
    for hour in range(30):
        scene.ran(hour * HOUR + MINUTE)
    assert len(scene.json("runs")["runs"]) == 24
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


def test_the_exit_code_is_3_without_a_run(scene):
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


def test_a_run_with_a_malformed_row_is_unknown(scene):
    scene.ran(HOUR)
    (row,) = scene.sim.table_rows("CheckRun")
    scene.put("CheckRun", {**{name: value for name, value in row.items() if name != "Outcome"}, "Connectors": "?"})
    text = scene.run("runs").stdout
    assert "✖ unknown" in text
    assert "Connectors is not what this release knows" in text
    scene.check(of=replace(tenant(), vpp=()), ago=2 * HOUR)
    assert "The newest check, 1 hour ago, ended as unknown" in scene.run("status", COLUMNS="200").stdout
