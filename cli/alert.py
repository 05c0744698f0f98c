"""`test-alert`: a finding of a token that does not exist, which proves the whole way to somebody's phone.

The row looks like one of a run that died: no closing row follows it. So it opens an alert, does not count as a check,
and the app's next complete run, which has no such finding, resolves it. No table is written to.
"""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from uuid import uuid4

import msgspec
import typer

from cli import WELL, CommandError, program, view
from cli.command import command
from cli.progress import until
from cli.session import Session
from shared.guidance.guidance import Guidance
from shared.model.tokens import Connector, Finding, Health, Status, Step, Token
from shared.publishing.rows import FINDINGS, NONE, finding_rows
from shared.storage.columns import Row
from shared.storage.rows import RunRow
from shared.words import moment, next_tick

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

    from cli.records import Records

CONNECTOR: Final = "test"
NAME: Final = "TEST"
FINDING: Final = "test"
"""What identifies the finding. No token of Graph has such a connector, so no alert of a real token is the same."""


class _Rule(msgspec.Struct):
    """An alert rule, as far as the test depends on it."""

    name: str
    severity: int
    frequency: timedelta


RULE: Final = "token_critical"
"""The alert rule that fires."""
_RULES: Final = msgspec.json.decode(
    (Path(__file__).parents[1] / "infra" / "alert-rules.json").read_bytes(), type=list[_Rule]
)
SEVERITY, EVERY = next((rule.severity, rule.frequency) for rule in _RULES if rule.name == RULE)

SEEN_WITHIN: Final = EVERY + timedelta(minutes=5)
"""One evaluation of the rule, and the time that rows need to arrive."""
RESOLVED_WITHIN: Final = 3 * EVERY
"""After the run that ends it: two evaluations without the finding, and the time that rows need to arrive."""
CHECKED_WITHIN: Final = timedelta(minutes=3)
"""A check has started this long after its minute, even from a cold start."""

_ACTION: Final = "This is a test of the alerts, sent by hand: nothing is wrong, and there is nothing to do."
_LONGEST_WAIT: Final = timedelta(hours=2, minutes=15)
"""For the end: two checks, in case the first one is not complete."""
_POLL_SECONDS: Final = 5.0
_RUNS: Final = 5


@command(
    "LOGS_INGESTION_ENDPOINT",
    "LOGS_INGESTION_RULE_ID",
    "TENANT_ID",
    "DEPLOYMENT",
    "FUNCTION_APP_ID",
    "AZURE_CLOUD",
    "ARM_ENDPOINT",
)
def test_alert(
    session: Session,
    at_once: Annotated[
        bool, typer.Option("--now", help="Send it at once, even if the next check may end it before it is seen.")
    ] = False,  # noqa: PT028 # a command, and not a test
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the check that ends it.")] = False,  # noqa: PT028
) -> int:
    """Prove the way from a finding to somebody's phone.

    Sends one critical finding of a token called TEST, which does not exist, with your own sign-in. This takes the role
    Monitoring Metrics Publisher on the data collection rule. An alert fires within 20 minutes, and resolves by itself
    after the app's next complete check. Real tokens, their alerts and the tables do not change.

    If the next check is too near, the finding is sent after that check, so that the alert rule can see it.

    Exit code 0: sent (and with --wait, ended); 3: not.

    For example:
      python -m cli test-alert
      python -m cli test-alert --wait
    """
    return asyncio.run(_test(session, at_once=at_once, wait=wait))


async def _test(session: Session, *, at_once: bool, wait: bool) -> int:
    from cli.records import default_credential, open_records

    if wait:
        session.places.required("TABLES_ENDPOINT")
    async with default_credential() as credential:
        sent = await _send(session, credential, at_once=at_once)
    for line in _expected(sent):
        view.print_hanging(session.out, "", view.sentence(line))
    if wait:
        async with open_records(session.places) as records:
            await _wait(session, records, sent)
    return WELL


