"""The SSH sessions into this server that people have open now, and only authenticated ones: merely connecting gives no say.

Three witnesses, because none is everywhere: this command's own session (SSH_CONNECTION of it or of a process above it, `sshd(8)`), the
records of logins (`utmp(5)`), and systemd's (`/run/systemd/sessions`, `systemd-logind.service(8)`).
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from analysis.logins import ESTABLISHED, LISTENING, USER_PROCESS, Connection, canonical, connections, logind, utmp

_MOST_ANCESTORS = 64


class Session(NamedTuple):
    """One session: who, from which address, to which address and port of this server."""

    user: str
    peer: str
    address: str
    port: int


def sessions(root: Path = Path("/")) -> tuple[tuple[Session, ...], tuple[str, ...]]:
    """Return the sessions, and what could not be looked at; `root` is where `proc` and `run` are."""
    blind: list[str] = []
    found = {(own.peer, own.address, own.port): own for own in _own(root)}
    if not any((root / place).exists() for place in ("run/utmp", "run/systemd/sessions")):
        blind.append(
            "there are no records of logins (/run/utmp, /run/systemd/sessions), so sessions of others are not known"
        )
    sockets = list(_sockets(root, blind))
    listening = {each.port for each in sockets if each.state == LISTENING}
    peers = {peer: user for peer, user in (*_utmp(root, blind), *_logind(root))}
    for each in sockets:
        if each.state == ESTABLISHED and each.port in listening and each.peer in peers:
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
    if len(words) != 4 or not words[3].isdecimal():
        return None
    peer, address = canonical(words[0]), canonical(words[2])
    return Session("this session", peer, address, int(words[3])) if peer and address else None


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
    for one in utmp(raw):
        if one.kind == USER_PROCESS and one.address:
            yield one.address, one.user


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
            session = logind(path.read_text(errors="replace"))
        except OSError:
            continue  # ended meanwhile
        if session is not None:
            yield session.address, session.user


def _sockets(root: Path, blind: list[str]) -> Iterator[Connection]:
    for name in ("tcp", "tcp6"):
        path = root / "proc/net" / name
        try:
            yield from connections(path.read_text())
        except FileNotFoundError:
            continue  # a kernel without IPv6
        except OSError as error:
            blind.append(f"{path} cannot be read: {(error.strerror or str(error)).lower()}")
