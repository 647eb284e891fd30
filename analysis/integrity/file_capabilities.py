"""File capabilities as rpm writes them (`cap_net_raw=ep`) turned into the kernel's attribute, so that both can be compared, and back. Pure.

Formats: cap_text_formats(7); `struct vfs_cap_data` of linux/capability.h, revision 2; names in the order of their numbers.
"""

import re
import struct

_NAMES = (
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
)
_NUMBERS = {f"cap_{name}": number for number, name in enumerate(_NAMES)}
_CLAUSE = re.compile(r"([a-z_,0-9]*)((?:[=+-][eip]*)+)")
_REVISION, _EFFECTIVE = 0x02000000, 1
UNKNOWN = b"?"
"""What a text that is not understood becomes: equal to nothing that the kernel keeps."""


def raw(text: str) -> bytes:
    """Return the attribute that a text stands for, b"" for none, `UNKNOWN` for what cannot be told."""
    held = {"e": 0, "i": 0, "p": 0}
    for word in text.split():
        match = _CLAUSE.fullmatch(word.lower())
        mask = _mask(match[1]) if match is not None else None
        if match is None or mask is None:
            return UNKNOWN
        for operator, flags in re.findall(r"([=+-])([eip]*)", match[2]):
            for each in held:
                if operator == "=":
                    held[each] &= ~mask
                if each in flags:
                    held[each] = held[each] & ~mask if operator == "-" else held[each] | mask
    if not any(held.values()):
        return b""
    low, high = 0xFFFFFFFF, 32
    head = _REVISION | (_EFFECTIVE if held["e"] else 0)
    return struct.pack("<5I", head, held["p"] & low, held["i"] & low, held["p"] >> high, held["i"] >> high)


def said(attribute: bytes) -> str:
    """Return what the kernel's attribute grants, as getcap(8) shows it: `cap_net_raw=ep`; in hexadecimal what is not understood."""
    if len(attribute) not in (20, 24) or struct.unpack_from("<I", attribute)[0] & 0xFF000000 not in (
        0x02000000,
        0x03000000,
    ):
        return attribute.hex()
    head, *words = struct.unpack_from("<5I", attribute)
    permitted, inheritable = words[0] | words[2] << 32, words[1] | words[3] << 32
    by_flags: dict[str, list[str]] = {}
    for number in range(64):
        flags = "e" * (head & _EFFECTIVE) * bool((permitted | inheritable) >> number & 1)
        flags += "i" * (inheritable >> number & 1) + "p" * (permitted >> number & 1)
        if flags:
            name = f"cap_{_NAMES[number]}" if number < len(_NAMES) else str(number)
            by_flags.setdefault(flags, []).append(name)
    found = " ".join(f"{','.join(names)}={flags}" for flags, names in by_flags.items()) or "="
    return (
        f"{found} (root of the namespace of uid {struct.unpack_from('<I', attribute, 20)[0]})"
        if len(attribute) == 24
        else found
    )


def _mask(names: str) -> int | None:
    if names in ("", "all"):
        return (1 << len(_NAMES)) - 1
    numbers = [_NUMBERS.get(name) for name in names.split(",")]
    return None if None in numbers else sum(1 << number for number in set(numbers) if number is not None)