async def _send(session: Session, credential: "AsyncTokenCredential", *, at_once: bool) -> datetime:
    """Send the finding when the rule is sure to see it; return when that was."""
    from cli import publishing

    places = session.places
    await publishing.require_access(places, credential)
    on = session.now if at_once else sends_on(session.now)
    if on > session.now:
        session.warn(
            f"The finding is sent at {on:%H:%M} UTC: the check at minute 7 would end it before the rule is sure to see "
            "it. --now sends it at once."
        )
        with session.working(f"Waiting until {on:%H:%M} UTC"):
            await asyncio.sleep((on - datetime.now(UTC)).total_seconds())
    sent = datetime.now(UTC)
    with session.working("Sending a finding of the token TEST"):
        made = row(sent, places.required("TENANT_ID"), places.required("DEPLOYMENT"), str(uuid4()))
        try:
            await publishing.send(places, credential, FINDINGS.name, made)
        except CommandError as problem:
            if not problem.role:
                raise
            remedy = f"{problem.remedy}\n{await publishing.assignment(places, credential)}"
            raise CommandError(problem.sentence, remedy) from problem
    return sent


def sends_on(now: datetime) -> datetime:
    """Return when to send it, so that the rule sees it before the next check ends it: `now`, or after that check."""
    tick = next_tick(now)
    begun = tick - timedelta(hours=1) + CHECKED_WITHIN
    if now < begun:
        return begun
    return now if tick - now >= SEEN_WITHIN else tick + CHECKED_WITHIN


def row(now: datetime, tenant_id: str, deployment: str, run_id: str) -> Row:
    """Return the finding's row. Its step is new each time, so that each test is an alert of its own."""
    token = Token(connector=Connector.ADE, id=NAME, name=NAME)
    sent = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    step = Step(tier=sent, severity=Health.CRITICAL, since=now, condition=f"test of the alerts, {sent}", action=_ACTION)
    finding = Finding(code=FINDING, severity=Health.CRITICAL, since=now, steps=(step,), name=NAME)
    status = Status(
        token=token,
        label=NAME,
        health=Health.CRITICAL,
        health_since=now,
        findings=(finding,),
        first_seen=now,
        checked_on=now,
        run_id=run_id,
        changed_on=now,
    )
    (made,) = finding_rows(status, tenant_id, deployment, Guidance())
    return {**made, "Connector": CONNECTOR, "TokenType": NONE, "Summary": f"'{NAME}': {_ACTION}"}


def _expected(sent: datetime) -> Iterator[str]:
    """Return what happens next, and when."""
    tick, minutes = next_tick(sent), EVERY // timedelta(minutes=1)
    yield (
        f"A critical finding of the token {NAME} was sent at {sent:%H:%M:%S} UTC. There is no such token. No table was "
        "written to, and the finding does not count as a check."
    )
    yield (
        f"By {sent + SEEN_WITHIN:%H:%M} UTC the alert rule {RULE} (severity {SEVERITY}) fires; Azure Monitor evaluates "
        f"it every {minutes} minutes. The action group notifies its members by mail, SMS or phone. A mail's subject "
        f'begins with "Critical: {NAME}", or with "Critical: {CONNECTOR} tokens" if alerts are split by connector.'
    )
    yield (
        f"The app's next complete check, at {tick:%H:%M} UTC, ends it. The alert resolves by itself by "
        f"{tick + RESOLVED_WITHIN:%H:%M} UTC, which the action group is notified of, too."
    )
    yield (
        "If nothing arrives, verify that each address in the action group is confirmed, and that "
        f"`{program()} doctor` finds the alert rules."
    )


async def _wait(session: Session, records: "Records", sent: datetime) -> None:
    async def ending() -> RunRow | None:
        """Return the app's run that ends it."""
        complete = (one for one in await records.runs(limit=_RUNS) if one.outcome in {"succeeded", "degraded"})
        return next((one for one in complete if one.started_on and one.started_on > sent), None)

    with session.working(f"Waiting for the app's next complete check, at {next_tick(sent):%H:%M} UTC"):
        run = await until(ending, _LONGEST_WAIT.total_seconds(), every=_POLL_SECONDS)
    if run is None or run.started_on is None:
        raise CommandError(
            f"The app has not checked since {moment(sent)}, so the test is still open.",
            f"`{program()} doctor` shows why the app does not check. Without a check, the test ends after two days.",
        )
    resolved = f"{run.started_on + RESOLVED_WITHIN:%H:%M} UTC"
    session.print(f"The check of {moment(run.started_on)} ended it; the alert resolves by {resolved}.")
