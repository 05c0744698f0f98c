"""Runs Azurite's table service as a child process, over TLS and with bearer tokens as in Azure."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from azure.core.exceptions import ResourceExistsError
from azure.data.tables import TableServiceClient

from simulator.bearer import StaticCredential
from simulator.server import HOST
from simulator.tls import Tls

TABLES: Final = ("TokenStatus", "TokenHistory", "CheckRun", "DeviceInspection")
"""The tables that the infrastructure creates in Azure."""

ACCOUNT: Final = "devstoreaccount1"

_SCRIPT: Final = Path("node_modules/azurite/dist/src/table/main.js")
_ROOT: Final = Path(__file__).parent.parent
_INSTALL: Final = "run `make setup` in a clone of the repository, or `npm install --global azurite` anywhere"

_READY: Final = b"successfully started"
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 5.0
_ATTEMPTS: Final = 3

# The pipe closes however this process ends, so no emulator outlives the process that started it.
_END_WITH_STDIN: Final = 'data:text/javascript,process.stdin.on("end",()=>process.exit(0)).resume().unref()'


class SimulatorError(Exception):
    """The simulator cannot start; the message gives the reason and the remedy."""


@dataclass
class Azurite:
    """A running table service; its rows are lost when it stops."""

    endpoint: str
    """The address of the service: `https://127.0.0.1:PORT/devstoreaccount1`."""
    ca_file: Path
    process: subprocess.Popen[bytes]
    tables: tuple[str, ...]

    def client(self) -> TableServiceClient:
        """Return a new client of the service, which the caller closes."""
        return TableServiceClient(
            self.endpoint,
            credential=StaticCredential(),
            connection_verify=str(self.ca_file),
            use_env_settings=False,
            retry_total=0,
        )

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return every row of `table`, in the order of the keys."""
        with self.client() as client:
            return [dict(row) for row in client.get_table_client(table).list_entities()]

    def create_tables(self) -> None:
        """Create the missing tables."""
        with self.client() as client:
            for name in self.tables:
                with contextlib.suppress(ResourceExistsError):
                    client.create_table(name)

    def clear(self) -> None:
        """Delete every row of the tables."""
        with self.client() as client:
            for name in self.tables:
                client.delete_table(name)
                client.create_table(name)

    def stop(self) -> None:
        """Stop the process and wait for its end."""
        stop(self.process)


async def start_azurite(tls: Tls, work: Path) -> Azurite:
    """Start the service on a free port and create the app's tables; `work` receives the log.

    Raises:
        SimulatorError: if Node.js or Azurite is missing, or the service does not start.

    """
    program = _program()
    for attempt in range(1, _ATTEMPTS + 1):
        port = _free_port()
        log = work / f"azurite-{attempt}.log"
        process = _spawn(_command(program, port, tls), log, work)
        try:
            ready = await _ready(process, log)
            if ready:
                service = Azurite(f"https://{HOST}:{port}/{ACCOUNT}", tls.ca_file, process, TABLES)
                await asyncio.to_thread(service.create_tables)
                return service
        except BaseException:
            stop(process)
            raise
        stop(process)
        if b"EADDRINUSE" not in log.read_bytes():  # another process may have taken the port in the meantime
            break
    output = log.read_text(errors="replace").strip() or "it wrote nothing"
    raise SimulatorError(f"Azurite, the Table Storage emulator, did not start: {output}. To reinstall it, {_INSTALL}.")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a child process to end, and kill it if it doesn't."""
    if process.poll() is None:
        if sys.platform == "win32":  # Windows has no signal for a single process
            process.terminate()
        else:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _program() -> list[str]:
    """Return the command that starts the service: Node.js with Azurite's script, local or installed globally."""
    node = shutil.which("node")
    if node is None:
        raise SimulatorError(
            "Node.js, which runs the Table Storage emulator, is not on the PATH. "
            f"Install Node.js 20 or later, then {_INSTALL}."
        )
    scripts = [_ROOT / _SCRIPT]
    if command := shutil.which("azurite-table"):
        scripts += [Path(command).resolve(), Path(command).parent / _SCRIPT]  # npm's link; on Windows, its .cmd file
    script = next((script for script in scripts if script.suffix == ".js" and script.is_file()), None)
    if script is None:
        raise SimulatorError(f"Azurite, the Table Storage emulator, is missing. To install it, {_INSTALL}.")
    return [node, "--import", _END_WITH_STDIN, str(script)]


def _command(program: list[str], port: int, tls: Tls) -> list[str]:
    command = [*program, "--tableHost", HOST, "--tablePort", str(port)]
    command += ["--oauth", "basic", "--cert", str(tls.cert_file), "--key", str(tls.key_file)]
    return [*command, "--silent", "--disableTelemetry", "--skipApiVersionCheck", "--inMemoryPersistence"]


def _spawn(command: list[str], log: Path, work: Path) -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "SystemRoot") if name in os.environ}
    with log.open("wb") as output:
        # A session of its own, so that Ctrl-C in the terminal reaches only this process, which then stops the service.
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=work,
            env=environment,
            start_new_session=True,
        )


async def _ready(process: subprocess.Popen[bytes], log: Path) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if _READY in log.read_bytes():  # noqa: ASYNC240 (a few bytes)
            return True
        await asyncio.sleep(0.02)
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
