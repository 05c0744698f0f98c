"""A token's entry on the page: what is wrong, the steps, what is known of it, its devices, its history."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from cli.page.html import Content, Markup, heard, isolated, joined, link, table, tag
from cli.page.signs import mark, sign
from cli.rows import ChangeRow, FindingRow, InspectionRow, StatusRow
from cli.view import doubt
from shared.guidance.guidance import Guidance
from shared.model.tokens import Health
from shared.words import count, counted, kind, moment, moment_if_known

_CHANGES: Final = 12
"""Of a token's history; `history TOKEN` shows all of it."""


class Known(NamedTuple):
    """A token with all that is known of it."""

    row: StatusRow
    anchor: str
    changes: Sequence[ChangeRow]
    """Newest first."""
    inspection: InspectionRow | None


def entry(known: Known, guidance: Guidance, *, opened: bool) -> Markup:
    """The token, folded up unless `opened`."""
    row = known.row
    details = (_facts(row), _devices(known.inspection), _history(known.changes))
    return tag(
        "details",
        tag(
            "summary",
            mark(row.health),
            tag("h3", isolated(row.label)),
            tag("span", kind(row.connector), class_="kind"),
            tag("span", _expiry(row), class_="date"),
            tag("span", _headline(row), class_="headline") if row.health > Health.HEALTHY else None,
        ),
        tag(
            "div",
            tag("span", id=known.anchor),  # a link to what is folded up unfolds it
            (tag("p", sign(Health.UNKNOWN), " ", doubt(problem), class_="doubt") for problem in row.problems),
            (_finding(row, finding, guidance) for finding in row.findings if not finding.superseded),
            tag("details", tag("summary", "Dates, devices and history"), details, class_="more")
            if row.findings
            else details,
            class_="body",
        ),
        class_=f"token {row.health}",
        open=opened,
    )


def _headline(row: StatusRow) -> str:
    return row.findings[0].summary if row.findings else doubt(row.problems[0]) if row.problems else row.summary


def _expiry(row: StatusRow) -> str:
    if row.expires_on is None:
        return "no expiry known"
    left = "" if row.days_left is None else f" (in {count(row.days_left, 'day')})"
    return f"expired {row.expires_on:%Y-%m-%d}" if row.expired else f"expires {row.expires_on:%Y-%m-%d}{left}"


def _finding(row: StatusRow, finding: FindingRow, guidance: Guidance) -> Markup:
    action, token = row.action(finding, guidance), row.token
    written = guidance.entry(finding.code, token.connector, token) if token else None
    title = written.title if written else finding.code
    found = [("Found", facts)] if (facts := _told(finding.facts)) else []
    since = f"since {moment(finding.since)}" if finding.since else ""
    return tag(
        "section",
        tag("h4", mark(finding.severity), " ", title, " ", tag("span", since, class_="quiet")),
        tag("p", finding.summary),
        tag("p", tag("strong", "What to do: "), action, class_="action") if action else None,
        tag(
            "details",
            tag("summary", "Meaning, cause and steps"),
            tag("dl", _pairs((*found, ("Meaning", written.meaning), ("Likely cause", written.cause)))),
            tag(
                "ol",
                (tag("li", step.text, " ", tag("span", step.role, class_="role")) for step in written.steps),
                class_="steps",
            ),
            tag(
                "dl",
                _pairs(
                    (
                        ("Where", link(written.link, written.place, class_="named")),
                        ("When it clears", written.clears),
                        ("Read more", [tag("span", link(one.url, one.title), " ") for one in written.sources]),
                    )
                ),
            ),
            class_="more",
        )
        if written and action
        else None,
        class_=f"finding {finding.severity}",
    )


def _told(facts: Mapping[str, object]) -> str:
    """A finding's facts: `failing 16, failed 11, blocked 5`."""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in facts.items() if value is not None)


def _pairs(pairs: Iterable[tuple[str, Content]]) -> Iterable[Markup]:
    return (tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs)


def _facts(row: StatusRow) -> Markup:
    code = None if row.last_sync_error_code in {None, 0} else str(row.last_sync_error_code)
    devices = None if row.synced_devices is None else f"{row.synced_devices:,}"
    facts = (
        ("Expires", _moment(row.expires_on)),
        ("Last successful sync", _moment(row.last_successful_sync)),
        ("Last sync error code", code),
        ("Synced devices", devices),
        ("Apple ID", row.apple_id),
        ("Type", row.type),
        ("Id", row.id),
        (f"{row.health} since".capitalize(), _moment(row.health_since)),
        ("First seen", _moment(row.first_seen)),
        ("Intune last told of it", _moment(row.observed_on)),
        ("Checked", _moment(row.checked_on)),
    )
    return tag("dl", _pairs((name, value) for name, value in facts if value), class_="facts")


def _moment(instant: datetime | None) -> str | None:
    return moment(instant) if instant else None


def _devices(inspection: InspectionRow | None) -> Markup | None:
    if inspection is None:
        return None
    numbers = (
        ("All", inspection.devices),
        ("Without a profile", inspection.without_profile),
        ("Of these, waiting for more than a day", inspection.waiting),
        ("Without contact for long", inspection.not_contacted),
        ("Enrollment failed", inspection.failed),
        ("Enrollment blocked", inspection.blocked),
        ("Deleted, and still in the list", inspection.deleted),
        ("Of other sources", inspection.imported),
    )
    facts: list[tuple[str, Content]] = [(name, f"{number:,}") for name, number in numbers if number is not None]
    texts: tuple[tuple[str, Content], ...] = (
        ("By state", counted(inspection.by_state)),
        ("By platform", counted(inspection.by_platform)),
        ("Default profiles", _named(inspection.default_profiles)),
        ("Newest device", _moment(inspection.newest_device_on)),
        ("What was not told" if inspection.complete else "Why it is not complete", inspection.error),
        ("What cannot be read", "; ".join(inspection.problems)),
    )
    facts += [(name, text) for name, text in texts if text]
    told = f", inspected {moment(inspection.inspected_on)}" if inspection.inspected_on else ""
    return joined((tag("p", f"Devices{told}", class_="caption"), tag("dl", _pairs(facts), class_="facts")))


def _named(profiles: Mapping[str, str | None]) -> Content:
    return [
        (", " if number else "", f"{platform}: ", isolated(profile) if profile else "none")
        for number, (platform, profile) in enumerate(profiles.items())
    ]


def _history(changes: Sequence[ChangeRow]) -> Markup | None:
    if not changes:
        return None
    rows = [(moment_if_known(one.changed_on), mark(one.health), one.sentence) for one in changes[:_CHANGES]]
    more = len(changes) - _CHANGES
    return joined(
        (
            table("What changed, newest first", ("When", heard("Health"), "What"), rows, shown=True, told=True),
            tag("p", f"And {count(more, 'older change')}.", class_="quiet") if more > 0 else None,
        )
    )
