"""Runs `doctor` over the simulator, and parses its output."""

import json

from cli_scene import now
from operators import Operator, last_tick

from simulator.bearer import PRINCIPAL_ID
from tests.scenes import HOUR, MINUTE

GRANT = f"infra/grant-graph-role.sh --principal-id {PRINCIPAL_ID}"
TRIGGER = "python -m cli trigger check"
OTHER = "11111111-2222-4333-8444-555555555555"
"""An ID that nothing has."""

TABLES = ("TokenStatus", "TokenHistory", "CheckRun", "DeviceInspection")


class Patient(Operator):
    """An operator who runs `doctor`."""

    def lines(self, *arguments, **environment):
        """Return the lines of the output by their subject."""
        told = json.loads(self.run("doctor", "--format", "json", *arguments, **environment).stdout)
        return {line["what"]: line for line in told["lines"]}

    def failing(self, *arguments, **environment):
        """Return the lines that failed; the exit code states that there are some."""
        done = self.run("doctor", "--format", "json", *arguments, **environment)
        told = json.loads(done.stdout)
        failed = {line["what"]: line for line in told["lines"] if line["state"] == "failed"}
        assert done.returncode == told["exit_code"] == (2 if failed else 0)
        assert told["counts"]["failed"] == len(failed)
        return failed

    def the_failure(self, what, *arguments, **environment):
        """Return the only line that failed."""
        failed = self.failing(*arguments, **environment)
        assert list(failed) == [what], failed
        return failed[what]

    def ran(self, ago=None, outcome="succeeded", **others):
        """Write a row as `Scene.ran` does, by default at the last scheduled time."""
        return super().ran(now() - last_tick(now()) if ago is None else ago, outcome, **others)

    def change_run(self, **columns):
        """Change columns of the only run."""
        (row,) = self.sim.table_rows("CheckRun")
        self.put("CheckRun", {**row, **columns})

    def at_ticks(self, *hours):
        """Write a check for each minute 7 that is so many hours before the newest one that is due."""
        newest = last_tick(now() - 11 * MINUTE)
        for hour in hours:
            self.ran(now() - (newest - hour * HOUR))

    def through_the_proxy(self):
        """Return the settings that connect the app and the command to the tables through the proxy."""
        endpoint = self.sim.env(proxied=True)["TABLES_ENDPOINT"]
        self.sim.arm.changed["TABLES_ENDPOINT"] = endpoint
        return {"TABLES_ENDPOINT": endpoint}
