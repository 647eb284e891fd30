"""Who is logged in over SSH from where, and whether that earns the peer protection.

systemd-logind's `/run/systemd/sessions` where there is one, utmp(5) elsewhere. A connection alone is no session. A session that began after
failed logins from the same address (btmp, or our own bans) protects nobody: it may be the one guess that was right.
"""

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from actions.block.saved import Offences
from analysis.logins import RECORD_SIZE, USER_PROCESS, logind, utmp
from contracts.errors import Unavailable, Why
from contracts.host import ReadOnlyHost
from contracts.record import Record

SESSIONS = "/run/systemd/sessions"
UTMP, BTMP = ("/run/utmp", "/var/run/utmp"), "/var/log/btmp"
MAX_BTMP = 32 << 20

_NEVER = 1 << 62
_SSH = "sshd"
_CUT = f"failed logins before it are not all known: {BTMP} is longer than {MAX_BTMP >> 20} MiB"


class Session(Record):
    """One login from elsewhere; `began_ms` is Unix time. `unknown` says why failed logins before it may be missing, "" when none are."""

    address: str
    user: str
    began_ms: int
    unknown: str = ""


def trusted(host: ReadOnlyHost, offences: Mapping[str, Offences], forgive_s: float) -> list[Session]:
    """Return the sessions whose peers are protected; raises `Unavailable` when it cannot be told who is logged in."""
    found = _sessions(host)
    if not found:
        return []
    failures, since_ms = _failures(host, {session.address for session in found})
    kept = [one for one in found if not _is_suspect(one, failures, offences, forgive_s * 1000)]
    return [replace(one, unknown=_CUT) if one.began_ms - forgive_s * 1000 < since_ms else one for one in kept]


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
        one = logind(text)
        if one is not None and one.service == _SSH:
            found.append(Session(address=one.address, user=one.user, began_ms=one.began_ms))
    return found


def _from_utmp(host: ReadOnlyHost) -> Iterator[Session]:
    for path in UTMP:
        try:
            content = host.files.read(path, 4 << 20)
        except Unavailable as error:
            if error.why is Why.NOT_PRESENT:
                continue
            raise
        for one in utmp(content):
            if one.kind == USER_PROCESS and one.address:
                yield Session(address=one.address, user=one.user, began_ms=one.began_ms)
        return


def _failures(host: ReadOnlyHost, addresses: set[str]) -> tuple[dict[str, list[int]], int]:
    """Return when logins from `addresses` failed, nothing where no such record is kept, and since when (Unix ms) that is known.

    Of a record that is too long its end is read, which is the newest; else it is known since ever, 0.
    """
    try:
        left_out, content = host.files.end(BTMP, MAX_BTMP)
    except Unavailable as error:
        if error.why is Why.NOT_PRESENT:
            return {}, 0
        raise
    found: dict[str, list[int]] = {}
    since_ms = 0
    for one in utmp(content[-left_out % RECORD_SIZE :]):
        since_ms = since_ms or one.began_ms
        if one.address in addresses:
            found.setdefault(one.address, []).append(one.began_ms)
    return found, (since_ms or _NEVER) if left_out else 0
