"""Builds the deployment package: `python infra/package.py`, on any system with any Python from 3.11 that has pip.

`dist/ade-token-monitor-<version>.zip` contains the app, the packages of requirements.txt from their wheels for Azure's
platform, and the bytecode of both, which only the Python of .python-version can compile. Azure builds nothing.
`dist/app/` has the same content, unpacked: azd deploys it.
"""

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[1]
CONTENT: Final = ("LICENSE", "function_app.py", "host.json", "requirements.txt", "shared")
"""The files and folders that are deployed with the packages: those that .funcignore doesn't exclude."""

PACKAGES: Final = ".python_packages/lib/site-packages"
"""The folder in which the Functions host finds packages."""

_FOR_AZD: Final = ".funcignore"

# Wheels that need glibc 2.28 or older: the images of Flex Consumption and App Service have newer ones.
_PLATFORMS: Final = (
    *(f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)),
    *(f"manylinux{name}_x86_64" for name in ("2014", "2010", "1")),
)
_WHEELS: Final = ("--no-deps", "--only-binary=:all:", "--implementation=cp", *(f"--platform={it}" for it in _PLATFORMS))


class _Rule(NamedTuple):
    """A kind of file in the wheels that the app cannot use."""

    pattern: str
    reason: str


_LEFT_OUT: Final = (
    _Rule(r"msgraph/generated/([^/]+/.*|kiota-.+)", "`import msgraph` needs no model and no request builder of these"),
    _Rule(r".*\.pyi|(.*/)?py\.typed", "type checkers read stubs and their marker; Python does not"),
    _Rule(r".*\.(c|h|pyx|pxd|pxi)", "the wheels carry what these C and Cython sources were compiled to"),
    _Rule(r"[^/]+/tests/.*", "a package's tests run where the package is made"),
    _Rule(
        r"[^/]+\.dist-info/(RECORD|WHEEL|top_level\.txt)",
        "installers read these; the running app reads METADATA and entry_points.txt; licenses and SBOMs travel along",
    ),
)
"""The files of the wheels that the package omits. A rule that matches nothing fails the build, so none is obsolete."""

_REASONS: Final = (
    (r"No module named pip", "{python} has no pip: install it, or use a Python that has it"),
    (
        r"connection broken|Max retries exceeded",
        "the package index cannot be reached: check the network, and pip's settings (pip config list)",
    ),
    (
        r"No matching distribution found for (\S+)",
        "the package index has no wheel of {0} for Python {version} on Linux (x86_64, glibc 2.28)",
    ),
    (
        r"DO NOT MATCH THE HASHES[^~]+? tampered with them\.\s+(\S+)",
        "the package index has other bytes than requirements.txt pins for {0}: do not use it, and report it",
    ),
    (r"ERROR: (.+)", "pip says: {0}"),
)
"""Patterns of pip's errors, and what each means."""


class PackageError(Exception):
    """The package cannot be built; the message gives the reason and the remedy."""


def version() -> str:
    """Return the version of the app without importing it, because its packages may be missing."""
    source = (ROOT / "shared" / "__init__.py").read_text("utf-8")
    declared = re.search(r'^__version__(?:: \S+)? = "(.+)"$', source, re.MULTILINE)
    if not declared:
        raise PackageError("shared/__init__.py names no __version__")
    return declared[1]


def build(dist: Path) -> Path:
    """Build the package in `dist` and return the path of the ZIP file.

    The packages are kept there, and downloaded again if requirements.txt, the Python version, or this file has changed.

    Raises:
        PackageError: if pip can't download the packages, a rule matches none of their files, or the Python is missing.

    """
    dist.mkdir(exist_ok=True)
    with _alone(dist / "lock"):
        app = dist / "app"
        compiler = _compiler()
        _put_packages(app, dist / "built-from", compiler)
        _put_sources(app)
        _compile(app, compiler, r"\.python_packages")
        # azd omits __pycache__ unless the folder has an ignore file, which it does not deploy
        # (https://github.com/Azure/azure-dev/blob/main/cli/azd/pkg/project/project_utils.go).
        (app / _FOR_AZD).write_text("# Everything here is deployed.\n", "utf-8")
        target = dist / f"ade-token-monitor-{version()}.zip"
        print("Packing ...", flush=True)
        archive(app, target)
    return target


def archive(tree: Path, target: Path) -> None:
    """Pack a folder into `target`, which is replaced at the end; the same files give the same bytes."""
    names = sorted(
        path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file() and path != tree / _FOR_AZD
    )
    partial = target.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in names:
            entry = zipfile.ZipInfo(name)  # its date is the earliest that a ZIP file can have
            entry.create_system = 3  # Unix, on every system
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, (tree / name).read_bytes())
    partial.replace(target)


