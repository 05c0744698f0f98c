"""Who is told what, and when it is over: the rules' own queries over rows that real runs have published."""

import json
from collections import Counter
from datetime import timedelta

import pytest
from support import DAY, HOUR, MINUTE, NOW, STREAM_FINDINGS, STREAM_RUNS, Alerts, ade, rules, tenant, vpp

from shared.publishing.rows import FINDINGS
from simulator import faults
from simulator.graph import ADE, VPP
from simulator.mail import subject
from simulator.rules import FREQUENCY, MAXIMUM_FIRED, RULES, insert
from simulator.scenario import scenario
from simulator.tenant import Tenant, many
from tests.all_clear import AllClears

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


async def test_each_token_and_condition_is_one_alert_however_often_it_is_checked(monitor, alerts):
    told = []
    for _ in range(6):
        await monitor.check(HOUR)
        told += alerts.soon()
    assert told == []
    assert alerts.open == [EXPIRING, TERMS]


async def test_an_alert_says_which_token_and_what_to_do(monitor, alerts):
    (row,) = [row for row in monitor.published() if row["Finding"] == "terms_not_accepted"]
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


async def test_a_further_step_is_a_new_alert_and_the_earlier_one_stays_open(monitor, sim, alerts):
    sim.graph.tenant = tenant(
        ade("Contoso HQ", expires=6 * DAY, synced=-5 * DAY),
        ade("Contoso Labs", lastSyncErrorCode=3, synced=-5 * DAY),
        vpps=[vpp(synced=-5 * DAY)],
    )
    await monitor.check(5 * DAY)
    further = (*EXPIRING[:-1], "expires 2026-11-29 (1 day or less)")
    assert alerts.once() == fired(further)
    assert alerts.until(monitor.now + 59 * MINUTE) == []
    assert set(alerts.open) == {further, EXPIRING, TERMS}


async def test_warnings_are_told_at_a_lower_severity_and_information_not_at_all(monitor, sim):
    sim.graph.tenant = tenant(
        ade("Contoso HQ", synced=40 * HOUR),
        ade(
            "Contoso Pilot",
            tokenType="none",
            tokenExpirationDateTime="0001-01-01T00:00:00Z",
            lastSuccessfulSyncDateTime="0001-01-01T00:00:00Z",
        ),
        ade("Contoso Archive", tokenExpirationDateTime="soon"),
    )
    await monitor.check()
    assert monitor.stored("ade", "Contoso Pilot").keys() == {"not_set_up"}
    assert monitor.firing() == [
        ("token_warning", "Contoso Archive", "ade", "unreadable", "cannot be judged as a whole"),
        ("token_warning", "Contoso HQ", "ade", "sync_stale", "no successful sync since 2026-11-21 13:07 UTC"),
    ]


async def test_a_warning_that_turns_critical_is_told_by_the_other_rule_too_and_stays_open(monitor, sim):
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


async def test_tenants_with_many_tokens_get_one_alert_for_each_connector_and_condition(monitor, sim):
    sim.graph.tenant = many(250, NOW)
    await monitor.check(proxied=False)
    assert [(rule, *others) for rule, *others in monitor.firing(rules("Connector"))] == [
        ("token_critical", "ade", "expired", "begun"),
        ("token_critical", "ade", "sync_stale", "72 hours or more"),
        ("token_critical", "ade", "terms_not_accepted", "begun"),
        ("token_warning", "ade", "expiring", "30 days or less"),
    ]
    assert len(monitor.firing()) == 25


@pytest.mark.exhaustive
async def test_new_terms_at_500_tokens_are_one_alert_by_connector_and_more_than_azure_fires_by_token(monitor, sim):
    """What the two groupings are for: Apple publishes new terms, and every token of the tenant fails within a day."""
    sim.graph.tenant = Tenant(tuple(ade(f"School {n:03}", lastSyncErrorCode=3) for n in range(500)), (vpp(),))
    grouped, single = monitor.alerts(rules("Connector")), monitor.alerts(rules())
    await monitor.check(proxied=False)
    (told,) = grouped.soon()
    assert told == ("fired", "token_critical", "ade", "terms_not_accepted", "begun")
    kinds = Counter(kind for kind, *_ in single.soon())
    assert kinds == {"fired": MAXIMUM_FIRED, "dropped": 500 - MAXIMUM_FIRED}

    sim.graph.tenant = Tenant(tuple(ade(f"School {n:03}") for n in range(500)), (vpp(),))
    await monitor.check(HOUR, proxied=False)
    assert grouped.until(monitor.now + FREQUENCY + MINUTE) == [("resolved", *told[1:])]
    single.until(monitor.now + FREQUENCY + MINUTE)
    assert (grouped.open, single.open) == ([], [])


