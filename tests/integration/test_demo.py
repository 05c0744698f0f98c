"""`python -m cli demo`, as somebody types it."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time

import psutil
import pytest

from simulator.host import ROOT

pytestmark = pytest.mark.exhaustive


def demo(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "100", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_demo_shows_tokens_the_run_and_the_alerts_and_exits_with_0(tmp_path):
    page = tmp_path / "demo.html"
    done = demo("demo", "--report", str(page))
    assert done.returncode == 0, done.stderr
    for told in (
        "✖ critical  Fabrikam Logistics",
        "sign in and accept Apple's terms",
        "succeeded, started",
        "token_critical  Critical: Fabrikam Logistics: Apple's terms not accepted (Fired)",
        "Not firing: check_failing, check_silent.",
        # Of each symptom: the finding, the number beside which it stands, and the alert.
        "'Fabrikam Academy' has 9 of 120 devices waiting without an enrollment policy",
        "'Contoso Field Service' has 16 of 120 devices that do not enroll (11 failed, 5 blocked)",
        "'Contoso Warehouse' reports 120 synced devices, while Intune lists 74",
        "'Contoso Labs' has devices and no default enrollment policy for macOS",
        "token_warning   Warning: Fabrikam Academy: devices without a policy (Fired)",
        "token_warning   Warning: Contoso Field Service: device enrollments fail (Fired)",
        "token_warning   Warning: Contoso Warehouse: devices missing in Intune (Fired)",
    ):
        assert told in done.stdout
    counted = {line.partition("  ")[0]: line.split() for line in done.stdout.partition("\nDevices")[2].splitlines()}
    assert counted["Fabrikam Academy"][2:6] == ["120", "▲", "9", "0"]
    assert counted["Contoso Field Service"][3:7] == ["120", "0", "▲", "16"]
    assert counted["Contoso Warehouse"][2:5] == ["▲", "74", "0"]
    assert counted["Contoso Labs"][5:7] == ["i", "macOS"]
    assert counted["Contoso HQ"][2:6] == ["412", "0", "0", "-"]
    assert f"The report page: open {page} in a browser." in done.stdout.splitlines()
    assert "Needs attention (" in page.read_text("utf-8")
    assert max(len(line) for line in done.stdout.splitlines() if str(page) not in line) <= 100
    assert "\x1b" not in done.stdout
    assert all(line.endswith(" ...") for line in done.stderr.splitlines())


def test_a_story_prints_its_events_and_alerts():
    done = demo("demo", "--days", "1")
    assert done.returncode == 0, done.stderr
    for told in ("tenant    Graph fails", "fired     Critical: Contoso Retail: expired 20", "resolved  "):
        assert told in done.stdout


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("arguments", "code"), [(("--keep",), 0), (("--days", "30"), 3)])
def test_a_signal_ends_the_demo_and_leaves_nothing_running(ending, arguments, code, tmp_path):
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "cli", "demo", "--report", tmp_path / "demo.html", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    ) as process:
        until = time.monotonic() + 60
        for line in process.stdout:
            if line.endswith(" doctor\n") or ("Starting Table" in line and arguments[0] == "--days"):
                break
            assert time.monotonic() < until
        time.sleep(1.5)
        started = psutil.Process(process.pid).children(recursive=True)
        assert started
        process.send_signal(ending)
        rest = process.stdout.read()
        assert process.wait(30) == code, rest
    assert "Traceback" not in rest
    _, alive = psutil.wait_procs(started, timeout=5)  # what has ended counts until its new parent has noticed
    assert not alive


def test_the_printed_commands_work_against_a_kept_tenant(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "cli", "demo", "--keep", "--report", tmp_path / "demo.html"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        environment, commands = {"PATH": os.environ["PATH"], "COLUMNS": "100", "PYTHONPATH": str(ROOT)}, []
        for line in process.stdout:
            if export := re.match(r"  export (\w+)=(.*)", line):
                environment[export[1]] = shlex.split(export[2])[0]
            elif " -m cli " in line:
                commands.append(shlex.split(line))
            if line.endswith(" doctor\n"):
                break
        done = {words[3]: printed(words, cwd=tmp_path, env=environment) for words in commands}
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    codes = {name: one.returncode for name, one in done.items()}
    assert codes == {"status": 2, "report": 0, "history": 0, "runs": 0, "doctor": 0}, done
    assert "Fabrikam Logistics" in done["status"].stdout
    assert (tmp_path / "report.html").exists()


def printed(words, **options):
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, **options)


LOST = """
import os, signal, weakref
from cli.demo.play import _Ending

class Thing: ...

with _Ending() as ending:
    thing = Thing()
    watched = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM))
    del thing
    try:
        ending.stop_if_asked()
    except KeyboardInterrupt:
        print("asked")
"""


def test_a_signal_during_garbage_collection_is_not_lost():
    done = subprocess.run([sys.executable, "-c", LOST], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "asked\n", "")
