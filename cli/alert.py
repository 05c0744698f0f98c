"""`test-alert`: a finding of a token that does not exist, so that the whole way to somebody's phone is proven.

The row looks like one of a run that died: no closing row follows it. So it opens an alert, is no heartbeat, and the
app's next whole run, which has no such finding, ends it. No table is written to.
"""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ServiceRequestError

from cli import WELL, CommandError, publishing, view
from cli.arm import open_arm
from cli.by_hand import is_by_hand, new_run_id
from cli.places import Places
from cli.progress import until
from cli.publishing import PUBLISHER
from cli.records import Records, default_credential, open_records
from cli.refusals import signed_out
from cli.rows import RunRow
from cli.session import Session
from cli.sign_in import claims, default_token
from shared.guidance.guidance import Guidance
from shared.http.azure_errors import told
from shared.model.tokens import Connector, Finding, Health, Status, Step, Token
from shared.storage.rows import FINDINGS, NONE, Row, finding_rows
from shared.text import bounded
from shared.words import moment, next_tick

CONNECTOR: Final = "test"
NAME: Final = "TEST"
FINDING: Final = "test"
"""What the finding is known by. No token of Graph's has such a connector, so no alert of a real one is the same."""

RULE: Final = "token_critical"
SEVERITY: Final = 1
EVERY: Final = timedelta(minutes=15)
"""The alert rule that is to fire: its name, its severity, and between two of its looks. `infra/alert-rules.json`."""

SEEN_WITHIN: Final = timedelta(minutes=20)
"""A look of the rule, and the time that rows need to arrive."""
RESOLVED_WITHIN: Final = 3 * EVERY
"""Of the run that ends it: two looks without the finding, and the way there."""
CHECKED_WITHIN: Final = timedelta(minutes=3)
"""A check has begun so long after its minute, even from a cold start."""

_ACTION: Final = "This is a test of the alerts, sent by hand: nothing is wrong, and there is nothing to do."
_LONGEST_WAIT: Final = timedelta(hours=2, minutes=15)
"""For the end: two checks, in case the first one is not whole."""
_LOOK_SECONDS: Final = 5.0
_RUNS: Final = 5


def sends_on(now: datetime) -> datetime:
    """When to send it, so that the rule has seen it before the next check ends it: `now`, or after that check."""
    tick = next_tick(now)
    begun = tick - timedelta(hours=1) + CHECKED_WITHIN
    if now < begun:
        return begun
    return now if tick - now >= SEEN_WITHIN else tick + CHECKED_WITHIN


def row(now: datetime, tenant_id: str, deployment: str, run_id: str) -> Row:
    """The finding's row. Its step is new each time, so that each test is an alert of its own, however it is split."""
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


def run(session: Session, *, at_once: bool, wait: bool) -> int:
    """Send it, say what to expect, and wait for the end if asked; the exit code.

    Raises:
        CommandError: where something is not known, the row is not taken, or its end is not seen.

    """
    return asyncio.run(_run(session, at_once=at_once, wait=wait))


async def _run(session: Session, *, at_once: bool, wait: bool) -> int:
    places, out = session.places, session.out
    if wait:
        places.required("TABLES_ENDPOINT")
    async with default_credential() as credential:
        await _may_send(places, credential)
        on = session.now if at_once else sends_on(session.now)
        if on > session.now:
            session.warn(
                f"It is sent at {on:%H:%M} UTC: the check at minute 7 would end it before the rule is sure to have "
                "seen it. --now sends it at once."
            )
            with session.working(f"Waiting until {on:%H:%M} UTC"):
                await asyncio.sleep((on - datetime.now(UTC)).total_seconds())
        sent = datetime.now(UTC)
        with session.working("Sending a finding of the token TEST"):
            tenant_id, deployment = places.required("TENANT_ID"), places.required("DEPLOYMENT")
            await _send(places, credential, row(sent, tenant_id, deployment, new_run_id()))
    for line in _expected(sent):
        view.print_hanging(out, "", view.told(line))
    if wait:
        async with open_records(places) as records:
            await _wait(session, records, sent)
    return WELL


