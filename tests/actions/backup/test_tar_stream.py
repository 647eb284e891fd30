"""Archives hold any entry that a tree can hold, and Python's own reader finds in them what was put in."""

import io
import os
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.backup.go_text import quote
from actions.backup.node import ExtendedAttribute, Node
from actions.backup.tar_stream import Extent, TarStream, acl_text, can_hold
from actions.backup.times import format_time
from tests.actions.backup.odd_tree import ACL_ALICE_READS

NAMES = st.binary(min_size=1, max_size=200).filter(
    lambda name: not set(b"/\0") & set(name) and name not in (b".", b"..")
)


def node(name: bytes = b"f", **more: object) -> Node:
    fields: dict[str, object] = {
        "name": quote(name), "type": "file", "mtime": "2026-01-01T00:00:00.5Z", "atime": "2026-01-01T00:00:00Z",
        "ctime": "2026-01-01T00:00:00Z", "uid": 0, "gid": 0, "content": None, "mode": 0o644,
    }  # fmt: skip
    return Node(**(fields | more))  # type: ignore[arg-type]


def read(raw: bytes) -> tarfile.TarInfo:
    with tarfile.open(fileobj=io.BytesIO(raw), errors="surrogateescape") as archive:
        (member,) = archive.getmembers()
        return member


@given(
    NAMES,
    st.binary(max_size=2000),
    st.integers(-(10**19), 10**20),
    st.integers(0, (1 << 32) - 1),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=50),
)
def test_any_file_is_read_as_it_was_written(name: bytes, data: bytes, mtime_ns: int, uid: int, user: str) -> None:
    sink = io.BytesIO()
    tar = TarStream(sink)
    tar.begin(b"dir/" + name, node(name, size=len(data), uid=uid, gid=uid, user=user, mtime=format_time(mtime_ns)))
    if data:
        tar.data(data)
    tar.end()
    assert len(sink.getvalue()) % 512 == 0
    with tarfile.open(fileobj=io.BytesIO(sink.getvalue()), errors="surrogateescape") as archive:
        (member,) = archive.getmembers()
        assert archive.extractfile(member).read() == data  # type: ignore[union-attr]
    assert os.fsencode(member.name) == b"dir/" + name.rstrip(b"/")
    assert (member.uid, member.gid, member.uname) == (uid, uid, user)
    assert member.mtime == pytest.approx(mtime_ns / 1e9)


@given(st.dictionaries(st.sampled_from(["user.a", "user.b=c", "trusted.%"]), st.binary(max_size=100)))
def test_attributes_keep_every_byte(attributes: dict[str, bytes]) -> None:
    sink = io.BytesIO()
    tar = TarStream(sink)
    tar.begin(b"f", node(extended_attributes=[ExtendedAttribute(name, value) for name, value in attributes.items()]))
    tar.end()
    found = {key: os.fsencode(value) for key, value in read(sink.getvalue()).pax_headers.items() if "xattr" in key}
    escaped = {"user.a": "user.a", "user.b=c": "user.b%3Dc", "trusted.%": "trusted.%25"}
    assert found == {f"SCHILY.xattr.{escaped[name]}": value for name, value in attributes.items()}


def test_acls_are_written_as_text() -> None:
    assert acl_text(ACL_ALICE_READS) == "user::rw-,user:1000:r--,group::r--,mask::r--,other::---"
    for rubbish in (b"", b"\2\0\0\0\1", b"\1\0\0\0", b"\2\0\0\0\x99\0\6\0\xff\xff\xff\xff"):
        assert acl_text(rubbish) == ""


@pytest.mark.parametrize(
    ("kind", "more", "check"),
    [
        ("dir", {}, lambda m: m.isdir()),
        ("symlink", {"linktarget": "t" * 300}, lambda m: m.issym() and m.linkname == "t" * 300),
        ("fifo", {}, lambda m: m.isfifo()),
        ("chardev", {"device": os.makedev(1, 3)}, lambda m: m.ischr() and (m.devmajor, m.devminor) == (1, 3)),
        ("dev", {"device": os.makedev(259, 70000)}, lambda m: m.isblk() and (m.devmajor, m.devminor) == (259, 70000)),
    ],
)
def test_other_types(kind: str, more: dict[str, object], check: object) -> None:
    sink = io.BytesIO()
    tar = TarStream(sink)
    tar.begin(b"x", node(type=kind, **more))
    tar.end()
    assert check(read(sink.getvalue()))  # type: ignore[operator]


def test_a_hard_link_names_the_first() -> None:
    sink = io.BytesIO()
    tar = TarStream(sink)
    tar.begin(b"second", node(size=5000), link=b"first")
    tar.end()
    member = read(sink.getvalue())
    assert (member.islnk(), member.linkname, member.size) == (True, "first", 0)


def test_holes_are_left_out() -> None:
    sink = io.BytesIO()
    tar = TarStream(sink)
    tar.begin(b"holes", node(size=1 << 30), extents=[Extent(100, 3), Extent(1 << 29, 2), Extent(1 << 30, 0)])
    tar.data(b"abc")
    tar.data(b"de")
    tar.end()
    member = read(sink.getvalue())
    assert (member.name, member.size, member.sparse) == ("holes", 1 << 30, [(100, 3), (1 << 29, 2), (1 << 30, 0)])  # type: ignore[attr-defined]


def test_more_or_less_than_was_announced_is_an_error() -> None:
    tar = TarStream(io.BytesIO())
    tar.begin(b"f", node(size=3))
    with pytest.raises(AssertionError):
        tar.data(b"four")
    tar.data(b"ab")
    with pytest.raises(AssertionError):
        tar.begin(b"g", node())
    with pytest.raises(AssertionError):
        tar.end()


def test_a_size_beyond_the_header_is_said_before_it() -> None:
    sink = io.BytesIO()
    TarStream(sink).begin(b"huge", node(size=9 << 30))
    with tarfile.open(fileobj=io.BytesIO(sink.getvalue() + bytes(1024))) as archive:
        member = archive.next()
    assert member is not None
    assert member.size == 9 << 30


def test_sockets_have_no_form() -> None:
    assert [can_hold(node(type=kind)) for kind in ("file", "socket", "irregular")] == [True, False, False]
