"""`.ci/setup`, which `make setup` runs: what it says where something is missing, and that it is done once."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("cat", "chmod", "cmp", "cp", "date", "dirname", "mkdir", "rm", "sed", "sh", "sha256sum")
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
CURL = """#!/bin/sh
case "$*" in
*-fsSLI*) echo asked >>done; [ -z "$UNREACHABLE" ] ;;
*) echo download >>done; [ -z "$CUT_OFF" ] && cp "${GIVES:-bicep-program}" .bicep/bicep ;;
esac
"""
BICEP = """#!/bin/sh
[ "$DOTNET_SYSTEM_GLOBALIZATION_INVARIANT" = 1 ] && [ -z "$BICEP_CRASHES" ] && [ "$1" = --version ]
"""


@pytest.fixture
def machine(tmp_path):
    """A folder with what the setup reads, and a PATH with nothing but the tools of every system."""
    for name in (*SOURCES, *REQUIREMENTS):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
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
    ("programs", "environment", "expected"),
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
def test_a_missing_tool_is_named_in_one_sentence(machine, programs, environment, expected):
    for name, text in programs.items():
        program(machine, name, text if text.startswith("#!") else f"#!/bin/sh\n{text}\n")
    ended = set_up(machine, **environment)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"ADE Token Monitor cannot be set up: {expected}.\n"
    assert not (machine / ".venv").exists()


@pytest.fixture
def ready(machine):
    program(machine, "python3", PIP)
    program(machine, "node", "#!/bin/sh\necho v20.0.0\n")
    program(machine, "npm", NPM)
    program(machine, "bicep", BICEP)
    return machine


def done(machine):
    record = machine / "done"
    steps = record.read_text().split() if record.exists() else []
    record.unlink(missing_ok=True)
    return sorted(steps)


def test_the_setup_runs_once_and_again_after_a_change(ready):
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


def test_a_failed_setup_runs_again(ready):
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


def test_two_setups_at_the_same_time_wait_for_each_other(ready):
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


# The Bicep compiler


@pytest.fixture
def without_bicep(ready):
    """A machine without the compiler, and with a release page that has it."""
    (ready / "bin" / "bicep").unlink()
    (ready / "bicep-program").write_text(BICEP)
    setup = ready / ".ci" / "setup"
    lines = setup.read_text().splitlines(keepends=True)
    pinned = f"bicep_sha256={hashlib.sha256(BICEP.encode()).hexdigest()}\n"
    setup.write_text("".join(pinned if line.startswith("bicep_sha256=") else line for line in lines))
    program(ready, "curl", CURL)
    program(ready, "uname", "#!/bin/sh\necho ${SYSTEM:-Linux x86_64}\n")
    return ready


def test_the_pinned_compiler_is_downloaded_once(without_bicep):
    ended = set_up(without_bicep)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "Bicep compiler: done" in ended.stdout
    assert done(without_bicep) == ["asked", "download", "npm", "pip", "venv"]
    assert (without_bicep / ".bicep" / "bicep").read_text() == BICEP
    assert set_up(without_bicep).stdout == ""
    assert done(without_bicep) == []


@pytest.mark.parametrize(
    ("environment", "tried", "expected"),
    [
        ({"SYSTEM": "Darwin arm64"}, [], "there is a pinned one for Linux on x86_64 alone"),
        ({"UNREACHABLE": "1"}, ["asked"], "bicep-linux-x64 cannot be reached"),
        ({"CUT_OFF": "1"}, ["asked", "download"], "was cut off"),
        ({"GIVES": "package.json"}, ["asked", "download"], "holds is not what was pinned"),
        ({"BICEP_CRASHES": "1"}, ["asked", "download"], "the pinned one does not run on this system"),
    ],
)
def test_the_rest_is_set_up_without_a_compiler_and_one_line_has_the_reason(without_bicep, environment, tried, expected):
    ended = set_up(without_bicep, **environment)
    assert ended.returncode == 0
    (line,) = ended.stderr.splitlines()
    assert line.startswith("No Bicep compiler, so what needs it is not checked: ")
    assert line.endswith(f"{expected}. Put bicep on the PATH to have it checked.")
    assert done(without_bicep) == [*tried, "npm", "pip", "venv"]
    assert not (without_bicep / ".bicep").exists()
    assert set_up(without_bicep, **environment).stderr == ended.stderr
    assert done(without_bicep) == tried


def test_another_pin_is_downloaded_again(without_bicep):
    set_up(without_bicep)
    done(without_bicep)
    (without_bicep / ".bicep" / "built-from").write_text("an older one\n")
    set_up(without_bicep)
    assert done(without_bicep) == ["asked", "download"]
