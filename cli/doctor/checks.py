"""The table of checks: each judges one fact, in the order in which things depend on each other."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from cli import CommandError
from cli.doctor import app, commands, identity, machine, runs
from cli.doctor.facts import Fact, Facts, known
from cli.doctor.lines import Line, Words, named, passed, unknown
from cli.doctor.reads import TABLES
from shared.graph.connectors import EVENTS_ROLE


def judge(facts: Facts) -> list[Line]:
    """Return the line of each check, in the order in which things depend on each other."""
    checks = (check for check in CHECKS if check.judge is not identity.events_role or EVENTS_ROLE in facts.roles)
    return named((check.name, check.line(facts)) for check in checks)


class Check[T](NamedTuple):
    """One thing that has to be in place."""

    name: str
    judge: Callable[[Facts, T], Line]
    needs: Callable[[Facts], Fact[T]]
    """The fact that it judges; where that is not known, the check is not tried, or fails like the read."""
    gone: Callable[[Facts], Words] = lambda _: ()
    """The command that brings back what was not found."""
    scope: Callable[[Facts], str] = lambda _: ""
    """The resource on which the operator lacks a role."""

    def line(self, facts: Facts) -> Line:
        """Return what the check finds."""
        fact = self.needs(facts)
        return unknown(fact, self._fix(facts, fact)) if isinstance(fact, CommandError) else self.judge(facts, fact)

    def _fix(self, facts: Facts, problem: CommandError) -> Words:
        account = known(facts.account)
        if problem.status == 401:
            return commands.sign_in(facts)
        if problem.role and account:
            return commands.assign(facts, problem.role, self.scope(facts), account)
        return self.gone(facts) if problem.status == 404 else ()


def _table(name: str) -> Check[str]:
    return Check(name, _works, lambda facts: facts.tables[name], commands.provision, commands.storage_account_id)


def _works(_: Facts, said: str) -> Line:
    return passed(said)


CHECKS: Final[tuple[Check[Any], ...]] = (
    Check("Places", machine.places, lambda facts: facts.places),
    Check("Clock", machine.clock, lambda facts: facts.skew),
    Check("Sign-in", machine.sign_in, lambda facts: facts.account),
    Check("App", app.state, lambda facts: facts.app.state, commands.refresh),
    Check("Functions", app.functions, lambda facts: facts.app.functions),
    Check("App settings", app.settings, lambda facts: facts.app.settings),
    Check("Alert rules", app.alert_rules, lambda facts: facts.app.alert_rules),
    Check("Rule id", app.rule_id, lambda facts: facts.rule_id),
    Check("Identity", identity.identity, lambda facts: facts.client_id),
    Check("Graph role", identity.graph_role, lambda facts: facts.directory),
    Check("Graph role, events", identity.events_role, lambda facts: facts.directory),
    Check("Right to publish", identity.publisher, lambda facts: facts.places),
    *map(_table, TABLES),
    Check("Last check", runs.last, lambda facts: facts.runs),
    Check("Reading", runs.reading, lambda facts: facts.newest),
    Check("Storing", runs.storing, lambda facts: facts.newest),
    Check("Heartbeat", runs.heartbeat, lambda facts: facts.checks),
    Check("Schedule", runs.schedule, lambda facts: facts.checks),
    Check("Version", runs.version, lambda facts: facts.newest),
    Check("Ingestion", _works, lambda facts: facts.ingestion, commands.refresh, commands.collection_rule_id),
)
