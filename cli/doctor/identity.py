"""Checks what the app signs in as, and what that identity may do in Graph and at the data collection rule."""

from collections.abc import Sequence
from typing import Final

from cli import CommandError
from cli.arm import Identity
from cli.doctor import commands
from cli.doctor.commands import command
from cli.doctor.directory import Directory, Grant, Principal
from cli.doctor.facts import Facts, known
from cli.doctor.lines import Line, NotTriedError, failed, passed, unknown
from cli.publishing import PUBLISHER
from shared.graph.connectors import EVENTS_ROLE, ROLE
from shared.text import bounded
from shared.words import ago, listed, moment

OPERATOR: Final = "Managed Identity Operator"
"""Without it Azure answers LinkedAuthorizationFailed: Azure/azure-monitor-baseline-alerts 508."""

_SHOWN: Final = 3
_TELLING: Final = 6
"""Characters from which on a name that another one begins with is no coincidence."""


def identity(facts: Facts, client_id: str | None) -> Line:
    """Check that the app signs in as an identity that it has, that the deployment granted roles, and that exists."""
    given, meant = known(facts.app.identities), facts.places.value("IDENTITY_CLIENT_ID")
    if given is not None and client_id and not any(_is(one.client_id, client_id) for one in given):
        return _not_given(facts, client_id, given)
    if meant and client_id and not _is(meant, client_id):
        name = bounded(facts.places.value("IDENTITY_NAME") or "the deployment's", 100)
        return failed(
            f"The app signs in with the client id {bounded(client_id, 100)}, and not as {name}, {bounded(meant, 100)}: "
            "roles were granted to another.",
            "",
            commands.set_settings(facts, {"AZURE_CLIENT_ID": meant}),
        )
    if isinstance(facts.directory, CommandError):
        return unknown(facts.directory)
    if found := facts.directory.identity:
        return passed(f"The app signs in as {found.name} ({found.id}).")
    return failed(
        f"The directory has no identity {bounded(client_id or facts.principal_id or '', 100)}: it was deleted, or "
        "belongs to another tenant.",
        "Sign in to the monitor's tenant; if you are, deploy again, and then grant the role to the new identity.",
        commands.provision(facts),
    )


