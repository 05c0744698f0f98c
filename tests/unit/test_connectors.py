"""What Graph sends, as a `Token`: whole payloads, and everything that can stand where a value should."""

import json
from datetime import UTC, datetime
from itertools import islice

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.graph.connectors import SOURCES, read
from shared.graph.pages import GraphError, encoded
from shared.graph.wire import Item
from shared.model.tokens import PUSH_CERTIFICATE_ID, PUSH_CERTIFICATE_NAME, Connector, Token
from shared.text import LONGEST
from tests.unit.builders import WIRE, decoded
from tests.unit.terms import ADE, APNS, NOW, VPP

EXPIRY = {ADE: "tokenExpirationDateTime", APNS: "expirationDateTime", VPP: "expirationDateTime"}


def unreadable(token):
    return {value.property: value.raw for value in token.unreadable}


def wire(connector, **changed):
    return {**WIRE[connector], **changed}


def without(connector, name):
    return {key: value for key, value in WIRE[connector].items() if key != name}


# --- complete payloads


COMPLETE = [
    Token(
        connector=ADE,
        id="ade00000-0000-4000-8000-000000000001",
        name="Contoso iPads",
        type="dep",
        apple_id="mdm@contoso.com",
        expires_on=datetime(2027, 6, 11, 6, 7, tzinfo=UTC),
        last_successful_sync=datetime(2026, 11, 23, 6, 7, 0, 59098, tzinfo=UTC),
        last_modified=datetime(2026, 8, 15, 6, 7, 0, 123456, tzinfo=UTC),
        sync_error_code=0,
        synced_devices=40,
    ),
    Token(
        connector=APNS,
        id=PUSH_CERTIFICATE_ID,
        name=PUSH_CERTIFICATE_NAME,
        type="apns",
        apple_id="push@contoso.com",
        expires_on=datetime(2027, 6, 11, 6, 7, tzinfo=UTC),
        topic="com.apple.mgmt.External.1",
        serial_number="0A1B2C",
    ),
    Token(
        connector=VPP,
        id="99900000-0000-4000-8000-000000000001",
        name="Contoso apps",
        type="business",
        apple_id="apps@contoso.com",
        expires_on=datetime(2027, 6, 11, 6, 7, tzinfo=UTC),
        last_successful_sync=datetime(2026, 11, 23, 5, 7, tzinfo=UTC),
        last_sync=datetime(2026, 11, 23, 5, 7, tzinfo=UTC),
        last_modified=datetime(2026, 11, 23, 5, 8, tzinfo=UTC),
        sync_status="completed",
        state="valid",
    ),
]


@pytest.mark.parametrize("token", COMPLETE, ids=lambda token: token.connector)
def test_a_payload_is_decoded_completely_and_more_properties_are_ignored(token):
    connector = token.connector
    assert decoded(connector, WIRE[connector]) == token
    assert decoded(connector, wire(connector, token="secret", more={"a": [1]})) == token


# --- what is asked for


@pytest.mark.parametrize("connector", Connector)
def test_a_request_selects_each_property_that_is_read_and_no_secret(connector):
    selected = SOURCES[connector].address.partition("?$select=")[2].split(",")
    assert not {"token", "certificate"} & set(selected)
    assert sorted(selected) == sorted(WIRE[connector])


def test_each_connector_is_asked_for_where_graph_keeps_it():
    assert {connector: (source.path, source.is_list) for connector, source in SOURCES.items()} == {
        ADE: ("/beta/deviceManagement/depOnboardingSettings", True),
        APNS: ("/v1.0/deviceManagement/applePushNotificationCertificate", False),
        VPP: ("/beta/deviceAppManagement/vppTokens", True),
    }


# --- null, missing, of another type


NULL_IS_FINE = {
    ADE: {"tokenName", "tokenType", "appleIdentifier", "lastModifiedDateTime", "lastSuccessfulSyncDateTime"},
    APNS: {"appleIdentifier", "certificateSerialNumber", "certificateUploadStatus", "certificateUploadFailureReason"},
    VPP: {
        "displayName",
        "locationName",
        "organizationName",
        "vppTokenAccountType",
        "appleId",
        "lastModifiedDateTime",
        "lastSyncDateTime",
    },
}
MISSING_IS_FINE = {
    ADE: {"tokenName", "tokenType", "appleIdentifier"},
    APNS: NULL_IS_FINE[APNS],
    VPP: NULL_IS_FINE[VPP] - {"lastSyncDateTime"},
}
PROPERTIES = [(connector, name) for connector in Connector for name in WIRE[connector] if name != "id"]


