"""SQLite files that somebody holds open, found without looking into processes: by the locks that SQLite takes.

A connection in WAL mode keeps a shared lock on a byte of the `-shm` file (120 to 128), any transaction locks bytes of the database from
1073741824 on; the kernel lists both with the file's number (proc_locks(5), and SQLite's `os_unix.c` and "WAL-mode file format").
"""

import re

from collectors.holdings.reading import DIRECTORY, REGULAR, Reading
from contracts.errors import Unavailable, Why

PLACES = ("/var/lib", "/srv", "/opt", "/var/www", "/usr/local", "/root", "/var/local")
_LOCK = re.compile(r"\d+: (?:POSIX|OFDLCK)\s+\w+\s+\w+\s+-?\d+ ([0-9a-f]+):([0-9a-f]+):(\d+) (\d+) (\d+|EOF)")
_SHM = range(120, 129)
_PENDING = range(1 << 30, (1 << 30) + 512)
_DEPTH = 5
_MOST = 30_000
_SKIPPED = frozenset({"/var/lib/docker", "/var/lib/containers", "/var/lib/containerd", "/var/lib/kubelet"})


def held_open(reading: Reading) -> list[str]:
    """The paths of databases below `PLACES` that somebody holds open."""
    numbers = _locked(reading)
    if not numbers:
        return []
    found: list[str] = []
    budget = [_MOST]
    for place in PLACES:
        _search(reading, place, numbers, found, budget, _DEPTH)
    if budget[0] <= 0:
        error = Unavailable(Why.TOO_LARGE, f"only the first {_MOST} entries of {', '.join(PLACES)} were looked at")
        reading.miss("SQLite files that are held open", error)
    return sorted(set(found))


def _locked(reading: Reading) -> dict[int, bool]:
    """The inode numbers of files that are locked as SQLite does it, each with whether that is a database itself."""
    numbers: dict[int, bool] = {}
    for line in reading.text("/proc/locks", 4 << 20).splitlines():
        said = _LOCK.match(line)
        if said is None:
            continue
        number, first = int(said[3]), int(said[4])
        if first in _SHM or first in _PENDING:
            numbers[number] = numbers.get(number, False) or first in _PENDING
    return numbers


def _search(
    reading: Reading, folder: str, numbers: dict[int, bool], found: list[str], budget: list[int], depth: int
) -> None:
    for name in reading.names(folder):
        budget[0] -= 1
        if budget[0] <= 0:
            return
        path = f"{folder}/{name}"
        status = reading.stat(path)
        if status is None:
            continue
        kind = status.mode & 0o170000
        if kind == DIRECTORY and depth and path not in _SKIPPED:
            _search(reading, path, numbers, found, budget, depth - 1)
        elif kind == REGULAR and status.inode in numbers:
            database = path.removesuffix("-shm")
            if (database != path or numbers[status.inode]) and reading.is_file(database):
                found.append(database)
