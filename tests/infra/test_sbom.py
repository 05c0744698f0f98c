"""The package's SBOM: what it names, and which licenses it accepts."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

import shared

ROOT = Path(__file__).parents[2]
PACKAGES = "dist/app/.python_packages/lib/site-packages"
NAME = f"dist/ade-token-monitor-{shared.__version__}.cdx.json"
RUST = {"type": "library", "name": "ring", "version": "1.0", "purl": "pkg:cargo/ring@1.0", "bom-ref": "path+file:///x"}
OPENSSL = {"type": "library", "name": "openssl", "version": "4.0.3", "purl": "pkg:generic/openssl@4.0.3?download_url=x"}


@pytest.fixture
def project(tmp_path):
    """A package that contains aiohttp, which the app requires, and what that requires."""
    for name in ("pyproject.toml", "requirements.in", "shared/__init__.py", "infra/package.py", "infra/sbom.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    add(tmp_path, "aiohttp", "License-Expression: Apache-2.0 AND MIT\nRequires-Dist: one_thing")
    add(tmp_path, "One.Thing", "Classifier: License :: OSI Approved :: BSD License")
    return tmp_path


def add(project, name, metadata, *compiled_in):
    folder = project / PACKAGES / f"{name.lower().replace('.', '_')}-2.0.dist-info"
    (folder / "sboms").mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: 2.0\n{metadata}\n")
    (folder / "sboms" / "parts.json").write_text(json.dumps({"components": compiled_in}))


def describe(project):
    command = [sys.executable, project / "infra" / "sbom.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stderr


def written(project):
    assert describe(project) == (0, "")
    return json.loads((project / NAME).read_bytes())


def names(components):
    return [f"{one['name']} {one['version']}" for one in components]


def test_it_names_what_the_package_contains_and_nothing_of_this_environment(project):
    sbom = written(project)
    assert names([sbom["metadata"]["component"]]) == [f"ade-token-monitor {shared.__version__}"]
    assert names(sbom["components"]) == ["One.Thing 2.0", "aiohttp 2.0"]
    needs = {one["ref"]: one.get("dependsOn", []) for one in sbom["dependencies"]}
    assert needs["root-component"] == ["aiohttp==2.0"]
    assert needs["aiohttp==2.0"] == ["One.Thing==2.0"]


@pytest.mark.exhaustive
def test_it_has_the_form_of_cyclonedx_and_the_same_bytes_again(project):
    add(project, "crypto", "License-Expression: MIT", RUST | {"licenses": [{"expression": "MIT OR GPL-2.0"}]}, OPENSSL)
    sbom = written(project)
    digests = {hashlib.sha256((project / NAME).read_bytes()).hexdigest() for _ in range(2) if written(project)}
    assert len(digests) == 1
    assert JsonStrictValidator(SchemaVersion.from_version(sbom["specVersion"])).validate_str(json.dumps(sbom)) is None


def test_what_is_compiled_into_a_package_is_in_it_but_not_what_only_built_it(project):
    either = RUST | {"licenses": [{"expression": "(MIT OR GPL-2.0-only) AND Unicode-3.0"}]}
    add(project, "crypto", "License-Expression: MIT", either, OPENSSL, RUST | {"name": "cc", "scope": "excluded"})
    crypto = next(one for one in written(project)["components"] if one["name"] == "crypto")
    assert names(crypto["components"]) == ["ring 1.0", "openssl 4.0.3"]
    assert crypto["components"][1]["licenses"] == [{"license": {"id": "Apache-2.0"}}]


@pytest.mark.parametrize(
    ("metadata", "compiled_in", "of", "stated"),
    [
        ("License-Expression: GPL-3.0-only", [], "new 2.0", "GPL-3.0-only"),
        ("License-Expression: MIT AND GPL-3.0-only", [], "new 2.0", "MIT AND GPL-3.0-only"),
        ("Classifier: License :: Other/Proprietary License", [], "new 2.0", "License :: Other/Proprietary License"),
        ("License-Expression: MIT", [RUST | {"licenses": [{"expression": "SSPL-1.0"}]}], "ring 1.0", "SSPL-1.0"),
        ("License-Expression: MIT", [RUST], "ring 1.0", None),
        ("Summary: none", [], "new 2.0", None),
    ],
)
@pytest.mark.sampled(2)
def test_a_license_that_is_not_allowed_is_named_with_its_package_and_the_fix(
    project, metadata, compiled_in, of, stated
):
    add(project, "new", metadata, *compiled_in)
    if stated:
        why = f"{of} has the license {stated}, which infra/sbom.py does not allow: "
        why += "replace the package, or add the license there if its terms can be met"
    else:
        why = f"{of} states no license: add it to infra/sbom.py with its source, or replace the package"
    assert describe(project) == (1, f"No SBOM was written: {why}.\n")
    assert not (project / NAME).exists()


def test_without_a_package_the_fix_is_named(project):
    shutil.rmtree(project / PACKAGES)
    where = project / "dist" / "app"
    assert describe(project) == (1, f"No SBOM was written: {where} contains no package: run infra/package.py first.\n")
