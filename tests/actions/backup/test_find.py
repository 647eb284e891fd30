"""Find finds what stock restic finds, by patterns, times and ids."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from actions.backup.blobs import BlobType
from actions.backup.find import Wanted, find, find_blobs, find_packs, find_trees
from actions.backup.repository import Repository
from actions.backup.selection import NoSuchSnapshot, select
from actions.backup.snapshot import Snapshot
from actions.backup.times import parse_time
from analysis.excludes import BadPattern
from tests.actions.backup.conftest import Restic
from tests.actions.backup.histories import save
from tests.actions.backup.odd_tree import make


@pytest.fixture
def snapshots(where: Path, tmp_path: Path, repository: Repository) -> list[tuple[str, Snapshot]]:
    tree = make(tmp_path / "tree")
    (tree / "Plain").write_text("upper")
    save(where, tree, 0)
    (tree / "plain").write_text("changed")
    (tree / "deep" / "plain").write_text("another")
    os.utime(tree / "deep" / "plain", (1_000_000_000, 1_000_000_000))
    save(where, tree, 1)
    repository.load_index()
    return select(repository)


def ask(restic: Restic, *words: str) -> dict[str, list[dict[str, Any]]]:
    return {found["snapshot"]: found["matches"] for found in json.loads(restic("find", "--json", *words).stdout)}


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Wanted(["plain"]), ["plain"]),
        (Wanted(["plain"], ignore_case=True), ["-i", "plain"]),
        (Wanted(["PLAI?"], ignore_case=True), ["-i", "PLAI?"]),
        (Wanted(["*.none"]), ["*.none"]),
        (Wanted(["deep/**/bottom"]), ["deep/**/bottom"]),
        (Wanted(["l*", "[bz]*"]), ["l*", "[bz]*"]),
        (Wanted(["dir *"]), ["dir *"]),
        (Wanted(["/tmp"]), ["/tmp"]),
        (Wanted(["*"], oldest_ns=parse_time("2020-01-01T00:00:00Z")), ["-O", "2020-01-01", "*"]),
        (Wanted(["*"], newest_ns=parse_time("2003-01-01T00:00:00Z")), ["-N", "2003-01-01", "*"]),
        (Wanted(["\\!x", "!x", "plain"]), ["\\!x", "plain"]),
    ],
)
def test_patterns_and_times_find_what_restic_finds(
    repository: Repository,
    restic: Restic,
    snapshots: list[tuple[str, Snapshot]],
    wanted: Wanted,
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    found: dict[str, list[dict[str, Any]]] = {}
    for hit in find(repository, snapshots, wanted):
        found.setdefault(hit.snapshot_id, []).append(json.loads(json.dumps(hit.json)))
    theirs = ask(restic, *words)
    assert set(found) == set(theirs)
    for id, matches in theirs.items():
        for ours, their in zip(found[id], matches, strict=True):
            ours.pop("linktarget_raw", None)  # restic 0.14 does not know it yet
            assert ours == their
    if "*.none" not in words:
        assert found


def test_a_pattern_that_is_none_is_refused(repository: Repository, snapshots: list[tuple[str, Snapshot]]) -> None:
    with pytest.raises(BadPattern):
        list(find(repository, snapshots, Wanted(["[a"])))


def by_place(found: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    return sorted(tuple(f"{key}={value}" for key, value in sorted(one.items())) for one in found)


def test_blobs_and_trees_are_found_where_restic_finds_them(
    repository: Repository, restic: Restic, snapshots: list[tuple[str, Snapshot]]
) -> None:
    blobs = list(repository.index.blobs())
    data = [blob.id.hex() for _, blob in blobs if blob.type is BlobType.DATA][:3]
    ours = [found.json for found in find_blobs(repository, snapshots, [data[0], data[1][:8], data[2]])]
    theirs = json.loads(restic("find", "--json", "--blob", data[0], data[1][:8], data[2]).stdout)
    assert by_place(ours) == by_place(theirs)
    assert ours
    trees = [blob.id.hex() for _, blob in blobs if blob.type is BlobType.TREE]
    for tree in trees:
        ours = [found.json for found in find_trees(repository, snapshots, [tree])]
        theirs = json.loads(restic("find", "--json", "--tree", tree).stdout) if trees.index(tree) < 4 else ours
        assert {one["id"] for one in theirs} <= {one["id"] for one in ours} == {tree}
        assert all(one in ours for one in theirs)


def test_a_snapshots_own_tree_is_the_root(repository: Repository, snapshots: list[tuple[str, Snapshot]]) -> None:
    (found,) = find_trees(repository, snapshots, [snapshots[0][1].tree])
    assert (found.path, found.snapshot_id) == ("/", snapshots[0][0])


def test_what_a_pack_is_needed_for_is_found_even_when_it_is_gone(
    repository: Repository, where: Path, snapshots: list[tuple[str, Snapshot]], tmp_path: Path
) -> None:
    (place,) = repository.index.find(
        BlobType.DATA, bytes.fromhex(_content(repository, snapshots[1][1], b"/deep/plain"))
    )
    name = place.pack.hex()
    before = [found.json for found in find_packs(repository, snapshots, [name[:10]])]
    (where / "data" / name[:2] / name).unlink()
    assert [found.json for found in find_packs(repository, snapshots, [name])] == before
    assert f"{tmp_path}/tree/deep/plain" in {found["path"] for found in before}
    with pytest.raises(NoSuchSnapshot, match="no pack"):
        list(find_packs(repository, snapshots, ["f" * 64]))


def _content(repository: Repository, snapshot: Snapshot, end: bytes) -> str:
    from actions.backup.walk import walk

    (entry,) = (entry for entry in walk(repository, snapshot.tree) if entry.path.endswith(end))
    assert entry.node.content
    return entry.node.content[0]
