"""A watch at work on real folders, for tests: its engine in a thread, and what the collector tells of it."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.channel import Ending
from collectors.integrity.collector import IntegrityCollector
from collectors.integrity.engine import Engine
from collectors.integrity.options import Options, Pace, Watched
from contracts.coverage import Blind
from contracts.event import Event
from contracts.snapshot import Snapshot, apply
from contracts.subjects.integrity import SUBJECT, Row
from host.linux import LinuxHost


class Emitted:
    """What a watcher said."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.gaps: list[str] = []
        self.spots: tuple[Blind, ...] = ()
        self.asked = 0

    def event(self, event: Event) -> None:
        self.events.append(event)

    def changed(self, subject: str) -> None:
        assert subject == SUBJECT
        self.asked += 1

    def gap(self, reason: str, seconds: float) -> None:
        self.gaps.append(reason)

    def blind(self, spots: tuple[Blind, ...]) -> None:
        self.spots = spots


class Running:
    """One watch and the core beside it: `told` collects the events of every look, as the core would store them."""

    def __init__(self, state: Path, options: Options) -> None:
        self.options = options
        self.host: Any = LinuxHost()
        self.host.state = str(state)
        self.emit = Emitted()
        self.told: list[Event] = []
        self.snapshot: Snapshot[Row] = Snapshot(subject=SUBJECT)
        self._collector = IntegrityCollector(options)
        self._ending = Ending()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error

    def look(self) -> list[Event]:
        """Look as the core does, and store what came of it."""
        report = self._collector.collect(self.host, self.snapshot)
        self.told += report.events
        rows = apply(self.snapshot.rows, report.changes)
        self.snapshot = Snapshot(subject=SUBJECT, revision=self.snapshot.revision + 1, rows=rows)
        self.blind = report.blind
        return list(report.events)

    def until(self, holds: Callable[[], bool], seconds: float = 60.0) -> None:
        """Look until something holds."""
        end = time.monotonic() + seconds
        while True:
            self.look()
            if holds():
                return
            if self._error is not None:
                raise self._error
            assert time.monotonic() < end, [(e.kind, e.key) for e in self.told[-30:]]
            time.sleep(0.05)

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """Have the watch hear of nothing before the end of the block: however long its steps take, no look comes between two of them.

        For a watch that has its baseline, since a scan does not wait for notices.
        """
        with self.engine._ears:
            yield

    def based(self) -> None:
        """Wait for the baseline, and forget what was told so far."""
        self.until(lambda: "scan" in self.snapshot.rows)
        self.told.clear()

    def kinds(self) -> list[tuple[str, str]]:
        """Return kind and key of what was told of changes, without the subject's name."""
        quiet = {"integrity.sealed", "integrity.baseline_made"}
        return [(e.kind.partition(".")[2], e.key) for e in self.told if e.kind not in quiet]

    def _run(self) -> None:
        try:
            self.engine = Engine(self.options, self.host, self.emit, self._ending)
            self.engine.run()
        except BaseException as error:  # noqa: BLE001  # raised again by the thread of the test
            self._error = error


def options(*paths: Path, **settings: Any) -> Options:
    """Return settings that watch some paths and nothing else."""
    entry = {name: settings.pop(name) for name in list(settings) if name in Watched.__struct_fields__}
    texts = tuple(str(path) for path in paths)
    settings.setdefault("pace", Pace(io=100, cpu=100))
    return Options(enabled=True, profiles=(), watch={"test": Watched(paths=texts, **entry)}, **settings)


@contextmanager
def running(state: Path, chosen: Options) -> Iterator[Running]:
    """A watch at work until the end of the block."""
    state.mkdir(exist_ok=True)
    watch = Running(state, chosen)
    watch.start()
    try:
        yield watch
    finally:
        watch.stop()


def replace_file(path: Path, content: bytes, beside: Path | None = None) -> None:
    """Replace a file as editors do, by one that was written in its folder or in another of the same file system (`beside`)."""
    other = (beside or path.parent) / (path.name + ".new")
    other.write_bytes(content)
    os.replace(other, path)
