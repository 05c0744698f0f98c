"""What `doctor` judges by: everything that it looked at, as it was found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from cli import CommandError
from cli.arm import CollectionRule, Identity
from cli.doctor.lines import Found, Untried
from cli.places import Places
from cli.rows import RunRow


class Account(NamedTuple):
    """Who the operator is, as the sign-in's token says."""

    name: str
    tenant_id: str
    object_id: str
    is_person: bool

    @property
    def assignee(self) -> tuple[str, ...]:
        """The words by which `az role assignment create` knows the account."""
        kind = "User" if self.is_person else "ServicePrincipal"
        return "--assignee-object-id", self.object_id, "--assignee-principal-type", kind


class Principal(NamedTuple):
    """A service principal of the directory."""

    id: str
    client_id: str
    name: str


class Grant(NamedTuple):
    """That a principal has an application role of Graph."""

    id: str
    role_id: str
    principal_id: str
    principal_name: str


class Directory(NamedTuple):
    """What the directory says of the app's identity."""

    graph_id: str
    """The object id of Microsoft Graph's own service principal."""
    roles: Mapping[str, str]
    """Graph's application roles: name to id."""
    identity: Principal | None
    """The app's; None where the directory knows none by that id."""
    grants: Sequence[Grant]
    """Graph's roles that it has."""
    holders: Mapping[str, Sequence[Grant]]
    """By role id, who has a role that the app's identity lacks."""


class App(NamedTuple):
    """What Azure Resource Manager says of the app and of what is beside it."""

    id: str
    group_id: str
    state: Found[str]
    settings: Found[Mapping[str, str]]
    functions: Found[Mapping[str, bool]]
    identities: Found[Sequence[Identity]]
    alert_rules: Found[Mapping[str, bool]]
    collection_rules: Found[Sequence[CollectionRule]]

    def collection_rule(self, places: Places) -> CollectionRule | None:
        """The rule that the app is meant to send to: what the deployment put out, or the only one that takes rows."""
        if isinstance(self.collection_rules, Untried | CommandError):
            return None
        settings = self.settings if isinstance(self.settings, Mapping) else {}
        known = {places.value("LOGS_INGESTION_RULE_ID"), settings.get("LOGS_INGESTION_RULE_ID")}
        rules = [rule for rule in self.collection_rules if rule.immutable_id in known]
        direct = [rule for rule in self.collection_rules if rule.endpoint]
        return next(iter(rules or (direct if len(direct) == 1 else ())), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """Everything that was looked at."""

    places: Places
    now: datetime
    write: bool
    account: Found[Account]
    skew: Found[timedelta]
    """How far the tables' clock is ahead of this machine's."""
    app: Found[App]
    directory: Found[Directory]
    publisher: Found[bool]
    """Whether the app's identity has the role that publishing takes, on the data collection rule."""
    tables: Mapping[str, Found[str]]
    """By table, what could be done with it."""
    runs: Found[Sequence[RunRow]]
    """Of the app itself, newest first: two days, or else the newest."""
    ingestion: Found[str]
    """What could be sent."""

    @property
    def settings(self) -> Mapping[str, str]:
        """The app's settings; empty where they are not known."""
        known = self.app.settings if isinstance(self.app, App) else None
        return known if isinstance(known, Mapping) else {}

    @property
    def client_id(self) -> str | None:
        """What the app signs in as: what it is set to, or else what the deployment put out."""
        return self.settings.get("AZURE_CLIENT_ID") or self.places.value("IDENTITY_CLIENT_ID")

    @property
    def newest(self) -> RunRow | None:
        """The app's newest check."""
        return next(iter(self.runs), None) if isinstance(self.runs, Sequence) else None

    @property
    def reads_events(self) -> bool:
        """Whether the app reads Intune's failure events, which takes another role."""
        return reads_events(self.settings, self.places)

    def setting(self, name: str) -> str | None:
        """What the app is set to, or else what is known here."""
        return self.settings.get(name) or self.places.value(name)


def reads_events(settings: Mapping[str, str], places: Places) -> bool:
    """Whether an app of these settings, or else of what is known here, reads Intune's failure events."""
    return (settings.get("ENROLLMENT_EVENTS") or places.value("ENROLLMENT_EVENTS") or "").lower() == "true"
