"""Graph fails: the connector is unread with the reason, the others are checked, and nothing looks healthy."""

import json
from datetime import datetime, timedelta

import pytest
from support import silent
from unread import expect_unread

from simulator import bearer, faults
from simulator.graph import ADE, APNS, VPP
from simulator.graph import error as graph_error
from simulator.tenant import many
from tests.scenes import DAY, HOUR, NOW

TENANT = "Request not applicable to target tenant."
NESTED = json.dumps({"_version": 3, "Message": json.dumps({"_version": 3, "Message": TENANT}), "HttpHeaders": "{}"})
"""A message as Intune's services return it."""


def json_answer(text):
    return faults.text(200, text, "application/json")


FAULTS = {
    "500": (faults.status(500), ["Graph failed", "HTTP 500", "InternalServerError", "request id", "next run"]),
    "403 though the role is there": (
        faults.missing_role(),
        ["Graph refused access", "HTTP 403; Forbidden", f"has the role {bearer.SERVICE_ROLE}", "Conditional Access"],
    ),
    "429 that asks for three minutes": (
        faults.status(429, retry_after=180),
        ["throttled", "180", "HTTP 429", "TooManyRequests"],
    ),
    "200 with half of a JSON": (faults.broken_json(), ["not what Graph documents"]),
    "404 ResourceNotFound, which only the push certificate may answer": (
        faults.status(404, error="ResourceNotFound"),
        ["Graph does not know it", "HTTP 404", "ResourceNotFound"],
    ),
    "a dropped connection": (faults.dropped(), ["connection failed", "firewall"]),
    "200 with an error": (
        json_answer('\ufeff { "Error" : {"CODE":"UnknownError","Message":"Denied."}, "value":[]}'),
        ["did not answer as documented (HTTP 200; UnknownError; Denied)"],
    ),
    "200 with nothing": (faults.empty(200), ["the answer was empty"]),
    "501 with HTML": (faults.html(501), ["Graph failed", "HTTP 501"]),
    "500 with nothing": (faults.empty(500), ["Graph failed", "HTTP 500"]),
    "503 that asks for an hour": (faults.status(503, retry_after=3600), ["HTTP 503", "3600", "ServiceUnavailable"]),
    "400": (faults.status(400), ["did not answer as documented", "HTTP 400"]),
    "401": (faults.status(401), ["did not accept the sign-in", "HTTP 401", "InvalidAuthenticationToken"]),
    "no license": (faults.status(400, error="UnknownError", message=NESTED), [TENANT[:-1], "Intune license"]),
    "204": (faults.empty(204), ["did not answer as documented", "HTTP 204"]),
    "200 with HTML": (faults.html(200), ["not what Graph documents", "<html>"]),
    "200 that is not UTF-8": (
        faults.reply(lambda _: faults.web.Response(body=b'{"value": ["\xff\xfe"]}', content_type="application/json")),
        [],
    ),
    "200 nested without an end": (json_answer('{"value":' + "[" * 100_000), ["not what Graph documents"]),
    "a value that is no list": (faults.value_is({"id": "1"}), ["not what Graph documents", "value"]),
    "a connection that is cut off": (faults.cut_off(), ["connection failed"]),
    "pages that name themselves": (faults.next_link_loop(), ["round in a circle"]),
}


@pytest.mark.parametrize(("fault", "parts"), FAULTS.values(), ids=FAULTS)
@pytest.mark.sampled(8)
async def test_a_connector_that_cannot_be_read_is_reported_and_hides_nothing(known, sim, caplog, fault, parts):
    sim.graph.fail(ADE, fault)
    caplog.clear()
    run = await known.check(HOUR)
    expect_unread(known, run, *parts)
    warning, summary = [record for record in caplog.records if record.name.startswith("shared")]
    assert warning.levelname == "WARNING"
    for part in ("Connector ade could not be read", *parts):
        assert part in warning.getMessage()
    assert "_version" not in warning.getMessage(), "the sentence, and not the JSON around it"
    assert '"ade": "failed"' in summary.getMessage()


