"""dpkg's present state as it lies on the disk: what is installed, what its lists name, diversions, and what its and apt's logs tell.

None of it is signed: it says what should be asked, never what is true.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path

from msgspec.structs import replace

from analysis.integrity.debian import INSTALLED, Installed, apt_history, dpkg_log, installed, md5_lines
from collectors.integrity.packages.locks import is_any_held
from collectors.integrity.packages.logs import Logs
from contracts.errors import Unavailable, Why
from contracts.host import FileStat, ReadOnlyHost
from contracts.provenance import Listing, Transaction

DPKG = "/var/lib/dpkg"
LOCKS = ("/var/lib/dpkg/lock", "/var/lib/dpkg/lock-frontend")
LOGS = ("/var/log/apt/history.log", "/var/log/dpkg.log")
_MOST = 32 << 20
READ_TRIES = 5


class DpkgState:
    """Reads dpkg's files; what was read is kept until `status` changes."""

    def __init__(self, host: ReadOnlyHost) -> None:
        self._host = host
        self._stamp: tuple[int, ...] = ()
        self._logs = Logs(host)
        self._packages: dict[str, Installed] = {}
        self._sums: dict[str, dict[bytes, str]] = {}
        self.diversions: list[tuple[bytes, bytes, str]] = []
        """Former name, new name, and the package that diverted it."""

    def refresh(self) -> None:
        """Read again what changed; raises `Unavailable` where there is no dpkg, or its state may not be read."""
        for tries in range(1, READ_TRIES + 1):
            found, updates = self._status(), self._updates()
            stamp = (found.mtime_ns, found.ctime_ns, found.inode, *map(int, updates))
            if stamp == self._stamp:
                return
            try:
                self._packages = _read_packages(updates)
            except FileNotFoundError as error:  # dpkg has just taken its notes over into `status`
                if tries < READ_TRIES:
                    continue
                raise Unavailable(Why.OTHER, f"{error.filename} was gone whenever it was to be read") from error
            self._stamp = stamp
            self._sums.clear()
            self.diversions = self._diverted()
            return

    def _status(self) -> FileStat:
        try:
            return self._host.files.stat(f"{DPKG}/status")
        except Unavailable as error:
            if error.why is not Why.NOT_PRESENT:
                raise
            raise Unavailable(Why.NOT_PRESENT, f"there is no dpkg here ({error.message})") from error

    def _updates(self) -> list[str]:
        """Return dpkg's notes on what `status` does not say yet, in their order: a run that was killed leaves them there."""
        try:
            return sorted(name.decode() for name in self._host.files.names(f"{DPKG}/updates") if name.isdigit())
        except Unavailable:
            return []  # there is no such folder

    def packages(self) -> Mapping[str, Installed]:
        """Return what is installed, by name and architecture (`openssh-server:amd64`)."""
        return self._packages

    def is_installed(self, name: str, version: str, architecture: str) -> bool:
        """Say whether this very version is unpacked or installed."""
        one = self._packages.get(f"{name}:{architecture}")
        return one is not None and one.version == version and one.state in INSTALLED

    def names(self, package: Installed) -> list[bytes]:
        """Return the paths that a package's list has, [] where there is no list."""
        try:
            content = self._host.files.read(f"{DPKG}/info/{package.key}.list", _MOST)
        except Unavailable as error:
            if error.why is Why.NOT_PRESENT:
                return []
            raise
        return [line for line in content.split(b"\n") if line.startswith(b"/") and line != b"/."]

    def listing(self, package: Installed, path: bytes) -> Listing:
        """Return what a package's list of digests states of a path that it names."""
        if package.key not in self._sums:
            if len(self._sums) > 16:
                self._sums.clear()
            try:
                content = self._host.files.read(f"{DPKG}/info/{package.key}.md5sums", _MOST)
            except Unavailable as error:
                if error.why is not Why.NOT_PRESENT:
                    raise
                content = b""
            self._sums[package.key] = dict(md5_lines(content))
        text = path.decode("utf-8", "surrogateescape")
        config = next((digest for name, digest in package.configs if name == text), "")
        return Listing(package.name, config or self._sums[package.key].get(path, ""), "md5", bool(config))

    def runs(self, since_ms: int, ends: Mapping[str, int] | None = None) -> list[Transaction]:
        """Return the runs that apt's and dpkg's logs tell of, that ended after a time or have not ended, oldest first.

        Of one whose log has no end, while no process holds a lock, `unfinished` says so; it ended when that was found (`ends`, by id).
        """
        was_busy = self.is_busy()
        apt, dpkg = self._read_logs(since_ms)
        is_busy = was_busy or self.is_busy()
        if not is_busy:
            # What was read may have ended since, but is over: all of it is there now. What has begun since is left for the next time.
            known = {run.id for run in (*apt, *dpkg)}
            apt, dpkg = ([run for run in runs if run.id in known] for runs in self._read_logs(since_ms))
        dated = _dated(apt, is_busy, ends or {}, self._now_ms())
        own = [run for run in dpkg if not any(_within(run, other) for other in dated)]
        if is_busy and own and own[-1] is dpkg[-1]:
            own[-1] = replace(own[-1], ended_ms=0, unfinished="")
        told = [run for run in (*dated, *own) if not run.ended_ms or run.ended_ms >= since_ms]
        return sorted(told, key=lambda run: run.started_ms)

    def logs(self) -> tuple[int, ...]:
        """Return a mark of the logs, another one after each line that a run writes."""
        return (*self._logs.stamp(LOGS[0]), *self._logs.stamp(LOGS[1]))

    def _now_ms(self) -> int:
        return int(self._host.now().timestamp() * 1000)

    def is_busy(self) -> bool:
        """Say whether some process holds a lock of dpkg."""
        return is_any_held(self._host.files, LOCKS)

    def _read_logs(self, since_ms: int) -> tuple[Sequence[Transaction], Sequence[Transaction]]:
        to_ms = lru_cache(1024)(_to_ms)  # many lines are of one second
        return (
            self._logs.runs(LOGS[0], since_ms, lambda text: apt_history(text, to_ms)),
            self._logs.runs(LOGS[1], since_ms, lambda text: dpkg_log(text, to_ms)),
        )

    def _diverted(self) -> list[tuple[bytes, bytes, str]]:
        try:
            lines = self._host.files.read(f"{DPKG}/diversions").split(b"\n")
        except Unavailable:
            return []
        return [
            (lines[at], lines[at + 1], lines[at + 2].decode("utf-8", "replace")) for at in range(0, len(lines) - 2, 3)
        ]


