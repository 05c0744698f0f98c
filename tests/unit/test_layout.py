"""What holds the project together: names, versions, pins, and which file goes where."""

import ast
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from pathspec import GitIgnoreSpec

import shared

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PYTHON = (ROOT / ".python-version").read_text("utf-8").strip()
FILES = ("requirements", "requirements-cli", "requirements-dev")
WORKFLOWS = {path.stem: path.read_text("utf-8") for path in (ROOT / ".github" / "workflows").glob("*.yml")}

OURS = {"benchmarks", "cli", "docs", "function_app", "infra", "shared", "simulator", "tests"}
(PURE,) = [
    contract["source_modules"]
    for contract in PROJECT["tool"]["importlinter"]["contracts"]
    if contract["name"].startswith("The judgment")
]
DEPLOYED = {".python_packages", "LICENSE", "function_app.py", "host.json", "requirements.txt", "shared"}


def lines(name):
    text = (ROOT / name).read_text("utf-8").replace("\\\n", "")
    stripped = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in stripped if line and not line.startswith("-c ")]


def pins(name):
    pinned = (line.split()[0].partition("==") for line in lines(f"{name}.txt"))
    return {canonicalize_name(package): version for package, _, version in pinned}


def tree(path):
    return ast.parse((ROOT / path).read_text("utf-8"))


# Names


def test_no_installed_distribution_owns_one_of_our_names():
    """The host puts the app's folder last on the search path, so an installed package of that name would win."""
    assert {name: owners for name, owners in importlib.metadata.packages_distributions().items() if name in OURS} == {}


def test_the_function_app_imports_the_standard_library_the_worker_and_shared_alone():
    imported = set()
    for node in ast.walk(tree("function_app.py")):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    others = {name for name in imported if name.partition(".")[0] not in {*sys.stdlib_module_names, "shared"}}
    assert others == {"azure.functions"}


@pytest.mark.parametrize("module", PURE)
def test_the_judgement_has_no_clock_of_its_own(module):
    path = ROOT / module.replace(".", "/")
    files = [*path.rglob("*.py")] or [path.with_suffix(".py")]
    attributes = {
        ast.unparse(node) for file in files for node in ast.walk(tree(file)) if isinstance(node, ast.Attribute)
    }
    assert attributes.isdisjoint({"datetime.now", "datetime.today", "datetime.utcnow", "date.today"})


# The direction of imports


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("shared/judging/judge.py", "import asyncio"),
        ("shared/storage/rows.py", "from azure.core.exceptions import AzureError"),
        ("shared/storage/store.py", "import shared.check"),
        ("shared/text.py", "import simulator.tls"),
        ("shared/forgotten.py", ""),
        ("simulator/tls.py", "import function_app"),
        ("cli/other.py", "import simulator.tls"),
    ],
)
@pytest.mark.sampled(2)
def test_an_import_in_the_wrong_direction_is_found(tmp_path, module, line):
    """That the tree as it is passes is for `make lint` to say."""
    for folder in ("shared", "simulator", "cli"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / module).open("a") as file:
        file.write(f"\n{line}\n")
    found = lint_imports(tmp_path)
    assert found.returncode == 1
    assert "BROKEN" in found.stdout or "could not be imported" in found.stdout


def lint_imports(folder):
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


# Words


PROSE = {
    "a.md": ("Renew it.\n\nThe command that mends it.\n", ["3:18"]),
    "b.md": ("`tell` is code.\n\n```sh\ntell me\n```\n", []),
    "a.py": ('"""Return what the row says."""\nMENDED = f"Told {told} of one"\n', ["2:12"]),
    "b.py": ('told = "told"  # the name of a field that tells\n', ["1:43"]),
    "a.bicep": ("@description('What it tells, in words.')\nparam told string\n", ["1:23"]),
    "a.json": ('{ "told": "told", "about": "a row that stands in a table" }\n', ["1:40"]),
    "a.sh": ("told=${told#a b c} # it comes and goes\n", ["1:25"]),
}


def test_a_private_word_is_found_in_documents_and_in_the_prose_of_code(tmp_path):
    for name, (text, _) in PROSE.items():
        (tmp_path / name).write_text(text, "utf-8")
    files = [str(tmp_path / name) for name in PROSE]
    command = ["node_modules/.bin/textlint", "-c", ".ci/lint/textlint.cjs", "-f", "unix", *files]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    found = re.findall(r"/([^/:]+):(\d+:\d+):", ended.stdout)
    assert {name: [place for of, place in found if of == name] for name in PROSE} == {
        name: places for name, (_, places) in PROSE.items()
    }, ended.stderr


# Versions


def test_the_release_has_one_number():
    assert PROJECT["project"]["version"] == shared.__version__
    assert f"## [{shared.__version__}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_python_has_one_version():
    assert "{}.{}".format(*sys.version_info) == PYTHON
    assert PROJECT["project"]["requires-python"] == f"=={PYTHON}.*"
    assert PROJECT["tool"]["mypy"]["python_version"] == PYTHON
    assert PROJECT["tool"]["ruff"]["target-version"] == f"py{PYTHON.replace('.', '')}"
    assert f"FROM python:{PYTHON}-" in (ROOT / ".devcontainer" / "Dockerfile").read_text("utf-8")
    for workflow in WORKFLOWS.values():
        assert "python-version-file: .python-version" in workflow


