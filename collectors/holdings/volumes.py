"""Data of containers and virtual machines: named volumes, folders that are mounted into containers, machines."""

import msgspec

from collectors.holdings.reading import Reading
from contracts.codec import UNDECODABLE
from contracts.subjects.holdings import Holding

PART = "volumes"
_DOCKER = "/var/lib/docker"
_VOLUMES = (
    ("podman", "/var/lib/containers/storage/volumes"),
    ("lxc", "/var/lib/lxc"),
    ("incus", "/var/lib/incus/storage-pools"),
    ("lxd", "/var/lib/lxd/storage-pools"),
    ("lxd", "/var/snap/lxd/common/lxd/storage-pools"),
    ("nspawn", "/var/lib/machines"),
    ("libvirt", "/var/lib/libvirt/images"),
)
_SYSTEM = (
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/var/run",
    "/etc/localtime",
    "/etc/timezone",
    "/lib/modules",
    "/usr/lib/modules",
    "/tmp",
)


class _Point(msgspec.Struct):
    """A mount of a container; unknown fields are passed over."""

    Type: str = ""
    Source: str = ""


class _Container(msgspec.Struct):
    """The part of docker's `config.v2.json` that says where its data lies."""

    Name: str = ""
    MountPoints: dict[str, _Point] = {}


def look(reading: Reading) -> list[Holding]:
    """Every volume, and every folder of the host that a container of docker uses."""
    found: dict[str, Holding] = {}
    for engine, folder in (*_dockers(reading), *_rootless(reading), *_nerdctl(reading), *_VOLUMES):
        for path in _below(reading, engine, folder):
            found.setdefault(path, _volume(engine, path))
    for path, used in _bound(reading).items():
        found.setdefault(path, _volume("docker", path, f"mounted into {', '.join(sorted(used)[:5])}"))
    return list(found.values())


def _volume(engine: str, path: str, detail: str = "") -> Holding:
    return Holding(
        part=PART, kind="volume", name=f"{engine} {path.rpartition('/')[2]}", path=path, product=engine, detail=detail
    )


def _root(reading: Reading) -> str:
    """Docker's folder, which `daemon.json` may move."""
    text = reading.text("/etc/docker/daemon.json")
    try:
        chosen = msgspec.json.decode(text).get("data-root") if text.strip() else None
    except (AttributeError, *UNDECODABLE):
        chosen = None
    return chosen if isinstance(chosen, str) and chosen.startswith("/") else _DOCKER


def _dockers(reading: Reading) -> list[tuple[str, str]]:
    return [("docker", f"{_root(reading)}/volumes")]


def _rootless(reading: Reading) -> list[tuple[str, str]]:
    return [
        (engine, f"{home}/.local/share/{place}/volumes")
        for home in (*(f"/home/{name}" for name in reading.names("/home")), "/root")
        for engine, place in (("podman", "containers/storage"), ("docker", "docker"))
    ]


def _nerdctl(reading: Reading) -> list[tuple[str, str]]:
    """`/var/lib/nerdctl/ADDRESS/volumes/NAMESPACE`, as containerd's own client keeps them."""
    return [
        ("nerdctl", f"/var/lib/nerdctl/{address}/volumes/{space}")
        for address in reading.names("/var/lib/nerdctl")
        for space in reading.names(f"/var/lib/nerdctl/{address}/volumes")
    ]


def _below(reading: Reading, engine: str, folder: str) -> list[str]:
    if engine == "libvirt":
        return [f"{folder}/{name}" for name in reading.names(folder)]
    return list(reading.folders(folder))


def _bound(reading: Reading) -> dict[str, set[str]]:
    """Folders of the host by path, each with the containers that use it."""
    used: dict[str, set[str]] = {}
    root = _root(reading)
    for name in reading.names(f"{root}/containers"):
        text = reading.text(f"{root}/containers/{name}/config.v2.json", 4 << 20)
        try:
            container = msgspec.json.decode(text, type=_Container) if text else _Container()
        except UNDECODABLE:
            continue  # of a container that is just being made
        for point in container.MountPoints.values():
            system = any(point.Source == each or point.Source.startswith(f"{each}/") for each in _SYSTEM)
            if point.Type == "bind" and point.Source.startswith("/") and point.Source != "/" and not system:
                used.setdefault(point.Source, set()).add(container.Name.lstrip("/") or name[:12])
    return used
