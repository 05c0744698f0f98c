"""The Bicep compiler: where it is, and what the tests and `make lint` ask of it.

    python tests/infra/compiler.py [template]

lints every file of infra/ and checks that it is formatted; a warning counts as an error. With `template`, writes
infra/azuredeploy.json instead.
"""

import atexit
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
APART = "graph-role"
"""The folder whose extension only a network can bring."""

FILES = "**/*.bicep*"
"""Templates and parameter files."""

MISSING = "the Bicep compiler is missing: put bicep on the PATH, or run `make setup` with a network"
REQUIRED = bool(os.environ.get("BICEP_REQUIRED"))
"""Whether its absence is an error; `.ci/run` says so where the compiler ought to be."""


def find() -> Path | None:
    """The compiler from the PATH, or else the one that `make setup` has installed."""
    found = shutil.which("bicep") or shutil.which(ROOT / ".bicep" / "bicep")
    return Path(found) if found else None


needed = pytest.mark.skipif(find() is None and not REQUIRED, reason=MISSING)


def run(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Runs the compiler; its exit code is the caller's to judge."""
    program = find()
    if program is None:
        raise FileNotFoundError(MISSING)
    return subprocess.run(
        [program, *arguments],
        cwd=cwd,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def _environment() -> dict[str, str]:
    # ICU is not everywhere, and a process that lives for a second is not worth profiling.
    return {**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1", "DOTNET_TieredPGO": "0"}


class _Server:
    """A compiler that stays: starting one and warming it up takes most of the time of a snapshot."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [find() or "bicep", "jsonrpc", "--stdio"],
            env={**_environment(), "DOTNET_TieredCompilation": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        atexit.register(self._process.communicate)  # it ends with its input

    def call(self, method: str, **parameters: object) -> dict:
        """Returns the answer of a method of Bicep's JSON-RPC server: an object with `result` or `error`."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": f"bicep/{method}", "params": parameters}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._process.stdin.flush()
        headers = dict(line.split(b":") for line in iter(self._process.stdout.readline, b"\r\n"))
        return json.loads(self._process.stdout.read(int(headers[b"Content-Length"])))


_server = cache(_Server)


@contextmanager
def copied(infra: Path):
    """A copy of infra/ to work in, without what cannot be compiled offline."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder).resolve() / "infra"
        yield Path(shutil.copytree(infra, copy, ignore=shutil.ignore_patterns(APART, "__pycache__")))


def snapshot(param_file: Path, **options: str | None) -> dict:
    """What a parameter file would deploy: every resource of every module, evaluated.

    Args:
        param_file: one of infra/, or any other; that is evaluated as if it stood in infra/examples/.
        options: of `bicep snapshot`, such as `location="chinanorth3"`; None leaves one out.

    """
    given = {
        "tenant_id": "22222222-2222-4222-8222-222222222222",
        "subscription_id": "11111111-1111-4111-8111-111111111111",
        "resource_group": "rg-ade-token-monitor",
        "location": "westeurope",
        **options,
    }
    with copied(INFRA) as copy:
        if param_file.is_relative_to(INFRA):
            path = copy / param_file.relative_to(INFRA)
        else:
            path = Path(shutil.copy(param_file, copy / "examples"))
        text = _with_environment(path.read_text("utf-8"))
        used = re.search(r"^using +'(.+)\.bicep'", text, re.MULTILINE)[1]
        bicep = (path.parent / f"{used}.bicep").resolve().relative_to(copy)
        (path.parent / f"{used}.json").write_text(json.dumps(template(INFRA / bicep)), "utf-8")
        path.write_text(text.replace(f"'{used}.bicep'", f"'{used}.json'", 1), "utf-8")
        metadata = {re.sub(r"_(.)", lambda found: found[1].upper(), name): value for name, value in given.items()}
        answer = _server().call("getSnapshot", path=str(path), metadata=metadata, externalInputs=[])
        if "error" in answer:
            compiled = _server().call("compileParams", path=str(path), parameterOverrides={})
            raise AssertionError(_said(compiled["result"]["diagnostics"]) or answer["error"]["message"])
        return json.loads(answer["result"]["snapshot"])


def _with_environment(text: str) -> str:
    """Puts the values of environment variables into a parameter file: the server keeps the environment of its start."""

    def value(found: re.Match[str]) -> str:
        given = os.environ.get(found[1])
        return found[2] or found[0] if given is None else "'{}'".format(given.replace("\\", "\\\\").replace("'", "\\'"))

    return re.sub(r"readEnvironmentVariable\('(\w+)'(?:, *('[^']*'))?\)", value, text)


@cache
def template(bicep: Path) -> dict:
    """The compiled template. Evaluating this one takes a quarter of the time that its sources take."""
    result = _server().call("compile", path=str(bicep))["result"]
    assert result["success"], _said(result["diagnostics"])
    return json.loads(result["contents"])


def _said(diagnostics: list[dict]) -> str:
    return "\n".join(f"{one['level']} {one['code']}: {one['message']}" for one in diagnostics)


def complaints(infra: Path = INFRA) -> list[str]:
    """What the linter says of the files, and which of them are not formatted."""
    with copied(infra) as copy:
        done = run("lint", "--no-restore", "--pattern", FILES, cwd=copy)
        said = (done.stdout + done.stderr).replace(f"{copy}{os.sep}", "infra/").splitlines()
        before = {path: path.read_text("utf-8") for path in copy.glob(FILES)}
        run("format", "--pattern", FILES, cwd=copy)
        for path, text in sorted(before.items()):
            if path.read_text("utf-8") != text:
                name = f"infra/{path.relative_to(copy).as_posix()}"
                said.append(f"{name} is not formatted: run `bicep format {name}`.")
        if done.returncode and not said:
            said.append(f"bicep lint ended with {done.returncode} and said nothing.")
        return list(dict.fromkeys(said))  # a module's faults are told of whoever uses it, too


def write_template() -> str | None:
    """Compiles main.bicep into azuredeploy.json; what was wrong, if anything was."""
    done = run("build", INFRA / "main.bicep", "--outfile", INFRA / "azuredeploy.json")
    return done.stdout + done.stderr or None


if __name__ == "__main__":
    if find() is None:
        if REQUIRED or sys.argv[1:]:
            sys.exit(f"{MISSING}.")
        sys.stdout.write(f"Bicep files were not linted: {MISSING}.\n")
    elif sys.argv[1:] == ["template"]:
        sys.exit(write_template())
    else:
        sys.exit("\n".join(complaints()) or None)
