"""`report`: the file, its content, and what it states when something is missing. In a browser: test_cli_browser.py."""

import re
import stat
from html.parser import HTMLParser

from cli_scene import CHECKED, ade, now, push, tenant, vpp

from shared.model.runs import Failure
from shared.model.tokens import Connector
from simulator.tenant import default_tenant
from tests.scenes import HOUR, MINUTE


class Reader(HTMLParser):
    """Elements, attributes and text, as a browser would take them."""

    def __init__(self, text):
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.text = ""
        self._style = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._style = tag == "style"

    def handle_endtag(self, _tag):
        self._style = False

    def handle_data(self, data):
        self.text += "" if self._style else data


def page(scene, *arguments):
    done = scene.run("report", "--output", "-", *arguments)
    assert done.returncode == 0, done.stderr
    return Reader(done.stdout)


# The file


def test_the_page_is_written_into_a_file_that_is_named(scene, tmp_path):
    scene.check(ade("Contoso HQ"))
    done = scene.cli("report", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert re.fullmatch(r"Wrote report\.html, \d+ KB\.\n", done.stderr)
    (written,) = tmp_path.iterdir()
    assert written.read_text("utf-8").startswith('<!doctype html>\n<html lang="en">')
    assert stat.S_IMODE(written.stat().st_mode) & 0o400
    assert scene.run("report", "--quiet", cwd=tmp_path).stderr == ""


def test_an_earlier_report_is_replaced_and_another_file_only_with_force(scene, tmp_path):
    scene.check(ade("Contoso HQ"))
    file = tmp_path / "tokens.html"
    for _ in range(2):
        assert scene.run("report", "--output", str(file)).returncode == 0
    file.write_text("<html>somebody's own page</html>", "utf-8")
    done = scene.run("report", "--output", str(file))
    assert done.returncode == 3
    assert "exists, and is not a report of this program.\nName another file" in done.stderr
    assert file.read_text("utf-8") == "<html>somebody's own page</html>"
    assert scene.run("report", "--output", str(file), "--force").returncode == 0
    assert "Contoso HQ" in file.read_text("utf-8")


def test_no_file_is_written_without_data_or_a_folder(scene, tmp_path):
    done = scene.run("report", cwd=tmp_path)
    assert done.returncode == 3
    assert "There is nothing to report.\nThere are no tokens in the table TokenStatus" in done.stderr
    scene.check(ade("Contoso HQ"))
    done = scene.run("report", "--output", str(tmp_path / "none" / "report.html"))
    assert done.returncode == 3
    assert "cannot be written: No such file or directory.\nName another file" in done.stderr
    done = scene.run("report", "--output", str(tmp_path), "--force")
    assert done.returncode == 3
    assert list(tmp_path.iterdir()) == []


# Content


def test_each_token_has_its_finding_steps_and_history(scene):
    scene.check(of=tenant(ade("Contoso Retail", expires=-73 * HOUR), ade("Contoso HQ"), apns=push()))
    page_text = page(scene).text
    for text in (
        "Needs attention (1)",
        "Nothing to do (3)",
        "Enrollment token expired",
        "'Contoso Retail' expired 3 days ago",
        "select Download Token for the same service",
        "The token wasn't renewed within its year.",
        "Go to Devices > Management Services and select the device management service of this token.",
        "Apple Business: Organization Administrator, or a role",
        "The finding clears at the first check after the upload",
        "'Contoso Retail' was seen for the first time",
        "1 check in the last 7 days: 1 succeeded.",
        "3 tokens expire within a year and 1 has expired.",
    ):
        assert text in page_text, text


def test_links_lead_to_the_consoles_and_within_the_page(scene):
    scene.check(of=default_tenant(now() - CHECKED))
    read = page(scene)
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes for tag, attributes in read.elements if tag in {"a", "use"}]
    inner = {one["href"].removeprefix("#") for one in links if one["href"].startswith("#")}
    assert inner <= set(ids)
    outer = [one for one in links if not one["href"].startswith("#")]
    assert any(one["href"].startswith("https://intune.microsoft.com/") for one in outer)
    assert any(one["href"].startswith("https://support.apple.com/") for one in outer)
    assert all(one["href"].startswith("https://") and one["rel"] == "noreferrer" for one in outer)


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"' onload=x &amp; javascript:x"


