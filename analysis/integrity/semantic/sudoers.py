"""sudoers and sudoers.d: who may run what as whom now, after aliases; and what Defaults give away (sudoers(5))."""

import re

from analysis.integrity.semantic.sentence import Sentence, arrow, differing, shown
from contracts.event import Severity

_ALIAS = re.compile(r"(User|Runas|Host|Cmnd|Cmd)_Alias\s+(.*)")
_INCLUDE = re.compile(r"[@#](include|includedir)\s+(.+)")
_RULE = re.compile(r"(?P<who>(?:[^=\\]|\\.)+?)\s+(?P<hosts>\S+)\s*=\s*(?P<what>.+)")
_DANGEROUS_DEFAULTS = ("!authenticate", "!requiretty", "!env_reset", "env_keep", "!use_pty", "!logfile", "!syslog", "timestamp_timeout=-1",
                       "!secure_path", "secure_path", "!log_allowed", "visiblepw", "setenv")  # fmt: skip
_PROTECTS = frozenset({"use_pty", "requiretty", "env_reset", "authenticate", "logfile", "log_input", "log_output", "syslog", "secure_path",
                       "env_check", "env_delete", "noexec", "sudoedit_checkdir", "passwd_tries"})  # fmt: skip
_LIBRARIES = re.compile(r"\b(LD_[A-Z_]+|PYTHON\w+|PERL5?\w*|RUBYLIB|NODE_OPTIONS|BASH_ENV|ENV)\b")


def explain(old: str, new: str) -> list[Sentence]:
    """Return rules, defaults and inclusions that came or went; a rule that changed is told as both."""
    before, after = parse(old), parse(new)
    return [_sentence(key, was, now) for key, was, now in differing(before, after)]


def parse(text: str) -> dict[str, str]:
    """Return each statement by what it is about: `rule WHO HOSTS`, `defaults SCOPE NAME`, `alias KIND NAME`, `include PATH`.

    Rules of the same people and hosts are joined in their order, because the last one that fits holds.
    """
    found: dict[str, str] = {}
    for line in _lines(text):
        include = _INCLUDE.fullmatch(line)
        alias = _ALIAS.fullmatch(line)
        if include is not None:
            found[f"include {include[2]}"] = include[1]
        elif line.startswith("#"):
            continue
        elif line.startswith("Defaults"):
            scope, _, rest = " ".join(line.split()).partition(" ")
            for each in _split(rest):
                name = re.split(r"[+-]?=", each, maxsplit=1)[0].strip()
                key = f"defaults {scope} {name.lstrip('! ')}"
                adds = re.match(r"[^=]*[+-]=", each) is not None and key in found
                found[key] = f"{found[key]}, {each}" if adds else each
        elif alias is not None:
            for each in alias[2].split(":"):
                name, _, members = each.partition("=")
                found[f"alias {alias[1]} {name.strip()}"] = ", ".join(part.strip() for part in members.split(","))
        elif (rule := _RULE.fullmatch(line)) is not None:
            key = f"rule {' '.join(rule['who'].split())} {rule['hosts']}"
            what = " ".join(rule["what"].split())
            found[key] = f"{found[key]}; {what}" if key in found else what
        else:
            found[f"line {line}"] = line
    return found


def _lines(text: str) -> list[str]:
    """Return logical lines: continued ones joined, comments off (but for `#include` and `#1000`, a user by number)."""
    joined = text.replace("\\\n", " ")
    found = []
    for line in joined.splitlines():
        plain = line.strip()
        if plain.startswith("#") and not _INCLUDE.fullmatch(plain) and not re.match(r"#\d+\s", plain):
            continue
        if not plain.startswith("#"):
            plain = re.sub(r"(?<!\\)#(?!\d).*", "", plain).strip()
        elif re.match(r"#\d+\s", plain):
            plain = "uid" + plain[1:]
        if plain:
            found.append(plain)
    return found


def _split(text: str) -> list[str]:
    """Split at commas outside of quotation marks."""
    return [part.strip() for part in re.findall(r'(?:"[^"]*"|[^,])+', text) if part.strip()]


def _sentence(key: str, was: str | None, now: str | None) -> Sentence:
    kind, _, name = key.partition(" ")
    if kind == "rule":
        return _rule(name, was, now)
    if kind == "defaults":
        grave = now is not None and any(each in now.replace(" ", "") for each in _DANGEROUS_DEFAULTS)
        scope, _, setting = name.partition(" ")
        text = arrow(f"sudo's {shown(scope)}:", was, now)
        attack = ("T1548.003", "T1574.006") if grave and _LIBRARIES.search(now or "") else ("T1548.003",)
        lost = now is None and setting in _PROTECTS and not (was or "").startswith("!")
        return Sentence(text=text, attack=attack, severity=Severity.HIGH if grave else Severity(2 + lost))
    if kind == "include":
        verb = "now reads" if now else "no longer reads"
        return Sentence(text=f"sudo {verb} {shown(name)}", attack=("T1548.003",), severity=Severity.MEDIUM)
    if kind == "alias":
        return Sentence(text=arrow(f"{name}:", was, now), attack=("T1548.003",), severity=Severity.MEDIUM)
    verb = "gained" if now else "lost"
    return Sentence(text=f"sudoers {verb} a line that is not understood: {shown(name)}", severity=Severity.MEDIUM)


def _rule(name: str, was: str | None, now: str | None) -> Sentence:
    who, _, hosts = name.rpartition(" ")
    who = re.sub(r"^uid(?=\d+$)", "the user of number ", who)
    where = "" if hosts == "ALL" else f" on {shown(hosts)}"
    if now is None:
        return Sentence(text=f"{shown(who)} may no longer run{where}: {shown(was or '')}", severity=Severity.LOW)
    free = " without a password" if "NOPASSWD" in now and "NOPASSWD" not in (was or "") else ""
    everything = re.search(r"(^|[:;,)]\s*)ALL\b", re.sub(r"\([^)]*\)", "", now)) is not None
    said = f"{shown(was)} -> {shown(now)}" if was is not None else shown(now)
    severity = Severity.HIGH if everything or free else Severity.MEDIUM
    return Sentence(text=f"{shown(who)} may run{where}{free}: {said}", attack=("T1548.003",), severity=severity)
