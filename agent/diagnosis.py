"""What a precondition check says, and the checks of the machine itself: users, folders, tools, kernel, disk, time."""

import ctypes
import grp
import os
import pwd
import shutil
import socket
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from contracts.record import Record

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TOOLS = {
    "nft": ("failed", "nftables rules are not seen", "install the Debian package nftables"),
    "iptables-save": (
        "noted",
        "rules of iptables are not seen if there are any",
        "install the Debian package iptables",
    ),
    "ip6tables-save": (
        "noted",
        "rules of ip6tables are not seen if there are any",
        "install the Debian package iptables",
    ),
}
NETLINK_SOCK_DIAG = 4
NETLINK_NETFILTER = 12
_TIME_ERROR = 5
_TIMEX_BYTES = 512
"""More than `struct timex` has on any architecture; with `modes` zero adjtimex(2) only reads."""

State = Literal["ok", "noted", "failed"]


class Check(Record):
    """One precondition: `failed` needs its `fix`; `noted` limits what the agent can do; `found` says what was seen."""

    name: str
    state: State
    found: str
    fix: str = ""


def users(names: Iterable[str], groups: Iterable[str], installed: bool) -> Iterator[Check]:
    """Check that the users and groups exist; outside an installation their absence is only noted (numeric users take their place)."""
    missing: State = "failed" if installed else "noted"
    fix = "run: systemd-sysusers" if installed else "for separate named users install with: make install"
    for name in names:
        try:
            entry = pwd.getpwnam(name)
            yield Check(name=f"user {name}", state="ok", found=f"uid {entry.pw_uid}")
        except KeyError:
            yield Check(name=f"user {name}", state=missing, found="does not exist", fix=fix)
    for name in groups:
        try:
            yield Check(name=f"group {name}", state="ok", found=f"gid {grp.getgrnam(name).gr_gid}")
        except KeyError:
            yield Check(
                name=f"group {name}",
                state=missing,
                found="does not exist; only root and the agent's own user may use the control socket",
                fix=fix,
            )


def folder(name: str, path: Path, *, private: bool, owner: str = "") -> Check:
    """Check that a folder exists, belongs to whom it should, and that others may not enter (`private`) or write."""
    label = f"{name} {path}"
    try:
        status = path.stat()
    except OSError as error:
        who = f" -o {owner}" if owner and _uid(owner) is not None else ""
        fix = f"run: install -d -m {'0700' if private else '0755'}{who} {path}"
        return Check(name=label, state="failed", found=(error.strerror or str(error)).lower(), fix=fix)
    mode = stat.S_IMODE(status.st_mode)
    if not stat.S_ISDIR(status.st_mode):
        return Check(
            name=label, state="failed", found="is not a folder", fix=f"move it away and run: install -d {path}"
        )
    if private and mode & 0o077:
        return Check(
            name=label,
            state="failed",
            found=f"mode {mode:04o}: others may read the agent's key",
            fix=f"run: chmod 0700 {path}",
        )
    if mode & 0o002 and not mode & stat.S_ISVTX:
        return Check(
            name=label, state="failed", found=f"mode {mode:04o}: everyone may write there", fix=f"run: chmod o-w {path}"
        )
    wanted = _uid(owner) if owner else None
    if wanted is not None and status.st_uid != wanted:
        return Check(
            name=label, state="failed", found=f"belongs to user {status.st_uid}", fix=f"run: chown -R {owner} {path}"
        )
    return Check(name=label, state="ok", found=f"mode {mode:04o}, user {status.st_uid}")


def sockets(folder: Path, owner: str) -> Iterator[Check]:
    """Check that systemd listens for each worker, and that only the core's user may connect; `folder` maps to no check when absent."""
    wanted = _uid(owner)
    for path in sorted(folder.glob("*.sock")) if folder.is_dir() else ():
        name = f"socket of {path.stem}"
        status = path.lstat()
        if not stat.S_ISSOCK(status.st_mode):
            yield Check(
                name=name,
                state="failed",
                found="is not a socket",
                fix=f"run: systemctl restart holdfast-{path.stem}.socket",
            )
        elif stat.S_IMODE(status.st_mode) & 0o077 or (wanted is not None and status.st_uid != wanted):
            found = f"mode {stat.S_IMODE(status.st_mode):04o}, user {status.st_uid}: others than the core may connect"
            yield Check(
                name=name, state="failed", found=found, fix=f"run: systemctl restart holdfast-{path.stem}.socket"
            )
        else:
            yield Check(name=name, state="ok", found="only the core may connect")


