"""Whatever Graph does wrong: that connector is unread, and says so; the others are checked; nothing looks healthy."""

import json
from datetime import datetime, timedelta

import pytest
from support import DAY, HOUR, NOW, ade, counting, push, silent, tenant, vpp

from shared.publishing.rows import FINDINGS, RUNS
from simulator import bearer, faults
from simulator.graph import ADE, APNS, VPP, error
from simulator.tenant import Tenant, many

GRANT = "infra/grant-graph-role.sh"


@pytest.fixture
async def known(monitor, sim):
    """A tenant that one check has seen: ADE expiring (tier 14) and stale, the others healthy."""
    sim.graph.tenant = tenant(ade("Contoso HQ", expires=10 * DAY, synced=40 * HOUR))
    await monitor.check()
    assert set(monitor.stored()) == {"expiring", "sync_stale"}
    for server in monitor.servers:
        server.requests.clear()
    return monitor


def expect_unread(monitor, run, *parts: str) -> None:
    """ADE could not be read in `run`: everything that an administrator is promised for that case."""
    assert run.outcome == "degraded"

    # The connector's row carries the failure; the others were checked.
    rows = monitor.run_rows(run.id)
    assert {of: row["Outcome"] for of, row in rows.items()} == {
        "ade": "failed",
        "apns": "succeeded",
        "vpp": "succeeded",
        "devices": "succeeded",
        "all": "degraded",
    }
    told = rows["ade"]["Error"]
    for part in (*parts, f"GET {ADE}"):
        assert part in told, told
    assert (rows["apns"]["Error"], rows["vpp"]["Error"], rows["all"]["Error"]) == (None, None, None)
    assert (rows["all"]["Rows"], rows["all"]["Tokens"]) == (len(monitor.published(run.id)), 3)
    stored = monitor.runs()[-1]
    assert (stored["RunId"], stored["Outcome"]) == (run.id, "degraded")
    assert stored["Connectors"] == {"ade": {"error": told}, "apns": {"tokens": 1}, "vpp": {"tokens": 1}}

    # The stored findings are published again, with `unread` beside them, and stored like that.
    assert monitor.found(run.id) == {
        ("Contoso HQ", "expiring", "warning", "14 days or less"): 1,
        ("Contoso HQ", "sync_stale", "warning", "begun"): 1,
        ("Contoso HQ", "unread", "unknown", "none"): 1,
    }
    assert {row["Health"] for row in monitor.published(run.id) if row["Connector"] == "ade"} == {"unknown"}
    assert list(monitor.stored()) == ["unread", "expiring", "sync_stale"]
    status = monitor.statuses()["ade", "Contoso HQ"]
    assert (status["Health"], status["ObservedOn"], status["CheckedOn"]) == ("unknown", NOW, monitor.now)
    assert monitor.stored()["expiring"]["since"].startswith(f"{NOW:%Y-%m-%dT%H:%M}")
    assert {status["Health"] for (of, _), status in monitor.statuses().items() if of != "ade"} == {"healthy"}
    assert {status["CheckedOn"] for status in monitor.statuses().values()} == {monitor.now}

    # It is no change of the token, and no alert of its own.
    assert len(monitor.history()) == 3
    assert monitor.firing() == [
        ("token_warning", "Contoso HQ", "ade", "expiring", "expires 2026-12-03 (14 days or less)"),
        ("token_warning", "Contoso HQ", "ade", "sync_stale", "no successful sync since 2026-11-21 13:07 UTC"),
    ]


