"""Files that repeat what the code holds: `docs/generate.py` writes them, and says when one is not current."""

import json

import pytest

from docs import generate
from shared.settings import SETTINGS, Settings, SettingsError

REQUIRED = {
    "TABLES_ENDPOINT": "https://contoso.table.core.windows.net",
    "LOGS_INGESTION_ENDPOINT": "https://contoso.westeurope-1.ingest.monitor.azure.com",
    "LOGS_INGESTION_RULE_ID": "dcr-00000000000000000000000000000000",
    "TENANT_ID": "00000000-0000-0000-0000-000000000000",
    "DEPLOYMENT": "abcdefghijklm",
}


@pytest.mark.parametrize("path", generate.PAGES, ids=lambda path: path.name)
def test_a_generated_file_is_current(path):
    assert path.read_text("utf-8") == generate.PAGES[path](), f"{path.name} is not what the code says: run `make docs`"


# Settings


def sample():
    text = (generate.ROOT / "local.settings.sample.json").read_text("utf-8")
    return json.loads(text)["Values"]


def test_the_sample_names_every_setting():
    assert sample().keys() == {setting.name for setting in SETTINGS} | {
        "FUNCTIONS_WORKER_RUNTIME",
        "AzureWebJobsStorage",
        "AZURE_TOKEN_CREDENTIALS",
    }


def test_the_sample_is_the_defaults_and_lacks_what_is_required():
    assert Settings.load(sample() | REQUIRED) == Settings.load(REQUIRED)
    with pytest.raises(SettingsError) as refused:
        Settings.load(sample())
    assert [problem.split()[0] for problem in refused.value.problems] == list(REQUIRED)


def test_the_readme_explains_every_setting_of_the_sample():
    readme = (generate.ROOT / "README.md").read_text("utf-8")
    assert [name for name in sample() if readme.count(f"| `{name}` |") != 1] == []


# Columns


# Blocks


def test_only_what_is_between_the_markers_is_written(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n\n<!-- a -->\nold\n<!-- /a -->\n\nbetween <!-- /b -->\n<!-- b -->\n<!-- /b -->\nafter")
    render = generate.blocks(page, {"a": lambda: "new a\n", "b": lambda: "new b\n"})
    page.write_text(render())
    assert page.read_text() == (
        "before\n\n<!-- a -->\n\nnew a\n\n<!-- /a -->\n\nbetween <!-- /b -->\n<!-- b -->\n\nnew b\n\n<!-- /b -->\nafter"
    )
    assert render() == page.read_text()


@pytest.mark.parametrize("text", ["", "<!-- a -->\n", "<!-- /a -->\n<!-- a -->\n"])
def test_a_page_without_its_markers_is_distinguished_from_a_stale_one(monkeypatch, tmp_path, capsys, text):
    page = tmp_path / "page.md"
    page.write_text(text)
    monkeypatch.setattr(generate, "PAGES", {page: generate.blocks(page, {"a": str})})
    for arguments in ([], ["--check"]):
        assert generate.main(arguments) == 1
        assert capsys.readouterr().err == "page.md must hold the lines <!-- a --> and <!-- /a -->.\n"
    assert page.read_text() == text
