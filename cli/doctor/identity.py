"""Judges whom the app signs in as, and what that identity may do in Graph and at the data collection rule."""

from collections.abc import Iterator, Sequence
from typing import Final

from cli import CommandError
from cli.arm import Identity
from cli.doctor import commands
from cli.doctor.facts import App, Directory, Facts, Grant, Principal
from cli.doctor.lines import Line, Untried, failed, passed, untried, without
from cli.publishing import PUBLISHER
from shared.graph.connectors import EVENTS_ROLE, ROLE
from shared.text import bounded
from shared.words import ago, listed, moment

OPERATOR: Final = "Managed Identity Operator"
"""Without it Azure answers LinkedAuthorizationFailed: Azure/azure-monitor-baseline-alerts 508."""

_SHOWN: Final = 3
_TELLING: Final = 6
"""Characters from which on a name that another one begins with is no coincidence."""


def judge(facts: Facts) -> Iterator[Line]:
    """The lines about the app's identity."""
    yield _identity(facts)
    yield _role(facts, "Graph role", ROLE)
    if facts.reads_events:
        yield _role(facts, "Graph role, events", EVENTS_ROLE)
    yield _publisher(facts)


def _identity(facts: Facts) -> Line:
    what, directory, client_id = "Identity", facts.directory, facts.client_id
    given = facts.app.identities if isinstance(facts.app, App) else Untried("the app is not known")
    if isinstance(given, Sequence) and client_id and not any(_is(one.client_id, client_id) for one in given):
        return _not_given(facts, client_id, given)
    meant = facts.places.value("IDENTITY_CLIENT_ID")
    if meant and client_id and not _is(meant, client_id):
        name = bounded(facts.places.value("IDENTITY_NAME") or "the deployment's", 100)
        return failed(
            what,
            f"The app signs in with the client id {bounded(client_id, 100)}, and not as {name}, {bounded(meant, 100)}: "
            "roles were granted to another.",
            "",
            commands.set_settings(facts, AZURE_CLIENT_ID=meant),
        )
    if isinstance(directory, Untried | CommandError):
        return without(what, directory)
    if directory.identity is None:
        known = client_id or facts.places.value("IDENTITY_PRINCIPAL_ID") or ""
        return failed(
            what,
            f"The directory knows no identity {bounded(known, 100)}: it was deleted, or is another tenant's.",
            "Sign in to the monitor's tenant; if it is that one, deploy again, and then grant the role to the new one.",
            commands.provision(facts),
        )
    return passed(what, f"The app signs in as {_named(directory.identity)}.")


