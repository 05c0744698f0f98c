"""Calls Azure with the Azure CLI and its sign-in; needs any Python from 3.9 and only the standard library."""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import subprocess
import time
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

WAIT_SECONDS = 3.0
WEB_VERSION = "2023-12-01"
"""The oldest version of Microsoft.Web's API that shows an app's plan; clouds lag behind (Azure/azure-cli 31943)."""

_TRIES = 5
_REQUEST_SECONDS = 240.0


class AzError(Exception):
    """The error that az prints; empty if az is missing."""

    @property
    def is_missing(self) -> bool:
        """Whether the Azure CLI is not installed."""
        return not str(self)

    @property
    def is_refusal(self) -> bool:
        """Whether the caller lacks a role, so another attempt would fail, too."""
        return bool(re.search("AuthorizationFailed|required permissions|not authorized to perform", str(self)))


class AnswerError(Exception):
    """An answer with an HTTP status that is not a success."""

    def __init__(self, host: str, error: HTTPError) -> None:
        """Read the server's explanation."""
        self.host, self.status, self.reason = host, error.code, str(error.reason)
        self.explanation = printable(error.read(4096).decode("utf-8", "replace")) or printable(self.reason)
        super().__init__(f"{host} answers HTTP {self.status}: {self.explanation}")


class UnreachableError(Exception):
    """A server did not answer; the message gives the reason."""


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow no redirect, so that the token is only sent to the requested host."""


def az(*arguments: str) -> Any:  # noqa: ANN401 (JSON)
    """Return az's answer.

    Raises:
        AzError: if az is missing or fails.

    """
    program = shutil.which("az")  # on Windows az.cmd, which needs its full path
    if program is None:
        raise AzError
    command = [program, *arguments, "--only-show-errors", "--output", "json"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode:
        raise AzError(_complaint(done.stderr) or f"az ended with {done.returncode}")
    return json.loads(done.stdout or "null")


def printable(text: str) -> str:
    """Return the text on one line, without control characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _complaint(stderr: str) -> str:
    lines = stderr.partition("Traceback")[0].splitlines()
    kept = (line.replace("ERROR: ", "", 1) for line in lines if not line.startswith(("Code: ", "Message: ")))
    return printable(" ".join(kept))


class Azure:
    """Sends requests with az's sign-in, until a deadline.

    Attributes:
        manager: the address of Azure Resource Manager in az's cloud.
        subscription: the subscription's ID.

    """

    def __init__(self, subscription: str | None, minutes: float) -> None:
        """Sign in.

        Raises:
            AzError: if az is missing or not signed in.

        """
        self._of_subscription = ("--subscription", subscription) if subscription else ()
        self._sign_in()
        self.manager = str(az("cloud", "show")["endpoints"]["resourceManager"]).rstrip("/")
        tls = ssl.create_default_context()
        if bundle := os.environ.get("REQUESTS_CA_BUNDLE"):  # where az finds the certificate of a proxy
            tls.load_verify_locations(bundle)
        self._open = build_opener(_NoRedirects, HTTPSHandler(context=tls)).open
        self._deadline = time.monotonic() + minutes * 60

    def _sign_in(self) -> None:
        token = az("account", "get-access-token", "--resource-type", "arm", *self._of_subscription)
        self.subscription, self._token = str(token["subscription"]), str(token["accessToken"])
        self._renew_at = float(token.get("expires_on") or time.time() + 300) - 60

    def wait(self, seconds: float = WAIT_SECONDS) -> bool:
        """Wait and return True, or return False at once if the deadline is earlier."""
        if time.monotonic() + seconds > self._deadline:
            return False
        time.sleep(seconds)
        return True

    def get(self, url: str) -> dict[str, Any]:
        """Return the JSON object at an address; an empty one for any other JSON.

        Raises:
            AnswerError: if the server answers with an error.
            UnreachableError: if no server answers, or the answer is not JSON.

        """
        value = self.read(url)
        return value if isinstance(value, dict) else {}

    def read(self, url: str) -> Any:  # noqa: ANN401 (JSON)
        """Return the JSON at an address; raise the errors of `get`."""
        body = self.send("GET", url)[1]
        try:
            return json.loads(body or b"null")
        except ValueError:
            raise UnreachableError(f"{urlsplit(url).netloc} does not answer in JSON, like a proxy's page") from None

    def send(self, method: str, url: str, body: bytes | None = None) -> tuple[dict[str, str], bytes]:
        """Return an answer's headers, with names in lower case, and its body.

        A busy or unreachable server is tried again; a POST that it may have carried out is not repeated.

        Raises:
            AnswerError: if the server answers with an error.
            UnreachableError: if it does not answer.

        """
        for left in reversed(range(_TRIES)):
            try:
                return self._once(method, url, body)
            except HTTPError as error:
                again = error.code in {429, 503} or (method == "GET" and error.code >= 500)
                failure: Exception = AnswerError(urlsplit(url).netloc, error)
                pause = error.headers.get("Retry-After", "")
                seconds = float(pause) if pause.isdecimal() else WAIT_SECONDS
            except (HTTPException, OSError) as error:
                reason = getattr(error, "reason", error)
                # urllib wraps an error that occurs before the request is sent completely.
                again = method == "GET" or (isinstance(error, URLError) and not isinstance(reason, ssl.SSLError))
                failure, seconds = UnreachableError(_unreachable(urlsplit(url).netloc, reason)), WAIT_SECONDS
            if not (again and left and self.wait(seconds)):
                raise failure
        raise AssertionError  # the last attempt returns or raises

    def _once(self, method: str, url: str, body: bytes | None) -> tuple[dict[str, str], bytes]:
        if time.time() > self._renew_at:
            self._sign_in()
        request = Request(url, body, {"Content-Type": "application/zip"} if body else {}, method=method)  # noqa: S310
        request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        with self._open(request, timeout=_REQUEST_SECONDS) as answer:
            return {name.lower(): value for name, value in answer.headers.items()}, answer.read()


def _unreachable(host: str, reason: object) -> str:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return (
            f"the certificate of {host} is not trusted: {reason.verify_message}. Behind a proxy that decrypts traffic, "
            "name the file with the proxy's certificate in the environment variable REQUESTS_CA_BUNDLE"
        )
    return f"{host} does not answer: {reason}. Check the network, a proxy (HTTPS_PROXY) and private endpoints"
