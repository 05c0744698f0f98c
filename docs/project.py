# ruff: noqa: INP001 - imported by docs.generate; docs/ is no package of the app
"""Writes the project's public address and its newest release into the files that contain them, from one place each."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote

from shared import __version__

SETTING: Final = Path(__file__).parents[1] / "infra" / "project.json"

_ANY: Final = r"[\w.-]+/[\w.-]+"


def repository() -> str:
    """Return the owner and the name of the project's repository on GitHub, which a fork sets in infra/project.json."""
    setting: dict[str, str] = json.loads(SETTING.read_text("utf-8"))
    return setting["repository"]


def addressed(render: Callable[[], str]) -> Callable[[], str]:
    """Return a function that renders the same text with the project's own address and release in its links."""

    def rendered() -> str:
        text, ours = render(), repository()
        for pattern, replacement in (
            (rf"github\.com/{_ANY}(?=/blob/main\b|/issues/new\b)", f"github.com/{ours}"),
            (rf"github\.com/{_ANY} && cd \S+", f"github.com/{ours} && cd {ours.partition('/')[2]}"),
            (rf"--repo {_ANY}", f"--repo {ours}"),
            (
                rf"github\.com/{_ANY}/releases/download/\S+?\.zip",
                f"github.com/{ours}/releases/download/v{__version__}/ade-token-monitor-{__version__}.zip",
            ),
            (r"(?<=githubusercontent\.com%2F)\S+?(?=%2Finfra%2F)", quote(f"{ours}/v{__version__}", safe="")),
        ):
            text = re.sub(pattern, replacement, text)
        return text

    return rendered
