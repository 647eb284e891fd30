"""Asks the kernel which BPF programs see packets without any other tool telling: of cgroups, of tcx, of the lookup of sockets.

Only BPF_PROG_QUERY is called (linux/bpf.h): it reads, needs CAP_NET_ADMIN, and says nothing of programs that see no packets, such as those
by which systemd guards devices. XDP and classic tc programs are told by iproute2.
"""

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from contracts.coverage import Blind
from contracts.errors import Unavailable, Why
from contracts.host import PacketProgram, PacketPrograms
from contracts.text import escape
from host import capabilities, cgroups

_CALLS = {"x86_64": 321, "aarch64": 280}
_PROG_QUERY = 16
_INGRESS, _EGRESS = 0, 1  # BPF_CGROUP_INET_*
_TCX_INGRESS, _TCX_EGRESS = 46, 47
_SK_LOOKUP = 36
_MOST = 64
_ATTRIBUTE = struct.Struct("=IIIIQIIQQQQ")
"""Target, attach type, query flags, attach flags, ids, their number, padding, and what newer kernels add."""
_COUNT_AT = 24
_NAMESPACE = "/proc/thread-self/ns/net"
_MOUNTS = "/proc/self/mounts"
_MAX_FOLDERS = 20_000
_DIRECTIONS = {_INGRESS: "ingress", _EGRESS: "egress", _TCX_INGRESS: "ingress", _TCX_EGRESS: "egress"}
_NONE = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENODEV, errno.ENOENT})
"""A kernel that knows no such programs, or a place that has just gone."""


class LinuxProgramTable:
    """`contracts.host.ProgramTable` for Linux."""

    def on_packets(self) -> PacketPrograms:
        """Return the programs that see packets; raises `Unavailable` where bpf(2) may not be asked."""
        found: list[PacketProgram] = []
        blind: list[Blind] = []
        for index, name in socket.if_nameindex():
            for kind in (_TCX_INGRESS, _TCX_EGRESS):
                ids = _query(index, kind)
                if ids:
                    found.append(PacketProgram(kind="tcx", place=name, direction=_DIRECTIONS[kind], ids=ids))
        found += _of_sockets(blind)
        root = _root()
        if root:
            found += _of_cgroups(root, blind)
        return PacketPrograms(programs=tuple(found), blind=tuple(blind))


def _of_sockets(blind: list[Blind]) -> Iterator[PacketProgram]:
    """Yield the programs that choose the socket for what arrives in this network namespace, or drop it."""
    try:
        target = os.open(_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        what = "programs that choose the socket for a packet (sk_lookup)"
        fix = "Let the worker see its own files in /proc."
        blind.append(Blind(what=what, why=Why.PERMISSION, detail=error.strerror or "may not be opened", fix=fix))
        return
    try:
        if ids := _query(target, _SK_LOOKUP):
            yield PacketProgram(kind="sk_lookup", place="the lookup of sockets", direction="ingress", ids=ids)
    finally:
        os.close(target)


def _of_cgroups(root: bytes, blind: list[Blind]) -> Iterator[PacketProgram]:
    for count, folder in enumerate(_folders(root)):
        if count >= _MAX_FOLDERS:
            what = "programs of further cgroups that see packets"
            fix = "Find out what makes so many cgroups."
            blind.append(Blind(what=what, why=Why.TOO_LARGE, detail=f"more than {_MAX_FOLDERS} cgroups", fix=fix))
            return
        try:
            target = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):  # it has just gone
            continue
        except OSError as error:
            what = f"programs of the cgroup {escape(folder)[:200]} that see packets"
            fix = capabilities.advice(capabilities.missing("CAP_DAC_READ_SEARCH"))
            blind.append(Blind(what=what, why=Why.PERMISSION, detail=error.strerror or "may not be opened", fix=fix))
            continue
        try:
            for kind in (_INGRESS, _EGRESS):
                ids = _query(target, kind)
                if ids:
                    place = escape(folder[len(root) :] or b"/")
                    unit = cgroups.unit_of(place)
                    yield PacketProgram(kind="cgroup", place=place, direction=_DIRECTIONS[kind], ids=ids, unit=unit)
        finally:
            os.close(target)


def _folders(root: bytes) -> Iterator[bytes]:
    """Yield `root` and every folder below."""
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        yield folder
        try:
            with os.scandir(folder) as entries:
                waiting += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:  # gone, or refused: opening it says so
            continue


def _root() -> bytes:
    """Return where cgroups of version 2 are mounted, empty when they are not."""
    for line in Path(_MOUNTS).read_bytes().splitlines():
        words = line.split(b" ")
        if len(words) > 2 and words[2] == b"cgroup2":
            return words[1]
    return b""


@cache
def _call() -> tuple[Any, int]:
    """Return `syscall(2)` and the number of bpf(2)."""
    machine = os.uname().machine
    if machine not in _CALLS:
        raise Unavailable(Why.OTHER, f"bpf(2) is not known here for {machine}")
    return ctypes.CDLL(None, use_errno=True).syscall, _CALLS[machine]


def _query(target: int, kind: int) -> tuple[int, ...]:
    """Return the ids of the programs attached right there; empty on a kernel that knows no such programs."""
    call, number = _call()
    ids = (ctypes.c_uint32 * _MOST)()
    packed = _ATTRIBUTE.pack(target, kind, 0, 0, ctypes.addressof(ids), _MOST, 0, 0, 0, 0, 0)
    attribute = ctypes.create_string_buffer(packed, len(packed))
    if call(number, _PROG_QUERY, attribute, len(packed)) == 0:
        count: int = struct.unpack_from("=I", attribute, _COUNT_AT)[0]
        return tuple(ids[:count])
    failed = ctypes.get_errno()
    if failed == errno.ENOSPC:  # more than fit: there are some, that is what counts
        return tuple(ids)
    if failed in _NONE:
        return ()
    lacking = capabilities.missing("CAP_NET_ADMIN")
    message = f"bpf(2) may not be asked for programs ({os.strerror(failed)})"
    raise Unavailable(Why.PERMISSION, message, advice=capabilities.advice(lacking))
