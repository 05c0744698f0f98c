"""The page: one HTML file that needs no network and no script. Everything in it is as of when it was written."""

from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from cli.judgement import Filters, Freshness, Judged, summary
from cli.page.html import Content, Markup, heard, isolated, joined, link, table, tag, with_code
from cli.page.monitor import monitor
from cli.page.signs import definitions, mark, sign
from cli.page.timeline import timeline
from cli.page.tokens import Known, entry
from cli.rows import ChangeRow, InspectionRow, RunRow
from shared import __version__
from shared.guidance.guidance import Guidance
from shared.model.tokens import Health
from shared.words import count, kind, moment, moment_if_known, span

GENERATOR: Final = "ADE Token Monitor"
"""What every page says in its head that it was written by."""

_STYLE: Final = Markup(Path(__file__).with_name("style.css").read_text("utf-8").strip())
_OPENED: Final = 5
"""Entries that are unfolded from the beginning: the worst."""

_RECENT: Final = 15


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
    """What could not be read beside the tokens, a sentence or two each."""
    now: datetime
    source: str
    """What the page was made from, as a part of a sentence."""
    workbook: str | None


def render(picture: Picture, guidance: Guidance) -> str:
    """The whole file."""
    allowed = b64encode(sha256(str(_STYLE).encode()).digest()).decode()
    title = f"Apple tokens, {moment(picture.now)}"
    head = (
        tag("meta", charset="utf-8"),
        # As the browser would not let anything else in, nothing that a name may hold can call out.
        tag(
            "meta",
            http_equiv="Content-Security-Policy",
            content=f"default-src 'none'; style-src 'sha256-{allowed}'; base-uri 'none'; form-action 'none'",
        ),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="robots", content="noindex"),
        tag("meta", name="generator", content=f"{GENERATOR} {__version__}"),
        tag("title", title),
        tag("style", _STYLE),
    )
    body = (
        tag("a", "Skip to what needs attention", href="#attention", class_="skip"),
        definitions(),
        _header(picture),
        tag("main", _sections(picture, guidance), id="main"),
        _footer(picture),
    )
    html = tag("html", tag("head", head), "\n", tag("body", body), lang="en")
    return f"<!doctype html>\n{html}\n"


def _header(picture: Picture) -> Markup:
    judged = picture.judged
    age = f", {_before(judged.checked_on, picture.now)}" if judged.checked_on else ""
    return tag(
        "header",
        tag("p", GENERATOR, class_="brand"),
        tag("h1", "Apple tokens in Intune"),
        tag("p", f"As of {moment(picture.now)}{age}. This page does not change by itself.", class_="quiet"),
    )


def _before(checked_on: datetime, now: datetime) -> str:
    if checked_on > now:
        return f"checked at {moment(checked_on)}"
    return f"{span(now - checked_on)} after the last check"


def _sections(picture: Picture, guidance: Guidance) -> Iterable[Content]:
    judged = picture.judged
    history: dict[tuple[str, str], list[ChangeRow]] = {}
    for change in picture.changes:
        history.setdefault((change.connector, change.row_key), []).append(change)
    known = [
        Known(
            row,
            f"t{number}",
            history.get((row.connector, row.row_key), []),
            picture.inspections.get((row.connector, row.row_key)),
        )
        for number, row in enumerate(judged.rows, 1)
    ]
    attention = [one for one in known if one.row.health > Health.INFO]
    others = [one for one in known if one.row.health <= Health.INFO]
    yield _banner(judged, picture.missing)
    yield _section("glance", "At a glance", _glance(picture))
    yield _section(
        "attention",
        f"Needs attention ({len(attention):,})",
        [entry(one, guidance, opened=number < _OPENED) for number, one in enumerate(attention)]
        or tag("p", "No token needs attention." if judged.freshness.reliable else "Whether one does is not known."),
    )
    rows, anchors = [one.row for one in known], [one.anchor for one in known]
    if rows:
        yield _section("expiries", "Expiries", timeline(rows, anchors, picture.now))
    if others:
        told = f"Nothing to do ({len(others):,})"
        yield _section("others", told, [entry(one, guidance, opened=False) for one in others])
    yield _section("changes", "Recent changes", _recent(picture.changes, known))
    yield _section("monitor", "The monitor", monitor(picture.runs, picture.now))


def _section(name: str, title: str, content: Content) -> Markup:
    heading = f"{name}-title"
    return tag("section", tag("h2", title, id=heading), content, id=name, aria_labelledby=heading)


