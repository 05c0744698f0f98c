"""Fills the templates in. Jinja2 escapes every value; `<bdi>` keeps a name's direction of writing to itself."""

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.ext import Extension
from markupsafe import Markup

from cli.judgement import Filters, Freshness, Judged, summary
from cli.page import monitor as runs_section
from cli.page.timeline import timeline
from cli.page.tokens import TokenEntry, token_entry
from cli.view import connectors
from shared import __version__
from shared.guidance.guidance import Guidance
from shared.model.tokens import Health
from shared.storage.device_rows import InspectionRow
from shared.storage.rows import ChangeRow, RunRow
from shared.words import count, counted, duration, kind, moment, span

GENERATOR: Final = "ADE Token Monitor"
"""The program that wrote a page, as its head names it."""

_FOLDER: Final = Path(__file__).parent
_OPENED: Final = 5
"""Entries to unfold: the worst."""
_RECENT: Final = 15
_OUTCOME_SIGNS: Final = {"succeeded": "healthy", "degraded": "warning", "failed": "critical"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """All that the page shows."""

    judged: Judged
    filters: Filters
    runs: Sequence[RunRow]
    """Of the last days, newest first."""
    changes: Sequence[ChangeRow]
    inspections: Mapping[tuple[str, str], InspectionRow]
    """By connector and row key."""
    missing: Sequence[str]
    """What could not be read beside the tokens, one or two sentences each."""
    now: datetime
    source: str
    """What the page was made from, as a part of a sentence."""
    workbook: str | None


class _Unindented(Extension):
    """Drops the indentation of the templates, which is for those who edit them."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:  # noqa: ARG002
        return re.sub(r"\n[ ]+", "\n", source)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        extensions=[_Unindented],
        finalize=lambda value: f"{value:g}" if isinstance(value, float) else value,
    )
    environment.filters |= {
        "counted": counted,
        "duration": duration,
        "kind": kind,
        "moment": lambda instant: moment(instant) if instant else "not known",
        "number_of": count,
        "read": connectors,
        "thousands": lambda number: f"{number:,}",
    }
    environment.tests["https"] = lambda address: urlsplit(address).scheme == "https"
    environment.globals |= {"OUTCOME_SIGNS": _OUTCOME_SIGNS, "OPENED": _OPENED, "DAYS": runs_section.DAYS}
    return environment


def render(picture: Picture, guidance: Guidance) -> str:
    """Return the whole file."""
    style = Markup((_FOLDER / "style.css").read_text("utf-8").strip())  # noqa: S704 # our own file
    return (
        _environment()
        .get_template("page.html")
        .render(
            generator=GENERATOR,
            version=__version__,
            style=style,
            style_hash=b64encode(sha256(style.encode()).digest()).decode(),
            now=picture.now,
            source=picture.source,
            workbook=picture.workbook,
            **_context(picture, guidance),
        )
    )


def _context(picture: Picture, guidance: Guidance) -> dict[str, Any]:
    """Return what the sections show."""
    judged, now = picture.judged, picture.now
    tokens = list(_entries(picture, guidance))
    recent, older = _recent(picture.changes, tokens)
    return {
        "age": f", {_age(judged.checked_on, now)}" if judged.checked_on else "",
        "messages": [*judged.messages, *picture.missing],
        "reliable": judged.freshness.reliable,
        "verdict": _verdict(judged),
        "counts": judged.counts,
        "filtered": None if picture.filters == Filters() else " ".join(summary(judged, picture.filters, now)),
        "connectors": list(_by_connector(picture)),
        "tokens": tokens,
        "attention": [one for one in tokens if one.row.health > Health.INFO],
        "others": [one for one in tokens if one.row.health <= Health.INFO],
        "timeline": timeline(judged.rows, [one.anchor for one in tokens], now),
        "recent": recent,
        "older": older,
        "monitor": runs_section.monitor(picture.runs, now),
        "run_id": judged.runs[0].run_id if judged.runs else None,
    }


def _entries(picture: Picture, guidance: Guidance) -> Iterable[TokenEntry]:
    history: dict[tuple[str, str], list[ChangeRow]] = {}
    for change in picture.changes:
        history.setdefault((change.connector, change.row_key), []).append(change)
    for number, row in enumerate(picture.judged.rows, 1):
        key = row.connector, row.row_key
        yield token_entry(row, f"t{number}", history.get(key, []), picture.inspections.get(key), guidance)


def _age(checked_on: datetime, now: datetime) -> str:
    if checked_on > now:
        return f"checked at {moment(checked_on)}"
    return f"{span(now - checked_on)} after the last check"


def _verdict(judged: Judged) -> tuple[Health, str]:
    """Return the page's first sentence, with its sign."""
    counts = judged.counts
    if judged.freshness is Freshness.NONE:
        return Health.UNKNOWN, "There is no data."
    if not judged.freshness.reliable:
        why = "too old to rely on" if judged.freshness is Freshness.STALE else "of an unknown age"
        return Health.UNKNOWN, f"The data is {why}. This page shows it unchanged."
    for health, words in (
        (Health.CRITICAL, "in a critical state. Act now."),
        (Health.UNKNOWN, "in an unknown state. Act now."),
        (Health.WARNING, "in need of action soon."),
    ):
        if number := counts[health]:
            return health, f"{count(number, 'token')} {'is' if number == 1 else 'are'} {words}"
    if judged.unread:
        return Health.UNKNOWN, "Not everything could be read."
    return Health.HEALTHY, "Everything is healthy." if judged.rows else "Nothing that was asked for needs action."


def _by_connector(picture: Picture) -> Iterable[tuple[str, list[int], str]]:
    """Return each connector's name, its tokens by health, and what the newest check read of it."""
    judged = picture.judged
    results = judged.runs[0].connectors if judged.runs else {}
    counts = Counter((row.connector, row.health) for row in judged.rows)
    for name in sorted({row.connector for row in judged.rows} | results.keys()):
        if not picture.filters.connectors or name in picture.filters.connectors:
            result = results.get(name)
            read = "not read" if result is None else result.error or f"{count(result.tokens or 0, 'token')} read"
            yield kind(name), [counts[name, health] for health in judged.counts], read


def _recent(
    changes: Sequence[ChangeRow], tokens: Iterable[TokenEntry]
) -> tuple[list[tuple[ChangeRow, str | None, str, str]], int]:
    """Return the newest changes, each with its token's anchor, name and the rest of its sentence, and how many more."""
    here = {(one.row.connector, one.row.row_key): one for one in tokens}
    dated = [(one.changed_on, one.name, one) for one in changes if one.changed_on]
    ordered = [change for _, _, change in sorted(dated, key=lambda one: one[:2], reverse=True)]

    def shown(change: ChangeRow) -> tuple[ChangeRow, str | None, str, str]:
        token, quoted = here.get((change.connector, change.row_key)), f"'{change.name}'"
        rest = change.sentence.removeprefix(quoted) if change.sentence.startswith(quoted) else f": {change.sentence}"
        return change, token and token.anchor, token.row.label if token else change.name, rest

    return list(map(shown, ordered[:_RECENT])), max(len(ordered) - _RECENT, 0)
