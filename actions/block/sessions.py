"""Who is logged in over SSH from where, and whether that earns the peer protection.

systemd-logind's `/run/systemd/sessions` where there is one, utmp(5) elsewhere. A connection alone is no session. A session that began after
failed logins from the same address (btmp, or our own bans) protects nobody: it may be the one guess that was right.
"""

import ipaddress
import struct
from collections.abc import Iterator, Mapping

from actions.block.saved import Offences
from contracts.errors import Unavailable, Why
from contracts.host import ReadOnlyHost
from contracts.record import Record

SESSIONS = "/run/systemd/sessions"
UTMP, BTMP = ("/run/utmp", "/var/run/utmp"), "/var/log/btmp"
MAX_BTMP = 32 << 20

_RECORD = struct.Struct("<hxxi32s4s32s256shhiii16s20x")
"""`struct utmp` of utmp(5): type, process, line, id, user, host, …, session, seconds, microseconds, address."""
_USER_PROCESS = 7
_LIVE = ("active", "online")


class Session(Record):
    """One login from elsewhere; `began_ms` is Unix time."""

    address: str
    user: str
    began_ms: int


def trusted(host: ReadOnlyHost, offences: Mapping[str, Offences], forgive_s: float) -> list[Session]:
    """Return the sessions whose peers are protected; raises `Unavailable` when it cannot be told who is logged in."""
    found = _sessions(host)
    if not found:
        return []
    failures = _failures(host, {session.address for session in found})
    return [one for one in found if not _is_suspect(one, failures, offences, forgive_s * 1000)]


def _is_suspect(
    one: Session, failures: Mapping[str, list[int]], offences: Mapping[str, Offences], before_ms: float
) -> bool:
    begin = one.began_ms - before_ms
    offence = offences.get(one.address)
    if offence is not None and begin <= offence.last_ms <= one.began_ms:
        return True
    return any(begin <= failed <= one.began_ms for failed in failures.get(one.address, ()))


def _sessions(host: ReadOnlyHost) -> list[Session]:
    try:
        names = host.files.names(SESSIONS)
    except Unavailable as error:
        if error.why is not Why.NOT_PRESENT:
            raise
        return list(_from_utmp(host))
    found = []
    for name in names:
        try:
            text = host.files.read(f"{SESSIONS}/{name.decode('utf-8', 'replace')}", 64 << 10).decode("utf-8", "replace")
        except Unavailable as error:
            if error.why in (Why.NOT_PRESENT, Why.OTHER):  # it ended meanwhile, or is the pipe beside a session's file
                continue
            raise
        session = _session(text)
        if session is not None:
            found.append(session)
    return found


def _session(text: str) -> Session | None:
    """Return what a file of logind says, None unless it is a live session over SSH."""
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    address = _address(values.get("REMOTE_HOST", ""))
    if not address or values.get("SERVICE") != "sshd" or values.get("STATE") not in _LIVE:
        return None
    began = values.get("REALTIME", "")
    user = values.get("USER", values.get("UID", "somebody"))
    return Session(address=address, user=user, began_ms=int(began) // 1000 if began.isdigit() else 0)


def _from_utmp(host: ReadOnlyHost) -> Iterator[Session]:
    for path in UTMP:
        try:
            content = host.files.read(path, 4 << 20)
        except Unavailable as error:
            if error.why is Why.NOT_PRESENT:
                continue
            raise
        for kind, user, address, at_ms in _records(content):
            if kind == _USER_PROCESS and address:
                yield Session(address=address, user=user, began_ms=at_ms)
        return


def _failures(host: ReadOnlyHost, addresses: set[str]) -> dict[str, list[int]]:
    """Return when logins from `addresses` failed; nothing where no such record is kept."""
    try:
        content = host.files.read(BTMP, MAX_BTMP)
    except Unavailable as error:
        if error.why in (Why.NOT_PRESENT, Why.TOO_LARGE):
            return {}
        raise
    found: dict[str, list[int]] = {}
    for _, _, address, at_ms in _records(content):
        if address in addresses:
            found.setdefault(address, []).append(at_ms)
    return found


def _records(content: bytes) -> Iterator[tuple[int, str, str, int]]:
    """Yield type, user, address and time of every whole record in `content`."""
    whole = len(content) - len(content) % _RECORD.size
    for kind, _, _, _, user, host, _, _, _, seconds, micros, packed in _RECORD.iter_unpack(memoryview(content)[:whole]):
        name = user.partition(b"\0")[0].decode("utf-8", "replace")
        text = host.partition(b"\0")[0].decode("utf-8", "replace")
        at_ms = (seconds & 0xFFFFFFFF) * 1000 + micros // 1000
        yield kind, name, _address(text) or _packed(packed), at_ms


def _packed(raw: bytes) -> str:
    """Return the address field: IPv4 in the first four bytes and nothing behind, else IPv6."""
    if not any(raw):
        return ""
    return _canonical(ipaddress.ip_address(raw[:4] if not any(raw[4:]) else raw))


def _address(word: str) -> str:
    try:
        return _canonical(ipaddress.ip_address(word.partition("%")[0]))
    except ValueError:
        return ""


def _canonical(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    mapped = address.ipv4_mapped if address.version == 6 else None
    return str(mapped or address)
