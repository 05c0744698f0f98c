"""Prints the output in docs/operations.md again: `PYTHONPATH=. .venv/bin/python tests/cli/operations.py`.

A block of the page names a situation, an exit code, and a command. The app's own checks of a simulated tenant prepare
the situation, and the command runs in it. The clock is fixed, so that the output is the same each time.
"""

import contextlib
import io
import re
import shlex
import ssl
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import NamedTuple
from unittest.mock import patch

import httpx
from nights import NOW, SITUATIONS, TOOK, Night

from cli.app import main
from simulator.host import ROOT
from simulator.stack import Simulator, applied
from tests.scenes import HOUR

PAGE = ROOT / "docs" / "operations.md"

BLOCK = re.compile(
    r"<!-- prints: (?P<night>[a-z-]+), exit code (?P<code>\d)(?P<short>, without what passed)? -->\n"
    r"```console\n\$ python -m cli (?P<command>[^\n]+)\n(?P<printed>.*?)```\n<!-- /prints -->",
    re.DOTALL,
)

_CLOCKS = ("cli.alert", "cli.tenant", "cli.records", "cli.session")
"""The commands' modules that read the clock, except the one that compares it with Azure's."""


class Block(NamedTuple):
    """A command and its output on the page."""

    night: str
    code: int
    short: bool
    """Whether the lines of `doctor` that passed are left out."""
    command: str
    printed: str

    @property
    def name(self) -> str:
        return f"{self.night}: {self.command}"


def blocks(page: str) -> list[Block]:
    """Return the page's blocks, in their order."""
    found = (one.groupdict() for one in BLOCK.finditer(page))
    return [Block(**{**one, "code": int(one["code"]), "short": bool(one["short"])}) for one in found]


def write(sim: Simulator) -> None:
    """Write the page with the current output in its blocks."""

    def anew(found: re.Match[str]) -> str:
        (block,) = blocks(found[0])
        start, end = (place - found.start() for place in found.span("printed"))
        return found[0][:start] + printed(sim, block) + found[0][end:]

    PAGE.write_text(BLOCK.sub(anew, PAGE.read_text("utf-8")), "utf-8", newline="\n")


def printed(sim: Simulator, block: Block) -> str:
    """Return what the block's command prints in its situation, on both streams, in their order."""
    sim.reset()
    night = Night(sim)
    both = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")
    with _standing_clock(), contextlib.ExitStack() as night.meanwhile:
        SITUATIONS[block.night](night)
        _make_steady(night)
        with (
            applied(night.environment()),
            contextlib.chdir(night.meanwhile.enter_context(tempfile.TemporaryDirectory())),
            contextlib.redirect_stdout(both),
            contextlib.redirect_stderr(both),
            _browser(sim),
        ):
            code = main(shlex.split(block.command))
    both.flush()
    text = re.sub(r"(?m) +$", "", both.buffer.getvalue().decode("utf-8"))
    assert code == block.code, f"{block.name} ended with {code}, not {block.code}:\n{text}"
    return re.sub(r"(?m)(^● passed .*\n(^ {27}.*\n)*)+", "...\n", text) if block.short else text


class _Now(datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW.astimezone(tz)


@contextlib.contextmanager
def _standing_clock() -> Iterator[None]:
    """Fix the clock of the scene and the commands, and suppress progress messages."""
    with contextlib.ExitStack() as stack:
        for module in ("cli_scene", "operators"):
            stack.enter_context(patch(f"{module}.now", lambda: NOW))
        for module in _CLOCKS:
            stack.enter_context(patch(f"{module}.datetime", _Now))
        stack.enter_context(patch("cli.session._SOON", 600.0))
        yield


@contextlib.contextmanager
def _browser(sim: Simulator) -> Iterator[None]:
    """Provide a browser that follows the sign-in's redirects."""
    context = ssl.create_default_context(cafile=sim.tls.ca_file)

    def visit(url: str) -> None:
        httpx.get(url, verify=context, follow_redirects=True, timeout=20)

    with ThreadPoolExecutor(1) as person, patch("webbrowser.open", lambda url: bool(person.submit(visit, url))):
        yield


def _make_steady(night: Night) -> None:
    """Replace the values in the runs' rows that differ each time."""
    for row in night.sim.table_rows("CheckRun"):
        errors = {name: _steady(row[name]) for name in ("Connectors", "StoreError", "PublishError") if row.get(name)}
        night.put("CheckRun", {**row, **errors, "DurationMs": TOOK})


def _steady(error: str) -> str:
    """Return an error without the values that differ each time: IDs, and the times of tokens."""
    error = re.sub(r"(Activity ID: |request id )[0-9a-f-]{36}", r"\g<1>00000000-0000-0000-0000-000000000000", error)
    for word, instant in (("until", NOW + 21 * HOUR), ("from", NOW + 3 * HOUR)):
        error = re.sub(rf"{word} \d{{4}}-\d\d-\d\d \d\d:\d\d UTC", f"{word} {instant:%Y-%m-%d %H:%M} UTC", error)
    return error


if __name__ == "__main__":
    with Simulator() as running:
        write(running)
