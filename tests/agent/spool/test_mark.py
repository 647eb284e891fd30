"""The high-water mark runs ahead of what is given out, and a damaged one says nothing."""

from pathlib import Path

import pytest

from agent.spool.mark import BLOCK, HighWater
from agent.sqlite_file import FileFull
from contracts.event import Lane


def test_the_mark_runs_ahead_and_is_kept(tmp_path: Path) -> None:
    mark = HighWater(tmp_path / "m")
    assert not mark.found
    mark.reserve(Lane.NORMAL, 5)
    again = HighWater(tmp_path / "m")
    assert (again.found, again.mark(Lane.NORMAL), again.mark(Lane.BULK)) == (True, 5 + BLOCK, 0)


def test_what_is_reserved_already_is_not_written_again(tmp_path: Path) -> None:
    mark = HighWater(tmp_path / "m")
    mark.reserve(Lane.NORMAL, 5)
    (tmp_path / "m").unlink()
    mark.reserve(Lane.NORMAL, 5 + BLOCK)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"normal x", b"other 3", b"normal -5", b"normal 99999999999999999999"]
)
def test_a_damaged_mark_says_nothing_wrong(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m").write_bytes(content)
    assert HighWater(tmp_path / "m").mark(Lane.NORMAL) == 0


def test_a_mark_that_cannot_be_written_refuses(tmp_path: Path) -> None:
    with pytest.raises(FileFull):
        HighWater(tmp_path / "none" / "m").reserve(Lane.NORMAL, 1)
