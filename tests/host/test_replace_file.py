"""A file is replaced as a whole or not at all."""

import os
from pathlib import Path

import pytest

from contracts.errors import Unavailable, Why
from host import replace_file


def test_content_and_mode_are_replaced_and_nothing_is_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "rules"
    path.write_text("old")
    replace_file.write(str(path), b"new", 0o640)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["rules"]


def test_a_failure_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rules"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable, match="No space left") as told:
        replace_file.write(str(path), b"new")
    assert told.value.advice == "make room there"
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["rules"]


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        replace_file.write(str(tmp_path / "no" / "file"), b"x")
    assert caught.value.why is Why.NOT_PRESENT
