"""What the gate around Bicep lets through: nothing that the linter or the formatter has to say something about."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap

import compiler
import pytest

LINTER = json.loads((compiler.INFRA / "bicepconfig.json").read_text("utf-8"))["analyzers"]["core"]["rules"]

_RULES = """
adminusername-should-not-be-literal artifacts-parameters decompiler-cleanup explicit-values-for-loc-params max-asserts
max-outputs max-params max-resources max-variables nested-deployment-template-scoping no-conflicting-metadata
no-conflicting-version-constraints no-deployments-resources no-explicit-any no-hardcoded-env-urls no-hardcoded-location
no-hardcoded-outputs no-incompatible-entrypoint-version no-loc-expr-outside-params no-module-name
no-unnecessary-dependson no-unused-existing-resources no-unused-imports no-unused-params no-unused-types no-unused-vars
outputs-should-not-contain-secrets prefer-interpolation prefer-unquoted-property-names protect-commandtoexecute-secrets
secure-parameter-default secure-params-in-nested-deploy secure-params-in-parameters-file secure-secrets-in-params
simplify-interpolation simplify-json-null stacks-extensibility-compat use-description-outputs use-description-params
use-description-type-properties use-description-types use-description-vars use-parent-property use-recent-api-versions
use-recent-az-powershell-version use-recent-module-versions use-recognized-resource-type use-resource-id-functions
use-resource-symbol-reference use-safe-access use-secure-value-for-secure-inputs use-stable-resource-identifiers
use-stable-vm-image use-user-defined-types what-if-short-circuiting
"""
RULES = _RULES.split()
"""Every rule that the pinned compiler has: the codes in its `Bicep.Core` library."""

UNJUDGED = {rule for rule in RULES if rule.startswith("use-recent-")} | {"what-if-short-circuiting"}
"""They go by today's date, or by what a registry or Azure would answer."""

FAULTS = """
import { unused } from 'types.bicep'
type forgotten = { name: string }
param nobody string
param location string = 'westeurope'
@secure()
param password string = 'hunter2'
param secretKey string
param thing object
var unusedVariable = 1
var joined = concat('a', secretKey)
var simple = '${location}'
var none = json('null')
var quoted = { 'name': location }
var url = 'https://management.azure.com/'
var maybe = contains(thing, 'x') ? thing.x : null
resource storage 'Microsoft.Storage/storageAccounts@2023-05-01' existing = { name: 'st' }
resource tables 'Microsoft.Storage/storageAccounts/tableServices@2023-05-01' existing = {
  name: '${storage.name}/default'
}
resource plan 'Microsoft.Web/serverfarms@2024-11-01' = { name: 'plan', location: 'westeurope', sku: { name: 'FC1' } }
resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  name: 'vault'
  location: resourceGroup().location
  tags: { plan: reference(plan.id, '2024-11-01').name }
  dependsOn: [plan]
  properties: any({})
}
module named 'types.bicep' = { name: 'named' }
output key string = storage.listKeys().keys[0].value
output fixed string = 'fixed'
output all array = [joined, simple, none, quoted, url, maybe, password]
"""
TYPES = "@export()\ntype unused = string\n"

SHORT = """resource storage 'Microsoft.Storage/storageAccounts@2025-01-01' = {
  name: 'st'
  kind: 'StorageV2'
  location: 'global'
  sku: {
    name: 'Standard_LRS'
  }
}
"""


@pytest.fixture
def infra(tmp_path):
    """A folder like infra/, with nothing to say against it."""
    folder = tmp_path / "infra"
    (folder / "modules").mkdir(parents=True)
    (folder / compiler.APART).mkdir()
    (folder / compiler.APART / "main.bicep").write_text("extension nowhere\n")
    shutil.copy(compiler.INFRA / "bicepconfig.json", folder)
    (folder / "modules" / "greet.bicep").write_text(
        "@description('Required. Whom to greet.')\nparam name string\n\n"
        "@description('What is said.')\noutput greeting string = 'Hello, ${name}.'\n"
    )
    (folder / "main.bicep").write_text(
        "@description('Required. Whom to greet.')\nparam name string\n\n"
        "module greet 'modules/greet.bicep' = {\n  params: {\n    name: name\n  }\n}\n\n"
        "@description('What is said.')\noutput greeting string = greet.outputs.greeting\n"
    )
    (folder / "main.bicepparam").write_text("using 'main.bicep'\n\nparam name = 'World'\n")
    return folder


def test_every_rule_of_the_linter_is_an_error_but_those_that_go_by_the_date():
    assert {rule: told["level"] for rule, told in LINTER.items()} == {
        rule: "off" if rule in UNJUDGED else "error" for rule in RULES
    }


