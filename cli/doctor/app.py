"""Checks the app and what is beside it, as Azure Resource Manager reports them."""

import re
from collections.abc import Mapping
from typing import Final

from cli import CommandError
from cli.arm import FUNCTIONS
from cli.doctor import commands
from cli.doctor.commands import command
from cli.doctor.facts import Facts
from cli.doctor.lines import Line, failed, passed, unknown
from shared.settings import BY_NAME, Settings, SettingsError
from shared.text import bounded
from shared.words import count, listed

ALERT_RULES: Final = ("token_critical", "token_warning", "check_failing", "check_silent")
"""The log alert rules of infra/alert-rules.json. Their names begin with what the app's name ends with."""

_APP: Final = "func-"
"""Begins the app's name: infra/main.bicep."""


def state(facts: Facts, found: str) -> Line:
    """Check that the app runs."""
    if found == "Running":
        return passed(f"{command(facts, '{app}')[0]} is running.")
    start = command(facts, "az functionapp start --ids {app_id}")
    return failed(f"It is {bounded(found, 40).lower()}: no check runs.", "Start it.", start)


def functions(facts: Facts, found: Mapping[str, bool]) -> Line:
    """Check that the host has found the functions, and that they are enabled."""
    missing = [name for name in FUNCTIONS.values() if name not in found]
    if missing:
        return failed(
            f"The host has not found {listed(missing)}.",
            "Deploy the code again; if that does not help, the app's log says why it could not be loaded.",
            commands.deploy(facts),
        )
    disabled = [name for name in FUNCTIONS.values() if not found[name]]
    if not disabled:
        return passed(f"{listed(list(FUNCTIONS.values()))} are there and enabled.")
    names = [f"AzureWebJobs.{name}.Disabled" for name in disabled]
    delete = "az functionapp config appsettings delete --ids {app_id} --setting-names"
    remedy = "Remove the app settings that disable them."
    return failed(f"{_are(disabled)} disabled.", remedy, command(facts, delete, *names))


def _are(names: list[str]) -> str:
    return f"{bounded(listed(names), 300)} {'is' if len(names) == 1 else 'are'}"


def settings(facts: Facts, found: Mapping[str, str]) -> Line:
    """Check that the app can use its settings, and checks every hour."""
    try:
        schedule = Settings.load(found).check_schedule
    except SettingsError as error:
        values = {name: facts.places.value(name) or BY_NAME[name].default or f"YOUR_{name}" for name in error.names}
        said = " ".join(error.problems)
        return failed(said, "Set these.", commands.set_settings(facts, values) if values else ())
    if minute_of(schedule) is not None:
        return passed(f"All {len(BY_NAME)} can be used.")
    hourly = commands.set_settings(facts, {"CHECK_SCHEDULE": str(BY_NAME["CHECK_SCHEDULE"].default)})
    return failed(f"CHECK_SCHEDULE is {schedule!r}, and the alert rules expect a check every hour.", "", hourly)


def minute_of(schedule: str) -> int | None:
    """Return the minute of each hour at which an NCRONTAB schedule starts; None where it is not hourly."""
    hourly = re.fullmatch(r"\d+ +([0-5]?\d) +\* +\* +\* +\*", schedule.strip())
    return int(hourly[1]) if hourly else None


def is_usable(name: str, value: str) -> bool:
    """Return whether a setting is valid; one that is not may be a secret in the wrong place, and is not shown."""
    try:
        BY_NAME[name].parse(value)
    except ValueError:
        return False
    return True


def alert_rules(facts: Facts, found: Mapping[str, bool]) -> Line:
    """Check that the alert rules are there and enabled."""
    suffix = command(facts, "{app}")[0].casefold().removeprefix(_APP)
    named = {name.casefold(): name for name in found}
    missing = [rule for rule in ALERT_RULES if f"{suffix}-{rule}" not in named]
    if missing:
        return failed(f"{_are(missing)} missing: nobody is notified.", "Deploy them again.", commands.provision(facts))
    disabled = [name for rule in ALERT_RULES if not found[name := named[f"{suffix}-{rule}"]]]
    if not disabled:
        return passed(f"{count(len(ALERT_RULES), 'rule')} are there and enabled.")
    ids = [
        command(facts, "{group_id}")[0] + f"/providers/Microsoft.Insights/scheduledQueryRules/{name}"
        for name in disabled
    ]
    return failed(
        f"{_are(disabled)} disabled: nobody is notified.",
        "Azure disables a rule whose query failed for a week; its activity log shows who did.",
        command(facts, "az resource update --ids", *ids, "--set", "properties.enabled=true"),
    )


def rule_id(facts: Facts, rule_id: str) -> Line:
    """Check that rows are sent to a data collection rule that exists."""
    rules, rule = facts.app.collection_rules, facts.collection_rule
    if not rule_id.startswith("dcr-"):
        why = "and an immutable id begins with dcr-"
    elif isinstance(rules, CommandError):
        return unknown(rules)
    elif any(one.immutable_id == rule_id for one in rules):
        name = rule.id.rpartition("/")[2] if rule else "a rule"
        return passed(f"{bounded(rule_id, 100)} is the immutable id of {name}.")
    else:
        why = "and no data collection rule of the group has this immutable id"
    shown = repr(rule_id) if is_usable("LOGS_INGESTION_RULE_ID", rule_id) else "no id at all"
    return failed(
        f"LOGS_INGESTION_RULE_ID is {shown}, {why}.",
        "It is not the rule's name or its resource id, but its property immutableId.",
        commands.set_settings(facts, {"LOGS_INGESTION_RULE_ID": rule.immutable_id if rule else "IMMUTABLE_ID"}),
    )