FAULTS = {
    "500": (faults.status(500), ["Graph failed", "HTTP 500", "InternalServerError", "request id", "next run"]),
    "502": (faults.status(502), ["Graph failed", "HTTP 502", "BadGateway", "next run asks again"]),
    "501 with HTML": (faults.html(501), ["Graph failed", "HTTP 501"]),
    "500 with nothing": (faults.empty(500), ["Graph failed", "HTTP 500"]),
    "429 that asks for three minutes": (
        faults.status(429, retry_after=180),
        ["throttled", "180", "HTTP 429", "TooManyRequests"],
    ),
    "503 that asks for an hour": (faults.status(503, retry_after=3600), ["HTTP 503", "3600", "ServiceUnavailable"]),
    "400": (faults.status(400), ["did not answer as documented", "HTTP 400"]),
    "404 of another kind": (faults.status(404), ["Graph does not know it", "HTTP 404", "NotFound"]),
    "404 ResourceNotFound, which only the push certificate may answer": (
        faults.status(404, error="ResourceNotFound"),
        ["Graph does not know it", "HTTP 404", "ResourceNotFound"],
    ),
    "401": (faults.status(401), ["did not accept the sign-in", "HTTP 401", "InvalidAuthenticationToken"]),
    "403 though the role is there": (
        faults.status(403),
        ["Graph refused access", "has the role DeviceManagementServiceConfig.Read.All", "Intune license"],
    ),
    "204": (faults.empty(204), ["did not answer as documented", "HTTP 204"]),
    "200 with nothing": (faults.empty(200), ["the answer was empty"]),
    "200 with HTML": (faults.html(200), ["not what Graph documents", "<html>"]),
    "200 with half of a JSON": (faults.broken_json(), ["not what Graph documents"]),
    "200 with a list": (faults.text(200, "[]", "application/json"), ["not what Graph documents"]),
    "200 with null": (faults.text(200, "null", "application/json"), ["not what Graph documents"]),
    "200 that is not UTF-8": (
        faults.reply(lambda _: faults.web.Response(body=b'{"value": ["\xff\xfe"]}', content_type="application/json")),
        [],
    ),
    "200 nested without an end": (
        faults.text(200, '{"value":' + "[" * 100_000, "application/json"),
        ["not what Graph documents"],
    ),
    "no value": (faults.value_missing(), ["not what Graph documents", "value"]),
    "a value that is no list": (faults.value_is({"id": "1"}), ["not what Graph documents", "value"]),
    "a value that is null": (faults.value_is(None), ["not what Graph documents", "value"]),
    "an item that is no object": (faults.item_is("token"), ["not what Graph documents"]),
    "an item that is null": (faults.item_is(None), ["not what Graph documents"]),
    "an item without id": (faults.item_without_id(), ["an object of the answer has no id"]),
    "an item whose id is a number": (faults.rewritten(lambda page: page["value"][0].update(id=7)), ["has no id"]),
    "an item whose id is empty": (faults.rewritten(lambda page: page["value"][0].update(id="")), ["has no id"]),
    "a connection that is dropped": (faults.dropped(), ["connection failed", "firewall"]),
    "a connection that is cut off": (faults.cut_off(), ["connection failed"]),
    "a nextLink that is a number": (faults.next_link(7), ["not what Graph documents"]),
    "a nextLink without host": (faults.next_link("/beta/more"), ["next page lies elsewhere"]),
    "a nextLink that is empty": (faults.next_link(""), ["next page lies elsewhere"]),
    "a nextLink that is no address": (faults.next_link("http://[::1"), ["next page lies elsewhere"]),
    "pages that name themselves": (faults.next_link_loop(), ["round in a circle"]),
}


@pytest.mark.parametrize(("fault", "told"), FAULTS.values(), ids=FAULTS)
@pytest.mark.sampled(6)
async def test_one_connector_that_cannot_be_read_is_told_and_hides_nothing(known, sim, fault, told):
    sim.graph.fail(ADE, fault)
    run = await known.check(HOUR)
    expect_unread(known, run, *told)


@pytest.mark.parametrize(("path", "queries"), [(ADE, [True, False]), (APNS, [True]), (VPP, [True])])
async def test_a_fault_of_graph_is_asked_for_once_and_without_select_where_no_secret_comes(known, sim, path, queries):
    sim.graph.fail(path, faults.status(500))
    await known.check(HOUR)
    assert ["$select" in request.query for request in sim.graph.requests if request.path == path] == queries


@pytest.mark.parametrize("code", [400, 403, 404, 500, 501])
async def test_a_list_of_enrollment_tokens_is_read_without_select_where_graph_refuses_that(known, sim, code):
    sim.graph.fail(lambda request: request.path == ADE and "$select" in request.query, faults.status(code))
    run = await known.check(HOUR)
    assert (run.outcome, set(known.stored())) == ("succeeded", {"expiring", "sync_stale"})


async def test_the_log_tells_the_failure_and_the_summary_names_the_connector(known, sim, caplog):
    sim.graph.fail(ADE, faults.status(500, message="Something broke."))
    caplog.clear()
    await known.check(HOUR)
    warning, summary = [record for record in caplog.records if record.name.startswith("shared")]
    assert warning.levelname == "WARNING"
    assert "Connector ade could not be read" in warning.getMessage()
    assert "Something broke" in warning.getMessage()
    assert '"ade": "failed"' in summary.getMessage()


# Waiting for Graph


@pytest.mark.parametrize("code", [429, 503, 504])
@pytest.mark.sampled(1)
async def test_a_throttled_request_is_repeated_after_the_time_that_graph_asks_for(known, sim, code):
    sim.graph.fail(ADE, faults.status(code, retry_after=1), times=1)
    run = await known.check(HOUR)
    assert run.outcome == "succeeded"
    assert [request.status for request in sim.graph.requests if request.path == ADE] == [code, 200]


async def test_a_throttled_page_in_the_middle_is_repeated_and_no_token_is_lost(monitor, sim):
    sim.graph.tenant = many(101, NOW)
    sim.graph.fail(lambda request: "$skiptoken" in request.query, faults.status(429, retry_after=1), times=1)
    run = await monitor.check()
    assert (run.outcome, run.tokens) == ("succeeded", 101)


@pytest.mark.exhaustive
async def test_graph_that_asks_to_wait_longer_than_there_is_time_is_left_at_the_connectors_own_limit(known, sim):
    sim.graph.fail(ADE, faults.status(429, retry_after=170))
    run = await known.check(HOUR, CHECK_TIMEOUT_SECONDS=2)
    expect_unread(known, run, "no whole answer within 1 seconds")
    assert run.duration_ms < 2_000


