"""Checks what the app recorded of its own checks."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from cli import program
from cli.doctor import commands
from cli.doctor.app import minute_of
from cli.doctor.facts import Facts, known
from cli.doctor.lines import Line, NotTriedError, failed, passed
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


def last(facts: Facts) -> Line:
    """Check that the app has run, and when it last did."""
    runs = facts.runs.result()
    if not runs:
        return failed(
            "The app has not run: the table CheckRun has no check of its own.",
            "The first check of a new deployment is at minute 7 of the next hour. After that, the app's log says why "
            "there is none. Ask it for a check.",
            _trigger(),
        )
    run = runs[0]
    if run.started_on is None:
        return failed(f"The newest row cannot be believed: {listed(list(run.problems))}.", "", _trigger())
    when = ago(run.started_on, facts.now)
    if facts.now - run.started_on > LATE:
        return _silent(facts, f"The app last checked {when}, at {moment(run.started_on)}.")
    return passed(f"{when[0].upper()}{when[1:]}, {run.outcome}.")


def _silent(facts: Facts, sentence: str) -> Line:
    """Report an app that does not check; how to start one that does not run is a matter of the check `App`."""
    if known(facts.state.result) not in {None, "Running"}:
        return failed(sentence, "The app does not run: see App.")
    remedy = "Restart the app; if that does not help, its log says why."
    return failed(sentence, remedy, commands.command(facts, "az functionapp restart --ids {app_id}"))


def reading(facts: Facts) -> Line:
    """Check that the newest check could read every connector."""
    run, directory = facts.newest(), known(facts.directory.result)
    errors = {kind(name): one.error for name, one in run.connectors.items() if one.error}
    if not run.connectors:
        raise NotTriedError("the newest check does not record which connectors it read")
    if not errors:
        return passed(f"The newest check read {listed([kind(name) for name in run.connectors])}.")
    sentence = f"The newest check could not read {listed(list(errors))}"
    granted = directory.has(ROLE) if directory and directory.identity else None
    lacking = run.graph_token if run.graph_token and ROLE in run.graph_token.lacks else None
    if granted is False:
        why, remedy = ": the app's identity does not have the role (see Graph role).", ""
    elif granted and lacking:
        until = moment(lacking.expires_on)
        why = f": the role is granted, and not yet in the app's token, which Azure keeps until {until}."
        remedy = f"The first check after {moment(lacking.retry_on)} asks for another one; a restart renews nothing."
    else:
        name, error = next(iter(errors.items()))
        why, remedy = f". {name}: {error}", "" if lacking else "The next check asks again."
    return failed(f"{sentence}{why}", remedy, _trigger() if remedy else commands.command(facts, commands.GRANT))


def _trigger() -> str:
    return f"{program()} trigger check"


def storing(facts: Facts) -> Line:
    """Check that the newest check stored everything."""
    if error := facts.newest().store_error:
        return failed(f"The newest check: {error}", "The next check tries again.", _trigger())
    return passed("The newest check stored everything.")


def heartbeat(facts: Facts) -> Line:
    """Check when the app last published all of its rows, which keeps the rule `check_silent` quiet."""
    runs, error = facts.checks(), facts.newest().publish_error
    beats = [run.started_on for run in runs if run.publish_error is None and run.started_on]
    if not beats:
        return failed(f"No recent check has published its rows. {error or ''}".strip(), "", _trigger())
    when = ago(beats[0], facts.now)
    if error:
        sentence = f"The newest check did not publish all of its rows. {error} The last one that did was {when}."
        return failed(sentence, "", _trigger())
    if facts.now - beats[0] > LATE:
        return _silent(facts, f"The last one was {when}.")
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


def schedule(facts: Facts) -> Line:
    """Check that a check came in every hour of the last day."""
    runs, text = facts.checks(), facts.app_settings.get("CHECK_SCHEDULE") or str(BY_NAME["CHECK_SCHEDULE"].default)
    minute = minute_of(text)
    if minute is None:
        raise NotTriedError(f"CHECK_SCHEDULE is {text!r}, which is not hourly; see App settings")
    gaps = missed(runs, facts.now, minute)
    late = sum(run.past_due for run in runs if run.started_on and facts.now - run.started_on <= _DAY)
    started_late = f" {count(late, 'check')} started late." if late else ""
    # The next tick makes up for a single one that a platform loses.
    if len(gaps) > 1 or (gaps and facts.now - gaps[0] < _HOUR + _STARTS_WITHIN):
        sentence = f"{count(len(gaps), 'hourly check')} of the last day did not come, the latest at {moment(gaps[0])}."
        return _silent(facts, sentence + started_late)
    lost = f"but for one at {moment(gaps[0])}" if gaps else "without a gap"
    return passed(f"Every hour at minute {minute}, in the last day {lost}.{started_late}")


def version(facts: Facts) -> Line:
    """Check that the app and this program are of one release."""
    release = facts.newest().version
    if release is None:
        raise NotTriedError("the newest check does not record its release")
    if release == __version__:
        return passed(f"The app and this program are release {__version__}.")
    if _order(release) < _order(__version__):
        sentence = f"The app is release {release}, and this program {__version__}."
        return failed(sentence, "Deploy this release, unless the app should stay behind.", commands.deploy(facts))
    sentence = f"The app is release {release}, and this program is the older {__version__}."
    return failed(sentence, "Update this program to the app's release.", "git pull")


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d{1,9}", version))