async def test_by_connector_an_alert_outlasts_its_first_token_and_resolves_with_its_last(monitor, sim):
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


async def test_a_renewal_resolves_its_alert_at_the_second_clean_evaluation_and_no_other(monitor, sim, alerts):
    sim.graph.tenant = tenant(ade("Contoso HQ", expires=370 * DAY), ade("Contoso Labs", lastSyncErrorCode=3))
    await monitor.check(HOUR)
    assert alerts.soon() == []
    assert alerts.until(monitor.now + 14 * MINUTE) == []
    assert alerts.until(monitor.now + 16 * MINUTE) == resolved(EXPIRING)
    assert alerts.open == [TERMS]
    assert alerts.until(monitor.now + 59 * MINUTE) == []


async def test_a_problem_that_comes_back_is_told_again(monitor, sim, alerts):
    sim.graph.tenant = WELL
    await monitor.check(HOUR)
    assert alerts.until(monitor.now + 20 * MINUTE) == resolved(EXPIRING, TERMS)
    sim.graph.tenant = SICK
    await monitor.check(HOUR)
    assert alerts.until(monitor.now + 20 * MINUTE) == fired(EXPIRING, TERMS)


async def test_the_last_token_with_a_problem_recovers_though_only_healthy_rows_are_left(monitor, sim, alerts):
    sim.graph.tenant = Tenant(WELL.ade)
    await monitor.check(HOUR)
    await monitor.check(HOUR)
    assert resolved(EXPIRING, TERMS) == [event for event in alerts.soon() if event[0] == "resolved"]


async def test_a_stale_sync_under_expired_terms_raises_no_second_alert_and_none_after_the_click(monitor, sim):
    sim.graph.tenant = tenant(ade("Contoso Labs", lastSyncErrorCode=3, synced=80 * HOUR))
    engine = monitor.alerts()
    await monitor.check()
    assert engine.soon() == fired(TERMS)
    sim.graph.tenant = tenant(ade("Contoso Labs", synced=-30 * MINUTE))
    await monitor.check(HOUR)
    assert engine.until(monitor.now + 59 * MINUTE) == resolved(TERMS)


# Removal of a token, end to end


async def test_a_token_deleted_in_intune_is_told_and_the_alert_ends_after_the_time_for_changes(monitor, sim, alerts):
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


async def test_a_token_that_returns_before_it_counts_as_removed_changes_no_alert(monitor, sim, alerts):
    sim.graph.tenant = tenant(ade("Contoso HQ", expires=6 * DAY))
    await monitor.check(HOUR)
    sim.graph.tenant = SICK
    await monitor.check(HOUR)
    assert alerts.until(monitor.now + 59 * MINUTE) == []
    assert alerts.open == [EXPIRING, TERMS]


# Unfinished runs


@pytest.mark.parametrize("what", ["no closing row", "a closing row that says failed", "lost finding rows"])
async def test_an_unfinished_run_raises_what_it_found_and_resolves_nothing(monitor, sim, alerts, what):
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


async def test_rows_that_arrive_late_make_the_run_count_when_the_last_one_is_there(monitor, sim, alerts):
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


async def test_a_connector_that_cannot_be_read_resolves_nothing_and_raises_one_alert_after_half_an_hour(
    monitor, sim, alerts
):
    sim.graph.tenant = WELL
    sim.graph.fail(ADE, faults.status(502))
    await monitor.check(HOUR)
    assert alerts.until(monitor.now + 29 * MINUTE) == []
    await monitor.check(30 * MINUTE)
    assert alerts.soon() == fired(("check_failing", "ade"))
    for _ in range(5):
        await monitor.check(HOUR)
    assert alerts.soon() == []
    assert alerts.open == [EXPIRING, TERMS, ("check_failing", "ade")]
    sim.graph.heal()
    await monitor.check(HOUR)
    assert alerts.until(monitor.now + 20 * MINUTE) == resolved(EXPIRING, TERMS, ("check_failing", "ade"))


