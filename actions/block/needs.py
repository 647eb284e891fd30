"""Whom this host itself talks to: resolvers, console, package mirrors, as far as files and the kernel tell without asking the network."""

import ipaddress
import re
from collections.abc import Iterator

from analysis.logins import ESTABLISHED, connections
from contracts.errors import Unavailable
from contracts.host import ReadOnlyHost

RESOLVERS = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf")
APT, YUM = "/etc/apt", ("/etc/yum.repos.d", "/etc/dnf/repos.d")
MAX_TABLE = 2 << 20
"""Bytes of `/proc/net/tcp` that are read; on a server with more connections, mirrors and console are known by the other ways alone."""

_NAMESERVER = re.compile(r"^\s*nameserver\s+(\S+)", re.MULTILINE)
_URL = re.compile(r"(?:https?|ftp)://(?:[^/\s@]*@)?(\[[0-9a-fA-F:.]+\]|[\w.-]+)")
_USERS = {"holdfast": "the agent is connected with it (console)", "_apt": "it is a package mirror in use"}
_CORE_WITHOUT_USER = 65600
"""The user of an agent that runs as root without being installed (`agent.privileges.FALLBACK_BASE`)."""


def resolvers(host: ReadOnlyHost) -> list[str]:
    """Return the addresses of the resolvers that are configured."""
    found: dict[str, None] = {}
    for path in RESOLVERS:
        for word in _NAMESERVER.findall(_text(host, path)):
            address = _address(word)
            if address:
                found[address] = None
    return list(found)


def mirrors(host: ReadOnlyHost) -> list[str]:
    """Return the addresses of package mirrors that are configured by address or stand in /etc/hosts."""
    names = set(_URL.findall("\n".join(_sources(host))))
    listed = _hosts(host) if names else {}
    found: dict[str, None] = {}
    for name in sorted(names):
        address = _address(name.strip("[]"))
        for one in [address] if address else listed.get(name.lower(), []):
            found[one] = None
    return list(found)


def peers(host: ReadOnlyHost) -> list[tuple[str, str]]:
    """Return whom the agent itself and the package manager's download user are connected with, and why that matters."""
    reasons = {uid: _USERS[name] for name, uid in _uids(host).items()}
    reasons.setdefault(_CORE_WITHOUT_USER, _USERS["holdfast"])
    found: dict[str, str] = {}
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        for each in connections(_text(host, path, MAX_TABLE)):
            if each.state == ESTABLISHED and each.uid in reasons:
                found.setdefault(each.peer, reasons[each.uid])
    return list(found.items())


def _uids(host: ReadOnlyHost) -> dict[str, int]:
    rows = (line.split(":") for line in _text(host, "/etc/passwd").splitlines())
    return {row[0]: int(row[2]) for row in rows if len(row) > 2 and row[0] in _USERS and row[2].isdigit()}


def _sources(host: ReadOnlyHost) -> Iterator[str]:
    yield _text(host, f"{APT}/sources.list")
    for folder in (f"{APT}/sources.list.d", *YUM):
        for name in _names(host, folder):
            if name.endswith((".list", ".sources", ".repo")):
                yield _text(host, f"{folder}/{name}")


def _hosts(host: ReadOnlyHost) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in _text(host, "/etc/hosts").splitlines():
        words = line.partition("#")[0].split()
        address = _address(words[0]) if words else ""
        for name in words[1:] if address else []:
            found.setdefault(name.lower(), []).append(address)
    return found


def _names(host: ReadOnlyHost, folder: str) -> list[str]:
    try:
        return sorted(name.decode("utf-8", "replace") for name in host.files.names(folder))
    except Unavailable:
        return []  # there is no such folder, or nothing in it is known: `docs/guides/blocking.md` says what is covered


def _text(host: ReadOnlyHost, path: str, most: int = 1 << 20) -> str:
    try:
        return host.files.read(path, most).decode("utf-8", "replace")
    except Unavailable:
        return ""  # as above


def _address(word: str) -> str:
    try:
        return str(ipaddress.ip_address(word.partition("%")[0]))
    except ValueError:
        return ""
