"""Judges the app and what is beside it, as Azure Resource Manager tells of them."""

import re
from collections.abc import Iterator
from typing import Final

from cli import CommandError
from cli.arm import FUNCTIONS, ArmError
from cli.doctor import commands
from cli.doctor.facts import App, Facts
from cli.doctor.lines import Line, Untried, failed, passed, untried, without
from shared.settings import BY_NAME, Settings, SettingsError
from shared.text import bounded
from shared.words import count, listed

ALERT_RULES: Final = ("token_critical", "token_warning", "check_failing", "check_silent")
"""The log alert rules of infra/alert-rules.json. Their names begin with what the app's name ends with."""

_APP: Final = "func-"
"""Begins the app's name: infra/main.bicep."""

HOURLY: Final = "0 7 * * * *"

_NOT_FOUND: Final = 404


def judge(facts: Facts) -> Iterator[Line]:
    """The lines about the app."""
    app = facts.app
    if isinstance(app, Untried | CommandError):
        yield without("App", app)
        why = app if isinstance(app, Untried) else Untried("the app is not known")
        yield from (without(what, why) for what in ("Functions", "App settings", "Alert rules"))
    else:
        yield _state(facts, app)
        if isinstance(app.state, ArmError) and app.state.status == _NOT_FOUND:
            gone = Untried("the app is not there")
            app = app._replace(functions=gone, settings=gone)
        yield _functions(facts, app)
        yield _settings(facts, app)
        yield _alert_rules(facts, app)
    yield _rule_id(facts)


def _state(facts: Facts, app: App) -> Line:
    what, state = "App", app.state
    if isinstance(state, Untried | CommandError):
        gone = isinstance(state, ArmError) and state.status == _NOT_FOUND
        return without(what, state, commands.refresh(facts) if gone else ())
    if state != "Running":
        return failed(
            what, f"It is {bounded(state, 40).lower()}: no check runs.", "Start it.", commands.of_app(facts, "start")
        )
    return passed(what, f"{app.id.rpartition('/')[2]} is running.")


def _functions(facts: Facts, app: App) -> Line:
    what, found = "Functions", app.functions
    if isinstance(found, Untried | CommandError):
        return without(what, found)
    missing = [name for name in FUNCTIONS.values() if name not in found]
    if missing:
        return failed(
            what,
            f"The host has not found {listed(missing)}.",
            "Deploy the code again; if it stays so, the app's log says why it could not be loaded.",
            commands.deploy(facts),
        )
    disabled = [name for name in FUNCTIONS.values() if not found[name]]
    if disabled:
        names = (f"AzureWebJobs.{name}.Disabled" for name in disabled)
        return failed(
            what,
            f"{listed(disabled)} {'is' if len(disabled) == 1 else 'are'} disabled.",
            "Take away the app settings that disable them.",
            (*commands.of_app(facts, "config", "appsettings", "delete"), "--setting-names", *names),
        )
    return passed(what, f"{listed(list(FUNCTIONS.values()))} are there and enabled.")


def _settings(facts: Facts, app: App) -> Line:
    what, found = "App settings", app.settings
    if isinstance(found, Untried | CommandError):
        return without(what, found)
    try:
        loaded = Settings.load(found)
    except SettingsError as error:
        names = [name for name in BY_NAME if any(re.match(rf"{name}\b", problem) for problem in error.problems)]
        values = {name: facts.places.value(name) or BY_NAME[name].default or f"YOUR_{name}" for name in names}
        return failed(what, " ".join(error.problems), "Set what is named.", commands.set_settings(facts, **values))
    if not is_hourly(loaded.check_schedule):
        return failed(
            what,
            f"CHECK_SCHEDULE is {loaded.check_schedule!r}, and the alert rules count on a check every hour.",
            "",
            commands.set_settings(facts, CHECK_SCHEDULE=HOURLY),
        )
    return passed(what, f"All {len(BY_NAME)} can be used.")


def is_hourly(schedule: str) -> bool:
    """Whether an NCRONTAB schedule comes once in every hour."""
    return re.fullmatch(r"\d+ +\d+ +\* +\* +\* +\*", schedule.strip()) is not None


def can_be_used(name: str, value: str) -> bool:
    """Whether a setting is what it should be; what is not may be a secret in the wrong place, and is not shown."""
    try:
        BY_NAME[name].parse(value)
    except ValueError:
        return False
    return True


def _rule_id(facts: Facts) -> Line:
    """Whether rows are sent to a data collection rule that is there."""
    what, rule_id = "Rule id", facts.setting("LOGS_INGESTION_RULE_ID")
    if rule_id is None:
        return untried(what, "LOGS_INGESTION_RULE_ID is not known.")
    app = facts.app if isinstance(facts.app, App) else None
    rules = app.collection_rules if app else Untried("Azure Resource Manager did not tell the rules.")
    rule = app.collection_rule(facts.places) if app else None
    shown = repr(rule_id) if can_be_used("LOGS_INGESTION_RULE_ID", rule_id) else "no id at all"
    if not rule_id.startswith("dcr-"):
        why = f"LOGS_INGESTION_RULE_ID is {shown}, and an immutable id begins with dcr-."
    elif isinstance(rules, Untried | CommandError):
        return without(what, rules)
    elif any(one.immutable_id == rule_id for one in rules):
        return passed(what, f"{bounded(rule_id, 100)} is that of {rule.id.rpartition('/')[2] if rule else 'a rule'}.")
    else:
        why = f"LOGS_INGESTION_RULE_ID is {shown}, and no data collection rule of the group has this immutable id."
    return failed(
        what,
        why,
        "It is not the rule's name or its resource id, but its property immutableId.",
        commands.set_settings(facts, LOGS_INGESTION_RULE_ID=rule.immutable_id if rule else "IMMUTABLE_ID"),
    )


def _alert_rules(facts: Facts, app: App) -> Line:
    what, found = "Alert rules", app.alert_rules
    if isinstance(found, Untried | CommandError):
        return without(what, found)
    suffix = app.id.rpartition("/")[2].casefold().removeprefix(_APP)
    named = {name.casefold(): name for name in found}
    ours = {rule: named.get(f"{suffix}-{rule}") for rule in ALERT_RULES}
    missing = [rule for rule, name in ours.items() if name is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        return failed(
            what,
            f"{listed(missing)} {verb} missing: nobody would be told.",
            "Deploy them again.",
            commands.provision(facts),
        )
    disabled = [name for name in ours.values() if name and not found[name]]
    if disabled:
        ids = (f"{app.group_id}/providers/Microsoft.Insights/scheduledQueryRules/{name}" for name in disabled)
        return failed(
            what,
            f"{bounded(listed(disabled), 300)} {'is' if len(disabled) == 1 else 'are'} disabled: nobody would be told.",
            "Azure disables a rule whose query failed for a week; its activity log says who did.",
            ("az", "resource", "update", "--ids", *ids, "--set", "properties.enabled=true"),
        )
    return passed(what, f"{count(len(ALERT_RULES), 'rule')} are there and enabled.")
