"""A role that is granted after the app has asked for its first token, over the real credential and Azure's cache."""

from datetime import UTC, datetime, timedelta

import pytest
from azure.identity.aio import DefaultAzureCredential

from shared.graph.connectors import EVENTS_ROLE, ROLE
from shared.graph.credential import GraphCredential, forms
from simulator import bearer, faults
from simulator.stack import applied
from tests.scenes import HOUR, MINUTE

PLAIN, SLASH, APP_ID = forms(bearer.GRAPH)
BEGUN = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def ask(sim):
    """One run's token, `after` the first: the form in use, and the forms that were asked for."""
    sim.identity.caches = True

    async def ask(after=timedelta(), *, granted=(), needed=(ROLE,)):
        now = BEGUN + after
        sim.identity.clock = now.timestamp
        sim.identity.roles = list(granted)
        sim.identity.requests.clear()
        with applied(sim.env()):
            async with DefaultAzureCredential(managed_identity_client_id=bearer.CLIENT_ID) as credential:
                reader = GraphCredential(credential, forms(bearer.GRAPH), needed=needed, now=now)
                token = (await reader.get_token("any")).token
                assert (await reader.get_token("any")).token == token
        assert bearer.read(token)["aud"] == reader.token.resource
        return reader.token, [request.query["resource"] for request in sim.identity.requests]

    return ask


async def test_a_token_with_the_role_costs_one_request_and_no_other_form(ask):
    token, asked = await ask(granted=[ROLE])
    assert (token.resource, token.lacks, asked) == (PLAIN, (), [PLAIN])


async def test_the_next_form_is_asked_after_an_hour_and_used_if_it_has_the_role(ask):
    token, asked = await ask()
    assert (token.resource, token.lacks, asked) == (PLAIN, (ROLE,), [PLAIN])
    assert (token.retry_on, token.expires_on) == (BEGUN + HOUR, BEGUN + 24 * HOUR)
    token, asked = await ask(59 * MINUTE, granted=[ROLE])
    assert (token.resource, token.lacks, asked) == (PLAIN, (ROLE,), [PLAIN])
    for after in (60 * MINUTE, 3 * HOUR):
        token, asked = await ask(after, granted=[ROLE])
        assert (token.resource, token.lacks, asked) == (SLASH, (), [PLAIN, SLASH])
    token, asked = await ask(24 * HOUR, granted=[ROLE])
    assert (token.resource, asked) == (PLAIN, [PLAIN])


async def test_the_third_form_is_asked_after_six_hours_and_then_none_until_the_oldest_token_ends(ask):
    await ask()
    token, _ = await ask(HOUR)
    assert (token.resource, token.retry_on) == (PLAIN, BEGUN + 6 * HOUR)
    token, asked = await ask(6 * HOUR - MINUTE, granted=[ROLE])
    assert (token.resource, asked) == (PLAIN, [PLAIN, SLASH])
    token, asked = await ask(6 * HOUR)
    assert (token.resource, token.lacks, asked) == (PLAIN, (ROLE,), [PLAIN, SLASH, APP_ID])
    assert token.retry_on == BEGUN + 24 * HOUR
    token, _ = await ask(24 * HOUR - MINUTE, granted=[ROLE])
    assert (token.resource, token.lacks) == (PLAIN, (ROLE,))
    token, asked = await ask(24 * HOUR, granted=[ROLE])
    assert (token.resource, token.lacks, asked) == (PLAIN, (), [PLAIN])


async def test_the_third_form_has_a_role_that_the_second_came_too_early_for(ask):
    await ask()
    await ask(HOUR)
    token, _ = await ask(6 * HOUR, granted=[ROLE])
    assert (token.resource, token.lacks) == (APP_ID, ())


async def test_two_forms_are_never_fixed_in_the_same_hour(ask):
    await ask()
    token, asked = await ask(10 * HOUR)
    assert (asked, token.retry_on) == ([PLAIN, SLASH], BEGUN + 11 * HOUR)
    token, _ = await ask(11 * HOUR, granted=[ROLE])
    assert token.resource == APP_ID


async def test_a_form_that_entra_refuses_does_not_prevent_the_others(ask, sim, caplog):
    sim.identity.fail(lambda request: request.query["resource"] == SLASH, faults.status(400))
    await ask()
    token, asked = await ask(HOUR, granted=[ROLE])
    assert (token.resource, asked) == (PLAIN, [PLAIN, SLASH])
    assert f"No token for Graph in the form {SLASH}" in caplog.text
    token, _ = await ask(6 * HOUR, granted=[ROLE])
    assert token.resource == APP_ID


async def test_the_role_that_reads_tokens_takes_precedence_over_the_role_for_events(ask):
    both = (ROLE, EVENTS_ROLE)
    await ask(granted=[EVENTS_ROLE], needed=both)
    token, _ = await ask(HOUR, granted=[ROLE], needed=both)
    assert (token.resource, token.lacks) == (SLASH, (EVENTS_ROLE,))
    token, _ = await ask(6 * HOUR, granted=[ROLE], needed=both)
    assert token.resource == SLASH
    token, _ = await ask(25 * HOUR, granted=both, needed=both)
    assert (token.resource, token.lacks) == (PLAIN, ())


async def test_a_personal_or_unreadable_token_never_changes_the_form():
    class Given:
        def __init__(self, token):
            self.token, self.scopes = token, []

        async def get_token(self, scope, **_):
            self.scopes.append(scope)
            return bearer.AccessToken(self.token, 2**31)

    person = bearer.issue_to_user(PLAIN, ["User.Read"], client_id=bearer.CLIENT_ID)
    for text in (person, "no JWT", "a.bm8gSlNPTg.b"):
        given = Given(text)
        reader = GraphCredential(given, forms(PLAIN), needed=(ROLE,), now=datetime.now(UTC) + 7 * HOUR)
        assert (await reader.get_token("any")).token == text
        assert (reader.token, given.scopes) == (None, [f"{PLAIN}/.default"])


async def test_a_check_uses_the_form_that_has_the_role_and_reports_when_it_requests_another(monitor, sim):
    sim.identity.caches, sim.identity.roles = True, []
    run = await monitor.check()
    assert run.outcome == "degraded"
    assert run.graph_token.lacks == (ROLE,)
    error = monitor.run_rows(run.id)["ade"]["Error"]
    for instant in (run.graph_token.expires_on, run.graph_token.retry_on):
        assert f"{instant:%Y-%m-%d %H:%M} UTC" in error
    sim.identity.roles = [ROLE]
    sim.identity.cached[PLAIN] = bearer.issue(PLAIN, now=(datetime.now(UTC) - HOUR).timestamp())  # an hour has passed
    run = await monitor.check(HOUR)
    assert (run.outcome, run.graph_token.resource) == ("succeeded", SLASH)
    asked = [request.query["resource"] for request in sim.identity.requests]
    assert (asked.count(PLAIN), asked.count(SLASH), asked.count(APP_ID)) == (2, 1, 0)
