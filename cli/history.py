"""`history TOKEN`: what changed about a token, newest first."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from rich.text import Text

from cli import WELL, CommandError, export, view
from cli.records import Records
from cli.rows import ChangeRow, StatusRow, worst_first
from cli.session import Session
from shared.text import bounded
from shared.words import count, kind, span

_MOST: Final = 20
"""Candidates that are listed; more of them help nobody."""


class Named(NamedTuple):
    """A token that a text may mean."""

    connector: str
    row_key: str
    id: str
    name: str
    status: StatusRow | None
    """None for a token that left `TokenStatus`."""

    @property
    def told(self) -> str:
        """Which one it is, for people."""
        left = "" if self.status else ", no longer there"
        return f"{self.name} ({kind(self.connector)}, {self.id}{left})"


class Found(NamedTuple):
    """A token, and what changed about it."""

    token: Named
    changes: list[ChangeRow]


def chosen(text: str, tokens: Iterable[Named]) -> Named | None:
    """The token that `text` means: by its id, else its name, else a part of either; None if there is none.

    Raises:
        CommandError: naming the candidates where there are several.

    """
    wanted, known = text.strip().casefold(), list(tokens)
    by_id = [token for token in known if wanted == token.id.casefold()]
    by_name = [token for token in known if wanted == token.name.casefold()]
    by_part = [token for token in known if wanted in token.name.casefold() or token.id.casefold().startswith(wanted)]
    for found in (by_id, by_name, by_part):
        if len(found) > 1:
            names = [f"{token.id}  {kind(token.connector):4}  {token.name}" for token in found[:_MOST]]
            more = [f"and {len(found) - _MOST} more"] if len(found) > _MOST else []
            listed = "".join(f"\n  {name}" for name in (*names, *more))
            raise CommandError(
                f"{bounded(text, 100)!r} can mean {count(len(found), 'token')}.", f"Name one by its id:{listed}"
            )
        if found:
            return found[0]
    return None


async def find_token(records: Records, text: str) -> Named:
    """The token that `text` means, among those that are there, else among those that left.

    Raises:
        CommandError: where there is none, or several.

    """
    rows = worst_first(await records.statuses())
    here = [Named(row.connector, row.row_key, row.id, row.name, row) for row in rows]
    token = chosen(text, here)
    if token is None:
        places = {(row.connector, row.row_key) for row in rows}
        changes = await records.history(columns=["TokenName", "ChangedOn"])
        left = {  # the newest name of each counts: it comes first
            (row.connector, row.row_key): Named(row.connector, row.row_key, row.id, row.name, None)
            for row in reversed(changes)
            if (row.connector, row.row_key) not in places
        }
        token = chosen(text, left.values())
    if token is None:
        raise CommandError(
            f"No token has the id or name {bounded(text, 100)!r}, or one that it is a part of.",
            "`python -m cli status` lists the tokens; one that is gone for longer is not known any more.",
        )
    return token


async def read(records: Records, text: str, since: datetime | None) -> Found:
    """The history of the token that `text` means.

    Raises:
        CommandError: where there is no such token, or several.

    """
    token = await find_token(records, text)
    return Found(token, await records.history(of=(token.connector, token.row_key), since=since))


def run(session: Session, text: str, days: int | None, form: str) -> int:
    """Show it in one of the forms; the exit code."""
    since = session.now - timedelta(days=days) if days else None
    found = session.read(lambda records: read(records, text, since))
    match form:
        case "json":
            token = {"connector": found.token.connector, "id": found.token.id, "name": found.token.name}
            health = str(found.token.status.health) if found.token.status else None
            changes = [export.change_object(change) for change in found.changes]
            session.write(export.json_text({**token, "health": health, "changes": changes}))
        case "csv":
            session.write(export.csv_text(export.HISTORY_COLUMNS, export.history_lines(found.changes)))
        case _:
            _print(session, found, days)
    return WELL


def _print(session: Session, found: Found, days: int | None) -> None:
    status = found.token.status
    now = str(status.health) if status else "no longer there"
    if status and status.health_since and status.health_since <= session.now:
        now += f" for {span(session.now - status.health_since)}"
    head = f"{found.token.name} ({kind(found.token.connector)}, {found.token.id}): "
    session.out.print(Text.assemble(head, (now, view.STYLES[status.health] if status else "")))
    view.print_changes(session.out, found.changes)
    if not found.changes:
        session.out.print(view.told(f"Nothing changed{f' in {count(days, "day")}' if days else ''}."))
