"""Who changed the ruleset: the kernel names process and thread, /proc the rest, while it lives.

Most who commit end a moment later, so this is asked at once; what is gone by then stays empty. A process is believed to be the one that the
kernel named only if its thread still bears the name: numbers are used again, and in another pid namespace they mean others.
"""

import os
import pwd
import re
import threading
import time
from collections import deque
from pathlib import Path
from typing import NamedTuple

from contracts.host import Committer
from contracts.text import escape
from host import cgroups

_MOST_PARENTS = 16
_UNSET = 0xFFFFFFFF
_INIT = 1
_COMMANDS: deque[tuple[int, float]] = deque(maxlen=256)
_REMEMBERED_S = 60.0
_STATUS_BYTES = 4096
_ESCAPED = re.compile(rb"\\[n\\]")
"""How /proc/PID/status writes a line break and a backslash in a name."""
_LOCK = threading.Lock()


class _Status(NamedTuple):
    name: str
    group: int
    parent: int
    uid: int


def note_own(pid: int) -> None:
    """Remember that this process ran the command `pid`, so that what it commits is known to be our own."""
    with _LOCK:
        _COMMANDS.append((pid, time.monotonic()))


def describe(pid: int, name: str, proc: str = "/proc") -> Committer:
    """Return what can be said of the thread `pid`, which the kernel calls `name` (`contracts.text.escape` form)."""
    status = _status(proc, pid)  # first of all, and the names of users last: it may be gone in a moment
    login, membership = _login(proc, pid), _membership(proc, pid)
    own = _is_own(proc, pid)
    if status is None or status.name != name:
        return Committer(pid=pid, process=name, own=own)
    leader = status if status.group == pid else _status(proc, status.group) or status
    parents = _parents(proc, leader.parent)
    return Committer(
        pid=pid,
        process=name,
        command=leader.name,
        user=_user(status.uid),
        login="" if login is None else _user(login),
        unit=membership.unit,
        container=membership.container,
        parents=parents,
        own=own,
    )


def _is_own(proc: str, pid: int) -> bool:
    since = time.monotonic() - _REMEMBERED_S
    with _LOCK:
        ran = any(pid == one and at >= since for one, at in _COMMANDS)
    return ran or Path(f"{proc}/self/task/{pid}").exists()


def _status(proc: str, pid: int) -> _Status | None:
    """Return what /proc says of a thread, None when it is gone or hidden."""
    try:
        status = os.open(f"{proc}/{pid}/status", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        raw = os.read(status, _STATUS_BYTES)
    except OSError:
        return None
    finally:
        os.close(status)
    fields = dict(line.split(b":\t", 1) for line in raw.splitlines() if b":\t" in line)
    try:
        numbers = [int(fields[field].split()[0]) for field in (b"Tgid", b"PPid")]
        uid = int(fields[b"Uid"].split()[1])
    except (KeyError, ValueError, IndexError):
        return None
    name = _ESCAPED.sub(lambda found: b"\n" if found[0] == b"\\n" else b"\\", fields.get(b"Name", b""))
    return _Status(escape(name), numbers[0], numbers[1], uid)


def _parents(proc: str, parent: int) -> tuple[str, ...]:
    names: list[str] = []
    while parent > _INIT and len(names) < _MOST_PARENTS:
        status = _status(proc, parent)
        if status is None:
            break
        names.append(status.name)
        parent = status.parent
    return tuple(names)


def _login(proc: str, pid: int) -> int | None:
    """Return who logged in, None where nobody did (a service) or the kernel does not keep it."""
    try:
        uid = int(Path(f"{proc}/{pid}/loginuid").read_bytes())
    except (OSError, ValueError):
        return None
    return None if uid == _UNSET else uid


def _membership(proc: str, pid: int) -> cgroups.Membership:
    try:
        return cgroups.parse(Path(f"{proc}/{pid}/cgroup").read_bytes())
    except OSError:
        return cgroups.Membership("", "")


def _user(uid: int) -> str:
    try:
        return escape(os.fsencode(pwd.getpwuid(uid).pw_name))
    except KeyError:
        return str(uid)
