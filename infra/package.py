"""Builds the deployment package: `python infra/package.py`, with any Python from 3.11 that has pip, on any system.

`dist/ade-token-monitor-<version>.zip` holds the app and, as wheels for the platform that it runs on in Azure, the
packages of requirements.txt, so that nothing has to be built there. `dist/app/` is the same, unpacked: azd deploys it.
"""

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
CONTENT: Final = ("LICENSE", "function_app.py", "host.json", "requirements.txt", "shared")
"""What is deployed beside the packages: what .funcignore lets through."""

PACKAGES: Final = ".python_packages/lib/site-packages"
"""Where the Functions host looks for packages."""

# Whatever runs on glibc 2.28: the images of Flex Consumption and of App Service have newer ones.
_PLATFORMS: Final = (
    *(f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)),
    *(f"manylinux{name}_x86_64" for name in ("2014", "2010", "1")),
)
_WHEELS: Final = ("--no-deps", "--only-binary=:all:", "--implementation=cp", *(f"--platform={it}" for it in _PLATFORMS))

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
    (r"ERROR: (.+)", "pip says: {0}"),
)
"""What pip says, and what that means."""


class PackageError(Exception):
    """No package can be built; says why, and what to do."""


def version() -> str:
    """The version of the app, which is not imported for it: its packages may not be there."""
    source = (ROOT / "shared" / "__init__.py").read_text("utf-8")
    found = re.search(r'^__version__(?:: \S+)? = "(.+)"$', source, re.MULTILINE)
    if not found:
        raise PackageError("shared/__init__.py names no __version__")
    return found[1]


def build(dist: Path) -> Path:
    """Builds the package in `dist` and returns the path of the ZIP file.

    The packages are kept there, and fetched again when requirements.txt has changed.

    Raises:
        PackageError: if pip cannot fetch the packages.

    """
    dist.mkdir(exist_ok=True)
    with _alone(dist / "lock"):
        app = _any_length(dist / "app")
        _put_packages(app, dist / "built-from")
        _put_sources(app)
        target = dist / f"ade-token-monitor-{version()}.zip"
        print("Packing ...", flush=True)
        archive(app, target)
    return target


def archive(tree: Path, target: Path) -> None:
    """Packs a folder; the same files give the same bytes. `target` is replaced at the end, so it is never half."""
    names = sorted(
        path.relative_to(tree).as_posix()
        for path in tree.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )
    partial = target.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in names:
            entry = zipfile.ZipInfo(name)  # its date is the first that a ZIP file can have
            entry.create_system = 3  # Unix, wherever this runs
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, (tree / name).read_bytes())
    partial.replace(target)


def _put_packages(app: Path, built_from: Path) -> None:
    python = (ROOT / ".python-version").read_text("utf-8").strip()
    requirements = (ROOT / "requirements.txt").read_text("utf-8")
    wanted = "\n".join((python, *_WHEELS, requirements))
    if built_from.exists() and built_from.read_text("utf-8") == wanted:
        return
    built_from.unlink(missing_ok=True)
    packages = app / PACKAGES
    shutil.rmtree(packages, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        print(f"Fetching the packages for Python {python} on Linux, which takes up to a minute ...", flush=True)
        _fetch(python, Path(folder))
        print("Unpacking them ...", flush=True)
        for wheel in sorted(Path(folder).glob("*.whl")):
            _unpack(wheel, packages)
    built_from.write_text(wanted, "utf-8")


def _fetch(python: str, folder: Path) -> None:
    options = ("--quiet", "--disable-pip-version-check", "--retries=2", f"--python-version={python}", *_WHEELS)
    command = (sys.executable, "-m", "pip", "download", *options, "-d", str(folder), "-r", "requirements.txt")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    for pattern, meaning in _REASONS:
        if found := re.search(pattern, done.stderr):
            raise PackageError(meaning.format(*found.groups(), python=sys.executable, version=python))
    raise PackageError(f"pip ended with {done.returncode}: {done.stderr.strip()}")


def _unpack(wheel: Path, packages: Path) -> None:
    """Puts a wheel's modules and metadata into place, as pip does; scripts, headers and data have no use in Azure."""
    with zipfile.ZipFile(wheel) as packed:
        for entry in packed.infolist():
            first, _, rest = entry.filename.partition("/")
            scheme, _, inner = rest.partition("/")
            if entry.is_dir() or (first.endswith(".data") and scheme not in {"purelib", "platlib"}):
                continue
            path = packages / (inner if first.endswith(".data") else entry.filename)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(packed.read(entry))


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


def _any_length(path: Path) -> Path:
    """The path in a form that Windows takes at any length: Microsoft Graph's SDK has names of over 300 characters."""
    return Path(f"\\\\?\\{path}") if sys.platform == "win32" else path


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Waits until nobody else builds here; the lock ends with the process, however that ends."""
    with path.open("a") as lock:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415 (of this system alone)

            while True:
                try:
                    msvcrt.locking(lock.fileno(), msvcrt.LK_LOCK, 1)
                    break
                except OSError:
                    time.sleep(0.1)
        else:
            import fcntl  # noqa: PLC0415 (of the other systems)

            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Builds the package and prints where it is; returns 0 if there is one, 1 if not, and 130 if interrupted."""
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