def _read_packages(updates: Sequence[str]) -> dict[str, Installed]:
    """Return what is installed; raises `FileNotFoundError` for a note that is gone again."""
    found: dict[str, Installed] = {}
    for path in (f"{DPKG}/status", *(f"{DPKG}/updates/{name}" for name in updates)):
        with Path(path).open(encoding="utf-8", errors="surrogateescape") as lines:
            found |= {f"{one.name}:{one.architecture}": one for one in installed(lines)}
    return found


def _dated(runs: Sequence[Transaction], is_busy: bool, ends: Mapping[str, int], now_ms: int) -> list[Transaction]:
    """Return runs of apt with an end each, but for the one under way: a dead one ended before the next began, for apt works alone."""
    found = []
    for run, following in zip_longest(runs, runs[1:]):
        if not run.ended_ms and (following is not None or not is_busy):
            ended = ends.get(run.id) or (following.started_ms if following is not None else now_ms)
            run = replace(run, ended_ms=ended, unfinished="its log has no end")
        found.append(run)
    return found


def _within(run: Transaction, other: Transaction) -> bool:
    """Say whether a run of dpkg was one of apt's: of its time, by whole seconds, and about its packages or completing what was left."""
    if run.started_ms < other.started_ms or (other.ended_ms and run.started_ms > other.ended_ms):
        return False
    names = {one.name for one in other.packages}
    return all(one.deed == "configure" or one.name in names for one in run.packages)


def _to_ms(text: str) -> int:
    """Return Unix ms of a local time as the logs write it, 0 for what is no time."""
    try:
        return int(time.mktime(time.strptime(" ".join(text.split()), "%Y-%m-%d %H:%M:%S")) * 1000)
    except (ValueError, OverflowError):
        return 0


def archives(folder: str) -> Iterator[str]:
    """Yield the paths of the Debian archives in a folder, none where there is none; raises `OSError` for one not to be read."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(
                entry.name for entry in entries if entry.name.endswith(".deb") and entry.is_file(follow_symlinks=False)
            )
    except FileNotFoundError:
        return
    for name in names:
        yield f"{folder}/{name}"
