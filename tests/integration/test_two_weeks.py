"""The two weeks of the demo: what fires, and when it resolves."""

from datetime import timedelta

import pytest

from simulator import faults
from simulator.mail import subject
from simulator.rules import RULES
from simulator.scenario import scenario
from tests.all_clear import AllClears
from tests.scenes import DAY, HOUR, MINUTE, NOW

TWO_WEEKS = """
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
async def test_each_condition_of_two_weeks_fires_once_and_resolves_when_it_is_over(monitor, sim):
    days, step, by_name = 14, 3 * HOUR, {rule.name: rule for rule in RULES}
    engine = monitor.alerts()
    alerted, clears = [], AllClears()
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
        alerted += [f"{(now - NOW) // HOUR} {subject(by_name[event.alert.rule], event)}" for event in events]
    assert alerted == TWO_WEEKS.strip().splitlines()
    assert (clears.false, clears.twice, clears.fired, clears.resolved) == ([], [], 15, 15)
