"""What stands on the disk now, as the judgement asks it beside what packages ship: accounts, digests, contents, names."""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.errors import Unavailable, Why
from contracts.host import ReadOnlyHost
from contracts.record import Record
from contracts.trees import Node, TreePlan

if TYPE_CHECKING:
    from collectors.integrity.packages.put_off import PutOff

_MERGED = (b"/bin", b"/sbin", b"/lib", b"/lib32", b"/lib64", b"/libx32")
_CHUNK = 1 << 18
_PLAN = TreePlan(hash_name="sha256", threads=1)
LATE_MS = 86_400_000
"""How long after a run changes that belong to it may still be found, where only scans look."""


def at_once() -> None:
    """Wait for nothing."""


class Learnt(Record):
    """What one round of learning came to: archives read anew, of them signed, and a sentence for each thing that could not be told.

    `altered` are packages whose header is not what its makers signed, each with what is wrong.
    """

    archives: int = 0
    signed: int = 0
    flaws: tuple[str, ...] = ()
    altered: tuple[tuple[str, str], ...] = ()


class Present:
    """The half of `contracts.provenance.Knowledge` that is the same for every package database."""

    late: "PutOff | None" = None
    """Where packages are known only after their files: what is judged again when a run is over."""

    def __init__(self, host: ReadOnlyHost) -> None:
        self._host = host
        self._merged = frozenset(top for top in _MERGED if Path(os.fsdecode(top)).is_symlink())

    def account(self, owner: str, group: str) -> tuple[int | None, int | None]:
        """Return the numbers of a user and a group by name."""
        return self._number("/etc/passwd", owner), self._number("/etc/group", group)

    def _number(self, path: str, name: str) -> int | None:
        if name == "root":
            return 0
        if not name:
            return None
        for line in self._host.files.read(path, 8 << 20).decode("utf-8", "replace").splitlines():
            fields = line.split(":")
            if fields[0] == name and len(fields) > 2 and fields[2].isdigit():
                return int(fields[2])
        return None

    def digest(self, path: bytes, algorithm: str) -> str:
        """Return the hex digest of the file as it is now, "" when it cannot be read."""
        made = hashlib.new(algorithm, usedforsecurity=False)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return ""
        try:
            while chunk := os.read(descriptor, _CHUNK):
                made.update(chunk)
        except OSError:
            return ""
        finally:
            os.close(descriptor)
        return made.hexdigest()

    def read(self, path: bytes, max_bytes: int) -> bytes | None:
        """Return the present content, None when it cannot be read or is longer."""
        try:
            return self._host.files.read(os.fsdecode(path), max_bytes)
        except Unavailable:
            return None

    def node(self, path: bytes) -> Node | None:
        """Return what stands at a name now."""
        try:
            return self._host.trees.node(path, _PLAN)
        except Unavailable as error:
            if error.why is Why.NOT_PRESENT:
                return None
            raise

    def names(self, folder: bytes) -> list[bytes]:
        """Return the names in a folder, none where it cannot be listed."""
        try:
            return self._host.files.names(os.fsdecode(folder))
        except Unavailable:
            return []

    def unmerged(self, path: bytes) -> list[bytes]:
        """Return the names under which an archive may ship what stands at `path`, after the merge of /bin and the like into /usr."""
        top, _, rest = path.removeprefix(b"/usr").removeprefix(b"/").partition(b"/")
        if path.startswith(b"/usr/") and b"/" + top in self._merged and rest:
            return [path, path.removeprefix(b"/usr")]
        return [path]
