"""Finds which processes hold which sockets, by the links in `/proc/PID/fd` (proc(5)): the only place where the kernel says it."""

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from contracts.coverage import Blind
from contracts.errors import Why
from host import capabilities
from host.namespaces import process_name

_KERNEL_THREAD = 0x00200000  # PF_KTHREAD in linux/sched.h
_NAMED = 5


class Owners:
    """Which of the `pids` hold each of `inodes`, and which of them could not be looked into.

    `unopened` are processes whose list of descriptors may not be read, `unread` those whose descriptors may not be followed.
    """

    def __init__(self, pids: Iterable[str], inodes: Iterable[int]) -> None:
        self._links = {f"socket:[{inode}]": inode for inode in inodes}
        self.by_inode: dict[int, tuple[int, ...]] = {}
        """The processes of each socket that has any."""
        self.unopened: list[str] = []
        self.unread: list[str] = []
        self.whole_proc = Path("/proc/1").exists()
        if self._links:
            for pid in pids:
                self._scan(pid)

    @property
    def complete(self) -> bool:
        """Whether every process could be looked into."""
        return self.whole_proc and not self.unopened and not self.unread

    def blind(self) -> tuple[Blind, ...]:
        """Say whose sockets have no known owner, and which capability is missing."""
        spots = []
        if self.unopened:
            spots.append(_denied(self.unopened, "listed", ("CAP_DAC_READ_SEARCH", "CAP_SYS_PTRACE")))
        if self.unread:
            spots.append(_denied(self.unread, "followed", ("CAP_SYS_PTRACE",)))
        if not self.whole_proc:
            lacking = capabilities.missing("CAP_SYS_PTRACE")
            spots.append(
                Blind(
                    what="the owners of other users' sockets",
                    why=Why.PERMISSION,
                    detail=f"/proc hides the processes of other users (hidepid){_without(lacking)}",
                    fix=capabilities.advice(lacking),
                )
            )
        return tuple(spots)

    def _scan(self, pid: str) -> None:
        try:
            folder = os.open(f"/proc/{pid}/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except PermissionError:
            if is_user_process(pid):
                self.unopened.append(pid)
            return
        except (FileNotFoundError, ProcessLookupError):
            return
        try:
            self._follow(int(pid), folder, os.listdir(folder))  # noqa: PTH208  # an open folder, which pathlib does not know
        except PermissionError:
            if is_user_process(pid):
                self.unread.append(pid)
        except (FileNotFoundError, ProcessLookupError):
            return
        finally:
            os.close(folder)

    def _follow(self, pid: int, folder: int, names: list[str]) -> None:
        links, by_inode, readlink, alone = self._links.get, self.by_inode, os.readlink, (pid,)
        for name in names:
            try:
                inode = links(readlink(name, dir_fd=folder))
            except (FileNotFoundError, ProcessLookupError):  # closed meanwhile
                continue
            except OSError as error:
                if error.errno != errno.ENAMETOOLONG:
                    raise
                continue  # a path longer than the kernel tells, which no socket has
            if inode is not None:
                holders = by_inode.setdefault(inode, alone)
                if holders is not alone and holders[-1] != pid:
                    by_inode[inode] = holders + alone


def all_pids() -> list[str]:
    """Return the numbers of all processes that may be seen, as text."""
    names = os.listdir("/proc")  # noqa: PTH208  # no object for each of many
    return [name for name in names if name[0] in "123456789"]


def is_user_process(pid: str) -> bool:
    """Say whether a process can hold files at all: it is neither a kernel thread nor a zombie nor gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    fields = stat[stat.rfind(b")") + 2 :].split()
    return fields[0] not in (b"Z", b"X") and not int(fields[6]) & _KERNEL_THREAD


def _denied(pids: list[str], what: str, wanted: tuple[str, ...]) -> Blind:
    lacking = capabilities.missing(*wanted)
    who = ", ".join(f"{pid} ({process_name(pid)})" for pid in pids[:_NAMED])
    more = f" and {len(pids) - _NAMED} more" if len(pids) > _NAMED else ""
    plural = "es" if len(pids) > 1 else ""
    return Blind(
        what="the owners of other users' sockets",
        why=Why.PERMISSION,
        detail=f"the open files of {len(pids)} process{plural} may not be {what}{_without(lacking)}: {who}{more}",
        fix=capabilities.advice(lacking),
    )


def _without(lacking: tuple[str, ...]) -> str:
    return f" without {' and '.join(lacking)}" if lacking else ""
