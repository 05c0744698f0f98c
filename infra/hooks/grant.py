"""Grants the app's identity its Graph roles, after azd has created the resources and before it deploys the code.

Otherwise, the app's first token lacks the roles, and Azure caches that token for about 24 hours. So if they cannot be
granted, the deployment stops here. A pipeline that may not read roles sets GRAPH_ROLE_GRANTED to true.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_INFRA = Path(__file__).resolve().parents[1]
_ENVIRONMENTS = {"AzureCloud": "Global", "AzureUSGovernment": "USGov", "AzureChinaCloud": "China"}
"""The names of the clouds in Connect-MgGraph, by azd's names."""

_DENIED = 2
"""The scripts' exit code if the caller may not grant roles."""


def command(environment: Mapping[str, str], *, on_windows: bool) -> list[str]:
    """Return the command that grants the roles of the deployment that azd describes in `environment`."""
    principal = environment["IDENTITY_PRINCIPAL_ID"]
    events = environment.get("ENROLLMENT_EVENTS", "").lower() == "true"
    if on_windows:
        shell = shutil.which("pwsh") or "powershell"
        words = [shell, "-NoProfile", "-ExecutionPolicy", "Bypass", "-File", str(_INFRA / "grant-graph-role.ps1")]
        words += ["-PrincipalId", principal, *(["-EnrollmentEvents"] if events else [])]
        words += _option("-TenantId", environment.get("AZURE_TENANT_ID"))
        return words + _option("-Environment", _ENVIRONMENTS.get(environment.get("AZURE_CLOUD", "")))
    words = ["sh", str(_INFRA / "grant-graph-role.sh"), "--principal-id", principal]
    words += ["--enrollment-events"] if events else []
    # With it, the script refuses to run if az is signed in to another tenant than azd.
    return words + _option("--subscription", environment.get("AZURE_SUBSCRIPTION_ID"))


def _option(name: str, value: str | None) -> list[str]:
    return [name, value] if value else []


def main() -> int:
    """Grant the roles and return 0, or the script's exit code if it failed."""
    if os.environ.get("GRAPH_ROLE_GRANTED") == "true":
        print("GRAPH_ROLE_GRANTED is true, so the app's identity is taken to have its Graph roles.")
        return 0
    if not os.environ.get("IDENTITY_PRINCIPAL_ID"):
        print("IDENTITY_PRINCIPAL_ID is not set. azd sets it; by hand, run infra/grant-graph-role.sh.", file=sys.stderr)
        return 1
    status = subprocess.run(command(os.environ, on_windows=os.name == "nt"), check=False).returncode
    if status:
        print(
            "\nThe deployment stops here, before the code: the app's first token would lack the role for a day.",
            "Once an administrator has run one of the commands above, continue with: azd deploy\n"
            "A deployer who may not read whether it is granted sets: azd env set GRAPH_ROLE_GRANTED true"
            if status == _DENIED
            else "Fix what is said above, and continue with: azd provision, azd deploy",
            sep="\n",
            file=sys.stderr,
        )
    return status


if __name__ == "__main__":
    sys.exit(main())
