"""Trees of odd files made by lot: what Holdfast saves restic restores to the last bit, and what restic saves Holdfast does.

`HOLDFAST_BACKUP_TREES` says how many, `HOLDFAST_SEED` which.
"""

import json
import os
import random
import stat
from pathlib import Path

import pytest

from actions.backup.archiver import Archiver
from actions.backup.repository import Repository
from actions.backup.restorer import Restorer, find_tree
from actions.backup.stores.local import LocalStore
from tests.actions.backup.conftest import CHEAP, PASSWORD, Restic
from tests.actions.backup.odd_tree import grow, shape

TREES = int(os.environ.get("HOLDFAST_BACKUP_TREES", "2"))
SEED = int(os.environ.get("HOLDFAST_SEED", "20261122"))
SEEDS = range(SEED, SEED + TREES)


def below(found: dict[bytes, tuple[object, ...]]) -> dict[bytes, tuple[object, ...]]:
    """Without the top directory itself."""
    return {path: what for path, what in found.items() if path != b"."}


def holes_stay(root: Path, restored: Path) -> None:
    """A sparse file takes no more room than its data and what is left of blocks of 64 KiB around each piece of it."""
    sparse = 0
    for path in restored.rglob("*"):
        before, after = (root / path.relative_to(restored)).lstat(), path.lstat()
        if stat.S_ISREG(after.st_mode) and before.st_blocks * 512 < before.st_size - (1 << 20):
            assert after.st_blocks <= before.st_blocks + 4 * 2 * 128, path
            sparse += 1
    assert sparse, "there was no sparse file"


def restore(repository: Repository, root: Path, target: Path) -> None:
    repository.load_index()
    _, snapshot = max(repository.snapshots(), key=lambda pair: pair[1].time_ns)
    tree = find_tree(repository, snapshot.tree, str(root))
    assert Restorer(repository, verify=True).restore(tree, str(target)).failed == []


@pytest.mark.parametrize("seed", SEEDS)
def test_restic_restores_what_holdfast_saved(repository: Repository, tmp_path: Path, restic: Restic, seed: int) -> None:
    root = grow(tmp_path / "tree", random.Random(seed), non_utf8_links=False)
    id, report = Archiver(repository).snapshot([str(root)], hostname="here")
    assert (report.unreadable, report.noted) == ([], [])
    restic("check", "--read-data")
    restic("restore", id, "--target", tmp_path / "restored")
    assert below(shape(tmp_path / "restored" / root.relative_to("/"))) == below(shape(root))
    restic(
        "backup", "--host", "here", "--force", root
    )  # its own look at the same tree: but for where large files are cut, it is ours
    theirs = json.loads(restic("snapshots", "--json").stdout)[-1]
    changes = [
        json.loads(line) for line in restic("diff", "--json", "--metadata", id, theirs["id"]).stdout.splitlines()
    ]
    found = {change["path"]: change["modifier"] for change in changes if change["message_type"] == "change"}
    cut = [path for path, modifier in found.items() if modifier == "M"]
    # A directory is another when a file below is cut elsewhere; those above have changed since, as the copies were made there.
    assert [
        path for path in found if path not in cut and not any(each.startswith(path) for each in (*cut, str(root)))
    ] == []


@pytest.mark.parametrize("seed", SEEDS)
def test_holdfast_restores_what_restic_saved(where: Path, tmp_path: Path, restic: Restic, seed: int) -> None:
    root = grow(tmp_path / "tree", random.Random(seed), non_utf8_links=False)
    restic("init")
    restic("backup", root)
    repository = Repository.open(LocalStore(where), PASSWORD)
    restore(repository, root, tmp_path / "restored")
    assert below(shape(tmp_path / "restored")) == below(shape(root))
    holes_stay(root, tmp_path / "restored")


@pytest.mark.parametrize("seed", SEEDS)
def test_holdfast_restores_what_holdfast_saved_links_of_any_bytes_too(tmp_path: Path, where: Path, seed: int) -> None:
    root = grow(tmp_path / "tree", random.Random(seed))
    repository = Repository.create(LocalStore(where), PASSWORD, cost=CHEAP)
    Archiver(repository).snapshot([str(root)], hostname="here")
    restore(repository, root, tmp_path / "restored")
    assert below(shape(tmp_path / "restored")) == below(shape(root))
    holes_stay(root, tmp_path / "restored")
    _, report = Archiver(repository).snapshot(
        [str(root)], hostname="here", parent=max(repository.snapshots(), key=lambda pair: pair[1].time_ns)
    )
    assert report.files_changed + report.files_new == 0, "a second look finds nothing changed"


def test_a_path_of_4096_bytes_and_more_is_saved_and_comes_back(
    tmp_path: Path, where: Path, repository: Repository, restic: Restic
) -> None:
    """Longer than any system call takes: both ways go from directory to directory. restic lists it, and checks it."""
    root = tmp_path / "tree"
    root.mkdir()
    name, at = b"d" * 200, os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(24):
        os.mkdir(name, dir_fd=at)
        at, above = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=at), at
        os.close(above)
    with os.fdopen(os.open(b"f" * 255, os.O_WRONLY | os.O_CREAT, 0o640, dir_fd=at), "wb") as file:
        file.write(b"deep down")
    os.close(at)
    _, report = Archiver(repository).snapshot([str(root)], hostname="here")
    assert (report.unreadable, report.files) == ([], 1)
    restore(repository, root, tmp_path / "restored")
    at = os.open(tmp_path / "restored", os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(24):
        at, above = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=at), at
        os.close(above)
    with os.fdopen(os.open(b"f" * 255, os.O_RDONLY, dir_fd=at), "rb") as file:
        assert (file.read(), os.fstat(file.fileno()).st_mode & 0o777) == (b"deep down", 0o640)
    os.close(at)
    restic("check", "--read-data")
    assert ("d" * 200 + "/" + "f" * 255) in restic("ls", "latest").stdout.decode()
