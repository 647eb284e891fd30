"""Metadata: what a node says is what stands on the disk afterwards, for open files and for entries of a directory."""

import os
import stat
from pathlib import Path

import pytest

from actions.backup.metadata import seems_same, set_metadata
from actions.backup.node import ExtendedAttribute, Node, node_of

NS = 1_600_000_000_123_456_789


def described(path: Path, **changes: object) -> Node:
    """The node of `path`, changed."""
    node = node_of(os.fsencode(path.name), os.fsencode(path), path.lstat())
    for name, value in changes.items():
        setattr(node, name, value)
    return node


def test_owner_mode_attributes_and_times_are_set_in_an_order_that_keeps_them_all(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("x")
    os.chown(source, 12345, 54321)
    source.chmod(0o4751)
    os.utime(source, ns=(NS, NS))
    node = described(source, extended_attributes=[ExtendedAttribute("user.note", b"kept")])
    descriptor = os.open(target, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        set_metadata(descriptor, None, node)
    finally:
        os.close(descriptor)
    status = target.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (
        12345,
        54321,
        0o4751,
        NS,
    )
    assert os.getxattr(target, "user.note") == b"kept"


def test_a_link_gets_its_own_and_what_it_points_to_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "far").write_text("x")
    before = (tmp_path / "far").stat()
    link = tmp_path / "link"
    link.symlink_to("far")
    node = described(link, uid=12345, mtime="2001-02-03T04:05:06Z", atime="2001-02-03T04:05:06Z")
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        set_metadata(folder, b"link", node)
    finally:
        os.close(folder)
    assert (link.lstat().st_uid, link.lstat().st_mtime_ns) == (12345, 981173106 * 10**9)
    after = (tmp_path / "far").stat()
    assert (after.st_uid, after.st_mtime_ns, after.st_mode) == (before.st_uid, before.st_mtime_ns, before.st_mode)


def test_a_time_that_is_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(ValueError, match="not a time"):
            set_metadata(folder, b"file", described(tmp_path / "file", mtime="yesterday"))
    finally:
        os.close(folder)


def test_what_has_the_size_and_time_of_a_file_seems_the_same(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("one")
    node = described(source)
    assert seems_same(node, source.stat())
    source.write_text("two more")
    os.utime(source, ns=(NS, node.mtime_ns))
    assert not seems_same(node, source.stat())
    source.write_text("two")
    os.utime(source, ns=(NS, node.mtime_ns + 1))
    assert not seems_same(node, source.stat())
    assert not seems_same(node, tmp_path.stat())
