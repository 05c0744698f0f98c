"""Requests a check after azd has deployed the code, and shows its result.

The timer starts the first check at minute 7 of the hour in any case. So a failure here doesn't fail the deployment: the
exit status is 0.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from az import WEB_VERSION, AzError, az, printable

_WAIT_SECONDS = 10
_ASK_TRIES = 12  # a host whose code was just deployed takes a while to start
_ROW_TRIES = 30
_NEWEST = "999999999999999"
_KEY_EPOCH_MS = 253_402_300_799_999  # row keys count milliseconds down from here
_HOUR = 3600
_MINUTE = 7 * 60

_OUTCOMES = {
    "succeeded": "The check succeeded: everything was read, stored and sent to the alert rules.",
    "degraded": "The check is degraded: something could not be read.",
}


class LeaveError(Exception):
    """There is no result of a check to show; the message gives the reason."""


class Runs:
    """Reads the table CheckRun with the caller's own sign-in."""

    def __init__(self, subscription: str, account: str) -> None:
        """Create the reader from the names of the app's storage account and its subscription."""
        self._options = ("--auth-mode", "login", "--subscription", subscription, "--account-name", account)
        self._month = time.strftime("%Y-%m", time.gmtime(time.time()))

    def newest_before(self, key: str) -> dict[str, Any] | None:
        """Return the newest row with a lower key: the table is sorted by month, and within a month newest first."""
        chosen = ("--filter", f"PartitionKey ge '{self._month}' and RowKey lt '{key}'", "--num-results", "1")
        answer = az("storage", "entity", "query", *self._options, "--table-name", "CheckRun", *chosen)
        return next(iter(answer["items"]), None)


def request(app_id: str) -> None:
    """Request a check from the host, which may still be starting.

    Raises:
        LeaveError: if it does not accept the request.

    """
    url = f"{app_id}/hostruntime/admin/functions/check_tokens?api-version={WEB_VERSION}"
    print("Asking the app for a check.", flush=True)
    for left in reversed(range(_ASK_TRIES)):
        try:
            # az accepts single quotes; on Windows, az is a batch file, which may change double ones.
            az("rest", "--method", "post", "--body", "{'input': ''}", "--url", url)
        except AzError as error:
            if error.is_refusal or not left:
                raise LeaveError(f"Azure did not accept the request. Azure says: {error}") from None
            time.sleep(_WAIT_SECONDS)
        else:
            return


def result(runs: Runs, last_key: str, app_id: str) -> dict[str, Any]:
    """Wait for the check's row and return it.

    Raises:
        LeaveError: if no row appears in time.

    """
    print(f"Waiting up to {_ROW_TRIES * _WAIT_SECONDS} seconds for its row in the table CheckRun.", flush=True)
    error_text = ""
    for left in reversed(range(_ROW_TRIES)):
        try:
            if row := runs.newest_before(last_key):
                return row
        except AzError as error:
            error_text = f" Azure says: {error}"
        if left:
            time.sleep(_WAIT_SECONDS)
    app = app_id.rpartition("/")[2]
    raise LeaveError(f"No row of it appeared.{error_text} The log is in Application Insights of {app}, table traces.")


def first_check(app_id: str, tables: str, workbook: str) -> dict[str, Any]:
    """Request a check and return its row.

    Raises:
        LeaveError: if there is none.

    """
    if not app_id or not tables:
        raise LeaveError("FUNCTION_APP_ID or TABLES_ENDPOINT is not set, so no check is requested: azd sets them.")
    subscription = app_id.split("/")[2]
    account = str(urlsplit(tables).hostname).partition(".")[0]
    try:
        az("account", "show", "--subscription", subscription)
    except AzError as error:
        missing = f"az is not signed in to the subscription {subscription}, so no check is requested: run 'az login'."
        raise LeaveError(
            "The Azure CLI, az, is missing, so no check is requested." if error.is_missing else missing
        ) from None
    runs = Runs(subscription, account)
    may_read = True
    last_key = _NEWEST
    try:
        # Any row newer than this one is the answer, so the clocks need not agree.
        if row := runs.newest_before(last_key):
            last_key = row["RowKey"]
    except AzError as error:
        may_read = not error.is_refusal
        last_key = str(_KEY_EPOCH_MS - int(time.time() * 1000))
    request(app_id)
    if not may_read:
        raise LeaveError(
            "The app accepted the request. To see the result takes the role Storage Table Data Reader on the storage "
            f"account {account} (parameter readerGroupId). The workbook shows it in some minutes: {workbook}"
        )
    return result(runs, last_key, app_id)


def show(row: dict[str, Any]) -> None:
    """Print the result in a row of CheckRun."""
    if (outcome := row.get("Outcome")) in _OUTCOMES:
        print(_OUTCOMES[outcome])
    else:
        print("The check failed: not everything could be stored or sent to the alert rules.")
        for name in ("StoreError", "PublishError"):
            if error := row.get(name):
                print(printable(error))
        print("A role that this deployment assigned can take 30 minutes to work. The app tries twice more.")
    for name, read in json.loads(row.get("Connectors") or "{}").items():
        error = read.get("error")
        print(f"  {name}: " + (f"could not be read. {printable(error)}" if error else f"{read.get('tokens')} tokens"))
    levels = ("Healthy", "Info", "Warning", "Unknown", "Critical")
    print(f"Tokens: {row.get('Tokens')}; " + ", ".join(f"{level.lower()} {row.get(level)}" for level in levels))


def main() -> None:
    """Request a check and show its result, or why there is none and when the next check runs."""
    workbook = os.environ.get("WORKBOOK_URL", "")
    try:
        show(first_check(os.environ.get("FUNCTION_APP_ID", ""), os.environ.get("TABLES_ENDPOINT", ""), workbook))
        print(f"The workbook shows more: {workbook}")
    except LeaveError as reason:
        now = int(time.time())
        due = now - (now - _MINUTE) % _HOUR + _HOUR
        print(reason)
        print(f"The next check runs by itself at {time.strftime('%H:%M', time.gmtime(due))} UTC, and then every hour.")


if __name__ == "__main__":
    main()
