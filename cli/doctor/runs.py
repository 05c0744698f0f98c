"""Checks the tables, what the app recorded of its own checks, and what the operator could send."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from cli.doctor import commands
from cli.doctor.app import minute_of
from cli.doctor.commands import command, trigger
from cli.doctor.facts import Facts, known
from cli.doctor.identity import has
from cli.doctor.lines import Line, NotTriedError, Words, failed, passed, unknown
from cli.judgement import LATE
from shared import __version__
from shared.graph.connectors import ROLE
from shared.settings import BY_NAME
from shared.storage.rows import RunRow
from shared.words import ago, count, kind, listed, moment

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_STARTS_WITHIN: Final = timedelta(minutes=10)
"""After its tick, a check may take that long to start and to write its row."""


def last(facts: Facts, runs: Sequence[RunRow]) -> Line:
    """Check that the app has run, and when it last did."""
    if not runs:
        return failed(
            "The app has not run: the table CheckRun has no check of its own.",
            "The first check of a new deployment is at minute 7 of the next hour. After that, the app's log says why "
            "there is none. Ask it for a check.",
            trigger(),
        )
    run = runs[0]
    if run.started_on is None:
        return failed(f"The newest row cannot be believed: {listed(list(run.problems))}.", "", trigger())
    when = ago(run.started_on, facts.now)
    if facts.now - run.started_on > LATE:
        return failed(f"The app last checked {when}, at {moment(run.started_on)}.", *_restart(facts))
    return passed(f"{when[0].upper()}{when[1:]}, {run.outcome}.")


def _restart(facts: Facts) -> tuple[str, Words]:
    """Return how to fix an app that does not check; for one that does not run, the line `App` has the command."""
    if known(facts.app.state) not in {None, "Running"}:
        return "The app does not run: see App.", ()
    remedy = "Restart the app; if that does not help, its log says why."
    return remedy, command(facts, "az functionapp restart --ids {app_id}")


def reading(facts: Facts, run: RunRow) -> Line:
    """Check that the newest check could read every connector."""
    errors = {kind(name): one.error for name, one in run.connectors.items() if one.error}
    if not run.connectors:
        return unknown(NotTriedError("the newest check does not record which connectors it read"))
    if not errors:
        return passed(f"The newest check read {listed([kind(name) for name in run.connectors])}.")
    said, directory, token = (
        f"The newest check could not read {listed(list(errors))}",
        known(facts.directory),
        run.graph_token,
    )
    granted = directory and directory.identity and has(directory, ROLE)
    if granted is False:
        fix = command(facts, commands.GRANT)
        return failed(f"{said}: the app's identity does not have the role (see Graph role).", "", fix)
    if token and ROLE in token.lacks and granted:
        return failed(
            f"{said}: the role is granted, and not yet in the app's token, which Azure keeps until "
            f"{moment(token.expires_on)}.",
            f"The first check after {moment(token.retry_on)} asks for another one; a restart renews nothing.",
            trigger(),
        )
    name, error = next(iter(errors.items()))
    if token and ROLE in token.lacks:
        return failed(f"{said}. {name}: {error}", "", command(facts, commands.GRANT))
    return failed(f"{said}. {name}: {error}", "The next check asks again.", trigger())


def storing(_: Facts, run: RunRow) -> Line:
    """Check that the newest check stored everything."""
    if run.store_error:
        return failed(f"The newest check: {run.store_error}", "The next check tries again.", trigger())
    return passed("The newest check stored everything.")


def heartbeat(facts: Facts, runs: Sequence[RunRow]) -> Line:
    """Check when the app last published all of its rows, which keeps the rule `check_silent` quiet."""
    error = runs[0].publish_error
    beats = [run.started_on for run in runs if run.publish_error is None and run.started_on]
    if not beats:
        return failed(f"No recent check has published its rows. {error or ''}".strip(), "", trigger())
    when = ago(beats[0], facts.now)
    if error:
        said = f"The newest check did not publish all of its rows. {error} The last one that did was {when}."
        return failed(said, "", trigger())
    if facts.now - beats[0] > LATE:
        return failed(f"The last one was {when}.", *_restart(facts))
    return passed(f"{when[0].upper()}{when[1:]}.")


def missed(runs: Sequence[RunRow], now: datetime, minute: int) -> list[datetime]:
    """Return the ticks of the last day, at that minute of each hour, that no check followed, newest first.

    Those before the oldest of `runs` do not count: the app may not have been there.
    """
    started = sorted(run.started_on for run in runs if run.started_on)
    tick = (now - _STARTS_WITHIN).replace(minute=minute, second=0, microsecond=0)
    if tick > now - _STARTS_WITHIN:
        tick -= _HOUR
    found = []
    while started and tick > max(now - _DAY, started[0]):
        if not any(tick - timedelta(minutes=1) <= one < tick + _HOUR - timedelta(minutes=1) for one in started):
            found.append(tick)
        tick -= _HOUR
    return found


def schedule(facts: Facts, runs: Sequence[RunRow]) -> Line:
    """Check that a check came in every hour of the last day."""
    text = facts.settings.get("CHECK_SCHEDULE") or str(BY_NAME["CHECK_SCHEDULE"].default)
    minute = minute_of(text)
    if minute is None:
        return unknown(NotTriedError(f"CHECK_SCHEDULE is {text!r}, which is not hourly; see App settings"))
    gaps = missed(runs, facts.now, minute)
    late = sum(run.past_due for run in runs if run.started_on and facts.now - run.started_on <= _DAY)
    started_late = f" {count(late, 'check')} started late." if late else ""
    # The next tick makes up for a single one that a platform loses.
    if len(gaps) > 1 or (gaps and facts.now - gaps[0] < _HOUR + _STARTS_WITHIN):
        said = f"{count(len(gaps), 'hourly check')} of the last day did not come, the latest at {moment(gaps[0])}."
        return failed(said + started_late, *_restart(facts))
    lost = f"but for one at {moment(gaps[0])}" if gaps else "without a gap"
    return passed(f"Every hour at minute {minute}, in the last day {lost}.{started_late}")


def version(facts: Facts, run: RunRow) -> Line:
    """Check that the app and this program are of one release."""
    if run.version is None:
        return unknown(NotTriedError("the newest check does not record its release"))
    if run.version == __version__:
        return passed(f"The app and this program are release {__version__}.")
    if _order(run.version) < _order(__version__):
        said = f"The app is release {run.version}, and this program {__version__}."
        return failed(said, "Deploy this release, unless the app should stay behind.", commands.deploy(facts))
    said = f"The app is release {run.version}, and this program is the older {__version__}."
    return failed(said, "Update this program to the app's release.", ("git", "pull"))


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d{1,9}", version))
