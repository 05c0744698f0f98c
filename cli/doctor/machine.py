"""Checks this machine: what it knows of the deployment, its clock, and who is signed in."""

from datetime import timedelta
from typing import Final

from cli import CommandError
from cli.doctor import commands
from cli.doctor.facts import Facts
from cli.doctor.lines import Line, NotTriedError, failed, passed
from cli.places import option
from shared.settings import BY_NAME
from shared.text import bounded
from shared.words import CLOCK_SKEW, count, listed, span

_OF_BOTH: Final = ("TABLES_ENDPOINT", "LOGS_INGESTION_ENDPOINT", "LOGS_INGESTION_RULE_ID", "TENANT_ID", "DEPLOYMENT")
"""What this machine uses and the app is set to."""
_NEEDED: Final = (*_OF_BOTH, "FUNCTION_APP_ID", "IDENTITY_PRINCIPAL_ID")


def places(facts: Facts) -> Line:
    """Check that the places are known, can be used, and are the app's."""
    here, refresh = facts.places, commands.refresh(facts)
    try:
        for name in _NEEDED:
            here.checked(name, "")
    except CommandError as problem:
        return failed(problem.sentence, problem.remedy, refresh)
    for name in _OF_BOTH:
        place, meant = here.get(name), facts.app_settings.get(name)
        if place and meant and not same(place.value, meant) and is_usable(name, meant):
            return failed(
                f"{place.source[0].upper()}{place.source[1:]} says {name} is {bounded(place.value, 100)!r}, and the "
                f"app is set to {bounded(meant, 100)!r}.",
                "Use the app's deployment here, too: have azd record its outputs, or correct the value.",
                refresh,
            )
    if missing := [name for name in _NEEDED if here.get(name) is None]:
        how = f"Set each with an option such as {option(missing[0])}, in a variable of its name, or through azd"
        raise NotTriedError(f"not known here: {listed(missing)}", f"{how} ({here.azd}).")
    return passed(f"All {len(_NEEDED)} are known here ({here.azd}).")


def is_usable(name: str, value: str) -> bool:
    """Return whether a setting is valid; one that is not may be a secret in the wrong place, and is not shown."""
    try:
        BY_NAME[name].parse(value)
    except ValueError:
        return False
    return True


def same(here: str, there: str) -> bool:
    """Return whether two IDs or addresses are the same but for their case and a slash at the end."""
    return here.rstrip("/").casefold() == there.rstrip("/").casefold()


def clock(facts: Facts) -> Line:
    """Check that this machine's clock agrees with Azure's."""
    skew = facts.skew.result()
    length = span(abs(skew)) if abs(skew) >= timedelta(minutes=1) else count(round(abs(skew.total_seconds())), "second")
    if abs(skew) <= CLOCK_SKEW:
        return passed(f"This machine's clock and Azure's are {length} apart.")
    return failed(
        f"This machine's clock is {length} {'behind' if skew > timedelta() else 'ahead of'} Azure's. From 5 minutes "
        "on, sign-ins fail, and ages are wrong.",
        "Set the clock.",
        commands.SET_CLOCK,
    )


def sign_in(facts: Facts) -> Line:
    """Check that the operator is signed in to the monitor's tenant."""
    account, tenant = facts.account.result(), facts.places.value("TENANT_ID") or facts.app_settings.get("TENANT_ID")
    if not tenant or same(tenant, account.tenant_id):
        return passed(f"{account.name}, tenant {account.tenant_id}.")
    return failed(
        f"{account.name} is signed in to tenant {account.tenant_id}, and the monitor is of {bounded(tenant, 100)}.",
        "Sign in to the monitor's tenant.",
        commands.sign_in(facts),
    )
