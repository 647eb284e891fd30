"""Edits of the configuration are noticed, whichever way an editor writes; reading it is none."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import config_watch
from agent.config_watch import ConfigWatch
from agent.loop import Loop


class Bench:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "agent.yaml"
        self.path.write_text("log: {}\n")
        self.loop, self.told = Loop(), threading.Semaphore(0)
        self.watch = ConfigWatch(self.loop, self.path, self.told.release)
        self.thread = threading.Thread(target=self.loop.run)

    def start(self) -> None:
        self.watch.start()
        self.thread.start()

    def noticed(self, wait_s: float = 5.0) -> bool:
        return self.told.acquire(timeout=wait_s)

    def stop(self) -> None:
        self.watch.stop()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(config_watch, "SETTLE_S", 0.1)
    made = Bench(tmp_path)
    made.start()
    yield made
    made.stop()


def test_a_file_written_in_place_or_replaced_is_noticed_once_each(bench: Bench) -> None:
    bench.path.write_text("log: {level: debug}\n")
    assert bench.noticed()
    new = bench.path.with_name(".agent.yaml.new")
    new.write_text("x")
    new.replace(bench.path)
    assert bench.noticed() and not bench.noticed(0.3)


def test_reading_and_other_files_are_no_change(bench: Bench) -> None:
    bench.path.read_text()
    bench.path.with_name("other.yaml").write_text("x")
    assert not bench.noticed(0.5)


def test_reading_does_not_even_wake_the_watch(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(bench.watch, "on_any_event", lambda event: seen.append(event.event_type))
    for _ in range(50):
        bench.path.read_text()
    bench.path.write_text("x")
    until = threading.Event()
    for _ in range(50):
        if seen:
            break
        until.wait(0.1)
    assert seen and set(seen) <= {"modified", "closed"}


def test_drop_ins_are_noticed_in_a_folder_that_is_made_later(bench: Bench) -> None:
    folder = bench.path.with_suffix(".d")
    folder.mkdir()
    assert bench.noticed()
    (folder / "10-a.yaml").write_text("x")
    assert bench.noticed()
    (folder / "10-a.yaml").unlink()
    assert bench.noticed()
    (folder / "README").write_text("x")
    assert not bench.noticed(0.3)