@pytest.mark.parametrize(("connector", "name"), PROPERTIES)
def test_a_null_or_missing_property_is_unreadable_where_the_judgement_needs_a_value(connector, name):
    null, missing = decoded(connector, wire(connector, **{name: None})), decoded(connector, without(connector, name))
    assert unreadable(null) == ({} if name in NULL_IS_FINE[connector] else {name: "null"})
    assert unreadable(missing) == ({} if name in MISSING_IS_FINE[connector] else {name: "missing"})


@pytest.mark.parametrize("value", [[], {}, {"a": 1}, 1.5, False, -7.0])
@pytest.mark.parametrize(("connector", "name"), PROPERTIES)
def test_a_value_of_another_type_is_unreadable_whatever_the_property_and_loses_nothing_else(connector, name, value):
    token = decoded(connector, wire(connector, **{name: value}))
    (one,) = token.unreadable
    assert (one.property, one.raw) == (name, json.dumps(value))
    intact = decoded(connector, WIRE[connector])
    told = {field for field in Token.__struct_fields__ if getattr(token, field) != getattr(intact, field)}
    # Without the last sync or its status, nothing is known about the last success either.
    syncs = {"last_successful_sync"} if name in {"lastSyncStatus", "lastSyncDateTime"} else set()
    assert told <= {one.field, "unreadable"} | syncs


# --- instants


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-23T06:07:00Z", NOW),
        ("2026-11-23t06:07:00z", NOW),
        ("2026-11-23T06:07:00+00:00", NOW),
        ("2026-11-22T22:07:00-08:00", NOW),
        ("2026-11-23T11:52:00+05:45", NOW),
        ("2026-11-23T06:07:00.0000000Z", NOW),
        ("2026-11-23T06:07:00.1Z", NOW.replace(microsecond=100_000)),
        ("2026-11-23T06:07:00.1234567Z", NOW.replace(microsecond=123_456)),
        ("2016-12-31T23:59:54.0590989-08:00", datetime(2017, 1, 1, 7, 59, 54, 59098, tzinfo=UTC)),
        ("2024-02-29T00:00:00Z", datetime(2024, 2, 29, tzinfo=UTC)),
        ("9999-12-31T23:59:59.9999999Z", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        ("9999-12-31T23:59:59.9999999-08:00", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        ("1600-12-31T00:00:00Z", datetime(1600, 12, 31, tzinfo=UTC)),
    ],
)
def test_an_instant_is_read_with_fractions_and_offsets_to_the_end_of_the_calendar(text, instant):
    for connector in Connector:
        token = decoded(connector, wire(connector, **{EXPIRY[connector]: text}))
        assert (token.expires_on, token.unreadable) == (instant, ())
        assert token.expires_on is not None
        assert token.expires_on.tzinfo is UTC


YEAR_ONE = [
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00.0000000+14:00",
    "0001-01-01T00:00:00-08:00",
    "0001-01-01T00:00:00+00:00",
]


@pytest.mark.parametrize("text", YEAR_ONE)
def test_year_1_is_never_for_a_sync_and_unreadable_for_an_expiry(text):
    ade_token = decoded(ADE, wire(ADE, lastSuccessfulSyncDateTime=text, lastModifiedDateTime=text))
    assert (ade_token.last_successful_sync, ade_token.last_modified, ade_token.unreadable) == (None, None, ())
    assert decoded(VPP, wire(VPP, lastSyncDateTime=text)).last_successful_sync is None
    for connector in Connector:
        token = decoded(connector, wire(connector, **{EXPIRY[connector]: text}))
        assert (token.expires_on, unreadable(token)) == (None, {EXPIRY[connector]: f'"{text}"'})


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "2026-11-23",
        "2026-11-23T06:07:00",
        "2026-11-23 06:07:00Z",
        "2026-11-23T06:07:00Z ",
        "2026-02-29T00:00:00Z",
        "2016-12-31T23:59:60Z",
        "2026-11-23T24:00:00Z",
        "2026-11-23T06:07:00,5Z",
        "2026-11-23T06:07:00+0100",
        "2026-11-23T06:07:00\u221208:00",
        "2026-W48-1T06:07:00Z",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "\uff12\uff10\uff12\uff16-11-23T06:07:00Z",
        "/Date(1764000000000)/",
        1_764_000_000,
        True,
        {},
    ],
)
def test_what_is_no_instant_is_unreadable_and_not_never(value):
    for connector, name in (*EXPIRY.items(), (ADE, "lastSuccessfulSyncDateTime"), (VPP, "lastSyncDateTime")):
        assert set(unreadable(decoded(connector, wire(connector, **{name: value})))) == {name}


