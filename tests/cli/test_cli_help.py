"""What the program says of itself."""

import itertools
import re
import shlex
import subprocess
import sys

import pytest
from cli_scene import ade
from typer.main import get_command

from cli.app import app
from shared import __version__
from simulator.host import ROOT

PROGRAM = get_command(app)


def examples(name):
    """What the help of a command gives as examples: the arguments of each, without what the shell takes."""
    lines = re.findall(rf"^ +python -m cli {name} ?(.*)$", PROGRAM.commands[name].help, re.MULTILINE)
    return [list(itertools.takewhile(lambda part: part not in {"|", ">"}, shlex.split(line))) for line in lines]


def test_the_help_lists_every_command_in_a_line(scene):
    _, _, told = scene.cli("--help").stdout.partition("Commands:")
    assert re.findall(r"^  (\w[\w-]*)  +\S.*[^.]\.$", told, re.MULTILINE) == list(PROGRAM.commands)
    assert next(iter(PROGRAM.commands)) == "status"


@pytest.mark.parametrize("name", PROGRAM.commands)
def test_every_command_has_examples_that_it_takes(scene, name):
    assert examples(name)
    for arguments in examples(name):
        PROGRAM.commands[name].make_context(name, list(arguments))  # raises for what is mistyped
    assert "For example:\n  " in scene.run(name, "--help").stdout


@pytest.mark.parametrize(
    ("name", "arguments"),
    [(name, arguments) for name in ("status", "history", "runs") for arguments in examples(name)],
    ids=lambda value: value if isinstance(value, str) else " ".join(value) or "alone",
)
@pytest.mark.sampled(3)
def test_the_examples_of_what_only_reads_work(scene, name, arguments):
    scene.check(ade("Contoso Retail"))
    done = scene.run(name, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_the_version_is_printed(scene):
    assert scene.run("--version").stdout == f"ADE Token Monitor {__version__}\n"


def test_help_does_not_import_heavy_packages():
    code = "import sys; import cli.app; print(*{name.partition('.')[0] for name in sys.modules})"
    imported = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    heavy = {"azure", "aiohttp", "httpx", "icalendar", "jinja2", "msal", "msgraph", "simulator"}
    assert heavy & set(imported.split()) == set()