@pytest.mark.exhaustive
async def test_graph_that_keeps_throttling_is_asked_four_times_and_then_told(known, sim):
    sim.graph.fail(ADE, faults.status(429, retry_after=1))
    run = await known.check(HOUR)
    expect_unread(known, run, "Graph throttled the app, asking to wait until or for 1", "HTTP 429", "next run")
    assert [request.path for request in sim.graph.requests].count(ADE) == 4


@pytest.mark.parametrize(
    "fault",
    [faults.status(503), faults.trickle(0.05), silent()],
    ids=["503 that names no time", "a body that trickles", "no answer at all"],
)
@pytest.mark.exhaustive
async def test_a_slow_connector_ends_at_its_own_limit_and_the_others_are_told(known, sim, fault):
    sim.graph.fail(ADE, fault)
    run = await known.check(HOUR, CHECK_TIMEOUT_SECONDS=2)
    expect_unread(known, run, "no whole answer within 1 seconds", "next check asks again")
    assert 1_000 <= run.duration_ms < 2_000


async def test_three_slow_connectors_do_not_add_up(known, sim):
    sim.graph.fail("", silent())
    run = await known.check(HOUR, CHECK_TIMEOUT_SECONDS=2)
    assert run.outcome == "degraded"
    assert [row["Outcome"] for row in known.run_rows(run.id).values()] == ["failed"] * 3 + ["succeeded", "degraded"]
    assert run.duration_ms < 2_000


# All of Graph down


async def test_with_graph_refusing_connections_every_token_is_unread_and_nothing_resolves(known, sim):
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
    assert len(known.history()) == 3


@pytest.mark.exhaustive
async def test_an_expiry_that_passes_while_graph_is_down_turns_critical_and_fires(known, sim):
    alerts = known.alerts()
    alerts.soon()
    sim.graph.fail("", faults.status(502))
    told = []
    seen = []
    for _ in range(11):
        await known.check(DAY)
        seen += [
            (each["severity"], each["tier"])
            for code, each in known.stored().items()
            if code.startswith("expir") and each["caused_by"] is None
        ]
        told += [event for event in alerts.once() if "expir" in str(event)]
    # Ten days were left at the first check.
    assert seen == [*[("warning", "14")] * 2, *[("critical", "7")] * 6, ("critical", "1"), *[("critical", "0")] * 2]
    assert list(known.stored()) == ["expired", "expiring", "unread", "sync_stale"]
    assert known.stored()["sync_stale"]["caused_by"] == "expired"
    assert [(kind, rule, condition) for kind, rule, _, _, _, condition in told] == [
        ("fired", "token_critical", "expires 2026-12-03 (7 days or less)"),
        ("fired", "token_critical", "expires 2026-12-03 (1 day or less)"),
        ("fired", "token_critical", "expired 2026-12-03"),
    ]
    changes = [row["Changes"] for row in known.history() if row["PartitionKey"].startswith("ade")]
    assert [row[-1]["field"] for row in changes[1:]] == ["finding"] * 3
    assert "unread" not in str(changes)


async def test_a_token_first_seen_before_the_outage_returns_as_it_was(known, sim):
    sim.graph.fail("", faults.status(502))
    await known.check(HOUR)
    sim.graph.heal()
    run = await known.check(HOUR)
    assert run.outcome == "succeeded"
    assert list(known.stored()) == ["expiring", "sync_stale"]
    assert len(known.history()) == 3
    status = known.statuses()["ade", "Contoso HQ"]
    assert (status["Health"], status["ObservedOn"]) == ("warning", known.now)


async def test_a_connector_that_never_could_be_read_has_no_token_and_is_not_called_well(monitor, sim):
    sim.graph.fail(ADE, faults.status(502))
    run = await monitor.check()
    assert run.outcome == "degraded"
    assert monitor.run_rows(run.id)["ade"]["Outcome"] == "failed"
    assert monitor.run_rows(run.id)["ade"]["Tokens"] == 0
    assert {of for of, _ in monitor.statuses()} == {"apns", "vpp"}


async def test_a_failed_reading_counts_neither_for_nor_against_a_removal(known, sim):
    sim.graph.tenant = Tenant((), (vpp(),), push())
    await known.check(HOUR)
    sim.graph.fail(ADE, faults.status(502))
    await known.check(HOUR)
    assert "unread" in known.stored()
    sim.graph.heal()
    await known.check(HOUR)
    assert list(known.stored()) == ["removed"]
    sim.graph.fail(ADE, faults.status(502))
    await known.check(HOUR)
    assert list(known.stored()) == ["removed"]


async def test_the_worker_calls_a_degraded_run_a_success_so_that_the_host_does_not_repeat_it(monitor, sim):
    sim.graph.fail(ADE, faults.missing_role())
    result = monitor.invoke()
    assert (result.success, result.exception) == (True, None)
    (line,) = [line for line in result.logs.splitlines() if line.startswith("WARNING shared")]
    assert "HTTP 403" in line
    assert [run["Outcome"] for run in monitor.runs()] == ["degraded"]


