"""How operations are cut into transactions, and how one reads on the wire."""

from datetime import UTC, datetime

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from shared.storage.transactions import MOST_BYTES, MOST_OPERATIONS, Operation, TransactionError, encoded, split


def insert(partition: str, row: str, text: str = "") -> Operation:
    return Operation("insert", {"PartitionKey": partition, "RowKey": row, "Text": text})


def test_a_transaction_holds_at_most_100_operations_of_one_partition():
    operations = [insert(partition, f"{row:03}") for row in range(101) for partition in ("ade", "vpp")]
    cut = list(split(operations))
    assert [len(one) for one in cut] == [100, 1, 100, 1]
    assert all(len({operation.keys[0] for operation in one}) == 1 for one in cut)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ade", "vpp"]),
            st.text(st.characters(codec="utf-8"), max_size=30),
            st.integers(0, 32_000),
            st.sampled_from(["a", '"', "é", "€", "🍏"]),
        ),
        max_size=40,
    )
)
def test_whatever_the_texts_are_a_transaction_stays_within_the_limits(given_rows):
    operations = [
        Operation("replace", {"PartitionKey": partition, "RowKey": f"{number}{row}", "Text": character * length}, "W/1")
        for number, (partition, row, length, character) in enumerate(given_rows)
    ]
    cut = list(split(operations))
    assert sorted(op.keys for one in cut for op in one) == sorted(op.keys for op in operations)
    for one in cut:
        assert len(one) <= MOST_OPERATIONS
        assert len(one) == 1 or sum(len(encoded(op.entity)) for op in one) <= MOST_BYTES


def test_an_instant_travels_with_its_type():
    body = msgspec.json.decode(encoded({"On": datetime(2026, 11, 23, 5, 7, 0, 123456, tzinfo=UTC), "Count": 3}))
    assert body == {"On": "2026-11-23T05:07:00.123456Z", "On@odata.type": "Edm.DateTime", "Count": 3}


def test_a_refusal_carries_the_services_code_in_json_and_in_xml():
    in_json = TransactionError(412, b'{"odata.error":{"code":"UpdateConditionNotSatisfied","message":{"value":"no"}}}')
    in_xml = TransactionError(403, b"<?xml?><Error><Code>AuthorizationFailure</Code></Error>")
    assert (in_json.status_code, in_json.error_code) == (412, "UpdateConditionNotSatisfied")
    assert (in_xml.status_code, in_xml.error_code) == (403, "AuthorizationFailure")
    assert TransactionError(500, b"\xff").error_code is None