def _is(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


def _not_given(facts: Facts, client_id: str, given: Sequence[Identity]) -> Line:
    """Report that the app is set to sign in as an identity that was not assigned to it."""
    meant, remedy = facts.places.value("IDENTITY_RESOURCE_ID"), ""
    if meant:
        fix = command(facts, "az functionapp identity assign --identities {identity} --ids {app_id}", identity=meant)
        if not meant.casefold().startswith(f"{command(facts, '{group_id}')[0].casefold()}/"):
            remedy = f"It is in another resource group: to assign it, you need the role {OPERATOR} on the identity."
    elif given:
        fix = commands.set_settings(facts, {"AZURE_CLIENT_ID": given[0].client_id})
    else:
        fix = commands.provision(facts)
    has = listed([bounded(one.id.rpartition("/")[2], 100) for one in given[:_SHOWN]]) or "none"
    said = f"The app is set to sign in with the client id {bounded(client_id, 100)}, and has no such identity"
    return failed(f"{said}; it has {has}.", remedy, fix)


def graph_role(facts: Facts, directory: Directory) -> Line:
    """Check that the app's identity has the role that reading takes."""
    return _role(facts, directory, ROLE)


def events_role(facts: Facts, directory: Directory) -> Line:
    """Check that it has the role that reading Intune's failure events takes."""
    return _role(facts, directory, EVENTS_ROLE)


def _role(facts: Facts, directory: Directory, role: str) -> Line:
    identity, role_id = directory.identity, directory.roles.get(role)
    if identity is None:
        return unknown(NotTriedError("the app's identity is not in the directory"))
    if role_id is None:
        return failed(f"Graph has no application role {role} in this cloud.", "Check GRAPH_ENDPOINT.")
    if not has(directory, role):
        return _not_granted(facts, identity, role, [one for one in directory.holders if one.app_role_id == role_id])
    names = {id_: name for name, id_ in directory.roles.items()}
    beside = sorted({names.get(grant.app_role_id, grant.app_role_id) for grant in directory.grants} - {*facts.roles})
    others = f", and, without needing it, {bounded(listed(beside), 200)}" if beside else ""
    return passed(f"{identity.name} has {role}{others}.{_in_use(facts, role)}")


def has(directory: Directory, role: str) -> bool:
    """Return whether the app's identity has a Graph role."""
    return any(grant.app_role_id == directory.roles.get(role) for grant in directory.grants)


def _in_use(facts: Facts, role: str) -> str:
    """Name the form of Graph's resource that the newest check's token was issued for, and whether it has the role."""
    newest = known(facts.newest)
    token = newest.graph_token if newest else None
    if token is None:
        return ""
    used = f" The app's token for {bounded(token.resource, 100)}"
    if role not in token.lacks:
        return f"{used} carries it."
    return f"{used} does not carry it yet; the first check after {moment(token.retry_on)} asks for another one."


def _not_granted(facts: Facts, identity: Principal, role: str, holders: Sequence[Grant]) -> Line:
    fix = command(facts, commands.GRANT, *(["--enrollment-events"] if role == EVENTS_ROLE else []))
    said = f"{identity.name} ({identity.id}) does not have {role}"
    remedy = (
        "A Global Administrator or Privileged Role Administrator grants it. Azure keeps the app's token for a day, so "
        "a grant can take hours to work; doctor shows when the app asks again."
    )
    mistaken = [grant for grant in holders if _was_meant(facts, identity, grant)]
    if mistaken:
        names = listed([f"{grant.name} ({grant.principal_id})" for grant in mistaken[:_SHOWN]])
        revoke = "az rest --method delete --url {graph}/v1.0/servicePrincipals/{holder}/appRoleAssignments/{grant}"
        return failed(
            f"{said}. It was granted to the wrong identity: {names} has it.",
            f"{remedy} After that, remove it from the wrong one.",
            fix,
            command(facts, revoke, holder=mistaken[0].principal_id, grant=mistaken[0].id),
        )
    others = listed([grant.name for grant in holders[:_SHOWN]]) + (" and more" if len(holders) > _SHOWN else "")
    return failed(f"{said}: it is not granted{f'. Others have it: {others}' if others else ''}.", remedy, fix)


def _was_meant(facts: Facts, identity: Principal, grant: Grant) -> bool:
    """Return whether a role was probably meant for the app: the holder is the app's, too, or has a similar name."""
    theirs = {one.principal_id for one in known(facts.app.identities) or ()} | {
        facts.places.value("IDENTITY_PRINCIPAL_ID")
    }
    ours = (identity.name, facts.places.value("IDENTITY_NAME") or identity.name, command(facts, "{app}")[0])
    name = grant.name.casefold()
    alike = any(name.startswith(one.casefold()) or one.casefold().startswith(name) for one in ours)
    return grant.principal_id in theirs or (alike and len(name) >= _TELLING)


def publisher(facts: Facts, _: object) -> Line:
    """Check that the app may send rows: by the role on the data collection rule, or by what the newest check sent."""
    assigned, newest = facts.publisher, known(facts.newest)
    error = newest.publish_error if newest else None
    if assigned is True:
        late = " A new role can take 30 minutes to work." if error else ""
        return passed(f"The app's identity has {PUBLISHER} on the data collection rule.{late}")
    if newest and newest.started_on and newest.outcome != "failed":
        return passed(f"The app's newest check, {ago(newest.started_on, facts.now)}, has published its rows.")
    if assigned is not False and not error:
        return unknown(NotTriedError(assigned.sentence))
    said = f"The app's identity lacks the role {PUBLISHER} on the data collection rule: no row reaches the alert rules."
    if assigned is not False:
        said = f"Whether the app's identity has the role {PUBLISHER} is not known. The newest check: {error}"
    fix = commands.assign(facts, PUBLISHER, commands.collection_rule_id(facts))
    return failed(said, "If the role is missing, assign it; it can take 30 minutes to work.", fix)