def test_hostile_names_are_text_everywhere_and_only_the_page_s_own_style_applies(scene):
    scene.check(of=tenant(ade(HOSTILE, expires=3 * 24 * HOUR, appleIdentifier=HOSTILE), vpps=[vpp(HOSTILE)]))
    failure = Failure(connector=Connector.VPP, asked=HOSTILE, reason=HOSTILE, remedy=HOSTILE)
    scene.ran(MINUTE, "failed", connectors={Connector.VPP: failure}, store_error=HOSTILE)
    scene.put(
        "DeviceInspection",
        {
            "PartitionKey": "ade",
            "RowKey": next(
                row["RowKey"] for row in scene.sim.table_rows("TokenStatus") if row["PartitionKey"] == "ade"
            ),
            "Devices": 7,
            "ByState": f'{{"{HOSTILE[:20]}":7}}',
            "DefaultProfiles": '{"<b>ios":"<i>x"}',
            "Error": HOSTILE,
        },
    )
    read = page(scene)
    known = {
        "html", "head", "meta", "title", "style", "body", "a", "header", "main", "section", "footer", "h1", "h2", "h3",
        "h4", "p", "span", "strong", "code", "ul", "ol", "li", "dl", "dt", "dd", "div", "details", "summary", "table",
        "caption", "thead", "tbody", "tr", "th", "td", "svg", "symbol", "path", "use", "text", "tspan", "line", "rect",
        "g", "bdi",
    }  # fmt: skip
    assert {tag for tag, _ in read.elements} <= known
    assert sum(tag == "bdi" for tag, _ in read.elements) >= 3  # whatever direction a name is written in
    assert not [name for _, attributes in read.elements for name in attributes if name.startswith("on")]
    assert read.text.count(HOSTILE) > 8
    (policy,) = [a["content"] for tag, a in read.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[\w+/]{43}='; base-uri 'none'; form-action 'none'", policy
    )
    attributes = {name for _, given in read.elements for name in given}
    assert not attributes & {"src", "style", "srcset", "action"}


def test_only_https_becomes_a_link(scene):
    scene.check(ade("Contoso HQ"))
    for address, linked in (('https://contoso.com/"><b>', True), ("javascript:alert(1)", False)):
        read = Reader(scene.run("report", "--output", "-", WORKBOOK_URL=address).stdout)
        assert "The workbook shows the current state." in read.text
        assert (address in [attributes.get("href") for _, attributes in read.elements]) is linked
        assert "b" not in {tag for tag, _ in read.elements}


def test_devices_are_counted_and_no_serial_number_is_shown(scene):
    scene.check(ade("Contoso HQ"))
    (row,) = [row for row in scene.sim.table_rows("TokenStatus") if row["PartitionKey"] == "ade"]
    scene.put(
        "DeviceInspection",
        {
            "PartitionKey": "ade",
            "RowKey": row["RowKey"],
            "InspectedOn": now() - HOUR,
            "Complete": True,
            "Devices": 1412,
            "Waiting": 9,
            "ByPlatform": '{"ios":1400,"macOS":12}',
            "DefaultProfiles": '{"ios":"Phones","macOS":null}',
            "Examples": '{"waiting":["SERIAL0001"]}',
            "Memory": '{"examples":["SERIAL0001"]}',
            "Failed": "many",
        },
    )
    page_text = page(scene).text
    for text in (
        "Devices, inspected 2",
        "1,412",
        "ios 1,400, macOS 12",
        "ios: Phones, macOS: none",
        "What cannot be readFailed is 'many'",
    ):
        assert text in page_text
    assert "SERIAL0001" not in page_text


# What is missing


def test_a_page_of_old_data_begins_with_a_warning(scene):
    scene.check(ade("Contoso HQ"), ago=4 * HOUR)
    done = scene.run("report", "--output", "-")
    assert done.returncode == 0  # the page is what was asked for; `status` judges
    assert "too old to rely on" in done.stderr
    text = Reader(done.stdout).text
    assert text.index("This page cannot be relied on") < text.index("At a glance")
    assert "Everything is healthy" not in text
    assert "Act now" not in text


def test_a_page_begins_with_a_failed_check_and_an_unread_connector(scene):
    scene.check(ade("Contoso HQ"))
    failure = Failure(connector=Connector.VPP, asked="GET /x", reason="it was refused", remedy="Grant it.")
    scene.ran(MINUTE, "failed", connectors={Connector.VPP: failure}, store_error="No room.")
    page_text = page(scene).text
    assert page_text.index("VPP could not be read: GET /x: it was refused. Grant it.") < page_text.index("At a glance")
    assert "ended as failed: No room." in page_text
    assert "Not everything could be read." in page_text


def test_a_table_that_cannot_be_read_is_named_beside_the_tokens(scene):
    scene.check(ade("Contoso HQ"))
    for table, consequence in (
        ("TokenHistory", "The changes could not be read"),
        ("CheckRun", "The monitor's runs could not be read"),
        ("DeviceInspection", "The devices could not be read"),
    ):
        with scene.without(table):
            text = page(scene).text
        assert f"{consequence}, so this page does not show them. The table {table} is missing" in text
        assert "Contoso HQ" in text


def test_a_malformed_token_and_hours_without_a_check_are_named(scene):
    scene.check(ade("Contoso HQ"))
    scene.change_row("Contoso HQ", Findings="[")
    for hour in (1, 2, 5):
        scene.ran(hour * HOUR + CHECKED)
    text = page(scene).text
    assert "4 checks in the last 7 days: 4 succeeded. In 2 hours no check was recorded." in text
    assert "Needs attention (1)" in text
    assert "cannot be believed: Findings is not what this release knows." in text
    assert "1 token is in an unknown state." in text
