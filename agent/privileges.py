"""What a process of the agent may do: what is held now, how it is given up for good, and what each worker should have.

A drop is final: bounding set reduced, ambient set only what tools run by the worker need, no new privileges, securebits
locked, no supplementary groups, no core dumps, not traceable. `PR_SET_DUMPABLE` 0 also gives this process's own `/proc/self` entries to
root (`proc(5)`): files there that only their owner may open cannot be opened any more, those readable by all can.
"""

import os
import pwd
import resource
from collections.abc import Iterable

from agent import kernel
from contracts.coverage import Blind
from contracts.errors import Why
from contracts.record import Record

# Numbers from linux/capability.h; the list ends where Linux 5.9 ended and grows only at its end.
CAPABILITIES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
    "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
)  # fmt: skip

# linux/securebits.h: no capabilities by being root, none gained by changing user, none kept, no more ambient; each with its lock.
_SECUREBITS = 0b11 | 0b11 << 2 | 0b10 << 4 | 0b11 << 6

FALLBACK_BASE = 65600
"""First of the numeric users taken where no `holdfast-*` user exists: above what login.defs and Debian hand out, below the first
subordinate range at 100000, in none of the ranges that systemd reserves (`UIDS-GIDS`)."""

_FALLBACK_ORDER = ("core", "netfilter", "reader", "messenger", "sensor", "backup", "steward")


class WorkerPrivileges(Record):
    """What a worker runs with. `ambient` are those that tools run by it need, too; `blind` says what is not seen without each."""

    user: str
    capabilities: tuple[str, ...] = ()
    ambient: tuple[str, ...] = ()
    blind: dict[str, str] = {}
    eyes: bool = False
    """Whether CAP_SYS_PTRACE goes to a process of its own (`agent.eyes`)."""
    memory_bytes: int = 1 << 30
    """Limit of private memory (RLIMIT_DATA); its tools have the same."""
    processes: int = 128
    state: bool = False
    """Whether it has a folder of its own that is kept across restarts (`contracts.host.Host.state`)."""
    bulk: bool = False
    """Whether it reads and keeps much for a long time: it gives way to others, and gives freed memory back at once."""
    confined: bool = False
    """Whether it opens no file, runs no program and speaks to nobody but the core, once it has begun (`agent.seccomp.confine`)."""
    stack_bytes: int = 512 << 10
    """Of each of its threads."""


WORKERS: dict[str, WorkerPrivileges] = {
    "netfilter": WorkerPrivileges(
        user="holdfast-netfilter",
        capabilities=("CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_DAC_READ_SEARCH"),
        ambient=("CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_DAC_READ_SEARCH"),
        blind={
            "CAP_NET_ADMIN": "the nftables and iptables rulesets, nor change them",
            "CAP_NET_RAW": "the rules of legacy iptables tables",
            "CAP_DAC_READ_SEARCH": "which legacy iptables tables are in use",
        },
        state=True,
    ),
    "reader": WorkerPrivileges(
        user="holdfast-reader",
        capabilities=("CAP_DAC_READ_SEARCH", "CAP_SYS_PTRACE"),
        blind={
            "CAP_DAC_READ_SEARCH": "files and folders that are closed to other users",
            "CAP_SYS_PTRACE": "which processes of other users own a socket, and their executables",
        },
        eyes=True,
        state=True,
    ),
    "messenger": WorkerPrivileges(user="holdfast-messenger"),
    "sensor": WorkerPrivileges(
        user="holdfast-sensor",
        capabilities=("CAP_NET_RAW",),
        blind={"CAP_NET_RAW": "the packets of any interface"},
        memory_bytes=2 << 30,
        processes=32,
        confined=True,
        stack_bytes=8 << 20,
    ),
    "backup": WorkerPrivileges(
        user="holdfast-backup",
        capabilities=("CAP_DAC_READ_SEARCH",),
        blind={"CAP_DAC_READ_SEARCH": "files and folders that are closed to other users, so that no backup holds them"},
        state=True,
        bulk=True,
    ),
    "steward": WorkerPrivileges(
        user="holdfast-steward",
        capabilities=("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER"),
        blind={
            "CAP_CHOWN": "to it that a file which is put back belongs to whom it belonged to",
            "CAP_DAC_OVERRIDE": "to it that files of other users can be moved away or put back",
            "CAP_DAC_READ_SEARCH": "files and folders that are closed to other users, so that no scan holds them",
            "CAP_FOWNER": "to it that a file of another user can be closed to everybody",
        },
        memory_bytes=4 << 30,
        state=True,
    ),
}


