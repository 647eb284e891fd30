"""Trees: sorted by raw name, the same bytes for the same entries, and nothing that is no directory is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.backup.go_text import quote
from actions.backup.node import ExtendedAttribute, Node, NodeType
from actions.backup.tree import BadTree, decode_tree, encode_tree

NOW = "2026-01-01T00:00:00Z"
names = st.binary(min_size=1, max_size=20).filter(lambda n: n not in {b".", b".."} and b"/" not in n and b"\0" not in n)
ids = st.binary(min_size=32, max_size=32).map(bytes.hex)
kinds = st.sampled_from(["file", "dir", "symlink", "dev", "chardev", "fifo", "socket"])


@st.composite
def nodes(draw: st.DrawFn) -> Node:
    kind: NodeType = draw(kinds)
    return Node(
        name=quote(draw(names)),
        type=kind,
        mode=draw(st.integers(0, (1 << 32) - 1)),
        mtime=NOW,
        atime=NOW,
        ctime=NOW,
        uid=draw(st.integers(0, (1 << 32) - 1)),
        gid=draw(st.integers(0, (1 << 32) - 1)),
        user=draw(st.text(max_size=5)),
        inode=draw(st.integers(0, (1 << 63) - 1)),
        size=draw(st.integers(0, (1 << 63) - 1)),
        linktarget=draw(st.text(max_size=10)) if kind == "symlink" else "",
        extended_attributes=draw(
            st.lists(st.builds(ExtendedAttribute, st.text(max_size=5), st.binary(max_size=5)), max_size=2)
        ),
        content=draw(st.lists(ids, max_size=3)) if kind == "file" else None,
        subtree=draw(ids) if kind == "dir" else None,
    )


@given(st.lists(nodes(), max_size=8, unique_by=lambda node: node.raw_name))
def test_what_is_written_is_read_and_written_the_same(entries: list[Node]) -> None:
    blob = encode_tree(entries)
    read = decode_tree(blob)
    assert [name for name, _ in read] == sorted(node.raw_name for node in entries)
    assert {name: node for name, node in read} == {node.raw_name: node for node in entries}
    assert encode_tree(node for _, node in reversed(read)) == blob
    assert blob.endswith(b"}\n")


def test_the_empty_directory_is_what_restic_writes() -> None:
    assert encode_tree([]) == b'{"nodes":[]}\n'
    assert decode_tree(b'{"nodes":null}') == []


def a(name: str) -> Node:
    return Node(name=name, type="dir", mtime=NOW, atime=NOW, ctime=NOW, uid=0, gid=0, content=None)


def test_raw_bytes_decide_the_order_not_the_quoted_text() -> None:
    blob = encode_tree([a("\\xff"), a("z"), a("\\x01"), a("é")])
    assert [name for name, _ in decode_tree(blob)] == [b"\x01", b"z", "é".encode(), b"\xff"]


def test_a_name_twice_is_refused_both_ways() -> None:
    with pytest.raises(BadTree):
        encode_tree([a("x"), a("\\x78")])
    blob = encode_tree([a("x"), a("y")]).replace(b'"y"', b'"x"')
    with pytest.raises(BadTree):
        decode_tree(blob)


def test_what_a_newer_restic_adds_does_not_disturb() -> None:
    blob = encode_tree([a("x")]).replace(b'"uid"', b'"new_field":{"a":[1]},"uid"')
    assert decode_tree(blob)[0][0] == b"x"


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"{}",
        b"[]",
        b'{"nodes":[{}]}',
        b'{"nodes":[1]}',
        b"\xff",
        encode_tree([a("x")])[:-3],
        encode_tree([a("x")]).replace(b'"dir"', b'"door"'),
    ],
)
def test_other_bytes_are_no_tree(blob: bytes) -> None:
    with pytest.raises(BadTree):
        decode_tree(blob)
