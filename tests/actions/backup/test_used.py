"""What is used: everything below the trees, once, and holes are named instead of passed over."""

import os
import random
from pathlib import Path

import pytest

from actions.backup.blobs import BlobType
from actions.backup.errors import Damaged
from actions.backup.ids import id_of
from actions.backup.repository import Repository
from actions.backup.tree import encode_tree
from actions.backup.used import Incomplete, Used, find_used
from tests.actions.backup.histories import change, save


def test_exactly_the_blobs_of_the_snapshots_are_used(where: Path, tmp_path: Path, repository: Repository) -> None:
    dice = random.Random(1)
    ids = []
    for number in range(3):
        change(tmp_path / "tree", dice)
        ids.append(save(where, tmp_path / "tree", number))
    repository.load_index()
    trees = [repository.load_snapshot(id).tree for id in ids]
    everything = find_used(repository, trees)
    assert all(everything.has(blob.type, blob.id) for _, blob in repository.index.blobs())
    last = find_used(repository, trees[2:])
    wanted = {(BlobType.TREE, bytes.fromhex(trees[2]))}
    stack = [trees[2]]
    while stack:
        for _, node in repository.load_tree(bytes.fromhex(stack.pop())):
            wanted |= {(BlobType.DATA, bytes.fromhex(id)) for id in node.content or ()}
            if node.subtree:
                wanted.add((BlobType.TREE, bytes.fromhex(node.subtree)))
                stack.append(node.subtree)
    found = {(blob.type, blob.id) for _, blob in repository.index.blobs() if last.has(blob.type, blob.id)}
    assert found == wanted
    assert len(found) < len(repository.index)


def test_only_the_first_entry_of_a_blob_carries_the_mark(repository: Repository) -> None:
    for _ in range(2):
        saver = repository.saver()
        repository.index.__init__()  # type: ignore[misc]
        id = saver.save(BlobType.DATA, b"twice" * 100)[0]
        saver.finish()
    repository.load_index()
    used = Used(repository.index)
    assert used.mark(BlobType.DATA, id)
    assert not used.mark(BlobType.DATA, id)
    assert bytes(used.marks(BlobType.DATA)) == b"\1\0"
    assert (used.is_marked(BlobType.DATA, 0), used.is_marked(BlobType.DATA, 1)) == (True, False)
    assert used.has(BlobType.DATA, id)
    assert not used.has(BlobType.TREE, id)


def test_holes_are_counted_and_the_first_is_named(repository: Repository) -> None:
    saver = repository.saver()
    not_a_tree = saver.save(BlobType.TREE, b"not a tree")[0]
    saver.finish()
    with pytest.raises(Damaged, match="not a tree"):
        find_used(repository, [not_a_tree.hex()])
    with pytest.raises(Incomplete, match=rf"2 blobs that snapshots need .* tree blob {'1' * 64}"):
        find_used(repository, ["1" * 64, "2" * 64])


def test_a_damaged_tree_is_named(repository: Repository, where: Path) -> None:
    saver = repository.saver()
    id = saver.save(BlobType.TREE, encode_tree([]) + b" " * 300)[0]
    saver.finish()
    (place,) = repository.index.find(BlobType.TREE, id)
    path = where / "data" / place.pack.hex()[:2] / place.pack.hex()
    path.chmod(0o600)
    path.write_bytes(os.urandom(path.stat().st_size))
    with pytest.raises(Damaged, match=place.pack.hex()):
        find_used(repository, [id.hex()])
    assert id_of(encode_tree([]) + b" " * 300) == id