# Refusals, and what mends them

OPERATION = "ce80e7e8-8a96-4c03-898c-d85f9cdf805a"


def nested(message):
    """A message as Intune's services put it: JSON, with a dump of headers that are JSON again."""
    headers = json.dumps({"WWW-Authenticate": 'Bearer realm="urn:intune:service"'})
    return json.dumps({"_version": 3, "Message": message, "RetryAfter": None, "HttpHeaders": headers}, indent=2)


@pytest.mark.parametrize("code", [401, 403])
async def test_a_missing_role_is_named_with_the_script_that_grants_it_and_when_a_grant_works(known, sim, caplog, code):
    sim.identity.roles = []
    sim.identity.lifetime_seconds = 7 * 3600
    if code == 401:  # so was a grant answered that was not in effect yet
        sim.graph.fail(ADE, faults.status(401))
        sim.graph.fail("", faults.status(401))
    before = datetime.now(NOW.tzinfo)
    run = await known.check(HOUR)
    rows = known.run_rows(run.id)
    assert [row["Outcome"] for row in rows.values()] == ["failed"] * 3 + ["succeeded", "degraded"]
    words = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    for told in (*(rows[of]["Error"] for of in ("ade", "apns", "vpp")), *words):
        assert f"HTTP {code}" in told
        assert f"no Graph role {bearer.SERVICE_ROLE}" in told
        assert GRANT in told
        assert any(f"{before + timedelta(hours=7, minutes=m):%Y-%m-%d %H:%M} UTC" in told for m in (0, 1)), told
    assert len(words) == 3


async def test_403_for_ade_alone_leaves_the_others_checked_and_says_what_to_check(known, sim, caplog):
    sim.graph.fail(ADE, faults.missing_role())
    run = await known.check(HOUR)
    expect_unread(
        known, run, "HTTP 403", "Forbidden", "request id", f"has the role {bearer.SERVICE_ROLE}", "Conditional Access"
    )
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert bearer.SERVICE_ROLE in warning
    assert "Application is not authorized to perform this operation." in warning
    assert "_version" not in warning, "the sentence, and not the JSON around it"


TENANT = "Request not applicable to target tenant."
SEGMENT = "Resource not found for the segment 'depOnboardingSettings'."
REFUSED = {
    "no license": (faults.status(400, error="BadRequest", message=TENANT), "Intune license"),
    "no license, as 403": (faults.status(403, error="Forbidden", message=TENANT), "Intune license"),
    "no license, in JSON": (faults.status(400, error="UnknownError", message=nested(nested(TENANT))), "Intune license"),
    "another cloud": (faults.status(400, error="BadRequest", message=SEGMENT), "GRAPH_ENDPOINT names the cloud"),
    "another version": (faults.status(404, error="BadRequest", message=SEGMENT), "API version"),
    "no version": (faults.status(400, error="BadRequest", message="Invalid version."), "API version"),
}


@pytest.mark.parametrize(("fault", "remedy"), REFUSED.values(), ids=REFUSED)
async def test_a_refusal_that_is_known_says_what_to_do_about_it(known, sim, fault, remedy):
    sim.graph.fail("", fault)
    run = await known.check(HOUR)
    for of in ("ade", "apns", "vpp"):
        told = known.run_rows(run.id)[of]["Error"]
        assert remedy in told
        assert "service health" not in told
        assert "as documented" not in told


@pytest.mark.parametrize("depth", [0, 1, 2, 5])
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut off"])
@pytest.mark.sampled(2)
async def test_of_a_message_within_messages_the_innermost_sentence_is_told(known, sim, depth, cut):
    sentence = f"An error has occurred - Operation ID (for customer support): {OPERATION} - Activity ID: {OPERATION}"
    message = sentence
    for _ in range(depth):
        message = nested(message)
    if cut and depth:
        message = message[: message.index(OPERATION) + len(OPERATION)]
    sim.graph.fail(ADE, faults.status(403, error="UnknownError", message=message))
    run = await known.check(HOUR)
    told = known.run_rows(run.id)["ade"]["Error"]
    assert f"An error has occurred - Operation ID (for customer support): {OPERATION}" in told
    assert not set("{}\\\ufffd") & set(told)
    assert "WWW-Authenticate" not in told
    assert "_version" not in told


async def test_a_claims_challenge_gets_a_new_token_and_one_more_try(known, sim):
    sim.graph.fail(ADE, faults.claims_challenge(), times=1)
    run = await known.check(HOUR)
    assert run.outcome == "succeeded"
    assert [request.status for request in sim.graph.requests if request.path == ADE] == [401, 200]


async def test_a_claims_challenge_that_no_token_satisfies_is_a_refusal(known, sim):
    sim.graph.fail(ADE, faults.claims_challenge())
    run = await known.check(HOUR)
    expect_unread(known, run, "HTTP 401", f"has the role {bearer.SERVICE_ROLE}")
    assert [request.status for request in sim.graph.requests if request.path == ADE] == [401, 401]


