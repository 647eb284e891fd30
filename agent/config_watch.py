"""Notices at once that files of the configuration change on disk, so that what was edited and never loaded does not stay unseen.

The only user of watchdog, whose thread listens to inotify; what is told runs in the loop's thread.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.inotify import InotifyObserver

from agent.loop import Timer
from contracts.errors import Unavailable, Why

SETTLE_S = 2.0
"""So long after the last change it is told of: editors write in several steps, and a reload follows most edits."""
_CHANGES: list[type[FileSystemEvent]] = [
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
]
"""What the kernel is asked to tell. Opening and reading are no change, and would wake the agent for every look at a file."""


class Loop(Protocol):
    """What of the core's loop is needed."""

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Call back later."""

    def call_soon_threadsafe(self, callback: Callable[[], None]) -> None:
        """Call back in the loop's thread."""


class ConfigWatch(FileSystemEventHandler):
    """Calls `changed` when the file `path` or a drop-in beside it has been changed, made or removed, and has then been left alone."""

    def __init__(self, loop: Loop, path: Path, changed: Callable[[], None]) -> None:
        self._loop, self._path, self._drop_ins, self._changed = loop, path, path.with_suffix(".d"), changed
        self._observer = InotifyObserver()
        self._timer: Timer | None = None

    def start(self) -> None:
        """Begin; raises `Unavailable` when the kernel grants no inotify watch."""
        try:
            self._observer.schedule(self, str(self._path.parent), event_filter=_CHANGES)
            if self._drop_ins.is_dir():
                self._observer.schedule(self, str(self._drop_ins), event_filter=_CHANGES)
            self._observer.start()
        except OSError as error:
            advice = "raise fs.inotify.max_user_watches and fs.inotify.max_user_instances"
            message = f"changes of {self._path} are not noticed: {(error.strerror or str(error)).lower()}"
            raise Unavailable(Why.OTHER, message, advice=advice) from error

    def stop(self) -> None:
        """Listen no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join(timeout=5.0)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Take note, in watchdog's thread."""
        names = {Path(os.fsdecode(name)) for name in (event.src_path, event.dest_path) if name}
        if self._drop_ins in names and event.event_type == "created":
            self._loop.call_soon_threadsafe(self._watch_drop_ins)
        if event.is_directory and event.event_type == "modified":
            return  # a folder is modified by every file in it, and those speak for themselves
        if any(self._concerns(name) for name in names):
            self._loop.call_soon_threadsafe(self._noticed)

    def _concerns(self, name: Path) -> bool:
        return name in (self._path, self._drop_ins) or (name.parent == self._drop_ins and name.suffix == ".yaml")

    def _watch_drop_ins(self) -> None:
        if self._drop_ins.is_dir():
            self._observer.schedule(self, str(self._drop_ins), event_filter=_CHANGES)

    def _noticed(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(SETTLE_S, self._settled)

    def _settled(self) -> None:
        self._timer = None
        self._changed()
