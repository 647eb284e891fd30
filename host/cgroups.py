"""Reads from `/proc/PID/cgroup` which systemd unit and which container a process belongs to (cgroups(7), systemd's CGROUP_INTERFACE)."""

import re
from typing import NamedTuple

from contracts.text import escape

_ID = r"([0-9a-f]{64}|[0-9a-f]{32}-\d+)"
_CONTAINERS = (
    ("docker", re.compile(rf"/docker[-/]{_ID}(?:\.scope)?(?=/|$)")),
    ("podman", re.compile(rf"/libpod-(?!conmon-){_ID}(?:\.scope)?(?=/|$)")),
    ("crio", re.compile(rf"/crio-(?!conmon-){_ID}(?:\.scope)?(?=/|$)")),
    ("containerd", re.compile(rf"(?:/|:)cri-containerd[-:]{_ID}(?:\.scope)?(?=/|$)")),
    ("containerd", re.compile(rf"/kubepods[^/]*(?:/[^/]+)*/(?:[a-z-]+-)?{_ID}(?:\.scope)?(?=/|$)")),
    ("lxc", re.compile(r"/lxc(?:\.payload[./]|/)([^/]+)(?=/|$)")),
    ("nspawn", re.compile(r"/machine-(?!qemu)([^/]+)\.scope(?!/supervisor)(?=/|$)")),
    ("nspawn", re.compile(r"/systemd-nspawn@([^/]+)\.service/payload(?=/|$)")),
    ("containerd", re.compile(rf"/{_ID}(?=/|$)")),
)
"""Engine and where its cgroups lie, the more particular ones first. Whoever only looks after a container (conmon, a supervisor) is
outside, and so is whoever runs a virtual machine."""

_SHORT = 12
_UNIT = re.compile(r"[^/]+\.(?:service|scope|socket|mount|swap)")


class Membership(NamedTuple):
    """The unit (`ssh.service`) and the container (`docker:0123456789ab`) of a process, each "" for none."""

    unit: str
    container: str


def parse(text: bytes) -> Membership:
    """Return what the content of `/proc/PID/cgroup` says; both versions of cgroups."""
    paths: dict[bytes, str] = {}
    for line in text.split(b"\n"):
        parts = line.split(b":", 2)
        if len(parts) == 3:
            paths[parts[1]] = escape(parts[2])
    systemd = paths.get(b"name=systemd") or paths.get(b"", "")
    container = container_of(systemd)
    for path in paths.values():
        container = container or container_of(path)
    return Membership(unit_of(systemd), container)


def unit_of(path: str) -> str:
    """Return the unit behind the slices at the head of a cgroup's path."""
    for part in path.split("/"):
        name = part.removeprefix("_")
        if not name or name.endswith(".slice") or (name == "init.scope" and path != "/init.scope"):
            continue
        return unescape(name) if _UNIT.fullmatch(name) else ""
    return ""


def unescape(name: str) -> str:
    r"""Return a unit's name as people write it: its `\xNN` came through `escape` as `\\xNN`."""
    return name.replace("\\\\", "\\")


def container_of(path: str) -> str:
    """Return engine and short id of the container that a cgroup's path leads into, the innermost one it names."""
    for engine, pattern in _CONTAINERS:
        found = pattern.findall(path)
        if found:
            name = found[-1]
            is_id = re.fullmatch(_ID, name) is not None
            return f"{engine}:{name[:_SHORT] if is_id else unescape(name)}"
    return ""
