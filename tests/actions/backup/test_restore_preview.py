"""What a restore would do is said without touching anything."""

import os
from pathlib import Path

import pytest

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
    assert (found.new, found.replaced, found.alike, found.failed, found.dirs) == (1, 3, 2, 1, 1)
    assert found.bytes == len("gone") + len("changed") + len("same") + len("folder/deep")
    assert [(os.path.basename(told.path), told.what.split(",")[0]) for told in found.named] == [
        (b"blocked", "is a directory"),
        (b"changed", "would be replaced"),
    ]
    assert sorted(os.listdir(target)) == before
    part = preview(repository, tree, str(target), steps([b"/folder/deep"]))
    assert (part.new, part.replaced, part.alike, part.dirs) == (0, 1, 1, 1)
    nowhere = preview(repository, tree, str(tmp_path / "nowhere"))
    assert nowhere.new == 5
    never = preview(repository, tree, str(target), overwrite=Overwrite.NEVER)
    assert (never.new, never.replaced, never.left, never.named) == (1, 0, 4, [])
    less = preview(repository, tree, str(tmp_path / "nowhere"), excluded=lambda path: path in {b"/folder", b"/gone"})
    assert (less.new, less.dirs) == (3, 0)


@pytest.mark.parametrize("overwrite", [Overwrite.ALWAYS, Overwrite.IF_CHANGED, Overwrite.NEVER])
@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize("asked", [None, [b"/folder", b"/nowhere", b"/same"]])
def test_it_says_what_that_very_restore_does(
    repository: Repository, tmp_path: Path, overwrite: Overwrite, verify: bool, asked: list[bytes] | None
) -> None:
    root, target, elsewhere = tmp_path / "root", tmp_path / "target", tmp_path / "elsewhere"
    for name in ("same", "secretly", "changed", "gone", "folder/deep", "blocked/below", "linked/below", "barred"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name * 100)
    (root / "gone too").hardlink_to(root / "gone")
    (root / "same too").hardlink_to(root / "same")
    (root / "link").symlink_to("same")
    repository.load_index()
    id, _ = Archiver(repository).snapshot([str(root)], hostname="here")
    repository.load_index()
    tree = find_tree(repository, repository.load_snapshot(id).tree, str(root))
    Restorer(repository).restore(tree, target)
    elsewhere.mkdir()
    (elsewhere / "below").write_text("another's")
    for name in ("gone", "gone too", "same too", "barred", "blocked/below", "linked/below"):
        (target / name).unlink()
    (target / "linked").rmdir()
    (target / "linked").symlink_to(elsewhere)
    (target / "blocked").rmdir()
    (target / "blocked").write_text("a file where a folder was")
    (target / "barred" / "in the way").mkdir(parents=True)
    (target / "changed").write_text("changed since")
    status = (target / "secretly").stat()
    (target / "secretly").write_text("SECRETLY" * 100)
    os.utime(target / "secretly", ns=(status.st_atime_ns, status.st_mtime_ns))

    wanted = steps(asked) if asked else None
    said = preview(repository, tree, str(target), wanted, overwrite=overwrite, verify=verify)
    done = Restorer(repository, verify=verify, overwrite=overwrite).restore(tree, target, wanted)
    assert (said.new + said.replaced, said.bytes) == (done.files + done.others, done.bytes)
    assert (said.unchanged, said.left, said.failed) == (done.unchanged, done.skipped, len(done.failed))
    assert said.dirs == done.dirs
    assert (elsewhere / "below").read_text() == "another's"
