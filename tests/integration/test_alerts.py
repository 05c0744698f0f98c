"""What fires, and when it resolves: the rules' own queries over rows that real runs have published."""

import json

import pytest
from support import STREAM_FINDINGS, STREAM_RUNS, Alerts, rules

from shared.publishing.rows import FINDINGS
from simulator import faults
from simulator.graph import ADE, VPP
from simulator.rules import FREQUENCY, insert
from simulator.tenant import NEVER
from tests.scenes import DAY, HOUR, MINUTE, NOW, ade, tenant, vpp

EXPIRING = ("token_critical", "Contoso HQ", "ade", "expiring", "expires 2026-11-29 (7 days or less)")
TERMS = ("token_critical", "Contoso Labs", "ade", "terms_not_accepted", "Apple's terms not accepted")

SICK = tenant(ade("Contoso HQ", expires=6 * DAY), ade("Contoso Labs", lastSyncErrorCode=3))
WELL = tenant(ade("Contoso HQ", expires=370 * DAY), ade("Contoso Labs"))


def fired(*alerts: tuple) -> list[tuple]:
    return [("fired", *alert) for alert in alerts]


def resolved(*alerts: tuple) -> list[tuple]:
    return [("resolved", *alert) for alert in alerts]


@pytest.fixture
async def alerts(monitor, sim) -> Alerts:
    """The rules after one check of a tenant with two things wrong; both alerts have fired."""
    sim.graph.tenant = SICK
    engine = monitor.alerts()
    await monitor.check()
    assert engine.soon() == fired(EXPIRING, TERMS)
    return engine


# Open


@pytest.mark.exhaustive
async def test_each_token_and_condition_is_one_alert_however_often_it_is_checked(monitor, alerts):
    for _ in range(3):
        await monitor.check(HOUR)
        assert alerts.soon() == []
    assert alerts.open == [EXPIRING, TERMS]
    row = next(row for row in monitor.published() if row["Finding"] == "terms_not_accepted")
    (alert,) = [alert for alert in alerts._engine.open if alert.dimensions["Finding"] == "terms_not_accepted"]
    assert alert.severity == 1
    assert alert.dimensions == {
        "TokenName": "Contoso Labs",
        "TokenId": row["TokenId"],
        "Connector": "ade",
        "Finding": "terms_not_accepted",
        "Condition": "Contoso Labs: Apple's terms not accepted",
        "Action": row["Action"],
    }


async def test_warnings_fire_at_a_lower_severity_and_information_does_not_fire(monitor, sim):
    sim.graph.tenant = tenant(
        ade("Contoso HQ", synced=40 * HOUR),
        ade("Contoso Pilot", tokenType="none", tokenExpirationDateTime=NEVER, lastSuccessfulSyncDateTime=NEVER),
        ade("Contoso Archive", tokenExpirationDateTime="soon"),
    )
    await monitor.check()
    assert monitor.stored("ade", "Contoso Pilot").keys() == {"not_set_up"}
    assert monitor.firing() == [
        ("token_warning", "Contoso Archive", "ade", "unreadable", "cannot be judged as a whole"),
        ("token_warning", "Contoso HQ", "ade", "sync_stale", "no successful sync since 2026-11-21 13:07 UTC"),
    ]


async def test_a_warning_that_becomes_critical_fires_again_and_stays_open(monitor, sim):
    sim.graph.tenant = tenant(ade("Contoso Labs", lastSyncErrorCode=17))
    engine = monitor.alerts()
    await monitor.check()
    warning = ("token_warning", "Contoso Labs", "ade", "sync_error", "sync error, code 17")
    assert engine.soon() == fired(warning)
    await monitor.check(24 * HOUR - MINUTE)
    assert engine.once() == []
    await monitor.check(MINUTE)
    critical = ("token_critical", *warning[1:-1], "sync error, code 17 (24 hours or more)")
    assert engine.once() == fired(critical)
    assert engine.until(monitor.now + 59 * MINUTE) == []
    assert engine.open == [critical, warning]


async def test_an_alert_by_connector_resolves_with_its_last_token(monitor, sim):
    sim.graph.tenant = tenant(ade("North", lastSyncErrorCode=3), ade("South", lastSyncErrorCode=3))
    engine = monitor.alerts(rules("Connector"))
    await monitor.check()
    (told,) = engine.soon()
    sim.graph.tenant = tenant(ade("North"), ade("South", lastSyncErrorCode=3))
    await monitor.check(HOUR)
    assert engine.soon() == []
    sim.graph.tenant = tenant(ade("North"), ade("South"))
    await monitor.check(HOUR)
    assert engine.until(monitor.now + FREQUENCY + MINUTE) == [("resolved", *told[1:])]


# Recovered


