"""The guidance catalogue: the texts of `guidance.json`, typed, and checked when the module is imported."""

from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from shared.tokens import Connector


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """One thing to do, and who may: `place: role`."""

    text: str
    role: str


class Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that is known about a finding of one connector, or about a sync error."""

    title: str
    summary: str
    """What is wrong, to stand after the token's name; its `{...}` are put in by `Guidance.summary`."""
    action: str
    """One sentence of at most 200 characters; part of an alert's identity."""
    actions: dict[str, str] = {}
    """Actions that hold in its place from a tier on, by that tier (a number)."""
    meaning: str
    cause: str
    steps: tuple[Step, ...]
    place: str
    """Where to look in the Intune admin center."""
    link: str
    clears: str
    source: str
    """A URL, or words."""

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that its steps need, each once, in the order of the steps."""
        return tuple(dict.fromkeys(step.role for step in self.steps))

    def action_at(self, tier: str | None) -> str:
        """The action for a tier, which need not be a number."""
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
    """What lasts, for an alert's subject; its `{...}` are put in by `Guidance.condition`."""
    severities: tuple[Severity, ...]
    entries: dict[Connector, Entry]


class Catalogue(Struct, frozen=True, forbid_unknown_fields=True):
    """The data file, with the texts that it holds once put wherever they are used."""

    managers: dict[str, str]
    any_manager: str
    findings: dict[str, Topic]
    unknown: dict[Connector, Entry]
    sync_codes: tuple[SyncCode, ...]
    sync_errors: dict[str, SyncError]


def _read(path: Path) -> Catalogue:
    """The catalogue in `path`; a mistake there is a KeyError or msgspec.ValidationError at import."""
    file: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    roles, defaults, recipes = file.pop("roles"), file.pop("defaults"), file.pop("recipes")

    def whole(entry: dict[str, Any], default: str) -> dict[str, Any]:
        parts = [recipes[part] if isinstance(part, str) else [part] for part in entry["steps"]]
        steps = [{"text": step["text"], "role": roles[step["role"]]} for part in parts for step in part]
        return {**defaults[default], **entry, "steps": steps}

    for topic in file["findings"].values():
        topic["entries"] = {connector: whole(entry, connector) for connector, entry in topic["entries"].items()}
    file["unknown"] = {connector: whole(file["unknown"], connector) for connector in Connector}
    file["sync_errors"] = {key: whole(error, "sync_error") for key, error in file["sync_errors"].items()}
    return msgspec.convert(file, Catalogue)


CATALOGUE: Final = _read(Path(__file__).with_name("guidance.json"))