async def test_one_failed_reading_and_its_retries_within_half_an_hour_are_no_alert(monitor, sim, alerts):
    sim.graph.fail(ADE, faults.status(502))
    for _ in range(3):
        await monitor.check(MINUTE)
    sim.graph.heal()
    await monitor.check(HOUR)
    assert alerts.until(monitor.now + 30 * MINUTE) == []


async def test_all_of_graph_down_is_one_alert_for_each_connector_and_none_for_a_token(monitor, sim, alerts):
    sim.graph.fail("", faults.status(502))
    for _ in range(3):
        await monitor.check(HOUR)
    assert alerts.soon() == fired(("check_failing", "ade"), ("check_failing", "apns"), ("check_failing", "vpp"))
    assert {row["Finding"] for row in monitor.published() if row["TimeGenerated"].hour == monitor.now.hour} == {
        "expiring",
        "terms_not_accepted",
        "unread",
    }


async def test_a_connector_that_is_not_watched_any_more_ends_its_failure(monitor, sim, alerts):
    sim.graph.fail(VPP, faults.status(502))
    for _ in range(2):
        await monitor.check(HOUR)
    assert alerts.soon() == fired(("check_failing", "vpp"))
    await monitor.check(HOUR, CONNECTORS="ade,apns")
    assert alerts.until(monitor.now + 20 * MINUTE) == resolved(("check_failing", "vpp"))


# Silence


async def test_checks_that_stop_are_told_after_four_hours_and_again_over_when_they_run(monitor, alerts):
    assert alerts.until(NOW + 4 * HOUR) == []
    assert alerts.until(NOW + 4 * HOUR + 20 * MINUTE) == fired(("check_silent",))
    assert alerts.open == [EXPIRING, TERMS, ("check_silent",)]
    await monitor.check(5 * HOUR)
    assert alerts.until(monitor.now + 20 * MINUTE) == resolved(("check_silent",))


async def test_a_monitor_that_never_ran_is_told_four_hours_after_its_deployment(monitor):
    engine = monitor.alerts()
    assert engine.until(NOW + 3 * HOUR) == []
    assert engine.until(NOW + 5 * HOUR) == fired(("check_silent",))


async def test_runs_that_fail_are_not_silence(monitor, sim, alerts):
    sim.proxy.fail("", faults.table_status(403))
    for _ in range(5):
        assert (await monitor.check(HOUR)).outcome == "failed"
    assert alerts.soon() == fired(("check_failing", "all"))
    assert {row["Outcome"] for row in sim.log_rows("AppleTokenRun_CL")[5:] if row["Connector"] == "devices"} == {
        "unknown"
    }
    assert ("check_silent",) not in alerts.open


async def test_checks_whose_closing_rows_are_lost_are_silence(monitor, sim, alerts):
    sim.ingestion.fail(STREAM_RUNS, faults.text(403))
    for _ in range(5):
        await monitor.check(HOUR)
    assert ("fired", "check_silent") in alerts.soon()


async def test_a_day_and_a_half_of_silence_resolves_no_finding(monitor, sim, alerts):
    assert alerts.until(NOW + 36 * HOUR) == fired(("check_silent",))
    sim.graph.tenant = tenant(
        ade("Contoso HQ", expires=6 * DAY, synced=-36 * HOUR),
        ade("Contoso Labs", lastSyncErrorCode=3, synced=-36 * HOUR),
        vpps=[vpp(synced=-36 * HOUR)],
    )
    await monitor.check(36 * HOUR)
    assert alerts.until(monitor.now + 20 * MINUTE) == resolved(("check_silent",))
    assert alerts.open == [EXPIRING, TERMS]


# A fortnight