@pytest.mark.parametrize(("tag", "code"), [(f"v{shared.__version__}", 0), (shared.__version__, 1), ("v99.0.0", 1)])
def test_a_tag_that_is_not_the_version_is_no_release(tag, code):
    (step,) = re.findall(r"- name: The tag is the version\n +run: \|\n((?: {10}.*\n)+)", WORKFLOWS["release"])
    ended = subprocess.run(
        ["/bin/sh", "-ec", textwrap.dedent(step)],
        cwd=ROOT,
        env={"PATH": os.defpath, "GITHUB_REF_NAME": tag},
        capture_output=True,
        text=True,
        check=False,
    )
    told = "" if code == 0 else f"::error::The tag is {tag}, and shared/__init__.py says {shared.__version__}.\n"
    assert (ended.returncode, ended.stdout) == (code, told)


def test_workflows_pin_one_commit_of_an_action_and_may_only_read_unless_a_job_says_otherwise():
    example = (ROOT / "docs" / "deployment.md").read_text("utf-8")
    used = {line for text in (*WORKFLOWS.values(), example) for line in re.findall(r"uses: (.+)", text)}
    assert len(used) == len({line.partition("@")[0] for line in used})
    pinned = re.compile(r"(actions/[\w-]+|azure/login)@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert [line for line in used if not pinned.fullmatch(line)] == []
    for workflow in WORKFLOWS.values():
        assert re.findall(r"^permissions:\n((?:  .*\n)+)", workflow, re.MULTILINE) == ["  contents: read\n"]


# Audits


@pytest.mark.parametrize(
    ("name", "programs", "code", "printed"),
    [
        ("pip-audit", {"curl": "exit 6"}, 0, "pip-audit: not checked: https://api.osv.dev cannot be reached.\n"),
        ("pip-audit", {"curl": "", "pip-audit": 'echo "${@: -1}"'}, 0, "requirements-a.txt\nrequirements.txt\n"),
        ("pip-audit", {"curl": "", "pip-audit": "[[ ${@: -1} != *-a.txt ]]"}, 1, ""),
        ("npm-audit", {"npm": "echo '{\"error\": {}}'; exit 1"}, 0, "npm-audit: not checked: the registry's audit"),
        ("npm-audit", {"npm": "echo '{ \"auditReportVersion\": 2 }'"}, 0, ""),
        ("npm-audit", {"npm": "echo '{ \"auditReportVersion\": 2 }'; exit 1"}, 1, ""),
    ],
)
def test_an_audit_fails_for_what_it_finds_and_not_for_want_of_its_service(tmp_path, name, programs, code, printed):
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    environment = tmp_path / ".judges" / name
    (environment / "bin").mkdir(parents=True)
    if name == "pip-audit":
        shutil.copy(tmp_path / ".ci" / "judges" / "pip-audit.txt", environment / "built-from")
    for file in ("requirements.txt", "requirements-a.txt"):
        (tmp_path / file).touch()
    for program, script in programs.items():
        (environment / "bin" / program).write_text(f"#!/usr/bin/env bash\n{script}\n")
        (environment / "bin" / program).chmod(0o755)
    env = {"PATH": f"{environment / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run([tmp_path / ".ci" / "judge", name], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.startswith(printed)


# Pins


@pytest.mark.parametrize("name", FILES)
def test_every_package_is_pinned_exactly_and_by_the_hashes_of_its_files(name):
    pin = re.compile(r"[\w.-]+==[\w.]+( +--hash=sha256:[0-9a-f]{64})+")
    assert [line for line in lines(f"{name}.txt") if not pin.fullmatch(line)] == []


@pytest.mark.parametrize("name", FILES)
def test_whatever_a_package_needs_is_pinned_too(name):
    known = {
        canonicalize_name(line.partition("==")[0])
        for file in FILES[: FILES.index(name) + 1]
        for line in lines(f"{file}.txt")
    }
    asked = [Requirement(line) for line in lines(f"{name}.in")]
    seen = set()
    while asked:
        requirement = asked.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        assert key[0] in known, f"run `make requirements`: {key[0]} is not pinned"
        for line in importlib.metadata.requires(key[0]) or ():
            needed = Requirement(line)
            extras = requirement.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                asked.append(needed)
    assert {of for of, _ in seen} >= pins(name).keys() - set().union(
        *(pins(file) for file in FILES[: FILES.index(name)])
    )


def test_the_files_agree_and_what_is_installed_is_what_they_say():
    said = {}
    for file in FILES:
        for name, version in pins(file).items():
            assert said.setdefault(name, version) == version, f"{file}.txt has another {name}"
    assert {name: importlib.metadata.version(name) for name in said} == said


def test_a_pin_satisfies_whoever_needs_the_package():
    unsatisfied = []
    for distribution in importlib.metadata.distributions():
        for line in distribution.requires or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                version = importlib.metadata.version(needed.name)
                if version not in SpecifierSet(str(needed.specifier), prereleases=True):
                    unsatisfied.append(f"{distribution.name} needs {line}, not {version}")
    assert unsatisfied == []


# What is deployed


def test_what_is_not_deployed_is_ignored_and_what_is_deployed_is_not():
    ignored = GitIgnoreSpec.from_lines((ROOT / ".funcignore").read_text("utf-8").splitlines())
    entries = {path.name: f"{path.name}/" if path.is_dir() else path.name for path in ROOT.iterdir()}
    kept = {name for name, path in entries.items() if not ignored.match_file(path)}
    assert kept <= DEPLOYED, "name it in .funcignore, or in DEPLOYED here"
    needed = [*(path.relative_to(ROOT) for path in (ROOT / "shared").rglob("*") if "__pycache__" not in path.parts)]
    needed += [Path(".python_packages/lib/site-packages/azure/functions/__init__.py"), *map(Path, DEPLOYED)]
    assert [str(path) for path in needed if ignored.match_file(path)] == []
