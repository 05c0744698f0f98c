# ruff: noqa: INP001 - run as a module from the root; docs/ is no package of the app
"""Writes the files that repeat facts from the code: `python -m docs.generate`; with `--check`, compares them.

Some files are generated completely. Others are written by hand, except for their blocks between `<!-- name -->` and
`<!-- /name -->`.
"""

import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from docs.alerts import alerts
from docs.costs import bills, cost, further_costs, grants
from docs.markdown import escaped, table
from docs.project import addressed
from shared.publishing.rows import FINDINGS, RUNS
from shared.settings import SETTINGS, Setting
from shared.storage.columns import Table
from shared.storage.device_rows import DEVICE_INSPECTION
from shared.storage.rows import CHECK_RUN, TOKEN_HISTORY, TOKEN_STATUS

DOCS: Final = Path(__file__).parent
ROOT: Final = DOCS.parent


class _HostSetting(NamedTuple):
    """A setting that the Functions host or the Azure SDK reads, not the app."""

    name: str
    sample: str
    about: str


_HOST_SETTINGS: Final = (
    _HostSetting(
        "FUNCTIONS_WORKER_RUNTIME",
        "python",
        "The worker's language. On Flex Consumption, the app's configuration holds it, and Azure refuses this setting.",
    ),
    _HostSetting(
        "AzureWebJobsStorage",
        "UseDevelopmentStorage=true",
        "The storage for the timers' state: Azurite on its default ports. In Azure, the `AzureWebJobsStorage__...` "
        "settings name an account and the identity instead.",
    ),
    _HostSetting(
        "AZURE_TOKEN_CREDENTIALS",
        "dev",
        "The credentials to try: `dev` is your own sign-in, such as the Azure CLI's; "
        "`ManagedIdentityCredential` in Azure.",
    ),
)


def settings() -> str:
    """Return the tables of settings in README.md."""
    app = table(("setting", "default", "what it is", "expected value"), map(_setting, SETTINGS))
    host = table(
        ("setting", "sample", "what it is"), ((f"`{one.name}`", f"`{one.sample}`", one.about) for one in _HOST_SETTINGS)
    )
    return (
        f"{app}\nThe Functions host and the Azure SDK also read settings. "
        f"`local.settings.sample.json` contains these in addition to the app's:\n\n{host}"
    )


def _setting(setting: Setting) -> tuple[str, str, str, str]:
    default = "**required**" if setting.required else f"`{setting.default}`" if setting.default else "none"
    return f"`{setting.name}`", default, setting.about, escaped(setting.expected)


def local_settings() -> str:
    """Return the text of local.settings.sample.json: every setting; those without a default are empty, as if absent."""
    values = {one.name: one.sample for one in _HOST_SETTINGS}
    values |= {setting.name: setting.default or "" for setting in SETTINGS}
    return _json({"IsEncrypted": False, "Values": values})


def defaults() -> str:
    """Return the text of infra/defaults.json: the default of every setting that has one, for Bicep."""
    return _json({setting.name: setting.default for setting in SETTINGS if setting.default})


# ---------------------------------------------------------------- tables

_EDM: Final = {"string": "Edm.String", "datetime": "Edm.DateTime", "int": "Edm.Int32", "boolean": "Edm.Boolean"}


def _storage_columns(of: Table[Any]) -> str:
    rows = ((f"`{column.name}`", _EDM[column.type], column.about) for column in of.columns)
    return table(("column", "type", "what it contains"), rows)


def _log_columns(of: Table[Any]) -> str:
    rows = ((f"`{column.name}`", column.type, column.about) for column in of.columns)
    return table(("column", "type", "what it contains"), rows)


def columns_json() -> str:
    """Return the text of infra/columns.json: the columns by custom table; descriptions are plain text."""
    return _json(
        {
            of.name: [
                {"name": column.name, "type": column.type, "description": column.about.replace("`", "")}
                for column in of.columns
            ]
            for of in (FINDINGS, RUNS)
        }
    )


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


# ---------------------------------------------------------------- files


class MarkerError(ValueError):
    """A file lacks the markers of a generated block."""


def blocks(path: Path, of: Mapping[str, Callable[[], str]]) -> Callable[[], str]:
    """Return a function that renders a file with only the blocks that `of` names replaced."""

    def render() -> str:
        text = path.read_text("utf-8")
        for name, content in of.items():
            start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
            before, opened, rest = text.partition(start)
            _, closed, after = rest.partition(end)
            if not opened or not closed:
                raise MarkerError(f"{path.name} must hold the lines {start.strip()} and {end}.")
            text = f"{before}{start}\n{content()}\n{end}{after}"
        return text

    return render


