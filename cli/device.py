"""`device SERIAL`: the ADE token that lists a device, its enrollment profile and its state."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer
from rich.text import Text

from cli import COULD_NOT_TELL, WELL, CommandError, export, view
from cli.command import command
from cli.progress import counting
from cli.session import Session
from shared.model.runs import Failure
from shared.model.tokens import Connector, Token
from shared.text import bounded
from shared.words import ago, count, moment

if TYPE_CHECKING:
    from cli.device_search import Listed, Search
    from cli.graph_access import Access
    from shared.graph.pages import GraphError

_LONGEST_SERIAL: Final = 64
_MOST_FAILURES: Final = 5


@command("TENANT_ID", "GRAPH_ENDPOINT", "AZURE_CLOUD", reads_graph=True)
def device(
    session: Session,
    serial: Annotated[str, typer.Argument(help="The device's serial number, as Apple writes it.")],
    form: Annotated[Literal["table", "json"], typer.Option("--format", "-f", help="The form of the output.")] = "table",
) -> int:
    """Find the ADE token that lists a device.

    Shows the device's enrollment profile, its state, its last contact, and whether Intune lists it as deleted. Searches
    the lists of all ADE tokens in Graph; you sign in to Graph as for `check`. Exit code 0: found; 3: not found.

    For example:
      python -m cli device C02XK1ABJGH5
      python -m cli device C02XK1ABJGH5 --format json | jq -r '.devices[].token'

    JSON: serial, tokens, searched, failures (token_id, token, error), and
      devices: token_id, token, profile_id, profile, assigned_on, state, last_contact, platform, source, created_on,
      deleted.
    """
    wanted = serial.strip().upper()
    if not wanted or bounded(wanted, _LONGEST_SERIAL) != wanted:
        raise CommandError(
            f"This is not a serial number: {bounded(serial, 80)!r}.",
            f"Expected: 1 to {_LONGEST_SERIAL} visible characters.",
        )
    done, lost = asyncio.run(_search(session, wanted))
    if form == "json":
        session.write(export.json_text(_object(done, lost)))
    else:
        _print(session, done, lost)
    return WELL if done.found else COULD_NOT_TELL


async def _search(session: Session, serial: str) -> "tuple[Search, Failure | None]":
    from cli.device_search import search
    from cli.graph_access import open_access

    reads = "the ADE tokens and their lists of devices"
    async with open_access(session, reads=reads, app_settings=False) as access:
        with session.working("Reading the ADE tokens from Graph"):
            tokens, lost = await _tokens(access)
        with counting(session, f"Searching the lists of {count(len(tokens), 'ADE token')}", len(tokens)) as step:
            return await search(access.clients.graph, tokens, serial, step), lost


async def _tokens(access: "Access") -> tuple[Sequence[Token], Failure | None]:
    """Return the ADE tokens, and why entries of Graph's list are not among them."""
    from shared.graph import connectors

    reading = await connectors.read(access.clients.graph, Connector.ADE, access.settings.check_timeout_seconds)
    if reading.failure and not reading.tokens:
        raise _refused(reading.failure)
    if not reading.tokens:
        raise CommandError(
            "Graph shows you no ADE token.", "There is none in this tenant, or none in the scope of your Intune role."
        )
    return reading.tokens, reading.failure


def _refused(failure: Failure) -> CommandError:
    if failure.status in {401, 403}:
        return CommandError(f"Graph does not let you read the ADE tokens (HTTP {failure.status}).", failure.remedy)
    return CommandError(f"The ADE tokens could not be read: {failure.reason}.", "Try again in a minute.")


def _print(session: Session, done: "Search", lost: Failure | None) -> None:
    serial = bounded(done.serial)
    for one in done.found:
        deleted = " as deleted" if one.deleted else ""
        session.print(f"{one.token} ({one.token_id}) lists {serial}{deleted}.")
        for label, value in _facts(one, session.now):
            view.print_hanging(session.out, f"  {label:<14}", Text(value))
    for token, error in done.failures[:_MOST_FAILURES]:
        session.print(f"The list of {token.name} could not be searched: {_why(error)}.", warning=True)
    if len(done.failures) > _MOST_FAILURES:
        session.print(f"Nor could those of {len(done.failures) - _MOST_FAILURES:,} more tokens.", warning=True)
    if lost:
        session.print(_not_searched(lost), warning=True)
    if done.searched_until < done.tokens:
        until = f"{done.searched_until:,} of {done.tokens:,} tokens"
        session.print(f"The search ended after {done.seconds:g} seconds, at {until}.", warning=True)
    if not done.found:
        if done.unreadable:
            entries = f"{done.unreadable:,} of the lists' entries could not be read; the device can be one of them."
            session.print(entries, warning=True)
        session.print(f"None of the {count(done.searched, 'ADE token')} searched lists {serial}.")
        session.print(
            "Find out in Apple Business or School Manager which MDM server the device is assigned to. If it is one of "
            "these, select Sync on its token in Intune. Intune does not list a device that is not assigned."
        )


def _not_searched(lost: Failure) -> str:
    """Return which tokens the search leaves out, in a sentence: without an id, nobody can ask for their devices."""
    return f"The devices of some ADE tokens were not searched, because {lost.reason}."


def _why(error: "GraphError") -> str:
    if error.by_roles:
        return f"your Intune role does not let you read its devices (HTTP {error.status})"
    return f"{error.reason} (HTTP {error.status})" if error.status else error.reason


def _facts(one: "Listed", now: datetime) -> list[tuple[str, str]]:
    from shared.graph.devices import ADE_SOURCE

    def when(instant: datetime | None, never: str) -> str:
        return f"{moment(instant)} ({ago(instant, now)})" if instant else never

    source = "Automated Device Enrollment" if one.source == ADE_SOURCE else one.source
    return [
        ("Profile", _profile(one)),
        ("State", one.state or "not known"),
        ("Last contact", when(one.last_contact, "never")),
        ("Platform", one.platform or "not known"),
        ("Source", source or "not known"),
        ("In the list", when(one.created_on, "since an unknown time")),
        ("Deleted", "yes; Intune keeps the entry for 30 to 45 days" if one.deleted else "no"),
    ]


def _profile(one: "Listed") -> str:
    from shared.graph.devices import has_profile

    if not has_profile(one.profile_id):
        return "none: the device does not enroll until one is assigned"
    requested = f", requested on {moment(one.assigned_on)}" if one.assigned_on else ""
    return f"{one.profile or f'{one.profile_id} (Graph gives no name)'}{requested}"


def _object(done: "Search", lost: Failure | None) -> dict[str, Any]:
    return {
        "serial": bounded(done.serial),
        "tokens": done.tokens,
        "searched": done.searched,
        "not_searched": _not_searched(lost) if lost else None,
        "unreadable": done.unreadable,
        "failures": [
            {"token_id": bounded(token.id), "token": token.name, "error": _why(error)} for token, error in done.failures
        ],
        "devices": [export.plain(one._asdict()) for one in done.found],
    }
