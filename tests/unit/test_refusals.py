"""What Graph's errors say, in whatever shape, and which of them are known."""

import json
import time

import pytest

from shared.graph.refusals import LICENSE, REDIRECT, REFUSALS, VERSION, Explanation, explanation, refusal
from shared.text import LONGEST

ID = "ce80e7e8-8a96-4c03-898c-d85f9cdf805a"


def body(value):
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def inside(message, key="Message"):
    return json.dumps({key: message, "HttpHeaders": json.dumps({"WWW-Authenticate": "Bearer"})})


def nested(levels, wrap):
    message = "Denied."
    for _ in range(levels):
        message = wrap(message)
    return {"error": {"code": "X", "message": message}}


WHOLE = json.dumps({"error": {"code": "X", "message": inside(inside("Access is denied."))}})

SHAPES = {
    "Graph's own": (
        {"error": {"code": "X", "message": "Denied.", "innerError": {"request-id": "r"}}},
        ("X", "Denied.", "r"),
    ),
    "another case": (
        {"Error": {"CODE": "X", "Message": "Denied.", "InnerError": {"Request-Id": "r"}}},
        ("X", "Denied.", "r"),
    ),
    "a message that is an object": (
        {"error": {"code": "X", "message": {"lang": "en", "message": "Denied."}}},
        ("X", "Denied.", None),
    ),
    "a message that is a list": (
        {"error": {"code": "X", "message": [{"Message": "Denied."}, "x"]}},
        ("X", "Denied.", None),
    ),
    "a list in JSON": ({"error": {"code": "X", "message": json.dumps([inside("Denied.")])}}, ("X", "Denied.", None)),
    "JSON after words": ({"error": {"code": "X", "message": f"Failed: {inside('Denied.')}"}}, ("X", "Denied.", None)),
    "a message inside": ({"error": {"code": "X", "innerError": {"message": "Denied."}}}, ("X", "Denied.", None)),
    "no sentence": ({"error": {"code": "X", "message": "{}"}}, ("X", None, None)),
    "a number in words": ({"error": {"code": "X", "message": "404"}}, ("X", "404", None)),
    "blank": ({"error": {"code": " ", "message": " "}}, (None, None, None)),
    "headers alone": ({"error": {"code": "X", "message": '{"HttpHeaders":"{\\"a\\":1}"}'}}, ("X", None, None)),
    "OAuth's": ({"error": "invalid_client", "error_description": "Denied."}, (None, "Denied.", None)),
    "no error at all": ({"Message": "Denied."}, (None, "Denied.", None)),
    "control characters": (b'{"error":{"code":"X","message":"De\nnied\t."}}', ("X", "De nied .", None)),
    "half a character": (b'{"error":{"code":"X","message":"\\ud800"}}', ("X", "\ufffd", None)),
    "HTML": (b"<html>", (None, None, None)),
    "nothing": (b"", (None, None, None)),
    "ten levels": (nested(10, inside), ("X", "Denied.", None)),
    "ten levels in lower case": (nested(10, lambda text: inside(text, "message")), ("X", "Denied.", None)),
    "ten levels of lists": (nested(10, lambda text: json.dumps([text])), ("X", "Denied.", None)),
    "five levels, each after words": (nested(5, lambda text: f"Failed: {inside(text)}"), ("X", "Denied.", None)),
    "JSON without a message after words": (
        {"error": {"code": "X", "message": 'Failed: {"Err":["Denied."]} (1)'}},
        ("X", "Failed: Denied. (1)", None),
    ),
    "JSON after words, cut off": ({"error": {"message": 'Failed: {"Err":"Den'}}, (None, "Failed: Err Den", None)),
    "escapes of Unicode": (
        b'{"error":{"code":"X","message":"{\\u000d\\u0022Message\\u0022:\\u0022Refus\\u00e9.\\u0022}"}}',
        ("X", "Refusé.", None),
    ),
    "an escape of Unicode, cut off": (
        b'{"error":{"code":"X","message":"Acc\\u00e8s refus\\u00',
        ("X", "Accès refus", None),
    ),
    "half a pair of escapes, cut off": (b'{"error":{"message":"Denied \\ud83d\\ude', (None, "Denied \ufffd", None)),
    "a dump of headers": (
        {"error": {"code": "X", "message": 'Denied. ResponseHeaders: {"WWW-Authenticate":"Bearer x"}'}},
        ("X", "Denied.", None),
    ),
    "a dump of headers in JSON after words": (
        {"error": {"code": "X", "message": 'Denied. {"HttpHeaders":{"a":"b"}}'}},
        ("X", "Denied.", None),
    ),
    "headers in a sentence": (
        {"error": {"message": "Missing headers: If-Match"}},
        (None, "Missing headers: If-Match", None),
    ),
    "braces in a sentence": ({"error": {"message": "Bad filter {id eq 'x'}"}}, (None, "Bad filter {id eq 'x'}", None)),
    "HTML in the message": (
        {"error": {"code": "X", "message": "<html><title>403</title><body>Forbidden</body></html>"}},
        ("X", "403 Forbidden", None),
    ),
    "a number for a code": ({"error": {"code": 403, "message": "Denied."}}, ("403", "Denied.", None)),
    "a list of errors": ([{"error": {"code": "X", "message": "Denied."}}], ("X", "Denied.", None)),
    "OData's of old": (
        {"odata.error": {"code": "X", "message": {"lang": "en", "value": "Denied."}}},
        ("X", "Denied.", None),
    ),
    "a byte order mark": (b'\xef\xbb\xbf{"error":{"code":"X","message":"Denied."}}', ("X", "Denied.", None)),
    "a request id alone": (
        {"error": {"code": "", "message": "", "innerError": {"request-id": "r"}}},
        (None, None, "r"),
    ),
    "a nest": (b"[" * 30_000 + b"]" * 30_000, (None, None, None)),
    "a nest that decodes": (b'{"error":{"code":"X","message":%b"x"%b}}' % (b"[" * 900, b"]" * 900), ("X", None, None)),
}


