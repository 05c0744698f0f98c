"""Checks the app and what is beside it, as Azure Resource Manager reports them."""

import re
from typing import Final

from cli.arm import FUNCTIONS
from cli.doctor import commands
from cli.doctor.commands import command, values
from cli.doctor.facts import Facts
from cli.doctor.lines import Line, NotTriedError, failed, passed
from cli.doctor.machine import is_usable
from shared.settings import BY_NAME, Settings, SettingsError
from shared.text import bounded
from shared.words import count, listed

ALERT_RULES: Final = ("token_critical", "token_warning", "check_failing", "check_silent")
"""The log alert rules of infra/alert-rules.json. Their names begin with what follows `func-` in the app's name."""


def state(facts: Facts) -> Line:
    """Check that the app runs."""
    found = facts.state.result()
    if found == "Running":
        return passed(f"{values(facts)['app']} is running.")
    start = command(facts, "az functionapp start --ids {app_id}")
    return failed(f"It is {bounded(found, 40).lower()}: no check runs.", "Start it.", start)


def functions(facts: Facts) -> Line:
    """Check that the host has found the functions, and that they are enabled."""
    found, expected = facts.functions.result(), list(FUNCTIONS.values())
    if missing := [name for name in expected if name not in found]:
        return failed(
            f"The host has not found {listed(missing)}.",
            "Deploy the code again; if that does not help, the app's log says why it could not be loaded.",
            commands.deploy(facts),
        )
    if disabled := [name for name in expected if not found[name]]:
        settings = [f"AzureWebJobs.{name}.Disabled" for name in disabled]
        delete = "az functionapp config appsettings delete --ids {app_id} --setting-names"
        remedy = "Remove the app settings that disable them."
        return failed(f"{_are(disabled)} disabled.", remedy, command(facts, delete, *settings))
    return passed(f"{listed(expected)} are there and enabled.")


def _are(names: list[str]) -> str:
    return f"{bounded(listed(names), 300)} {'is' if len(names) == 1 else 'are'}"


def settings(facts: Facts) -> Line:
    """Check that the app can use its settings, and checks every hour."""
    try:
        schedule = Settings.load(facts.settings.result()).check_schedule
    except SettingsError as error:
        right = {name: facts.places.value(name) or BY_NAME[name].default or f"YOUR_{name}" for name in error.names}
        fix = commands.set_settings(facts, right) if right else ""
        return failed(" ".join(error.problems), "Set these.", fix)
    if minute_of(schedule) is not None:
        return passed(f"All {len(BY_NAME)} can be used.")
    hourly = commands.set_settings(facts, {"CHECK_SCHEDULE": str(BY_NAME["CHECK_SCHEDULE"].default)})
    return failed(f"CHECK_SCHEDULE is {schedule!r}, and the alert rules expect a check every hour.", "", hourly)


def minute_of(schedule: str) -> int | None:
    """Return the minute of each hour at which an NCRONTAB schedule starts; None where it is not hourly."""
    hourly = re.fullmatch(r"\d+ +([0-5]?\d) +\* +\* +\* +\*", schedule.strip())
    return int(hourly[1]) if hourly else None


def alert_rules(facts: Facts) -> Line:
    """Check that the alert rules are there and enabled."""
    found, known = facts.alert_rules.result(), values(facts)
    suffix = known["app"].casefold().removeprefix("func-")
    names = {name.casefold(): name for name in found}
    if missing := [rule for rule in ALERT_RULES if f"{suffix}-{rule}" not in names]:
        return failed(f"{_are(missing)} missing: nobody is notified.", "Deploy them again.", commands.provision(facts))
    if disabled := [name for rule in ALERT_RULES if not found[name := names[f"{suffix}-{rule}"]]]:
        ids = [f"{known['group_id']}/providers/Microsoft.Insights/scheduledQueryRules/{name}" for name in disabled]
        return failed(
            f"{_are(disabled)} disabled: nobody is notified.",
            "Azure disables a rule whose query failed for a week; its activity log shows who did.",
            command(facts, "az resource update --ids", *ids, "--set", "properties.enabled=true"),
        )
    return passed(f"{count(len(ALERT_RULES), 'rule')} are there and enabled.")


def rule_id(facts: Facts) -> Line:
    """Check that rows are sent to a data collection rule that exists."""
    rule_id, rule = facts.setting("LOGS_INGESTION_RULE_ID"), facts.collection_rule
    if rule_id is None:
        raise NotTriedError("LOGS_INGESTION_RULE_ID is not known")
    if not rule_id.startswith("dcr-"):
        why = "and an immutable id begins with dcr-"
    elif any(one.immutable_id == rule_id for one in facts.collection_rules.result()):
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