class Account(Record):
    """A user to run as: from the user database, or a numeric one without a name."""

    uid: int
    gid: int
    name: str = ""


class Held(Record):
    """What this process holds now."""

    uid: int
    capabilities: frozenset[str]
    ambient: frozenset[str]
    bounding: frozenset[str]
    no_new_privileges: bool


def held() -> Held:
    """Return what this process holds now."""
    known = range(_count())
    ambient = _mask_of(n for n in known if kernel.prctl(kernel.PR_CAP_AMBIENT, kernel.PR_CAP_AMBIENT_IS_SET, n))
    return Held(
        uid=os.geteuid(),
        capabilities=names(kernel.capget()[0]),
        ambient=names(ambient),
        bounding=names(_mask_of(n for n in known if kernel.prctl(kernel.PR_CAPBSET_READ, n))),
        no_new_privileges=bool(kernel.prctl(kernel.PR_GET_NO_NEW_PRIVS)),
    )


def names(mask: int) -> frozenset[str]:
    """Return the capabilities in a bit mask by name, newer ones than this file knows as `CAP_<number>`."""
    bits = (number for number in range(64) if mask >> number & 1)
    return frozenset(CAPABILITIES[number] if number < len(CAPABILITIES) else f"CAP_{number}" for number in bits)


def account(role: str, user: str) -> Account:
    """Return the account for `role`: `user` from the user database, else a numeric one that nobody else has."""
    try:
        entry = pwd.getpwnam(user)
        return Account(uid=entry.pw_uid, gid=entry.pw_gid, name=user)
    except KeyError:
        number = FALLBACK_BASE + _FALLBACK_ORDER.index(role)
        return Account(uid=number, gid=number)


def drop(who: Account | None, capabilities: Iterable[str] = (), ambient: Iterable[str] = ()) -> None:
    """Become `who` (None: stay the user one is) and keep only `capabilities`, across exec only `ambient`; there is no way back.

    Without the right to change user, bounding set or securebits (an ordinary user, or a service whose unit has done so) these stay as they
    are and the rest is given up all the same. Call it while the process has one thread. Raises `OSError` if becoming `who` fails.
    """
    keep = _mask(capabilities) & kernel.capget()[1]
    across = _mask(ambient) & keep
    may_set = bool(kernel.capget()[0] & _mask(["CAP_SETPCAP"]))
    if may_set:
        for number in range(_count()):
            if not keep >> number & 1:
                kernel.prctl(kernel.PR_CAPBSET_DROP, number)
    if who is not None and (os.getuid(), os.getgid()) != (who.uid, who.gid):
        kernel.prctl(kernel.PR_SET_KEEPCAPS, 1)
        os.setgroups([])
        os.setresgid(who.gid, who.gid, who.gid)
        os.setresuid(who.uid, who.uid, who.uid)
    needed = keep | (_mask(["CAP_SETPCAP"]) if may_set else 0)
    _hold(needed, needed, across)
    _set_ambient(across)
    if may_set:
        kernel.prctl(kernel.PR_SET_SECUREBITS, _SECUREBITS)
    _hold(keep, keep, across)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    os.umask(0o077)


def narrow(capabilities: Iterable[str]) -> None:
    """Keep only `capabilities` and stay the same user, without making it final: for a process that starts others under theirs."""
    effective, permitted, _ = kernel.capget()
    keep = _mask(capabilities) & permitted
    if effective & _mask(["CAP_SETPCAP"]):
        for number in range(_count()):
            if not keep >> number & 1:
                kernel.prctl(kernel.PR_CAPBSET_DROP, number)
    kernel.capset(keep, keep, 0)


def may_change_user() -> bool:
    """Say whether this process can become another user."""
    needed = _mask(["CAP_SETUID", "CAP_SETGID"])
    return kernel.capget()[0] & needed == needed


def restrict_thread(capabilities: Iterable[str]) -> None:
    """Keep only `capabilities` in the thread that calls, for as long as it lives; the process's other threads keep theirs.

    It bounds what a deed can do by mistake or be talked into. Against code that runs in this process it is no wall.
    """
    keep = _mask(capabilities) & kernel.capget()[1]
    _hold(keep, keep, 0)


