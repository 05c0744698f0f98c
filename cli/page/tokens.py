"""The tokens' entries on the page: what is wrong, the steps, what is known of each, its devices, its history."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from cli.judgement import action, token_of
from cli.view import doubt
from shared.guidance.catalogue import Entry
from shared.guidance.guidance import Guidance
from shared.model.tokens import Health
from shared.storage.device_rows import InspectionRow
from shared.storage.rows import ChangeRow, StatusRow, StoredFinding
from shared.words import count, counted, moment

type Pairs = list[tuple[str, str]]

_CHANGES: Final = 12
"""Changes of one token to show; `history TOKEN` shows all."""


class FindingEntry(NamedTuple):
    """A finding, with its entry in the catalogue."""

    finding: StoredFinding
    action: str | None
    guide: Entry | None
    explanation: Pairs


class TokenEntry(NamedTuple):
    """All that the page shows of a token."""

    row: StatusRow
    anchor: str
    expiry: str
    headline: str | None
    doubts: list[str]
    findings: list[FindingEntry]
    facts: Pairs
    inspection: InspectionRow | None
    device_counts: Pairs
    device_notes: Pairs
    changes: Sequence[ChangeRow]
    older_changes: int


def token_entry(
    row: StatusRow, anchor: str, changes: Sequence[ChangeRow], inspection: InspectionRow | None, guidance: Guidance
) -> TokenEntry:
    """Return the token's entry; `changes` are newest first."""
    return TokenEntry(
        row=row,
        anchor=anchor,
        expiry=_expiry(row),
        headline=_headline(row) if row.health > Health.HEALTHY else None,
        doubts=list(map(doubt, row.problems)),
        findings=[_finding(row, one, guidance) for one in row.findings if not one.superseded],
        facts=_facts(row),
        inspection=inspection,
        device_counts=_device_counts(inspection) if inspection else [],
        device_notes=_device_notes(inspection) if inspection else [],
        changes=changes[:_CHANGES],
        older_changes=max(len(changes) - _CHANGES, 0),
    )


def _headline(row: StatusRow) -> str:
    return row.findings[0].summary if row.findings else doubt(row.problems[0]) if row.problems else row.summary


def _expiry(row: StatusRow) -> str:
    if row.expires_on is None:
        return "no expiry known"
    left = "" if row.days_left is None else f" (in {count(row.days_left, 'day')})"
    return f"expired {row.expires_on:%Y-%m-%d}" if row.expired else f"expires {row.expires_on:%Y-%m-%d}{left}"


def _finding(row: StatusRow, finding: StoredFinding, guidance: Guidance) -> FindingEntry:
    token = token_of(row)
    guide = guidance.entry(finding.code, token.connector, token) if token else None
    facts = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in finding.facts.items() if value is not None)
    explanation = [("Found", facts)] if facts else []
    if guide:
        explanation += [("Meaning", guide.meaning), ("Likely cause", guide.cause)]
    return FindingEntry(finding, action(row, finding, guidance), guide, explanation)


def _facts(row: StatusRow) -> Pairs:
    code = row.last_sync_error_code
    return _known(
        ("Expires", _moment(row.expires_on)),
        ("Last successful sync", _moment(row.last_successful_sync)),
        ("Last sync error code", str(code) if code else None),
        ("Synced devices", None if row.synced_devices is None else f"{row.synced_devices:,}"),
        ("Apple ID", row.apple_id),
        ("Type", row.type),
        ("Id", row.id),
        (f"{row.health} since".capitalize(), _moment(row.health_since)),
        ("First seen", _moment(row.first_seen)),
        ("Last seen in Intune", _moment(row.observed_on)),
        ("Checked", _moment(row.checked_on)),
    )


def _device_counts(inspection: InspectionRow) -> Pairs:
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
    known = [(name, f"{number:,}") for name, number in numbers if number is not None]
    return known + _known(("By state", counted(inspection.by_state)), ("By platform", counted(inspection.by_platform)))


def _device_notes(inspection: InspectionRow) -> Pairs:
    return _known(
        ("Newest device", _moment(inspection.newest_device_on)),
        ("What Graph did not return" if inspection.complete else "Why it is not complete", inspection.error),
        ("What cannot be read", "; ".join(inspection.problems)),
    )


def _moment(instant: datetime | None) -> str | None:
    return moment(instant) if instant else None


def _known(*pairs: tuple[str, str | None]) -> Pairs:
    return [(name, value) for name, value in pairs if value]
