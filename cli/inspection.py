"""`inspect TOKEN`: the devices of one ADE token, counted now from here; with `--write`, kept for the next check."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from msgspec.structs import replace
from rich.text import Text

from cli import WELL, CommandError, view
from cli.by_hand import ByHand, new_run_id, open_by_hand, store_refused
from cli.check import finding_lines
from cli.history import Named, chosen
from cli.records import Records
from cli.rows import worst_first
from cli.session import Session
from cli.sign_in import GraphSignIn
from shared.graph.connectors import failure
from shared.graph.device_reader import DeviceReader
from shared.graph.pace import Pace
from shared.graph.pages import GraphError
from shared.guidance.guidance import Guidance
from shared.judging.device_findings import DEVICE_FINDINGS
from shared.judging.findings import Subject, findings
from shared.model.counts import Counts, Events, Inspected, Inspection
from shared.model.tokens import Connector, Failure, Finding, Status
from shared.storage.store import Inspections, Store, StoreError
from shared.text import bounded
from shared.token_inspection import Look
from shared.words import count, counted, kind, listed, moment, next_tick

_SYMPTOMS: Final = {
    "waiting": "waiting for an enrollment profile",
    "not_contacted": "with a profile, and without contact for long",
    "failed": "whose enrollment failed",
    "blocked": "whose enrollment is blocked",
}
"""Attributes of `Counts`, and what they count."""


class Looked(NamedTuple):
    """What an inspection of one token would make of it."""

    status: Status
    before: Inspection | None
    after: Inspection
    last: Inspected
    etag: str | None
    """Of the row that `before` was read from."""


def run(session: Session, sign_in: GraphSignIn, text: str, *, write: bool) -> int:
    """Inspect, and tell; the exit code.

    Raises:
        CommandError: where there is no such token, nobody may read it, or it was not read as a whole.

    """
    token = session.read(lambda records: find_ade_token(records, text))
    return asyncio.run(_run(session, sign_in, token, write=write))


async def find_ade_token(records: Records, text: str) -> Named:
    """The ADE token that `text` means.

    Raises:
        CommandError: where there is none, or several.

    """
    rows = worst_first(await records.statuses())
    known = [Named(row.connector, row.row_key, row.id, row.name, row) for row in rows]
    token = chosen(text, (one for one in known if one.connector == Connector.ADE))
    if token is not None:
        return token
    other = chosen(text, known)
    if other is not None:
        raise CommandError(
            f"{other.told} is no ADE token, and only those have devices.",
            "`python -m cli status --connector ade` lists them.",
        )
    raise CommandError(
        f"No ADE token has the id or name {bounded(text, 100)!r}, or one that it is a part of.",
        "`python -m cli status --connector ade` lists them; one that is new is known after the next check.",
    )


async def _run(session: Session, sign_in: GraphSignIn, token: Named, *, write: bool) -> int:
    async with open_by_hand(session, sign_in, needs=("TABLES_ENDPOINT",)) as by_hand:
        store = Store(by_hand.clients.tables, by_hand.clients.transactions, Guidance())
        with session.working("Reading what is remembered"):
            status, inspections = await _remembered(session, store, token)
        with session.working(f"Asking Graph for the devices of {token.name}"):
            looked = await _look(by_hand, status, inspections)
        _print(session, looked, by_hand)
        if not write:
            session.out.print(view.told("Nothing was written; --write keeps it for the next check."))
            return WELL
        with session.working("Writing the table DeviceInspection"):
            await _save(store, looked)
    due = f"{next_tick(datetime.now(UTC)):%H:%M} UTC"
    session.out.print(view.told(f"It is kept: run {looked.after.run_id}. The next check, at {due}, judges by it."))
    return WELL


async def _remembered(session: Session, store: Store, token: Named) -> tuple[Status, Inspections]:
    try:
        loaded, inspections = await asyncio.gather(store.load(), store.load_inspections())
    except StoreError as error:
        raise store_refused(error, session.places) from error
    status = loaded.statuses.get((Connector.ADE, token.id))
    if status is None:
        raise CommandError(
            f"What the monitor remembers of {token.told} cannot be read.", "The next check writes the row anew."
        )
    return status, inspections


async def _look(by_hand: ByHand, status: Status, inspections: Inspections) -> Looked:
    """Count the token's whole list, from its first page on.

    Raises:
        CommandError: where Graph did not bring all of it in time.

    """
    settings, before = by_hand.settings, inspections.known.get(status.token.id)
    seconds = settings.inspect_timeout_seconds
    reader = DeviceReader(by_hand.clients.graph, Pace(asyncio.get_running_loop().time() + seconds))
    anew = before and replace(before, pause=None)
    now = datetime.now(UTC)
    look = Look(reader, status, anew, settings, run_id=new_run_id(), now=now)
    # A person signs in with one permission, and these events take another.
    events = Events(since=now, error="inspected by hand.") if settings.enrollment_events else None
    try:
        after = await look.complete(events)
    except TimeoutError:
        raise CommandError(
            f"Graph did not list the devices of '{status.label}' within {seconds} seconds.",
            "Set INSPECT_TIMEOUT_SECONDS higher, or leave it to the app, which goes on from run to run.",
        ) from None
    except GraphError as error:
        raise _refused(failure(by_hand.clients.graph, Connector.ADE, error), status) from error
    assert after.last is not None  # noqa: S101 # it is complete
    return Looked(status, before, after, after.last, inspections.etag(status.token.id))


def _refused(error: Failure, status: Status) -> CommandError:
    answer = f" (HTTP {error.status})" if error.status else ""
    match error.status:
        case 401 | 403:
            return CommandError(f"Graph does not let you read the devices of '{status.label}'{answer}.", error.remedy)
        case 404:
            return CommandError(
                f"Graph does not show you the token '{status.label}'{answer}.",
                "It was removed in Intune, or your Intune role does not see its scope tags.",
            )
        case _:
            said = f"{error.reason}{answer}"
            return CommandError(f"The devices of '{status.label}' could not be read: {said}.", "Try again in a minute.")


async def _save(store: Store, looked: Looked) -> None:
    try:
        saved = await store.save_inspection(looked.after, looked.etag)
    except StoreError as error:
        raise CommandError(
            f"Nothing was written: {str(error).rstrip('.')}.",
            "It ran with your sign-in: a role that is named is one that you need.",
        ) from error
    if not saved:
        raise CommandError(
            "Nothing was written: the app inspected the token in the meantime, and its row is the newer one.",
            "`python -m cli status` shows what the next check makes of it.",
        )


def _print(session: Session, looked: Looked, by_hand: ByHand) -> None:
    counts, status = looked.last.counts, looked.status
    out = session.out
    out.print(view.told(f"{status.label} ({kind(status.token.connector)}, {bounded(status.token.id, 100)})"))
    for label, value in _facts(looked.last, status, looked.before):
        view.print_hanging(out, f"  {label:<18}", Text(value))
    for symptom, what in _SYMPTOMS.items():
        _print_symptom(session, counts, symptom, what)
    if looked.after.error:
        out.print(view.told(looked.after.error, warning=True))
    guidance = Guidance(by_hand.settings.sync_error_names, by_hand.settings.cloud)
    before, after = _found(looked, by_hand)
    known = {(one.code, one.severity) for one in before}
    came = [one for one in after if (one.code, one.severity) not in known]
    went = [one for one in before if one.code not in {each.code for each in after}]
    judged = replace(status, findings=tuple(after))
    stays = listed([one.code for one in after if one not in came])
    if came or went:
        out.print(view.told("The next check would find:"))
        for first, line in finding_lines(judged, before, came, went, guidance):
            view.print_hanging(out, first, line)
    if stays:
        out.print(view.told(f"As known before: {stays}."))
    if not after and not went:
        out.print(view.told("The next check would find nothing wrong with its devices."))
    out.print(view.told(by_hand.limits.told))


def _facts(last: Inspected, status: Status, before: Inspection | None) -> list[tuple[str, str]]:
    counts = last.counts
    profiles = "not told by Graph" if last.profiles is None else f"{last.profiles:,}"
    defaults = last.defaults or {}
    named = [f"{platform}: {bounded(name, 80)}" for platform, name in defaults.items() if name]
    synced = status.token.synced_devices
    earlier = before.last if before else None
    told = f"{moment(earlier.on)}, {count(earlier.counts.devices, 'device')}" if earlier else "never"
    return [
        ("Devices", _counted(counts.devices, counts.by_state)),
        ("Platforms", counted(counts.by_platform) or "-"),
        ("Deleted", f"{counts.deleted:,}{' (Intune keeps them for 30 to 45 days)' if counts.deleted else ''}"),
        ("Other sources", _counted(counts.imported, counts.by_source)),
        ("Token's own count", "not known" if synced is None else f"{synced:,}, at its last sync"),
        ("Without profile", f"{counts.without_profile:,}"),
        ("Profiles", profiles),
        ("Default profiles", "not told by Graph" if last.defaults is None else ", ".join(named) or "none"),
        ("Newest device", moment(counts.newest_on) if counts.newest_on else "-"),
        ("Inspected before", told),
    ]


def _print_symptom(session: Session, counts: Counts, symptom: str, what: str) -> None:
    number = getattr(counts, symptom)
    if not number:
        return
    session.out.print(view.told(f"{count(number, 'device')} {what}", warning=True))
    serials = counts.examples.get(symptom, ())
    if serials:
        more = "" if len(serials) >= number else f" and {number - len(serials):,} more"
        view.print_hanging(session.out, "    ", Text(", ".join(serials) + more))


def _found(looked: Looked, by_hand: ByHand) -> tuple[Sequence[Finding], list[Finding]]:
    """What is known to be wrong with the devices, and what the next check would find, worst first."""
    status, now = looked.status, looked.last.on
    before = [one for one in status.findings if one.code in DEVICE_FINDINGS]
    subject = Subject(status.token, status, now, by_hand.settings, inspection=looked.after)
    after = findings(subject, DEVICE_FINDINGS)
    return before, sorted(after, key=lambda one: -one.severity)


def _counted(number: int, parts: dict[str, int]) -> str:
    told = counted(parts)
    return f"{number:,} ({told})" if told else f"{number:,}"
