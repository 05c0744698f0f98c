"""An operator's surroundings: what leads a command to the app in Azure, and somebody who signs in with a browser."""

import sys
from datetime import UTC, datetime, timedelta

from cli_scene import Scene, now

from simulator import rules
from tests.scenes import HOUR

BROWSER = """\
import sys, urllib.error, urllib.request, ssl
context = ssl.create_default_context(cafile={ca!r})
try:
    urllib.request.urlopen(sys.argv[1], context=context, timeout=20).read()
except (urllib.error.URLError, OSError) as error:
    sys.exit(str(error))
"""
"""Somebody's browser: it goes where it is sent, and back."""


class Operator(Scene):
    """A scene whose commands know the deployment."""

    def environment(self, **others):
        return super().environment(**{**self.sim.operator_env(), **others})

    def browser(self, folder):
        """What `BROWSER` names, so that the sign-in's page is visited."""
        script = folder / "browser.py"
        script.write_text(BROWSER.format(ca=str(self.sim.tls.ca_file)))
        return f"{sys.executable} {script} %s &"  # & : not waited for

    def by_code(self, *arguments, **environment):
        """A command whose operator signs in to Graph with a device code."""
        return self.run(*arguments, "--device-code", **environment)

    def kept(self):
        """Everything that is kept anywhere: a command that writes nothing leaves it as it is."""
        tables = ("TokenStatus", "TokenHistory", "CheckRun", "DeviceInspection")
        logs = ("AppleTokenFinding_CL", "AppleTokenRun_CL")
        return {name: self.sim.table_rows(name) for name in tables} | {name: self.sim.log_rows(name) for name in logs}

    def alerts(self, ahead=timedelta(), of=rules.RULES):
        """What the alert rules hold for: the rule, and the token's name where it has one."""
        found = rules.firing(self.sim.con, now() + ahead, of)
        return [(alert.rule, alert.dimensions.get("TokenName"), alert.dimensions.get("Finding")) for alert in found]

    def hourly(self, number, *ades, **others):
        """So many checks, each at minute 7 of its hour, the last one within the last hour."""
        newest = last_tick(now())
        return [self.check(*ades, ago=now() - (newest - hours * HOUR), **others) for hours in reversed(range(number))]


def last_tick(instant):
    """The last minute 7 before `instant`."""
    tick = instant.astimezone(UTC).replace(minute=7, second=0, microsecond=0)
    return tick if tick <= instant else tick - timedelta(hours=1)


def instant(text):
    return datetime.fromisoformat(text)
