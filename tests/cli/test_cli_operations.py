"""docs/operations.md, with the commands it names: what it shows is printed, and what it leads to is there."""

import json
import re
import shlex

import pytest
import typer.main
from nights import SITUATIONS
from operations import PAGE, blocks, printed
from typer.exceptions import TyperException

from cli.app import app
from shared.guidance.catalogue import CATALOGUE
from simulator.host import ROOT

TEXT = PAGE.read_text("utf-8")
BLOCKS = blocks(TEXT)
SECTIONS = dict(
    re.findall(r'^<a id="([a-z]+)"></a>\n\n## (?:[^\n]+)\n\n(.*?)(?=^<a id=|\Z)', TEXT, re.DOTALL | re.MULTILINE)
)
FIRST_TABLE = re.findall(r"^\| (.+) \| (.+) \| (.+) \|$", TEXT.partition("| you ask |")[0], re.MULTILINE)[2:]
COMMANDS = typer.main.get_command(app).commands

README, ALERTS, TABLES = ROOT / "README.md", ROOT / "docs" / "alerts.md", ROOT / "docs" / "tables.md"


# What it shows


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
@pytest.mark.sampled(3)
def test_the_page_shows_what_the_command_prints(simulator, block):
    assert block.printed == printed(simulator, block), (
        f"Run: PYTHONPATH=. .venv/bin/python {ROOT}/tests/cli/operations.py"
    )


def test_every_section_begins_with_a_capture_and_every_situation_is_shown():
    assert TEXT.count("```console") == TEXT.count("<!-- prints: ") == len(BLOCKS)
    assert {block.night for block in BLOCKS} == SITUATIONS.keys()
    assert len(SECTIONS) == TEXT.count("\n## ")
    assert [name for name, text in SECTIONS.items() if not text.startswith("<!-- prints: ")] == []


# What it leads to


def test_the_first_table_names_every_finding_and_alert_rule():
    said = " ".join(says for says, _, _ in FIRST_TABLE)
    rules = [rule["name"] for rule in json.loads((ROOT / "infra" / "alert-rules.json").read_text("utf-8"))]
    told = {"rule_disabled", *CATALOGUE.findings, *rules} - {
        "token_critical",
        "token_warning",
    }  # told by their findings
    assert sorted(one for one in told if f"`{one}`" not in said) == []
    assert sorted(set(re.findall(r"`(\w+)`", said)) - told - {"ade", "apns", "vpp", "devices", "all", "status"}) == []


def test_every_section_and_finding_is_reached_from_the_tables_at_the_top():
    assert set(re.findall(r"\(#([a-z]+)\)", TEXT.partition("<a id=")[0])) == SECTIONS.keys()
    for says, _, leads in FIRST_TABLE:
        sections = "".join(SECTIONS[name] for name in re.findall(r"\(#([a-z]+)\)", leads))
        found = [code for code in re.findall(r"`(\w+)`", says) if code in CATALOGUE.findings]
        assert [code for code in found if f"alerts.md#{code})" not in sections] == [], leads


def test_every_line_of_doctor_that_the_page_names_is_one_of_its_lines(scene):
    lines = {line["what"] for line in scene.json("doctor")["lines"]}
    table = SECTIONS["silent"].partition("| failed |")[2]
    told = {"Graph role", "Alert rules", *re.findall(r"(?<!\*)\*([A-Z][\w ]+)\*(?!\*)", table)}
    assert told - lines == set()
    assert [name for name in told if f"*{name}*" not in TEXT] == []


# Commands and links


def named(text):
    """Every command line of the program that a page names."""
    told = re.findall(
        r"(?<!`)`(?:\.venv/bin/)?python -m cli ([a-z-][^`]*)`|^\$? ?(?:\.venv/bin/)?python -m cli ([a-z-].*)$",
        text,
        re.MULTILINE,
    )
    return [span or line for span, line in told]


def refusal(line):
    """Why the program does not take a command line; None where it does."""
    if line == "--help":
        return None
    name, *arguments = shlex.split(line.partition(" > ")[0].partition(" | ")[0])
    if name not in COMMANDS:
        return f"there is no command {name}"
    try:
        COMMANDS[name].make_context(name, arguments)
    except TyperException as error:
        return error.format_message()
    return None


@pytest.mark.parametrize("path", [PAGE, README, ALERTS, TABLES], ids=lambda path: path.name)
def test_every_command_that_a_page_names_exists_with_its_options(path):
    refused = {line: refusal(line) for line in named(path.read_text("utf-8"))}
    assert {line: why for line, why in refused.items() if why} == {}


def test_the_readme_names_every_command():
    table = README.read_text("utf-8").partition("## Commands")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)[1:]
    assert [line for line in lines if refusal(line)] == []
    assert sorted(line.split()[0] for line in lines) == sorted(COMMANDS)


def test_every_script_that_the_page_names_takes_its_options():
    scripts = re.findall(r"(infra/[\w-]+\.sh)([^`\n]*(?:\\\n[^`\n]*)*)", TEXT)
    assert {name for name, _ in scripts} == {"infra/snooze-token.sh", "infra/grant-graph-role.sh"}
    for name, arguments in scripts:
        script = (ROOT / name).read_text("utf-8")
        assert [
            one for one in re.findall(r"--[a-z-]+", arguments) if not re.search(rf"(?<![\w-]){one}(?![\w-])", script)
        ] == [], name


def anchors(path):
    text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
    slugs = [
        re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    ]
    return {*slugs, *re.findall(r'<a id="([^"]+)">', text)}


@pytest.mark.parametrize("path", [PAGE, README, ALERTS, TABLES], ids=lambda path: path.name)
def test_every_link_within_the_project_leads_somewhere(path):
    links = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", path.read_text("utf-8"))
    assert links
    for file, anchor in links:
        to = (path.parent / file).resolve() if file else path
        assert to.exists(), file
        assert not anchor or anchor in anchors(to), f"{file}#{anchor}"


def test_the_plain_ways_lead_to_the_page_and_need_no_command_of_it():
    text = TABLES.read_text("utf-8")
    assert "(operations.md)" in text
    plain = text.partition("### Azure CLI")[2]
    assert "python -m cli" not in plain
