"""Evaluates the findings about a token's devices, and whether their last complete inspection is too old.

The inspection counts and stores; the check judges.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.judging.subject import Check, Found, Subject
from shared.model.counts import Inspected, Inspection
from shared.model.tokens import Code, Fact, Health, Status
from shared.text import bounded

FRESH_FOR: Final = timedelta(hours=48)
"""An older inspection is too old, if the token has been known for that long."""

FULL_SYNC: Final = timedelta(days=7)
"""Inspections that are further apart have a full sync with Apple between them: Intune runs one every 7 days at most.
https://learn.microsoft.com/mem/intune/enrollment/device-enrollment-program-enroll-ios
"""

_LONGEST_ERROR: Final = 1_000
_INSTANT: Final = "%Y-%m-%d %H:%M UTC"


def devices_without_profile(subject: Subject) -> Found | None:
    """Return a finding if devices wait for an enrollment profile, without which they do not enroll.

    If most devices enrolled without a profile's ID, newer enrollment policies leave it out, and its absence is no
    evidence.
    """
    last = _last(subject)
    if last is None or last.counts.waiting < subject.settings.devices_without_profile_minimum:
        return None
    counts = last.counts
    facts = {"waiting": counts.waiting, "without_profile": counts.without_profile, "devices": counts.devices}
    enrolled, without = counts.by_state.get("enrolled", 0), counts.enrolled_without_profile
    if not enrolled or without * 2 <= enrolled:
        return Found(Health.WARNING, facts={**facts, **_dated(last)})
    reason = (
        f"{without} of {enrolled} enrolled devices have no profile id in Graph either, so a missing id proves nothing"
    )
    return Found(Health.INFO, facts={**facts, "reason": reason, **_dated(last)})


def enrollment_failing(subject: Subject) -> Found | None:
    """Return a finding if enough devices, and enough of all, failed to enroll or are blocked. Events never raise it."""
    last = _last(subject)
    if last is None:
        return None
    counts, settings = last.counts, subject.settings
    failing = counts.failed + counts.blocked
    enough = failing * 100 >= counts.devices * settings.enrollment_failing_percent
    if failing < settings.enrollment_failing_minimum or not enough:
        return None
    facts = {"failing": failing, "failed": counts.failed, "blocked": counts.blocked, "devices": counts.devices}
    return Found(Health.WARNING, facts={**facts, **_dated(last), **_events(last)})


def devices_missing(subject: Subject) -> Found | None:
    """Return a finding if list and token's count have disagreed for so long that a full sync lies between."""
    last, inspection = _last(subject), subject.inspection
    if last is None or inspection is None or not inspection.disagreed_first or not inspection.disagreed_last:
        return None
    if inspection.disagreed_last - inspection.disagreed_first <= FULL_SYNC:
        return None
    counts = last.counts
    facts = {"synced": last.synced_devices, "devices": counts.devices, "deleted": counts.deleted}
    since = f"{inspection.disagreed_first:%Y-%m-%d}"
    return Found(Health.WARNING, facts={**facts, "imported": counts.imported, "since": since, **_dated(last)})


def no_default_profile(subject: Subject) -> Found | None:
    """Return a finding if a platform with devices has no default profile. Unknown defaults change nothing."""
    last = _last(subject)
    if last is None:
        return None
    if last.defaults is None:
        stood = subject.before.finding(Code.NO_DEFAULT_PROFILE) if subject.before else None
        return Found(stood.severity, facts=stood.facts) if stood else None
    without = [name for name, profile in last.defaults.items() if profile is None and last.counts.by_platform.get(name)]
    facts = {"platforms": ", ".join(without), "profiles": last.profiles}
    return Found(Health.INFO, facts={**facts, **_dated(last)}) if without else None


DEVICE_FINDINGS: Final[Mapping[Code, Check]] = {
    Code.DEVICES_WITHOUT_PROFILE: devices_without_profile,
    Code.ENROLLMENT_FAILING: enrollment_failing,
    Code.DEVICES_MISSING: devices_missing,
    Code.NO_DEFAULT_PROFILE: no_default_profile,
}
"""The functions that evaluate a token whose devices were inspected."""


def overdue(first_seen: datetime, inspection: Inspection | None, now: datetime) -> bool:
    """Return whether a token that has been known for two days has no complete inspection of the last 48 hours.

    An inspection that is dated later than now does not count, because its real time is unknown.
    """
    if now - first_seen < FRESH_FOR:
        return False
    return inspection is None or inspection.last is None or abs(now - inspection.last.on) > FRESH_FOR


def age(inspection: Inspection | None) -> str:
    """Return the reason of `unread` for a token whose inspection is overdue."""
    if inspection is None or inspection.last is None:
        return "its devices were never inspected as a whole"
    return f"its devices were last inspected as a whole on {inspection.last.on:%Y-%m-%d}"


def lateness(late: Sequence[Status], tokens: int, inspections: Mapping[str, Inspection]) -> str | None:
    """Return why inspections are not fresh: the number of tokens, the name and failure of the most overdue one."""
    if not late:
        return None

    def last(status: Status) -> datetime:
        inspection = inspections.get(status.token.id)
        return inspection.last.on if inspection and inspection.last else datetime.min.replace(tzinfo=UTC)

    first = min(late, key=lambda status: (last(status), status.label))
    inspection = inspections.get(first.token.id)
    if inspection is None:
        why = "inspect_devices has never inspected it; verify that it runs"
    elif inspection.complete or not inspection.error:
        why = f"inspect_devices has not inspected it since {inspection.tried_on:{_INSTANT}}; verify that it runs"
    else:
        why = bounded(inspection.error, _LONGEST_ERROR)
    hours = FRESH_FOR // timedelta(hours=1)
    return f"{len(late)} of {tokens} ADE tokens without a complete inspection in {hours} hours; '{first.label}': {why}"


def _last(subject: Subject) -> Inspected | None:
    return subject.inspection.last if subject.inspection else None


def _dated(last: Inspected) -> dict[str, Fact]:
    return {"inspected": f"{last.on.astimezone(UTC):{_INSTANT}}"}


def _events(last: Inspected) -> dict[str, Fact]:
    """Return facts about Intune's own failure events, which cover the whole tenant and so decide nothing."""
    events = last.events
    if events is None:
        return {}
    since = f"{events.since.astimezone(UTC):{_INSTANT}}"
    if events.error is not None:
        return {"events": f"not checked: {events.error}"}
    by_number = sorted(events.by_category.items(), key=lambda one: (-one[1], one[0]))
    categories = ", ".join(f"{category} {number}" for category, number in by_number)
    return {"events": sum(events.by_category.values()), "event_categories": categories or None, "events_since": since}
