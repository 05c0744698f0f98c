"""Describes the changes of a token."""

from datetime import UTC, datetime

from shared.model.tokens import Change, FieldChange, FindingState
from shared.text import quoted


def sentence(change: Change) -> str:
    """Return the changes of a token in one run, in one sentence."""
    findings = [field for field in change.fields if field.field == "finding"]
    if change.old_health is None or any(field.field == "first_seen" for field in change.fields):
        found = ", ".join(_state(field.new) for field in findings if field.new)
        changes = f"was seen for the first time: {change.health}{found and ', with '}{found}"
    else:
        moved = ", ".join(_moved_finding(field) for field in findings)
        went = f"went from {change.old_health} to" if change.old_health != change.health else "is still"
        health = f"{went} {change.health}{moved and ': '}{moved}" if moved or went != "is still" else ""
        changes = "; it ".join(text for text in (*map(_moved, change.fields), health) if text) or "changed"
    return f"{quoted(change.token_name)} {changes}."


def _moved(field: FieldChange) -> str:
    """Return the change of a field, to follow the token's name; empty for health and findings."""
    old, new = (quoted(value) if value else "none" for value in (field.old, field.new))
    texts = {
        "apple_id": f"changed its Apple ID from {old} to {new}",
        "topic": f"changed its push topic from {old} to {new}",
        "name": f"was renamed from {old}",
    }
    return _moved_expiry(field) if field.field == "expiry" else texts.get(field.field, "")


def _moved_expiry(field: FieldChange) -> str:
    old, new = _instant(field.old), _instant(field.new)
    if new is None:
        return "no longer reports when it expires"
    if old and new > old:
        return f"was renewed: it now expires on {new.date()}"
    return f"now expires on {new.date()}{f' and not on {old.date()}' if old else ''}"


def _instant(text: object) -> datetime | None:
    try:
        instant = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _moved_finding(field: FieldChange) -> str:
    if field.old is None or field.new is None:
        return f"{_state(field.old or field.new)} {'began' if field.old is None else 'ended'}"
    if isinstance(field.new, FindingState) and _state(field.old) == _state(field.new):
        return f"{_state(field.new)} is now {field.new.severity}"
    return f"{_state(field.old)} became {_state(field.new)}"


def _state(state: str | FindingState | None) -> str:
    if isinstance(state, FindingState):
        return f"{state.code} ({state.tier})" if state.tier not in {None, "0"} else state.code
    return str(state)