async def test_a_renewal_resolves_its_alert_and_no_other_at_the_second_clean_evaluation(monitor, sim, alerts):
    sim.graph.tenant = tenant(ade("Contoso HQ", expires=370 * DAY), ade("Contoso Labs", lastSyncErrorCode=3))
    await monitor.check(HOUR)
    assert alerts.soon() == []
    assert alerts.until(monitor.now + 14 * MINUTE) == []
    assert alerts.until(monitor.now + 16 * MINUTE) == resolved(EXPIRING)
    assert alerts.open == [TERMS]
    assert alerts.until(monitor.now + 59 * MINUTE) == []


async def test_a_problem_that_returns_fires_again(monitor, sim, alerts):
    sim.graph.tenant = WELL
    await monitor.check(HOUR)
    assert alerts.until(monitor.now + 20 * MINUTE) == resolved(EXPIRING, TERMS)
    sim.graph.tenant = SICK
    await monitor.check(HOUR)
    assert alerts.until(monitor.now + 20 * MINUTE) == fired(EXPIRING, TERMS)


async def test_a_stale_sync_explained_by_terms_raises_no_alert_of_its_own(monitor, sim):
    sim.graph.tenant = tenant(ade("Contoso Labs", lastSyncErrorCode=3, synced=80 * HOUR))
    engine = monitor.alerts()
    await monitor.check()
    assert engine.soon() == fired(TERMS)
    sim.graph.tenant = tenant(ade("Contoso Labs", synced=-30 * MINUTE))
    await monitor.check(HOUR)
    assert engine.until(monitor.now + 59 * MINUTE) == resolved(TERMS)


# Removal of a token, end to end


async def test_a_deleted_token_fires_and_resolves_after_the_days_for_changes(monitor, sim, alerts):
    lasting = "removed 2026-11-23, reported until 2026-11-30"
    removed = ("token_warning", "Contoso Labs", "ade", "removed", lasting)
    sim.graph.tenant = tenant(ade("Contoso HQ", expires=6 * DAY))
    await monitor.check(HOUR)
    assert alerts.until(monitor.now + 29 * MINUTE) == []  # once is no proof
    await monitor.check(HOUR)
    assert alerts.soon() == fired(removed)
    assert alerts.until(monitor.now + 20 * MINUTE) == resolved(TERMS)
    # Hours are skipped here: what counts is what each run says.
    sim.graph.tenant = tenant(ade("Contoso HQ", expires=370 * DAY, synced=-7 * DAY))
    await monitor.check(7 * DAY - MINUTE)
    alerts.once()
    assert removed in alerts.open
    await monitor.check(MINUTE)
    assert ("ade", "Contoso Labs") not in monitor.statuses()
    alerts.once()
    assert resolved(removed) == [
        event for event in alerts.until(monitor.now + FREQUENCY + MINUTE) if event[1:] == removed
    ]


async def test_a_token_that_returns_before_it_is_removed_changes_no_alert(monitor, sim, alerts):
    sim.graph.tenant = tenant(ade("Contoso HQ", expires=6 * DAY))
    await monitor.check(HOUR)
    sim.graph.tenant = SICK
    await monitor.check(HOUR)
    assert alerts.until(monitor.now + 59 * MINUTE) == []
    assert alerts.open == [EXPIRING, TERMS]


# Unfinished runs


@pytest.mark.parametrize("what", ["no closing row", "a closing row that says failed", "lost finding rows"])
async def test_an_incomplete_run_raises_what_it_found_and_resolves_nothing(monitor, sim, alerts, what):
    invalid = ("token_critical", "Contoso Books", "vpp", "invalid", "invalid")
    sim.graph.tenant = tenant(*WELL.ade, vpps=[vpp(), vpp("Contoso Books", state="invalid")])
    match what:
        case "no closing row":
            sim.ingestion.fail(lambda r: STREAM_RUNS in r.path and b'"all"' in r.body, faults.text(403))
        case "a closing row that says failed":
            sim.proxy.fail("TokenHistory", faults.table_status(403))
        case "lost finding rows":  # taken by the service, and not there yet, or never
            sim.ingestion.fail(STREAM_FINDINGS, faults.reply(lambda _: faults.web.Response(status=204)), times=1)
    run = await monitor.check(HOUR)
    if what == "lost finding rows":
        assert run.outcome == "succeeded"
        assert alerts.until(monitor.now + 59 * MINUTE) == []
    else:
        assert run.outcome == "failed"
        assert alerts.until(monitor.now + 50 * MINUTE) == fired(invalid)
    sim.ingestion.heal()
    sim.proxy.heal()
    await monitor.check(HOUR)
    ended = alerts.until(monitor.now + 50 * MINUTE)
    assert [event for event in ended if event[0] == "resolved"] == resolved(EXPIRING, TERMS)
    assert invalid in alerts.open


