"""What a restore would do is said without touching anything."""

import os
from pathlib import Path

from actions.backup.archiver import Archiver
from actions.backup.repository import Repository
from actions.backup.restore_preview import preview
from actions.backup.restorer import Overwrite, Restorer, find_tree
from actions.backup.walking import steps


def test_new_replaced_unchanged_and_what_is_in_the_way(repository: Repository, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    for name in ("same", "changed", "gone", "folder/deep", "blocked"):
        (root / name).write_text(name)
    repository.load_index()
    id, _ = Archiver(repository).snapshot([str(root)], hostname="here")
    repository.load_index()
    tree = find_tree(repository, repository.load_snapshot(id).tree, str(root))
    target = tmp_path / "target"
    Restorer(repository).restore(tree, target)
    (target / "changed").write_text("changed since")
    (target / "gone").unlink()
    (target / "blocked").unlink()
    (target / "blocked").mkdir()
    before = sorted(os.listdir(target))
    found = preview(repository, tree, str(target))
    assert (found.new, found.replaced, found.unchanged, found.dirs) == (1, 1, 2, 1)
    assert found.bytes == len("gone") + len("changed")
    assert [(os.path.basename(told.path), told.what.split(",")[0]) for told in found.named] == [
        (b"blocked", "is a directory"),
        (b"changed", "would be replaced"),
    ]
    assert sorted(os.listdir(target)) == before
    part = preview(repository, tree, str(target), steps([b"/folder/deep"]))
    assert (part.new, part.replaced, part.unchanged, part.dirs) == (0, 0, 1, 1)
    nowhere = preview(repository, tree, str(tmp_path / "nowhere"))
    assert nowhere.new == 5
    never = preview(repository, tree, str(target), overwrite=Overwrite.NEVER)
    assert (never.new, never.replaced, never.left, never.named) == (1, 0, 4, [])
    less = preview(repository, tree, str(tmp_path / "nowhere"), excluded=lambda path: path in {b"/folder", b"/gone"})
    assert (less.new, less.dirs) == (3, 0)
