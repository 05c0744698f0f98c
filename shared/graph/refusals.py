"""Extracts the message from Graph's errors, and knows the remedies of common ones."""

import json
import re
from collections.abc import Collection, Mapping
from string import ascii_letters
from typing import Final, NamedTuple

from shared.text import LONGEST, bounded

LICENSE: Final = "Check that the tenant has an active Intune license and is registered for Intune."
VERSION: Final = (
    "Check that GRAPH_ENDPOINT names the cloud of the tenant, and that its Graph has this resource in the API version "
    "that the path names."
)

REDIRECT: Final = (
    "Nothing was taken over. Check that GRAPH_ENDPOINT names Graph itself, and that no proxy or sign-in page of the "
    "network answers in its place."
)


class Refusal(NamedTuple):
    """A kind of refusal."""

    statuses: Collection[int]
    says: re.Pattern[str]
    """The pattern in code and message."""
    remedy: str | None
    """None if it depends on the roles of the access token."""
    source: str


def _says(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


REFUSALS: Final = (
    Refusal(
        range(400, 500),
        _says("not applicable to (the )?target tenant|not registered for intune"),
        LICENSE,
        "https://github.com/microsoftgraph/msgraph-beta-sdk-go/issues/198, and Microsoft365DSC's reading of it",
    ),
    Refusal(
        range(400, 500),
        _says(r"\blicen[sc](e|es|ed|ing)\b"),
        LICENSE,
        "https://github.com/microsoftgraph/microsoft-graph-docs-contrib/issues/7328",
    ),
    Refusal(
        range(400, 500),
        _says("resource not found for the segment"),
        VERSION,
        "https://github.com/microsoftgraph/microsoft-graph-docs/issues/21262",
    ),
    Refusal(
        range(400, 500),
        _says(r"\binvalid version\b"),
        VERSION,
        "https://github.com/microsoftgraph/msgraph-sample-blazor-clientside/issues/94",
    ),
    Refusal(range(300, 400), _says(""), REDIRECT, "https://www.rfc-editor.org/rfc/rfc9110#section-15.4"),
    Refusal((401,), _says(""), None, "https://github.com/sargeschultz11/Azure-Runbooks/issues/21"),
    Refusal((403,), _says(""), None, "https://learn.microsoft.com/graph/errors"),
)
"""The refusals, of which the first match counts."""


class Explanation(NamedTuple):
    """The content of an error; each part is bounded."""

    code: str | None = None
    message: str | None = None
    """The innermost sentence."""
    request_id: str | None = None


def refusal(status: int, said: Explanation) -> Refusal | None:
    """Return the kind of refusal, if it is known."""
    text = f"{said.code}: {said.message}"
    return next((one for one in REFUSALS if status in one.statuses and one.says.search(text)), None)


_LONGEST_BODY: Final = 64 * 1024
"""The bytes of a body that are decoded; Graph's errors have fewer than 4,000."""
_LONGEST_CODE: Final = 100
_MOST_LEVELS: Final = 50

_FIRST_KEYS: Final = (
    *("message", "errormessage", "error_description", "description"),
    *("detail", "details", "error", "value"),
)
"""The properties that are searched for a sentence first, in lower case; then every other, except dumps of headers."""

_MESSAGE: Final = re.compile(r'"message"\s*:\s*"((?:[^"\\]|\\.)*+)', re.IGNORECASE | re.DOTALL)
_JSON: Final = re.compile(r'"?[{\[]\s*\\*["{\[]')
"""The beginning of JSON."""
_HEADERS: Final = re.compile(r'headers?["\s]*[:=]["\s]*[{\[]', re.IGNORECASE)
"""The beginning of a dump of headers, after the rest of its name."""
_MARKUP: Final = re.compile("<[^<>]*>")
_HALF_ESCAPE: Final = re.compile(r"\\u[0-9a-f]{0,3}$", re.IGNORECASE)
_CODE: Final = re.compile(r'"code"\s*:\s*"([^"\\]+)', re.IGNORECASE)
_SUPPORT_ID: Final = re.compile(
    r"\b((?:operation|activity)[ _-]?id)\b.{0,40}?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})",
    re.IGNORECASE | re.DOTALL,
)


def explanation(body: bytes) -> Explanation:
    """Return the content of an error's body; nothing if it is not JSON.

    Intune's services send JSON in place of a sentence. Its `Message` can be JSON again, and each can be cut off:
    https://github.com/AzureAD/microsoft-authentication-library-for-js/issues/7007,
    https://github.com/Microsoft365DSC/Microsoft365DSC/issues/6669.
    """
    text = body[:_LONGEST_BODY].decode("utf-8-sig", "replace").strip()
    if not text.startswith(("{", "[")):
        return Explanation()
    whole = _json(text)
    if whole is None:  # cut off
        named = _CODE.search(text)
        return Explanation(bounded(named[1], _LONGEST_CODE) if named else None, _sentence(text))
    whole = whole[0] if isinstance(whole, list) and whole else whole
    error = _property(whole, "error") or _property(whole, "odata.error")
    error = error if isinstance(error, Mapping) else whole
    code, inner = _property(error, "code"), _property(error, "innererror")
    message = _text(_property(error, "message")) or _text(_property(inner, "message")) or _text(_rest(error))
    return Explanation(
        bounded(str(code), _LONGEST_CODE) if isinstance(code, str | int) and str(code).strip() else None,
        _sentence(message) if message else None,
        _request_id(inner),
    )


def _rest(error: object) -> object:
    """Return an error without its code, and without what is for support."""
    if not isinstance(error, Mapping):
        return error
    return {name: value for name, value in error.items() if name.casefold() not in {"code", "innererror"}}


def _request_id(inner: object) -> str | None:
    found = _property(inner, "request-id")
    return bounded(found, _LONGEST_CODE) if isinstance(found, str) and found else None


def _sentence(message: str) -> str | None:
    """Return the innermost sentence of a message in one line, with the IDs that Microsoft's support requests."""
    text = message
    for _ in range(_MOST_LEVELS):
        inner = _inside(text)
        if inner is None or len(inner) >= len(text):
            break
        text = inner
    text = " ".join(_plain(text).split())
    ids = {one[2]: f"{one[1]} {one[2]}" for one in _SUPPORT_ID.finditer(message.replace("\\", ""))}
    kept = bounded(text)
    lost = "; ".join(named for number, named in ids.items() if number not in kept)
    suffix = f" ({bounded(lost, LONGEST // 2)})" if lost else ""
    return bounded(text, LONGEST - len(suffix)) + suffix or None


def _plain(text: str) -> str:
    """Return a message without markup, and without JSON that is cut off or has no text."""
    if text.lstrip().lower().startswith(("<!doctype", "<html", "<?xml")):
        text = _MARKUP.sub(" ", text)
    begins = _JSON.search(text)
    at = 0 if text.lstrip().startswith(("{", "[", '"')) else begins.start() if begins else len(text)
    if at == 0 and _json(text) is not None:
        return ""
    return text[:at] + re.sub(r'[\s{}\[\]"\\,:]+', " ", text[at:])


def _inside(text: str) -> str | None:
    """Return the message within a message, if it is JSON or a part of some."""
    value = _json(text.strip()) if text.lstrip().startswith(("{", "[", '"')) else None
    if value is not None:
        return _text(value)
    found = _MESSAGE.search(text)
    if found is None:
        return _among_words(text)
    encoded = found[1].removesuffix(cut[0]) if (cut := _HALF_ESCAPE.search(found[1][-5:])) else found[1]
    unescaped = _json(f'"{encoded.rstrip("\\")}"')
    return unescaped if isinstance(unescaped, str) else encoded.replace("\\", "")


def _among_words(text: str) -> str | None:
    """Return a message with the text of its JSON in place of that, or without its dump of headers; None if neither."""
    if dump := _HEADERS.search(text):
        return text[: dump.start()].rstrip(ascii_letters).rstrip(' ,;"({[-')
    begins = _JSON.search(text)
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(text, begins.start()) if begins else (None, 0)
    except (ValueError, RecursionError):
        return None
    return f"{text[: begins.start()]}{_text(value) or ''}{text[end:]}" if begins else None


def _text(value: object, levels: int = _MOST_LEVELS) -> str | None:
    """Return the first text in decoded JSON that is not blank, that of `message` before any other."""
    if isinstance(value, str):
        return value if value.strip() else None
    parts: list[object] = value if isinstance(value, list) else []
    if isinstance(value, Mapping):
        parts = [value[name] for name in sorted(value, key=_place) if "header" not in name.casefold()]
    return next((text for part in parts if levels and (text := _text(part, levels - 1))), None)


def _place(name: str) -> int:
    key = name.casefold()
    return _FIRST_KEYS.index(key) if key in _FIRST_KEYS else len(_FIRST_KEYS)


def _property(value: object, name: str) -> object:
    """Return a property by its name in any case, if there is one."""
    if not isinstance(value, Mapping):
        return None
    return next((part for key, part in value.items() if key.casefold() == name), None)


def _json(text: str) -> object:
    """Return decoded JSON, with any control characters; None if it is not JSON, or cut off."""
    try:
        value: object = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    return value
