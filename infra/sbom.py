"""Describes the package that infra/package.py built, in CycloneDX: `python infra/sbom.py`, after `make setup`.

`dist/ade-token-monitor-<version>.cdx.json` lists every package in the ZIP file of the same name, the components that a
package's own SBOM (PEP 770) names, and their licenses. The same package gives the same bytes.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from license_expression import Licensing
from package import PACKAGES, ROOT, version

_ALLOWED: Final = frozenset(
    {
        *("Apache-2.0", "BSD-3-Clause", "MIT", "MIT-0", "PSF-2.0", "Python-2.0", "Unicode-3.0"),
        "MPL-2.0",  # requires that changed files stay open, and no file is changed
        "License :: OSI Approved :: Apache Software License",  # classifiers of packages that name no SPDX license
        "License :: OSI Approved :: BSD License",
        "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)",
    }
)
_UNSTATED: Final = {
    "pkg:generic/openssl": "Apache-2.0"  # https://openssl-library.org/source/license/, from 3.0 on
}
"""The licenses of components whose SBOM states none, by package URL."""

_KEPT: Final[tuple[str, ...]] = ("type", "name", "version", "purl", "licenses", "hashes")
_SPDX: Final = Licensing()

type _Component = dict[str, Any]


class SbomError(Exception):
    """The package cannot be described; the message gives the reason and the remedy."""


def describe(app: Path) -> dict[str, Any]:
    """Return the SBOM of the unpacked package in `app`.

    Raises:
        SbomError: if there is no package, or one of its licenses is not allowed.

    """
    if not (app / PACKAGES).is_dir():
        raise SbomError(f"{app} contains no package: run infra/package.py first")
    sbom = _of_python_packages(app / PACKAGES)
    by_name = {_canonical(f"{one['name']}-{one['version']}"): one for one in sbom["components"]}
    for file in sorted((app / PACKAGES).glob("*.dist-info/sboms/*.json")):
        component = by_name[_canonical(file.parents[1].stem)]
        component["components"] = component.get("components", []) + _compiled_in(file)
    _verify_licenses([sbom["metadata"]["component"], *sbom["components"]])
    return sbom


def _of_python_packages(packages: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder, "pyproject.toml")
        project.write_text(_project(), "utf-8")
        options = ("-S", "--output-reproducible", "--no-validate", f"--pyproject={project}")  # a test validates
        command = (sys.executable, "-I", "-m", "cyclonedx_py", "environment", *options, sys.executable)
        # The tool, isolated, asks a Python without site-packages for its search path, which PYTHONPATH adds to.
        env = {**os.environ, "PYTHONPATH": str(packages)}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SbomError(f"cyclonedx-py ended with {done.returncode}: {done.stderr.strip()}")
    sbom: dict[str, Any] = json.loads(done.stdout)
    return sbom


def _project() -> str:
    """Return pyproject.toml with the app's direct requirements, which are otherwise added by the build."""
    lines = (ROOT / "requirements.in").read_text("utf-8").splitlines()
    names = [name for line in lines if (name := line.partition("#")[0].strip())]
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    return text.replace('dynamic = ["dependencies"]', f"dependencies = {json.dumps(names)}")


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _compiled_in(file: Path) -> list[_Component]:
    """Return the components of a package's own SBOM, without those that only its build used."""
    listed: list[_Component] = json.loads(file.read_text("utf-8"))["components"]
    kept = [{key: one[key] for key in _KEPT if key in one} for one in listed if one.get("scope") != "excluded"]
    for one in kept:
        if license_id := _UNSTATED.get(one["purl"].partition("@")[0]):
            one.setdefault("licenses", [{"license": {"id": license_id}}])
    return kept


def _verify_licenses(components: Iterable[_Component]) -> None:
    for one in components:
        what = f"{one['name']} {one['version']}"
        if not one.get("licenses"):
            raise SbomError(
                f"{what} states no license: add it to infra/sbom.py with its source, or replace the package"
            )
        for stated in one["licenses"]:
            if not _is_allowed(stated):
                raise SbomError(
                    f"{what} has the license {_words(stated)}, which infra/sbom.py does not allow: "
                    "replace the package, or add the license there if its terms can be met"
                )
        _verify_licenses(one.get("components", ()))


def _words(stated: dict[str, Any]) -> str:
    license_or_none = stated.get("license", {})
    return str(stated.get("expression") or license_or_none.get("id") or license_or_none["name"])


def _is_allowed(stated: dict[str, Any]) -> bool:
    return _meets(_SPDX.parse(stated["expression"])) if "expression" in stated else _words(stated) in _ALLOWED


def _meets(expression: Any) -> bool:  # noqa: ANN401 (the library has no types)
    if isinstance(expression, _SPDX.OR):
        return any(map(_meets, expression.args))
    return all(map(_meets, expression.args)) if isinstance(expression, _SPDX.AND) else str(expression) in _ALLOWED


def main() -> int:
    """Write the SBOM and print its path; return 0 if it is written and 1 if not."""
    dist = ROOT / "dist"
    try:
        sbom = describe(dist / "app")
    except (OSError, SbomError) as error:
        print(f"No SBOM was written: {error}.", file=sys.stderr)
        return 1
    path = dist / f"ade-token-monitor-{version()}.cdx.json"
    path.write_text(json.dumps(sbom, indent=2, sort_keys=True) + "\n", "utf-8", newline="\n")
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
