"""The archiver, judged by the stock restic: what it saves is what restic would have saved, and restic gives it back."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from actions.backup import archiver as module
from actions.backup.archiver import Archiver, Choices, NothingToSave, Report
from actions.backup.repository import Repository
from actions.backup.restorer import find_tree
from actions.backup.stores.local import LocalStore
from tests.actions.backup.conftest import CHEAP, PASSWORD, Restic
from tests.actions.backup.histories import quiet_place
from tests.actions.backup.odd_tree import make, shape


def save(
    repository: Repository, *paths: Path, parent: bool = False, choices: Choices | None = None
) -> tuple[str, Report]:
    repository.load_index()
    latest = max(repository.snapshots(), key=lambda pair: pair[1].time_ns, default=None) if parent else None
    with repository.lock():
        return Archiver(repository, choices).snapshot([str(path) for path in paths], hostname="here", parent=latest)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make(tmp_path / "tree", non_utf8_links=False)


def test_restic_restores_what_was_saved_to_the_last_bit(
    where: Path, tree: Path, tmp_path: Path, restic: Restic, version: int
) -> None:
    repository = Repository.create(LocalStore(where), PASSWORD, version=version, cost=CHEAP)
    id, report = save(repository, tree)
    assert report.unreadable == []
    assert report.noted == []
    restic("check", "--read-data")
    restic("restore", id, "--target", tmp_path / "restored")
    assert shape(tmp_path / "restored" / tree.relative_to("/")) == shape(tree)
    listed = restic("ls", id).stdout
    assert all(name in listed for name in (b"a<b>&c", b"new\nline", b"\xff\xfe not utf-8", b"bottom"))
    assert restic("dump", id, str(tree / "big random")).stdout == (tree / "big random").read_bytes()
    assert b"bottom" in restic("find", "bottom").stdout
    restic("forget", "--keep-last", "1", "--prune")
    restic("check", "--read-data")


def test_the_tree_has_the_hash_that_restic_gives_it(repository: Repository, tree: Path, restic: Restic) -> None:
    for big in ("big random", "big text", "sparse"):  # these restic cuts elsewhere
        (tree / big).unlink()
    restic("backup", tree)
    id, _ = save(repository, tree)
    other, theirs = next((name, snapshot) for name, snapshot in repository.snapshots() if name != id)
    ours = repository.load_snapshot(id)
    assert find_tree(repository, ours.tree, str(tree)) == find_tree(repository, theirs.tree, str(tree))
    assert ours.paths == theirs.paths
    restic("diff", other, id)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/St_Johns", "Europe/London"])
def test_the_hash_is_the_same_in_every_time_zone(
    repository: Repository, tmp_path: Path, restic: Restic, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    import time

    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        root = tmp_path / "times"
        root.mkdir()
        for number, ns in enumerate(
            (
                -3_000_000_000_000_000_001,
                -1,
                0,
                1,
                1_700_000_000_100_000_000,
                1_720_000_000_000_000_000,
                4_000_000_000_000_000_000,
            )
        ):
            (root / str(number)).touch()
            os.utime(root / str(number), ns=(ns, ns))
        restic("backup", root)
        _id, _ = save(repository, root)
        trees = {find_tree(repository, snapshot.tree, str(root)) for _, snapshot in repository.snapshots()}
        assert len(list(repository.snapshots())) == 2
        assert len(trees) == 1
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.fixture
def quiet() -> Iterator[Path]:
    """The same tree where hardly anybody else touches a directory above it; in /tmp other tests do so all the time."""
    with quiet_place() as place:
        yield make(place, non_utf8_links=False)


def way(tree: Path) -> list[int]:
    """When the directories above `tree` changed last; those that other programs use, too, may do so at any time."""
    return [each.stat().st_ctime_ns for each in tree.parents]


def test_nothing_is_read_again_when_nothing_changed(repository: Repository, quiet: Path) -> None:
    for _ in range(50):
        above = way(quiet)
        first, _ = save(repository, quiet)
        second, report = save(repository, quiet, parent=True)
        assert (report.files_new, report.files_changed, report.bytes_read) == (0, 0, 0)
        assert repository.load_snapshot(second).parent == first
        if way(quiet) == above:
            break
    assert report.saved.blobs == 0
    assert repository.load_snapshot(second).tree == repository.load_snapshot(first).tree


def test_a_parent_that_restic_made_serves_as_well(repository: Repository, quiet: Path, restic: Restic) -> None:
    for _ in range(20):
        above = way(quiet)
        restic("backup", quiet)
        _, report = save(repository, quiet, parent=True)
        assert (report.files_new, report.files_changed, report.bytes_read) == (0, 0, 0)
        if way(quiet) == above:
            break
    assert report.saved.blobs == 0


def test_restic_takes_our_snapshot_for_its_parent(repository: Repository, tree: Path, restic: Restic) -> None:
    save(repository, tree)
    said = [json.loads(line) for line in restic("backup", "--json", "--host", "here", tree).stdout.splitlines()]
    summary = next(line for line in said if line["message_type"] == "summary")
    assert (summary["files_new"], summary["files_changed"], summary["data_blobs"]) == (0, 0, 0)


@pytest.mark.parametrize(
    "change", ["content", "same size, same mtime", "mode", "owner", "attribute", "mtime", "renamed", "removed", "added"]
)
def test_every_change_is_seen(repository: Repository, tree: Path, tmp_path: Path, restic: Restic, change: str) -> None:
    save(repository, tree)
    path = tree / "deep" / "file"
    path.write_bytes(b"before")
    save(repository, tree, parent=True)
    status = path.stat()
    match change:
        case "content":
            path.write_bytes(b"after, and longer")
        case "same size, same mtime":
            path.write_bytes(b"AFTER!")
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        case "mode":
            path.chmod(0o4711)
        case "owner":
            os.chown(path, 4711, 4712)
        case "attribute":
            os.setxattr(path, "user.new", b"1")
        case "mtime":
            os.utime(path, ns=(1, 1))
        case "renamed":
            path.rename(path.with_name("other"))
        case "removed":
            path.unlink()
        case "added":
            path.with_name("other").write_bytes(b"other")
    id, _ = save(repository, tree, parent=True)
    restic("restore", id, "--target", tmp_path / "restored")
    assert shape(tmp_path / "restored" / tree.relative_to("/")) == shape(tree)


def test_content_that_the_repository_lost_is_read_again(
    repository: Repository, tree: Path, where: Path, restic: Restic
) -> None:
    save(repository, tree)
    for index in (where / "index").iterdir():
        index.unlink()
    for pack in (where / "data").rglob("*"):
        if pack.is_file():
            pack.unlink()
    _, report = save(repository, tree, parent=True)
    assert report.files_unmodified == 0 or report.bytes_read > 0
    for old in list(repository.snapshots())[:]:
        if old[1].parent is None:
            (where / "snapshots" / old[0]).chmod(0o600)
            (where / "snapshots" / old[0]).unlink()
    restic("check", "--read-data")


def test_several_paths_share_their_way(repository: Repository, tmp_path: Path, restic: Restic) -> None:
    for name in ("a/one", "a/two", "b/c/three"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    id, report = save(repository, tmp_path / "a" / "one", tmp_path / "b", tmp_path / "b" / "c")
    listed = restic("ls", id).stdout.decode()
    assert f"{tmp_path}/a/one\n" in listed
    assert f"{tmp_path}/b/c/three\n" in listed
    assert "two" not in listed
    assert report.unreadable == []


def test_a_path_that_is_gone_is_reported_and_the_rest_saved(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    id, report = save(repository, tmp_path / "there", tmp_path / "gone")
    assert [told.path for told in report.unreadable] == [os.fsencode(tmp_path / "gone")]
    assert repository.load_snapshot(id).tree


def test_without_any_path_no_snapshot_is_made(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(NothingToSave) as caught:
        save(repository, tmp_path / "gone")
    assert "gone" in str(caught.value)
    assert caught.value.exit_code == 3
    assert list(repository.snapshots()) == []
    with pytest.raises(NothingToSave):
        Archiver(repository).snapshot(["relative"], hostname="here")


def test_what_may_not_be_read_is_named_and_not_claimed(entered: Path) -> None:
    where, root = entered / "repository", entered / "root"
    root.mkdir()
    (root / "open").write_text("open")
    (root / "secret").write_text("secret")
    (root / "secret").chmod(0)
    (root / "closed").mkdir(mode=0)
    entered.chmod(0o777)
    code = f"""