# --- numbers


@pytest.mark.parametrize("number", [-(2**31), -1, 0, 1, 2**31 - 1])
def test_a_32_bit_error_code_is_read(number):
    assert decoded(ADE, wire(ADE, lastSyncErrorCode=number)).sync_error_code == number


@pytest.mark.parametrize(
    "raw",
    ["2147483648", "-2147483649", "1" + "0" * 30, "9" * 400, "1e400", "3.0", "3e0", "true", "false", '"3"', "[3]"],
)
def test_what_is_no_32_bit_integer_is_unreadable_and_shown(raw):
    body = json.dumps(wire(ADE, lastSyncErrorCode="HERE")).replace('"HERE"', raw).encode()
    token = decoded(ADE, body)
    assert (token.sync_error_code, unreadable(token)) == (None, {"lastSyncErrorCode": raw})


# --- texts


HOSTILE = "a\x00b\r\nc\x1b[31m\u202eevil\u2066\x7f\x85"


def test_a_name_loses_what_controls_a_terminal_or_turns_the_writing():
    for connector, name in ((ADE, "tokenName"), (VPP, "displayName")):
        read_name = decoded(connector, wire(connector, **{name: HOSTILE})).name
        assert read_name == "a\ufffdb\ufffd\ufffdc\ufffd[31mevil\ufffd\ufffd"


TEXTS = [
    (ADE, "tokenName", "name"),
    (ADE, "tokenType", "type"),
    (ADE, "appleIdentifier", "apple_id"),
    (APNS, "appleIdentifier", "apple_id"),
    (APNS, "topicIdentifier", "topic"),
    (APNS, "certificateSerialNumber", "serial_number"),
    (APNS, "certificateUploadFailureReason", "upload_failure"),
    (VPP, "displayName", "name"),
    (VPP, "vppTokenAccountType", "type"),
    (VPP, "appleId", "apple_id"),
    (VPP, "lastSyncStatus", "sync_status"),
]


@pytest.mark.parametrize(("connector", "name", "field"), TEXTS)
def test_a_text_is_kept_up_to_512_characters_and_else_cut_with_a_mark(connector, name, field):
    long, kept = (
        getattr(decoded(connector, wire(connector, **{name: text})), field)
        for text in ("x" * 100_000, "\U0001f600" * LONGEST)
    )
    assert (len(long), long[-1], kept) == (LONGEST, "…", "\U0001f600" * LONGEST)


def test_what_could_not_be_read_is_shown_in_512_characters_and_without_control_characters():
    for raw in ("[" + "1," * 50_000 + "1]", '"\u202e' + "x" * 100_000 + '"'):
        body = json.dumps(wire(ADE, lastSyncErrorCode="HERE")).replace('"HERE"', raw).encode()
        shown = unreadable(decoded(ADE, body))["lastSyncErrorCode"]
        assert len(shown) == LONGEST
        assert "\u202e" not in shown


MALFORMED = {
    "bytes that are no UTF-8": b'"\xff\xfe"',
    "half a surrogate pair": b'"Contoso \\ud800"',
    "the other half": b'"\\udc00 Contoso"',
    "a surrogate pair the wrong way around": b'"\\udc00\\ud800"',
    "an unknown escape": b'"Contoso\\x"',
    "a cut-off escape": b'"\\u12"',
    "a line break": b'"Contoso\nLabs"',
    "a null byte": b'"\x00"',
    "no number": b"NaN",
    "a number with a zero before it": b"01",
    "a number that is out of range": b"1e400",
    "nothing": b"",
    "a comma too many": b'["x",]',
    "a malformed name of a property": b'{"\\ud800":1}',
    "a nest": b"[" * 5_000 + b"]" * 5_000,
    "a nest that no decoder can hold": b"[" * 50_000 + b"]" * 50_000,
    "objects without an end in sight": b'{"a":' * 3_000 + b"1" + b"}" * 3_000,
}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_value_loses_itself_and_neither_its_token_nor_another(raw):
    bad = json.dumps(wire(ADE, tokenName="HERE")).encode().replace(b'"HERE"', raw)
    body = b'{"value": [%b, %b, %b]}' % (json.dumps(wire(ADE, id="a")).encode(), bad, json.dumps(wire(ADE)).encode())
    first, broken, last = (SOURCES[ADE].decode(Item(one, "GET /x")) for one in encoded(body, "GET /x").value)
    assert set(unreadable(broken)) == {"tokenName"}
    assert (broken.id, broken.expires_on, broken.name) == (WIRE[ADE]["id"], last.expires_on, "unnamed ade00000")
    assert (first.id, first.unreadable, last.unreadable) == ("a", (), ())