# The push certificate


@pytest.mark.parametrize(
    "fault",
    [faults.status(404), faults.status(404, error="BadRequest"), faults.html(404), faults.empty(404)],
    ids=["NotFound", "BadRequest", "HTML", "nothing"],
)
async def test_only_resource_not_found_means_that_no_push_certificate_is_set_up(known, sim, fault):
    sim.graph.fail(APNS, fault)
    run = await known.check(HOUR)
    assert run.outcome == "degraded"
    assert known.run_rows(run.id)["apns"]["Outcome"] == "failed"
    assert list(known.stored("apns")) == ["unread"]


async def test_a_push_certificate_that_is_gone_is_critical_after_two_readings(known, sim):
    sim.graph.fail(APNS, faults.reply(lambda _: error(404, "ResourceNotFound", "Resource not found.")))
    run = await known.check(HOUR)
    assert run.outcome == "succeeded"
    assert list(known.stored("apns")) == ["unread"]
    await known.check(HOUR)
    assert {code: each["severity"] for code, each in known.stored("apns").items()} == {"removed": "critical"}


# Foreign pages


async def test_a_foreign_next_page_is_refused_and_no_request_is_sent_there(known, sim):
    sim.graph.page_size = 1
    sim.graph.tenant = tenant(ade("Contoso HQ", expires=10 * DAY, synced=40 * HOUR), ade("Contoso Labs"))
    with counting() as (port, met):
        sim.graph.fail(ADE, faults.next_link_elsewhere(host=f"127.0.0.1:{port}"))
        run = await known.check(HOUR)
        assert met == []
    assert known.run_rows(run.id)["ade"]["Outcome"] == "failed"
    expect_unread(known, run, f"next page lies elsewhere, at https://127.0.0.1:{port}", "was not asked for")


@pytest.mark.parametrize(
    "link",
    [
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://{graph}@127.0.0.1:{port}/beta",
        "//127.0.0.1:{port}/beta",
        "http://127.0.0.1:{port}\\@{graph}/beta",
        "http://{graph}%40127.0.0.1:{port}/",
        "HTTP://127.0.0.1:{port}/beta",
    ],
)
@pytest.mark.sampled(2)
async def test_no_spelling_of_a_foreign_address_gets_a_request(known, sim, link):
    with counting() as (port, met):
        sim.graph.fail(ADE, faults.next_link(link.format(port=port, graph=sim.graph.url.removeprefix("https://"))))
        run = await known.check(HOUR)
        assert met == []
    expect_unread(known, run)


async def test_a_next_page_with_a_password_in_its_address_is_refused(known, sim):
    sim.graph.fail(ADE, faults.next_link(f"https://user:secret@{sim.graph.url.removeprefix('https://')}{ADE}?x=1"))
    run = await known.check(HOUR)
    expect_unread(known, run, "next page lies elsewhere")
    assert len([request for request in sim.graph.requests if request.path == ADE]) == 1


async def test_a_next_page_of_another_list_is_refused_for_it_would_be_read_with_its_secrets(known, sim):
    sim.graph.fail(ADE, faults.next_link(f"{sim.graph.url}{VPP}?$skiptoken=1"))
    run = await known.check(HOUR)
    expect_unread(known, run, f"next page lies elsewhere, at {sim.graph.url}{VPP}")
    assert all("token" not in request.query["$select"].split(",") for request in sim.graph.requests)


async def test_a_next_page_of_another_scheme_is_refused(known, sim):
    sim.graph.page_size = 1
    sim.graph.tenant = tenant(ade("Contoso HQ", expires=10 * DAY, synced=40 * HOUR), ade("Contoso Labs"))
    sim.graph.fail(ADE, faults.next_link_elsewhere(scheme="http"))
    run = await known.check(HOUR)
    expect_unread(known, run, "next page lies elsewhere, at http://127.0.0.1")


async def test_a_circle_over_several_pages_ends_and_no_page_is_asked_for_twice(known, sim):
    sim.graph.page_size = 1
    sim.graph.tenant = tenant(*(ade(f"Contoso {n}") for n in range(3)))
    links = []

    def back_to_the_second(page):
        links.append(page.get("@odata.nextLink"))
        page["@odata.nextLink"] = page.get("@odata.nextLink") or links[0]

    sim.graph.fail(ADE, faults.rewritten(back_to_the_second))
    run = await known.check(HOUR)
    assert "round in a circle" in known.run_rows(run.id)["ade"]["Error"]
    assert len([request for request in sim.graph.requests if request.path == ADE]) == 3
    assert ("ade", "Contoso 1") not in known.statuses()


def moved(code, **headers):
    return faults.reply(lambda _: faults.web.Response(status=code, headers=headers))


