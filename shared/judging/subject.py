"""Defines what a function that evaluates a finding takes and returns, and makes findings of it.

Each function takes a `Subject` and returns what it found, or None.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from shared.model.counts import Inspection
from shared.model.tokens import Code, Fact, Finding, Health, Status, Token
from shared.settings import Settings


class Subject(NamedTuple):
    """The values that a function may use."""

    token: Token
    """The token, with the last readable value in place of each unreadable one."""
    before: Status | None
    """The last status; None for a new token, and if the store could not be read."""
    now: datetime
    settings: Settings
    inspection: Inspection | None = None
    """What is known of the token's devices."""

    def stored(self, code: Code) -> Finding | None:
        """Return the finding of that code as the last run left it."""
        return self.before.finding(code) if self.before else None

    def since(self, code: Code) -> datetime:
        """Return the start of the run that first judged `code`; an instant later than now counts as now."""
        stored = self.stored(code)
        return min(stored.since, self.now) if stored else self.now

    def until(self, code: Code) -> datetime:
        """Return when a finding about a change ends, which is fixed when it begins: its alert names the day."""
        stored = self.stored(code)
        if stored and stored.until and stored.since <= self.now:
            return stored.until
        return self.since(code) + timedelta(days=self.settings.change_days)

    @property
    def first_seen(self) -> datetime:
        """Return the start of the run that first saw the token."""
        return min(self.before.first_seen, self.now) if self.before else self.now

    def cannot_tell(self, field: str, code: Code) -> bool:
        """Return whether the value is unreadable, and `code` did not hold for the last readable one, which was null."""
        return not self.stored(code) and any(value.field == field for value in self.token.unreadable)


class Found(NamedTuple):
    """The result of a function that found something."""

    severity: Health
    tier: str | None = None
    facts: Mapping[str, Fact] = {}
    until: datetime | None = None


type Check = Callable[[Subject], Found | None]


def findings(subject: Subject, checks: Mapping[Code, Check]) -> list[Finding]:
    """Return the findings that hold, each with the instant since when."""
    found = ((code, check(subject)) for code, check in checks.items())
    return [stated(subject, code, what) for code, what in found if what]


def stated(subject: Subject, code: Code, found: Found) -> Finding:
    """Return a result as a finding."""
    return Finding(
        code=code,
        severity=found.severity,
        tier=found.tier,
        since=subject.since(code),
        until=found.until,
        facts=dict(found.facts),
    )
