"""Runs an administrator's scripts and programs with a fake Azure CLI (fake_az.py) and a fixed clock."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.graph.connectors import EVENTS_ROLE, ROLE
from tests.infra import fake_az

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
TOOLS = ("sh", "awk", "cat", "dirname", "expand", "mktemp", "rm", "sed", "tr")
"""All that the scripts need beside az, date and sleep: no jq, no Python."""

NOW = datetime(2026, 11, 23, 10, 20, tzinfo=UTC)
TENANT = "11111111-0000-4000-8000-000000000001"
SUBSCRIPTION = "22222222-0000-4000-8000-000000000002"
PRINCIPAL = "33333333-0000-4000-8000-000000000003"
NEW_PRINCIPAL = "44444444-0000-4000-8000-000000000004"
GRAPH = "55555555-0000-4000-8000-000000000005"
ROLE_ID = "06a5fe6d-c49d-46a7-b082-56b1b14103c7"
EVENTS_ROLE_ID = "2f51be20-0bb4-4fed-bf7b-db946066c75e"
TOKEN = "66666666-0000-4000-8000-000000000006"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-tokens"
IDENTITIES = "providers/Microsoft.ManagedIdentity/userAssignedIdentities"
IDENTITY = f"{GROUP}/{IDENTITIES}/id-tokens"
APP = f"{GROUP}/providers/Microsoft.Web/sites/func-tokens"
WORKSPACE = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/log-tokens"
ASSIGNMENT = {"principalId": PRINCIPAL, "resourceId": GRAPH, "appRoleId": ROLE_ID, "id": "assignment"}

CLOCK = """
import time

slept = 0.0

def sleep(seconds):
    global slept
    slept += seconds
    with open('{sleeps}', "a") as sleeps:
        sleeps.write(f"{{seconds:g}}\\n")

time.sleep, time.time, time.monotonic = sleep, lambda: {now} + slept, lambda: slept
"""
"""A `sitecustomize` module; Python imports it by itself."""


class Desk:
    """A folder whose `bin` is the whole PATH: the tools, `az` and `sleep` that record their calls, a fixed clock."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.program("az", f'exec {sys.executable} -IS {fake_az.__file__} {folder} "$@"')
        self.program("sleep", f'echo "$1" >>{folder}/sleeps')
        self.set_clock(NOW)
        self.state: dict[str, Any] = {
            "cloud": "AzureCloud",
            "graph": "https://graph.microsoft.com/",
            "manager": "https://management.azure.com/",
            "token": "",
            "accounts": [{"id": SUBSCRIPTION, "name": "Production", "tenantId": TENANT}],
            "groups": ["rg-tokens"],
            "identities": [{"id": IDENTITY, "principalId": PRINCIPAL}],
            "next_principal": NEW_PRINCIPAL,
            "graph_app": {
                "id": GRAPH,
                "appRoles": [
                    {"value": ROLE, "id": "delegated", "allowedMemberTypes": ["User"]},
                    {"value": ROLE, "id": ROLE_ID, "allowedMemberTypes": ["Application"]},
                    {"value": EVENTS_ROLE, "id": EVENTS_ROLE_ID, "allowedMemberTypes": ["Application"]},
                ],
            },
            "assignments": [],
            "unseen": 0,
            "rows": [],
            "coming": None,
            "asked": False,
            "alert_rules": alert_rules(WORKSPACE),
            "rules": {},
            "faults": [],
        }

    def program(self, name: str, text: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.bin / name).chmod(0o755)

    def set_clock(self, now: datetime) -> None:
        """Set the time for the scripts; for Python programs, it advances only by the time that they sleep."""
        self.program("date", f"echo {now.timestamp():.0f}")
        (self.folder / "sitecustomize.py").write_text(CLOCK.format(now=now.timestamp(), sleeps=self.folder / "sleeps"))

    def fault(self, call: str, complaint: str, *, times: int = -1) -> None:
        """Make matching calls of az fail with the complaint, that many times or always."""
        self.state["faults"].append({"call": call, "complaint": complaint, "times": times})

    def start(self) -> None:
        """Write the state for az."""
        (self.folder / "azure.json").write_text(json.dumps(self.state))

    def command(self, script: str, *arguments: str, shell: str = "sh") -> list[str | Path]:
        """Return the command that runs a script or a Python program of infra/."""
        program, *options = [sys.executable] if script.endswith(".py") else shell.split()
        return [shutil.which(program), *options, INFRA / script, *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        return {"PATH": str(self.bin), "PYTHONPATH": str(self.folder), **more}

    def run(self, script: str, *arguments: str, shell: str = "sh", **environment: str) -> "Said":
        self.start()
        done = subprocess.run(
            self.command(script, *arguments, shell=shell),
            env=self.environment(**environment),
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.state = json.loads((self.folder / "azure.json").read_text())
        if script != "deploy_code.py":  # which shows no token: see its own tests
            assert not any("get-access-token" in call or "--debug" in call for call in self.calls)
        return Said(done.returncode, done.stdout, done.stderr)

    @property
    def calls(self) -> list[str]:
        """Return the calls of az, one line each."""
        file = self.folder / "calls.jsonl"
        return [" ".join(json.loads(call)) for call in file.read_text().splitlines()] if file.exists() else []

    @property
    def changes(self) -> list[str]:
        """Return the calls that change something."""
        return [call for call in self.calls if re.search(r" create |--method (post|put|delete)", call)]

    @property
    def sleeps(self) -> list[str]:
        file = self.folder / "sleeps"
        return file.read_text().split() if file.exists() else []

    @property
    def granted(self) -> set[tuple[str, str]]:
        return {(a["principalId"], a["appRoleId"]) for a in self.state["assignments"]}


def alert_rules(workspace: str, grouping: str = "byToken") -> list[dict[str, Any]]:
    """Return the alert rules of a deployment, with the properties that a script reads."""
    rules = json.loads((INFRA / "alert-rules.json").read_text("utf-8"))
    dimensions = {rule["name"]: rule.get(grouping, rule)["dimensions"] for rule in rules}
    return [
        {
            "id": f"{GROUP}/providers/Microsoft.Insights/scheduledQueryRules/tokens-{name}",
            "properties": {
                "scopes": [workspace],
                "criteria": {"allOf": [{"dimensions": [{"name": n} for n in names]}]},
            },
        }
        for name, names in dimensions.items()
    ]


def pack(path: Path, *names: str, source: str | None = None) -> Path:
    """Write a package with function_app.py, or `source` in its place, and files of these names."""
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("function_app.py", source or (ROOT / "function_app.py").read_text("utf-8"))
        for name in names:
            packed.writestr(name, name)
    return path


class Said:
    def __init__(self, status: int, out: str, err: str):
        self.status, self.out, self.err = status, out, err

    @property
    def text(self) -> str:
        return self.out + self.err
