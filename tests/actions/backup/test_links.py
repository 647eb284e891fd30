"""Further names of what was restored: past the longest path, where the first name stayed, and of what is no regular file."""

import os
import stat
from pathlib import Path

from actions.backup.archiver import Archiver
from actions.backup.links import Links
from actions.backup.node import node_of
from actions.backup.repository import Repository
from actions.backup.restorer import Overwrite, Restored, Restorer, find_tree


def restore(repository: Repository, source: Path, target: Path, overwrite: Overwrite = Overwrite.REFUSE) -> Restored:
    tree = repository.load_snapshot(Archiver(repository).snapshot([str(source)], hostname="here")[0]).tree
    return Restorer(repository, overwrite=overwrite).restore(find_tree(repository, tree, str(source)), str(target))


def deep(folder: Path, levels: int) -> int:
    """Open a directory so many levels below `folder`, each with a name of 200 bytes; they are made."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    return here


def test_a_name_of_a_file_whose_first_name_is_beyond_the_longest_path(repository: Repository, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    below = deep(source, 24)
    with open(os.open("first", os.O_WRONLY | os.O_CREAT, dir_fd=below), "wb") as file:
        file.write(b"deep")
    os.link("first", source / "second", src_dir_fd=below)
    os.close(below)
    done = restore(repository, source, tmp_path / "target")
    assert done.failed == []
    assert (tmp_path / "target" / "second").read_bytes() == b"deep"
    assert (tmp_path / "target" / "second").stat().st_nlink == 2


def test_a_lost_name_of_an_unchanged_file_is_a_name_of_it_again(repository: Repository, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "one").write_bytes(b"x" * 5000)
    (source / "two").hardlink_to(source / "one")
    target = tmp_path / "target"
    restore(repository, source, target)
    (target / "two").unlink()
    done = restore(repository, source, target, Overwrite.IF_CHANGED)
    assert (done.files, done.unchanged, done.bytes) == (1, 1, 0)
    assert (target / "one").samefile(target / "two")


def test_links_and_devices_keep_their_further_names(repository: Repository, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    (source / "link").symlink_to("elsewhere")
    os.link(source / "link", source / "other", follow_symlinks=False)
    os.mknod(source / "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    os.link(source / "null", source / "zero")
    for overwrite in (Overwrite.REFUSE, Overwrite.ALWAYS):
        assert restore(repository, source, target, overwrite).failed == []
        for one, two in (("link", "other"), ("null", "zero")):
            assert (target / one).lstat().st_ino == (target / two).lstat().st_ino
            assert (target / one).lstat().st_nlink == 2


def test_where_something_else_bears_the_first_name_no_link_is_made(tmp_path: Path) -> None:
    (tmp_path / "first").write_text("other")
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        node = node_of(b"second", b"", (tmp_path / "first").stat())
        node.links, links = 2, Links(folder)
        assert not links.make(node, folder, b"second")
        links.keep(node, b"first", (tmp_path / "first").stat().st_ino + 1)
        assert not links.make(node, folder, b"second")
        links.keep(node, b"gone", 1)
        assert not links.make(node, folder, b"second")
        assert sorted(os.listdir(tmp_path)) == ["first"]
    finally:
        os.close(folder)
