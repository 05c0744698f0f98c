"""Checks what the app signs in as, and what that identity may do in Graph and at the data collection rule."""

from collections.abc import Sequence
from typing import Final

from cli.arm import Identity
from cli.doctor import commands
from cli.doctor.commands import command, values
from cli.doctor.directory import Directory, Grant, Principal
from cli.doctor.facts import Facts, known
from cli.doctor.lines import Line, NotTriedError, failed, passed
from cli.doctor.machine import same
from cli.publishing import PUBLISHER
from shared.graph.connectors import EVENTS_ROLE
from shared.text import bounded
from shared.words import ago, listed, moment

OPERATOR: Final = "Managed Identity Operator"
"""Without it Azure answers LinkedAuthorizationFailed: Azure/azure-monitor-baseline-alerts 508."""

_SHOWN: Final = 3
_TELLING: Final = 6
"""Characters from which on a name that another one begins with is no coincidence."""


def identity(facts: Facts) -> Line:
    """Check that the app signs in as an identity that it has, that the deployment granted roles, and that exists."""
    client_id, meant = bounded(facts.client_id or "", 100), facts.places.value("IDENTITY_CLIENT_ID")
    given = known(facts.identities.result)
    if given is not None and client_id and not any(same(one.client_id, client_id) for one in given):
        return _not_given(facts, client_id, given)
    if meant and client_id and not same(meant, client_id):
        name = bounded(facts.places.value("IDENTITY_NAME") or "the deployment's", 100)
        return failed(
            f"The app signs in with the client id {client_id}, and not as {name}, {bounded(meant, 100)}: "
            "roles were granted to another.",
            "",
            commands.set_settings(facts, {"AZURE_CLIENT_ID": meant}),
        )
    if found := facts.directory.result().identity:
        return passed(f"The app signs in as {_name(found)} ({found.id}).")
    return failed(
        f"The directory has no identity {client_id or bounded(facts.principal_id or '', 100)}: it was deleted, or "
        "belongs to another tenant.",
        "Sign in to the monitor's tenant; if you are, deploy again, and then grant the role to the new identity.",
        commands.provision(facts),
    )


def _name(identity: Principal) -> str:
    return bounded(identity.display_name or "without a name")


def _not_given(facts: Facts, client_id: str, given: Sequence[Identity]) -> Line:
    """Report that the app is set to sign in as an identity that was not assigned to it."""
    meant, remedy = facts.places.value("IDENTITY_RESOURCE_ID"), ""
    if meant:
        fix = command(facts, "az functionapp identity assign --identities {identity} --ids {app_id}", identity=meant)
        if not meant.casefold().startswith(f"{values(facts)['group_id'].casefold()}/"):
            remedy = f"It is in another resource group: to assign it, you need the role {OPERATOR} on the identity."
    elif given:
        fix = commands.set_settings(facts, {"AZURE_CLIENT_ID": given[0].client_id})
    else:
        fix = commands.provision(facts)
    has = listed([bounded(one.id.rpartition("/")[2], 100) for one in given[:_SHOWN]]) or "none"
    sentence = f"The app is set to sign in with the client id {client_id}, and has no such identity; it has {has}."
    return failed(sentence, remedy, fix)


def has_role(facts: Facts, role: str) -> Line:
    """Check that the app's identity has a Graph role that it needs."""
    directory = facts.directory.result()
    identity = directory.identity
    if identity is None:
        raise NotTriedError("the app's identity is not in the directory")
    if role not in directory.roles:
        return failed(f"Graph has no application role {role} in this cloud.", "Check GRAPH_ENDPOINT.")
    if not directory.has(role):
        return _not_granted(facts, directory, _name(identity), role)
    names = {id_: name for name, id_ in directory.roles.items()}
    beside = sorted({names.get(grant.app_role_id, grant.app_role_id) for grant in directory.grants} - {*facts.roles})
    others = f", and, without needing it, {bounded(listed(beside), 200)}" if beside else ""
    return passed(f"{_name(identity)} has {role}{others}.{_in_use(facts, role)}")


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


def _not_granted(facts: Facts, directory: Directory, name: str, role: str) -> Line:
    fix = command(facts, commands.GRANT, *(["--enrollment-events"] if role == EVENTS_ROLE else []))
    sentence = f"{name} ({facts.principal_id}) does not have {role}"
    remedy = (
        "A Global Administrator or Privileged Role Administrator grants it. Azure keeps the app's token for a day, so "
        "a grant can take hours to work; doctor shows when the app asks again."
    )
    holders = [grant for grant in directory.holders if grant.app_role_id == directory.roles[role]]
    if mistaken := [grant for grant in holders if _was_meant(facts, name, grant)]:
        names = listed([f"{grant.holder} ({grant.principal_id})" for grant in mistaken[:_SHOWN]])
        revoke = "az rest --method delete --url {graph}/v1.0/servicePrincipals/{holder}/appRoleAssignments/{grant}"
        return failed(
            f"{sentence}. It was granted to the wrong identity: {names} has it.",
            f"{remedy} After that, remove it from the wrong one.",
            fix,
            command(facts, revoke, holder=mistaken[0].principal_id, grant=mistaken[0].id),
        )
    others = listed([grant.holder for grant in holders[:_SHOWN]]) + (" and more" if len(holders) > _SHOWN else "")
    return failed(f"{sentence}: it is not granted{f'. Others have it: {others}' if others else ''}.", remedy, fix)


def _was_meant(facts: Facts, name: str, grant: Grant) -> bool:
    """Return whether a role was probably meant for the app: the holder is the app's, too, or has a similar name."""
    theirs = [facts.places.value("IDENTITY_PRINCIPAL_ID")]
    theirs += [one.principal_id for one in known(facts.identities.result) or ()]
    ours = [one.casefold() for one in (name, facts.places.value("IDENTITY_NAME") or name, values(facts)["app"])]
    holder = grant.holder.casefold()
    alike = any(holder.startswith(one) or one.startswith(holder) for one in ours)
    return grant.principal_id in theirs or (alike and len(holder) >= _TELLING)


def publisher(facts: Facts) -> Line:
    """Check that the app may send rows: by the role on the data collection rule, or by what the newest check sent."""
    assigned, newest = known(facts.publisher.result), known(facts.newest)
    error = newest.publish_error if newest else None
    if assigned:
        late = " A new role can take 30 minutes to work." if error else ""
        return passed(f"The app's identity has {PUBLISHER} on the data collection rule.{late}")
    if newest and newest.started_on and newest.outcome != "failed":
        return passed(f"The app's newest check, {ago(newest.started_on, facts.now)}, has published its rows.")
    sentence = f"Whether the app's identity has the role {PUBLISHER} is not known. The newest check: {error}"
    if not (assigned is None and error):
        facts.publisher.result()  # raises the reason where it is not known
        sentence = f"The app's identity lacks the role {PUBLISHER} on the data collection rule: "
        sentence += "no row reaches the alert rules."
    fix = commands.assign(facts, PUBLISHER, commands.collection_rule_id(facts), values(facts)["principal"])
    return failed(sentence, "If the role is missing, assign it; it can take 30 minutes to work.", fix)
