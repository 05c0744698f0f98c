"""Reads the guidance catalogue, `guidance.json`, into types that check it when the module is imported."""

import re
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from shared.model.tokens import Connector
from shared.settings import BY_NAME

_SETTING: Final = re.compile(r"\{([A-Z_]+)\}")
"""A place where a text takes the default of a setting."""


class Source(Struct, frozen=True, forbid_unknown_fields=True):
    """A public page that steps follow."""

    title: str
    url: str
    """An https address, or a page of docs/."""
    checked: date
    """When somebody last compared the steps with the page."""
    note: str = ""
    """The edition of the page, and what is not verified."""


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """One thing to do, the role that it takes (`place: role`), and where that is documented."""

    text: str
    role: str
    source: Source


class Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that is known about a finding of one connector, or about a sync error."""

    title: str
    summary: str
    """What is wrong, after the token's name; `Guidance.summary` fills in its `{...}`."""
    action: str
    """One sentence of at most 200 characters; part of an alert's identity."""
    actions: dict[str, str] = {}
    """The actions that replace it from a tier on, by that tier (a number)."""
    meaning: str
    cause: str
    steps: tuple[Step, ...]
    place: str
    """The place in the Intune admin center."""
    link: str
    """The address of that place; its `{intune}` is the admin center of the cloud."""
    clears: str

    @property
    def roles(self) -> tuple[str, ...]:
        """Return the roles that its steps need, each once, in the order of the steps."""
        return tuple(dict.fromkeys(step.role for step in self.steps))

    @property
    def sources(self) -> tuple[Source, ...]:
        """Return the pages that its steps follow, each once, in the order of the steps."""
        return tuple(dict.fromkeys(step.source for step in self.steps))

    def action_at(self, tier: str | None) -> str:
        """Return the action for a tier, which need not be a number."""
        reached = [int(lowest) for lowest in self.actions if tier and tier.isdecimal() and int(lowest) <= int(tier)]
        return self.actions[str(max(reached))] if reached else self.action


class SyncError(Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of the errors that the Intune console can show for an ADE token."""

    aliases: tuple[str, ...]


class SyncCode(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known about one `lastSyncErrorCode`; `error` is the key of its sync error."""

    code: int
    meaning: str
    evidence: Literal["observed", "reported", "none"]
    source: str
    error: str | None = None


class Severity(Struct, frozen=True, forbid_unknown_fields=True):
    """When a finding has a severity."""

    connectors: tuple[Connector, ...]
    severity: Literal["info", "warning", "unknown", "critical"]
    when: str


class Topic(Struct, frozen=True, forbid_unknown_fields=True):
    """A finding, over all the connectors that can have it."""

    title: str
    holds: str
    condition: str
    """The condition that lasts, for an alert's subject; `Guidance.condition` fills in its `{...}`."""
    severities: tuple[Severity, ...]
    entries: dict[Connector, Entry]


class Catalogue(Struct, frozen=True, forbid_unknown_fields=True):
    """The data file, with its shared texts in each place where they are used."""

    sources: dict[str, Source]
    token_types: dict[str, str]
    """The key in `managers` for a token's type; `either` for any other type."""
    managers: dict[str, dict[str, str]]
    """The names of Apple's portal, its roles, and its menus: `{manager}`, `{services}`, and so on."""
    findings: dict[str, Topic]
    unknown: dict[Connector, Entry]
    sync_codes: tuple[SyncCode, ...]
    sync_errors: dict[str, SyncError]


def with_defaults(text: str) -> str:
    """Return `text` with the default of each setting in place of `{ITS_NAME}`."""
    return _SETTING.sub(lambda found: (BY_NAME[found[1]].default or "").replace(",", ", "), text)


def _read(path: Path) -> Catalogue:
    """Return the catalogue in `path`; a mistake there is a KeyError or msgspec.ValidationError at import."""
    file: dict[str, Any] = msgspec.json.decode(with_defaults(path.read_text("utf-8")))
    roles, defaults, recipes = file.pop("roles"), file.pop("defaults"), file.pop("recipes")

    def whole(entry: dict[str, Any], default: str) -> dict[str, Any]:
        parts = [recipes[part] if isinstance(part, str) else [part] for part in entry["steps"]]
        steps = [
            {**step, "role": roles[step["role"]], "source": file["sources"][step["source"]]}
            for part in parts
            for step in part
        ]
        merged = {**defaults[default], **entry, "steps": steps}
        filled = msgspec.json.encode(merged).replace(b"{place}", merged["place"].encode())
        return msgspec.json.decode(filled, type=dict[str, Any])

    for topic in file["findings"].values():
        topic["entries"] = {connector: whole(entry, connector) for connector, entry in topic["entries"].items()}
    file["unknown"] = {connector: whole(file["unknown"], connector) for connector in Connector}
    file["sync_errors"] = {key: whole(error, "sync_error") for key, error in file["sync_errors"].items()}
    return msgspec.convert(file, Catalogue)


CATALOGUE: Final = _read(Path(__file__).with_name("guidance.json"))
