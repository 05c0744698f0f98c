"""`.ci/setup`, which `make setup` runs: what it says where something is missing, and that it is done once."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("cat", "cmp", "date", "dirname", "rm", "sed", "sh")
SOURCES = (".ci/setup", ".npmrc", ".python-version", "package.json", "package-lock.json")
REQUIREMENTS = ("requirements.txt", "requirements-cli.txt", "requirements-dev.txt")

PIP = """#!/bin/sh
case "$*" in
*version_info*) echo 3.13.7 ;;
*ensurepip*) [ -z "$NO_VENV" ] ;;
*"-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python && echo venv >>done ;;
*"-m pip"*) echo pip >>done; [ -z "$PIP_FAILS" ] ;;
*fcntl*) exec {python} "$@" ;;
esac
"""
NPM = """#!/bin/sh
[ "$1" = --version ] || { mkdir -p node_modules && echo npm >>done; }
"""


@pytest.fixture
def machine(tmp_path):
    """A folder with what the setup reads, and a PATH with nothing but the tools of every system."""
    for name in (*SOURCES, *REQUIREMENTS):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    for tool in (*TOOLS, "cp", "mkdir"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    return tmp_path


def program(machine, name, text):
    path = machine / "bin" / name
    path.write_text(text.replace("{python}", sys.executable))
    path.chmod(0o755)


def set_up(machine, **environment):
    return subprocess.run(
        ["/bin/sh", ".ci/setup"],
        cwd=machine,
        env={"PATH": str(machine / "bin"), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("programs", "environment", "told"),
    [
        ({}, {}, "Node.js 20 or newer is missing, and Python 3.13 is missing"),
        ({"node": "echo v22.1.0", "npm": ":"}, {}, "Python 3.13 is missing"),
        (
            {"node": "echo v20.0.0", "npm": ":", "python3": "echo 3.12.1", "python": "echo 2.7.18"},
            {},
            "Python 3.13 is missing (python3 is 3.12.1, python is 2.7.18)",
        ),
        (
            {"node": "echo v20.0.0", "npm": ":", "python3.13": "echo 3.13.0", "mine": "echo 3.14.0"},
            {"PYTHON": "mine"},
            "Python 3.13 is missing (mine is 3.14.0)",
        ),
        (
            {"node": "echo v20.0.0", "npm": ":", "python3": PIP},
            {"NO_VENV": "1"},
            "Python 3.13 is there without its venv module (on Debian and Ubuntu the package python3.13-venv)",
        ),
        ({"node": "echo v18.19.0", "npm": ":", "python3": PIP}, {}, "Node.js 20 or newer is missing (node is 18.19.0)"),
        ({"node": "echo v20.0.0", "python3": PIP}, {}, "npm, which comes with Node.js, is missing"),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(machine, programs, environment, told):
    for name, text in programs.items():
        program(machine, name, text if text.startswith("#!") else f"#!/bin/sh\n{text}\n")
    ended = set_up(machine, **environment)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"ADE Token Monitor cannot be set up: {told}.\n"
    assert not (machine / ".venv").exists()


@pytest.fixture
def ready(machine):
    program(machine, "python3", PIP)
    program(machine, "node", "#!/bin/sh\necho v20.0.0\n")
    program(machine, "npm", NPM)
    return machine


def done(machine):
    record = machine / "done"
    steps = record.read_text().split() if record.exists() else []
    record.unlink(missing_ok=True)
    return sorted(steps)


def test_it_is_done_once_and_again_when_something_changed(ready):
    ended = set_up(ready)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "Python packages: done" in ended.stdout
    assert "Node.js packages: done" in ended.stdout
    assert done(ready) == ["npm", "pip", "venv"]
    assert set_up(ready).stdout == ""
    assert done(ready) == []
    (ready / "requirements-dev.txt").write_text("ruff==1.0\n")
    set_up(ready)
    assert done(ready) == ["pip", "venv"]
    (ready / "package-lock.json").write_text("{}")
    set_up(ready)
    assert done(ready) == ["npm"]


def test_a_setup_that_failed_is_done_again(ready):
    ended = set_up(ready, PIP_FAILS="1")
    assert ended.returncode == 1
    assert ended.stderr == "  Python packages: failed; what stands above says why.\n"
    assert done(ready) == ["npm", "pip", "venv"]
    assert set_up(ready).returncode == 0
    assert done(ready) == ["pip", "venv"]


def test_a_moved_folder_is_set_up_again(ready, tmp_path_factory):
    set_up(ready)
    done(ready)
    moved = tmp_path_factory.mktemp("moved") / "here"
    ready.rename(moved)
    set_up(moved)
    assert done(moved) == ["pip", "venv"]


def test_several_at_a_time_wait_for_each_other(ready):
    program(ready, "npm", NPM.replace("mkdir", "while [ ! -e go ]; do :; done; mkdir"))
    command = {"cwd": ready, "env": {"PATH": str(ready / "bin")}, "stdout": subprocess.PIPE, "text": True}
    first = subprocess.Popen(["/bin/sh", ".ci/setup"], **command)
    assert first.stdout.readline().startswith("Setting up")
    second = subprocess.Popen(["/bin/sh", ".ci/setup"], **command)
    assert second.stdout.readline() == "Another setup is under way; waiting for its end.\n"
    (ready / "go").touch()
    for process in (first, second):
        process.communicate(timeout=60)
    assert (first.returncode, second.returncode) == (0, 0)
    assert done(ready) == ["npm", "pip", "venv"]