def give_up(capability: str) -> None:
    """Give up one capability that this process kept so far."""
    rest = ~_mask([capability])
    effective, permitted, inheritable = kernel.capget()
    _hold(effective & rest, permitted & rest, inheritable & rest)


def bound(expected: WorkerPrivileges) -> None:
    """Set this process's own limits; those of processes count per user and are left out where the user is a person's."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, 4096)
    _limit(resource.RLIMIT_DATA, expected.memory_bytes)
    if os.getuid() in {account(role, WORKERS[role].user).uid for role in WORKERS}:
        _limit(resource.RLIMIT_NPROC, expected.processes)


def lost(worker: str, expected: WorkerPrivileges, elsewhere: frozenset[str] = frozenset()) -> tuple[Blind, ...]:
    """Return what `worker` should have and does not, here or `elsewhere` (its eyes), as what it therefore cannot see."""
    now = held()
    missing = [name for name in expected.capabilities if name not in now.capabilities | elsewhere]
    spots = [
        Blind(
            what=expected.blind.get(name, f"what needs {name}"),
            why=Why.PERMISSION,
            detail=f"worker {worker} runs as user {now.uid} without {name}",
            fix=_fix(name, now),
        )
        for name in missing
    ]
    spots += [_excess(worker, name) for name in sorted(now.capabilities - (set(expected.capabilities) - elsewhere))]
    if expected.user and now.uid != account(worker, expected.user).uid:
        spots.append(
            Blind(
                what=f"to it that no other process of user {now.uid} meddles with worker {worker}",
                why=Why.PERMISSION,
                detail=f"worker {worker} shares its user with other processes",
                fix="Run the agent as root once, or install it as a service, so that each worker gets a user of its own.",
            )
        )
    return tuple(spots)


def _excess(worker: str, name: str) -> Blind:
    return Blind(
        what=f"to it that worker {worker}, were it taken over, could not use {name}",
        why=Why.PERMISSION,
        detail=f"a sandbox around worker {worker} forbids the system call by which it gives {name} up",
        fix="Allow the call: `SystemCallFilter=capset` in the unit, after what forbids it.",
    )


def _fix(name: str, now: Held) -> str:
    if name in now.bounding:
        return "Run the agent as root (it gives up what it does not need), or install it as a service."
    return f"Allow {name} where this system is confined (container settings, CapabilityBoundingSet= of the unit)."


def _hold(effective: int, permitted: int, inheritable: int) -> None:
    """Set the capabilities held, as far as a sandbox around this process lets it give some up; `lost` says what is held too much."""
    if kernel.capget() == (effective, permitted, inheritable):
        return
    try:
        kernel.capset(effective, permitted, inheritable)
    except PermissionError:
        return  # SystemCallFilter= without capset: stated by `lost`, because what is held can be asked of the kernel


def _set_ambient(across: int) -> None:
    kernel.prctl(kernel.PR_CAP_AMBIENT, kernel.PR_CAP_AMBIENT_CLEAR_ALL)
    for number in range(_count()):
        if across >> number & 1:
            kernel.prctl(kernel.PR_CAP_AMBIENT, kernel.PR_CAP_AMBIENT_RAISE, number)


def _limit(which: int, value: int) -> None:
    """Lower a limit, soft and hard; never raise one that is lower already."""
    _, hard = resource.getrlimit(which)
    wanted = value if hard == resource.RLIM_INFINITY else min(value, hard)
    try:
        resource.setrlimit(which, (wanted, wanted))
    except PermissionError:
        return  # a unit that forbids the call sets the limits itself


def _count() -> int:
    """Return how many capabilities this kernel knows."""
    number = len(CAPABILITIES)
    while _known(number):
        number += 1
    while number and not _known(number - 1):
        number -= 1
    return number


def _known(number: int) -> bool:
    try:
        kernel.prctl(kernel.PR_CAPBSET_READ, number)
    except OSError:
        return False
    return True


def _mask(wanted: Iterable[str]) -> int:
    return _mask_of(CAPABILITIES.index(name) for name in wanted)


def _mask_of(numbers: Iterable[int]) -> int:
    return sum(1 << number for number in numbers)
