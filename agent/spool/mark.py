"""The high-water mark: sequence numbers at or above it were never given out, even when the spool itself is lost."""

from pathlib import Path

from agent.sqlite_file import FileFull, replace_file
from contracts.event import Lane

BLOCK = 4096
"""How far the mark runs ahead, so that it is rarely written."""


class HighWater:
    """A small text file, one line `lane seq` each, replaced atomically."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found = False
        self._marks = dict.fromkeys(Lane, 0)
        self._read()

    def mark(self, lane: Lane) -> int:
        """Return the highest seq of `lane` that may have been given out, 0 when nothing is known."""
        return self._marks[lane]

    def reserve(self, lane: Lane, seq: int) -> None:
        """Make durable that seqs up to `seq` may be given out; raises `FileFull`."""
        if seq <= self._marks[lane]:
            return
        marks = {**self._marks, lane: seq + BLOCK}
        content = "".join(f"{name.value} {value}\n" for name, value in marks.items())
        try:
            replace_file(self.path, content.encode())
        except OSError as error:
            reason = f"{self.path} cannot be written: {error.strerror}"
            raise FileFull(reason, advice=f"free space on the file system that holds {self.path.parent}") from error
        self._marks = marks
        self.found = True

    def _read(self) -> None:
        try:
            lines = self.path.read_text("ascii").splitlines()
            marks = {Lane(name): int(value) for name, value in (line.split() for line in lines)}
        except (OSError, ValueError):
            return  # absent or damaged: the console's answer corrects the sequence
        if all(0 <= value < 1 << 60 for value in marks.values()):
            self._marks.update(marks)
            self.found = True