class _Compiler(NamedTuple):
    """A Python whose bytecode the app's Python in Azure can use."""

    command: tuple[str, ...]
    version: str


def _python() -> str:
    return (ROOT / ".python-version").read_text("utf-8").strip()


def _compiler() -> _Compiler:
    wanted = _python()
    for command in ((sys.executable,), (f"python{wanted}",), ("py", f"-{wanted}")):
        question = "import sys; print(sys.implementation.cache_tag, sys.version)"
        try:
            done = subprocess.run((*command, "-c", question), capture_output=True, text=True, check=False)
        except OSError:
            continue
        if done.returncode == 0 and done.stdout.startswith(f"cpython-{wanted.replace('.', '')} "):
            return _Compiler(command, done.stdout)
    raise PackageError(
        f"CPython {wanted}, which compiles the package, is missing: install it so that python{wanted} is on the PATH"
    )


def _compile(tree: Path, compiler: _Compiler, without: str = "^$") -> None:
    """Compile the modules in `tree`, except those whose path matches `without`.

    Azure mounts the package read-only and its files can have any date, so the bytecode is not verified against the
    source. Paths in it are relative to the tree: Python replaces them when it imports a module.
    """
    options = ("-q", "-f", "-s", str(tree), "-x", without, "--invalidation-mode=unchecked-hash")
    command = (*compiler.command, "-I", "-m", "compileall", *options, str(tree))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PackageError(f"Python cannot compile everything: {done.stdout.strip()}")


def _put_packages(app: Path, built_from: Path, compiler: _Compiler) -> None:
    requirements = (ROOT / "requirements.txt").read_text("utf-8")
    wanted = "\n".join((compiler.version, Path(__file__).read_text("utf-8"), requirements))
    if built_from.exists() and built_from.read_text("utf-8") == wanted:
        return
    built_from.unlink(missing_ok=True)
    packages = app / PACKAGES
    shutil.rmtree(packages, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        print(f"Fetching the packages for Python {_python()} on Linux ...", flush=True)
        _fetch(_python(), Path(folder))
        print("Unpacking and compiling them ...", flush=True)
        _unpack(sorted(Path(folder).glob("*.whl")), packages)
    _compile(packages, compiler)
    built_from.write_text(wanted, "utf-8")


def _fetch(python: str, folder: Path) -> None:
    options = (
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
        "--retries=2",
        f"--python-version={python}",
        *_WHEELS,
    )
    command = (sys.executable, "-m", "pip", "download", *options, "-d", str(folder), "-r", "requirements.txt")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    for pattern, meaning in _REASONS:
        if found := re.search(pattern, done.stderr):
            raise PackageError(meaning.format(*found.groups(), python=sys.executable, version=python))
    raise PackageError(f"pip ended with {done.returncode}: {done.stderr.strip()}")


def _unpack(wheels: Iterable[Path], packages: Path) -> None:
    """Unpack the wheels' modules and metadata, as pip does, except the files that the rules omit."""
    unused = set(_LEFT_OUT)
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as packed:
            for entry in packed.infolist():
                if rule := next((it for it in _LEFT_OUT if re.fullmatch(it.pattern, entry.filename)), None):
                    unused.discard(rule)
                elif re.match(r"[^/]+\.data/", entry.filename):
                    raise PackageError(f"{wheel.name} has {entry.filename}: give infra/package.py a rule for it")
                elif not entry.is_dir():
                    path = packages / entry.filename
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(packed.read(entry))
    if unused:
        patterns = " and ".join(sorted(rule.pattern for rule in unused))
        raise PackageError(f"no file of the packages matches {patterns}: adapt or remove the rule in infra/package.py")


def _put_sources(app: Path) -> None:
    for path in app.iterdir():
        if path.is_dir() and path.name != Path(PACKAGES).parts[0]:
            shutil.rmtree(path)
        elif path.is_file():
            path.unlink()
    for name in CONTENT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, app / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copyfile(source, app / name)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other process builds here; the lock ends with this process, even if it crashes."""
    with path.open("a") as lock:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415 (only on this system)

            while True:
                try:
                    msvcrt.locking(lock.fileno(), msvcrt.LK_LOCK, 1)
                    break
                except OSError:
                    time.sleep(0.1)
        else:
            import fcntl  # noqa: PLC0415 (only on the other systems)

            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Build the package and print its path; return 0 if it is built, 1 if not, and 130 if interrupted."""
    try:
        path = build(ROOT / "dist")
    except (OSError, PackageError) as error:
        print(f"No package was built: {error}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    content = path.read_bytes()
    print(f"{path}\n{len(content) / 1e6:.1f} MB, SHA-256 {hashlib.sha256(content).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
