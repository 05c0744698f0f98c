"""What every command needs: where to print, where things are, and how to show that it is busy."""

import asyncio
import io
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.console import Console
from rich.text import Text

from cli import view
from cli.places import Places
from shared.clouds import CLOUDS
from shared.guidance.guidance import Guidance
from shared.settings import BY_NAME
from shared.text import bounded

if TYPE_CHECKING:
    from cli.records import Records

_SOON: Final = 2.0
"""Seconds after which a log shows that something takes a while; a terminal shows it at once."""

GRAPH_CLIENT_ID: Final = "14d82eec-204b-4c2f-b7e8-296a70dab67e"
"""Microsoft's Graph command line tools, a public client that every tenant knows."""

_NARROWEST: Final = 60
_PIPED: Final = 120
"""Columns of output to a file or another program, unless `COLUMNS` sets another number."""


class GraphSignIn(NamedTuple):
    """How a person signs in to Graph."""

    how: str = "browser"
    """`browser`, `device-code`, or `default` for the sign-in of the other commands."""
    client_id: str = GRAPH_CLIENT_ID


class Session:
    """One command at work."""

    def __init__(
        self,
        *,
        given: Mapping[str, str | None] | None = None,
        environment: str | None = None,
        quiet: bool = False,
        debug: bool = False,
    ) -> None:
        """Keep the options; read nothing yet.

        Args:
            given: places that the command line names, by their names.
            environment: the name of azd's environment.
            quiet: no progress.
            debug: a traceback with every error.

        """
        self.given = dict(given or {})
        """Places that the command line names; a command may add more before it first uses `places`."""
        self._environment = environment
        self.quiet = quiet
        self.debug = debug
        self.graph_sign_in = GraphSignIn()
        self.now = datetime.now(UTC)
        """When the command began; its output is as of then."""

    @cached_property
    def out(self) -> Console:
        """The console for the result. Nothing in it is read as markup."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            plain = not sys.stdout.isatty()
            sys.stdout.reconfigure(encoding="utf-8" if plain else None, errors="replace", newline="" if plain else None)
        return _console(stderr=False)

    @cached_property
    def err(self) -> Console:
        """The console for everything else."""
        return _console(stderr=True)

    def write(self, text: str) -> None:
        """Write the result unchanged."""
        self.out.file.write(text)
        self.out.file.flush()

    def print(self, text: str, *, warning: bool = False) -> None:
        """Print a sentence of the result."""
        self.out.print(view.sentence(text, warning=warning))

    def warn(self, text: str) -> None:
        """Print a message beside the result. In a terminal, a long line continues below its beginning."""
        for line in text.splitlines():
            if self.err.is_terminal:
                view.print_hanging(self.err, " " * (len(line) - len(line.lstrip())), Text(line.lstrip()))
            else:
                self.err.print(Text(line), soft_wrap=True)

    @cached_property
    def places(self) -> Places:
        """The places that are known. A notice names each host outside the cloud that a bearer token is sent to."""
        places = Places.find(self.given, os.environ, Path.cwd(), environment=self._environment)
        for place in places.elsewhere:
            self.warn(f"Your sign-in is sent to {bounded(place.value, 100)}, as {place.source} says.")
        return places

    @cached_property
    def guidance(self) -> Guidance:
        """Return the catalogue in words, with the tenant's own names for sync errors and the links of its cloud."""
        setting = BY_NAME["SYNC_ERROR_NAMES"]
        names = setting.parse(self.places.checked(setting.name, ""))
        cloud = CLOUDS[self.places.checked("AZURE_CLOUD", "AzureCloud")]
        return Guidance(names, cloud)  # type: ignore[arg-type] # the table's parser gives a mapping

    @cached_property
    def reminder_days(self) -> tuple[int, ...]:
        """The days before an expiry on which the monitor raises a finding, most first."""
        return (*self._days("EXPIRY_WARNING_DAYS"), *self._days("EXPIRY_CRITICAL_DAYS"))

    def _days(self, name: str) -> tuple[int, ...]:
        setting = BY_NAME[name]
        return setting.parse(self.places.checked(name, setting.default or ""))  # type: ignore[return-value] # the table's

    @contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Show that something takes a while, such as `Reading the tables`."""
        if self.quiet:
            yield
        elif self.err.is_terminal:
            with self.err.status(Text(f"{what} ...")):
                yield
        else:
            timer = threading.Timer(_SOON, lambda: self.warn(f"{what} ..."))
            timer.daemon = True
            timer.start()
            try:
                yield
            finally:
                timer.cancel()

    def read[T](self, reading: "Callable[[Records], Awaitable[T]]", what: str = "Reading the tables") -> T:
        """Return what `reading` reads from the monitor's tables.

        Raises:
            CommandError: if they cannot be read.

        """
        from cli.records import open_records

        async def work() -> T:
            async with open_records(self.places) as records:
                return await reading(records)

        with self.working(what):
            return asyncio.run(work())


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # the base's exit code would mean that there are warnings


def _console(*, stderr: bool) -> Console:
    console = _Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    width = console.width if console.is_terminal or os.environ.get("COLUMNS") else _PIPED
    console.width = max(width, _NARROWEST)
    return console