@pytest.mark.parametrize(
    ("code", "headers"),
    [
        (300, {}),
        (301, {}),
        (302, {"Location": ""}),
        (303, {"Location": "/beta/deviceManagement/depOnboardingSettings"}),
        (304, {}),
        (305, {"Location": "\ud7ff:"}),
        (307, {"Location": "https://"}),
        (308, {"Location": "javascript:alert(1)"}),
        (399, {}),
    ],
)
@pytest.mark.sampled(2)
async def test_any_status_of_a_redirect_is_told_with_what_to_do(known, sim, code, headers):
    sim.graph.fail(ADE, moved(code, **headers))
    run = await known.check(HOUR)
    expect_redirected(known, run, code)


@pytest.mark.parametrize(
    "body",
    [
        '{"error":{"code":"UnknownError","message":"{\\"Message\\":\\"Denied.\\"}"}}',
        '\ufeff { "Error" : {"CODE":"UnknownError","Message":"Denied."}}',
        '{"error":{"code":"UnknownError","message":"Denied."},"value":[]}',
    ],
)
async def test_an_error_whose_status_is_200_is_an_error(known, sim, body):
    sim.graph.fail(ADE, faults.text(200, body, "application/json"))
    run = await known.check(HOUR)
    expect_unread(known, run, "did not answer as documented (HTTP 200; UnknownError; Denied)")


@pytest.mark.parametrize("code", [301, 302, 307, 308])
@pytest.mark.sampled(1)
async def test_a_redirect_is_not_followed_even_to_a_valid_page(known, sim, code):
    with counting() as (port, met):
        for target in (f"http://127.0.0.1:{port}/beta", f"{sim.graph.url}{VPP}"):
            for body in (None, {"value": []}):
                headers = {"Location": target}
                response = faults.web.json_response(body, status=code, headers=headers)
                sim.graph.fail(ADE, faults.reply(lambda _, made=response: made), times=1)
                run = await known.check(HOUR)
                expect_redirected(known, run, code)
        assert met == []


def expect_redirected(monitor, run, code):
    assert run.outcome == "degraded"
    error = monitor.run_rows(run.id)["ade"]["Error"]
    assert "redirect, which was not followed" in error
    assert f"HTTP {code}" in error
    assert "Check that GRAPH_ENDPOINT names Graph itself" in error
    assert "unread" in monitor.stored()


# A page that fails after others arrived


@pytest.mark.parametrize(
    "fault",
    [faults.status(500), faults.broken_json(), faults.dropped(), faults.value_missing()],
    ids=["500", "broken JSON", "dropped", "no value"],
)
async def test_a_part_of_a_list_is_never_taken_for_the_whole(monitor, sim, fault):
    sim.graph.tenant = tenant(*(ade(f"Contoso {n:03}") for n in range(101)))
    await monitor.check()
    sim.graph.fail(lambda request: "$skiptoken" in request.query, fault)
    for _ in range(3):
        run = await monitor.check(HOUR)
    assert run.outcome == "degraded"
    codes = {finding["code"] for row in monitor.statuses().values() for finding in row["Findings"]}
    assert codes == {"unread"}
    assert len(monitor.statuses()) == 103


# Items


def first(**values):
    """Graph with these values in the first of its ADE tokens."""
    return faults.rewritten(lambda page: page["value"][0].update(values))


LOST = {
    "no id": faults.item_without_id(),
    "a null for an id": first(id=None),
    "a number for an id": first(id=7),
    "half a character in the id": first(id="\ud800"),
    "no object": faults.item_is("token"),
    "null": faults.item_is(None),
}


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST)
@pytest.mark.sampled(2)
async def test_an_entry_without_an_id_loses_one_token_which_is_unread_for_as_long_as_it_lasts(monitor, sim, fault):
    sim.graph.tenant = tenant(ade("Contoso HQ"), ade("Contoso Labs"), ade("Contoso Retail", expires=5 * DAY))
    await monitor.check()
    sim.graph.fail(ADE, fault)
    for _ in range(3):  # more than it takes to call a token removed
        run = await monitor.check(HOUR)
        assert run.outcome == "degraded"
        told = monitor.run_rows(run.id)["ade"]
        assert told["Outcome"] == "failed"
        assert "1 of 3 entries of the list could not be read" in told["Error"]
        health = {name: row["Health"] for (of, name), row in monitor.statuses().items() if of == "ade"}
        assert health == {"Contoso HQ": "unknown", "Contoso Labs": "healthy", "Contoso Retail": "critical"}
        assert set(monitor.stored("ade", "Contoso HQ")) == {"unread"}
    sim.graph.heal()
    run = await monitor.check(HOUR)
    assert (run.outcome, list(monitor.stored("ade", "Contoso HQ"))) == ("succeeded", [])


