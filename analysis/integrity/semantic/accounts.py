"""passwd, group, shadow and gshadow: who came, went, became root, may log in; of a password never more than that it changed (shadow(5))."""

import hashlib
import re

from analysis.integrity.semantic.sentence import Sentence, differing, shown
from contracts.event import Severity

_ALGORITHMS = {
    "1": "MD5",
    "2a": "bcrypt",
    "2b": "bcrypt",
    "2y": "bcrypt",
    "5": "SHA-256",
    "6": "SHA-512",
    "7": "scrypt",
    "y": "yescrypt",
    "gy": "gost-yescrypt",
    "md5": "Solaris MD5",
    "sha1": "SHA-1",
}
_WEAK = frozenset({"MD5", "DES", "Solaris MD5", "SHA-1"})
_NO_LOGIN = ("nologin", "/false", "/sync", "/halt", "/shutdown")
_GROUPS = frozenset({"root", "sudo", "wheel", "adm", "docker", "lxd", "disk", "shadow", "libvirt", "kvm", "kmem"})
_MARK = "holdfast="


def redacted(content: bytes) -> bytes:
    """Return a shadow or gshadow file whose hashes are replaced by their algorithm and a mark that changes when they do.

    The mark is of the whole hash with its salt, so that it can neither be turned back nor guessed at; a lock and an empty field stay.
    """
    lines = []
    for line in content.split(b"\n"):
        fields = line.split(b":")
        if len(fields) > 2 and fields[1]:
            fields[1] = _marked(fields[1].decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        lines.append(b":".join(fields))
    return b"\n".join(lines)


def _marked(field: str) -> str:
    lock = field[: len(field) - len(field.lstrip("!"))]
    rest = field[len(lock) :]
    if rest in ("", "*", "x") or rest.startswith(_MARK):
        return field
    digest = hashlib.sha256(rest.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{lock}{_MARK}{algorithm(rest)}={digest[:16]}"


def algorithm(field: str) -> str:
    """Return the algorithm of a password field, "" for none (crypt(5))."""
    rest = field.lstrip("!")
    if rest in ("", "*", "x"):
        return ""
    if rest.startswith(_MARK):
        return rest.split("=")[1]
    if rest.startswith("$"):
        return _ALGORITHMS.get(rest.split("$")[1], "unknown")
    return "DES"


def passwd(old: str, new: str) -> list[Sentence]:
    """Explain /etc/passwd."""
    found: list[Sentence] = []
    for name, was, now in differing(_lines(old, 7), _lines(new, 7)):
        found += _account(name, was, now)
    found += [
        Sentence(text=f"the name {shown(name)} stands more than once", attack=("T1136.001",), severity=Severity.HIGH)
        for name in _doubles(new)
        if name not in _doubles(old)
    ]
    return found


def _account(name: str, was: list[str] | None, now: list[str] | None) -> list[Sentence]:
    if now is None:
        return [Sentence(text=f"account {shown(name)} was removed", attack=("T1531",), severity=Severity.LOW)]
    root = _is_root(now[2])
    if was is None:
        login = "" if _may_log_in(now[6]) else ", which cannot log in"
        grave = Severity.HIGH if root else Severity.MEDIUM if not login else Severity.LOW
        as_root = " with root's number" if root else ""
        text = f"account {shown(name)} was added{as_root} (uid {shown(now[2])}, shell {shown(now[6])}{login})"
        return [Sentence(text=text, attack=("T1136.001", "T1078.003") if root else ("T1136.001",), severity=grave)]
    found = []
    if was[1] != now[1]:
        empty = now[1] == ""
        text = f"{shown(name)} needs no password" if empty else f"the password field of {shown(name)} changed"
        found.append(Sentence(text=text, attack=("T1098",), severity=Severity.HIGH))
    for at, what in ((2, "uid"), (3, "gid"), (5, "home"), (6, "shell")):
        if was[at] != now[at]:
            opened = (at == 2 and root) or (at == 6 and _may_log_in(now[6]) and not _may_log_in(was[6]))
            text = f"{what} of {shown(name)} {shown(was[at])} -> {shown(now[at])}"
            techniques = ("T1098", "T1078.003") if at == 2 and root else ("T1098",)
            found.append(Sentence(text=text, attack=techniques, severity=Severity.HIGH if opened else Severity.MEDIUM))
    return found


def _is_root(uid: str) -> bool:
    """Return whether the C library takes a number for root's, however it is written (strtoul(3): blanks, a sign, zeros)."""
    return re.fullmatch(r"\s*[+-]?0+", uid) is not None


def shadow(old: str, new: str) -> list[Sentence]:
    """Explain /etc/shadow, whole or `redacted`."""
    found: list[Sentence] = []
    for name, was, now in differing(_lines(old, 2), _lines(new, 2)):
        if was is None or now is None:
            verb = "gained" if was is None else "lost"
            state = f" ({_state(now[1])})" if now is not None else ""
            grave = now is not None and now[1] == ""
            text = f"{shown(name)} {verb} an entry for a password{state}"
            found.append(Sentence(text=text, attack=("T1098",), severity=Severity.HIGH if grave else Severity.LOW))
            continue
        if was[1] != now[1]:
            found.append(_password(name, was[1], now[1]))
        if was[2:] != now[2:]:
            found.append(Sentence(text=f"the ageing of {shown(name)}'s password changed", attack=("T1098",)))
    return found


def _password(name: str, was: str, now: str) -> Sentence:
    before, after = _state(was), _state(now)
    if before != after:
        text = f"password of {shown(name)}: {before} -> {after}"
    else:
        text = f"password of {shown(name)} changed ({after})"
    grave = now == "" or (_is_closed(was) and not _is_closed(now)) or algorithm(now) in _WEAK
    return Sentence(text=text, attack=("T1098",), severity=Severity.HIGH if grave else Severity.MEDIUM)


def _is_closed(field: str) -> bool:
    return field.startswith("!") or field == "*"


def _state(field: str) -> str:
    if field == "":
        return "empty, no password needed"
    if field.lstrip("!") in ("", "*", "x"):
        return "locked" if field != "x" else "elsewhere"
    return f"locked, {algorithm(field)}" if field.startswith("!") else f"set, {algorithm(field)}"


def group(old: str, new: str) -> list[Sentence]:
    """Explain /etc/group and /etc/gshadow."""
    found: list[Sentence] = []
    for name, was, now in differing(_lines(old, 4), _lines(new, 4)):
        grave = name in _GROUPS
        if now is None:
            found.append(Sentence(text=f"group {shown(name)} was removed", severity=Severity.LOW))
            continue
        if was is None:
            found.append(Sentence(text=f"group {shown(name)} was added", attack=("T1136.001",), severity=Severity.LOW))
        before, after = _members(was), _members(now)
        for member in sorted(after - before):
            text = f"{shown(member)} joined the group {shown(name)}"
            found.append(
                Sentence(text=text, attack=("T1098.007",), severity=Severity.HIGH if grave else Severity.MEDIUM)
            )
        for member in sorted(before - after):
            found.append(Sentence(text=f"{shown(member)} left the group {shown(name)}", severity=Severity.LOW))
        if was is not None and was[2] != now[2] and was[2].isdigit():
            text = f"gid of {shown(name)} {shown(was[2])} -> {shown(now[2])}"
            found.append(Sentence(text=text, attack=("T1098",), severity=Severity.MEDIUM))
        if was is not None and was[1] != now[1]:
            found.append(
                Sentence(
                    text=f"the password of the group {shown(name)} changed",
                    attack=("T1098",),
                    severity=Severity.HIGH
                    if grave and now[1] not in ("", "x") and now[1][0] not in "!*"
                    else Severity.MEDIUM,
                )
            )
        found += _administrators(name, was, now)
    return found


def _administrators(name: str, was: list[str] | None, now: list[str]) -> list[Sentence]:
    """Explain who may let others into a group: the third field of gshadow, which in group holds the number."""
    fields = [each[2] if each is not None else "" for each in (was, now)]
    before, after = (set() if each.isdigit() else set(each.split(",")) - {""} for each in fields)
    grave = Severity.HIGH if name in _GROUPS else Severity.MEDIUM
    return [
        Sentence(
            text=f"{shown(each)} may now let others into the group {shown(name)}", attack=("T1098.007",), severity=grave
        )
        for each in sorted(after - before)
    ] + [
        Sentence(text=f"{shown(each)} may no longer let others into the group {shown(name)}")
        for each in sorted(before - after)
    ]


def _members(fields: list[str] | None) -> set[str]:
    return set(fields[3].split(",")) - {""} if fields is not None else set()


def _may_log_in(shell: str) -> bool:
    return not shell.endswith(_NO_LOGIN)


def _lines(text: str, least: int) -> dict[str, list[str]]:
    """Return fields by name, the first line of a name; lines that are too short are filled up."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split(":")
        found.setdefault(fields[0], fields + [""] * (least - len(fields)))
    return found


def _doubles(text: str) -> list[str]:
    names = [line.partition(":")[0] for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return sorted({name for name in names if names.count(name) > 1})
