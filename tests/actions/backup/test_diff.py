"""Diff says what stock restic says: signs, order and statistics, of trees that changed in every way."""

import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from actions.backup.diff import Diff, same_node
from actions.backup.errors import NoSuchBlob
from actions.backup.node import ExtendedAttribute, Node
from actions.backup.repository import Repository
from actions.backup.walk import go_text
from tests.actions.backup.conftest import CHEAP, PASSWORD, Restic
from tests.actions.backup.histories import change, save
from tests.actions.backup.odd_tree import make

SEED = int(os.environ.get("HOLDFAST_SEED", "20261122"))


def compare(repository: Repository, before: str, after: str, *, metadata: bool = False) -> list[dict[str, Any]]:
    diff = Diff(repository, metadata=metadata)
    trees = repository.load_snapshot(before).tree, repository.load_snapshot(after).tree
    said = [change.json for change in diff.changes(*trees)]
    assert diff.statistics.unknown_blobs == 0
    return [*said, diff.statistics.json(before, after)]


def ask(restic: Restic, *words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in restic("diff", "--json", *words).stdout.splitlines()]


def test_every_kind_of_change_is_said_as_restic_says_it(
    where: Path, tmp_path: Path, repository: Repository, restic: Restic
) -> None:
    tree = make(tmp_path / "tree")
    first = save(where, tree, 0)
    (tree / "big text").write_bytes((tree / "big text").read_bytes() + b"more")
    os.chmod(tree / "empty", 0o600)
    (tree / "fifo").unlink()
    (tree / "fifo").mkdir()
    (tree / "fifo" / "inside").write_text("x")
    shutil.rmtree(tree / "dir empty")
    (tree / "dir empty").write_text("a file now")
    (tree / "link").unlink()
    os.symlink("elsewhere", tree / "link")
    (tree / "new dir" / "sub").mkdir(parents=True)
    (tree / "new dir" / "sub" / "file").write_text("new")
    (tree / "plain").unlink()
    os.setxattr(tree / "zeros", "user.bytes", b"other")
    second = save(where, tree, 1)
    shutil.rmtree(tree / "deep")
    third = save(where, tree, 2)
    repository.load_index()
    for before, after in ((first, second), (second, first), (first, third), (third, second), (first, first)):
        assert compare(repository, before, after) == ask(restic, before, after)
        assert compare(repository, before, after, metadata=True) == ask(restic, "--metadata", before, after)
    signs = {change.get("modifier") for change in compare(repository, first, second, metadata=True)}
    assert {"+", "-", "M", "U", "TU"} <= signs


def test_random_histories_of_both_programs(where: Path, tmp_path: Path, restic: Restic, version: int) -> None:
    from actions.backup.stores.local import LocalStore

    Repository.create(LocalStore(where), PASSWORD, version=version, cost=CHEAP)
    dice = random.Random(SEED + version)
    ids = []
    for number in range(3):
        change(tmp_path / "tree", dice)
        ids.append(save(where, tmp_path / "tree", number))
        change(tmp_path / "tree", dice)
        said = restic("backup", "--json", tmp_path / "tree").stdout.splitlines()[-1]
        ids.append(json.loads(said)["snapshot_id"])
    opened = Repository.open(LocalStore(where), PASSWORD)
    opened.load_index()
    whole = {id[:8]: id for id, _ in opened.snapshots()}
    ids = [whole[id[:8]] for id in ids]
    for _ in range(8):
        before, after = dice.sample(ids, 2)
        metadata = dice.random() < 0.5
        theirs = ask(restic, *(["--metadata"] if metadata else []), before, after)
        assert compare(opened, before, after, metadata=metadata) == theirs


def test_nodes_that_say_the_same_in_other_words_are_the_same() -> None:
    def node(**more: Any) -> Node:
        fields: dict[str, Any] = {
            "name": "f", "type": "file", "mtime": "2026-01-01T00:00:00Z", "atime": "2026-01-01T00:00:00Z",
            "ctime": "2026-01-01T00:00:00Z", "uid": 0, "gid": 0, "content": None,
        }  # fmt: skip
        return Node(**(fields | more))

    one, two = ExtendedAttribute("user.a", b"1"), ExtendedAttribute("user.b", None)
    assert same_node(node(), node(mtime="2026-01-01T02:00:00+02:00"))
    assert same_node(node(content=[]), node())
    assert same_node(node(extended_attributes=[one, two]), node(extended_attributes=[two, one]))
    for other in (
        node(mtime="2026-01-01T00:00:00.000000001Z"), node(uid=1), node(content=["a"]), node(extended_attributes=[one]),
        node(type="dir"), node(size=1),
    ):  # fmt: skip
        assert not same_node(node(), other)


def test_what_cannot_be_read_is_told(where: Path, tmp_path: Path, repository: Repository) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a").write_text("a")
    first = save(where, tree, 0)
    repository.load_index()
    told: list[str] = []
    diff = Diff(repository, trouble=lambda path, _: told.append(go_text(path)))
    list(diff.changes(repository.load_snapshot(first).tree, "f" * 64))
    assert told == ["/"]
    assert diff.statistics.unknown_blobs == 1
    with pytest.raises(NoSuchBlob):
        list(Diff(repository).changes(repository.load_snapshot(first).tree, "f" * 64))
