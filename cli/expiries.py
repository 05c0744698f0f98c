"""`status --format ics`: the expiries as entries of a calendar, with reminders.

An entry is an instant in UTC and not a day, since a day in UTC can end on the day before elsewhere. Its id is the
token's, so that importing it again moves the entry of a renewed token.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from icalendar import Alarm, Calendar, Event

from shared.model.tokens import Code
from shared.storage.rows import StatusRow
from shared.words import kind, moment


def calendar_text(rows: Iterable[StatusRow], days: Sequence[int], now: datetime) -> str:
    """Return a calendar of the expiries; `days` are those before an expiry that remind of it."""
    calendar = Calendar()
    calendar.add("PRODID", "-//ADE Token Monitor//status//EN")
    calendar.add("VERSION", "2.0")
    calendar.add("METHOD", "PUBLISH")
    calendar.add("X-WR-CALNAME", "Apple tokens")
    for row in rows:
        if row.expires_on and not _removed(row):
            calendar.add_component(_entry(row, row.expires_on.astimezone(UTC), days, now))
    return str(calendar.to_ical(), "utf-8")


def without_entry(rows: Iterable[StatusRow]) -> Iterator[str]:
    """Return which rows have no entry, and why; a sentence each."""
    for row in rows:
        if _removed(row):
            yield f"There is no entry for {row.label} ({kind(row.connector)}): it was removed."
        elif not row.expires_on:
            yield f"There is no entry for {row.label} ({kind(row.connector)}): when it expires is not known."


def _removed(row: StatusRow) -> bool:
    return any(finding.code == Code.REMOVED for finding in row.findings)


def _entry(row: StatusRow, expires_on: datetime, days: Sequence[int], now: datetime) -> Event:
    title = f"{row.label} ({kind(row.connector)}) expires"
    entry = Event()
    entry.add("UID", f"{row.connector}-{row.row_key}@ade-token-monitor")
    entry.add("DTSTAMP", now.astimezone(UTC))
    entry.add("DTSTART", expires_on)
    entry.add("SUMMARY", title)
    apple_id = f" Apple ID: {row.apple_id}." if row.apple_id else ""
    entry.add("DESCRIPTION", f"Renew it before {moment(expires_on)}.{apple_id} Token id: {row.id}.")
    entry.add("TRANSP", "TRANSPARENT")
    for before in days:
        if expires_on - timedelta(days=before) > now:  # calendars show a reminder of the past at once
            entry.add_component(_reminder(title, before))
    return entry


def _reminder(title: str, days: int) -> Alarm:
    reminder = Alarm()
    reminder.add("ACTION", "DISPLAY")
    reminder.add("DESCRIPTION", title)
    reminder.add("TRIGGER", timedelta(days=-days))
    return reminder
