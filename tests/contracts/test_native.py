"""Compiled modules are taken only where they were built of exactly these sources."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from contracts.native import SUFFIX, Finder, Room

NAME = "collectors.room.one.plain"
GROUP = "holdfast_room__mypyc"


def built(tmp_path: Path, suffix: str = SUFFIX) -> Finder:
    """Return a finder over one source and what claims to be built of it."""
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "one.py").write_text("ONE = 1\n")
    folder = tmp_path / "_native"
    (folder / "abc").mkdir(parents=True)
    (folder / "abc" / (NAME + SUFFIX)).touch()
    (folder / "abc" / (GROUP + SUFFIX)).touch()
    sources = {"one.py": sha256(b"ONE = 1\n").hexdigest()}
    (folder / "manifest.json").write_text(json.dumps({"suffix": suffix, "build": "abc", "sources": sources}))
    return Finder(["collectors.room.one.", "collectors.room.two"], GROUP, folder, tmp_path)


def test_modules_that_were_built_of_the_same_sources_are_taken(tmp_path: Path) -> None:
    finder = built(tmp_path)
    assert finder.state == ""
    assert finder.find_spec("collectors.room.kinds") is None and finder.state == "", "nothing is read for others"
    spec = finder.find_spec(NAME)
    assert spec is not None and str(spec.origin).endswith(f"_native/abc/{NAME}{SUFFIX}")
    assert finder.find_spec(GROUP) is not None and finder.state == "compiled"
    assert finder.find_spec("collectors.room.one.other") is None


def test_one_changed_source_makes_all_stale(tmp_path: Path) -> None:
    finder = built(tmp_path)
    (tmp_path / "one.py").write_text("ONE = 2\n")
    assert finder.find_spec(NAME) is None and finder.find_spec(GROUP) is None
    assert finder.state == "one.py was changed since they were built"
    finder = built(tmp_path / "again")
    (tmp_path / "again" / "one.py").unlink()
    assert finder.find_spec(NAME) is None and "one.py" in finder.state


def test_what_was_built_for_another_python_is_not_taken(tmp_path: Path) -> None:
    finder = built(tmp_path, suffix=".cpython-399-other.so")
    assert finder.find_spec(NAME) is None and finder.state == "built for another Python"


BARE = json.dumps({"suffix": SUFFIX})


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", BARE, json.dumps({"suffix": SUFFIX, "sources": {}})])
def test_a_damaged_manifest_is_no_reason_to_fail(tmp_path: Path, text: str) -> None:
    finder = built(tmp_path)
    (tmp_path / "_native" / "manifest.json").write_text(text)
    assert finder.find_spec(NAME) is None and finder.state not in ("", "compiled")


def test_a_build_whose_files_are_gone_is_no_reason_to_fail(tmp_path: Path) -> None:
    finder = built(tmp_path)
    (tmp_path / "_native" / "abc" / (NAME + SUFFIX)).unlink()
    (tmp_path / "_native" / "abc" / (GROUP + SUFFIX)).unlink()
    (tmp_path / "_native" / "abc").rmdir()
    assert finder.find_spec(NAME) is None and finder.state not in ("", "compiled")


def test_a_room_of_which_nothing_was_built_says_so(tmp_path: Path) -> None:
    room = Room("collectors.room", ["one.", "two"], tmp_path)
    room.install()
    assert room.group == GROUP and room.folder == tmp_path / "collectors" / "room" / "_native"
    assert room.how().startswith("uncompiled (")
