"""How the inspection's counts look in a terminal."""

from io import StringIO

import pytest
from msgspec.structs import replace
from rich.cells import cell_len
from rich.console import Console

from cli.device_table import print_devices
from shared.guidance.guidance import Guidance
from shared.model.counts import Counts, Inspected, Inspection
from shared.model.tokens import Finding
from shared.storage.device_rows import DEVICE_INSPECTION, InspectionRow
from shared.storage.reading import reader
from shared.storage.rows import TOKEN_STATUS, StatusRow, StatusSource
from tests.unit.builders import DAY, INFO, NOW, WARNING, a_status, ade, vpp

COUNTS = Counts(
    devices=120,
    waiting=9,
    failed=11,
    blocked=5,
    not_contacted=3,
    deleted=2,
    by_platform={"ios": 100, "macOS": 20},
    newest_on=NOW - 4 * DAY,
)
INSPECTED = Inspected(on=NOW, counts=COUNTS, defaults={"ios": "Phones", "macOS": None, "tvOS": None})


def inspection(**fields):
    known = {"token_id": "t1234567-x", "token_name": "Berlin", "run_id": "run", "tried_on": NOW, "complete": True}
    return Inspection(**{**known, "last": INSPECTED, **fields})


def status(*codes, name="Berlin", of=ade):
    severities = {"no_default_profile": INFO}
    found = [Finding(code=code, severity=severities.get(code, WARNING), since=NOW) for code in codes]
    fields = {"synced_devices": 121} if of is ade else {}
    return a_status(of(id="t1234567-x", name=name, **fields), *found)


def shown(inspections, statuses=(), width=120):
    console = Console(file=StringIO(), width=width, highlight=False)
    rows = (TOKEN_STATUS.row(StatusSource(one, Guidance())) for one in statuses)
    inspected = (DEVICE_INSPECTION.row(one) for one in inspections)
    print_devices(console, map(reader(InspectionRow), inspected), map(reader(StatusRow), rows))
    return console.file.getvalue()


def cells(text, line=1):
    return text.splitlines()[line].split()


def test_a_line_reports_the_counts_of_a_token():
    header, line = (cells(shown([inspection()], [status()]), number) for number in (0, 1))
    assert header[:2] == ["Token", "Devices"]
    assert line == ["Berlin", "120", "9", "16", "macOS", "121", "3", "2026-11-19", "2", "0"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("devices_missing", "▲ 120"),
        ("devices_without_profile", "▲ 9"),
        ("enrollment_failing", "▲ 16"),
        ("no_default_profile", "i macOS"),
    ],
)
def test_a_sign_is_beside_the_number_that_is_a_finding_and_beside_no_other(code, expected):
    line = " ".join(cells(shown([inspection()], [status("expiring", code)])))
    assert expected in line
    assert line.count("▲") + line.count("i macOS") == 1


def test_a_finding_of_another_connectors_token_with_the_same_id_counts_for_nothing():
    assert "▲" not in cells(shown([inspection()], [status("devices_missing", of=vpp)]))


def test_a_token_that_was_never_inspected_completely_has_no_numbers_and_says_why():
    failed = inspection(complete=False, last=None, error="GET /devices: Graph refused.")
    text = shown([failed], [status()])
    assert cells(text) == ["Berlin", "-", "-", "-", "?", "121", "-", "-", "-", "-"]
    assert "Berlin: GET /devices: Graph refused." in text


def test_default_profiles_that_graph_does_not_tell_are_not_taken_for_missing_or_set():
    assert cells(shown([inspection(last=replace(INSPECTED, defaults=None))]))[4] == "?"


def test_tokens_of_one_name_are_distinguished_however_long_it_is():
    twins = [inspection(token_id=f"{letter}1234567-x", token_name="C" * 512) for letter in "ab"]
    for width in (60, 120):
        text = shown(twins, width=width)
        assert "… (a1234567)" in text
        assert "… (b1234567)" in text


@pytest.mark.parametrize("width", [60, 80, 100, 120])
@pytest.mark.parametrize("name", ["Berlin", "C" * 512, "株式会社コントソ" * 20])
def test_no_line_is_wider_than_the_terminal_and_each_token_has_one(width, name):
    codes = ("devices_missing", "enrollment_failing")
    text = shown([inspection(token_name=name)], [status(*codes, name=name)], width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    header, line, below, *_ = text.splitlines()
    assert header.split()[:5] == ["Token", "Devices", "Waiting", "Failing", "No"]
    assert line[:1] == name[:1]
    assert "▲ 16" in line
    assert below.startswith("Waiting:")


@pytest.mark.parametrize("name", ["[bold red]Berlin[/]", "[/]"])
def test_markup_in_a_name_is_text(name):
    text = shown([inspection(token_name=name, complete=False, error="[red]x[/blue]")])
    assert text.splitlines()[1].startswith(name)
    assert f"{name}: [red]x[/blue]" in text
