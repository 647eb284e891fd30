"""PAM: which modules decide now, and how (pam.d(5)); both forms, one file a service and /etc/pam.conf."""

import re

from analysis.integrity.semantic.sentence import Sentence, shown
from contracts.event import Severity

_LINE = re.compile(r"(-?(?:auth|account|password|session))\s+(\[[^\]]*\]|\S+)\s+(\S+)\s*(.*)", re.I)
_OPENS = ("pam_permit.so",)
_STORES = ("pam_exec.so", "pam_python.so", "pam_script.so")
_DANGEROUS_WORDS = ("nullok", "trusted_ruser", "debug", "expose_authtok")


def explain(old: str, new: str) -> list[Sentence]:
    """Return lines that came or went within each stack, and a word when only their order changed."""
    before, after = parse(old), parse(new)
    found = [_came(line) for line in after if line not in before]
    found += [_went(line) for line in before if line not in after]
    if not found and before != after:
        found.append(
            Sentence(text="the order of PAM's modules changed", attack=("T1556.003",), severity=Severity.MEDIUM)
        )
    return found


def parse(text: str) -> list[str]:
    """Return the lines in their order, in one spelling: type, control, module, arguments; inclusions as they stand."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        plain = " ".join(line.partition("#")[0].split())
        if plain:
            found.append(plain)
    return found


def _came(line: str) -> Sentence:
    match = _LINE.search(line)
    if match is None:
        return Sentence(text=f"PAM now reads: {shown(line)}", attack=("T1556.003",), severity=Severity.MEDIUM)
    kind, control, module, words = match.groups()
    name = module.rpartition("/")[2]
    opens = name in _OPENS and control.lower() in ("sufficient", "required") and kind.lower().lstrip("-") == "auth"
    strange = module.startswith("/") and not re.match(r"/(usr/)?lib(/[^/]+-linux-gnu)?/security/", module)
    grave = opens or strange or name in _STORES or any(word in words.split() for word in _DANGEROUS_WORDS)
    why = (
        " (lets everybody in)"
        if opens
        else " (runs a program)"
        if name in _STORES
        else " (from an unusual place)"
        if strange
        else ""
    )
    text = f"PAM now asks {shown(module)} for {kind} ({shown(control)}){why}"
    if words:
        text += f" with {shown(words)}"
    return Sentence(text=text, attack=("T1556.003",), severity=Severity.HIGH if grave else Severity.MEDIUM)


def _went(line: str) -> Sentence:
    match = _LINE.search(line)
    what = f"{shown(match[3])} for {match[1]}" if match is not None else shown(line)
    return Sentence(text=f"PAM no longer asks {what}", attack=("T1556.003",), severity=Severity.MEDIUM)
