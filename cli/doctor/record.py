"""Judges the tables, and what the app's own last runs say in them; and what could be sent."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from cli import CommandError
from cli.doctor import commands
from cli.doctor.facts import Account, App, Directory, Facts
from cli.doctor.lines import Found, Line, RefusedError, Untried, failed, passed, untried, without
from cli.judgement import LATE
from cli.publishing import PUBLISHER
from cli.rows import RunRow
from shared import __version__
from shared.graph.connectors import ROLE
from shared.model.tokens import GraphToken
from shared.words import ago, count, kind, listed, moment

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_STARTS_WITHIN: Final = timedelta(minutes=10)
"""After its tick, a check may take that long to start and to leave its row."""

_TRIGGER: Final = ("python", "-m", "cli", "trigger", "check")
_REFUSED: Final = re.compile(r"HTTP (?:401|403)\b")
_MINUTE: Final = re.compile(r"\d+ +(\d+) ")


def judge(facts: Facts) -> Iterator[Line]:
    """The lines about the record."""
    yield from (_table(facts, name, found) for name, found in facts.tables.items())
    runs = facts.runs
    if isinstance(runs, Untried | CommandError):
        why = runs if isinstance(runs, Untried) else Untried(runs.sentence.rstrip("."))
        yield from (
            without(what, why) for what in ("Last check", "Reading", "Storing", "Heartbeat", "Schedule", "Version")
        )
    elif not runs:
        yield _never_ran()
        none = Untried("the app has not run")
        yield from (without(what, none) for what in ("Reading", "Storing", "Heartbeat", "Schedule", "Version"))
    else:
        yield _last(facts, runs[0])
        yield _reading(facts, runs[0])
        yield _storing(runs[0])
        yield _heartbeat(facts, runs)
        yield _schedule(facts, runs)
        yield _version(facts, runs[0])
    yield _ingestion(facts)


def _table(facts: Facts, name: str, found: Found[str]) -> Line:
    if isinstance(found, str):
        return passed(name, found)
    if isinstance(found, Untried):
        return without(name, found)
    status, role = (found.status, found.role) if isinstance(found, RefusedError) else (None, "")
    if status == 404:
        return failed(name, found.sentence, "Deploy the tables again.", commands.provision(facts))
    if status == 403 and isinstance(facts.account, Account):
        command = commands.assign(role, facts.account.assignee, commands.storage_account_id(facts))
        remedy = "Whoever owns the storage account gives you the role; it can take 10 minutes to work."
        return failed(name, found.sentence, remedy, command)
    return failed(name, found.sentence, found.remedy, commands.sign_in(facts) if status == 401 else ())


def _never_ran() -> Line:
    return failed(
        "Last check",
        "The app has not run: the table CheckRun holds no check of its own.",
        "A new deployment checks first at minute 7 of the next hour; if that is over, the app's log says why. "
        "Ask it for a check.",
        _TRIGGER,
    )


def _last(facts: Facts, run: RunRow) -> Line:
    what = "Last check"
    if run.started_on is None:
        return failed(what, f"The newest row cannot be believed: {listed(list(run.problems))}.", "", _TRIGGER)
    when = ago(run.started_on, facts.now)
    if facts.now - run.started_on > LATE:
        return failed(what, f"The app last checked {when}, at {moment(run.started_on)}.", *_restart(facts))
    return passed(what, f"{when[0].upper()}{when[1:]}, {run.outcome}.")


def _restart(facts: Facts) -> tuple[str, tuple[str, ...]]:
    """What mends an app that does not check, and the command; the line `App` has that of one that does not run."""
    if isinstance(facts.app, App) and isinstance(facts.app.state, str) and facts.app.state != "Running":
        return "The app does not run: see App.", ()
    return "Restart the app; if it goes on, its log says why.", commands.of_app(facts, "restart")


def _reading(facts: Facts, run: RunRow) -> Line:
    what = "Reading"
    errors = {name: one.error for name, one in run.connectors.items() if one.error}
    if not errors:
        if not run.connectors:
            return untried(what, "The newest check says of no connector what it read.")
        return passed(what, f"The newest check read {listed([kind(name) for name in run.connectors])}.")
    names = listed([kind(name) for name in errors])
    refused = [error for error in errors.values() if _REFUSED.search(error)]
    if not refused:
        name, error = next(iter(errors.items()))
        said = f"The newest check could not read {names}. {kind(name)}: {error}"
        return failed(what, said, "The next check asks again.", _TRIGGER)
    return _refused(facts, names, refused[0], run.graph_token)


def _refused(facts: Facts, names: str, error: str, token: GraphToken | None) -> Line:
    """Graph refused the app: it lacks the role, or its token does, or there is another reason."""
    what = "Reading"
    granted = _granted(facts, ROLE)
    said = f"Graph did not let the newest check read {names}"
    if granted is False:
        directory = facts.directory
        identity = directory.identity if isinstance(directory, Directory) else None
        return failed(
            what,
            f"{said}: the app's identity does not have the role (see Graph role).",
            "",
            commands.grant(identity.id if identity else None, events=False),
        )
    if granted and token and ROLE in token.lacks:
        return failed(
            what,
            f"{said}: the role is granted, and not yet in the app's token, which Azure keeps until "
            f"{moment(token.expires_on)}.",
            f"The first check after {moment(token.retry_on)} asks for another one; a restart renews nothing.",
            _TRIGGER,
        )
    return failed(
        what, f"{said}: {error}", "", commands.grant(facts.places.value("IDENTITY_PRINCIPAL_ID"), events=False)
    )


def _granted(facts: Facts, role: str) -> bool | None:
    """Whether the app's identity has a role; None where the directory did not tell."""
    directory = facts.directory
    if isinstance(directory, Untried | CommandError) or directory.identity is None:
        return None
    return any(grant.role_id == directory.roles.get(role) for grant in directory.grants)