import encodings.idna, os, sys
from actions.backup.archiver import Archiver
from actions.backup.repository import Repository
from actions.backup.stores.local import LocalStore
from actions.backup.restorer import find_tree
from tests.actions.backup.conftest import CHEAP
os.setgroups([]); os.setgid(65534); os.setuid(65534)
r = Repository.create(LocalStore({str(where)!r}), "x", cost=CHEAP)
id, report = Archiver(r).snapshot([{str(root)!r}], hostname="here")
r.load_index()
print(sorted(name for name, _ in r.load_tree(bytes.fromhex(find_tree(r, r.load_snapshot(id).tree, {str(root)!r})))))
print(sorted(report.unreadable))
"""
    import sys

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names, unreadable = done.stdout.splitlines()
    assert names == "[b'open']"
    assert "closed" in unreadable
    assert "secret" in unreadable
    assert "Permission denied" in unreadable


def test_a_file_that_changes_while_it_is_read_is_noted_and_read_again_next_time(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "root" / "log"
    path.parent.mkdir()
    path.write_bytes(b"x" * 1000)
    real = module.node_of

    def grow(*words: object, **named: object) -> object:
        if words[0] == b"log":
            with path.open("ab") as more:
                more.write(b"more")
        return real(*words, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "node_of", grow)
    _id, report = save(repository, path.parent)
    monkeypatch.undo()
    assert [(told.path, told.what) for told in report.noted] == [(os.fsencode(path), "changed while it was read")]
    _, report = save(repository, path.parent, parent=True)
    assert report.files_changed == 1


def test_what_is_excluded_is_not_even_opened(repository: Repository, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("keep/file", "skip/file", "keep/file.tmp"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    id, report = save(repository, root, choices=Choices(excluded=lambda path, _: path.endswith((b"/skip", b".tmp"))))
    tree = find_tree(repository, repository.load_snapshot(id).tree, str(root))
    assert [name for name, _ in repository.load_tree(bytes.fromhex(tree))] == [b"keep"]
    assert report.files_new == 1


def test_one_file_system_keeps_mount_points_empty(repository: Repository, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "mounted").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", root / "mounted"], check=True)
    try:
        (root / "mounted" / "inside").write_text("x")
        id, _ = save(repository, root, choices=Choices(one_file_system=True))
        tree = repository.load_snapshot(id).tree
        assert repository.load_tree(bytes.fromhex(find_tree(repository, tree, str(root / "mounted")))) == []
        id, _ = save(repository, root)
        tree = repository.load_snapshot(id).tree
        assert len(repository.load_tree(bytes.fromhex(find_tree(repository, tree, str(root / "mounted"))))) == 1
    finally:
        subprocess.run(["umount", root / "mounted"], check=True)


def test_a_directory_deeper_than_python_recurses(repository: Repository, tmp_path: Path) -> None:
    root = tmp_path / "root"
    at = str(root)
    for _ in range(1200):
        os.mkdir(at)
        at += "/d"
    with open(at, "w") as file:
        file.write("deep")
    _, report = save(repository, root)
    assert report.files_new == 1
    assert report.unreadable == []
    subprocess.run(["rm", "-r", root], check=True)
