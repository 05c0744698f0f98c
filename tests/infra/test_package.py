"""The deployment package: what is in it, that it is whole or not there, and that azd deploys that very thing."""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path

import pytest
from pathspec import GitIgnoreSpec

import shared

ROOT = Path(__file__).parents[2]
NAME = f"ade-token-monitor-{shared.__version__}.zip"
PACKAGES = ".python_packages/lib/site-packages/"

PIP = """
import os, pathlib, sys, time, zipfile

log = pathlib.Path("pip.log")
with log.open("a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
time.sleep(float(os.environ.get("PIP_TAKES", 0)))
if "PIP_SAYS" in os.environ:
    sys.exit(os.environ["PIP_SAYS"])
folder = pathlib.Path(sys.argv[sys.argv.index("-d") + 1])
with zipfile.ZipFile(folder / "thing-1.0-py3-none-any.whl", "w") as wheel:
    for name in os.environ["WHEEL_HAS"].split(","):
        wheel.writestr(name, "" if name.endswith(".py") else name)
"""
KEPT = (
    "msgraph/generated/base_graph_service_client.py",
    "plat.so", "thing/__init__.py", "thing/test/__init__.py", "thing/docs/README.md", "thing-1.0.dist-info/METADATA",
    "thing-1.0.dist-info/entry_points.txt", "thing-1.0.dist-info/licenses/LICENSE",
)  # fmt: skip
LEFT_OUT = (
    "msgraph/generated/models/user.py", "msgraph/generated/kiota-dom-export.txt",
    "thing/__init__.pyi", "thing/py.typed", "thing/tests/test_thing.py", "thing/fast.pyx", "thing/inc/fast.h",
    "thing-1.0.dist-info/RECORD", "thing-1.0.dist-info/WHEEL", "thing-1.0.dist-info/top_level.txt",
)  # fmt: skip
WHEEL = set(KEPT) | {"thing/__pycache__/__init__.cpython-313.pyc", "thing/test/__pycache__/__init__.cpython-313.pyc"}
WHEEL |= {"msgraph/generated/__pycache__/base_graph_service_client.cpython-313.pyc"}


