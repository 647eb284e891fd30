"""What counts as the same file."""

from typing import Any

import msgspec
import pytest

from contracts.trees import Node

NODE = Node(b"x", 0o100644, 1, 2, 1, 10, 100, 200, 5, 6)


@pytest.mark.parametrize("field", ["mode", "uid", "gid", "size", "mtime_ns", "ctime_ns", "inode", "device"])
def test_any_change_of_metadata_makes_it_another(field: str) -> None:
    values: dict[str, Any] = {name: getattr(NODE, name) for name in Node.__struct_fields__}
    values[field] += 1
    assert not NODE.same_metadata(Node(**values))


def test_another_link_count_alone_does_not() -> None:
    values: dict[str, Any] = {name: getattr(NODE, name) for name in Node.__struct_fields__}
    assert NODE.same_metadata(Node(**{**values, "links": 2}))


def test_a_node_survives_being_stored() -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(NODE), type=Node) == NODE
