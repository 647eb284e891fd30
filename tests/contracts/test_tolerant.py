"""A newer agent or console may say more: what is not known is passed over, everything else is read as strictly as ever."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.event import Event, Lane, Loss, Sealed, Severity
from contracts.record import Record
from contracts.tolerant import Tolerant
from contracts.wire import Ack, Answered, Batch, Challenge, Enrolled, LanePart, Problem, SubjectPart

SEALED, LOSS = Sealed(seq=1, chain=b"\xff", body=b"b"), Loss(first=2, last=3, count=2, chain=b"\x80")
BATCH = Batch(
    agent="a",
    lanes=(LanePart(lane=Lane.NORMAL, previous=b"p", items=(SEALED, LOSS)),),
    subjects=(SubjectPart(subject="s", base=0, revision=1, put={"k": b"\x00\xff"}),),
    answered=(Answered(id="i", proofs={"/x": "00"}),),
)
ACK = Ack(
    lanes={Lane.NORMAL: 3}, subjects={"s": 1}, now_ms=5, challenges=(Challenge(id="i", nonce="00", paths=("/x",)),)
)
SAID = [
    BATCH,
    ACK,
    Problem(error="e", lanes={Lane.NORMAL: 1}),
    Enrolled(agent="a", certificate=b"c", authority=b"\x80", renew_after_ms=1),
]


def _with_more(value: Any) -> Any:
    """Put a field of the future into every struct at any depth, as msgpack has it."""
    if isinstance(value, msgspec.Struct):
        told = {name: _with_more(getattr(value, name)) for name in value.__struct_fields__}
        tag = value.__struct_config__.tag
        return {
            **({value.__struct_config__.tag_field: tag} if tag else {}),
            **told,
            "of_the_future": {"x": [1, b"\xff"]},
        }
    if isinstance(value, tuple | list):
        return [_with_more(each) for each in value]
    if isinstance(value, dict):
        return {name: _with_more(each) for name, each in value.items()}
    return value


@pytest.mark.parametrize("said", SAID, ids=lambda said: type(said).__name__)
def test_fields_of_the_future_are_passed_over_at_any_depth(said: Record) -> None:
    body = msgspec.msgpack.encode(_with_more(said))
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.msgpack.decode(body, type=type(said))
    assert Tolerant(type(said)).decode(body) == said


def test_an_event_with_a_field_of_the_future_is_read() -> None:
    event = Event(kind="a.b", key="k", severity=Severity.LOW, fields={"x": ["1", "y"]})
    body = msgspec.msgpack.encode({**msgspec.to_builtins(event), "of_the_future": 1})
    assert Tolerant(Event).decode(body) == event


@pytest.mark.parametrize("wrong", [{"now_ms": "5"}, {"lanes": {"other": 1}}, {"challenges": [{"id": 1, "more": 2}]}])
def test_what_is_known_is_read_as_strictly_as_ever_beside_what_is_not(wrong: dict[str, Any]) -> None:
    said = {"lanes": {}, "subjects": {}, "now_ms": 5, **wrong}
    for more in ({}, {"of_the_future": 1}):
        with pytest.raises(msgspec.ValidationError):
            Tolerant(Ack).decode(msgspec.msgpack.encode({**said, **more}))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_an_error_of_msgspecs(body: bytes) -> None:
    for kind in (Ack, Batch):
        try:
            Tolerant(kind).decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