def _banner(judged: Judged, missing: Sequence[str]) -> Markup | None:
    messages = (*judged.messages, *missing)
    if not messages:
        return None
    broken = not judged.freshness.reliable
    title = "This page cannot be relied on" if broken else "Read this first"
    return tag(
        "section",
        tag("h2", sign(Health.CRITICAL if broken else Health.WARNING), title, id="banner-title"),
        tag("ul", (tag("li", with_code(message)) for message in messages)),
        class_=f"banner {'critical' if broken else 'warning'}",
        aria_labelledby="banner-title",
    )


def _glance(picture: Picture) -> Iterable[Content]:
    judged = picture.judged
    health, verdict = _verdict(judged)
    yield tag("p", sign(health), verdict, class_="verdict")
    if judged.rows:
        yield tag(
            "ul",
            (
                tag("li", tag("strong", f"{number:,}"), mark(health), class_=f"tile {health if number else 'zero'}")
                for health, number in judged.counts.items()
            ),
            class_="tiles",
        )
    if picture.filters != Filters():
        yield tag("p", "Only what was asked for is on this page. ", *summary(judged, picture.filters, picture.now))
    yield _by_connector(picture)


def _verdict(judged: Judged) -> tuple[Health, str]:
    counts = judged.counts
    if judged.freshness is Freshness.NONE:
        return Health.UNKNOWN, "There is no data."
    if not judged.freshness.reliable:
        why = "too old to go by" if judged.freshness is Freshness.STALE else "of unknown age"
        return Health.UNKNOWN, f"The data is {why}. It is shown as it was."
    for health, told in (
        (Health.CRITICAL, "in a critical state. Somebody should look now."),
        (Health.UNKNOWN, "not known to be well. Somebody should look now."),
        (Health.WARNING, "asking for something soon."),
    ):
        if counts[health]:
            number = counts[health]
            return health, f"{count(number, 'token')} {'is' if number == 1 else 'are'} {told}"
    if judged.unread:
        return Health.UNKNOWN, "Not everything could be read."
    return Health.HEALTHY, "All is well." if judged.rows else "Nothing is wrong with what was asked for."


def _by_connector(picture: Picture) -> Markup | None:
    judged = picture.judged
    newest = judged.runs[0] if judged.runs else None
    names = sorted({row.connector for row in judged.rows} | (newest.connectors.keys() if newest else set()))
    names = [name for name in names if not picture.filters.connectors or name in picture.filters.connectors]
    if not names:
        return None
    counts = Counter((row.connector, row.health) for row in judged.rows)
    healths = sorted(Health, reverse=True)

    def row(name: str) -> Iterable[Content]:
        result = newest.connectors.get(name) if newest else None
        read = "not read" if result is None else result.error or f"{count(result.tokens or 0, 'token')} read"
        return kind(name), *(f"{counts[name, health]:,}" for health in healths), read

    heads = (joined((sign(health), tag("span", str(health).capitalize(), class_="word"))) for health in healths)
    header = ("Connector", *heads, "Newest check")
    return table("Tokens by connector and health", header, map(row, names))


def _recent(changes: Sequence[ChangeRow], known: Sequence[Known]) -> Iterable[Content]:
    here = {(one.row.connector, one.row.row_key): one for one in known}
    ordered = sorted((one for one in changes if one.changed_on), key=_when, reverse=True)
    if not ordered:
        yield tag("p", "None are on record.")
        return

    def row(change: ChangeRow) -> Iterable[Content]:
        token = here.get((change.connector, change.row_key))
        quoted = f"'{change.name}'"
        rest = change.sentence.removeprefix(quoted) if change.sentence.startswith(quoted) else f": {change.sentence}"
        shown = tag("a", isolated(token.row.label), href=f"#{token.anchor}") if token else isolated(change.name)
        return moment_if_known(change.changed_on), mark(change.health), joined((shown, rest))

    rows = list(map(row, ordered[:_RECENT]))
    yield table("Recent changes of all tokens, newest first", ("When", heard("Health"), "What"), rows, told=True)
    if len(ordered) > _RECENT:
        older = count(len(ordered) - _RECENT, "older change")
        yield tag("p", f"And {older}, beside the tokens that they are of.", class_="quiet")


def _when(change: ChangeRow) -> tuple[datetime, str]:
    assert change.changed_on is not None  # noqa: S101 # chosen so
    return change.changed_on, change.name


def _footer(picture: Picture) -> Markup:
    newest = picture.judged.runs[0] if picture.judged.runs else None
    parts: list[Content] = [f"Written by {GENERATOR} {__version__} from {picture.source}."]
    if newest and newest.run_id:
        parts.append(f" The newest check is the run {newest.run_id}.")
    if picture.workbook:
        parts += [" ", link(picture.workbook, "The workbook"), " shows what is true now."]
    return tag("footer", tag("p", joined(parts)))
