"""What a list of Graph's holds and where it leads: no foreign address gets a request, no bad entry hides another."""

import pytest
from support import counting
from unread import expect_unread

from shared.publishing.rows import FINDINGS, RUNS
from simulator import faults
from simulator.graph import ADE, VPP
from tests.scenes import DAY, HOUR, ade, tenant, vpp

# Addresses


LINKS = {
    "another host": "https://127.0.0.1:{port}{path}?$skiptoken=1",
    "another list, which would be read with its secrets": "https://{graph}/beta/deviceAppManagement/vppTokens?x=1",
    "our host as a user's name": "http://{graph}@127.0.0.1:{port}/beta",
    "a backslash": "http://127.0.0.1:{port}\\@{graph}/beta",
    "no scheme": "//127.0.0.1:{port}/beta",
    "another scheme": "http://{graph}{path}?$skiptoken=1",
    "a password": "https://user:secret@{graph}{path}?x=1",
    "a scheme in capitals": "HTTP://127.0.0.1:{port}/beta",
    "no host": "/beta/more",
    "no address": "http://[::1",
}


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
@pytest.mark.sampled(2)
async def test_a_next_page_elsewhere_gets_no_request(known, sim, link):
    with counting() as (port, met):
        graph = sim.graph.url.removeprefix("https://")
        sim.graph.fail(ADE, faults.next_link(link.format(port=port, graph=graph, path=ADE)))
        run = await known.check(HOUR)
        assert met == []
    expect_unread(known, run, "next page lies elsewhere", "was not asked for")
    assert [request.path for request in sim.graph.requests].count(ADE) == 1
    assert all("token" not in request.query["$select"].split(",") for request in sim.graph.requests)


@pytest.mark.parametrize(
    ("code", "location"),
    [(302, "valid"), (308, "foreign"), (300, None), (303, ""), (305, "\ud7ff:"), (307, "javascript:alert(1)")],
)
@pytest.mark.sampled(1)
async def test_a_redirect_is_not_followed_and_its_remedy_is_named(known, sim, code, location):
    with counting() as (port, met):
        target = {"valid": f"{sim.graph.url}{VPP}", "foreign": f"http://127.0.0.1:{port}/beta"}.get(location, location)
        headers = {} if target is None else {"Location": target}
        sim.graph.fail(
            ADE, faults.reply(lambda _: faults.web.json_response({"value": []}, status=code, headers=headers))
        )
        run = await known.check(HOUR)
        assert met == []
    expect_unread(
        known, run, "redirect, which was not followed", f"HTTP {code}", "Check that GRAPH_ENDPOINT names Graph itself"
    )


# Lists and entries


@pytest.mark.parametrize("fault", [faults.status(500), faults.dropped()], ids=["500", "dropped"])
@pytest.mark.sampled(1)
async def test_an_incomplete_list_removes_no_token(monitor, sim, fault):
    sim.graph.tenant = tenant(*(ade(f"Contoso {n:03}") for n in range(101)))
    await monitor.check()
    sim.graph.fail(lambda request: "$skiptoken" in request.query, fault)
    for _ in range(3):
        run = await monitor.check(HOUR)
    assert run.outcome == "degraded"
    codes = {finding["code"] for row in monitor.statuses().values() for finding in row["Findings"]}
    assert codes == {"unread"}
    assert len(monitor.statuses()) == 103


def first(**values):
    """Graph with these values in the first of its ADE tokens."""
    return faults.rewritten(lambda page: page["value"][0].update(values))


LOST = {
    "no id": faults.item_without_id(),
    "null": faults.item_is(None),
    "half a character in the id": first(id="\ud800"),
}


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST)
@pytest.mark.sampled(1)
async def test_an_entry_without_an_id_leaves_one_token_unread_for_as_long_as_it_lasts(monitor, sim, fault):
    sim.graph.tenant = tenant(ade("Contoso HQ"), ade("Contoso Labs"), ade("Contoso Retail", expires=5 * DAY))
    await monitor.check()
    sim.graph.fail(ADE, fault)
    for _ in range(3):  # more than it takes to remove a token
        run = await monitor.check(HOUR)
        assert run.outcome == "degraded"
        row = monitor.run_rows(run.id)["ade"]
        assert row["Outcome"] == "failed"
        assert "1 of 3 entries of the list could not be read" in row["Error"]
        health = {name: row["Health"] for (of, name), row in monitor.statuses().items() if of == "ade"}
        assert health == {"Contoso HQ": "unknown", "Contoso Labs": "healthy", "Contoso Retail": "critical"}
        assert set(monitor.stored("ade", "Contoso HQ")) == {"unread"}
    sim.graph.heal()
    run = await monitor.check(HOUR)
    assert (run.outcome, list(monitor.stored("ade", "Contoso HQ"))) == ("succeeded", [])


