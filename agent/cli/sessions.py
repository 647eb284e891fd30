"""The SSH sessions into this server that people have open now, and only authenticated ones: merely connecting gives no say.

Three witnesses, because none is everywhere: this command's own session (SSH_CONNECTION of it or of a process above it, `sshd(8)`), the
records of logins (`utmp(5)`), and systemd's (`/run/systemd/sessions`, `systemd-logind.service(8)`).
"""

import os
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import NamedTuple

_UTMP = struct.Struct("=hxxi32s4s32s256s2h3i16s20x")
"""`struct utmp` on Linux: type, pid, line, id, user, host, exit, session and time, address."""
_USER_PROCESS = 7
_ESTABLISHED, _LISTENING = "01", "0A"
_MOST_ANCESTORS = 64


class Session(NamedTuple):
    """One session: who, from which address, to which address and port of this server."""

    user: str
    peer: str
    address: str
    port: int


class Connection(NamedTuple):
    """One TCP socket of this server, as `/proc/net/tcp` has it."""

    address: str
    port: int
    peer: str
    state: str


def sessions(root: Path = Path("/")) -> tuple[tuple[Session, ...], tuple[str, ...]]:
    """Return the sessions, and what could not be looked at; `root` is where `proc` and `run` are."""
    blind: list[str] = []
    found = {(own.peer, own.address, own.port): own for own in _own(root)}
    if not any((root / place).exists() for place in ("run/utmp", "run/systemd/sessions")):
        blind.append(
            "there are no records of logins (/run/utmp, /run/systemd/sessions), so sessions of others are not known"
        )
    connections = list(_connections(root, blind))
    listening = {each.port for each in connections if each.state == _LISTENING}
    peers = {peer: user for peer, user in (*_utmp(root, blind), *_logind(root))}
    for each in connections:
        if each.state == _ESTABLISHED and each.port in listening and each.peer in peers:
            session = Session(peers[each.peer], each.peer, each.address, each.port)
            found.setdefault((session.peer, session.address, session.port), session)
    return tuple(sorted(found.values())), tuple(blind)


def _own(root: Path) -> Iterator[Session]:
    """Yield the session that this command runs in, though `sudo` may have emptied its environment."""
    pid = os.getpid()
    for _ in range(_MOST_ANCESTORS):
        try:
            variables = (root / f"proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            variables = []
        for variable in variables:
            name, _, value = variable.partition(b"=")
            session = _from_variable(value.decode("ascii", "replace")) if name == b"SSH_CONNECTION" else None
            if session is not None:
                yield session
        try:
            stat = (root / f"proc/{pid}/stat").read_text(errors="replace")
        except OSError:
            return
        pid = int(stat.rpartition(")")[2].split()[1])
        if pid <= 1:
            return


def _from_variable(value: str) -> Session | None:
    """Return the session of `PEER PORT ADDRESS PORT`, None for anything else."""
    words = value.split()
    try:
        return Session("this session", _plain(words[0]), _plain(words[2]), int(words[3]))
    except (ValueError, IndexError):
        return None


def _plain(text: str) -> str:
    """Return an address in canonical text, one that is mapped into IPv6 as IPv4; raises `ValueError`."""
    found = ip_address(text.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found)


def _utmp(root: Path, blind: list[str]) -> Iterator[tuple[str, str]]:
    """Yield address and user of everybody who is logged in from elsewhere."""
    path = root / "run/utmp"
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return  # newer systems keep none
    except OSError as error:
        blind.append(f"{path} cannot be read: {(error.strerror or str(error)).lower()}")
        return
    for offset in range(0, len(raw) - _UTMP.size + 1, _UTMP.size):
        fields = _UTMP.unpack_from(raw, offset)
        kind, user, address = fields[0], fields[4], fields[-1]
        if kind == _USER_PROCESS and any(address):
            text = str(IPv6Address(address)) if any(address[4:]) else str(IPv4Address(address[:4]))
            yield _plain(text), user.partition(b"\0")[0].decode("utf-8", "replace")


def _logind(root: Path) -> Iterator[tuple[str, str]]:
    """Yield address and user of systemd's remote sessions."""
    try:
        names = sorted((root / "run/systemd/sessions").iterdir())
    except OSError:
        return  # no systemd here
    for path in names:
        if path.suffix:
            continue
        try:
            lines = path.read_text(errors="replace").splitlines()
        except OSError:
            continue  # ended meanwhile
        values = {name: value for name, _, value in (line.partition("=") for line in lines)}
        if values.get("REMOTE") == "1" and values.get("ACTIVE", "1") == "1":
            try:
                yield _plain(values.get("REMOTE_HOST", "")), values.get("USER", values.get("UID", ""))
            except ValueError:
                continue  # a name: the records of logins have its address


def _connections(root: Path, blind: list[str]) -> Iterator[Connection]:
    for name, words in (("tcp", 1), ("tcp6", 4)):
        path = root / "proc/net" / name
        try:
            lines = path.read_text().splitlines()[1:]
        except FileNotFoundError:
            continue  # a kernel without IPv6
        except OSError as error:
            blind.append(f"{path} cannot be read: {(error.strerror or str(error)).lower()}")
            continue
        for line in lines:
            fields = line.split()
            local, port = fields[1].split(":")
            remote, _ = fields[2].split(":")
            yield Connection(_address(local, words), int(port, 16), _address(remote, words), fields[3])


def _address(digits: str, words: int) -> str:
    """Return an address as the kernel prints it: 32-bit words, each in this machine's byte order."""
    raw = b"".join(struct.pack("=I", int(digits[8 * n : 8 * n + 8], 16)) for n in range(words))
    return _plain(str(IPv4Address(raw) if words == 1 else IPv6Address(raw)))
