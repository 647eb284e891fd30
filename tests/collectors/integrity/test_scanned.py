"""What only the settings changed is no change of a file."""

from pathlib import Path

import pytest

from collectors.integrity.options import Options, Watched
from tests.collectors.integrity.running import options, replace_file, running


def watching(*entries: Watched) -> Options:
    plain = options()
    return Options(enabled=True, profiles=(), watch={str(n): entry for n, entry in enumerate(entries)}, pace=plain.pace)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree/sub").mkdir(parents=True)
    for name in ("x", "sub/y", "z.log"):
        (tmp_path / "tree" / name).write_text(name)
    return tmp_path / "tree"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"exclude": ("*.log", "sub")}),
        ({"exclude": ("*.log", "sub")}, {}),
        ({}, {"hash": "blake3"}),
        ({"hash": "blake3"}, {"hash": "none"}),
        ({"hash": "none"}, {}),
    ],
)
def test_other_settings_are_no_change_and_what_changes_after_is(
    tree: Path, tmp_path: Path, before: dict[str, object], after: dict[str, object]
) -> None:
    def entry(more: dict[str, object]) -> Options:
        return watching(Watched(paths=(str(tree),), **more))  # type: ignore[arg-type]

    with running(tmp_path / "state", entry(before)) as watch:
        watch.based()
    with running(tmp_path / "state", entry(after)) as watch:
        replace_file(tree / "x", b"other content", tmp_path)  # the first scan may meet it at any moment
        watch.until(lambda: ("modified", f"{tree}/x") in watch.kinds())
        watch.until(lambda: watch.snapshot.rows["scan"].name == "start" and not watch.emit.gaps)
        assert watch.kinds() == [("modified", f"{tree}/x")]


def test_a_part_that_gets_an_entry_of_its_own_is_known_already(tree: Path, tmp_path: Path) -> None:
    whole, part = Watched(paths=(str(tree),)), Watched(paths=(str(tree / "sub"),))
    with running(tmp_path / "state", watching(whole)) as watch:
        watch.based()
    (tree / "sub/y").write_text("changed meanwhile")
    with running(tmp_path / "state", watching(whole, part)) as watch:
        watch.until(lambda: watch.kinds() == [("modified", f"{tree}/sub/y")])


def test_what_is_watched_no_more_leaves_without_a_word(tree: Path, tmp_path: Path) -> None:
    whole, part = Watched(paths=(str(tree),)), Watched(paths=(str(tree / "sub"),))
    with running(tmp_path / "state", watching(whole)) as watch:
        watch.based()
    with running(tmp_path / "state", watching(part)) as watch:
        (tree / "sub/new").touch()
        watch.until(lambda: bool(watch.kinds()))
        assert watch.kinds() == [("created", f"{tree}/sub/new")]
        assert [key for key in watch.snapshot.rows if key.startswith("root")] == [f"root {tree}/sub"]
