"""Nodes: every field of restic's JSON in its order; what the file system has is what the node says."""

import os
import stat
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.backup.go_text import quote
from actions.backup.node import (
    Node,
    extended_attributes,
    go_mode,
    group_name,
    node_of,
    node_type,
    same_source,
    user_name,
)
from tests.actions.backup.odd_tree import make

ORDER = [
    "name",
    "type",
    "mode",
    "mtime",
    "atime",
    "ctime",
    "uid",
    "gid",
    "user",
    "group",
    "inode",
    "device_id",
    "size",
    "links",
    "linktarget",
    "linktarget_raw",
    "extended_attributes",
    "generic_attributes",
    "device",
    "content",
    "subtree",
    "error",
]


def full() -> Node:
    return Node(
        name="n",
        type="file",
        mode=1,
        mtime="m",
        atime="a",
        ctime="c",
        uid=1,
        gid=1,
        user="u",
        group="g",
        inode=1,
        device_id=1,
        size=1,
        links=1,
        linktarget="l",
        linktarget_raw=b"l",
        extended_attributes=[],
        generic_attributes={"windows.x": msgspec.Raw(b"[1]")},
        device=1,
        content=[],
        subtree="s",
        error="e",
    )


def test_the_fields_come_in_the_order_of_restic() -> None:
    node = full()
    node.extended_attributes = msgspec.json.decode(b'[{"name":"x","value":null}]', type=list)
    assert list(msgspec.json.decode(msgspec.json.encode(node))) == ORDER


def test_what_is_not_set_is_left_out_and_what_go_writes_always_is_not() -> None:
    node = Node(name="n", type="dir", mtime="m", atime="a", ctime="c", uid=0, gid=0, content=None)
    assert list(msgspec.json.decode(msgspec.json.encode(node))) == [
        "name",
        "type",
        "mtime",
        "atime",
        "ctime",
        "uid",
        "gid",
        "content",
    ]


@pytest.mark.parametrize(
    ("mode", "go"),
    [
        (stat.S_IFREG | 0o644, 420),
        (stat.S_IFDIR | 0o1777, 2148532735),
        (stat.S_IFCHR | 0o644, 69206436),
        (stat.S_IFBLK | 0o644, 67109284),
        (stat.S_IFIFO | 0o644, 33554852),
        (stat.S_IFLNK | 0o777, 134218239),
        (stat.S_IFREG | 0o4755, 0o755 | 1 << 23),
        (stat.S_IFDIR | 0o2755, 1 << 31 | 0o755 | 1 << 22),
    ],
)
def test_modes_are_those_of_go(mode: int, go: int) -> None:
    assert go_mode(mode) == go
    node = Node(name="n", type=node_type(mode), mode=go, mtime="m", atime="a", ctime="c", uid=0, gid=0, content=None)
    assert node.permissions == stat.S_IMODE(mode)


@given(st.binary(min_size=1, max_size=30))
def test_names_come_back_and_none_leads_elsewhere(name: bytes) -> None:
    node = Node(name=quote(name), type="dir", mtime="m", atime="a", ctime="c", uid=0, gid=0, content=None)
    if name in {b".", b".."} or b"/" in name or b"\0" in name:
        with pytest.raises(ValueError):
            node.raw_name  # noqa: B018
    else:
        assert node.raw_name == name


def test_a_link_target_that_is_not_utf8_is_kept_beside_a_readable_one(tmp_path: Path) -> None:
    os.symlink(b"a\xffb", os.fsencode(tmp_path / "link"))
    node = node_of(b"link", os.fsencode(tmp_path / "link"), (tmp_path / "link").lstat())
    assert (node.linktarget, node.linktarget_raw, node.raw_target) == ("a\ufffdb", b"a\xffb", b"a\xffb")


def test_every_kind_of_entry(tmp_path: Path) -> None:
    root = make(tmp_path / "tree")
    kinds = {}
    for name in os.listdir(os.fsencode(root)):
        path = os.path.join(os.fsencode(root), name)
        node = node_of(name, path, os.lstat(path))
        kinds.setdefault(node.type, node)
        assert node.raw_name == name
        assert node.mtime_ns == os.lstat(path).st_mtime_ns
        assert node.atime == node.mtime
        assert node_of(name, path, os.lstat(path), with_atime=True).atime_ns == os.lstat(path).st_atime_ns
    assert set(kinds) == {"file", "dir", "symlink", "dev", "chardev", "fifo", "socket"}
    assert kinds["chardev"].device == os.makedev(1, 3)
    assert kinds["dev"].device == os.makedev(259, 70000)


def test_an_attribute_that_cannot_be_named_is_told(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "file")
    (tmp_path / "file").touch()
    os.setxattr(path, b"user.\xff", b"x")
    os.setxattr(path, b"user.ok", b"y")
    said: list[str] = []
    assert [attribute.name for attribute in extended_attributes(path, said.append)] == ["user.ok"]
    assert len(said) == 1
    assert "UTF-8" in said[0]


def test_attributes_of_what_is_gone_are_told(tmp_path: Path) -> None:
    said: list[str] = []
    assert extended_attributes(os.fsencode(tmp_path / "gone"), said.append) == []
    assert "No such file" in said[0]


def test_users_without_a_name_have_none() -> None:
    assert user_name(0) == "root"
    assert group_name(0) == "root"
    assert user_name(4_000_000_000) == group_name(4_000_000_000) == ""


def test_the_same_file_is_known_again_in_another_time_zone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    node = node_of(b"file", os.fsencode(path), path.lstat())
    assert same_source(node, path.lstat())
    for field, value in (
        ("mtime", "2001-01-01T00:00:00Z"),
        ("ctime", "2001-01-01T00:00:00Z"),
        ("inode", 1),
        ("size", 2),
        ("type", "dir"),
    ):
        assert not same_source(msgspec.structs.replace(node, **{field: value}), path.lstat())
    assert same_source(msgspec.structs.replace(node, inode=1), path.lstat(), ignore_inode=True)
    assert same_source(msgspec.structs.replace(node, ctime="2001-01-01T00:00:00Z"), path.lstat(), ignore_ctime=True)
    os.utime(path, ns=(0, 1_000_000_000))
    node = node_of(b"file", os.fsencode(path), path.lstat())
    assert same_source(msgspec.structs.replace(node, mtime="1970-01-01T05:30:01+05:30"), path.lstat())
    assert not same_source(msgspec.structs.replace(node, mtime="broken"), path.lstat())