# ---------------------------------------------------------------- deployment


def _template() -> dict[str, Any]:
    template: dict[str, Any] = json.loads((ROOT / "infra" / "azuredeploy.json").read_text("utf-8"))
    return template


def parameters() -> str:
    """Return the table of main.bicep's parameters, from the compiled template."""
    described = ((name, one, one["metadata"]["description"]) for name, one in _template()["parameters"].items())
    return table(
        ("parameter", "default", "what it is"),
        ((f"`{name}`", _default(one), escaped(about.partition(". ")[2])) for name, one, about in described),
    )


def _default(parameter: Mapping[str, Any]) -> str:
    if "defaultValue" not in parameter:
        return "**required**"
    value = parameter["defaultValue"]
    return f"`{json.dumps(value)}`" if value not in ("", {}) else "none"


def _type(name: str) -> dict[str, Any]:
    (found,) = [one for full, one in _template()["definitions"].items() if full.endswith(f".{name}") or full == name]
    properties: dict[str, Any] = found["properties"]
    return properties


def api_versions() -> str:
    """Return the table of infra/api-versions.json."""
    versions = json.loads((ROOT / "infra" / "api-versions.json").read_text("utf-8"))
    rows = ((f"`{kind}`", one["version"], one["needs"] or "no newer property") for kind, one in versions.items())
    return table(("resource type", "API version", "what needs it"), rows)


def thresholds() -> str:
    """Return the table of the properties of the parameter `thresholds`."""
    described = ((name, one["metadata"]["description"]) for name, one in _type("Thresholds").items())
    split = ((name, *about.removeprefix("Optional. ").rpartition(" Default ")) for name, about in described)
    return table(
        ("limit", "default", "what it is"),
        ((f"`{name}`", default.rstrip("."), escaped(about)) for name, about, _, default in split),
    )


def network() -> str:
    """Return the table of the properties of the parameter `network`."""
    described = ((name, one["metadata"]["description"]) for name, one in _type("Network").items())
    return table(
        ("member", "what it is"),
        ((f"`{name}`", escaped(about.removeprefix("Optional. "))) for name, about in described),
    )


PAGES: Final[dict[Path, Callable[[], str]]] = {
    DOCS / "alerts.md": alerts,
    DOCS / "tables.md": blocks(
        DOCS / "tables.md",
        {
            **{
                f"columns {of.name}": partial(_storage_columns, of)
                for of in (TOKEN_STATUS, TOKEN_HISTORY, CHECK_RUN, DEVICE_INSPECTION)
            },
            **{f"columns {of.name}": partial(_log_columns, of) for of in (FINDINGS, RUNS)},
        },
    ),
    DOCS / "deployment.md": addressed(
        blocks(
            DOCS / "deployment.md",
            {
                "parameters": parameters,
                "network": network,
                "thresholds": thresholds,
                "api-versions": api_versions,
                "grants": grants,
                "costs FlexConsumption": partial(bills, app_service=False),
                "costs AppService": partial(bills, app_service=True),
                "further costs": further_costs,
            },
        )
    ),
    ROOT / "README.md": addressed(blocks(ROOT / "README.md", {"settings": settings, "cost": cost})),
    **{
        ROOT / "infra" / name: addressed(blocks(ROOT / "infra" / name, {}))
        for name in ("main.bicep", "subscription.bicep", "createUiDefinition.json", "examples/government.bicepparam")
    },
    ROOT / "local.settings.sample.json": local_settings,
    ROOT / "infra" / "columns.json": columns_json,
    ROOT / "infra" / "defaults.json": defaults,
}
"""The function that renders each file. A file ends in one newline."""


def stale() -> list[Path]:
    """Return the files that differ from what would be written."""
    return [path for path, render in PAGES.items() if not path.exists() or path.read_text("utf-8") != render()]


def main(arguments: list[str]) -> int:
    """Write the files and return 0; with `--check`, list those that are not current and return 1 if there are any."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("Usage: python -m docs.generate [--check]\n")
        return 3
    try:
        outdated = stale()
        if not arguments:
            for path in outdated:
                path.write_text(PAGES[path](), "utf-8", newline="\n")
            return 0
    except (MarkerError, FileNotFoundError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stderr.writelines(f"{_shown(path)} is not current: run `make docs`.\n" for path in outdated)
    return 1 if outdated else 0


def _shown(path: Path) -> Path:
    """Return `path` relative to the repository, for a message."""
    return Path("docs", path.relative_to(DOCS)) if path.is_relative_to(DOCS) else path.relative_to(ROOT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
