"""Every command that the documents, the programs and `doctor` name: az's by az's own parser, ours by running them."""

import ast
import json
import re
import shlex
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from tests.infra.desk import APP, PRINCIPAL, ROOT, SUBSCRIPTION, TOKEN, Desk, pack
from tests.infra.recorded import AZ, needed

DOCUMENTS = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")})
DEPLOYED = {"FUNCTION_APP_ID": APP, "TABLES_ENDPOINT": "https://sttokens.table.core.windows.net/"}


def documented() -> list[tuple[str, list[str]]]:
    """Returns the command lines of all documents, and where each one is."""
    found = []
    for path in DOCUMENTS:
        text = path.read_text("utf-8").replace("\\\n", " ")
        blocks = re.findall(r"^ *```(?:sh|yaml|console)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
        lines = [line for block in blocks for line in block.splitlines()]
        lines += re.findall(r"`((?:az|infra/\S+\.sh) [^`\n]+)`", text)
        matches = (re.search(r"(?:^|\$\(|run: |\$ )\s*((?:az|python3?|infra/\S+\.sh) [^)]*)", line) for line in lines)
        found += [(path.name, shlex.split(command[1], comments=True)) for command in matches if command]
    return found


def of_doctor() -> list[list[str]]:
    """Returns the commands of `doctor`: whatever its modules spell out, with a value for each placeholder."""
    known = {"app_id": APP, "kind": "User", "group_id": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-tokens"}
    values = defaultdict(lambda: "X", known)
    found = []
    for path in (ROOT / "cli" / "doctor").glob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text("utf-8")))
        texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        found += [text.format_map(values).split() for text in texts if text.startswith("az ")]
    return [[*words, "X"] if words[-1].startswith("--") else words for words in found]


def of_refusals() -> list[list[str]]:
    """Returns the commands inside of the other commands' sentences."""
    found = []
    for path in (ROOT / "cli").glob("*.py"):
        for text in re.findall(r"(?:`|f')(az [^`'\n]+)[`']", path.read_text("utf-8")):
            filled = re.sub(r"\{.*?\}", "X", text.replace("{assignee}", "--assignee X"))
            found.append(shlex.split(filled))
    return found


def recorded(folder: Path) -> list[list[str]]:
    """Returns what the scripts and the programs of infra/ call az with."""
    desk = Desk(folder)
    desk.state |= {"identities": [], "groups": [], "manager": "https://127.0.0.1:9"}
    group = ("--resource-group", "rg-tokens")
    named = ("--identity", "id-tokens", *group)
    snooze = ("--token-id", TOKEN, *group)
    assert desk.run("grant-graph-role.sh", *named, "--create", "--location", "westeurope").status == 0
    assert desk.run("snooze-token.sh", *snooze, "--until", "2026-12-01T08:00").status == 0
    assert desk.run("snooze-token.sh", "--list", *group).status == 0
    assert desk.run("snooze-token.sh", "--remove", *snooze).status == 0
    environment = {"IDENTITY_PRINCIPAL_ID": PRINCIPAL, "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION}
    assert desk.run("hooks/grant.py", **environment).status == 0
    assert desk.run("hooks/first_check.py", **DEPLOYED).status == 0
    package = pack(folder / "app.zip", ".python_packages/x.py")
    target = ("--name", "func-tokens", "--subscription", SUBSCRIPTION, "--package", str(package))
    assert "127.0.0.1:9 does not answer" in desk.run("deploy_code.py", *group, *target).err
    calls = [json.loads(call) for call in (folder / "calls.jsonl").read_text().splitlines()]
    return [["az", *words] for words in calls]


def judge(lines: list[list[str]]) -> list[str]:
    """Returns what az's parser says of each command line."""
    words = json.dumps([line[1:] for line in lines])
    program = [AZ / "python", Path(__file__).with_name("az_parser.py")]
    done = subprocess.run(program, input=words, capture_output=True, text=True, check=True, timeout=300)
    return json.loads(done.stdout)


@needed
@pytest.mark.exhaustive
def test_az_takes_every_command_that_is_documented_printed_or_called(tmp_path):
    sources = {
        "documents": [words for _, words in documented()],
        "doctor": of_doctor(),
        "refusals": of_refusals(),
        "calls": recorded(tmp_path),
    }
    lines = [(source, words) for source, found in sources.items() for words in found if words[0] == "az"]
    assert {source for source, _ in lines} == set(sources)
    assert len(lines) > 60
    said = judge([words for _, words in lines])
    assert [(*line, refusal) for line, refusal in zip(lines, said, strict=True) if refusal] == []


def test_no_command_has_azure_build_the_package():
    """What config-zip does on Flex Consumption with Python, whatever its options say (az 2.91)."""
    named = [words for _, words in documented()] + of_doctor() + of_refusals()
    assert [words for words in named if "config-zip" in words or "--build-remote" in words] == []


@needed
@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "line",
    [
        "az monitor log-analytics workspace delete --resource-group g --workspace-name w --forse true",
        "az functionapp deploy-code --name x",
        "az group delete --yes",
        "az group list --query '[name'",
    ],
)
def test_az_refuses_what_it_does_not_know(line):
    assert judge([shlex.split(line)]) != [""]


PROGRAMS = [words for _, words in documented() if re.match(r"infra/|python3? infra/", " ".join(words))]


@pytest.mark.parametrize("words", PROGRAMS, ids=" ".join)
def test_our_own_programs_take_every_documented_option(tmp_path, words):
    name, *arguments = [word for word in words if not word.startswith("python")]
    if name == "infra/package.py":
        assert arguments == []
        return
    desk = Desk(tmp_path)
    desk.state["accounts"] = []  # the run ends as soon as it would ask Azure
    said = desk.run(name.removeprefix("infra/"), *arguments)
    assert said.status == 1
    assert not re.search(r"--help shows how|is not an option|usage:", said.err)
