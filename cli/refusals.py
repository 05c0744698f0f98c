"""Words what Azure refused or did not answer: a sentence for the operator, and what to do about it."""

import re
from typing import Final

from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError

from cli import CommandError
from shared.http.answers import AnswerTooLongError
from shared.http.azure_errors import answer_of, code_of, status_of
from shared.text import bounded

READER: Final = "Storage Table Data Reader"

_LONGEST: Final = 240


def tables_refused(error: AzureError, table: str, endpoint: str, source: str) -> CommandError:
    """Return why a table could not be read.

    Args:
        error: the SDK's.
        table: its name.
        endpoint: the account's address.
        source: where that was found, for people.

    """
    status = status_of(error)
    if status is None:
        read = isinstance(error, AnswerTooLongError) or not isinstance(error, ClientAuthenticationError)
        return _silent(error, endpoint, source) if read else signed_out(error)
    account, code, role = _account(endpoint), code_of(error), ""
    refused = f"{table} could not be read: {account} answered {answer_of(error)}"
    match status, code:
        case _, "TableNotFound":
            sentence = f"The table {table} is missing at {account}."
            remedy = f"Check that {source} names the monitor's own storage account; `azd provision` makes its tables."
        case _, "AuthorizationFailure":  # a missing role has another code
            sentence = f"{refused}: its network rules keep this machine out."
            remedy = "Run this from a network that they let in, or ask whoever runs the monitor to let this one in."
        case (401, _) | (_, "InvalidAuthenticationInfo"):
            sentence = f"{refused}: it does not take this sign-in."
            remedy = "Sign in to the tenant of the monitor's subscription: `az login --tenant TENANT_ID`."
        case 403, _:
            sentence, role = f"{refused}: you may not read it.", READER
            remedy = (
                f"An Owner or User Access Administrator of the storage account gives you the role {READER}: "
                f'`az role assignment create --role "{READER}" --assignee YOU --scope STORAGE_ACCOUNT_ID`, or the '
                "deployment's parameter readerGroupId. It can take 10 minutes to work."
            )
        case 404, _:
            sentence, remedy = f"{refused}.", f"Check the address: {source} says {bounded(endpoint, 200)}."
        case _:
            sentence, remedy = f"{refused}.", "Try again in a minute; if it fails again, check Azure's service health."
    return CommandError(sentence, remedy, status=status, role=role)


def signed_out(error: AzureError) -> CommandError:
    """Return the error for a credential that brought no token."""
    return CommandError(
        f"There is no sign-in to Azure that works here ({_attempts(error)}).",
        "Run `az login` (with `--tenant TENANT_ID` if you have several), then try again.",
        status=401,
    )


def _silent(error: AzureError, endpoint: str, source: str) -> CommandError:
    reason = first_line(str(error))
    if isinstance(error, ServiceRequestError):
        return CommandError(
            f"{_account(endpoint)} cannot be reached ({reason}).",
            f"Check the address ({source} says {bounded(endpoint, 200)}), the network, proxy and VPN.",
        )
    return CommandError(f"{_account(endpoint)} did not answer as it should ({reason}).", "Try again in a minute.")


def _attempts(error: AzureError) -> str:
    """Return the message of the credential that an operator most likely uses; a chain names each that it tried."""
    text = str(error)
    tried = dict(re.findall(r"^\s*(\w+Credential): (.+)$", text, re.MULTILINE))
    attempt = tried.get("AzureCliCredential") or next(reversed(tried.values()), text)
    return first_line(attempt)


def first_line(text: str) -> str:
    """Return the first line of an error's text, bounded, without its full stop."""
    lines = text.strip().splitlines()
    return bounded(lines[0].strip().rstrip("."), _LONGEST) if lines else "no message"


def _account(endpoint: str) -> str:
    return bounded(endpoint.partition("//")[2] or endpoint, 200)
