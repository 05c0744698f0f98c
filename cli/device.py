"""`device SERIAL`: which ADE token a device stands under, with which profile, and in what state."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from rich.text import Text

from cli import COULD_NOT_TELL, WELL, CommandError, export, view
from cli.by_hand import ByHand, open_by_hand
from cli.device_search import SECONDS, Search, Stands, search
from cli.progress import counting
from cli.session import Session
from cli.sign_in import GraphSignIn
from shared.graph import connectors
from shared.graph.devices import ADE_SOURCE, has_profile, known
from shared.graph.pages import GraphError
from shared.model.tokens import Connector, Failure, Token
from shared.text import bounded
from shared.words import ago, count, moment

_LONGEST_SERIAL: Final = 64
_MOST_FAILURES: Final = 5


def run(session: Session, sign_in: GraphSignIn, serial: str, form: str) -> int:
    """Look under every ADE token, and tell; the exit code.

    Raises:
        CommandError: where the serial number is none, or nobody may read Graph.

    """
    wanted = serial.strip().upper()
    if not wanted or bounded(wanted, _LONGEST_SERIAL) != wanted:
        raise CommandError(
            f"This is not a serial number: {bounded(serial, 80)!r}.",
            f"Expected: 1 to {_LONGEST_SERIAL} visible characters.",
        )
    done, lost = asyncio.run(_run(session, sign_in, wanted))
    if form == "json":
        session.write(export.json_text(_object(done, lost)))
    else:
        _print(session, done, lost)
    return WELL if done.found else COULD_NOT_TELL


async def _run(session: Session, sign_in: GraphSignIn, serial: str) -> tuple[Search, Failure | None]:
    async with open_by_hand(session, sign_in, judges=False) as by_hand:
        with session.working("Asking Graph for the ADE tokens"):
            tokens, lost = await _tokens(by_hand)
        with counting(session, f"Looking under {count(len(tokens), 'ADE token')}", len(tokens)) as step:
            return await search(by_hand.clients.graph, tokens, serial, step), lost


async def _tokens(by_hand: ByHand) -> tuple[Sequence[Token], Failure | None]:
    """Return the ADE tokens, and why entries of Graph's list are not among them."""
    reading = await connectors.read(by_hand.clients.graph, Connector.ADE, by_hand.settings.check_timeout_seconds)
    if reading.failure and not reading.tokens:
        raise _refused(reading.failure)
    if not reading.tokens:
        raise CommandError(
            "Graph shows you no ADE token.", "There is none in this tenant, or your Intune role sees none of them."
        )
    return reading.tokens, reading.failure


def _refused(failure: Failure) -> CommandError:
    if failure.status in {401, 403}:
        return CommandError(f"Graph does not let you read the ADE tokens (HTTP {failure.status}).", failure.remedy)
    return CommandError(f"The ADE tokens could not be read: {failure.reason}.", "Try again in a minute.")


def _print(session: Session, done: Search, lost: Failure | None) -> None:
    out, serial = session.out, bounded(done.serial)
    for one in done.found:
        gone = ", and is deleted there" if one.device.is_deleted else ""
        out.print(view.told(f"{serial} stands under {one.token.name} ({bounded(one.token.id, 100)}){gone}."))
        for label, value in _facts(one, session.now):
            view.print_hanging(out, f"  {label:<14}", Text(value))
    for token, error in done.failures[:_MOST_FAILURES]:
        out.print(view.told(f"{token.name} could not be looked into: {_why(error)}.", warning=True))
    if len(done.failures) > _MOST_FAILURES:
        out.print(view.told(f"Nor could {len(done.failures) - _MOST_FAILURES:,} more tokens.", warning=True))
    if lost:
        out.print(view.told(_not_searched(lost), warning=True))
    if done.looked < done.tokens:
        slow = f"The search ended after {SECONDS:g} seconds, at {done.looked:,} of {done.tokens:,} tokens."
        out.print(view.told(slow, warning=True))
    if not done.found:
        if done.unreadable:
            told = f"{done.unreadable:,} of the lists' entries could not be read; the device can be one of them."
            out.print(view.told(told, warning=True))
        out.print(view.told(f"{serial} stands under none of the {count(done.searched, 'ADE token')} searched."))
        out.print(
            view.told(
                "See in Apple Business or School Manager which MDM server it is assigned to; if it is one of these, "
                "press Sync on its token in Intune. A device that nobody assigned is not in Intune's lists."
            )
        )


def _not_searched(lost: Failure) -> str:
    """Return which tokens the search leaves out, in a sentence: without an id, nobody can ask for their devices."""
    return f"The devices of some ADE tokens were not searched, because {lost.reason}."


def _why(error: GraphError) -> str:
    if error.by_roles:
        return f"your Intune role does not let you read its devices (HTTP {error.status})"
    return f"{error.reason} (HTTP {error.status})" if error.status else error.reason


def _facts(one: Stands, now: datetime) -> list[tuple[str, str]]:
    device = one.device
    source = device.discovery_source
    return [
        ("Profile", _profile_told(one)),
        ("State", bounded(device.enrollment_state or "not told", 80)),
        ("Last contact", _moment(device.contacted_on, now, "never")),
        ("Platform", bounded(device.platform or "not told", 80)),
        ("Source", "Automated Device Enrollment" if source == ADE_SOURCE else bounded(source or "not told", 80)),
        ("In the list", _moment(device.created_on, now, "since a time not told")),
        ("Deleted", "yes; Intune keeps the entry for 30 to 45 days" if device.is_deleted else "no"),
    ]


def _profile_told(one: Stands) -> str:
    wanted = one.device.requested_enrollment_profile_id
    if not has_profile(wanted) or wanted is None:
        return "none: the device does not enroll until one is assigned"
    on = known(one.device.assigned_on)
    asked = f", asked for on {moment(on)}" if on else ""
    return f"{one.profile or f'{bounded(wanted, 100)} (Graph tells no name)'}{asked}"


def _moment(instant: datetime | None, now: datetime, never: str) -> str:
    told = known(instant)
    return f"{moment(told)} ({ago(told, now)})" if told else never


def _object(done: Search, lost: Failure | None) -> dict[str, Any]:
    return {
        "serial": bounded(done.serial),
        "tokens": done.tokens,
        "searched": done.searched,
        "not_searched": _not_searched(lost) if lost else None,
        "unreadable": done.unreadable,
        "failures": [
            {"token_id": bounded(token.id), "token": token.name, "error": _why(error)} for token, error in done.failures
        ],
        "devices": [
            {
                "token_id": bounded(one.token.id),
                "token": one.token.name,
                "profile_id": _text(one.device.requested_enrollment_profile_id),
                "profile": one.profile,
                "assigned_on": _iso(one.device.assigned_on),
                "state": _text(one.device.enrollment_state),
                "last_contact": _iso(one.device.contacted_on),
                "platform": _text(one.device.platform),
                "source": _text(one.device.discovery_source),
                "created_on": _iso(one.device.created_on),
                "deleted": bool(one.device.is_deleted),
            }
            for one in done.found
        ],
    }


def _iso(instant: datetime | None) -> str | None:
    return export.iso(known(instant))


def _text(text: str | None) -> str | None:
    return text and bounded(text)
