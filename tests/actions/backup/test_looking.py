"""Choosing snapshots in restic's words; `tests/agent/cli/test_backup_look.py` tests what is shown."""

import io
from pathlib import Path

import pytest

from actions.backup.archiver import Archiver
from actions.backup.desk import Desk
from actions.backup.looking import selection
from actions.backup.repository import Repository
from actions.backup.selection import Selection
from contracts.errors import UsageError


def test_tags_with_a_comma_are_all_wanted() -> None:
    assert selection(["a"], ["x,y", "z", ""], ["/p"]) == Selection(("a",), (("x", "y"), ("z",), ()), ("/p",))


def test_a_folder_of_a_snapshot_is_compared_and_written_out(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "root" / "a").mkdir(parents=True)
    (tmp_path / "root" / "a" / "f").write_text("one")
    repository.load_index()
    first, _ = Archiver(repository).snapshot([str(tmp_path / "root")], hostname="here")
    (tmp_path / "root" / "a" / "f").write_text("two, longer")
    second, _ = Archiver(repository).snapshot([str(tmp_path / "root")], hostname="here")
    desk = Desk(repository)
    told: list[bytes] = []
    folder = f"{tmp_path}/root/a"
    desk.diff(
        f"{first}:{folder}",
        f"{second}:{folder}",
        metadata=False,
        tell=lambda change: told.append(change.path),
        trouble=lambda *_: None,
    )
    assert told == [b"/f"]
    sink = io.BytesIO()
    desk.dump(first, f"{folder}/f", sink, chosen=Selection())
    assert sink.getvalue() == b"one"
    with pytest.raises(UsageError):
        desk.cat("everything", "")
