"""Turns the errors of Azure's tables and logs into text."""

import re
from typing import Final

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ServiceRequestError

from shared.http.answers import AnswerTooLongError
from shared.text import bounded

_LONGEST: Final = 300


def described(error: AzureError, *, right: str) -> str:
    """Return the error and its remedy, if there is one; `right` is the role that the call requires."""
    if said := answer_of(error):
        match status_of(error):
            case 401 | 403:
                remedy = f": give the app's identity the role {right}; a new grant can take up to 30 minutes"
            case 404:
                remedy = ": what infra/main.bicep deploys is not there, or the address in the settings is wrong"
            case _:
                remedy = ""
        return f"{said}{remedy}"
    if isinstance(error, ClientAuthenticationError) and not isinstance(error, AnswerTooLongError):
        return f"no sign-in ({_attempt(error)}): check that the app has its managed identity"
    if isinstance(error, ServiceRequestError):
        return f"no connection ({_first_line(error)}): check the address in the settings, DNS and firewall"
    return f"{type(error).__name__} ({_first_line(error)})"


def status_of(error: Exception) -> int | None:
    """Return the HTTP status of the answer, if there was one."""
    return error.status_code if isinstance(error, HttpResponseError) else None


def answer_of(error: AzureError) -> str:
    """Return the status and the service's code, `HTTP 403 AuthorizationFailure`; empty without an answer."""
    status, code = status_of(error), code_of(error)
    return f"HTTP {status}{f' {code}' if code else ''}" if status else ""


def code_of(error: AzureError) -> str | None:
    """Return the code of the service's error, bounded, if it sent one."""
    if not isinstance(error, HttpResponseError):
        return None
    code = getattr(error, "error_code", None) or (error.error.code if error.error else None)
    return bounded(str(getattr(code, "value", code)), 100) if code else None


def _attempt(error: AzureError) -> str:
    """Return the error of the last credential: a chain has a line for each."""
    tried = re.findall(r"^\s*\w+Credential: .+$", str(error), re.MULTILINE)
    return bounded(tried[-1].strip(), _LONGEST) if tried else _first_line(error)


def _first_line(error: AzureError) -> str:
    lines = str(error).splitlines()
    return bounded(lines[0], _LONGEST) if lines else "no message"
