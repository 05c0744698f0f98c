"""Determines the steps of a finding: each is one alert, and all of them last until the condition is over.

Pure. A finding keeps the steps that it has reached: a higher severity or a closer expiry adds a step and ends none.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final

from msgspec.structs import replace

from shared.guidance.guidance import Guidance
from shared.judging.findings import day, lasting, renewed
from shared.judging.subject import Subject
from shared.model.tokens import Code, Connector, Finding, Health, Step

BEGUN: Final = "begun"
"""The name of a first step that has no other name."""

_SYNC_STALE: Final = "sync stale"
"""The name of a step that another finding reaches because no sync has succeeded for too long."""

REMIND_AFTER: Final = timedelta(days=30)
"""Azure removes a fired alert from view after 30 days, and does not notify again.
https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-overview"""

MOST_REMINDERS: Final = 12
_LAST_EXPIRED_DAYS: Final = 330
"""`expired` has twelve steps, from 0 to 330 days."""

_NO_SYNC: Final[Mapping[Code, str]] = {
    Code.EXPIRED: "Apple refuses every sync of an expired token, with whatever error, until you renew it.",
    Code.INVALID: "Apple doesn't accept the token, or it is assigned to another MDM, so its syncs cannot succeed.",
    Code.DUPLICATE_LOCATION: "Two tokens of one location conflict until you remove one; a new upload resolves nothing.",
    Code.TERMS_NOT_ACCEPTED: "Apple refuses every sync until an administrator accepts its terms.",
}
_FAILING: Final = "Syncs fail, so none succeeds."

CAUSES: Final[Mapping[str, Mapping[Code, str]]] = {
    Code.SYNC_STALE: {**_NO_SYNC, Code.SYNC_ERROR: _FAILING},
    Code.NEVER_SYNCED: {**_NO_SYNC, Code.SYNC_ERROR: _FAILING},
    Code.SYNC_ERROR: _NO_SYNC,
    Code.TERMS_NOT_ACCEPTED: {
        Code.EXPIRED: "An expired token can report any error code, the code of the terms included, so renew it first."
    },
    Code.EXPIRING: {Code.EXPIRED: "The expiry that it announces has passed."},
    Code.INVALID: {Code.EXPIRED: "Intune can show an expired token as invalid."},
}
"""What explains a finding, and why. The first cause that holds counts. No cause is explained by a later one, so each
has an alert of its own."""


def with_causes(held: Iterable[Finding]) -> list[Finding]:
    """Return the findings, each with the finding that explains it."""
    held = list(held)
    codes = {finding.code for finding in held}

    def cause(finding: Finding) -> str | None:
        return next((code.value for code in CAUSES.get(finding.code, ()) if code in codes), None)

    return [replace(one, caused_by=by) if (by := cause(one)) != one.caused_by else one for one in held]


def stepped(finding: Finding, subject: Subject, guidance: Guidance) -> Finding:
    """Return `finding` with the steps that it has reached; a finding under a cause reaches none."""
    stored = subject.before.finding(finding.code) if subject.before else None
    steps = tuple(step for step in stored.steps if not _over(step, finding, subject)) if stored else ()
    name = stored.name if stored and steps else None
    if not steps and (finding.caused_by or finding.code == Code.UNREAD):
        return replace(finding, steps=(), name=None)
    tier = _next(finding, steps, subject)
    if tier:
        steps = (*steps, _step(finding, tier, subject, guidance))
    return replace(finding, steps=steps, name=name)


def _over(step: Step, finding: Finding, subject: Subject) -> bool:
    """Return whether a step ends before its finding: after a renewal, or if it raised no alert and one is due."""
    silent = step.severity is Health.INFO and finding.severity is not Health.INFO
    return silent or renewed(subject, step)


def _next(finding: Finding, steps: tuple[Step, ...], subject: Subject) -> str | None:
    """Return the name of the step that is reached now, if any."""
    tier = _tier(finding, subject)
    if not steps or (_escalated(finding, steps) and not _reached(tier, steps, subject)):
        return tier
    number = (subject.now - steps[0].since) // REMIND_AFTER
    due = subject.now - steps[-1].since >= REMIND_AFTER and number <= MOST_REMINDERS
    if not due or finding.severity is Health.INFO or _counts_itself(finding, subject):
        return None
    return f"{tier}, reminder {number}" if finding.code == Code.EXPIRING else f"{30 * number} days or more"


def _tier(finding: Finding, subject: Subject) -> str:
    if finding.code == Code.EXPIRING and finding.tier:
        return f"{finding.tier} day{'' if finding.tier == '1' else 's'} or less"
    if finding.code == Code.EXPIRED and finding.tier and finding.tier != "0":
        return f"{min(int(finding.tier), _LAST_EXPIRED_DAYS)} days ago or more"
    if finding.severity is not Health.CRITICAL:
        return BEGUN
    if finding.code == Code.SYNC_STALE:
        _, critical = subject.settings.stale_after(subject.token.connector)
        return f"{critical // timedelta(hours=1)} hours or more"
    if finding.code in {Code.SYNC_ERROR, Code.DUPLICATE_LOCATION}:
        long = subject.token.connector is Connector.ADE and lasting(subject)
        return f"{subject.settings.sync_error_critical_hours} hours or more" if long else _SYNC_STALE
    return BEGUN


def _escalated(finding: Finding, steps: tuple[Step, ...]) -> bool:
    """Return whether a step of another name is news: an expiry that is closer, or a higher severity."""
    if finding.code in {Code.EXPIRING, Code.EXPIRED}:
        return not finding.superseded
    return finding.severity > max(step.severity for step in steps)


def _reached(tier: str, steps: tuple[Step, ...], subject: Subject) -> bool:
    """Return whether the step is among them; an expiry that has moved earlier makes it a different one."""
    expires_on = subject.token.expires_on
    return any(
        step.tier == tier and (step.expires_on is None or expires_on is None or day(step.expires_on) <= day(expires_on))
        for step in steps
    )


def _counts_itself(finding: Finding, subject: Subject) -> bool:
    """Return whether the finding needs no reminder, because its own tiers or another finding's change every 30 days."""
    expires_on = subject.token.expires_on
    dated = finding.code == Code.EXPIRED and expires_on is not None and expires_on <= subject.now
    return dated or finding.superseded


def _step(finding: Finding, tier: str, subject: Subject, guidance: Guidance) -> Step:
    return Step(
        tier=tier,
        severity=finding.severity,
        since=subject.now,
        condition=guidance.condition(subject.token, finding, None if tier == BEGUN else tier),
        action=guidance.action(subject.token, finding),
        expires_on=subject.token.expires_on if finding.code == Code.EXPIRING else None,
    )