@pytest.mark.parametrize(("path", "queries"), [(ADE, [True, False]), (APNS, [True]), (VPP, [True])])
async def test_a_failed_request_is_repeated_without_select_only_where_the_answer_holds_no_secret(
    known, sim, path, queries
):
    sim.graph.fail(path, faults.status(500))
    await known.check(HOUR)
    assert ["$select" in request.query for request in sim.graph.requests if request.path == path] == queries


@pytest.mark.parametrize("code", [400, 501])
async def test_enrollment_tokens_are_read_without_select_where_graph_refuses_it(known, sim, code):
    sim.graph.fail(lambda request: request.path == ADE and "$select" in request.query, faults.status(code))
    run = await known.check(HOUR)
    assert (run.outcome, set(known.stored())) == ("succeeded", {"expiring", "sync_stale"})


# Waiting for Graph


@pytest.mark.parametrize("code", [429, 503, 504])
@pytest.mark.sampled(1)
async def test_a_throttled_page_is_repeated_after_the_time_that_graph_asks_for_and_no_token_is_lost(monitor, sim, code):
    sim.graph.tenant = many(101, NOW)
    sim.graph.fail(lambda request: "$skiptoken" in request.query, faults.status(code, retry_after=1), times=1)
    run = await monitor.check()
    assert (run.outcome, run.tokens) == ("succeeded", 101)
    assert [request.status for request in sim.graph.requests if request.path == ADE] == [200, code, 200]


@pytest.mark.exhaustive
async def test_graph_that_keeps_throttling_is_asked_four_times(known, sim):
    sim.graph.fail(ADE, faults.status(429, retry_after=1))
    run = await known.check(HOUR)
    expect_unread(known, run, "Graph throttled the app, asking to wait until or for 1", "HTTP 429", "next run")
    assert [request.path for request in sim.graph.requests].count(ADE) == 4


@pytest.mark.parametrize(
    "fault",
    [faults.status(429, retry_after=170), faults.status(503), faults.trickle(0.05), silent()],
    ids=["429 longer than the run", "503 that names no time", "a body that trickles", "no answer at all"],
)
@pytest.mark.exhaustive
async def test_a_slow_connector_ends_at_its_own_limit(known, sim, fault):
    sim.graph.fail(ADE, fault)
    run = await known.check(HOUR, CHECK_TIMEOUT_SECONDS=2)
    expect_unread(known, run, "no whole answer within 1 seconds", "next check asks again")
    assert run.duration_ms < 2_000


async def test_three_slow_connectors_do_not_add_up(known, sim):
    sim.graph.fail("", silent())
    run = await known.check(HOUR, CHECK_TIMEOUT_SECONDS=2)
    assert run.outcome == "degraded"
    assert [row["Outcome"] for row in known.run_rows(run.id).values()] == ["failed"] * 3 + ["succeeded", "degraded"]
    assert run.duration_ms < 2_000


# All of Graph down


async def test_an_outage_of_graph_makes_every_token_unread_resolves_nothing_and_leaves_no_trace(known, sim):
    alerts = known.alerts()
    assert len(alerts.soon()) == 2
    with sim.graph.refusing():
        run = await known.check(HOUR)
    assert run.outcome == "degraded"
    rows = known.run_rows(run.id)
    for of in ("ade", "apns", "vpp"):
        assert rows[of]["Outcome"] == "failed"
        assert "connection failed (ConnectError" in rows[of]["Error"]
        assert "GRAPH_ENDPOINT" in rows[of]["Error"]
    assert {status["Health"] for status in known.statuses().values()} == {"unknown"}
    assert {row["Health"] for row in known.published(run.id)} == {"unknown"}
    assert {row["Finding"] for row in known.published(run.id)} == {"expiring", "sync_stale", "unread"}
    assert (rows["all"]["Healthy"], rows["all"]["Unknown"]) == (0, 3)
    assert alerts.soon() == []
    await known.check(HOUR)
    assert list(known.stored()) == ["expiring", "sync_stale"]
    status = known.statuses()["ade", "Contoso HQ"]
    assert (status["Health"], status["ObservedOn"]) == ("warning", known.now)
    assert len(known.history()) == 3


