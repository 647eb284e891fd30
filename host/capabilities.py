"""What this process may do: its effective capabilities (capabilities(7)), and how to say that some are missing."""

from collections.abc import Iterable
from pathlib import Path

NAMES = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
]
"""In the order of their numbers (linux/capability.h)."""


def effective(status: str = "/proc/thread-self/status") -> frozenset[str]:
    """Return the effective capabilities of this thread, as `CAP_NET_ADMIN`."""
    for line in Path(status).read_text().splitlines():
        if line.startswith("CapEff:"):
            return parse(int(line.split()[1], 16))
    return frozenset()


def parse(bits: int) -> frozenset[str]:
    """Return the names of the capabilities in a bit mask; one that has no name here is called by its number."""
    return frozenset(
        f"CAP_{NAMES[number] if number < len(NAMES) else number}"
        for number in range(bits.bit_length())
        if bits >> number & 1
    )


def missing(*wanted: str) -> tuple[str, ...]:
    """Return those of `wanted` that this thread does not hold."""
    held = effective()
    return tuple(name for name in wanted if name not in held)


def advice(lacking: Iterable[str]) -> str:
    """Return the sentence that says how to mend the lack of capabilities."""
    names = " and ".join(lacking)
    if names:
        return f"run the agent as root, or give {names} to this worker (AmbientCapabilities= of its unit)"
    return "look for what confines this process: a security module, a user namespace, or a seccomp filter"
