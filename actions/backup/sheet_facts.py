"""Sheet facts: what a recovery sheet says of this host, read from its files and its package database; what cannot be seen is named."""

import re
from collections.abc import Callable, Iterator
from typing import TypeVar

from actions.backup.sheet import HostFacts, Mount, User
from contracts.errors import Unavailable, Why
from contracts.host import Commands, Files, Host

T = TypeVar("T")

_MAX_FILE = 32 << 20
_FIRST_USER = 1000
_NOBODY = 65534
_NO_LOGIN = ("nologin", "false", "sync", "halt", "shutdown")
_UNREAL = re.compile(
    r"(proc|sysfs|tmpfs|devtmpfs|devpts|mqueue|hugetlbfs|debugfs|tracefs|securityfs|pstore|bpf|cgroup2?|configfs|fusectl|ramfs|overlay|"
    r"autofs|binfmt_misc|efivarfs|nsfs|rpc_pipefs|squashfs|fuse\..*)"
)
_SECRET = re.compile(r"//[^/@\s]*@")
_UNITS = "/etc/systemd/system"
_WANTS = (".wants", ".requires")


def host_facts(host: Host) -> HostFacts:
    """Look at the host."""
    facts = host.facts()
    missing: list[str] = []
    packages = _asked(missing, "the packages", lambda: _packages(host.commands))
    chosen = _asked(missing, "which packages somebody asked for", lambda: _chosen(host.files, packages))
    return HostFacts(
        hostname=facts.hostname,
        os_name=facts.os_name,
        kernel=facts.kernel,
        architecture=facts.architecture,
        machine_id=facts.machine_id,
        packages=packages,
        chosen_packages=chosen,
        users=_asked(missing, "the users", lambda: list(_users(_text(host.files, "/etc/passwd")))),
        mounts=_asked(missing, "the file systems", lambda: list(_mounts(host.files))),
        services=_asked(missing, "the services", lambda: _services(host.files)),
        missing=missing,
    )


def _asked(missing: list[str], what: str, ask: Callable[[], list[T]]) -> list[T]:
    try:
        return ask()
    except Unavailable as error:
        missing.append(f"{what}: {error.message}")
        return []


def _packages(commands: Commands) -> list[str]:
    """As dpkg's selections, or one name a line where the database is rpm's."""
    if commands.present("dpkg-query"):
        asked = commands.ask("dpkg-query", "-W", "-f=${binary:Package}\\t${db:Status-Want}\\n")
    elif commands.present("rpm"):
        asked = commands.ask("rpm", "-qa", "--qf", "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}\\n")
    else:
        raise Unavailable(Why.NOT_PRESENT, "there is neither dpkg nor rpm")
    if asked.code:
        raise Unavailable(Why.OTHER, f"{asked.argv[0]} ended with code {asked.code}")
    return sorted(line for line in asked.stdout.decode("utf-8", "replace").splitlines() if line.strip())


def _chosen(files: Files, packages: list[str]) -> list[str]:
    """Packages that apt does not know as taken in for others; none where it does not keep such a list."""
    try:
        states = _text(files, "/var/lib/apt/extended_states")
    except Unavailable as error:
        if error.why is Why.NOT_PRESENT:
            return []
        raise
    automatic = set()
    for paragraph in states.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line)
        if fields.get("Auto-Installed") == "1":
            automatic.add(fields.get("Package", ""))
    installed = [line.split("\t")[0] for line in packages if line.endswith("\tinstall")]
    return [name for name in installed if name.partition(":")[0] not in automatic]


def _users(passwd: str) -> Iterator[User]:
    """People, root, and whoever else may log in; hashes stand elsewhere, and full names are nobody's business here."""
    for line in passwd.splitlines():
        parts = line.split(":")
        if len(parts) != 7 or not (parts[2].isdecimal() and parts[3].isdecimal()):
            continue
        name, _, uid, gid, _, home, shell = parts
        person = int(uid) == 0 or _FIRST_USER <= int(uid) < _NOBODY
        if person or not shell.endswith(_NO_LOGIN):
            yield User(name, int(uid), int(gid), home, shell)


def _mounts(files: Files) -> Iterator[Mount]:
    """What fstab declares, and what is mounted besides; without options."""
    seen: set[str] = set()
    for path in ("/etc/fstab", "/proc/self/mounts"):
        try:
            text = _text(files, path)
        except Unavailable as error:
            if error.why is Why.NOT_PRESENT:
                continue
            raise
        for line in text.splitlines():
            parts = line.split()
            if len(parts) < 3 or parts[0].startswith("#") or parts[1] in seen:
                continue
            device, place, type = _SECRET.sub("//", parts[0]), parts[1], parts[2]
            if path != "/etc/fstab" and (
                _UNREAL.fullmatch(type) or place.startswith(("/proc", "/sys", "/dev", "/run"))
            ):
                continue
            seen.add(place)
            yield Mount(device, place, type)


def _services(files: Files) -> list[str]:
    """Units that something wants, by the links that `systemctl enable` makes."""
    found: set[str] = set()
    for folder in files.names(_UNITS):
        name = folder.decode("utf-8", "replace")
        if name.endswith(_WANTS):
            found.update(unit.decode("utf-8", "replace") for unit in files.names(f"{_UNITS}/{name}"))
    return sorted(found)


def _text(files: Files, path: str) -> str:
    return files.read(path, _MAX_FILE).decode("utf-8", "replace")