def _expected(sent: datetime) -> Iterator[str]:
    """What comes of it, and when."""
    tick, minutes = next_tick(sent), EVERY // timedelta(minutes=1)
    yield (
        f"A critical finding of the token {NAME} was sent at {sent:%H:%M:%S} UTC. There is no such token: no table was "
        "written to, and it counts as no check."
    )
    yield (
        f"By {sent + SEEN_WITHIN:%H:%M} UTC the alert rule {RULE} (severity {SEVERITY}) fires; it looks every "
        f"{minutes} minutes. The action group tells whoever is in it, by mail, SMS or phone. A mail's subject begins "
        f'with "Critical: {NAME}", or with "Critical: {CONNECTOR} tokens" where alerts are split by connector.'
    )
    yield (
        f"The app's next whole check, at {tick:%H:%M} UTC, ends it; by {tick + RESOLVED_WITHIN:%H:%M} UTC the alert "
        "resolves by itself, and is told as resolved."
    )
    yield (
        "If nothing comes: has each address in the action group been confirmed, and does `python -m cli doctor` find "
        "the alert rules in place?"
    )


async def _may_send(places: Places, credential: AsyncTokenCredential) -> None:
    """Find out what is missing before anybody waits."""
    for name in ("LOGS_INGESTION_ENDPOINT", "LOGS_INGESTION_RULE_ID", "TENANT_ID", "DEPLOYMENT"):
        places.required(name)
    await default_token(credential, publishing.scope(places))


async def _send(places: Places, credential: AsyncTokenCredential, made: Row) -> None:
    try:
        await publishing.send(places, credential, FINDINGS.name, made)
    except ClientAuthenticationError as error:
        raise await _not_let(places, credential, error) from error
    except HttpResponseError as error:
        raise await _refused(places, credential, error) from error
    except AzureError as error:
        what = "cannot be reached" if isinstance(error, ServiceRequestError) else "did not answer as it should"
        raise CommandError(
            f"Nothing was sent: {bounded(places.required('LOGS_INGESTION_ENDPOINT'), 200)} {what}.",
            "Check LOGS_INGESTION_ENDPOINT, the network, proxy and VPN.",
        ) from error


async def _refused(places: Places, credential: AsyncTokenCredential, error: HttpResponseError) -> CommandError:
    match error.status_code:
        case 401 | 403:
            return await _not_let(places, credential, error)
        case 404:
            return CommandError(
                f"Nothing was sent: there is no data collection rule {places.required('LOGS_INGESTION_RULE_ID')} at "
                f"{bounded(places.required('LOGS_INGESTION_ENDPOINT'), 200)}.",
                "LOGS_INGESTION_ENDPOINT and LOGS_INGESTION_RULE_ID are outputs of the deployment.",
            )
        case _:
            return CommandError(f"Nothing was sent: {told(error, right=PUBLISHER)}.", "Try again in a minute.")


async def _not_let(places: Places, credential: AsyncTokenCredential, error: HttpResponseError) -> CommandError:
    if error.status_code not in {401, 403}:
        return signed_out(error)
    who = claims(await default_token(credential, publishing.scope(places)))
    kind = "ServicePrincipal" if who.get("idtyp") == "app" else "User"
    assignee = (
        f"--assignee-object-id {who['oid']} --assignee-principal-type {kind}" if who.get("oid") else "--assignee YOU"
    )
    return CommandError(
        f"Nothing was sent: you may not send rows to the data collection rule (HTTP {error.status_code}).",
        f"An Owner or User Access Administrator of it gives you the role, which can take 30 minutes to work:\n"
        f'az role assignment create --role "{PUBLISHER}" {assignee} --scope {await _rule(places, credential)}',
    )


async def _rule(places: Places, credential: AsyncTokenCredential) -> str:
    """The data collection rule's resource id, or a word in its place."""
    try:
        async with open_arm(places, credential) as arm:
            rules = await arm.collection_rules()
    except CommandError:
        rules = []
    wanted = places.required("LOGS_INGESTION_RULE_ID")
    return next((bounded(one.id) for one in rules if one.immutable_id == wanted), "DATA_COLLECTION_RULE_ID")


async def _wait(session: Session, records: Records, sent: datetime) -> None:
    async def look() -> RunRow | None:
        """The app's own run that ends it."""
        rows = await records.runs(limit=_RUNS)
        own = (one for one in rows if not is_by_hand(one) and one.outcome in {"succeeded", "degraded"})
        return next((one for one in own if one.started_on and one.started_on > sent), None)

    with session.working(f"Waiting for the app's next whole check, at {next_tick(sent):%H:%M} UTC"):
        found = await until(look, _LONGEST_WAIT.total_seconds(), every=_LOOK_SECONDS)
    if found is None or found.started_on is None:
        raise CommandError(
            f"The app has not checked since {moment(sent)}, so the test is not over.",
            "`python -m cli doctor` looks for what is in the app's way; without a check it is over after two days.",
        )
    resolved = f"{found.started_on + RESOLVED_WITHIN:%H:%M} UTC"
    session.out.print(
        view.told(f"The check of {moment(found.started_on)} has ended it; the alert resolves by {resolved}.")
    )
