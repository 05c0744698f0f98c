"""`status` for other programs: JSON, CSV, and the page."""

import csv
import io
import json

import pytest
from cli_scene import ade

from cli.export import csv_text
from tests.scenes import DAY, HOUR

HEALTHY = ade("Contoso HQ")
EXPIRING = ade("Contoso Retail", expires=20 * DAY)
CRITICAL = ade("Contoso Labs", expires=3 * DAY)

TOKEN = {
    "connector", "id", "name", "type", "apple_id", "health", "health_since", "summary", "expires_on", "days_left",
    "last_successful_sync", "last_sync_error_code", "synced_devices", "first_seen", "observed_on", "checked_on",
    "changed_on", "run_id", "problems", "findings",
}  # fmt: skip


def test_json_has_the_documented_fields(scene):
    run = scene.check(CRITICAL)
    done = scene.cli("status", "--format", "json")
    document = json.loads(done.stdout)
    assert set(document) == {"checked_on", "freshness", "exit_code", "messages", "unread", "counts", "run", "tokens"}
    assert document["exit_code"] == done.returncode == 2
    assert document["freshness"] == "fresh"
    assert document["counts"] == {"critical": 1, "unknown": 0, "warning": 0, "info": 0, "healthy": 2}
    assert document["checked_on"] == f"{run.started_on:%Y-%m-%dT%H:%M:%SZ}"
    assert document["run"]["run_id"] == run.id
    assert document["run"]["connectors"] == {"ade": {"tokens": 1}, "apns": {"tokens": 1}, "vpp": {"tokens": 1}}
    assert all(set(token) == TOKEN for token in document["tokens"])
    first = document["tokens"][0]
    assert (first["name"], first["health"], first["days_left"], first["problems"]) == (
        "Contoso Labs",
        "critical",
        3,
        [],
    )
    (finding,) = first["findings"]
    assert (finding["code"], finding["severity"], finding["tier"]) == ("expiring", "critical", "7")
    assert finding["action"].startswith("As Apple Business Organization Administrator, ")
    assert done.stderr == ""

    help_text = scene.run("status", "--help").stdout
    assert [name for name in TOKEN | set(document) if name not in help_text] == []


def test_json_has_the_reason_for_exit_code_3(scene):
    scene.check(HEALTHY, ago=5 * HOUR)
    done = scene.run("status", "--format", "json")
    document = json.loads(done.stdout)
    assert (document["exit_code"], document["freshness"]) == (done.returncode, "stale") == (3, "stale")
    assert "too old to rely on" in document["messages"][0]
    assert "too old to rely on" in done.stderr


def lines(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("separator", ["", ";", ",", "|", "a; ", 'x;"', "\xa0"], ids=ascii)
@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "＝"])  # noqa: RUF001
def test_a_cell_that_a_spreadsheet_takes_for_a_formula_is_text_in_csv(separator, sign):
    text = csv_text("a", [{"a": f"{separator}{sign}1+1"}, {"a": "a-b, c"}])
    assert list(csv.reader(io.StringIO(text, newline="")))[1] == [f"{separator}'{sign}1+1"]
    rows = csv_text("a", [{"a": "\ufeff=1"}, {"a": "a - b; c"}, {"a": -3}]).splitlines()
    assert rows[1:] == ["\ufeff'=1", "a - b; c", "-3"]


def test_csv_holds_text_numbers_and_instants(scene):
    name = '=HYPERLINK("http://x")'
    scene.check(ade(name), ade('Contoso, "HQ"', expires=-3 * DAY), ade("plain"))
    done = scene.run("status", "--format", "csv")
    document = {line["token"]: line for line in lines(done.stdout)}
    assert {f"'{name}", 'Contoso, "HQ"', "plain"} <= document.keys()
    assert len(document) == 5
    assert document['Contoso, "HQ"']["days_left"] == "-3"  # a number is no formula
    assert document['Contoso, "HQ"']["findings"].startswith("expired")
    assert document["plain"]["expires_on"].endswith("Z")


def test_filters_apply_to_the_page_and_its_exit_code(scene):
    scene.check(CRITICAL, EXPIRING)
    done = scene.run("status", "--format", "html", "--health", "warning")
    assert done.returncode == 1
    assert done.stdout.startswith("<!doctype html>")
    assert "Contoso Retail" in done.stdout
    assert "Contoso Labs" not in done.stdout
    assert "This page shows only the tokens that were asked for." in done.stdout


def test_the_page_without_data_has_a_message(scene):
    done = scene.run("status", "--format", "html")
    assert done.returncode == 3
    assert "There is no data." in done.stdout
    assert "There are no tokens in the table TokenStatus" in done.stderr
    scene.check(HEALTHY)
    done = scene.run("status", "--format", "html", "--health", "info")
    assert done.returncode == 0
    assert "None of 3 tokens is info." in done.stdout