async def test_a_malformed_entry_makes_one_token_unreadable_and_no_other(monitor, sim):
    sim.graph.tenant = tenant(ade("Contoso HQ"), ade("Contoso X"), vpps=[vpp("Contoso HQ"), vpp("Contoso X")])
    await monitor.check()
    bad = ade("Contoso Archive", tokenExpirationDateTime="2027-13-01T00:00:00Z", lastSyncErrorCode="3", tokenName=None)
    ades = (ade("Contoso HQ"), ade("Contoso X"), {**bad, "syncedDeviceCount": None})
    sim.graph.tenant = tenant(*ades, vpps=[vpp("Contoso HQ"), vpp("Contoso X")])

    async def broken(_request, answer):
        body = (await answer()).body.replace(b'"Contoso X"', b'"\xff\xfe"')
        return faults.web.Response(body=body, content_type="application/json")

    sim.graph.fail(VPP, broken)
    run = await monitor.check(HOUR)
    assert run.outcome == "succeeded"
    unnamed = f"unnamed {bad['id'][:8]}"
    assert {key: row["Health"] for key, row in monitor.statuses().items() if row["Health"] != "healthy"} == {
        ("ade", unnamed): "unknown",
        ("vpp", "Contoso X"): "unknown",  # the last name that could be read
    }
    assert monitor.stored("ade", unnamed)["unreadable"]["facts"] == {
        "tokenExpirationDateTime": '"2027-13-01T00:00:00Z"',
        "lastSyncErrorCode": '"3"',
        "syncedDeviceCount": "null",
    }


DATES = [
    ({"tokenExpirationDateTime": "9999-12-31T23:59:59.9999999Z"}, "unknown"),
    ({"tokenExpirationDateTime": "9999-12-31T23:59:59-08:00"}, "unknown"),
    ({"tokenExpirationDateTime": "1601-01-01T00:00:00Z"}, "unknown"),
    ({"tokenExpirationDateTime": "2007-01-01T00:00:00Z"}, "critical"),
    ({"lastSuccessfulSyncDateTime": "1601-01-01T00:00:00Z"}, "unknown"),
    ({"lastModifiedDateTime": "1601-01-01T00:00:00Z"}, "unknown"),
    ({"lastModifiedDateTime": "0001-01-01T00:00:00+14:00"}, "healthy"),
]


async def test_dates_at_the_edges_of_the_calendar_are_stored_and_published(monitor, sim):
    sim.graph.tenant = tenant(*({**ade(str(number)), **dates} for number, (dates, _) in enumerate(DATES)))
    run = await monitor.check()
    assert run.outcome == "succeeded", (run.store_error, run.publish_error)
    health = {name: row["Health"] for (of, name), row in monitor.statuses().items() if of == "ade"}
    assert health == {str(number): expected for number, (_, expected) in enumerate(DATES)}


async def test_hostile_texts_are_bounded_and_cannot_forge_a_line_of_the_log(monitor, sim, caplog):
    text = "Contoso\r\nINFO shared.check: check_tokens {}\x1b[2J\u202e" + "x" * 100_000
    sim.graph.tenant = tenant(ade("Contoso HQ", tokenName=text, appleIdentifier=text))
    sim.graph.fail(VPP, faults.status(500, error=text, message=text))
    run = await monitor.check()
    assert run.outcome == "degraded"
    (row,) = [row for (of, _), row in monitor.statuses().items() if of == "ade"]
    assert (len(row["TokenName"]), len(row["AppleId"])) == (512, 512)
    kept = [str(row), *(str(each) for table in (FINDINGS, RUNS) for each in monitor.sim.log_rows(table.name))]
    for line in (*kept, *(record.getMessage() for record in caplog.records)):
        assert not {"\r", "\n", "\x1b", "\u202e"} & set(line)
        assert "x" * 600 not in line
