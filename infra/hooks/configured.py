"""Verifies, before azd provisions, that alerts have a recipient and that the Bicep compiler can read the template.

azd upgrades its own Bicep, and azure.yaml requires an azd whose Bicep is new enough. azd does not check the compiler
that AZD_BICEP_TOOL_PATH names: https://github.com/Azure/azure-dev, cli/azd/pkg/tools/bicep/bicep.go.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

_BICEP = (0, 45, 6)
"""The first version that accepts @retryOn without an experimental feature and compiles it to what Azure accepts."""


def complaint(compiler: str) -> str:
    """Return why a compiler cannot read the template, or an empty text if it can."""
    try:
        done = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False)
    except OSError as error:
        return f"could not be started: {error.strerror}"
    printed = re.search(r"(\d+)\.(\d+)\.(\d+)", done.stdout)
    if not printed:
        return "does not print a version"
    return "" if tuple(map(int, printed.groups())) >= _BICEP else f"is version {printed[0]}"


def main() -> str | None:
    """Return why nothing can be provisioned and what to do; None if everything is configured."""
    if not os.environ.get("ALERT_EMAILS", "").strip(" ,"):
        return (
            "No alert would reach anybody. Set the addresses, then run this again:\n"
            "  azd env set ALERT_EMAILS intune-admins@contoso.com,on-call@contoso.com"
        )
    compiler = os.environ.get("AZD_BICEP_TOOL_PATH")
    if compiler and (reason := complaint(compiler)):
        needed = ".".join(map(str, _BICEP))
        return (
            f"The Bicep compiler that AZD_BICEP_TOOL_PATH names, {compiler}, {reason}. The template needs version "
            f"{needed} or newer. Upgrade it, or unset AZD_BICEP_TOOL_PATH so that azd uses its own."
        )
    return None


if __name__ == "__main__":
    sys.exit(main())
