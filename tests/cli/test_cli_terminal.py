"""How commands behave in a terminal and in a pipe, and how quick they are."""

import os
import re
import resource
import subprocess
import sys

import pytest
from cli_scene import CHECKED, READING, ade, now
from rich.cells import cell_len

from simulator import faults
from simulator.host import ROOT
from simulator.tenant import default_tenant, many
from tests.scenes import HOUR

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

# Terminals, pipes and files


@pytest.mark.parametrize("arguments", [*READING, ("--help",), ("status", "--format", "csv")])
@pytest.mark.sampled(1)
def test_output_into_a_pipe_has_no_escape_codes_and_no_progress(scene, arguments):
    scene.check(of=default_tenant(now() - CHECKED))
    done = scene.cli(*arguments, TERM="xterm-256color")
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_a_terminal_shows_colors_in_its_width_unless_no_color_is_set(scene):
    scene.check(of=default_tenant(now() - CHECKED))
    code, shown = scene.terminal("status", "--quiet", columns=60)
    assert code == 2
    assert "\x1b[1;31m✖ critical" in shown
    assert max(cell_len(ESCAPE.sub("", line)) for line in shown.splitlines()) <= 60
    code, shown = scene.terminal("status", NO_COLOR="1")
    assert code == 2
    assert "✖ critical" in shown
    assert not re.search(r"\x1b\[[\d;]*3[0-7]m", shown)


@pytest.mark.parametrize(("arguments", "expected"), [((), True), (("--quiet",), False)])
@pytest.mark.sampled(1)
def test_a_terminal_shows_progress_that_is_gone_afterwards_unless_quiet(scene, arguments, expected):
    scene.check(ade("Contoso HQ"))
    scene.sim.identity.fail("", faults.delay(0.6))
    _, shown = scene.terminal("status", *arguments)
    assert ("Reading the tables ..." in shown) == expected
    assert shown.rstrip().splitlines()[-1].startswith("Checked 12 minutes ago")


@pytest.mark.parametrize(("arguments", "expected"), [((), "Reading the tables ...\n"), (("--quiet",), "")])
@pytest.mark.exhaustive
def test_a_log_names_what_takes_more_than_two_seconds(scene, arguments, expected):
    scene.check(ade("Contoso HQ"))
    scene.sim.identity.fail("", faults.delay(2.6))
    done = scene.cli("status", *arguments)
    assert (done.returncode, done.stderr) == (0, expected)


@pytest.mark.exhaustive
def test_a_closed_pipe_ends_a_command_without_a_complaint(scene):
    scene.check(of=many(300, now() - CHECKED), CHECK_TIMEOUT_SECONDS="60")
    for arguments in (("status",), ("status", "--format", "csv")):
        with subprocess.Popen(
            [sys.executable, "-m", "cli", *arguments],
            cwd=ROOT,
            env=scene.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            process.stdout.close()
            complaint = process.stderr.read()
            assert process.wait(60) == 3  # and not 1, which would mean that there are warnings
        assert complaint == ""


@pytest.mark.exhaustive
def test_output_is_utf_8_in_any_locale(scene):
    scene.check(ade("株式会社コントソ", expires=3 * 24 * HOUR))
    done = scene.cli("status", PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C")
    assert "✖ critical  株式会社コントソ" in done.stdout


# How quick it is


LISTING = """
import asyncio
import os
from azure.data.tables.aio import TableServiceClient
from azure.identity.aio import DefaultAzureCredential

async def main():
    async with DefaultAzureCredential() as credential:
        async with TableServiceClient(
            os.environ["TABLES_ENDPOINT"], credential=credential, audience="https://storage.azure.com"
        ) as service:
            rows = [row async for row in service.get_table_client("TokenStatus").list_entities()]
    print(*(row["Summary"] for row in rows), sep=chr(10))

asyncio.run(main())
"""
"""What anybody would write who wants the same rows with Azure's own packages."""


def seconds(command, environment):
    """Return the processor's time that the command took, and its output."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stderr in ("", "Reading the tables ...\n")  # the notice after two seconds
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, done.stdout


@pytest.mark.exhaustive
def test_2000_tokens_are_listed_about_as_quickly_as_azure_s_packages_read_them(scene, monkeypatch):
    for name in [name for name in os.environ if name.startswith("COV")]:
        monkeypatch.delenv(name)  # measuring coverage would be measured
    scene.check(of=many(2000, now() - CHECKED), CHECK_TIMEOUT_SECONDS="120")
    environment = scene.environment()
    ours, text = min(seconds([sys.executable, "-m", "cli", "status"], environment) for _ in range(4))
    bare, rows = min(seconds([sys.executable, "-c", LISTING], environment) for _ in range(2))
    assert "2,000 tokens: " in text
    assert len(rows.splitlines()) == 2000
    assert ours < 2 * bare, f"{ours:.2f} s against {bare:.2f} s"
