"""Finds the network namespaces other than this process's own, and a process in each through which its sockets can be read.

Who has the capability learns a namespace's number from `/proc/PID/ns/net` (namespaces(7)). Everyone can tell whether a process shares our
namespace: `/proc/PID/net/tcp` is the same inode then.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from contracts.coverage import Blind
from contracts.errors import Why
from host import capabilities

PINS = ("/run/netns", "/run/docker/netns")
"""Where `ip netns` and Docker pin namespaces, with or without a process inside."""

_NAMED = 5


class Namespaces:
    """What one look at the namespaces of `pids` came to.

    `home` is the number of our own namespace (0 when not known), `foreign` maps the number of each other one to a process in it, `hidden`
    lists a process of each that may not be looked into.
    """

    def __init__(self, pids: Iterable[str]) -> None:
        self.home = number("self") or 0
        self.foreign: dict[int, str] = {}
        self.hidden: list[str] = []
        self._look(pids)

    def _look(self, pids: Iterable[str]) -> None:
        home = _inode("self")
        named: set[int] = set() if home is None else {home}
        unnamed: dict[int, str] = {}
        for pid in pids:
            inode = _inode(pid)
            if inode is None or inode in named:
                continue
            found = number(pid)
            if found is None:
                unnamed.setdefault(inode, pid)
                continue
            named.add(inode)
            unnamed.pop(inode, None)
            if found != self.home:
                self.foreign.setdefault(found, pid)
        self.hidden = list(unnamed.values())

    def blind(self) -> tuple[Blind, ...]:
        """Say which namespaces are not looked into."""
        return (*self._hidden(), *self._empty())

    def _hidden(self) -> tuple[Blind, ...]:
        if not self.hidden:
            return ()
        lacking = capabilities.missing("CAP_SYS_PTRACE")
        who = ", ".join(f"{pid} ({process_name(pid)})" for pid in self.hidden[:_NAMED])
        more = f" and {len(self.hidden) - _NAMED} more" if len(self.hidden) > _NAMED else ""
        without = f"without {lacking[0]}, " if lacking else ""
        return (
            Blind(
                what="the sockets in the network namespaces of other users' processes",
                why=Why.PERMISSION,
                detail=f"{without}/proc/PID/ns/net may not be read of process {who}{more}",
                fix=capabilities.advice(lacking),
            ),
        )

    def _empty(self) -> tuple[Blind, ...]:
        """Say which pinned namespaces have no process, so that nothing leads to their sockets but entering them."""
        spots = []
        for path, found in _pinned():
            if found != self.home and found not in self.foreign and not self.hidden:
                spots.append(
                    Blind(
                        what=f"the sockets in the network namespace {path}",
                        why=Why.OTHER,
                        detail=f"no process runs in it (number {found}), so /proc does not lead there",
                        fix=f"remove it if nobody needs it: ip netns delete {path.rpartition('/')[2]}",
                    )
                )
        return tuple(spots)


def number(pid: str) -> int | None:
    """Return the inode number of a process's network namespace, None when it may not be known or the process has ended."""
    try:
        return int(os.readlink(f"/proc/{pid}/ns/net").partition("[")[2].rstrip("]"))  # noqa: PTH115  # no object for each of many
    except (OSError, ValueError):
        return None


def process_name(pid: str) -> str:
    """Return the short name of a process, or a question mark."""
    try:
        return Path(f"/proc/{pid}/comm").read_bytes().decode("utf-8", "backslashreplace").strip() or "?"
    except OSError:
        return "?"


def _inode(pid: str) -> int | None:
    try:
        return os.stat(f"/proc/{pid}/net/tcp").st_ino  # noqa: PTH116  # as above
    except OSError:
        return None


def _pinned() -> list[tuple[str, int]]:
    """Return path and number of every pinned namespace; a file that is no namespace (any more) does not count."""
    found = []
    try:
        device = Path("/proc/self/ns/net").stat().st_dev
    except OSError:
        return []
    for folder in PINS:
        try:
            with os.scandir(folder) as entries:
                stats = [(entry.path, entry.stat()) for entry in entries]
        except OSError:
            continue
        found += [(path, stat.st_ino) for path, stat in stats if stat.st_dev == device]
    return found
