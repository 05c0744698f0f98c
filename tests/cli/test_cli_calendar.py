"""`status --format ics`: entries that calendars take, that come once however often they are imported."""

import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cli_scene import DAY, HOUR, ade
from icalendar import Calendar

from cli.expiries import calendar_text
from simulator.host import ROOT

HOSTILE = 'A; B, \\n\\ "C": BEGIN:VEVENT é 漢 ' + "x" * 200


def entries(text):
    calendar = Calendar.from_ical(text)
    assert calendar.errors == []
    return {str(one["SUMMARY"]): one for one in calendar.walk("VEVENT")}


def days(entry):
    return [alarm["TRIGGER"].dt.days for alarm in entry.walk("VALARM")]


@pytest.fixture
def written(scene):
    scene.check(ade("Contoso HQ"), ade(HOSTILE, expires=20 * DAY), ade("Contoso Labs", expires=-DAY))
    return scene.run("status", "--format", "ics")


def test_each_known_expiry_is_an_entry_with_reminders_on_the_days_that_warn(written):
    found = entries(written.stdout)
    assert set(found) == {
        "Contoso HQ (ADE) expires",
        f"{HOSTILE} (ADE) expires",
        "Contoso Labs (ADE) expires",
        "Apple MDM push certificate (APNs) expires",
        "Contoso Apps (VPP) expires",
    }
    assert days(found["Contoso HQ (ADE) expires"]) == [-60, -30, -14, -7, -1]
    assert days(found[f"{HOSTILE} (ADE) expires"]) == [-14, -7, -1]
    assert days(found["Contoso Labs (ADE) expires"]) == []
    entry = found["Contoso HQ (ADE) expires"]
    assert timedelta(days=199) < entry["DTSTART"].dt - datetime.now(UTC) < timedelta(days=200)
    assert entry["DTSTART"].dt.utcoffset() == timedelta()
    assert "DTEND" not in entry
    assert f"Renew it before {entry['DTSTART'].dt:%Y-%m-%d %H:%M} UTC." in entry["DESCRIPTION"]
    assert (written.returncode, written.stderr) == (2, "")


def test_the_reminders_are_those_of_the_deployment(scene):
    scene.check(ade("Contoso HQ", expires=300 * DAY))
    done = scene.run("status", "--format", "ics", EXPIRY_WARNING_DAYS="90,45", EXPIRY_CRITICAL_DAYS="5")
    assert days(entries(done.stdout)["Contoso HQ (ADE) expires"]) == [-90, -45, -5]
    done = scene.run("status", "--format", "ics", EXPIRY_WARNING_DAYS="soon")
    assert (done.returncode, done.stdout) == (3, "")
    assert "EXPIRY_WARNING_DAYS cannot be used" in done.stderr


def test_a_renewed_token_keeps_its_entry_and_moves_it(scene):
    scene.check(ade("Contoso HQ", expires=10 * DAY), ago=2 * HOUR)
    (before,) = (one for one in entries(scene.run("status", "--format", "ics", "-c", "ade").stdout).values())
    scene.check(ade("Renamed", id=str(before["UID"]).removeprefix("ade-").partition("@")[0], expires=365 * DAY))
    (after,) = (one for one in entries(scene.run("status", "--format", "ics", "-c", "ade").stdout).values())
    assert after["UID"] == before["UID"]
    assert after["DTSTART"].dt > before["DTSTART"].dt + 350 * DAY
    assert after["SUMMARY"] == "Renamed (ADE) expires"


def test_a_token_whose_expiry_is_not_known_has_no_entry_and_a_sentence(scene):
    scene.check(ade("Contoso HQ"), ade("Contoso Labs", tokenExpirationDateTime=None))
    done = scene.run("status", "--format", "ics", "--connector", "ade")
    assert list(entries(done.stdout)) == ["Contoso HQ (ADE) expires"]
    assert "There is no entry for Contoso Labs (ADE): when it expires is not known." in done.stderr


def test_a_removed_token_has_no_entry_and_a_sentence(scene):
    scene.check(ade("Contoso HQ"), ade("Contoso Labs"), ago=2 * HOUR)
    scene.check(ade("Contoso HQ"), ago=HOUR)
    scene.check(ade("Contoso HQ"))
    done = scene.run("status", "--format", "ics", "--connector", "ade")
    assert list(entries(done.stdout)) == ["Contoso HQ (ADE) expires"]
    assert "There is no entry for Contoso Labs (ADE): it was removed." in done.stderr


def test_an_empty_calendar_is_one(scene):
    done = scene.run("status", "--format", "ics")
    assert done.returncode == 3
    assert entries(done.stdout) == {}
    assert "There are no tokens in the table TokenStatus" in done.stderr


def test_the_clock_is_a_value_and_the_text_follows_from_it():
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert calendar_text([], [60], now) == calendar_text([], [60], now)
    assert calendar_text([], [60], now).startswith("BEGIN:VCALENDAR\r\n")


PARSE = """
import ICAL from "ical.js";
import { readFileSync } from "node:fs";
const calendar = new ICAL.Component(ICAL.parse(readFileSync(0, "utf8")));
process.stdout.write(JSON.stringify(calendar.getAllSubcomponents("vevent").map(one => {
  const event = new ICAL.Event(one);
  return {
    uid: event.uid, summary: event.summary, start: event.startDate.toJSDate().toISOString(),
    alarms: one.getAllSubcomponents("valarm").map(alarm => alarm.getFirstPropertyValue("trigger").toString()),
  };
})));
"""


def test_another_parser_reads_the_same(written):
    node = shutil.which("node")
    assert node, "node is missing: https://nodejs.org"
    done = subprocess.run(
        [node, "--input-type=module", "-e", PARSE],
        input=written.stdout, capture_output=True, text=True, check=True, cwd=ROOT, timeout=60,
    )  # fmt: skip
    theirs = {one["summary"]: one for one in json.loads(done.stdout)}
    ours = entries(written.stdout)
    assert set(theirs) == set(ours)
    for summary, entry in ours.items():
        told = theirs[summary]
        assert told["uid"] == entry["UID"]
        assert told["start"] == f"{entry['DTSTART'].dt:%Y-%m-%dT%H:%M:%S}.000Z"
        assert told["alarms"] == [f"-P{-number}D" for number in days(entry)]


def test_lines_are_short_and_end_as_the_format_wants(written):
    lines = written.stdout.split("\r\n")
    assert "\n" not in "".join(lines)
    assert all(len(line.encode()) <= 75 for line in lines)
