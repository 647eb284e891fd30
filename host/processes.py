"""Describes processes: what they run, as whom, for which unit, in which container. The only user of psutil."""

import errno
import os
import pwd
from collections.abc import Sequence
from pathlib import Path

from contracts.coverage import Blind
from contracts.errors import Why
from contracts.host import Process, Processes
from contracts.text import escape
from host import capabilities, cgroups

_MAX_COMMAND_LINE = 4096
_DELETED = b" (deleted)"


class LinuxProcesses:
    """`contracts.host.ProcessTable` for Linux."""

    def describe(self, pids: Sequence[int]) -> Processes:
        """Describe the processes of `pids`; one that has ended meanwhile is left out without a blind spot."""
        users: dict[int, str] = {}
        by_pid: dict[int, Process] = {}
        denied: list[int] = []
        for pid in dict.fromkeys(pids):
            process = _describe(pid, users, denied)
            if process is not None:
                by_pid[pid] = process
        return Processes(by_pid=by_pid, blind=_blind(denied))


def _describe(pid: int, users: dict[int, str], denied: list[int]) -> Process | None:
    import psutil  # here, so that whoever asks for no process does not pay for it

    try:
        seen = psutil.Process(pid)
        with seen.oneshot():
            uid = seen.uids().effective
            name, parent, started_ms = seen.name(), seen.ppid(), int(seen.create_time() * 1000)
            words = seen.cmdline()
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return None
    except (psutil.AccessDenied, PermissionError):
        denied.append(pid)
        return Process(pid=pid, name="?")
    executable, deleted = _executable(pid, denied)
    membership = _membership(pid)
    return Process(
        pid=pid,
        name=escape(name),
        executable=executable,
        deleted=deleted,
        uid=uid,
        user=_user(uid, users),
        command_line=escape(" ".join(words)[:_MAX_COMMAND_LINE]),
        unit=membership.unit,
        container=membership.container,
        started_ms=started_ms,
        parent=parent,
    )


def _executable(pid: int, denied: list[int]) -> tuple[str, bool]:
    """Return what the process runs and whether that file is gone; `("", False)` when it has none or it may not be read."""
    path = f"/proc/{pid}/exe"
    try:
        target = os.readlink(path.encode())  # noqa: PTH115  # bytes, which pathlib does not know
        if not target.endswith(_DELETED):
            return escape(target), False
        # A file may really be called that.
        is_deleted = Path(path).stat().st_nlink == 0
        return escape(target.removesuffix(_DELETED) if is_deleted else target), is_deleted
    except (FileNotFoundError, ProcessLookupError):
        return "", False
    except PermissionError:
        denied.append(pid)
        return "", False
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return "(a path longer than the kernel tells)", False


def _membership(pid: int) -> cgroups.Membership:
    try:
        return cgroups.parse(Path(f"/proc/{pid}/cgroup").read_bytes())
    except OSError:
        return cgroups.Membership("", "")


def _user(uid: int, users: dict[int, str]) -> str:
    if uid not in users:
        try:
            users[uid] = pwd.getpwuid(uid).pw_name
        except KeyError:
            users[uid] = str(uid)
    return users[uid]


def _blind(denied: list[int]) -> tuple[Blind, ...]:
    if not denied:
        return ()
    lacking = capabilities.missing("CAP_SYS_PTRACE")
    without = f" without {lacking[0]}" if lacking else ""
    return (
        Blind(
            what="the executables of other users' processes",
            why=Why.PERMISSION,
            detail=f"/proc/PID/exe of {len(set(denied))} processes may not be read{without}",
            fix=capabilities.advice(lacking),
        ),
    )
