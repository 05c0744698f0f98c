"""Compares a token's status with its last one: what changed in a run, for the history."""

from datetime import UTC, datetime

from shared.judging.findings import another_apple_id
from shared.model.tokens import Change, Code, FieldChange, FindingState, Health, Status
from shared.text import alike


def changed(before: Status | None, after: Status) -> Change | None:
    """Return the change of a run, if there is one."""
    fields = _changes(before, after)
    if not fields:
        return None
    return Change(
        changed_on=after.checked_on,
        run_id=after.run_id,
        token_name=after.token.name,
        old_health=_health(before) if before else None,
        health=_health(after),
        fields=fields,
    )


def _changes(before: Status | None, after: Status) -> tuple[FieldChange, ...]:
    """Return the changes for the history; a token that cannot be read has not changed."""
    old, new = _findings(before), _findings(after)
    fields = [
        FieldChange(field="finding", old=old.get(code), new=new.get(code))
        for code in sorted({*old, *new})
        if old.get(code) != new.get(code)
    ]
    if before is None:
        return (FieldChange(field="first_seen", new=_iso(after.first_seen)), *fields)
    if _health(before) is not _health(after):
        fields.insert(0, FieldChange(field="health", old=str(_health(before)), new=str(_health(after))))
    was, now = before.token, after.token
    values = (
        ("expiry", _iso(was.expires_on), _iso(now.expires_on), was.expires_on != now.expires_on),
        ("apple_id", was.apple_id, now.apple_id, another_apple_id(was.apple_id, now.apple_id)),
        ("topic", was.topic, now.topic, was.topic != now.topic),
        ("name", was.name, now.name, alike(was.name) != alike(now.name)),
    )
    fields += [FieldChange(field=field, old=old, new=new) for field, old, new, differs in values if differs]
    return tuple(fields)


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _findings(status: Status | None) -> dict[str, FindingState]:
    held = status.findings if status else ()
    return {
        finding.code: FindingState(code=finding.code, severity=finding.severity, tier=finding.tier)
        for finding in held
        if finding.code != Code.UNREAD
    }


def _health(status: Status) -> Health:
    return Health.worst(finding.severity for finding in status.findings if finding.code != Code.UNREAD)
