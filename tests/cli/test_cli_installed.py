"""The installed package: `uv tool install`, `pipx install` and `uvx --from` do what `pip install` does here."""

import os
import subprocess
import sys
import zipfile

import pytest

from simulator.host import ROOT

pytestmark = pytest.mark.exhaustive

AZURITE = ROOT / "node_modules" / "azurite" / "dist" / "src" / "table" / "main.js"


def ran(*command, **others):
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, encoding="utf-8", timeout=500, check=False, **others
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    built = ran(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", folder, ROOT)
    assert built.returncode == 0, built.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def program(wheel, tmp_path_factory):
    """The console script, in an environment that has nothing else."""
    folder = tmp_path_factory.mktemp("clean")
    assert ran(sys.executable, "-m", "venv", folder).returncode == 0
    installed = ran(folder / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check", wheel)
    assert installed.returncode == 0, installed.stderr
    return folder / "bin" / "ade-token-monitor"


def test_a_wheel_installs_one_name_and_holds_every_module_and_what_it_reads(wheel):
    names = {path for path in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in path}
    assert {name.partition("/")[0] for name in names} == {"ade_token_monitor"}
    ours = ran("git", "ls-files", "cli", "shared", "simulator", "infra/queries", cwd=ROOT).stdout.split()
    assert {f"ade_token_monitor/{name}" for name in ours} <= names


def test_the_commands_run_from_another_folder_and_name_themselves_as_they_were_started(program, scene, tmp_path):
    scene.check()
    environment = scene.environment()
    done = ran(program, "check", "--help", cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert "Usage: ade-token-monitor check" in done.stdout
    assert "python -m cli" not in done.stdout
    status = ran(program, "status", cwd=tmp_path, env=environment)
    assert (status.returncode, status.stderr) == (0, "")
    assert "3 tokens: 3 healthy." in status.stdout
    unknown = ran(program, "history", "nothing", cwd=tmp_path, env=environment)
    assert unknown.returncode == 3
    assert "`ade-token-monitor status` lists the tokens" in unknown.stderr


def test_the_demo_runs_with_an_azurite_that_npm_installed_globally(program, tmp_path):
    (tmp_path / "azurite-table").symlink_to(AZURITE)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = ran(program, "demo", cwd=tmp_path, env={**os.environ, "PATH": path})
    assert done.returncode == 0, done.stderr
    assert "Alerts that Azure Monitor would be firing" in done.stdout


@pytest.mark.parametrize(
    ("tools", "said"), [((), "Node.js, which runs the Table"), (("node",), "Azurite, the Table Storage emulator, is")]
)
def test_the_demo_names_a_missing_program_in_a_sentence(program, tmp_path, tools, said):
    for name in tools:
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)
    done = ran(program, "demo", cwd=tmp_path, env={"PATH": str(tmp_path)})
    assert done.returncode == 3
    (sentence,) = [line for line in done.stderr.splitlines() if not line.startswith("Starting ")]
    assert sentence.startswith(said)
    assert "npm install --global azurite" in sentence
