"""What is seen of a file can be kept."""

import msgspec

from contracts.trees import Node

NODE = Node(b"x", 0o100644, 1, 2, 1, 10, 100, 200, 5, 6)


def test_a_node_survives_being_stored() -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(NODE), type=Node) == NODE