def test_the_last_value_of_a_repeated_property_counts():
    body = b'{"id":"x","lastSyncErrorCode":3,"lastSyncErrorCode":0,"id":"y"}'
    token = decoded(ADE, body)
    assert (token.id, token.sync_error_code) == ("y", 0)


@pytest.mark.parametrize(("connector", "name"), [(ADE, "appleIdentifier"), (ADE, "tokenType"), (VPP, "appleId")])
def test_an_empty_text_is_none_where_none_is_needed(connector, name):
    token = decoded(connector, wire(connector, **{name: ""}))
    assert token == decoded(connector, wire(connector, **{name: None}))
    assert token.unreadable == ()


# --- names


@pytest.mark.parametrize("empty", [None, ""])
def test_a_token_without_a_name_is_called_by_the_start_of_its_id(empty):
    assert decoded(ADE, wire(ADE, tokenName=empty)).name == "unnamed ade00000"
    names = {"displayName": empty, "locationName": empty, "organizationName": empty}
    assert decoded(VPP, wire(VPP, **names)).name == "unnamed 99900000"
    assert decoded(ADE, without(ADE, "tokenName")).name == "unnamed ade00000"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("Apps", "London", "Contoso"), "Apps"),
        ((None, "London", "Contoso"), "London"),
        (("", "", "Contoso"), "Contoso"),
        ((None, None, "Contoso"), "Contoso"),
    ],
)
def test_a_vpp_token_is_called_by_its_own_name_its_location_or_its_organisation(names, expected):
    told = dict(zip(("displayName", "locationName", "organizationName"), names, strict=True))
    assert decoded(VPP, wire(VPP, **told)).name == expected


# --- the upload of the push certificate

UPLOADS = [
    (None, None, None),
    ("None", "none", None),
    ("", " ", None),
    ("N/A", "null", None),
    ("-", "(None)", None),
    ("NoError", "No error.", None),
    ("Success", None, None),
    ("Completed", "None", None),
    ("Failed", None, "Failed"),
    ("Failed", "None", "Failed"),
    ("uploadError", "", "uploadError"),
    ("Unsuccessful", None, "Unsuccessful"),
    ("Not uploaded", None, "Not uploaded"),
    ("Failed", "The certificate was revoked.", "The certificate was revoked."),
    (None, "The certificate was revoked.", "The certificate was revoked."),
]


@pytest.mark.parametrize(("status", "reason", "failure"), UPLOADS)
def test_status_and_reason_of_an_upload_are_read_together(status, reason, failure):
    upload = {"certificateUploadStatus": status, "certificateUploadFailureReason": reason}
    token = decoded(APNS, wire(APNS, **upload))
    assert (token.upload_failure, token.unreadable) == (failure, ())


@pytest.mark.parametrize(
    ("status", "reason"), [("Pending", None), ("Incomplete", None), ("Success", "The certificate was revoked.")]
)
def test_an_upload_status_that_nobody_knows_or_that_its_reason_contradicts_is_unreadable(status, reason):
    upload = {"certificateUploadStatus": status, "certificateUploadFailureReason": reason}
    token = decoded(APNS, wire(APNS, **upload))
    assert (token.upload_failure, set(unreadable(token))) == (None, {"certificateUploadStatus"})


# --- ids


@pytest.mark.parametrize("connector", Connector)
@pytest.mark.parametrize("value", [None, "", 5, True, ["x"], {"a": "x"}, "missing"])
def test_an_object_without_a_text_for_an_id_fails_its_connector(connector, value):
    broken = without(connector, "id") if value == "missing" else wire(connector, id=value)
    with pytest.raises(GraphError) as caught:
        decoded(connector, broken)
    assert (caught.value.asked, caught.value.reason) == (
        f"GET {SOURCES[connector].path}",
        "an object of the answer has no id",
    )


@pytest.mark.parametrize("body", [b"null", b"[]", b'"x"', b"5", b"", b"{", b"{}}", b"<html>"])
def test_an_item_that_is_no_object_fails_its_connector(body):
    with pytest.raises(GraphError):
        decoded(ADE, body)


