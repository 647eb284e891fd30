"""Rows as the console is shown them."""

import msgspec

from agent.state_parts import as_json, last_key
from contracts.wire import MAX_SUBJECT_ROW_BYTES, SubjectPart


def test_rows_become_json_with_bytes_in_base64() -> None:
    assert as_json(msgspec.msgpack.encode({"b": 1, "a": b"\xff"})) == b'{"a":"/w==","b":1}'


def test_a_row_at_the_limit_is_shown_and_one_above_it_named() -> None:
    assert len(as_json(msgspec.msgpack.encode("x" * (MAX_SUBJECT_ROW_BYTES - 2)))) == MAX_SUBJECT_ROW_BYTES
    assert as_json(msgspec.msgpack.encode("x" * MAX_SUBJECT_ROW_BYTES)) == b'{"too_large":%d}' % (
        MAX_SUBJECT_ROW_BYTES + 2
    )


def test_the_last_key_is_the_highest_of_both() -> None:
    assert last_key(SubjectPart(subject="s", base=1, revision=2, put={"a": b"1"}, removed=("b",))) == "b"
