"""The file holds whole lines only, stays bounded, follows logrotate, and survives a full disk."""

import json
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.outputs.ndjson import NdjsonFile
from agent.outputs.rendering import Rendering
from contracts.event import Envelope

Make = Callable[..., Envelope]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.ndjson"


def opened(path: Path, rendering: Rendering, rotate_at: int = 1 << 20, keep: int = 2) -> NdjsonFile:
    return NdjsonFile(path, rendering.ocsf, rotate_at=rotate_at, keep=keep)


def seqs(path: Path) -> list[int]:
    return [json.loads(line)["metadata"]["sequence"] for line in path.read_text().splitlines()]


def test_each_event_is_one_line_of_ocsf(path: Path, rendering: Rendering, envelope: Make) -> None:
    output = opened(path, rendering)
    output.write(envelope(1, process="evil\nline"))
    output.write(envelope(2))
    assert seqs(path) == [1, 2]
    assert (output.state().written, output.state().lost, output.state().problem) == (2, 0, "")
    assert path.stat().st_mode & 0o777 & ~0o640 == 0


def test_it_turns_over_at_its_size_and_keeps_so_many(path: Path, rendering: Rendering, envelope: Make) -> None:
    output = opened(path, rendering, rotate_at=4000, keep=2)
    for seq in range(1, 30):
        output.write(envelope(seq))
    files = sorted(entry.name for entry in path.parent.iterdir())
    assert files == ["events.ndjson", "events.ndjson.1", "events.ndjson.2"]
    assert all(entry.stat().st_size <= 4000 for entry in path.parent.iterdir())
    kept = [seq for name in reversed(files) for seq in seqs(path.parent / name)]
    assert kept == list(range(kept[0], 30))


def test_without_kept_files_it_begins_anew(path: Path, rendering: Rendering, envelope: Make) -> None:
    output = opened(path, rendering, rotate_at=2000, keep=0)
    for seq in range(10):
        output.write(envelope(seq))
    assert [entry.name for entry in path.parent.iterdir()] == ["events.ndjson"]


@pytest.mark.parametrize("how", ["renamed", "removed"])
def test_after_logrotate_it_writes_to_the_new_file(path: Path, rendering: Rendering, envelope: Make, how: str) -> None:
    output = opened(path, rendering)
    output.write(envelope(1))
    if how == "renamed":
        path.rename(path.with_name("old"))
    else:
        path.unlink()
    output.write(envelope(2))
    assert seqs(path) == [2]


def test_a_missing_folder_is_counted_and_said_and_overcome(path: Path, rendering: Rendering, envelope: Make) -> None:
    output = opened(path.parent / "gone" / "events.ndjson", rendering)
    output.write(envelope(1))
    assert output.state().lost == 1
    assert "no such file or directory" in output.state().problem
    (path.parent / "gone").mkdir()
    output.write(envelope(2))
    assert output.state().problem == ""
    assert seqs(path.parent / "gone" / "events.ndjson") == [2]


@pytest.mark.parametrize("what", ["link", "fifo", "folder"])
def test_nothing_but_a_regular_file_is_written(path: Path, rendering: Rendering, envelope: Make, what: str) -> None:
    if what == "link":
        path.symlink_to("/dev/null")
    elif what == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    output = opened(path, rendering)
    output.write(envelope(1))
    assert output.state().lost == 1


@contextmanager
def little_room(max_bytes: int) -> Iterator[None]:
    """A file may not grow past this many bytes: what a full disk looks like to a writer. Brief, because pytest writes, too."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_leaves_whole_lines_and_is_counted(path: Path, rendering: Rendering, envelope: Make) -> None:
    output = opened(path, rendering)
    with little_room(2500):
        for seq in range(1, 6):
            output.write(envelope(seq))
    state = output.state()
    assert state.lost >= 1
    assert state.written + state.lost == 5
    assert seqs(path) == list(range(1, state.written + 1))
    assert "file too large" in state.problem
