"""What this machine is: names, kernel, size."""

import os
import re
from pathlib import Path

from contracts.host import Facts

_HEX = re.compile(r"[0-9a-f]{32}")
_MAX_NAME = 128


def facts() -> Facts:
    """Return what this machine is; a part that cannot be told is empty."""
    system = os.uname()
    return Facts(
        hostname=system.nodename,
        machine_id=_hex("/etc/machine-id"),
        boot_id=_hex("/proc/sys/kernel/random/boot_id"),
        kernel=system.release,
        os_name=os_name(_text("/etc/os-release") or _text("/usr/lib/os-release")),
        architecture=system.machine,
        cpus=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
    )


def os_name(release: str) -> str:
    """Return the name for people in the content of an os-release file (os-release(5))."""
    for wanted in ("PRETTY_NAME=", "NAME="):
        for line in release.splitlines():
            if line.startswith(wanted):
                return line.removeprefix(wanted).strip().strip("\"'")[:_MAX_NAME]
    return "Linux"


def _hex(path: str) -> str:
    text = _text(path).strip().replace("-", "").lower()
    return text if _HEX.fullmatch(text) else ""


def _text(path: str) -> str:
    try:
        return Path(path).read_bytes()[:65536].decode("utf-8", "backslashreplace")
    except OSError:
        return ""
