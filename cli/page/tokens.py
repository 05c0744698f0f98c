"""The tokens' entries on the page: what is wrong, the steps, what is known of each, its devices, its history."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from cli.judgement import action, token_of
from cli.view import doubt
from shared.guidance.catalogue import Entry
from shared.guidance.guidance import Guidance
from shared.model.tokens import Health
from shared.storage.device_rows import InspectionRow
from shared.storage.rows import ChangeRow, StatusRow, StoredFinding
from shared.words import count

_CHANGES: Final = 12
"""Changes of one token to show; `history TOKEN` shows all."""


class FindingEntry(NamedTuple):
    """A finding, with its entry in the catalogue."""

    finding: StoredFinding
    action: str | None
    guide: Entry | None
    facts: str


class TokenEntry(NamedTuple):
    """All that the page shows of a token."""

    row: StatusRow
    anchor: str
    expiry: str
    headline: str | None
    doubts: list[str]
    findings: list[FindingEntry]
    inspection: InspectionRow | None
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
        inspection=inspection,
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
    return FindingEntry(finding, action(row, finding, guidance), guide, facts)
