"""A file with one OCSF event per line, for any log shipper. It never grows without bound and never stops the agent.

The file is renamed to `.1` (and so on) at a size; one that logrotate renamed or removed is begun anew. A line is written wholly or not at
all: when the disk is full the part that fitted is taken back, and the event is counted as lost here (the spool still has it).
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from agent.outputs.rendering import OutputState
from contracts.event import Envelope

MODE = 0o640


class NdjsonFile:
    """Appends events to `path`; keeps `keep` renamed files of about `rotate_at` bytes each."""

    def __init__(self, path: Path, render: Callable[[Envelope], dict[str, Any]], *, rotate_at: int, keep: int) -> None:
        self._path, self._render, self._rotate_at, self._keep = path, render, rotate_at, keep
        self._encoder = msgspec.json.Encoder()
        self._fd = -1
        self._written = self._lost = 0
        self._problem = ""

    def write(self, envelope: Envelope) -> None:
        """Append one event; what goes wrong is counted and shown by `state`."""
        line = self._encoder.encode(self._render(envelope)) + b"\n"
        try:
            self._append(line)
        except OSError as error:
            self._lost += 1
            self._problem = f"{self._path}: {(error.strerror or str(error)).lower()}"
            self.close()
            return
        self._written += 1
        self._problem = ""

    def state(self) -> OutputState:
        """Say how many events were written and lost, and what is wrong now."""
        return OutputState(name="ndjson", written=self._written, lost=self._lost, problem=self._problem)

    def close(self) -> None:
        """Give the file back; the next `write` opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _append(self, line: bytes) -> None:
        size = self._current()
        if size and size + len(line) > self._rotate_at:
            self._rotate()
            size = self._current()
        done = 0
        try:
            while done < len(line):
                done += os.write(self._fd, line[done:])
        except OSError:
            if done:
                os.ftruncate(self._fd, size)
            raise

    def _current(self) -> int:
        """Make sure that the file at `path` is the one that is open, and return its size."""
        if self._fd >= 0 and not self._same():
            self.close()
        if self._fd < 0:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            self._fd = os.open(self._path, flags, MODE)
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise OSError(0, "is not a regular file")
        return status.st_size

    def _same(self) -> bool:
        try:
            there = self._path.lstat()
        except FileNotFoundError:
            return False
        mine = os.fstat(self._fd)
        return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)

    def _rotate(self) -> None:
        self.close()
        for number in range(self._keep, 1, -1):
            older, old = self._numbered(number), self._numbered(number - 1)
            if old.exists():
                old.replace(older)
        if self._keep:
            self._path.replace(self._numbered(1))
        else:
            self._path.unlink()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")
