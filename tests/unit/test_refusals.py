"""What Graph's errors say, in whatever shape, and which of them are known."""

import json

import pytest

from shared.graph.refusals import LICENSE, REFUSALS, VERSION, Explanation, explanation, refusal
from shared.text import LONGEST

ID = "ce80e7e8-8a96-4c03-898c-d85f9cdf805a"


def body(value):
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def inside(message):
    return json.dumps({"Message": message, "HttpHeaders": json.dumps({"WWW-Authenticate": "Bearer"})})


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
    "a nest": (b"[" * 30_000 + b"]" * 30_000, (None, None, None)),
    "a nest that decodes": (b'{"error":{"code":"X","message":%b"x"%b}}' % (b"[" * 900, b"]" * 900), ("X", None, None)),
}


@pytest.mark.parametrize(("value", "found"), SHAPES.values(), ids=SHAPES)
def test_an_error_is_understood_in_whatever_shape(value, found):
    assert explanation(body(value)) == Explanation(*found)


@pytest.mark.parametrize("length", range(WHOLE.index("Access") + 6, len(WHOLE), 7))
def test_of_an_error_that_is_cut_off_the_innermost_sentence_is_told_as_far_as_it_goes(length):
    found = explanation(WHOLE[:length].encode())
    assert found.code == "X"
    assert found.message
    assert "Access is denied.".startswith(found.message)


@pytest.mark.parametrize("message", ["x" * 600 + f" Operation ID: {ID}", inside("x" * 9_000 + f" - Activity ID: {ID}")])
def test_the_id_for_support_is_kept_however_long_the_sentence(message):
    found = explanation(body({"error": {"code": "X", "message": message}})).message
    assert ID in found
    assert len(found) <= LONGEST


def test_the_id_for_support_is_kept_where_it_stands_beside_the_sentence():
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
        (401, "Denied.", None),
        (403, None, None),
    ],
)
def test_a_refusal_that_is_known_has_its_remedy(status, message, remedy):
    found = refusal(status, Explanation("BadRequest", message))
    assert found is not None
    assert found.remedy == remedy


@pytest.mark.parametrize(("status", "message"), [(400, "x"), (404, "Not found."), (500, "No license."), (302, None)])
def test_any_other_error_is_none_of_them(status, message):
    assert refusal(status, Explanation("BadRequest", message)) is None


def test_every_refusal_has_a_source():
    assert all(one.source.startswith("https://") for one in REFUSALS)
