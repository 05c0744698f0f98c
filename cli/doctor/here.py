"""Judges this machine: what it knows of the deployment, its clock, and who is signed in."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from cli import CommandError
from cli.doctor import commands
from cli.doctor.app import can_be_used
from cli.doctor.facts import Facts
from cli.doctor.lines import Line, Untried, failed, passed, untried, without
from cli.places import option
from shared.text import bounded
from shared.words import CLOCK_SKEW, count, listed, span

_NEEDED: Final = (
    "TABLES_ENDPOINT",
    "LOGS_INGESTION_ENDPOINT",
    "LOGS_INGESTION_RULE_ID",
    "TENANT_ID",
    "DEPLOYMENT",
    "FUNCTION_APP_ID",
    "IDENTITY_PRINCIPAL_ID",
)
_OF_BOTH: Final = ("TABLES_ENDPOINT", "LOGS_INGESTION_ENDPOINT", "LOGS_INGESTION_RULE_ID", "TENANT_ID", "DEPLOYMENT")
"""What this machine goes by and the app is set to."""


def judge(facts: Facts) -> Iterator[Line]:
    """The lines about this machine."""
    yield _places(facts)
    yield _clock(facts)
    yield _sign_in(facts)


def _places(facts: Facts) -> Line:
    what, places = "Places", facts.places
    missing = [name for name in _NEEDED if places.get(name) is None]
    for name in _NEEDED:
        try:
            places.checked(name, "")
        except CommandError as problem:
            return failed(what, problem.sentence, problem.remedy, commands.refresh(facts))
    differing = [
        name
        for name in _OF_BOTH
        if (here := places.value(name))
        and (there := facts.settings.get(name))
        and not _same(here, there)
        and can_be_used(name, there)
    ]
    if differing:
        name = differing[0]
        place = places.get(name)
        assert place is not None  # noqa: S101 # it differs
        return failed(
            what,
            f"{place.source[0].upper()}{place.source[1:]} says {name} is {bounded(place.value, 100)!r}, and the app is "
            f"set to {bounded(facts.settings[name], 100)!r}.",
            "Look at the same deployment as the app: let azd note what it put out, or correct what is named.",
            commands.refresh(facts),
        )
    if missing:
        how = "Name it" if len(missing) == 1 else "Name each"
        return untried(
            what,
            f"{listed(missing)} {'is' if len(missing) == 1 else 'are'} not known here.",
            f"{how} with an option such as {option(missing[0])}, in a variable of its name, or through azd "
            f"({places.azd}).",
        )
    sources = sorted(
        {place.source.partition(" ")[0] if "azd" not in place.source else place.source for place in places}
    )
    told = {"the": "options and variables"}
    return passed(what, f"All {len(_NEEDED)} are known, from {listed([told.get(one, one) for one in sources])}.")


def _same(here: str, there: str) -> bool:
    return here.rstrip("/").casefold() == there.rstrip("/").casefold()


def _clock(facts: Facts) -> Line:
    what, skew = "Clock", facts.skew
    if isinstance(skew, Untried | CommandError):
        return without(what, skew)
    length = _length(abs(skew))
    if abs(skew) > CLOCK_SKEW:
        return failed(
            what,
            f"This machine's clock is {length} {'behind' if skew > timedelta() else 'ahead of'} Azure's: from 5 "
            "minutes on, sign-ins fail, and ages are told wrong.",
            "Set the clock.",
            commands.set_clock(),
        )
    return passed(what, f"This machine's clock and Azure's are {length} apart.")


def _length(length: timedelta) -> str:
    return span(length) if length >= timedelta(minutes=1) else count(round(length.total_seconds()), "second")


def _sign_in(facts: Facts) -> Line:
    what, account = "Sign-in", facts.account
    if isinstance(account, Untried | CommandError):
        return without(what, account, commands.sign_in(facts))
    tenant = facts.places.value("TENANT_ID") or facts.settings.get("TENANT_ID")
    if tenant and tenant.casefold() != account.tenant_id.casefold():
        return failed(
            what,
            f"{account.name} is signed in to tenant {account.tenant_id}, and the monitor is of {bounded(tenant, 100)}.",
            "Sign in to the monitor's tenant.",
            commands.sign_in(facts),
        )
    return passed(what, f"{account.name}, tenant {account.tenant_id}.")
