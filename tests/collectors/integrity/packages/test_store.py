"""The package store keeps what archives proved, and what was before."""

import sqlite3

import pytest

from collectors.integrity.packages.deb import Deb
from collectors.integrity.packages.store import PackageStore
from contracts.errors import Malformed
from contracts.provenance import Shipped

DEB = Deb(sha256=b"\x01" * 32, package="tool", version="1", architecture="all", key="tool", scripts="adduser x")
FILE = Shipped(b"/usr/bin/tool", 0o100755, size=1, content=b"\x02" * 32)


def test_an_archive_is_kept_and_may_be_signed_later(tmp_path) -> None:
    store = PackageStore(tmp_path / "p.db")
    store.add(DEB, [FILE], "", "", 1)
    assert store.scripts("tool", "1") == ""
    store.add(DEB, [FILE], "KEY", "debian", 2)
    (one,) = store.shipped(b"/usr/bin/tool")
    assert (one.file, one.signed_by, one.version) == (FILE, "KEY", "1")
    assert store.scripts("tool", "1") == store.scripts("tool", "") == "adduser x"
    assert store.copies(FILE.content, frozenset({"tool"})) == "/usr/bin/tool" and not store.copies(
        FILE.content, frozenset()
    )


def test_archives_that_are_not_installed_go_after_a_while(tmp_path) -> None:
    store = PackageStore(tmp_path / "p.db")
    store.add(DEB, [FILE], "KEY", "", 1)
    assert store.drop({("tool", "1")}, 100) == 0 and store.drop({("tool", "2")}, 0) == 0
    assert store.drop({("tool", "2")}, 100) == 1 and list(store.shipped(b"/usr/bin/tool")) == []


def test_what_was_settled_is_what_was_before(tmp_path) -> None:
    store = PackageStore(tmp_path / "p.db")
    store.settle({"tool:all": "1"}, [("tool", [b"/a", b"/b"])])
    store.settle({"tool:all": "2"}, [("tool", [b"/b"])])
    assert (store.former(b"/a"), store.former(b"/b"), store.versions()) == ([], ["tool"], {"tool:all": "2"})


def test_packages_of_any_number_of_names_are_settled_whole(tmp_path) -> None:
    store = PackageStore(tmp_path / "p.db")
    lists = [
        (f"p{count}", [b"/p%d/\xff%d" % (count, number) for number in range(count)])
        for count in (0, 1, 249, 250, 251, 600)
    ]
    store.settle({}, lists)
    assert all(store.former(path) == [package] for package, paths in lists for path in paths)
    store.settle({}, [("p600", lists[-1][1][:300] * 2)])
    assert [len(store.former(path)) for path in lists[-1][1]] == [1] * 300 + [0] * 300


def test_keys_facts_and_what_was_read_survive(tmp_path) -> None:
    store = PackageStore(tmp_path / "p.db")
    store.trust(["K"], "first")
    store.trust(["K"], "again")
    store.keep("x", "1")
    store.note({"s": True, "t": False})
    store.note({}, ["t"])
    store.close()
    again = PackageStore(tmp_path / "p.db")
    assert (again.keys(), again.fact("x"), again.fact("none"), again.seen()) == ({"K": "first"}, "1", "", {"s": True})


def test_a_damaged_file_and_one_of_another_version_are_refused(tmp_path) -> None:
    (tmp_path / "p.db").write_bytes(b"no database at all" * 99)
    with pytest.raises(Malformed):
        PackageStore(tmp_path / "p.db")
    PackageStore(tmp_path / "q.db").close()
    with sqlite3.connect(tmp_path / "q.db") as base:
        base.execute("UPDATE facts SET value = '99' WHERE name = 'version'")
    with pytest.raises(Malformed, match="99"):
        PackageStore(tmp_path / "q.db")
