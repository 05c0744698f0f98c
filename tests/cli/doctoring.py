"""A deployment to be examined: `doctor` over the simulator, and what it told."""

import json

from cli_scene import now
from operators import Operator, last_tick

from simulator.bearer import PRINCIPAL_ID
from tests.scenes import HOUR, MINUTE

GRANT = f"infra/grant-graph-role.sh --principal-id {PRINCIPAL_ID}"
TRIGGER = "python -m cli trigger check"
OTHER = "11111111-2222-4333-8444-555555555555"
"""An id of nobody."""

TABLES = ("TokenStatus", "TokenHistory", "CheckRun", "DeviceInspection")


class Patient(Operator):
    """An operator who asks the doctor."""

    def lines(self, *arguments, **environment):
        """What was told, by what it is about."""
        told = json.loads(self.run("doctor", "--format", "json", *arguments, **environment).stdout)
        return {line["what"]: line for line in told["lines"]}

    def failing(self, *arguments, **environment):
        """The lines that failed; that there are some is what the exit code says."""
        done = self.run("doctor", "--format", "json", *arguments, **environment)
        told = json.loads(done.stdout)
        failed = {line["what"]: line for line in told["lines"] if line["state"] == "failed"}
        assert done.returncode == told["exit_code"] == (2 if failed else 0)
        assert told["counts"]["failed"] == len(failed)
        return failed

    def the_failure(self, what, *arguments, **environment):
        """The one line that failed."""
        failed = self.failing(*arguments, **environment)
        assert list(failed) == [what], failed
        return failed[what]

    def ran(self, ago=None, outcome="succeeded", **others):
        """As a scene has it; at the last tick, unless a test says otherwise."""
        return super().ran(now() - last_tick(now()) if ago is None else ago, outcome, **others)

    def change_run(self, **columns):
        """Change columns of the one run that there is."""
        (row,) = self.sim.table_rows("CheckRun")
        self.put("CheckRun", {**row, **columns})

    def at_ticks(self, *hours):
        """A check at each minute 7, so many hours back from the newest that is due."""
        newest = last_tick(now() - 11 * MINUTE)
        for hour in hours:
            self.ran(now() - (newest - hour * HOUR))

    def through_the_proxy(self):
        """What leads the app and the command to the tables by a way that can fail."""
        endpoint = self.sim.env(proxied=True)["TABLES_ENDPOINT"]
        self.sim.arm.changed["TABLES_ENDPOINT"] = endpoint
        return {"TABLES_ENDPOINT": endpoint}
