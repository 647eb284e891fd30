"""Tests beside the buffers travel in one union."""

import msgspec

from collectors.traffic.rules.language.beside import FlagsTest, FlowBits, State, Test, WordTest


def test_each_comes_back_as_its_own_kind() -> None:
    tests: list[Test] = [WordTest("sameip"), FlagsTest("tcp.flags", "+", 2)]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(tests), type=list[Test]) == tests
    states: list[State] = [FlowBits("isset", ("a", "b"))]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(states), type=list[State]) == states
