"""The table of checks, in the order in which things depend on each other."""

from asyncio import CancelledError
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from cli import CommandError
from cli.arm import ArmError
from cli.doctor import app, commands, identity, machine, runs
from cli.doctor.facts import SECONDS, TABLES, Facts, known
from cli.doctor.lines import Line, NotTriedError, failed, passed
from shared.graph.connectors import EVENTS_ROLE, ROLE


class Check(NamedTuple):
    """One thing that has to be in place."""

    name: str
    judge: Callable[[Facts], Line]
    """Returns what it finds; raises what a fact's reading raised."""
    gone: Callable[[Facts], str] = lambda _: ""
    """The command that brings back what was not found."""
    scope: Callable[[Facts], str] = lambda _: ""
    """The resource on which the operator lacks a role."""

    def line(self, facts: Facts) -> Line:
        """Return what the check finds; where a fact is not known, it was not tried, or fails like the read."""
        try:
            line = self.judge(facts)
        except CommandError as problem:
            line = failed(problem.sentence, problem.remedy, self._fix(facts, problem))
            if isinstance(problem, NotTriedError) or (isinstance(problem, ArmError) and problem.status == 403):
                line = line._replace(state="not tried")
        except CancelledError:
            line = failed(f"There was no answer within {SECONDS} seconds.", "Check the network, proxy and VPN.")
        return line._replace(what=self.name)

    def _fix(self, facts: Facts, problem: CommandError) -> str:
        account = known(facts.account.result)
        if problem.status == 401:
            return commands.sign_in(facts)
        if problem.role and account:
            return commands.assign(facts, problem.role, self.scope(facts), account.object_id, account.kind)
        return self.gone(facts) if problem.status == 404 else ""


def _table(name: str) -> Check:
    return Check(
        name, lambda facts: passed(facts.tables[name].result()), commands.provision, commands.storage_account_id
    )


CHECKS: Final = (
    Check("Places", machine.places),
    Check("Clock", machine.clock),
    Check("Sign-in", machine.sign_in),
    Check("App", app.state, commands.refresh),
    Check("Functions", app.functions),
    Check("App settings", app.settings),
    Check("Alert rules", app.alert_rules),
    Check("Rule id", app.rule_id),
    Check("Identity", identity.identity),
    Check("Graph role", partial(identity.has_role, role=ROLE)),
    Check("Graph role, events", partial(identity.has_role, role=EVENTS_ROLE)),
    Check("Right to publish", identity.publisher),
    *map(_table, TABLES),
    Check("Last check", runs.last),
    Check("Reading", runs.reading),
    Check("Storing", runs.storing),
    Check("Heartbeat", runs.heartbeat),
    Check("Schedule", runs.schedule),
    Check("Version", runs.version),
    Check("Ingestion", lambda facts: passed(facts.ingestion.result()), commands.refresh, commands.collection_rule_id),
)


def judge(facts: Facts) -> list[Line]:
    """Return the line of each check. One that failed for the same reason as an earlier one refers to that one."""
    first: dict[str, str] = {}
    lines = [check.line(facts) for check in CHECKS if check.name != "Graph role, events" or EVENTS_ROLE in facts.roles]
    for number, line in enumerate(lines):
        if line.state == "failed" and first.setdefault(line.said, line.what) != line.what:
            same = failed(f"For the same reason as {first[line.said]}.")
            lines[number] = same._replace(what=line.what)
    return lines