@pytest.mark.parametrize(
    "name",
    [b'"\\ud800"', b'"\\udc00\\ud800"', b'"\xff\xfe"', b'"\\x"', b'"a\nb"', b"NaN", b"1e999", b"01", b""],
    ids=str,
)
@pytest.mark.parametrize(("path", "of"), [(ADE, "ade"), (VPP, "vpp")])
@pytest.mark.sampled(4)
async def test_a_name_that_is_no_json_makes_one_token_unreadable_and_the_others_stay(monitor, sim, path, of, name):
    sim.graph.tenant = Tenant((ade("Contoso HQ"), ade("Contoso X")), (vpp("Contoso HQ"), vpp("Contoso X")), push())
    await monitor.check()

    async def broken(_request, answer):
        body = (await answer()).body.replace(b'"Contoso X"', name)
        return faults.web.Response(body=body, content_type="application/json")

    sim.graph.fail(path, broken)
    run = await monitor.check(HOUR)
    assert run.outcome == "succeeded"
    assert {name: row["Health"] for (known, name), row in monitor.statuses().items() if known == of} == {
        "Contoso HQ": "healthy",
        "Contoso X": "unknown",
    }, "its name is the last one that could be read"


@pytest.mark.parametrize(
    ("upload", "health"),
    [
        ({"certificateUploadStatus": "Failed"}, "critical"),
        ({"certificateUploadFailureReason": "None"}, "healthy"),
        ({"certificateUploadStatus": "None", "certificateUploadFailureReason": " "}, "healthy"),
        ({"certificateUploadStatus": "Queued"}, "unknown"),
    ],
    ids=str,
)
async def test_the_upload_of_the_push_certificate_is_judged_by_status_and_reason(monitor, sim, upload, health):
    sim.graph.tenant = tenant(apns=push(**upload))
    await monitor.check()
    assert monitor.statuses()["apns", "Apple MDM push certificate"]["Health"] == health


async def test_one_bad_item_is_one_unreadable_token_and_the_others_are_fine(monitor, sim):
    bad = ade("Contoso Archive", tokenExpirationDateTime="2027-13-01T00:00:00Z", lastSyncErrorCode="3", tokenName=None)
    sim.graph.tenant = tenant(ade("Contoso HQ"), {**bad, "syncedDeviceCount": None}, ade("Contoso Labs"))
    run = await monitor.check()
    assert run.outcome == "succeeded"
    health = {name: row["Health"] for (of, name), row in monitor.statuses().items() if of == "ade"}
    assert health == {"Contoso HQ": "healthy", "Contoso Labs": "healthy", f"unnamed {bad['id'][:8]}": "unknown"}
    facts = monitor.stored("ade", f"unnamed {bad['id'][:8]}")["unreadable"]["facts"]
    assert facts == {
        "tokenExpirationDateTime": '"2027-13-01T00:00:00Z"',
        "lastSyncErrorCode": '"3"',
        "syncedDeviceCount": "null",
    }


async def test_a_value_that_turns_unreadable_keeps_its_last_readable_one(known, sim):
    sim.graph.tenant = tenant(ade("Contoso HQ", synced=40 * HOUR, tokenExpirationDateTime=None))
    run = await known.check(HOUR)
    assert set(known.stored()) == {"unreadable", "expiring", "sync_stale"}
    assert known.statuses()["ade", "Contoso HQ"]["ExpiresOn"] == NOW + 10 * DAY
    assert known.found(run.id)["Contoso HQ", "unreadable", "unknown", "begun"] == 1


@pytest.mark.parametrize(
    "broken",
    [
        {"tokenName": 7},
        {"tokenName": {"a": [1, 2]}},
        {"tokenType": ["dep"]},
        {"appleIdentifier": True},
        {"lastSyncErrorCode": 1 << 40},
        {"lastSyncErrorCode": 1.5},
        {"lastSyncErrorCode": None},
        {"syncedDeviceCount": "many"},
        {"lastSuccessfulSyncDateTime": 20261123},
        {"lastSuccessfulSyncDateTime": "yesterday"},
        {"lastSuccessfulSyncDateTime": "2027-11-23T05:07:00Z"},
        {"tokenExpirationDateTime": "0001-01-01T00:00:00Z"},
        {"tokenExpirationDateTime": None},
        {"tokenExpirationDateTime": "2027-11-23T05:07:00"},
        {"tokenExpirationDateTime": "9999-99-99T99:99:99Z"},
    ],
    ids=str,
)
@pytest.mark.sampled(4)
async def test_a_malformed_value_is_never_called_healthy(monitor, sim, broken):
    sim.graph.tenant = tenant({**ade("Contoso HQ"), **broken})
    run = await monitor.check()
    assert run.outcome == "succeeded"
    (health,) = [row["Health"] for (of, _), row in monitor.statuses().items() if of == "ade"]
    assert health in {"unknown", "critical"}
    assert "unreadable" in {row["Finding"] for row in monitor.published(run.id) if row["Connector"] == "ade"}


@pytest.mark.parametrize("missing", ["tokenExpirationDateTime", "lastSuccessfulSyncDateTime", "lastSyncErrorCode"])
async def test_a_property_that_graph_leaves_out_is_unreadable(monitor, sim, missing):
    item = ade("Contoso HQ")
    del item[missing]
    sim.graph.tenant = tenant(item)
    await monitor.check()
    assert monitor.stored()["unreadable"]["facts"] == {missing: "missing"}


