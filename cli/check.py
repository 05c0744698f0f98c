"""`check`: one check now, from the operator's machine; what would change, and with `--write` the check itself."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from rich.text import Text

from cli import COULD_NOT_TELL, WARNINGS, WELL, WRONG, CommandError, view
from cli.by_hand import ByHand, new_run_id, open_by_hand, store_refused
from cli.session import Session
from cli.sign_in import GraphSignIn
from shared import check as app
from shared.graph import connectors
from shared.guidance.guidance import Guidance
from shared.judging.judge import Judgement, judge
from shared.model.tokens import Code, Failure, Finding, Health, Key, Outcome, Reading, Run, Status
from shared.storage.store import Loaded, Store, StoreError
from shared.words import count, kind, listed, next_tick

_PUBLISHES: Final = ("TABLES_ENDPOINT", "LOGS_INGESTION_ENDPOINT", "LOGS_INGESTION_RULE_ID", "TENANT_ID", "DEPLOYMENT")
_MOST_NAMED: Final = 5


class Move(NamedTuple):
    """What a check makes of one token."""

    before: Status | None
    after: Status
    came: tuple[Finding, ...]
    """Findings that it gained, or that got another severity or tier."""
    went: tuple[Finding, ...]
    """Findings that are gone."""

    @property
    def moved(self) -> bool:
        """Whether anything is different."""
        return self.before is None or self.before.health is not self.after.health or bool(self.came or self.went)


class Seen(NamedTuple):
    """What a check would find out."""

    readings: Sequence[Reading]
    loaded: Loaded
    judgement: Judgement

    @property
    def failures(self) -> list[Failure]:
        """Why connectors could not be read."""
        return [reading.failure for reading in self.readings if reading.failure]

    @property
    def moves(self) -> list[Move]:
        """Every token, worst first."""
        return moves(self.loaded.statuses, self.judgement.statuses)

    @property
    def missing(self) -> list[Status]:
        """Tokens that the monitor knows, and that Graph does not show to whoever signed in."""
        read = {reading.connector: {token.id for token in reading.tokens} for reading in self.readings}
        read = {of: ids for of, ids in read.items() if of not in {failure.connector for failure in self.failures}}
        known = (status for status in self.loaded.statuses.values() if not status.finding(Code.REMOVED))
        return [one for one in known if one.token.connector in read and one.token.id not in read[one.token.connector]]


def moves(before: Mapping[Key, Status], after: Sequence[Status]) -> list[Move]:
    """What became of each token, worst first."""
    made = [_move(before.get(status.key), status) for status in after]
    return sorted(made, key=lambda move: (-move.after.health, move.after.token.name.casefold(), move.after.token.id))


def _move(before: Status | None, after: Status) -> Move:
    known = {_state(finding) for finding in before.findings} if before else set()
    here = {finding.code for finding in after.findings}
    came = tuple(finding for finding in after.findings if _state(finding) not in known)
    went = tuple(finding for finding in (before.findings if before else ()) if finding.code not in here)
    return Move(before, after, came, went)


def _state(finding: Finding) -> tuple[str, Health, str | None]:
    return finding.code, finding.severity, finding.tier


def run(session: Session, sign_in: GraphSignIn, *, write: bool) -> int:
    """Check, and tell; the exit code is that of the tokens' healths.

    Raises:
        CommandError: where nobody may read Graph or the tables, or what was seen is not to be written.

    """
    return asyncio.run(_run(session, sign_in, write=write))


async def _run(session: Session, sign_in: GraphSignIn, *, write: bool) -> int:
    needs = _PUBLISHES if write else ("TABLES_ENDPOINT",)
    async with open_by_hand(session, sign_in, needs=needs) as by_hand:
        with session.working("Asking Graph and reading the tables"):
            seen = await _look(session, by_hand)
        _print(session, seen, Guidance(by_hand.settings.sync_error_names, by_hand.settings.cloud))
        session.out.print(view.told(by_hand.limits.told))
        if not write:
            session.out.print(view.told("Nothing was written; --write stores and publishes it."))
            return _code(seen)
        if problem := _not_to_be_written(seen, by_hand):
            raise problem
        with session.working("Checking, storing and publishing"):
            now = datetime.now(UTC)
            done = await app.check(by_hand.settings, by_hand.clients, run_id=new_run_id(), now=now, by_hand=True)
        return _told_of_run(session, done, seen)


async def _look(session: Session, by_hand: ByHand) -> Seen:
    """Read and judge as the app does.

    Raises:
        CommandError: where the tables refuse whoever asks, or Graph does so for every connector.

    """
    settings, clients = by_hand.settings, by_hand.clients
    seconds = app.READING_ENDS * settings.check_timeout_seconds
    reading = asyncio.gather(*(connectors.read(clients.graph, one, seconds) for one in sorted(settings.connectors)))
    store = Store(clients.tables, clients.transactions, Guidance())
    try:
        readings, loaded, inspections = await asyncio.gather(reading, store.load(), store.load_inspections())
    except StoreError as error:
        raise store_refused(error, session.places) from error
    failures = [one.failure for one in readings if one.failure]
    if len(failures) == len(readings) and all(failure.status in {401, 403} for failure in failures):
        first = failures[0]
        told = f"Graph lets this sign-in read nothing: {first.asked} answered HTTP {first.status}."
        raise CommandError(told, first.remedy)
    judgement = judge(
        readings,
        loaded.statuses,
        inspections=inspections.known,
        run_id=new_run_id(),
        now=datetime.now(UTC),
        settings=settings,
    )
    return Seen(readings, loaded, judgement)


def _not_to_be_written(seen: Seen, by_hand: ByHand) -> CommandError | None:
    """Why what was seen is not to be remembered: a part of the whole would look like a change of the tokens."""
    if seen.failures:
        unread = listed([kind(failure.connector) for failure in seen.failures])
        return CommandError(
            f"Nothing was written: {unread} could not be read, and by hand only a whole look is kept.",
            "`python -m cli trigger` asks the app itself for a check.",
        )
    if seen.missing:
        return CommandError(
            f"Nothing was written: Graph does not show you {_named_tokens(seen.missing)}, which the monitor knows.",
            "If it was removed in Intune, the app finds out by itself; if not, sign in as somebody whose Intune role "
            "sees all scope tags.",
        )
    if by_hand.limits.why_not:
        return CommandError(
            f"Nothing was written: the app's own settings are not known ({by_hand.limits.why_not}), and a check by "
            "other limits would change what the monitor remembers.",
            "It takes a role on the function app such as Website Contributor; or `python -m cli trigger` asks the app "
            "itself.",
        )
    return None


def _named_tokens(statuses: Sequence[Status]) -> str:
    names = [f"'{status.label}' ({kind(status.token.connector)})" for status in statuses[:_MOST_NAMED]]
    more = len(statuses) - _MOST_NAMED
    return listed([*names, f"{more:,} more"] if more > 0 else names)


def _code(seen: Seen) -> int:
    if len(seen.failures) == len(seen.readings):
        return COULD_NOT_TELL
    worst = Health.worst(
        [*(status.health for status in seen.judgement.statuses), *(Health.UNKNOWN for _ in seen.failures)]
    )
    return WRONG if worst >= Health.UNKNOWN else WARNINGS if worst is Health.WARNING else WELL


def _print(session: Session, seen: Seen, guidance: Guidance) -> None:
    read = ", ".join(f"{kind(one.connector)} {'not read' if one.failure else len(one.tokens)}" for one in seen.readings)
    session.out.print(view.told(f"Read from Graph: {read}."))
    for failure in seen.failures:
        session.out.print(view.told(f"{kind(failure.connector)} could not be read: {failure}", warning=True))
    for problem in seen.loaded.unreadable.values():
        session.out.print(view.told(f"{problem}; the token would be judged anew.", warning=True))
    if seen.missing:
        text = f"Graph does not show you {_named_tokens(seen.missing)}: removed, or outside the scope of your role."
        session.out.print(view.told(text, warning=True))
    moved = [move for move in seen.moves if move.moved]
    for move in moved:
        for first, line in _lines(move, guidance):
            view.print_hanging(session.out, first, line)
    gone = [seen.loaded.statuses[of] for of in seen.judgement.departed if of in seen.loaded.statuses]
    for status in gone:
        session.out.print(Text(f"- {status.label} ({kind(status.token.connector)}) leaves the table TokenStatus"))
    same = len(seen.judgement.statuses) - len(moved)
    changed = f"{count(len(moved) + len(gone), 'token')} would change" if moved or gone else "Nothing would change"
    stays = f"{same:,} would stay as {'it is' if same == 1 else 'they are'}"
    session.out.print(view.told(f"\n{changed}, {stays}." if same else f"\n{changed}."))
    healths = Counter(status.health for status in seen.judgement.statuses)
    told = ", ".join(f"{healths[health]:,} {health}" for health in sorted(healths, reverse=True))
    session.out.print(view.told(f"{count(healths.total(), 'token')}: {told}." if told else "There is no token."))


def _lines(move: Move, guidance: Guidance) -> Iterator[tuple[str, Text]]:
    """What becomes of one token, each line with what stands before it."""
    status, before = move.after, move.before
    health = f"{view.SIGNS[status.health]} {status.health}"
    if before is None:
        health = f"new: {health}"
    elif before.health is not status.health:
        health = f"{view.SIGNS[before.health]} {before.health} → {health}"
    yield "", Text.assemble((health, view.STYLES[status.health]), f"  {status.label} ({kind(status.token.connector)})")
    yield from finding_lines(status, before.findings if before else (), move.came, move.went, guidance)


def finding_lines(
    status: Status, before: Sequence[Finding], came: Sequence[Finding], went: Sequence[Finding], guidance: Guidance
) -> Iterator[tuple[str, Text]]:
    """Findings that come and go, each line with what stands before it."""
    known = {finding.code: finding for finding in before}
    for finding in came:
        old = known.get(finding.code)
        was = f" (was {_named(old)})" if old else ""
        yield "  + ", Text(f"{_named(finding)}{was}: {guidance.summary(status, finding)}")
        if not finding.caused_by and finding.code != Code.UNREAD:
            yield "    → ", Text(guidance.action(status.token, finding), style="bold")
    for finding in went:
        yield "  - ", Text(f"{_named(finding)} is gone")


def _named(finding: Finding) -> str:
    tier = f", step {finding.tier}" if finding.tier else ""
    return f"{finding.code} ({finding.severity}{tier})"


def _told_of_run(session: Session, done: Run, seen: Seen) -> int:
    if done.outcome is not Outcome.FAILED:
        session.out.print(view.told(f"It was stored and published: run {done.id}, {count(done.rows, 'finding row')}."))
        told = f"the app's own next check, at {next_tick(datetime.now(UTC)):%H:%M} UTC."
        session.out.print(view.told(f"What began can raise an alert now; what ended clears with {told}"))
        return _code(seen)
    session.out.print(view.told(f"The check was not whole: run {done.id}.", warning=True))
    for error in (done.store_error, done.publish_error):
        if error:
            session.out.print(view.told(error, warning=True))
    session.out.print(view.told("It ran with your sign-in: a role that is named above is one that you need."))
    return COULD_NOT_TELL
