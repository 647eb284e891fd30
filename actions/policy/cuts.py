"""Whom a policy would cut: open SSH sessions, who is connected with a console on this host, and what relies on untracked answers.

Judged by the policy alone, because only table `inet holdfast` changes: what another table refuses is refused already. What this host begins
itself (its console, its backup targets) no policy refuses, as long as the kernel knows answers as answers.
"""

import json
import re
from collections.abc import Iterator
from ipaddress import ip_address

from analysis.firewall.policy import Expected
from analysis.firewall.probe import Probe, Verdict
from analysis.logins import ESTABLISHED, LISTENING, USER_PROCESS, Connection, connections, logind, utmp
from contracts.errors import Unavailable, Why
from contracts.host import ReadOnlyHost
from contracts.policy import Policy

SESSIONS, UTMP = "/run/systemd/sessions", "/run/utmp"
TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
CONSOLE_USER = "holdfast-console"
_MAX_TABLE, _MAX_UTMP = 64 << 20, 4 << 20
_UNKNOWN_DEVICE = "?"
"""An interface that no policy names: then only what may come by any interface is let in."""
_UNTRACKED = re.compile(r"\bnotrack\b|xt target \"CT\"", re.IGNORECASE)
_LEGACY = {"iptables-legacy-save": "/proc/net/ip_tables_names", "ip6tables-legacy-save": "/proc/net/ip6_tables_names"}


def cuts(host: ReadOnlyHost, policy: Policy) -> tuple[str, ...]:
    """Return what `policy` would or may cut, each in one line; what cannot be told is a line of its own.

    Raises `Unavailable` when nft cannot be asked.
    """
    unknown: list[str] = []
    expected = Expected(policy)
    sockets = list(_sockets(host, unknown))
    users = dict(_logins(host, unknown))
    console = _uid(host, CONSOLE_USER)
    listening = {each.port: each.uid for each in sockets if each.state == LISTENING}
    lines: dict[str, None] = {}
    for each in sockets:
        if each.state != ESTABLISHED or each.port not in listening or ip_address(each.peer).is_loopback:
            continue
        if console is not None and listening[each.port] == console:
            name = f"the console on this host from {each.peer}, port {each.port}"
        elif each.peer in users:
            name = f"the SSH session of {users[each.peer]} from {each.peer} to port {each.port}"
        else:
            continue
        why = _refusal(host, expected, each)
        if why:
            lines[f"would cut {name}: {why}"] = None
    return (*lines, *(f"may cut SSH sessions that cannot be seen: {text}" for text in unknown), *_untracked(host))


def _refusal(host: ReadOnlyHost, expected: Expected, each: Connection) -> str:
    """Return the rule that would refuse the same connection if it was begun anew, "" when none does; a declared rate refuses nobody."""
    family = 6 if ":" in each.address else 4
    device = _device(host, each.peer)
    probe = Probe(
        family=family, protocol="tcp", source=each.peer, destination=each.address, port=each.port, interface=device
    )
    decided = expected.of(probe)
    return f"{decided.why} [{decided.chain}]" if decided.verdict is Verdict.BLOCKED else ""


def _device(host: ReadOnlyHost, peer: str) -> str:
    """Return the interface by which this host answers `peer`."""
    try:
        done = host.commands.ask("ip", "-j", "route", "get", peer, timeout_s=5.0, max_bytes=1 << 16)
        found = json.loads(done.stdout)[0]["dev"] if done.code == 0 else _UNKNOWN_DEVICE
    except (Unavailable, ValueError, LookupError, TypeError):
        return _UNKNOWN_DEVICE
    return str(found)


def _logins(host: ReadOnlyHost, unknown: list[str]) -> Iterator[tuple[str, str]]:
    """Yield address and user of everybody who is logged in from elsewhere, by both records; one of them has to be there."""
    is_kept = False
    try:
        for one in utmp(host.files.read(UTMP, _MAX_UTMP)):
            if one.kind == USER_PROCESS and one.address:
                yield one.address, one.user
        is_kept = True
    except Unavailable as error:
        _note(error, unknown)
    try:
        names = host.files.names(SESSIONS)
        is_kept = True
    except Unavailable as error:
        _note(error, unknown)
        names = []
    for name in names:
        try:
            content = host.files.read(f"{SESSIONS}/{name.decode('utf-8', 'replace')}", 1 << 16)
        except Unavailable as error:
            if error.why is not Why.OTHER:  # the pipe beside a session's file
                _note(error, unknown)
            continue
        session = logind(content.decode("utf-8", "replace"))
        if session is not None:
            yield session.address, session.user
    if not is_kept and not unknown:
        unknown.append(f"there are no records of logins ({UTMP}, {SESSIONS}), so sessions of others are not known")


def _sockets(host: ReadOnlyHost, unknown: list[str]) -> Iterator[Connection]:
    for path in TABLES:
        try:
            yield from connections(host.files.read(path, _MAX_TABLE).decode("ascii", "replace"))
        except Unavailable as error:
            _note(error, unknown)


def _note(error: Unavailable, unknown: list[str]) -> None:
    """Remember what could not be read; what is not there holds nothing."""
    if error.why is not Why.NOT_PRESENT:
        unknown.append(error.message)


def _uid(host: ReadOnlyHost, name: str) -> int | None:
    try:
        text = host.files.read("/etc/passwd").decode("utf-8", "replace")
    except Unavailable:
        return None  # without accounts there is no console with one of its own
    rows = (line.split(":") for line in text.splitlines())
    return next((int(row[2]) for row in rows if row[0] == name and len(row) > 2 and row[2].isdigit()), None)


def _untracked(host: ReadOnlyHost) -> Iterator[str]:
    """Yield a line when a rule takes packets out of connection tracking: answers to this host count as new then, and are refused."""
    lines = _answered(host, "nft", "-s", "-t", "list", "ruleset")
    for tool, names in _LEGACY.items():
        if "raw" in _tables(host, names):  # asked only where there is one: asking itself would make one
            lines += _answered(host, tool, "-t", "raw")
    found = next(filter(_UNTRACKED.search, lines), "").strip()[:160]
    if found:
        yield f"may cut what this host reaches itself (console, backup targets), whose answers `{found}` makes unknown to the kernel"


def _answered(host: ReadOnlyHost, *words: str) -> list[str]:
    done = host.commands.ask(*words)
    if done.code:
        said = done.stderr.decode("utf-8", "replace").strip()[:200]
        raise Unavailable(Why.OTHER, f"{words[0]} does not tell which packets are not tracked: {said}")
    return done.stdout.decode("utf-8", "replace").splitlines()


def _tables(host: ReadOnlyHost, names: str) -> list[str]:
    """Return the tables that legacy iptables has in the kernel."""
    try:
        return host.files.read(names).decode("ascii", "replace").split()
    except Unavailable as error:
        if error.why is Why.NOT_PRESENT:
            return []
        raise
