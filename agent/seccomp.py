"""System calls that no worker and none of its tools ever needs, refused with EPERM (`seccomp(2)`): a second wall behind the privileges.

`harden` is for every worker. `confine` is for one that reads hostile input and needs nothing but what it holds already.

Among them is what turns one capability into many: CAP_DAC_READ_SEARCH with `open_by_handle_at` reads around every mount,
CAP_SYS_PTRACE with `process_vm_readv` reads every process.
"""

import ctypes
import os
import struct
from collections.abc import Callable

from agent import kernel

_PR_SET_SECCOMP = 22
_MODE_FILTER = 2
_ALLOW = 0x7FFF0000
_DENY = 0x00050000 | 1  # SECCOMP_RET_ERRNO with EPERM
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_X32 = 0x40000000
_BPF_PROG_QUERY = 16
"""The one command of bpf(2) that is let through: it names programs that see packets, and needs CAP_NET_ADMIN."""
_ARGUMENT = 16
"""Where `struct seccomp_data` holds the low half of the first argument; the machines known here are little-endian."""

# AUDIT_ARCH_* from linux/audit.h; which column of `_CALLS` holds the numbers.
_MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}

_CALLS = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "process_madvise": (440, 440), "open_by_handle_at": (304, 265),
    "userfaultfd": (323, 282), "bpf": (321, 280), "perf_event_open": (298, 241),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "mount": (165, 40), "umount2": (166, 39), "move_mount": (429, 429), "open_tree": (428, 428), "fsopen": (430, 430),
    "fsmount": (432, 432), "pivot_root": (155, 41), "chroot": (161, 51), "setns": (308, 268), "unshare": (272, 97),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142), "swapon": (167, 224), "acct": (163, 89),
}  # fmt: skip


_CONFINED = {
    "open": (2, -1), "openat": (257, 56), "openat2": (437, 437), "creat": (85, -1), "connect": (42, 203), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242), "sendmsg": (46, 211), "sendmmsg": (307, 269), "execve": (59, 221),
    "execveat": (322, 281), "unlink": (87, -1), "unlinkat": (263, 35), "rename": (82, -1), "renameat": (264, 38),
    "renameat2": (316, 276), "mkdir": (83, -1), "mkdirat": (258, 34), "rmdir": (84, -1), "link": (86, -1), "linkat": (265, 37),
    "symlink": (88, -1), "symlinkat": (266, 36), "chmod": (90, -1), "fchmodat": (268, 53), "chown": (92, -1), "lchown": (94, -1),
    "fchownat": (260, 54), "truncate": (76, 45), "mknod": (133, -1), "mknodat": (259, 33), "readlink": (89, -1),
    "readlinkat": (267, 78), "name_to_handle_at": (303, 264), "inotify_add_watch": (254, 27), "setxattr": (188, 5),
    "statfs": (137, 43), "utimensat": (280, 88), "chdir": (80, 49),
}  # fmt: skip
"""What a worker that reads no files and speaks to nobody needs no more once it has begun."""
_SOCKET, _SENDTO = (41, 198), (44, 206)
_FAMILIES = (1, 17)
"""AF_UNIX, without an address to send to, and AF_PACKET."""
_SEND_ADDRESS = 48
"""Where `struct seccomp_data` holds the fifth argument: the address that `sendto` sends to."""


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def harden() -> bool:
    """Refuse these calls from now on, in this thread and all it starts; False on a machine whose numbers are not known here.

    Call it with no new privileges set and before other threads are started. Raises `OSError` where the kernel has no filters.
    """
    return _load(_filter)


def confine() -> bool:
    """Refuse to open, make or change files, to run programs, and to speak to anybody but over what is open already; as `harden`.

    Packet sockets can still be opened by who may.
    """
    return _load(_wall)


def _load(make: Callable[[int, int], bytes]) -> bool:
    machine = os.uname().machine
    if machine not in _MACHINES or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    code = make(*_MACHINES[machine])
    held = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.addressof(held))
    kernel.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(program))
    return True


def _wall(architecture: int, column: int) -> bytes:
    """Return the BPF program of `confine`: the listed calls are refused, sockets and addresses to send to are looked at."""
    numbers = [row[column] for row in _CONFINED.values() if row[column] >= 0]
    steps = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _DENY), (_LOAD, 0, 0, 0)]
    steps += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _DENY)]
    steps += [(_EQUAL, 0, 5, _SOCKET[column]), (_LOAD, 0, 0, _ARGUMENT)]
    steps += [
        (_EQUAL, 1, 0, _FAMILIES[0]),
        (_EQUAL, 0, 1, _FAMILIES[1]),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _DENY),
    ]
    steps += [(_EQUAL, 0, 6, _SENDTO[column]), (_LOAD, 0, 0, _SEND_ADDRESS), (_EQUAL, 0, 2, 0)]
    steps += [(_LOAD, 0, 0, _SEND_ADDRESS + 4), (_EQUAL, 1, 0, 0), (_RETURN, 0, 0, _DENY), (_RETURN, 0, 0, _ALLOW)]
    steps += [(_EQUAL, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
    steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _DENY)]
    return b"".join(struct.pack("<HBBI", *step) for step in steps)


def _filter(architecture: int, column: int) -> bytes:
    """Return the BPF program: another architecture's calls and the listed ones are refused, but for one command of bpf(2)."""
    numbers = [row[column] for row in _CALLS.values()]
    steps = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _DENY), (_LOAD, 0, 0, 0)]
    query = [(_EQUAL, 0, 3, _CALLS["bpf"][column]), (_LOAD, 0, 0, _ARGUMENT), (_EQUAL, 0, 1, _BPF_PROG_QUERY)]
    steps += [*query, (_RETURN, 0, 0, _ALLOW), (_LOAD, 0, 0, 0)]
    steps.append((_AT_LEAST, len(numbers) + 1, 0, _X32))
    steps += [(_EQUAL, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
    steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _DENY)]
    return b"".join(struct.pack("<HBBI", *step) for step in steps)