@pytest.fixture
def project(tmp_path):
    """What the package is made of, and a pip that knows one package."""
    for name in ("LICENSE", "function_app.py", "host.json", "requirements.txt", ".python-version", "infra/package.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "shared", tmp_path / "shared")
    (tmp_path / "shared" / "__pycache__").mkdir(exist_ok=True)
    (tmp_path / "shared" / "__pycache__" / "old.cpython-313.pyc").touch()
    (tmp_path / "fakes" / "pip").mkdir(parents=True)
    (tmp_path / "fakes" / "pip" / "__init__.py").touch()
    (tmp_path / "fakes" / "pip" / "__main__.py").write_text(PIP)
    return tmp_path


def start(project, **environment):
    return subprocess.Popen(
        [sys.executable, project / "infra" / "package.py"],
        env={
            **os.environ,
            "PYTHONPATH": str(project / "fakes"),
            "WHEEL_HAS": ",".join((*KEPT, *LEFT_OUT)),
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def build(project, **environment):
    process = start(project, **environment)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def names(project):
    with zipfile.ZipFile(project / "dist" / NAME) as packed:
        return set(packed.namelist())


def asked(project):
    return (project / "pip.log").read_text().splitlines()


@pytest.fixture(scope="module")
def module():
    spec = importlib.util.spec_from_file_location("package_of_infra", ROOT / "infra" / "package.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


# What is in it


def test_it_holds_what_funcignore_lets_through_and_the_packages(project):
    assert build(project)[0] == 0
    ignored = GitIgnoreSpec.from_lines((ROOT / ".funcignore").read_text("utf-8").splitlines())
    kept = [path for path in ROOT.iterdir() if not ignored.match_file(f"{path.name}/" if path.is_dir() else path.name)]
    files = {path for top in kept for path in (top.rglob("*") if top.is_dir() else [top]) if path.is_file()}
    let_through = {name for path in files if not ignored.match_file(name := path.relative_to(ROOT).as_posix())}
    bytecode = {str(Path(cache_from_source(name))) for name in let_through if name.endswith(".py")}
    assert names(project) == let_through | bytecode | {PACKAGES + name for name in WHEEL}
    assert [name for name in names(project) if ignored.match_file(name) and not name.endswith(".pyc")] == []


def test_bytecode_is_used_without_a_look_at_its_source(project):
    build(project)
    with zipfile.ZipFile(project / "dist" / NAME) as packed:
        compiled = {name: packed.read(name) for name in packed.namelist() if name.endswith(".pyc")}
    assert {content[:8] for content in compiled.values()} == {MAGIC_NUMBER + (0b01).to_bytes(4, "little")}
    assert not [name for name, content in compiled.items() if str(project).encode() in content]


def test_a_rule_that_matches_nothing_any_more_ends_the_build(project):
    kept = [name for name in (*KEPT, *LEFT_OUT) if "/tests/" not in name]
    code, _, err = build(project, WHEEL_HAS=",".join(kept))
    assert code == 1
    assert err == (
        "No package was built: no file of the packages matches [^/]+/tests/.*: "
        "adapt or remove the rule in infra/package.py.\n"
    )


def test_files_that_no_rule_knows_a_place_for_end_the_build(project):
    code, _, err = build(project, WHEEL_HAS="thing-1.0.data/scripts/thing")
    reason = "thing-1.0-py3-none-any.whl has thing-1.0.data/scripts/thing: give infra/package.py a rule for it"
    assert (code, err) == (1, f"No package was built: {reason}.\n")


def test_a_module_that_does_not_compile_ends_the_build(project):
    (project / "shared" / "text.py").write_text("def")
    code, _, err = build(project)
    assert code == 1
    assert err.startswith("No package was built: Python cannot compile everything: ")
    assert "text.py" in err


def test_the_python_that_is_needed_is_named_where_it_is_missing(project):
    (project / ".python-version").write_text("3.99\n")
    code, _, err = build(project)
    missing = "CPython 3.99, which compiles the package, is missing: install it so that python3.99 is on the PATH"
    assert (code, err) == (1, f"No package was built: {missing}.\n")


def test_the_unpacked_tree_that_azd_deploys_is_the_same(project):
    build(project)
    tree = project / "dist" / "app"
    there = {path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()}
    assert there == names(project) | {".funcignore"}
    # With an ignore file azd leaves out what that names, and without one __pycache__.
    ignored = GitIgnoreSpec.from_lines((tree / ".funcignore").read_text("utf-8").splitlines())
    assert not list(ignored.match_files(names(project)))


def test_the_packages_are_wheels_for_the_platform_in_azure(project):
    build(project)
    (command,) = asked(project)
    words = command.split()
    assert words[0] == "download"
    assert {"--only-binary=:all:", "--no-deps", "--implementation=cp", "--python-version=3.13"} <= set(words)
    assert "--require-hashes" in words
    platforms = [word.partition("=")[2] for word in words if word.startswith("--platform=")]
    assert {"manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"} <= set(platforms)
    assert all(re.fullmatch(r"manylinux(_2_(\d+)|1|2010|2014)_x86_64", name) for name in platforms)
    assert max(int(name.split("_")[2]) for name in platforms if "_2_" in name) == 28


def test_what_was_deployed_before_and_is_gone_is_not_in_it(project):
    (project / "shared" / "gone.py").touch()
    build(project)
    (project / "shared" / "gone.py").unlink()
    build(project)
    assert "shared/text.py" in names(project)
    assert "shared/gone.py" not in names(project)


# The same again


def test_the_same_files_give_the_same_bytes(module, tmp_path):
    digests = set()
    for number, order in enumerate((["b", "a/x", "a/y"], ["a/y", "a/x", "b"])):
        tree = tmp_path / f"tree{number}"
        for position, name in enumerate(order):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(name)
            (tree / name).chmod(0o600 if number else 0o755)
            os.utime(tree / name, (1e9 + position, 1e9 + number))
        module.archive(tree, tmp_path / f"{number}.zip")
        digests.add(hashlib.sha256((tmp_path / f"{number}.zip").read_bytes()).hexdigest())
    assert len(digests) == 1
    with zipfile.ZipFile(tmp_path / "0.zip") as packed:
        assert packed.namelist() == ["a/x", "a/y", "b"]
        assert {entry.external_attr >> 16 for entry in packed.infolist()} == {0o100644}


def test_packages_are_fetched_once_and_again_when_the_pins_change(project):
    build(project)
    first = (project / "dist" / NAME).read_bytes()
    build(project)
    assert len(asked(project)) == 1
    assert (project / "dist" / NAME).read_bytes() == first
    with (project / "requirements.txt").open("a") as pins:
        pins.write("another==1.0\n")
    build(project)
    assert len(asked(project)) == 2


@pytest.mark.exhaustive
def test_two_at_a_time_wait_for_each_other(project):
    processes = [start(project, PIP_TAKES="1") for _ in range(2)]
    ends = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], ends
    assert len(asked(project)) == 1


# What is told


def test_progress_path_size_and_checksum_are_reported(project):
    code, out, err = build(project)
    assert (code, err) == (0, "")
    *progress, path, facts = out.splitlines()
    assert progress[0].startswith("Fetching the packages for Python 3.13")
    assert Path(path) == project / "dist" / NAME
    content = Path(path).read_bytes()
    assert facts == f"{len(content) / 1e6:.1f} MB, SHA-256 {hashlib.sha256(content).hexdigest()}"


UNREACHABLE = "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...)'"
NONE = "ERROR: No matching distribution found for aiohttp==3.14.5"
PINNED = "aiohttp==3.14.5"
MISMATCH = f"""ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated ...
Otherwise, examine the package contents carefully; someone may have tampered with them.
    {PINNED} from file:///aiohttp-3.14.5.whl (from -r requirements.txt (line 1)):
        Expected sha256 11
             Got        22"""


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            f"{UNREACHABLE}\n{NONE}",
            "the package index cannot be reached: check the network, and pip's settings (pip config list)",
        ),
        (NONE, "the package index has no wheel of aiohttp==3.14.5 for Python 3.13 on Linux (x86_64, glibc 2.28)"),
        ("ERROR: No space left on device", "pip says: No space left on device"),
        (
            MISMATCH,
            f"the package index has other bytes than requirements.txt pins for {PINNED}: do not use it, and report it",
        ),
    ],
)
def test_where_packages_cannot_be_had_one_sentence_says_why_and_the_last_package_stays(project, said, told):
    build(project)
    before = (project / "dist" / NAME).read_bytes()
    pins = (project / "requirements.txt").read_text()
    (project / "requirements.txt").write_text("aiohttp==3.14.5\n")
    code, _, err = build(project, PIP_SAYS=said)
    assert (code, err) == (1, f"No package was built: {told}.\n")
    assert (project / "dist" / NAME).read_bytes() == before
    (project / "requirements.txt").write_text(pins)
    assert build(project)[0] == 0
    assert (project / "dist" / NAME).read_bytes() == before


def test_a_python_without_pip_is_named(project):
    (project / "fakes" / "pip" / "__main__.py").unlink()
    code, _, err = build(project)
    assert code == 1
    assert re.fullmatch(r"No package was built: .*python\S* has no pip: .*\.\n", err)


def test_an_interruption_leaves_no_half_package(module, tmp_path, monkeypatch):
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("one", "two"):
        (tree / name).write_text(name)
    read = Path.read_bytes

    def interrupted(path):
        if path.name == "two":
            raise KeyboardInterrupt
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        module.archive(tree, tmp_path / "package.zip")
    assert not (tmp_path / "package.zip").exists()


# azd