def listening(folder: Path, workers: Iterable[str]) -> Iterator[Check]:
    """Check that systemd has a socket for each of `workers`."""
    for worker in workers:
        if not (folder / f"{worker}.sock").exists():
            fix = f"run: systemctl enable --now holdfast-{worker}.socket"
            yield Check(name=f"socket of {worker}", state="failed", found="is not there", fix=fix)


def tools(search: str = PATH) -> Iterator[Check]:
    """Check that the programs that are asked are installed."""
    for tool, (state, loss, fix) in TOOLS.items():
        found = shutil.which(tool, path=search)
        if found:
            yield Check(name=f"tool {tool}", state="ok", found=found)
        else:
            yield Check(name=f"tool {tool}", state=_state(state), found=f"is not installed; {loss}", fix=fix)


def kernel(proc: Path = Path("/proc")) -> Iterator[Check]:
    """Check the features of the kernel that looks rest on."""
    yield _netlink(
        "kernel socket diagnosis", NETLINK_SOCK_DIAG, "listening sockets are read from /proc instead, which is slower"
    )
    yield _netlink(
        "kernel nftables messages", NETLINK_NETFILTER, "a flushed ruleset is noticed at the next full look only"
    )
    pressure = proc / "pressure" / "cpu"
    if pressure.exists():
        yield Check(name="kernel pressure", state="ok", found="available")
    else:
        fix = "boot with psi=1 on the kernel's command line"
        yield Check(
            name="kernel pressure",
            state="noted",
            found="not available; bulk work cannot make way for the server's own",
            fix=fix,
        )


def bounding(needed: Mapping[str, Iterable[str]], allowed: frozenset[str]) -> Iterator[Check]:
    """Check that this machine (or container) lets workers have what they need: `needed` by worker, `allowed` the bounding set."""
    for worker, capabilities in needed.items():
        missing = sorted(set(capabilities) - allowed)
        if missing:
            fix = f"allow {', '.join(missing)} to the container or service that Holdfast runs in"
            yield Check(
                name=f"capabilities of {worker}",
                state="failed",
                found=f"this system withholds {', '.join(missing)}",
                fix=fix,
            )
        else:
            yield Check(name=f"capabilities of {worker}", state="ok", found="may be had")


def disk(path: Path, wanted_bytes: int) -> Check:
    """Check that the file system of the state folder has room for a full spool."""
    name = f"disk {path}"
    there = next((each for each in (path, *path.parents) if each.exists()), Path("/"))
    try:
        status = os.statvfs(there)
    except OSError as error:
        return Check(
            name=name, state="failed", found=(error.strerror or str(error)).lower(), fix="check the file system"
        )
    free = status.f_bavail * status.f_frsize
    found = f"{free >> 20} MiB free"
    if status.f_files and not status.f_favail:
        return Check(name=name, state="failed", found="no inodes free", fix="remove files from that file system")
    if free < wanted_bytes:
        fix = "free space there, or lower spool.max_size"
        return Check(name=name, state="failed", found=f"{found}, a full spool needs {wanted_bytes >> 20} MiB", fix=fix)
    return Check(name=name, state="ok", found=found)


def time_sync() -> Check:
    """Check that something keeps the clock right, as the kernel knows it (adjtimex(2))."""
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
    answer = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    if answer == _TIME_ERROR:
        fix = "run: timedatectl set-ntp true (or install chrony)"
        return Check(
            name="time", state="noted", found="nothing keeps this clock in step; times of events may be off", fix=fix
        )
    if answer < 0:
        return Check(name="time", state="noted", found="the kernel does not say whether the clock is kept in step")
    return Check(name="time", state="ok", found="kept in step")


def _netlink(name: str, protocol: int, loss: str) -> Check:
    try:
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol).close()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return Check(
            name=name, state="noted", found=f"not available ({reason}); {loss}", fix="load the kernel's module for it"
        )
    return Check(name=name, state="ok", found="available")


def _uid(name: str) -> int | None:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def _state(word: str) -> State:
    return "failed" if word == "failed" else "noted"
