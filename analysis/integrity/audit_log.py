"""Reads the audit log for who changed which file. Pure; the format is that of auditd's log files (audit.log, see auditd.conf(5)).

One event is several records with the same number: SYSCALL says who, CWD where, PATH on what. Names with unusual bytes are in hex.
"""

import posixpath
import re
from collections.abc import Iterable, Mapping

import msgspec

from contracts.file_change import Author
from contracts.text import escape

_RECORD = re.compile(rb"type=(SYSCALL|CWD|PATH) msg=audit\((\d+)\.(\d+):(\d+)\): ?(.*)")
_FIELD = re.compile(rb'(\w+)=("[^"]*"|[^\s\x1d]+)')
NOBODY = "4294967295"
"""The login id of what no login led to."""
_QUIET = frozenset({b"PARENT", b"UNKNOWN"})


class Deed(msgspec.Struct, frozen=True, gc=False):
    """One system call: when (Unix ms), on which paths, by whom."""

    at_ms: int
    paths: tuple[bytes, ...]
    author: Author


def deeds(log: bytes, users: Mapping[str, str]) -> list[Deed]:
    """Return what the successful system calls in a piece of the log were done to, oldest first; `users` gives names of user ids."""
    events: dict[tuple[bytes, bytes], dict[bytes, list[dict[bytes, bytes]]]] = {}
    for line in log.splitlines():
        found = _RECORD.match(line)
        if found is None:
            continue
        kind, second, millisecond, number, rest = found.groups()
        fields = {name: value for name, value in _FIELD.findall(rest.replace(b"\x1d", b" "))}
        at = second + millisecond.ljust(3, b"0")[:3]
        events.setdefault((at, number), {}).setdefault(kind, []).append(fields)
    result = []
    for (at, _), records in events.items():
        call = next(iter(records.get(b"SYSCALL", ())), None)
        if call is None or call.get(b"success") == b"no":
            continue
        paths = tuple(_paths(records))
        if paths:
            result.append(Deed(int(at), paths, _author(call, users)))
    return result


def _paths(records: Mapping[bytes, list[dict[bytes, bytes]]]) -> Iterable[bytes]:
    base = next((_text(fields.get(b"cwd", b"")) for fields in records.get(b"CWD", ())), b"")
    for fields in records.get(b"PATH", ()):
        name = _text(fields.get(b"name", b""))
        if name and name != b"(null)" and fields.get(b"nametype") not in _QUIET:
            yield posixpath.normpath(posixpath.join(base, name))


def _author(call: Mapping[bytes, bytes], users: Mapping[str, str]) -> Author:
    def number(name: bytes) -> str:
        return call.get(name, b"").decode("ascii", "replace")

    def user(name: bytes, enriched: bytes) -> str:
        said = _text(call.get(enriched, b""))
        if said and said != b"unset":
            return escape(said)
        value = number(name)
        return "" if value in ("", NOBODY) else users.get(value, value)

    pid = number(b"pid")
    return Author(
        pid=int(pid) if pid.isdecimal() else 0,
        process=escape(_text(call.get(b"comm", b""))),
        command=escape(_text(call.get(b"exe", b""))),
        user=user(b"uid", b"UID"),
        login=user(b"auid", b"AUID"),
    )


def _text(raw: bytes) -> bytes:
    """Return what a value says: in quotation marks, or in hex."""
    if raw.startswith(b'"'):
        return raw.strip(b'"')
    try:
        return bytes.fromhex(raw.decode("ascii"))
    except ValueError:
        return raw