def test_an_id_is_kept_as_it_is_however_odd_and_a_long_one_ends_in_its_hash():
    odd = "a/b\\c#d?e%f\x00\u202e"
    assert decoded(ADE, wire(ADE, id=odd)).id == odd
    assert decoded(ADE, wire(ADE, id="x" * LONGEST)).id == "x" * LONGEST
    long = decoded(ADE, wire(ADE, id="x" * 100_000)).id
    assert len(long) == LONGEST
    assert long.startswith("x" * 400)
    assert decoded(ADE, wire(ADE, id="x" * 100_000 + "y")).id != long


# --- anything at all


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.data(), st.sampled_from(Connector))
def test_whatever_is_in_a_property_the_others_are_read_and_nothing_is_raised(data, connector):
    names = [name for name in WIRE[connector] if name != "id"]
    body = wire(connector, **data.draw(st.dictionaries(st.sampled_from(names), VALUES)))
    token = decoded(connector, body)
    assert {one.property for one in token.unreadable} <= set(names)
    assert token.name
    assert all(len(one.raw) <= LONGEST for one in token.unreadable)


# --- a reading, from a Graph that answers from memory


class Pages:
    """Stands where `Graph` does."""

    def __init__(self, *pages, error=None):
        self._pages = pages
        self._error = error

    async def pages(self, path):  # noqa: ARG002
        for page in self._pages:
            yield [msgspec.Raw(json.dumps(item).encode()) for item in page]
        if self._error:
            raise self._error

    async def get(self, path):  # noqa: ARG002
        if self._error:
            raise self._error
        return json.dumps(self._pages[0][0]).encode()

    token = None
    by_person = False


async def test_many_pages_that_together_are_too_long_fail_however_small_each_is():
    pages = ([wire(ADE, id=f"{number}", tokenName="x" * 1024 * 1024)] for number in range(10_000))
    reading = await read(Pages(*islice(pages, 17)), ADE, 20)
    assert (reading.tokens, reading.failure and reading.failure.reason) == ((), "the list has more than 16 MiB")


async def test_an_id_that_is_seen_twice_counts_once_and_the_last_wins():
    graph = Pages([wire(ADE, tokenName="first"), wire(ADE, id="other")], [wire(ADE, tokenName="last")])
    reading = await read(graph, ADE, 5)
    assert [(token.id, token.name) for token in reading.tokens] == [
        ("ade00000-0000-4000-8000-000000000001", "last"),
        ("other", "Contoso iPads"),
    ]


@pytest.mark.parametrize(
    "bad", [without(ADE, "id"), wire(ADE, id=None), wire(ADE, id=5), wire(ADE, id=""), None, [], "x"]
)
async def test_one_item_without_an_id_loses_itself_and_the_reading_says_that_it_is_not_whole(bad):
    reading = await read(Pages([wire(ADE)], [bad, wire(ADE, id="other")]), ADE, 5)
    assert [token.id for token in reading.tokens] == [WIRE[ADE]["id"], "other"]
    assert reading.failure is not None
    assert reading.failure.reason.startswith("1 of 3 entries of the list could not be read: ")
    assert "none counts as removed" in reading.failure.remedy


async def test_pages_that_do_not_all_arrive_are_a_failure_and_not_a_shorter_list():
    reading = await read(Pages([wire(VPP)], error=GraphError("GET /x", "Graph failed", "Wait.", status=500)), VPP, 5)
    assert reading.tokens == ()
    assert reading.failure is not None
    assert (reading.failure.reason, reading.failure.status, reading.failure.remedy) == ("Graph failed", 500, "Wait.")


async def test_a_fault_of_our_own_is_a_failure_of_that_connector_and_names_no_secret():
    reading = await read(Pages([wire(VPP)], error=RuntimeError("secret")), VPP, 5)
    assert reading.failure is not None
    assert "RuntimeError" in str(reading.failure)
    assert "secret" not in str(reading.failure)


@pytest.mark.parametrize(
    ("status", "code", "read_whole"),
    [
        (404, "ResourceNotFound", True),
        (404, "resourceNotFound", True),
        (404, "NotFound", False),
        (404, None, False),
        (400, "ResourceNotFound", False),
    ],
)
async def test_no_push_certificate_is_a_complete_empty_reading_and_any_other_404_a_failure(status, code, read_whole):
    error = GraphError("GET /x", "Graph does not know it", "Wait.", status=status, code=code)
    reading = await read(Pages(error=error), APNS, 5)
    assert (reading.tokens, reading.failure is None) == ((), read_whole)


async def test_a_list_that_is_empty_is_a_complete_reading():
    assert await read(Pages([]), ADE, 5) == await read(Pages([], []), ADE, 5)
    assert (await read(Pages([]), ADE, 5)).failure is None
