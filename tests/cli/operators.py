"""Provides an operator's environment: the settings for the app in Azure, and a person who signs in with a browser."""

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
    """A scene whose commands find the deployment."""

    def environment(self, **others):
        return super().environment(**{**self.sim.operator_env(), **others})

    def browser(self, folder):
        """Return the value of `BROWSER` with which the sign-in's page is opened."""
        script = folder / "browser.py"
        script.write_text(BROWSER.format(ca=str(self.sim.tls.ca_file)))
        return f"{sys.executable} {script} %s &"  # & : not waited for

    def by_code(self, *arguments, **environment):
        """Run a command whose operator signs in to Graph with a device code."""
        return self.run(*arguments, "--device-code", **environment)

    def kept(self):
        """Return everything that is stored, which a command that writes nothing leaves unchanged."""
        tables = ("TokenStatus", "TokenHistory", "CheckRun", "DeviceInspection")
        logs = ("AppleTokenFinding_CL", "AppleTokenRun_CL")
        return {name: self.sim.table_rows(name) for name in tables} | {name: self.sim.log_rows(name) for name in logs}

    def alerts(self, ahead=timedelta(), of=rules.RULES):
        """Return the alerts whose conditions hold: the rule, and the token's name if it has one."""
        found = rules.firing(self.sim.con, now() + ahead, of)
        return [(alert.rule, alert.dimensions.get("TokenName"), alert.dimensions.get("Finding")) for alert in found]

    def hourly(self, number, *ades, **others):
        """Run that number of checks, each at minute 7 of its hour, the last one within the last hour."""
        newest = last_tick(now())
        return [self.check(*ades, ago=now() - (newest - hours * HOUR), **others) for hours in reversed(range(number))]


def last_tick(instant):
    """Return the last minute 7 before `instant`."""
    tick = instant.astimezone(UTC).replace(minute=7, second=0, microsecond=0)
    return tick if tick <= instant else tick - timedelta(hours=1)


def instant(text):
    return datetime.fromisoformat(text)