@pytest.mark.exhaustive
async def test_an_expiry_that_passes_while_graph_is_down_becomes_critical_and_fires(known, sim):
    alerts = known.alerts()
    alerts.soon()
    sim.graph.fail("", faults.status(502))
    fired = []
    for _ in range(11):  # ten days were left at the first check
        run = await known.check(DAY)
        assert not {row["Health"] for row in known.published(run.id)} & {"healthy", "info"}
        fired += [event for event in alerts.once() if "expir" in str(event)]
    assert list(known.stored()) == ["expired", "expiring", "unread", "sync_stale"]
    assert known.stored()["unread"]["since"].startswith(f"{NOW + DAY:%Y-%m-%dT%H:%M}")
    assert [(kind, rule, condition) for kind, rule, _, _, _, condition in fired] == [
        ("fired", "token_critical", "expires 2026-12-03 (7 days or less)"),
        ("fired", "token_critical", "expires 2026-12-03 (1 day or less)"),
        ("fired", "token_critical", "expired 2026-12-03"),
    ]
    assert "unread" not in str([row["Changes"] for row in known.history()])


async def test_a_connector_that_never_could_be_read_has_no_token_and_is_not_healthy(monitor, sim):
    sim.graph.fail(ADE, faults.missing_role())
    result = monitor.invoke()
    assert (result.success, result.exception) == (True, None), "the host does not repeat a degraded run"
    (line,) = [line for line in result.logs.splitlines() if line.startswith("WARNING shared")]
    assert "HTTP 403" in line
    assert [run["Outcome"] for run in monitor.runs()] == ["degraded"]
    assert (monitor.run_rows()["ade"]["Outcome"], monitor.run_rows()["ade"]["Tokens"]) == ("failed", 0)
    assert {of for of, _ in monitor.statuses()} == {"apns", "vpp"}


# Refusals and their remedies


@pytest.mark.parametrize("code", [401, 403])
async def test_a_missing_role_is_named_with_the_script_that_grants_it_and_when_a_grant_works(known, sim, caplog, code):
    sim.identity.roles = []
    sim.identity.lifetime_seconds = 7 * 3600
    if code == 401:  # which Graph answers while a grant is not in effect yet
        sim.graph.fail("", faults.status(401))
    before = datetime.now(NOW.tzinfo)
    run = await known.check(HOUR)
    rows = known.run_rows(run.id)
    assert [row["Outcome"] for row in rows.values()] == ["failed"] * 3 + ["succeeded", "degraded"]
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    for error in (*(rows[of]["Error"] for of in ("ade", "apns", "vpp")), *warnings):
        assert f"HTTP {code}" in error
        assert f"no Graph role {bearer.SERVICE_ROLE}" in error
        assert "infra/grant-graph-role.sh" in error
        assert any(f"{before + timedelta(hours=7, minutes=m):%Y-%m-%d %H:%M} UTC" in error for m in (0, 1)), error
    assert len(warnings) == 3


async def test_a_claims_challenge_gets_a_new_token_and_one_more_try(known, sim):
    sim.graph.fail(ADE, faults.claims_challenge())
    run = await known.check(HOUR)
    expect_unread(known, run, "HTTP 401", f"has the role {bearer.SERVICE_ROLE}")
    sim.graph.heal()
    sim.graph.fail(ADE, faults.claims_challenge(), times=1)
    run = await known.check(HOUR)
    assert run.outcome == "succeeded"
    assert [request.status for request in sim.graph.requests if request.path == ADE] == [401, 401, 401, 200]


async def test_a_push_certificate_that_is_gone_is_critical_after_two_readings(known, sim):
    sim.graph.fail(APNS, faults.reply(lambda _: graph_error(404, "ResourceNotFound", "Resource not found.")))
    run = await known.check(HOUR)
    assert run.outcome == "succeeded"
    assert list(known.stored("apns")) == ["unread"]
    await known.check(HOUR)
    assert {code: each["severity"] for code, each in known.stored("apns").items()} == {"removed": "critical"}
