"""`status --format ics`: entries that calendars accept, and that are the same however often they are imported."""

import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cli_scene import ade
from icalendar import Calendar

from simulator.host import ROOT
from tests.scenes import DAY, HOUR

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


def test_the_reminders_follow_the_deployment(scene):
    scene.check(ade("Contoso HQ", expires=300 * DAY))
    done = scene.run("status", "--format", "ics", EXPIRY_WARNING_DAYS="90,45", EXPIRY_CRITICAL_DAYS="5")
    assert days(entries(done.stdout)["Contoso HQ (ADE) expires"]) == [-90, -45, -5]
    done = scene.run("status", "--format", "ics", EXPIRY_WARNING_DAYS="soon")
    assert (done.returncode, done.stdout) == (3, "")
    assert "EXPIRY_WARNING_DAYS cannot be used" in done.stderr


def test_a_renewal_moves_the_entry_of_its_token(scene):
    scene.check(ade("Contoso HQ", expires=10 * DAY), ago=2 * HOUR)
    (before,) = (one for one in entries(scene.run("status", "--format", "ics", "-c", "ade").stdout).values())
    scene.check(ade("Renamed", id=str(before["UID"]).removeprefix("ade-").partition("@")[0], expires=365 * DAY))
    (after,) = (one for one in entries(scene.run("status", "--format", "ics", "-c", "ade").stdout).values())
    assert after["UID"] == before["UID"]
    assert after["DTSTART"].dt > before["DTSTART"].dt + 350 * DAY
    assert after["SUMMARY"] == "Renamed (ADE) expires"


def test_a_token_that_is_removed_or_has_no_known_expiry_has_a_sentence_and_no_entry(scene):
    others = (ade("Contoso HQ"), ade("Contoso Labs", tokenExpirationDateTime=None))
    scene.check(*others, ade("Contoso Retail"), ago=2 * HOUR)
    scene.check(*others, ago=HOUR)
    scene.check(*others)
    done = scene.run("status", "--format", "ics", "--connector", "ade")
    assert list(entries(done.stdout)) == ["Contoso HQ (ADE) expires"]
    assert "There is no entry for Contoso Labs (ADE): when it expires is not known." in done.stderr
    assert "There is no entry for Contoso Retail (ADE): it was removed." in done.stderr


def test_a_calendar_without_tokens_is_valid_and_empty(scene):
    done = scene.run("status", "--format", "ics")
    assert done.returncode == 3
    assert entries(done.stdout) == {}
    assert "There are no tokens in the table TokenStatus" in done.stderr


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


def test_another_parser_reads_the_same_entries_in_short_lines(written):
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
    lines = written.stdout.split("\r\n")
    assert "\n" not in "".join(lines)
    assert all(len(line.encode()) <= 75 for line in lines)