@compiler.needed
def test_what_the_linter_finds_is_an_error(infra):
    (infra / "main.bicep").write_text(FAULTS)
    (infra / "types.bicep").write_text(TYPES)
    done = compiler.run("lint", "--diagnostics-format", "sarif", infra / "main.bicep")
    assert done.returncode == 1
    found = {(each["ruleId"], each.get("level")) for each in json.loads(done.stdout)["runs"][0]["results"]}
    linted = {rule for rule, _ in found if not rule.startswith("BCP")}
    assert linted <= {rule for rule in RULES if rule not in UNJUDGED}
    assert len(linted) > 25
    assert {level for rule, level in found if rule in linted} == {"error"}


@compiler.needed
@pytest.mark.exhaustive
def test_nothing_is_said_of_good_files_nor_of_what_cannot_be_compiled_offline(infra):
    assert compiler.complaints(infra) == []


@compiler.needed
@pytest.mark.exhaustive
def test_a_warning_an_error_and_an_unformatted_file_are_each_reported_with_their_place(infra):
    (infra / "main.bicep").write_text("param name string\n")
    (infra / "modules" / "other.bicep").write_text(f"metadata name =  'other'\nvar one = 1\n{SHORT}")
    (infra / "main.bicepparam").write_text("using  'main.bicep'\n")
    reported = "\n".join(compiler.complaints(infra))
    for place, complaint in (
        (r"infra/main\.bicep\(.*", "Error no-unused-params"),
        (r"infra/modules/other\.bicep\(.*", "Error no-unused-vars"),
        (r"infra/modules/other\.bicep\(.*", "Warning BCP333"),
        (r"infra/modules/other\.bicep", " is not formatted"),
        (r"infra/main\.bicepparam\(.*", "Error BCP258"),
        (r"infra/main\.bicepparam", " is not formatted"),
    ):
        assert re.search(f"^{place}{complaint}", reported, re.MULTILINE), (complaint, reported)


@compiler.needed
def test_a_snapshot_reports_what_would_be_deployed(monkeypatch, infra, tmp_path):
    (infra / "modules" / "greet.bicep").write_text(
        "param name string\nresource greeting 'Microsoft.Resources/tags@2024-07-01' = {\n"
        "  name: 'default'\n  properties: { tags: { name: name, at: resourceGroup().location } }\n}\n"
    )
    (infra / "bicepconfig.json").unlink()
    (infra / "main.bicep").write_text(
        "param name string\nmodule greet 'modules/greet.bicep' = { params: { name: name } }\n"
    )
    (infra / "examples").mkdir()
    other = tmp_path / "other.bicepparam"
    other.write_text("using '../main.bicep'\nparam name = 'Moon'\n")
    monkeypatch.setattr(compiler, "INFRA", infra)
    for file, options, tags in (
        (infra / "main.bicepparam", {}, {"name": "World", "at": "westeurope"}),
        (other, {"location": "chinanorth3"}, {"name": "Moon", "at": "chinanorth3"}),
    ):
        (resource,) = compiler.snapshot(file, **options)["predictedResources"]
        assert resource["properties"]["tags"] == tags
    assert list(infra.rglob("*.snapshot.json")) == []


# Without a compiler


@pytest.fixture
def alone(tmp_path):
    """A project without a compiler, with a test that needs it."""
    folder = tmp_path / "tests" / "infra"
    folder.mkdir(parents=True)
    shutil.copy(compiler.__file__, folder)
    (folder / "test_it.py").write_text(
        textwrap.dedent("""
            import compiler
            @compiler.needed
            def test_it():
                assert compiler.run("--version").returncode == 0
        """)
    )
    return tmp_path


def python(folder, *arguments, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={"PATH": os.defpath, "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


TEST = ("-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "tests")
LINT = ("tests/infra/compiler.py",)


@pytest.mark.exhaustive
def test_without_a_compiler_tests_are_skipped_and_lint_says_that_it_was_not_run(alone):
    tested = python(alone, *TEST)
    assert tested.returncode == 0
    assert re.search(r"SKIPPED \[1\] .*: the Bicep compiler is missing: put bicep on the PATH", tested.stdout)
    linted = python(alone, *LINT)
    assert (linted.returncode, linted.stdout) == (0, f"Bicep files were not linted: {compiler.MISSING}.\n")


def test_where_the_compiler_is_required_its_absence_fails_tests_and_lint(alone):
    tested = python(alone, *TEST, BICEP_REQUIRED="1")
    assert tested.returncode == 1
    assert "1 failed" in tested.stdout
    linted = python(alone, *LINT, BICEP_REQUIRED="1")
    assert linted.returncode == 1
    assert compiler.MISSING in linted.stderr


def test_what_setup_installed_is_found(alone):
    program = alone / ".bicep" / "bicep"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n[ $DOTNET_SYSTEM_GLOBALIZATION_INVARIANT = 1 ]\n")
    program.chmod(0o755)
    assert "1 passed" in python(alone, *TEST).stdout
