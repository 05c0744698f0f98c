"""Runs the timer functions in the real worker against a simulated tenant, and prints the administrator's view."""

import asyncio
import logging
import os
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from cli import COULD_NOT_TELL, SCRIPT, page, program, view
from cli.device_table import print_devices
from cli.judgement import Filters
from cli.session import Session
from shared.guidance.guidance import Guidance
from shared.storage.device_rows import DEVICE_INSPECTION, InspectionRow
from shared.storage.reading import reader
from shared.storage.rows import CHECK_RUN, TOKEN_HISTORY, TOKEN_STATUS, StatusRow
from simulator import mail, rules
from simulator.host import run_worker
from simulator.scenario import events
from simulator.stack import Simulator, SimulatorError, applied
from simulator.story import inspect_once, play

RAN: Final = 0

_RULES: Final = {rule.name: rule for rule in (*rules.RULES, rules.SUMMARY)}

_BEFORE: Final = timedelta(days=8)
"""How long before the inspection that is shown there is another: missing devices are a finding after a week."""

_COMMANDS: Final = ("status", "report", "history 'Contoso HQ'", "runs", "doctor")
"""Commands to try with a tenant that is kept."""


def run(report: Path, *, keep: bool, days: int | None) -> int:
    """Run the demo, and write the page into `report`; return the exit code: 0 if it ran, else 3."""
    page.check_file(report, "--report")
    console = Console(highlight=False)
    steps = Console(stderr=True, highlight=False)
    try:
        with _Ending() as ending, Simulator(on_step=lambda step: steps.print(f"Starting {step} ...")) as sim:
            if days is not None:
                return _story(console, steps, sim, days, ending)
            code = _once(console, steps, sim, ending)
            if code == RAN:
                _write_page(console, sim, report)
            if keep and code == RAN:
                _hold(console, sim)
            return code
    except SimulatorError as error:
        steps.print(Text(str(error)), soft_wrap=True)
    except KeyboardInterrupt:
        steps.print("Stopped.")
    return COULD_NOT_TELL


def _once(console: Console, steps: Console, sim: Simulator, ending: "_Ending") -> int:
    """Check the tokens, count their devices, and check again, which judges both."""
    if not _ran(steps, sim, "check_tokens"):
        return COULD_NOT_TELL
    steps.print(f"Inspecting as of {_BEFORE.days} days ago ...")
    inspect_once(sim, datetime.now(UTC) - _BEFORE)
    ending.stop_if_asked()
    if not (_ran(steps, sim, "inspect_devices") and _ran(steps, sim, "check_tokens")):
        return COULD_NOT_TELL
    ending.stop_if_asked()
    now = datetime.now(UTC)
    statuses = sim.table_rows(TOKEN_STATUS.name)
    console.print(f"\n[bold]Tokens[/] (table {TOKEN_STATUS.name}), worst first")
    view.print_tokens(console, statuses, Guidance(), now)
    console.print(f"\n[bold]Devices[/] (table {DEVICE_INSPECTION.name}), as the last inspection counted them")
    inspections = map(reader(InspectionRow), sim.table_rows(DEVICE_INSPECTION.name))
    print_devices(console, inspections, map(reader(StatusRow), statuses))
    console.print(f"\n[bold]The run[/] (table {CHECK_RUN.name})")
    view.print_run(console, sim.table_rows(CHECK_RUN.name)[0])
    _print_alerts(console, rules.firing(sim.con, now), now)
    return RAN


def _ran(steps: Console, sim: Simulator, function: str) -> bool:
    """Return whether a function succeeded in the worker; print why, if not."""
    steps.print(f"Running {function} in the Functions worker ...")
    result = run_worker(sim.env(), function)
    if not result.success:
        steps.print(Text(f"{function} failed: {result.exception}"))
        steps.print(Text(result.logs))
    return result.success


def _print_alerts(console: Console, alerts: Sequence[rules.Alert], now: datetime) -> None:
    console.print(f"\n[bold]Alerts[/] that Azure Monitor would be firing ({len(alerts)})")
    rows = [(alert.rule, _subject(rules.Event("fired", alert, now, now))) for alert in alerts]
    view.print_table(console, ("Rule", "Subject of the mail"), rows)
    quiet = [rule.name for rule in rules.RULES if all(alert.rule != rule.name for alert in alerts)]
    if quiet:
        console.print(f"Not firing: {', '.join(quiet)}.")


def _subject(event: rules.Event) -> str:
    return mail.subject(_RULES[event.alert.rule], event)