@pytest.mark.parametrize(
    ("dates", "health"),
    [
        ({"tokenExpirationDateTime": "9999-12-31T23:59:59.9999999Z"}, "unknown"),
        ({"tokenExpirationDateTime": "9999-12-31T23:59:59-08:00"}, "unknown"),
        ({"tokenExpirationDateTime": "1601-01-01T00:00:00Z"}, "unknown"),
        ({"tokenExpirationDateTime": "2007-01-01T00:00:00Z"}, "critical"),
        ({"lastSuccessfulSyncDateTime": "1601-01-01T00:00:00Z"}, "unknown"),
        ({"lastModifiedDateTime": "1601-01-01T00:00:00Z"}, "unknown"),
        ({"lastSuccessfulSyncDateTime": "2026-11-23T05:11:59Z"}, "healthy"),
        ({"lastModifiedDateTime": "0001-01-01T00:00:00+14:00"}, "healthy"),
    ],
    ids=str,
)
async def test_dates_at_the_edges_of_the_calendar_are_stored_and_published(monitor, sim, dates, health):
    sim.graph.tenant = tenant({**ade("Contoso HQ"), **dates})
    run = await monitor.check()
    assert run.outcome == "succeeded", (run.store_error, run.publish_error)
    assert monitor.statuses()["ade", "Contoso HQ"]["Health"] == health


async def test_a_token_seen_on_two_pages_counts_once_and_the_last_one_wins(monitor, sim):
    sim.graph.page_size = 2
    twice = ade("Contoso HQ", expires=5 * DAY)
    sim.graph.tenant = tenant(twice, ade("Contoso Labs"), ade("Contoso Retail"))
    renewed = {**twice, "tokenName": "Contoso Head Office", "tokenExpirationDateTime": "2027-06-01T00:00:00Z"}
    sim.graph.fail(lambda request: "$skiptoken" in request.query, faults.repeated_item(renewed))
    run = await monitor.check()
    assert (run.outcome, run.tokens) == ("succeeded", 5)
    names = {name for of, name in monitor.statuses() if of == "ade"}
    assert names == {"Contoso Head Office", "Contoso Labs", "Contoso Retail"}
    assert monitor.statuses()["ade", "Contoso Head Office"]["Health"] == "healthy"


async def test_an_empty_page_in_the_middle_ends_nothing(monitor, sim):
    sim.graph.page_size = 1
    sim.graph.tenant = tenant(*(ade(f"Contoso {n}") for n in range(3)))
    sim.graph.fail(lambda request: request.query.get("$skiptoken") == "1", faults.value_is([]))
    run = await monitor.check()
    assert run.outcome == "succeeded"
    assert {name for of, name in monitor.statuses() if of == "ade"} == {"Contoso 0", "Contoso 2"}


async def test_enum_values_that_nobody_listed_are_kept_and_shown(monitor, sim):
    sim.graph.tenant = tenant(
        ade("Contoso HQ", tokenType="appleBusinessNext"), vpps=[vpp(state="suspended", lastSyncStatus="paused")]
    )
    await monitor.check()
    assert monitor.statuses()["ade", "Contoso HQ"]["TokenType"] == "appleBusinessNext"
    assert monitor.statuses()["ade", "Contoso HQ"]["Health"] == "healthy"
    facts = {"state": '"suspended"', "lastSyncStatus": '"paused"'}
    assert monitor.stored("vpp")["unreadable"]["facts"] == facts


async def test_hostile_texts_are_bounded_and_cannot_forge_a_line_of_the_log(monitor, sim, caplog):
    text = "Contoso\r\nINFO shared.check: check_tokens {}\x1b[2J\u202e" + "x" * 100_000
    sim.graph.tenant = tenant(ade("Contoso HQ", tokenName=text, appleIdentifier=text))
    sim.graph.fail(VPP, faults.status(500, error=text, message=text))
    run = await monitor.check()
    assert run.outcome == "degraded"
    (row,) = [row for (of, _), row in monitor.statuses().items() if of == "ade"]
    assert (len(row["TokenName"]), len(row["AppleId"])) == (512, 512)
    kept = [str(row), *(str(each) for table in (FINDINGS, RUNS) for each in monitor.sim.log_rows(table.name))]
    for told in (*kept, *(record.getMessage() for record in caplog.records)):
        assert not {"\r", "\n", "\x1b", "\u202e"} & set(told)
        assert "x" * 600 not in told


async def test_readings_of_the_three_connectors_run_side_by_side(monitor, sim):
    sim.graph.fail("", faults.delay(0.5))
    run = await monitor.check()
    assert run.outcome == "succeeded"
    assert run.duration_ms < 1_400


async def test_a_silence_of_graph_for_two_days_never_looks_like_health(known, sim):
    sim.graph.fail("", faults.status(502))
    for _ in range(4):
        run = await known.check(12 * HOUR)
        assert "none" not in {row["Finding"] for row in known.published(run.id)}
        assert not {row["Health"] for row in known.published(run.id)} & {"healthy", "info"}
    assert known.stored()["unread"]["since"].startswith(f"{NOW + 12 * HOUR:%Y-%m-%dT%H:%M}")