async def test_a_run_counts_as_complete_when_its_last_row_has_arrived(monitor, sim, alerts):
    taken = faults.reply(lambda _: faults.web.Response(status=204))
    sim.ingestion.fail(STREAM_FINDINGS, taken, times=1)
    sim.graph.tenant = WELL
    run = await monitor.check(HOUR)
    (call,) = [request for request in sim.ingestion.requests if STREAM_FINDINGS in request.path][1:]
    rows = json.loads(call.body)
    assert len(rows) == run.rows == 4
    assert alerts.until(monitor.now + 20 * MINUTE) == []
    insert(sim.con, FINDINGS.name, rows[:-1])
    assert alerts.until(monitor.now + 40 * MINUTE) == []
    insert(sim.con, FINDINGS.name, rows[-1:])
    assert alerts.until(monitor.now + 75 * MINUTE) == resolved(EXPIRING, TERMS)


# Unread connectors


async def test_a_connector_that_cannot_be_read_resolves_nothing_and_fires_once_after_half_an_hour(monitor, sim, alerts):
    sim.graph.tenant = WELL
    sim.graph.fail(ADE, faults.status(502))
    await monitor.check(HOUR)
    assert alerts.until(monitor.now + 29 * MINUTE) == []
    await monitor.check(30 * MINUTE)
    assert alerts.soon() == fired(("check_failing", "ade"))
    await monitor.check(HOUR)
    assert alerts.soon() == []
    assert alerts.open == [EXPIRING, TERMS, ("check_failing", "ade")]
    sim.graph.heal()
    await monitor.check(HOUR)
    assert alerts.until(monitor.now + 20 * MINUTE) == resolved(EXPIRING, TERMS, ("check_failing", "ade"))


async def test_a_failed_reading_and_its_retries_within_half_an_hour_do_not_fire(monitor, sim, alerts):
    sim.graph.fail(ADE, faults.status(502))
    for _ in range(3):
        await monitor.check(MINUTE)
    sim.graph.heal()
    await monitor.check(HOUR)
    assert alerts.until(monitor.now + 30 * MINUTE) == []


async def test_an_outage_of_graph_fires_for_each_connector_and_for_no_token(monitor, sim, alerts):
    sim.graph.fail("", faults.status(502))
    for _ in range(3):
        await monitor.check(HOUR)
    assert alerts.soon() == fired(("check_failing", "ade"), ("check_failing", "apns"), ("check_failing", "vpp"))
    assert {row["Finding"] for row in monitor.published() if row["TimeGenerated"].hour == monitor.now.hour} == {
        "expiring",
        "terms_not_accepted",
        "unread",
    }


async def test_the_failure_of_a_connector_resolves_when_it_is_no_longer_watched(monitor, sim, alerts):
    sim.graph.fail(VPP, faults.status(502))
    for _ in range(2):
        await monitor.check(HOUR)
    assert alerts.soon() == fired(("check_failing", "vpp"))
    await monitor.check(HOUR, CONNECTORS="ade,apns")
    assert monitor.run_rows()["vpp"]["Outcome"] == "skipped"
    assert alerts.until(monitor.now + 20 * MINUTE) == resolved(("check_failing", "vpp"))


# Silence


async def test_silence_fires_four_hours_after_the_deployment_of_a_monitor_that_never_ran(monitor):
    engine = monitor.alerts()
    assert engine.until(NOW + 3 * HOUR) == []
    assert engine.until(NOW + 5 * HOUR) == fired(("check_silent",))


async def test_runs_that_fail_are_not_silence(monitor, sim, alerts):
    sim.proxy.fail("", faults.table_status(403))
    for _ in range(5):
        assert (await monitor.check(HOUR)).outcome == "failed"
    assert alerts.soon() == fired(("check_failing", "all"))
    rows = [row for row in sim.log_rows("AppleTokenRun_CL")[5:] if row["Connector"] == "devices"]
    assert {row["Outcome"] for row in rows} == {"unknown"}
    assert ("check_silent",) not in alerts.open


async def test_checks_whose_closing_rows_are_lost_are_silence(monitor, sim, alerts):
    sim.ingestion.fail(STREAM_RUNS, faults.text(403))
    for _ in range(5):
        await monitor.check(HOUR)
    assert ("fired", "check_silent") in alerts.soon()


async def test_silence_fires_after_four_hours_and_resolves_no_finding(monitor, sim, alerts):
    assert alerts.until(NOW + 4 * HOUR) == []
    assert alerts.until(NOW + 4 * HOUR + 20 * MINUTE) == fired(("check_silent",))
    assert alerts.until(NOW + 36 * HOUR) == []
    assert alerts.open == [EXPIRING, TERMS, ("check_silent",)]
    sim.graph.tenant = tenant(
        ade("Contoso HQ", expires=6 * DAY, synced=-36 * HOUR),
        ade("Contoso Labs", lastSyncErrorCode=3, synced=-36 * HOUR),
        vpps=[vpp(synced=-36 * HOUR)],
    )
    await monitor.check(36 * HOUR)
    assert alerts.until(monitor.now + 20 * MINUTE) == resolved(("check_silent",))
    assert alerts.open == [EXPIRING, TERMS]
