"""Plays the Functions host: starts a worker process, has it run a function, and can kill it at any moment.

An app that carries its packages runs as in Azure: in a Python that has the worker's runtime and nothing else, writes no
bytecode, and ignores the user's own settings of Python.
"""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

ROOT: Final = Path(__file__).parent.parent
"""The app of this repository."""

_WORKER: Final = Path(__file__).with_name("worker.py")


@dataclass(frozen=True)
class WorkerResult:
    """What came of one invocation."""

    success: bool
    exception: str | None
    """`Type: message`, as the host would log it; None if it succeeded."""
    traceback: str
    logs: str
    """Everything that the app logged and printed: `LEVEL logger: message` lines."""
    returncode: int
    """0: succeeded, 1: failed; negative: killed by that signal."""
    duration_ms: float | None
    """Of the invocation alone; None if it did not end."""
    start_ms: float | None
    """From the import of the runtime until the functions were indexed."""
    process_ms: float | None
    """From the first line of the worker to its last."""
    peak_mib: float | None
    """The most memory that was resident."""
    invocation_id: str
    functions: list[dict[str, Any]] = field(default_factory=list)
    """`name`, `bindings` (as the host reads them) and `retry` (or None), for each function."""


class Worker:
    """A running worker process."""

    def __init__(
        self, command: list[str], environment: Mapping[str, str], app: Path, output: IO[bytes], logs: IO[bytes]
    ) -> None:
        self._output = output
        self._logs = logs
        self.process = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=app,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=logs,
            start_new_session=True,  # Ctrl-C is for us, who then kill it
        )

    def kill(self) -> None:
        """Ends it at once, as an instance that is taken away: nothing in it gets to run. For any thread."""
        self.process.kill()

    def wait(self, timeout: float) -> WorkerResult:
        """The result, when the process has ended.

        Raises:
            TimeoutError: if it has not within `timeout` seconds; it is killed then.

        """
        try:
            returncode = self.process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            self.kill()
            self.process.wait()
            raise TimeoutError(f"The worker ran for more than {timeout} s. It logged:\n{_read(self._logs)}") from error
        return _result(returncode, _read(self._output), _read(self._logs))


def bare_python() -> list[str]:
    """Returns the command of a Python without any package, which writes no bytecode."""
    return [getattr(sys, "_base_executable", sys.executable), "-I", "-B", "-S"]


def worker_command(app: Path, *arguments: str) -> list[str]:
    """Returns the command that starts a worker for `app`: see `simulator.worker` for its arguments."""
    if not (app / ".python_packages").is_dir():
        # -P keeps the script's folder off the search path: what is left is what the real worker has.
        return [sys.executable, "-P", str(_WORKER), str(app), *arguments]
    runtime = next(folder for folder in sys.path if Path(folder, "azure_functions_runtime").is_dir())
    return [*bare_python(), str(_WORKER), str(app), *arguments, f"--runtime={runtime}"]


@contextmanager
def worker(
    environment: Mapping[str, str],
    function: str | None,
    *,
    app: Path = ROOT,
    past_due: bool = False,
    timer: Mapping[str, object] | None = None,
    invocation_id: str | None = None,
) -> Iterator[Worker]:
    """A worker that has been started; it is killed if it still runs when the context is left.

    Args:
        environment: its whole environment, such as `Simulator.env()`.
        function: what to invoke; None only lists the functions.
        app: the folder that holds `function_app.py`, and in `.python_packages` what was deployed with it, if anything.
        past_due: whether the timer fires late.
        timer: the host's whole timer payload in place of the usual one (`simulator.worker.timer_payload`).
        invocation_id: made up by default.

    """
    command = worker_command(app, *([function] if function else []))
    command += ["--past-due"] if past_due else []
    command += [f"--timer={json.dumps(timer)}"] if timer else []
    command += [f"--invocation={invocation_id}"] if invocation_id else []
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as logs:
        started = Worker(command, environment, app, output, logs)
        try:
            yield started
        finally:
            if started.process.poll() is None:
                started.kill()
                started.process.wait()


def run_worker(
    environment: Mapping[str, str],
    function: str | None,
    *,
    app: Path = ROOT,
    past_due: bool = False,
    timer: Mapping[str, object] | None = None,
    invocation_id: str | None = None,
    timeout: float = 300,
) -> WorkerResult:
    """Starts a worker, waits for its end (`timeout` seconds at most) and returns the result; see `worker`."""
    with worker(environment, function, app=app, past_due=past_due, timer=timer, invocation_id=invocation_id) as started:
        return started.wait(timeout)


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _result(returncode: int, output: str, logs: str) -> WorkerResult:
    told = json.loads(output) if output.strip() else {}
    exception = told.get("exception")
    if not told:
        how = f"killed by {signal.Signals(-returncode).name}" if returncode < 0 else f"ended with {returncode}"
        exception = {"message": f"The worker was {how} before it returned a result.", "traceback": ""}
    peak = told.get("peak_kib")
    return WorkerResult(
        success=told.get("success", False),
        exception=exception and exception["message"],
        traceback=exception["traceback"] if exception else "",
        logs=logs,
        returncode=returncode,
        duration_ms=told.get("duration_ms"),
        start_ms=told.get("start_ms"),
        process_ms=told.get("process_ms"),
        peak_mib=None if peak is None else round(peak / 1024, 1),
        invocation_id=told.get("invocation_id", ""),
        functions=told.get("functions", []),
    )
