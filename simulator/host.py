"""Replaces the Functions host: starts a worker process that runs a function, and can kill it at any moment.

An app that contains its packages runs as in Azure: in a Python that has only the worker's runtime, writes no bytecode,
and ignores the user's Python settings.
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
"""The folder of this repository's app."""

_WORKER: Final = Path(__file__).with_name("worker.py")


@dataclass(frozen=True)
class WorkerResult:
    """The result of one invocation."""

    success: bool
    exception: str | None
    """The error as `Type: message`, as the host would log it; None if the invocation succeeded."""
    traceback: str
    logs: str
    """All output of the app, logged or printed: lines of `LEVEL logger: message`."""
    returncode: int
    """The exit code: 0 is success, 1 is failure, and a negative number is the signal that killed the worker."""
    duration_ms: float | None
    """The duration of the invocation alone; None if it did not end."""
    start_ms: float | None
    """The time from the import of the runtime until the functions were indexed."""
    process_ms: float | None
    """The time from the first line of the worker to its last."""
    peak_mib: float | None
    """The peak resident memory."""
    invocation_id: str
    functions: list[dict[str, Any]] = field(default_factory=list)
    """The `name`, `bindings` (as the host reads them), and `retry` (or None) of each function."""


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
            start_new_session=True,  # Ctrl-C reaches only this process, which then kills the worker
        )

    def kill(self) -> None:
        """Kill the process at once, without cleanup, like an instance that is removed; any thread may call this."""
        self.process.kill()

    def wait(self, timeout: float) -> WorkerResult:
        """Wait for the end of the process and return the result.

        Raises:
            TimeoutError: if it does not end within `timeout` seconds; it is then killed.

        """
        try:
            returncode = self.process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            self.kill()
            self.process.wait()
            raise TimeoutError(f"The worker ran for more than {timeout} s. It logged:\n{_read(self._logs)}") from error
        return _result(returncode, _read(self._output), _read(self._logs))


def bare_python() -> list[str]:
    """Return the command of a Python without packages, which writes no bytecode."""
    return [getattr(sys, "_base_executable", sys.executable), "-I", "-B", "-S"]


def worker_command(app: Path, *arguments: str) -> list[str]:
    """Return the command that starts a worker for `app`: see `simulator.worker` for its arguments."""
    if not (app / ".python_packages").is_dir():
        # -P keeps the script's folder off the search path, which is then that of the real worker.
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
    """Start a worker, and kill it if it still runs when the context is left.

    Args:
        environment: its complete environment, such as `Simulator.env()`.
        function: the function to invoke; None only lists the functions.
        app: the folder with `function_app.py` and, if they were deployed with it, its packages in `.python_packages`.
        past_due: whether the timer fires late.
        timer: the host's timer payload, by default that of `simulator.worker.timer_payload`.
        invocation_id: the ID of the invocation, by default a random one.

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
    """Start a worker, wait at most `timeout` seconds for its end, and return the result; see `worker`."""
    with worker(environment, function, app=app, past_due=past_due, timer=timer, invocation_id=invocation_id) as started:
        return started.wait(timeout)


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _result(returncode: int, output: str, logs: str) -> WorkerResult:
    result = json.loads(output) if output.strip() else {}
    exception = result.get("exception")
    if not result:
        how = f"killed by {signal.Signals(-returncode).name}" if returncode < 0 else f"ended with {returncode}"
        exception = {"message": f"The worker was {how} before it returned a result.", "traceback": ""}
    peak = result.get("peak_kib")
    return WorkerResult(
        success=result.get("success", False),
        exception=exception and exception["message"],
        traceback=exception["traceback"] if exception else "",
        logs=logs,
        returncode=returncode,
        duration_ms=result.get("duration_ms"),
        start_ms=result.get("start_ms"),
        process_ms=result.get("process_ms"),
        peak_mib=None if peak is None else round(peak / 1024, 1),
        invocation_id=result.get("invocation_id", ""),
        functions=result.get("functions", []),
    )