def _story(console: Console, steps: Console, sim: Simulator, days: int, ending: "_Ending") -> int:
    """Play the scenario; print what happened and which alerts the rules fired, in the order of time."""
    # It ends with today's last check, so that the dates look familiar.
    start = datetime.now(UTC).replace(minute=7, second=0, microsecond=0) - timedelta(days=days)
    entries: list[tuple[datetime, str, str]] = [(event.on, "tenant", event.what) for event in events(start, days)]
    logging.getLogger("shared").setLevel(logging.ERROR)  # the timeline shows the outage
    bar = Progress(
        TextColumn("Playing {task.fields[day]}"), BarColumn(), TimeRemainingColumn(), console=steps, transient=True
    )
    with bar:
        task = bar.add_task("", total=days * timedelta(days=1) / rules.FREQUENCY, day="")
        for moment in play(sim, start, days):
            ending.stop_if_asked()
            bar.update(task, advance=1, day=f"{moment.on:%Y-%m-%d}")
            entries += [(event.on, _kind(event), _subject(event)) for event in moment.alerts]
            if moment.run and moment.run.outcome != "succeeded":
                entries.append((moment.on, "run", f"the check was {moment.run.outcome}"))
    entries += [(row["ChangedOn"], "history", row["Sentence"]) for row in sim.table_rows(TOKEN_HISTORY.name)]
    console.print(
        f"[bold]{days} days[/] of a tenant: what happened, what was recorded, which alerts fired and resolved"
    )
    lines = [(f"{on:%Y-%m-%d %H:%M}", kind, what) for on, kind, what in sorted(entries, key=lambda entry: entry[0])]
    _print_timeline(console, lines)
    fired = sum(kind == "fired" for _, kind, _ in lines)
    resolved = sum(kind == "resolved" for _, kind, _ in lines)
    console.print(f"{fired} alerts fired, {resolved} resolved by themselves, {fired - resolved} still open.")
    return RAN


def _kind(event: rules.Event) -> str:
    return rules.SUMMARY.name if event.alert.rule == rules.SUMMARY.name else event.kind


_STYLES: Final = {
    "fired": "bold red",
    "resolved": "green",
    "summary": "cyan",
    "run": "yellow",
    "tenant": "bold",
    "history": "dim",
}


def _print_timeline(console: Console, lines: Sequence[tuple[str, str, str]]) -> None:
    for on, kind, what in lines:
        console.print(
            Text.assemble(f"{on}  ", (f"{kind:8}", _STYLES[kind]), f"  {what}"), soft_wrap=not console.is_terminal
        )


def _write_page(console: Console, sim: Simulator, report: Path) -> None:
    with applied(sim.operator_env()):
        session = Session(quiet=True)
        _, text = page.from_tables(session, Filters())
    page.write_file(session, report, text, "--report")
    console.print(Text.assemble(("\nThe report page", "bold"), f": open {report} in a browser."), soft_wrap=True)


def _hold(console: Console, sim: Simulator) -> None:
    """Print how to use the tenant in another terminal, and keep it until Ctrl-C."""
    command = SCRIPT if program() == SCRIPT else f"{sys.executable} -m cli"
    console.print("\n[bold]The tenant[/] keeps running until Ctrl-C. In another terminal, in this folder, enter:")
    lines = [*map(_assignment, _environment(sim).items()), *(f"{command} {one}" for one in _COMMANDS)]
    console.print(Text("\n".join(f"  {line}" for line in lines)), soft_wrap=True)
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(1)  # on Windows, only a wait that ends lets Ctrl-C through


def _environment(sim: Simulator) -> dict[str, str]:
    """Return the variables that lead a command to the tenant."""
    ours = sim.operator_env().items()
    return {name: value for name, value in ours if os.environ.get(name) != value and not name.endswith("_SCHEDULE")}


def _assignment(variable: tuple[str, str]) -> str:
    """Return the line of a shell that sets a variable."""
    name, value = variable
    windows = sys.platform == "win32"
    return f"$env:{name} = '{value}'" if windows else f"export {name}={shlex.quote(value)}"


class _Ending:
    """Ctrl-C and SIGTERM stop what was started; a second one does not cut that short."""

    def __init__(self) -> None:
        self._asked = False
        self._before = {ending: signal.getsignal(ending) for ending in (signal.SIGINT, signal.SIGTERM)}
        self._hook_before = sys.unraisablehook

    def __enter__(self) -> Self:
        sys.unraisablehook = self._lost
        for ending in self._before:
            signal.signal(ending, self._interrupt)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for ending, handler in self._before.items():
            signal.signal(ending, handler)
        sys.unraisablehook = self._hook_before
        if self._asked and isinstance(error, RuntimeError):  # what DuckDB makes of an interrupted query
            raise KeyboardInterrupt from error

    def stop_if_asked(self) -> None:
        """Raise KeyboardInterrupt if the end was requested while nothing could be ended."""
        if self._asked:
            raise KeyboardInterrupt

    def _interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        self._asked = True
        for ending in self._before:
            signal.signal(ending, signal.SIG_IGN)
        with suppress(RuntimeError):
            asyncio.get_running_loop()
            return  # a check under way ends first: cut off in the middle, it would leave connections behind
        raise KeyboardInterrupt

    def _lost(self, what: "sys.UnraisableHookArgs") -> None:
        """Python prints what a finalizer raises, and goes on; `stop_if_asked` knows of the end."""
        if what.exc_type is not KeyboardInterrupt:
            self._hook_before(what)
