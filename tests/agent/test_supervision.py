"""The words of supervision travel: a specification can be stored and compared."""

import msgspec

from agent.supervision import MAX_AT_ONCE, Look, WorkerSpec
from contracts.outcome import Ok


def test_specifications_compare_by_value_and_survive_encoding():
    spec = WorkerSpec(
        name="reader", subjects=("ports",), options={"ports": b"\x80"}, kinds={"ports": ("ports.opened",)}
    )
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(spec), type=WorkerSpec) == spec
    assert spec != msgspec.structs.replace(spec, options={})


def test_a_look_without_more_says_nothing_was_found_and_nothing_was_asked():
    look = Look(id=0, subject="x", outcome=Ok())
    assert not look.events and not look.changes.put and not look.blind and MAX_AT_ONCE > 1
