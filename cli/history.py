"""`history TOKEN`: what changed about a token, newest first."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer
from rich.text import Text

from cli import WELL, CommandError, export, program, view
from cli.command import Days, Form, command
from cli.judgement import worst_first
from cli.session import Session
from shared.storage.rows import ChangeRow, StatusRow
from shared.text import bounded
from shared.words import count, kind, span

if TYPE_CHECKING:
    from cli.records import Records

_MOST: Final = 20
"""Candidates to list; a longer list helps nobody."""


class Named(NamedTuple):
    """A token that a text may mean."""

    connector: str
    row_key: str
    id: str
    name: str
    status: StatusRow | None
    """None for a token that is no longer in `TokenStatus`."""


@command()
def history(
    session: Session,
    token: Annotated[str, typer.Argument(help="The token's id, its name, or a part of it.")],
    days: Days = None,
    form: Form = "table",
) -> int:
    """Show what changed about a token, newest first.

    Finds a removed token, too, as long as its history is kept. If several tokens match, the command lists them.

    For example:
      python -m cli history "Contoso Retail"
      python -m cli history retail --days 30
      python -m cli history push --format json

    JSON: connector, id, name, health (null for a removed token), and
      changes: changed_on, connector, id, name, old_health, health, sentence, run_id, problems, and
      changes (field, old, new).
    """
    since = session.now - timedelta(days=days) if days else None
    named, changes = session.read(lambda records: _read(records, token, since))
    match form:
        case "json":
            health = str(named.status.health) if named.status else None
            of = {"connector": named.connector, "id": named.id, "name": named.name, "health": health}
            session.write(export.json_text({**of, "changes": [export.change_object(one) for one in changes]}))
        case "csv":
            session.write(export.history_csv(changes))
        case _:
            _print(session, named, changes, days)
    return WELL


async def _read(records: "Records", text: str, since: datetime | None) -> tuple[Named, list[ChangeRow]]:
    """Return the token that `text` means, and its history.

    Raises:
        CommandError: if no token matches, or several do.

    """
    token = await _find(records, text)
    return token, await records.history(of=(token.connector, token.row_key), since=since)


async def _find(records: "Records", text: str) -> Named:
    """Return the token that `text` means, among those in `TokenStatus`, else among those that were removed."""
    rows = worst_first(await records.statuses())
    token = _chosen(text, [Named(row.connector, row.row_key, row.id, row.name, row) for row in rows])
    if token is None:
        present = {(row.connector, row.row_key) for row in rows}
        changes = await records.history(columns=["TokenName", "ChangedOn"])
        removed = {  # the newest name of each counts: it comes first
            (row.connector, row.row_key): Named(row.connector, row.row_key, row.id, row.name, None)
            for row in reversed(changes)
            if (row.connector, row.row_key) not in present
        }
        token = _chosen(text, removed.values())
    if token is None:
        raise CommandError(
            f"No token has {bounded(text, 100)!r} as its id or name, or as a part of it.",
            f"`{program()} status` lists the tokens. The history of a removed token is deleted after a time.",
        )
    return token


def _chosen(text: str, tokens: Iterable[Named]) -> Named | None:
    """Return the token that `text` means: by its id, else its name, else a part of either; None if none matches.

    Raises:
        CommandError: with the candidates, if several match.

    """
    wanted, candidates = text.strip().casefold(), list(tokens)
    by_id = [token for token in candidates if wanted == token.id.casefold()]
    by_name = [token for token in candidates if wanted == token.name.casefold()]
    by_part = [one for one in candidates if wanted in one.name.casefold() or one.id.casefold().startswith(wanted)]
    matches = by_id or by_name or by_part
    if len(matches) > 1:
        lines = [f"\n  {token.id}  {kind(token.connector):4}  {token.name}" for token in matches[:_MOST]]
        more = f"\n  and {len(matches) - _MOST} more" if len(matches) > _MOST else ""
        raise CommandError(
            f"{bounded(text, 100)!r} can mean {count(len(matches), 'token')}.",
            f"Name one by its id:{''.join(lines)}{more}",
        )
    return matches[0] if matches else None


def _print(session: Session, token: Named, changes: list[ChangeRow], days: int | None) -> None:
    status = token.status
    health = str(status.health) if status else "removed"
    if status and status.health_since and status.health_since <= session.now:
        health += f" for {span(session.now - status.health_since)}"
    head = f"{token.name} ({kind(token.connector)}, {token.id}): "
    session.out.print(Text.assemble(head, (health, view.STYLES[status.health] if status else "")))
    view.print_changes(session.out, changes)
    if not changes:
        session.print(f"Nothing changed{f' in {count(days, "day")}' if days else ''}.")