def _storing(run: RunRow) -> Line:
    what = "Storing"
    if run.store_error:
        return failed(what, f"The newest check: {run.store_error}", "The next check tries again.", _TRIGGER)
    return passed(what, "The newest check stored everything.")


def _heartbeat(facts: Facts, runs: Sequence[RunRow]) -> Line:
    """The newest run whose closing row went out: what keeps the rule for silence quiet."""
    what = "Heartbeat"
    beats = [run for run in runs if run.publish_error is None and run.started_on is not None]
    if not beats:
        return failed(
            what, f"No check of late has published its rows. {runs[0].publish_error or ''}".strip(), "", _TRIGGER
        )
    assert beats[0].started_on is not None  # noqa: S101 # as was asked for
    when = ago(beats[0].started_on, facts.now)
    if runs[0].publish_error:
        said = f"The newest check did not publish all of its rows. {runs[0].publish_error}"
        return failed(what, f"{said} The last one that did was {when}.", "", _TRIGGER)
    if facts.now - beats[0].started_on > LATE:
        return failed(what, f"The last one was {when}.", *_restart(facts))
    return passed(what, f"{when[0].upper()}{when[1:]}.")


def missed(runs: Sequence[RunRow], now: datetime, minute: int) -> list[datetime]:
    """The ticks of the last day at that minute of each hour which no run followed, newest first.

    Those before the oldest of `runs` do not count: the app may not have been there.
    """
    started = sorted(run.started_on for run in runs if run.started_on)
    if not started:
        return []
    tick = (now - _STARTS_WITHIN).replace(minute=minute, second=0, microsecond=0)
    if tick > now - _STARTS_WITHIN:
        tick -= _HOUR
    found = []
    while tick > max(now - _DAY, started[0]):
        if not any(tick - timedelta(minutes=1) <= one < tick + _HOUR - timedelta(minutes=1) for one in started):
            found.append(tick)
        tick -= _HOUR
    return found


def _schedule(facts: Facts, runs: Sequence[RunRow]) -> Line:
    what = "Schedule"
    schedule = facts.settings.get("CHECK_SCHEDULE") or "0 7 * * * *"
    minute = _MINUTE.match(schedule)
    if minute is None or int(minute[1]) > 59:
        return untried(what, f"CHECK_SCHEDULE is {schedule!r}, which is not hourly; see App settings.")
    gaps = missed(runs, facts.now, int(minute[1]))
    late = sum(run.past_due for run in runs if run.started_on and facts.now - run.started_on <= _DAY)
    told_late = f" {count(late, 'check')} started late." if late else ""
    # A single tick that a platform loses is made up for by the next one.
    if len(gaps) > 1 or (gaps and facts.now - gaps[0] < _HOUR + _STARTS_WITHIN):
        return failed(
            what,
            f"{count(len(gaps), 'hourly check')} of the last day did not come, the latest at {moment(gaps[0])}."
            f"{told_late}",
            *_restart(facts),
        )
    lost = f"but for one at {moment(gaps[0])}" if gaps else "without a gap"
    return passed(what, f"Every hour at minute {minute[1]}, in the last day {lost}.{told_late}")


def _version(facts: Facts, run: RunRow) -> Line:
    what = "Version"
    if run.version is None:
        return untried(what, "The newest check does not say which release it is.")
    if run.version == __version__:
        return passed(what, f"The app and this program are release {__version__}.")
    if _order(run.version) < _order(__version__):
        said = f"The app is release {run.version}, and this program {__version__}."
        return failed(
            what, said, "Deploy this release, if the app was not meant to stay behind.", commands.deploy(facts)
        )
    said = f"The app is release {run.version}, and this program is the older {__version__}."
    return failed(what, said, "Take the release of the app.", ("git", "pull"))


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d{1,9}", version))


def _ingestion(facts: Facts) -> Line:
    what, found = "Ingestion", facts.ingestion
    if isinstance(found, str):
        return passed(what, found)
    if isinstance(found, Untried):
        return without(what, found)
    status = found.status if isinstance(found, RefusedError) else None
    command: tuple[str, ...] = ()
    if status in {401, 403} and isinstance(facts.account, Account):
        rule = facts.app.collection_rule(facts.places) if isinstance(facts.app, App) else None
        scope = commands.collection_rule_id(facts, rule)
        command = commands.assign(PUBLISHER, facts.account.assignee, scope)
    elif status == 404:
        command = commands.refresh(facts)
    return failed(what, found.sentence, found.remedy, command)
