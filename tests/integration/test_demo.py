"""`python -m cli demo`, as somebody types it."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from simulator.host import ROOT


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


def test_the_demo_shows_tokens_the_run_and_the_alerts_and_exits_with_0():
    done = demo("demo")
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
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert "\x1b" not in done.stdout
    assert all(line.endswith(" ...") for line in done.stderr.splitlines())


def test_a_story_prints_what_happened_and_which_alerts_fired_and_resolved():
    done = demo("demo", "--days", "1")
    assert done.returncode == 0, done.stderr
    for told in ("tenant    Graph fails", "fired     Critical: Contoso Retail: expired 20", "resolved  "):
        assert told in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("demo", "--dys", "3"), "No such option: --dys"),
        (("demo", "--days", "0"), "--days"),
        (("nope",), "No such command 'nope'"),
    ],
)
def test_a_usage_error_is_one_sentence_and_exit_code_3(arguments, told):
    done = demo(*arguments)
    assert done.returncode == 3
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_without_node_the_demo_says_so_and_exits_with_3(tmp_path):
    done = demo("demo", PATH=str(tmp_path))
    assert done.returncode == 3
    assert "node" in done.stderr.lower()
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("arguments", "code"), [(("--keep",), 0), (("--days", "30"), 3)])
def test_ctrl_c_ends_the_demo_cleanly_and_leaves_nothing_running(ending, arguments, code):
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "cli", "demo", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    ) as process:
        until = time.monotonic() + 60
        for line in process.stdout:
            if "simulator.look" in line or ("Starting Table" in line and arguments[0] == "--days"):
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


def test_the_kept_tables_can_be_looked_at_with_the_command_that_is_printed():
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "cli", "demo", "--keep"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        command = next(line.split() for line in process.stdout if "simulator.look" in line)
        looked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert looked.returncode == 0, looked.stderr
    assert len(looked.stdout.splitlines()) == 16


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


def test_an_end_that_is_asked_for_while_python_cleans_up_is_not_lost_and_prints_no_traceback():
    done = subprocess.run([sys.executable, "-c", LOST], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "asked\n", "")
