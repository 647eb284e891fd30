"""Listings are those of stock restic, line by line and object by object, of a directory with everything in it."""

import json
import os
from pathlib import Path

import pytest

from actions.backup.listing import entry_json, found_json, list_entries, long_line, mode_text, snapshot_json
from actions.backup.repository import Repository
from actions.backup.walk import Entry
from contracts.errors import UsageError
from tests.actions.backup.conftest import Restic
from tests.actions.backup.histories import save
from tests.actions.backup.odd_tree import make


@pytest.fixture
def id(where: Path, tmp_path: Path, repository: Repository) -> str:
    id = save(where, make(tmp_path / "tree"), 0)
    repository.load_index()
    return id


def entries(repository: Repository, id: str, *dirs: bytes, recursive: bool = False) -> list[Entry]:
    return list(list_entries(repository, repository.load_snapshot(id), dirs, recursive=recursive))


def test_json_is_that_of_restic(repository: Repository, restic: Restic, id: str) -> None:
    lines = [json.loads(line) for line in restic("ls", "--json", id).stdout.splitlines()]
    ours = [json.loads(json.dumps(entry_json(entry))) for entry in entries(repository, id)]
    assert ours == lines[1:]
    head = {**snapshot_json(id, repository.load_snapshot(id)), "struct_type": "snapshot"}
    assert {key: head[key] for key in lines[0]} == lines[0]
    assert len(ours) > 50


def test_the_long_form_is_that_of_restic(
    repository: Repository, restic: Restic, id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = restic("ls", "-l", id).stdout.partition(b"\n")[2]
    ours = b"".join(_raw_line(entry) for entry in entries(repository, id))
    assert ours == said


def _raw_line(entry: Entry) -> bytes:
    """restic prints raw bytes, and of an odd link target what its JSON made of it."""
    target = f" -> {entry.node.linktarget}".encode() if entry.node.type == "symlink" else b""
    text = long_line(entry)
    head = text[: text.index(entry.text)]
    return head.encode() + entry.path + target + b"\n"


def test_directories_limit_what_is_listed(repository: Repository, restic: Restic, id: str, tmp_path: Path) -> None:
    root = tmp_path / "tree"
    for words in (
        [root],
        [root / "deep"],
        [root / "deep", root / "dir empty"],
        [root / "plain"],
        [Path("/")],
        [root / "no"],
    ):
        for recursive in (False, True):
            more = ["--recursive"] if recursive else []
            said = restic("ls", *more, id, *words).stdout.partition(b"\n")[2]
            found = entries(repository, id, *map(os.fsencode, words), recursive=recursive)
            assert b"".join(entry.path + b"\n" for entry in found) == said, (words, recursive)


def test_a_relative_path_is_refused(repository: Repository, id: str) -> None:
    with pytest.raises(UsageError, match="etc is not an absolute path"):
        entries(repository, id, b"etc")


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        (0o644, "-rw-r--r--"),
        (1 << 31 | 0o755, "drwxr-xr-x"),
        (1 << 23 | 0o755, "urwxr-xr-x"),
        (1 << 31 | 1 << 20 | 0o777, "dtrwxrwxrwx"),
        (1 << 26 | 1 << 21 | 0o600, "Dcrw-------"),
        (0, "----------"),
    ],
)
def test_modes_are_written_as_go_does(mode: int, text: str) -> None:
    assert mode_text(mode) == text


def test_a_found_node_shows_what_a_reader_needs(repository: Repository, id: str, tmp_path: Path) -> None:
    (entry,) = (e for e in entries(repository, id) if e.path.endswith(b"/big text"))
    shown = found_json(entry.text, entry.node)
    assert list(shown)[:3] == ["path", "permissions", "type"]
    assert not {"content", "name", "inode", "extended_attributes"} & set(shown)
