"""Evaluates the findings about a token that Graph listed: one small, pure function for each.

A limit of N is reached at exactly N.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final

from shared.judging.subject import Check, Found, Subject
from shared.model.tokens import TERMS_NOT_ACCEPTED, Code, Connector, Fact, Health, Step

_DAY: Final = timedelta(days=1)


def expired(subject: Subject) -> Found | None:
    """Return a finding if the token has expired, by date or VPP's state. The tier changes every 30 days."""
    expires_on = subject.token.expires_on
    if expires_on is not None and expires_on <= subject.now:
        days = (subject.now - expires_on) // _DAY
        return Found(Health.CRITICAL, tier=str(days // 30 * 30), facts=_renewal(subject))
    if subject.token.state == "expired":
        return Found(Health.CRITICAL, tier="0", facts={"state": subject.token.state, **_renewal(subject)})
    return None


def _renewal(subject: Subject) -> Mapping[str, Fact]:
    """Return when Intune changed an expired VPP token, if that can be a renewal that it does not show yet.

    `lastModifiedDateTime` moves at each sync, too, and an expired token does not sync: so the date alone proves nothing
    about a token that Intune calls expired, or whose sync failed.
    """
    token, changed = subject.token, subject.token.last_modified
    if token.connector is not Connector.VPP or changed is None or token.expires_on is None:
        return {}
    if token.expires_on > subject.now:  # the state is the older of the two
        unseen = timedelta() <= subject.now - changed <= _DAY
    else:
        unseen = token.expires_on < changed <= subject.now and token.state == "valid" and token.sync_status != "failed"
    return {"modified": f"{changed.astimezone(UTC):%Y-%m-%d %H:%M UTC}"} if unseen else {}


def expiring(subject: Subject) -> Found | None:
    """Return a finding within the smallest limit of days that is reached; it lasts until the expiry moves later."""
    expires_on = subject.token.expires_on
    if expires_on is None or expired(subject):
        return _announced(subject)
    critical = subject.settings.expiry_critical_days
    left = expires_on - subject.now
    tier = next((n for n in sorted((*critical, *subject.settings.expiry_warning_days)) if left <= n * _DAY), None)
    if tier is None:
        return _announced(subject)
    return Found(Health.CRITICAL if tier in critical else Health.WARNING, tier=str(tier))


def _announced(subject: Subject) -> Found | None:
    stored = subject.stored(Code.EXPIRING)
    lasts = stored and any(not renewed(subject, step) for step in stored.steps)
    return Found(stored.severity, tier=stored.tier) if stored and lasts else None


def renewed(subject: Subject, step: Step) -> bool:
    """Return whether the expiry has moved to a later day than the step announces, and is not in the past."""
    expires_on = subject.token.expires_on
    if step.expires_on is None or expires_on is None or expired(subject):
        return False
    return day(expires_on) > day(step.expires_on)


def day(instant: datetime) -> date:
    """Return the day in UTC, because an alert names only the day of an expiry."""
    return instant.astimezone(UTC).date()


def terms_not_accepted(subject: Subject) -> Found | None:
    """Return a finding if Apple published new terms that nobody accepted."""
    return Found(Health.CRITICAL) if subject.token.sync_error_code == TERMS_NOT_ACCEPTED else None


def sync_error(subject: Subject) -> Found | None:
    """Return a finding if the last sync failed. ADE: any code but 0; critical when it lasts, or with a stale sync.

    VPP: as severe as the stale sync. Only a successful sync ends it: terms that are not accepted, and a sync that has
    just begun, do not.
    """
    token, stored = subject.token, subject.stored(Code.SYNC_ERROR)
    if token.sync_error_code not in {None, 0, TERMS_NOT_ACCEPTED}:
        critical = lasting(subject) or sync_stale(subject) is not None
        return Found(Health.CRITICAL if critical else Health.WARNING, facts={"code": token.sync_error_code})
    undecided = token.sync_error_code == TERMS_NOT_ACCEPTED or token.sync_status not in {None, "completed"}
    failed = token.sync_status == "failed"
    if not failed and not (stored and undecided):
        return None
    severity = max(stored.severity, _as_stale(subject)) if stored else _as_stale(subject)
    return Found(severity, facts=stored.facts if stored and not failed else {"status": token.sync_status})


def _as_stale(subject: Subject) -> Health:
    """Return the severity of what explains a stale sync: critical beyond that limit, since only one of them alerts."""
    _, critical = subject.settings.stale_after(subject.token.connector)
    since = unsynced_since(subject)
    return Health.CRITICAL if since and subject.now - since >= critical else Health.WARNING


def unsynced_since(subject: Subject) -> datetime | None:
    """Return the oldest instant since which, for certain, no sync has succeeded; None where there is none.

    While the syncs of a VPP token fail, and none of its successes is remembered, that is the date of the last sync, of
    the renewal or of the first sight: `lastModifiedDateTime` would have moved at a success.
    """
    token = subject.token
    failing = token.sync_status == "failed" or subject.stored(Code.SYNC_ERROR)
    if token.connector is Connector.VPP and token.last_successful_sync is None and failing:
        return min(filter(None, (token.last_sync, token.last_modified, subject.first_seen)))
    return token.last_possible_sync


def lasting(subject: Subject) -> bool:
    """Return whether a sync error has lasted long enough to be critical."""
    limit = timedelta(hours=subject.settings.sync_error_critical_hours)
    return subject.now - subject.since(Code.SYNC_ERROR) >= limit


def sync_stale(subject: Subject) -> Found | None:
    """Return a finding if the last sync that can have succeeded is too long ago; once found, until a sync succeeds."""
    token = subject.token
    last = token.last_possible_sync
    if last is None or not_set_up(subject):
        return None
    warning, critical = subject.settings.stale_after(token.connector)
    age = subject.now - last
    if age < warning and (newly_synced(subject) or not subject.stored(Code.SYNC_STALE)):
        return None
    return Found(Health.CRITICAL if age >= critical else Health.WARNING)


def never_synced(subject: Subject) -> Found | None:
    """Return a finding if no sync is on record for a token that has had time for one."""
    token = subject.token
    if token.connector is Connector.APNS or token.last_successful_sync or token.last_sync or not_set_up(subject):
        return None
    field = "last_sync" if token.connector is Connector.VPP else "last_successful_sync"
    if subject.cannot_tell(field, Code.NEVER_SYNCED):
        return None
    known_since = min(subject.first_seen, token.last_modified or subject.first_seen)
    warning, _ = subject.settings.stale_after(token.connector)
    long = subject.now - known_since >= warning or subject.stored(Code.NEVER_SYNCED)
    return Found(Health.WARNING) if long else None


def not_set_up(subject: Subject) -> Found | None:
    """Return a finding for an ADE token that was created and never uploaded: of type `none`, and without an expiry."""
    token = subject.token
    nothing = token.connector is Connector.ADE and token.type == "none" and token.expires_on is None
    return Found(Health.INFO) if nothing and not subject.cannot_tell("expires_on", Code.NOT_SET_UP) else None


def invalid(subject: Subject) -> Found | None:
    """Return a finding if Apple does not accept the token: VPP's state, or a failed upload of the push certificate.

    It does not begin with a token that has expired, and does not end when the token expires.
    """
    token = subject.token
    if expired(subject):
        stored = subject.stored(Code.INVALID)
        return Found(stored.severity, facts=stored.facts) if stored else None
    if token.state in {"invalid", "assignedToExternalMDM"}:
        return Found(Health.CRITICAL, facts={"state": token.state})
    if token.upload_failure:
        return Found(Health.CRITICAL, facts={"reason": token.upload_failure})
    return None


def duplicate_location(subject: Subject) -> Found | None:
    """Return a finding if two VPP tokens have one location; it is as severe as the stale sync that follows from it."""
    return Found(_as_stale(subject)) if subject.token.state == "duplicateLocationId" else None


def unreadable(subject: Subject) -> Found | None:
    """Return a finding if values that the judgment needs are missing or malformed."""
    facts = {value.property: value.raw for value in subject.token.unreadable}
    return Found(Health.UNKNOWN, facts=facts) if facts else None


def apple_id_changed(subject: Subject) -> Found | None:
    """Return a finding if the Apple ID differs from the remembered one; it ends after the time for changes."""
    old, new = subject.before.known_apple_id if subject.before else None, subject.token.apple_id
    if not another_apple_id(old, new):
        return None
    return _change(subject, Code.APPLE_ID_CHANGED, Health.INFO, {"old": old, "new": new})


def another_apple_id(old: str | None, new: str | None) -> bool:
    """Return whether two Apple IDs differ, regardless of case; null never differs."""
    return old is not None and new is not None and old.casefold() != new.casefold()


def push_topic_changed(subject: Subject) -> Found | None:
    """Return a finding if the push certificate was created again, not renewed, which cuts off enrolled devices."""
    before = subject.before
    if before is None or before.known_topic is None or subject.token.topic in {None, before.known_topic}:
        return None
    facts = {"old": before.known_topic, "new": subject.token.topic, "old_serial": before.known_serial_number}
    return _change(subject, Code.PUSH_TOPIC_CHANGED, Health.CRITICAL, facts)


def devices_dropped(subject: Subject) -> Found | None:
    """Return a finding if a new successful sync brought far fewer devices than before; it lasts until most are back."""
    if subject.before is None:
        return None
    before, now = subject.before.known_devices, subject.token.synced_devices
    if before is None or now is None:
        return None
    few = now * 100 <= before * (100 - subject.settings.devices_dropped_percent)
    if not subject.stored(Code.DEVICES_DROPPED):
        gone = now == 0 and before > 0
        few = newly_synced(subject) and (gone or (few and before >= subject.settings.devices_dropped_minimum))
    return _change(subject, Code.DEVICES_DROPPED, Health.WARNING, {"before": before, "now": now}) if few else None


def newly_synced(subject: Subject) -> bool:
    """Return whether a sync has succeeded since the last reading."""
    last = subject.token.last_successful_sync
    known = subject.before.token.last_successful_sync if subject.before else None
    return last is not None and (known is None or last > known)


def _change(subject: Subject, code: Code, severity: Health, facts: Mapping[str, Fact]) -> Found | None:
    until = subject.until(code)
    return Found(severity, facts=facts, until=until) if subject.now < until else None


FINDINGS: Final[Mapping[Code, Check]] = {
    Code.EXPIRED: expired,
    Code.EXPIRING: expiring,
    Code.TERMS_NOT_ACCEPTED: terms_not_accepted,
    Code.SYNC_ERROR: sync_error,
    Code.SYNC_STALE: sync_stale,
    Code.NEVER_SYNCED: never_synced,
    Code.NOT_SET_UP: not_set_up,
    Code.INVALID: invalid,
    Code.DUPLICATE_LOCATION: duplicate_location,
    Code.UNREADABLE: unreadable,
    Code.APPLE_ID_CHANGED: apple_id_changed,
    Code.PUSH_TOPIC_CHANGED: push_topic_changed,
    Code.DEVICES_DROPPED: devices_dropped,
}
"""The functions that evaluate a token that was read. `shared.judging.judge` decides about `unread` and `removed`, and
`shared.judging.device_findings` about devices."""
