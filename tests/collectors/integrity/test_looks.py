"""Folders that come, go, move and change places are followed, and nothing leads outside."""

import ctypes
import os
import time
from itertools import pairwise
from pathlib import Path

import pytest

from collectors.integrity.book import FILE, Book
from collectors.integrity.looks import MOST_ROUNDS
from contracts.file_change import Change
from tests.collectors.integrity.running import options, running


def exchange(one: Path, other: Path) -> None:
    """Have two names change places at once (renameat2(2)): no look falls in between."""
    here, flags = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    call = ctypes.CDLL(None, use_errno=True).renameat2
    assert call(here, os.fsencode(one), here, os.fsencode(other), flags) == 0, os.strerror(ctypes.get_errno())


def test_folders_that_change_places_are_two_renames_and_stay_watched(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for name in ("a", "b"):
        (tree / name).mkdir(parents=True)
        (tree / name / f"in-{name}").write_text(name)
    with running(tmp_path / "state", options(tree)) as watch:
        watch.based()
        exchange(tree / "a", tree / "b")
        watch.until(lambda: len(watch.kinds()) >= 2)
        with watch.unheard():
            (tree / "a/in-b").write_text("changed")
        watch.until(lambda: len(watch.kinds()) >= 3)
        assert sorted(watch.kinds()) == [
            ("modified", f"{tree}/a/in-b"),
            ("renamed", f"{tree}/a"),
            ("renamed", f"{tree}/b"),
        ]


@pytest.mark.parametrize("names", ["abc", "aba", "abcb", "abcabd"])
def test_a_folder_that_is_renamed_while_it_is_looked_at_is_known_where_it_is_at_last(
    tmp_path: Path, names: str
) -> None:
    """Each further rename comes between two rounds of one look, which then sees the folder at every one of its names."""
    tree, state = tmp_path / "tree", tmp_path / "state"
    (tree / "a").mkdir(parents=True)
    (tree / "a/file").write_text("as it was")
    with running(state, options(tree)) as watch:
        watch.based()
        looks, further = watch.engine._looks, list(pairwise(names[1:]))
        catch_up = looks._catch_up

        def renames() -> None:
            if further:
                former, name = further.pop(0)
                (tree / former).rename(tree / name)
            catch_up()

        looks._catch_up = renames
        (tree / "a").rename(tree / "b")
        watch.until(lambda: not further and not watch.engine._dirty.pending())
        at = tree / names[-1]
        with watch.unheard():
            (at / "file").write_text("changed")
        watch.until(lambda: ("modified", f"{at}/file") in watch.kinds())
        assert [one for one in watch.kinds() if one[0] != "renamed"] == [("modified", f"{at}/file")]
    book = Book(state / FILE)
    held = [os.fsdecode(one.path) for one in book.below(os.fsencode(tree))]
    book.close()
    assert sorted(held) == [str(tree), str(at)]


@pytest.mark.parametrize("is_folder", [False, True])
def test_what_is_renamed_again_before_it_is_found_is_one_rename_however_often(tmp_path: Path, is_folder: bool) -> None:
    """At each name at which a round of the look looks for it, it is no more: that round finds nothing, and the next one goes on."""
    tree = tmp_path / "tree"
    tree.mkdir()
    if is_folder:
        (tree / "a").mkdir()
    (tree / ("a/file" if is_folder else "a")).write_text("as it was")
    with running(tmp_path / "state", options(tree)) as watch:
        watch.based()
        looks, further = watch.engine._looks, list(pairwise("bcde"))
        look_in = looks._look_in

        def renames(folder: bytes, names: set[bytes] | None) -> list[Change]:
            if further:
                former, name = further.pop(0)
                (tree / former).rename(tree / name)
            return look_in(folder, names)

        looks._look_in = renames  # type: ignore[method-assign]
        (tree / "a").rename(tree / "b")
        watch.until(lambda: bool(watch.kinds()) and not watch.engine._dirty.pending())
        watch.look()
        assert not further and watch.kinds() == [("renamed", f"{tree}/e")]


def test_what_moves_on_for_longer_than_a_look_lasts_is_found_by_the_next(tmp_path: Path) -> None:
    """Nothing that waits is taken up by a round that does not come any more."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "0").write_text("as it was")
    with running(tmp_path / "state", options(tree)) as watch:
        watch.based()
        looks, further = watch.engine._looks, list(range(1, MOST_ROUNDS + 4))
        look_in = looks._look_in

        def renames(folder: bytes, names: set[bytes] | None) -> list[Change]:
            if further and folder == os.fsencode(tree):  # not where roots are looked for, from time to time
                number = further.pop(0)
                (tree / str(number)).rename(tree / str(number + 1))
            return look_in(folder, names)

        looks._look_in = renames  # type: ignore[method-assign]
        (tree / "0").rename(tree / "1")
        last = f"{tree}/{MOST_ROUNDS + 4}"
        watch.until(lambda: any(key == last for _, key in watch.kinds()))


def test_a_whole_tree_that_comes_is_told_name_by_name_in_lists(tmp_path: Path) -> None:
    tree, other = tmp_path / "tree", tmp_path / "other"
    tree.mkdir()
    for number in range(400):
        (other / f"{number % 20}").mkdir(parents=True, exist_ok=True)
        (other / f"{number % 20}/{number}").touch()
    with running(tmp_path / "state", options(tree)) as watch:
        watch.based()
        other.rename(tree / "here")
        watch.until(
            lambda: sum(int(str(e.fields.get("count", 1))) for e in watch.told if "root" not in e.fields) >= 421
        )
        listed = {str(line) for e in watch.told for line in e.fields.get("changes", ())}  # type: ignore[union-attr]
        assert any(line.startswith(f"created {tree}/here/7/387") for line in listed)
        (tree / "here/7/387").write_text("x")
        watch.until(lambda: ("modified", f"{tree}/here/7/387") in watch.kinds())


def test_what_is_left_out_is_not_told(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "cache").mkdir(parents=True)
    with running(tmp_path / "state", options(tree, exclude=("cache", "*.log"))) as watch:
        watch.based()
        (tree / "x.log").touch()
        (tree / "cache/y").touch()
        (tree / "z").touch()
        watch.until(lambda: bool(watch.kinds()))
        time.sleep(0.4)
        watch.look()
        assert watch.kinds() == [("created", f"{tree}/z")]


def test_links_pipes_and_strange_names_never_lead_outside_or_block(tmp_path: Path) -> None:
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    tree.mkdir()
    outside.mkdir()
    (outside / "secret").touch()
    with running(tmp_path / "state", options(tree)) as watch:
        watch.based()
        (tree / "link").symlink_to(outside)
        os.mkfifo(tree / "fifo")
        os.mknod(tree / "device", 0o600 | 0o020000, os.makedev(1, 3))
        for name in (b"new\nline", b"\xff\xfe", b"x" * 255):
            (tree / os.fsdecode(name)).touch()
        watch.until(lambda: len(watch.kinds()) >= 6)
        (outside / "secret").write_text("changed")
        (tree / "sub").mkdir()
        (tree / "sub").rmdir()
        (tree / "sub").symlink_to(outside)
        watch.until(lambda: len(watch.kinds()) >= 7)
        time.sleep(0.4)
        watch.look()
        names = {key.removeprefix(f"{tree}/") for _, key in watch.kinds()}
        assert names == {"link", "fifo", "device", "new\nline", "\\xff\\xfe", "x" * 255, "sub"}


def test_a_limit_of_watches_is_said_and_the_scan_finds_the_rest(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for number in range(5):
        (tree / str(number)).mkdir(parents=True)
    with running(tmp_path / "state", options(tree)) as watch:
        watch.based()
        engine_looks = watch.engine._looks
        assert engine_looks.notices is not None
        engine_looks.notices.watch = lambda place, descriptor: False  # type: ignore[method-assign]
        (tree / "late").mkdir()
        watch.until(lambda: any(e.kind == "integrity.watch_limit" for e in watch.emit.events))
        (short,) = [spot for spot in watch.emit.spots if "watched folders" in spot.what]
        assert short.fix.startswith("Raise fs.inotify")
