"""System calls made by another, running process: what its sandbox answers to itself, asked from outside (ptrace(2), x86-64 alone)."""

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

_SYSCALL = b"\x0f\x05"
_SEIZE, _INTERRUPT, _GETREGS, _SETREGS, _STEP, _DETACH = 0x4206, 0x4207, 12, 13, 9, 17
_NAMES = [
    *(
        "r15",
        "r14",
        "r13",
        "r12",
        "rbp",
        "rbx",
        "r11",
        "r10",
        "r9",
        "r8",
        "rax",
        "rcx",
        "rdx",
        "rsi",
        "rdi",
        "orig_rax",
    ),
    *("rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs"),
]
RED_ZONE = 4096
"""Below the stack pointer, and beyond what the interrupted function may still use there."""


class _Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in _NAMES]


_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request: int, pid: int, data: object = None) -> None:
    if _libc.ptrace(request, pid, None, ctypes.byref(data) if isinstance(data, _Registers) else None) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Held:
    """A process's main thread that waits in a system call, and is stopped there."""

    def __init__(self, pid: int, registers: _Registers) -> None:
        self._pid, self._registers = pid, registers

    def call(self, number: int, *arguments: int | bytes) -> int:
        """Return what the kernel answers to this call: negative is an error's number. Bytes are put on the stack, and their place given."""
        mine = _Registers.from_buffer_copy(self._registers)
        place = self._registers.rsp - RED_ZONE
        given: list[int] = []
        with open(f"/proc/{self._pid}/mem", "r+b", buffering=0) as memory:
            for one in arguments:
                if isinstance(one, bytes):
                    place -= (len(one) + 15) // 16 * 16
                    memory.seek(place)
                    memory.write(one)
                    one = place
                given.append(one)
        for name, value in zip(("rdi", "rsi", "rdx", "r10", "r8", "r9"), [*given, 0, 0, 0, 0, 0, 0], strict=False):
            setattr(mine, name, value & (1 << 64) - 1)
        mine.rax, mine.orig_rax, mine.rip = number, (1 << 64) - 1, self._registers.rip - len(_SYSCALL)
        _ptrace(_SETREGS, self._pid, mine)
        _ptrace(_STEP, self._pid)
        _, status = os.waitpid(self._pid, 0x40000000)
        assert os.WIFSTOPPED(status) and os.WSTOPSIG(status) == signal.SIGTRAP, status
        _ptrace(_GETREGS, self._pid, mine)
        return ctypes.c_longlong(mine.rax).value


@contextmanager
def held(pid: int) -> Iterator[Held]:
    """Stop the main thread of a process for a moment; afterwards it goes on with what it was at."""
    _ptrace(_SEIZE, pid)
    try:
        _ptrace(_INTERRUPT, pid)
        os.waitpid(pid, 0x40000000)
        registers = _Registers()
        _ptrace(_GETREGS, pid, registers)
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            memory.seek(registers.rip - len(_SYSCALL))
            assert memory.read(2) == _SYSCALL, "it waits in a system call"
        try:
            yield Held(pid, registers)
        finally:
            _ptrace(_SETREGS, pid, registers)
    finally:
        _ptrace(_DETACH, pid)
