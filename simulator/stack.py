"""Starts and stops the complete loopback tenant, and provides the settings that connect the app to it."""

import asyncio
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import duckdb
import duckdb_kql

from simulator import arm, bearer, directory
from simulator.arm import Arm
from simulator.authority import Authority
from simulator.azurite import Azurite, SimulatorError, start_azurite
from simulator.directory import TenantGraph
from simulator.identity import Identity
from simulator.ingestion import RULE_ID, Ingestion
from simulator.proxy import Proxy
from simulator.rules import EXAMPLE_DEPLOYMENT, create_tables
from simulator.server import HOST, Server
from simulator.tls import Tls, make_tls, trust_in_this_process

__all__ = ["Simulator", "SimulatorError", "applied", "clean_environment"]

_STOP_SECONDS: Final = 20.0

_KEPT: Final = frozenset(
    {"HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "TZ"}
)
_KEPT_PREFIXES: Final = ("COVERAGE_", "COV_CORE_")
"""The variables that a process needs from its parent, without proxies, certificates, and Azure's variables."""


def clean_environment() -> dict[str, str]:
    """Return this process's environment without the variables that could connect an app to another service."""
    return {
        name: value for name, value in os.environ.items() if name.upper() in _KEPT or name.startswith(_KEPT_PREFIXES)
    }


@contextmanager
def applied(environment: Mapping[str, str]) -> Iterator[None]:
    """Apply `environment` and its certificate authority to this process until the context is left."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    if "SSL_CERT_FILE" in environment:
        trust_in_this_process(Path(environment["SSL_CERT_FILE"]))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class Simulator:
    """The loopback tenant, which runs while its context is entered.

    The servers share one event loop on a thread of their own; the table service is a child process. Attributes are
    set once the context is entered, and may be changed from any thread: `sim.graph.tenant = ...`.
    """

    identity: Identity
    graph: TenantGraph
    ingestion: Ingestion
    arm: Arm
    authority: Authority
    tables: Azurite
    proxy: Proxy
    """The proxy in front of the table service, which the app uses with `env(proxied=True)`."""
    con: duckdb.DuckDBPyConnection
    """The DuckDB database with the data collection rule's tables, made by `duckdb_kql.connect`."""
    tls: Tls

    def __init__(self, *, proxied: bool = False, on_step: Callable[[str], object] | None = None) -> None:
        """Configure the tenant without starting it.

        Args:
            proxied: the default of `env`.
            on_step: receives a short description of each service that is started.

        """
        self._proxied = proxied
        self._on_step = on_step or (lambda _step: None)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stack = AsyncExitStack()
        self._work: Path | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def env(self, *, proxied: bool | None = None) -> dict[str, str]:
        """Return the complete environment of an app process that is connected to this simulator."""
        behind_proxy = self._proxied if proxied is None else proxied
        account = self.tables.endpoint.rpartition("/")[2]
        return {
            **clean_environment(),
            "TABLES_ENDPOINT": f"{self.proxy.url}/{account}" if behind_proxy else self.tables.endpoint,
            "LOGS_INGESTION_ENDPOINT": self.ingestion.url,
            "LOGS_INGESTION_RULE_ID": RULE_ID,
            "TENANT_ID": bearer.TENANT_ID,
            "DEPLOYMENT": EXAMPLE_DEPLOYMENT,
            "GRAPH_ENDPOINT": self.graph.url,
            "AZURE_CLIENT_ID": bearer.CLIENT_ID,
            "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
            "IDENTITY_ENDPOINT": self.identity.endpoint,
            "IDENTITY_HEADER": self.identity.header,
            "CHECK_SCHEDULE": "0 7 * * * *",
            "INSPECT_SCHEDULE": "0 37 * * * *",
            "PRUNE_SCHEDULE": "0 17 3 * * *",
            "SSL_CERT_FILE": str(self.tls.ca_file),
            "NO_PROXY": f"{HOST},localhost",
            "no_proxy": f"{HOST},localhost",
        }

    def operator_env(self, *, proxied: bool | None = None) -> dict[str, str]:
        """Return the environment of a command, including the app's address in Azure and the sign-in endpoint."""
        return {
            **self.env(proxied=proxied),
            "AZURE_SUBSCRIPTION_ID": arm.SUBSCRIPTION_ID,
            "RESOURCE_GROUP": arm.RESOURCE_GROUP,
            "FUNCTION_APP_ID": arm.APP_ID,
            "FUNCTION_APP_NAME": arm.APP_NAME,
            "IDENTITY_NAME": directory.APP_IDENTITY,
            "IDENTITY_CLIENT_ID": bearer.CLIENT_ID,
            "IDENTITY_PRINCIPAL_ID": bearer.PRINCIPAL_ID,
            "ARM_ENDPOINT": self.arm.url,
            "AZURE_AUTHORITY_HOST": self.authority.url,
            "REQUESTS_CA_BUNDLE": str(self.tls.ca_file),
        }

    def table_rows(self, table: str) -> list[dict[str, Any]]:
        """Return every row of a table of the table service, in the order of the keys."""
        return self.tables.rows(table)

    def log_rows(self, table: str) -> list[dict[str, Any]]:
        """Return every row that was sent to a custom table, oldest first; dates are in UTC, without a time zone."""
        result = self.con.execute(f'SELECT * FROM "{table}" ORDER BY "TimeGenerated", rowid')  # noqa: S608 (ours)
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def reset(self) -> None:
        """Restore the state after the start: no faults, hooks, recordings, or rows, and the default tenant."""
        for server in self._servers():
            server.reset()
        self.tables.clear()

    def _servers(self) -> tuple[Server, ...]:
        return self.arm, self.identity, self.graph, self.ingestion, self.authority, self.proxy

    def _start(self) -> None:
        self._work = Path(tempfile.mkdtemp(prefix="simulator-"))
        self.tls = make_tls(self._work)
        self.con = duckdb_kql.connect()
        create_tables(self.con)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulator", daemon=True)
        self._thread.start()
        self._run(self._open(self._work))

    async def _open(self, work: Path) -> None:
        self._on_step("identity, Graph and Logs Ingestion")
        self.identity = Identity()
        self.graph = TenantGraph(tls=self.tls.server_of_http2)
        self.ingestion = Ingestion(tls=self.tls.server, con=self.con)
        self.arm = Arm(tls=self.tls.server, settings=self.env)
        self.authority = Authority(tls=self.tls.server)
        for server in (self.identity, self.graph, self.ingestion, self.arm, self.authority):
            self._stack.push_async_callback(server.stop)
            await server.start()
        self._on_step("Table Storage (Azurite)")
        self.tables = await start_azurite(self.tls, work)
        self._stack.callback(self.tables.stop)
        self.proxy = Proxy(tls=self.tls.server, upstream=self.tables.endpoint.rpartition("/")[0], trust=self.tls)
        self._stack.push_async_callback(self.proxy.stop)
        await self.proxy.start()

    def _stop(self) -> None:
        try:
            if self._loop is not None and self._thread is not None:
                self._run(self._stack.aclose(), _STOP_SECONDS)
        finally:
            if hasattr(self, "tables"):
                self.tables.stop()  # again, in case the loop could not
            self._end_thread()
            if hasattr(self, "con"):
                self.con.close()
            if self._work is not None:
                shutil.rmtree(self._work, ignore_errors=True)

    def _end_thread(self) -> None:
        if self._loop is None or self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOP_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()
        self._loop = self._thread = None

    def _run[T](self, work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        assert self._loop is not None  # noqa: S101 (started)
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout)
        except BaseException:
            future.cancel()
            raise