def _is(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


def _named(principal: Principal) -> str:
    return f"{principal.name} ({principal.id})"


def _not_given(facts: Facts, client_id: str, given: Sequence[Identity]) -> Line:
    """The app is to sign in as an identity that it does not have."""
    meant, remedy = facts.places.value("IDENTITY_RESOURCE_ID"), ""
    said = f"The app is set to sign in with the client id {bounded(client_id, 100)}, and has no such identity"
    if meant:
        command = commands.of_app(facts, "identity", "assign", "--identities", meant)
        if not meant.casefold().startswith(f"{commands.group_id(facts).casefold()}/"):
            remedy = f"It is in another resource group: to assign it, you need the role {OPERATOR} on the identity."
    elif given:
        command = commands.set_settings(facts, AZURE_CLIENT_ID=given[0].client_id)
    else:
        command = commands.provision(facts)
    has = listed([bounded(one.id.rpartition("/")[2], 100) for one in given[:_SHOWN]])
    return failed("Identity", f"{said}; it has {has or 'none'}.", remedy, command)


def _role(facts: Facts, what: str, role: str) -> Line:
    directory = facts.directory
    if isinstance(directory, Untried | CommandError):
        return without(what, directory if isinstance(directory, Untried) else Untried("the directory was not read"))
    if directory.identity is None:
        return untried(what, "The app's identity is not in the directory.")
    role_id = directory.roles.get(role)
    if role_id is None:
        return failed(what, f"Graph has no application role {role} in this cloud.", "Check GRAPH_ENDPOINT.")
    if any(grant.role_id == role_id for grant in directory.grants):
        return passed(what, f"{directory.identity.name} has {role}{_beside(facts, directory)}.{_in_use(facts, role)}")
    return _not_granted(facts, directory, directory.identity, what, role, role_id)


def _in_use(facts: Facts, role: str) -> str:
    """Which form of Graph's resource the newest check's token was issued for, and whether the role is in it."""
    token = facts.newest.graph_token if facts.newest else None
    if token is None:
        return ""
    used = f" The app's token for {bounded(token.resource, 100)}"
    if role not in token.lacks:
        return f"{used} carries it."
    return f"{used} does not carry it yet; the first check after {moment(token.retry_on)} asks for another one."


def _beside(facts: Facts, directory: Directory) -> str:
    """What it has and does not need."""
    needed = {ROLE, EVENTS_ROLE} if facts.reads_events else {ROLE}
    names = {id_: name for name, id_ in directory.roles.items()}
    beside = sorted({names.get(grant.role_id, grant.role_id) for grant in directory.grants} - needed)
    return f", and, without needing it, {bounded(listed(beside), 200)}" if beside else ""


def _not_granted(facts: Facts, directory: Directory, identity: Principal, what: str, role: str, role_id: str) -> Line:
    command = commands.grant(identity.id, events=role == EVENTS_ROLE)
    holders = directory.holders.get(role_id, ())
    mistaken = [grant for grant in holders if _meant_for(facts, identity, grant)]
    said = f"{identity.name} ({identity.id}) does not have {role}"
    who = "A Global Administrator or Privileged Role Administrator grants it."
    late = (
        "Azure keeps the app's token for a day, so a grant can take hours to work; doctor says when the app asks again."
    )
    if mistaken:
        names = listed([f"{grant.principal_name} ({grant.principal_id})" for grant in mistaken[:_SHOWN]])
        return failed(
            what,
            f"{said}. It was granted to the wrong identity: {names} has it.",
            f"{who} {late} After that, take it from the wrong one.",
            command,
        )._replace(then=commands.take_back(facts, mistaken[0].principal_id, mistaken[0].id))
    others = listed([grant.principal_name for grant in holders[:_SHOWN]])
    beside = f". Others have it: {others}{' and more' if len(holders) > _SHOWN else ''}" if others else ""
    return failed(what, f"{said}: it is not granted{beside}.", f"{who} {late}", command)


def _meant_for(facts: Facts, identity: Principal, grant: Grant) -> bool:
    """Whether a role was probably meant for the app's identity: who has it is the app's, too, or named alike."""
    given = facts.app.identities if isinstance(facts.app, App) else ()
    theirs = {one.principal_id for one in given} if isinstance(given, Sequence) else set()
    theirs.add(facts.places.value("IDENTITY_PRINCIPAL_ID") or "")
    ours = {identity.name.casefold(), (facts.places.value("IDENTITY_NAME") or identity.name).casefold()}
    app = commands.app_id(facts).rpartition("/")[2].casefold()
    name = grant.principal_name.casefold()
    alike = len(name) >= _TELLING and any(name.startswith(one) or one.startswith(name) for one in (*ours, app))
    return grant.principal_id in theirs or alike


def _publisher(facts: Facts) -> Line:
    """The app's right to send rows: what Azure has assigned, and what the app's own last run met."""
    what, found, newest = "Right to publish", facts.publisher, facts.newest
    error = newest.publish_error if newest else None
    refused = bool(error) and any(f"HTTP {status}" in str(error) for status in (401, 403))
    if found is True and not refused:
        return passed(what, f"The app's identity has {PUBLISHER} on the data collection rule.")
    if found is True:
        return failed(
            what,
            f"The app's identity has {PUBLISHER}, and its newest check was refused all the same: a new role can "
            "take 30 minutes to work.",
            "Wait for half an hour, and ask for a check.",
            ("python", "-m", "cli", "trigger", "check"),
        )
    if newest and newest.started_on and newest.outcome != "failed":
        return passed(what, f"The app's newest check, {ago(newest.started_on, facts.now)}, has published its rows.")
    if found is False or refused:
        why = f"The app's identity lacks the role {PUBLISHER} on the data collection rule"
        met = ", and its newest check was refused" if refused else ""
        return failed(
            what, f"{why}{met}: no row reaches the alert rules.", "It can take 30 minutes to work.", _assignment(facts)
        )
    if isinstance(found, CommandError):
        return without(what, Untried(found.sentence.rstrip(".")))
    return without(what, found if isinstance(found, Untried) else Untried("nothing tells of it"))


def _assignment(facts: Facts) -> tuple[str, ...]:
    rule = facts.app.collection_rule(facts.places) if isinstance(facts.app, App) else None
    known = facts.directory.identity if isinstance(facts.directory, Directory) else None
    principal = commands.principal(known.id if known else facts.places.value("IDENTITY_PRINCIPAL_ID"))
    return commands.assign(PUBLISHER, principal, commands.collection_rule_id(facts, rule))