@pytest.mark.parametrize(("value", "found"), SHAPES.values(), ids=SHAPES)
def test_an_error_is_understood_in_whatever_shape(value, found):
    assert explanation(body(value)) == Explanation(*found)


@pytest.mark.parametrize("part", ['{"a":1}', "headers: ", '"message":', '{"message":"', "[{", "\\", "<", 'x"[', "[\\"])
def test_an_error_takes_little_time_whatever_it_repeats(part):
    begun = time.process_time()
    for start in ("", "<html>", "Failed: "):
        explanation(body({"error": {"message": start + part * (60_000 // len(part))}}))
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("length", range(WHOLE.index("Access") + 6, len(WHOLE), 7))
def test_of_an_error_that_is_cut_off_the_innermost_sentence_is_reported_as_far_as_it_goes(length):
    found = explanation(WHOLE[:length].encode())
    assert found.code == "X"
    assert found.message
    assert "Access is denied.".startswith(found.message)


@pytest.mark.parametrize("message", ["x" * 600 + f" Operation ID: {ID}", inside("x" * 9_000 + f" - Activity ID: {ID}")])
def test_the_id_for_support_is_kept_however_long_the_sentence(message):
    found = explanation(body({"error": {"code": "X", "message": message}})).message
    assert ID in found
    assert len(found) <= LONGEST


def test_the_id_for_support_is_kept_beside_the_sentence():
    message = json.dumps({"Message": "Denied.", "OperationId": ID})
    assert explanation(body({"error": {"message": message}})).message == f"Denied. (OperationId {ID})"


@pytest.mark.parametrize(
    ("status", "message", "remedy"),
    [
        (400, "Request not applicable to target tenant.", LICENSE),
        (403, "REQUEST NOT APPLICABLE TO TARGET TENANT", LICENSE),
        (400, "Tenant does not have an Intune license.", LICENSE),
        (400, "Resource not found for the segment 'x'.", VERSION),
        (404, "Resource not found for the segment 'x'.", VERSION),
        (400, "Invalid version.", VERSION),
        (300, None, REDIRECT),
        (302, "No license.", REDIRECT),
        (304, None, REDIRECT),
        (308, None, REDIRECT),
        (399, None, REDIRECT),
        (401, "Denied.", None),
        (403, None, None),
    ],
)
def test_a_refusal_that_is_known_has_its_remedy(status, message, remedy):
    found = refusal(status, Explanation("BadRequest", message))
    assert found is not None
    assert found.remedy == remedy


@pytest.mark.parametrize(("status", "message"), [(400, "x"), (404, "Not found."), (500, "No license."), (206, None)])
def test_any_other_error_is_none_of_them(status, message):
    assert refusal(status, Explanation("BadRequest", message)) is None


def test_every_refusal_has_a_source():
    assert all(one.source.startswith("https://") for one in REFUSALS)