FORTNIGHT = """
0 Critical: Contoso Retail: expires 2026-11-27 (7 days or less) (Fired)
0 Warning: Contoso HQ: expires 2026-12-05 (14 days or less) (Fired)
75 Warning: Contoso HQ: devices without a policy (Fired)
78 Critical: Contoso Retail: expires 2026-11-27 (1 day or less) (Fired)
87 Warning: ADE Token Monitor: the check of ade keeps failing (Fired)
87 Warning: ADE Token Monitor: the check of apns keeps failing (Fired)
87 Warning: ADE Token Monitor: the check of vpp keeps failing (Fired)
90 Warning: Contoso Warehouse: no successful sync since 2026-11-25 06:07 UTC (Fired)
90 Warning: ADE Token Monitor: the check of ade keeps failing (Resolved)
90 Warning: ADE Token Monitor: the check of apns keeps failing (Resolved)
90 Warning: ADE Token Monitor: the check of vpp keeps failing (Resolved)
102 Critical: Contoso Retail: expired 2026-11-27 (Fired)
120 Critical: Contoso HQ: expires 2026-12-05 (7 days or less) (Fired)
123 Critical: Contoso Warehouse: no successful sync since 2026-11-25 06:07 UTC (72 hours or more) (Fired)
129 Warning: Contoso Field Service: fewer devices since 2026-11-28, reported until 2026-12-05 (Fired)
138 Warning: Fabrikam Pilot: removed 2026-11-28, reported until 2026-12-05 (Fired)
147 Warning: Contoso HQ: devices without a policy (Resolved)
153 Critical: Fabrikam Berlin: Apple's terms not accepted (Fired)
168 Critical: Contoso HQ: expires 2026-12-05 (7 days or less) (Resolved)
168 Warning: Contoso HQ: expires 2026-12-05 (14 days or less) (Resolved)
171 Warning: Fabrikam Academy: device enrollments fail (Fired)
186 Critical: Fabrikam Berlin: Apple's terms not accepted (Resolved)
204 Critical: Contoso Retail: expires 2026-11-27 (7 days or less) (Resolved)
204 Critical: Contoso Retail: expires 2026-11-27 (1 day or less) (Resolved)
204 Critical: Contoso Retail: expired 2026-11-27 (Resolved)
219 Critical: Contoso Warehouse: no successful sync since 2026-11-25 06:07 UTC (72 hours or more) (Resolved)
219 Warning: Contoso Warehouse: no successful sync since 2026-11-25 06:07 UTC (Resolved)
219 Warning: Fabrikam Academy: device enrollments fail (Resolved)
225 Warning: Contoso Field Service: fewer devices since 2026-11-28, reported until 2026-12-05 (Resolved)
237 Critical: Apple MDM push certificate: push topic changed 2026-12-03, reported until 2026-12-10 (Fired)
252 Warning: Contoso Apps: sync error, status failed (Fired)
267 Warning: Contoso Warehouse: devices missing in Intune (Fired)
270 Warning: Contoso Apps: sync error, status failed (Resolved)
288 Critical: Apple MDM push certificate: push topic changed 2026-12-03, reported until 2026-12-10 (Resolved)
306 Warning: Fabrikam Pilot: removed 2026-11-28, reported until 2026-12-05 (Resolved)
315 Warning: Contoso Warehouse: devices missing in Intune (Resolved)
"""
"""Hours since the start, and the subject of a mail; see `simulator.scenario.events` for what happens."""


@pytest.mark.exhaustive
async def test_a_fortnight_tells_each_thing_once_and_when_it_is_over_and_never_before(monitor, sim):
    days, step, by_name = 14, 3 * HOUR, {rule.name: rule for rule in RULES}
    engine = monitor.alerts()
    told, clears = [], AllClears()
    for number in range(int(days * DAY / step)):
        now = NOW + number * step
        scene = scenario(now, NOW, days)
        sim.graph.tenant = scene.tenant
        sim.graph.heal()
        if scene.outage:
            sim.graph.fail("", faults.status(502))
        await monitor.check(step if number else timedelta())
        await monitor.inspect()
        engine.skip()
        events = engine.events(now + 31 * MINUTE)
        clears.see(events, scene.tenant, now)
        told += [f"{(now - NOW) // HOUR} {subject(by_name[event.alert.rule], event)}" for event in events]
    assert told == FORTNIGHT.strip().splitlines()
    assert (clears.false, clears.twice, clears.fired, clears.resolved) == ([], [], 15, 15)
