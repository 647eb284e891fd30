"""PAM: which modules decide now, and how (pam.d(5)); both forms, one file a service and /etc/pam.conf."""

import re
from collections import Counter

from analysis.integrity.semantic.sentence import Sentence, shown
from contracts.event import Severity

_LINE = re.compile(r"(-?(?:auth|account|password|session))\s+(\[[^\]]*\]|\S+)\s+(\S+)\s*(.*)", re.I)
_OPENS = ("pam_permit.so",)
_REFUSES = ("pam_deny.so",)
_STORES = ("pam_exec.so", "pam_python.so", "pam_script.so")
_DANGEROUS_WORDS = ("nullok", "trusted_ruser", "debug", "expose_authtok")


def explain(old: str, new: str) -> list[Sentence]:
    """Return lines that came or went within each stack, and a word when only their order changed."""
    before, after = parse(old), parse(new)
    came, went = (
        list((Counter(after) - Counter(before)).elements()),
        list((Counter(before) - Counter(after)).elements()),
    )
    found = []
    for line in list(came):
        other = _only_other(line, came, went)
        if other is not None:
            found.append(_changed(other, line))
            came.remove(line)
            went.remove(other)
    found += [_came(line) for line in came]
    found += [_went(line) for line in went]
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


def _only_other(line: str, came: list[str], went: list[str]) -> str | None:
    """Return the one line that went of the same stack and module, where there is one on either side: the line changed."""
    about = _about(line)
    former = [other for other in went if about is not None and _about(other) == about]
    return former[0] if len(former) == 1 and sum(_about(other) == about for other in came) == 1 else None


def _about(line: str) -> tuple[str, str, str] | None:
    match = _LINE.search(line)
    return (line[: match.start()], match[1].lower(), match[3]) if match is not None else None


def _changed(was: str, now: str) -> Sentence:
    before, after = _LINE.search(was), _LINE.search(now)
    assert before is not None and after is not None
    said = [shown(f"({each[2]}) {each[4]}".strip()) for each in (before, after)]
    why = _failure_passes(after[1], after[2]) and not _failure_passes(before[1], before[2])
    opens = _lets_in(after) and not _lets_in(before)
    given = set(after[4].split()) & set(_DANGEROUS_WORDS) - set(before[4].split())
    grave = why or opens or given or after[3].rpartition("/")[2] in _STORES
    text = f"PAM's {shown(after[3])} for {after[1]}: {said[0]} -> {said[1]}"
    text += " (lets everybody in)" if opens else " (goes on where it fails)" if why else ""
    return Sentence(text=text, attack=("T1556.003",), severity=Severity.HIGH if grave else Severity.MEDIUM)


def _lets_in(match: re.Match[str]) -> bool:
    """Return whether a line lets everybody in: pam_permit that decides, not one that only ends a stack where another has decided."""
    control = match[2].lower()
    decides = control in ("sufficient", "required") or re.search(r"success=(done|ok|[1-9])", control) is not None
    return match[3].rpartition("/")[2] in _OPENS and decides and match[1].lower().lstrip("-") == "auth"


def _failure_passes(kind: str, control: str) -> bool:
    """Return whether a check that fails leads past what would refuse: `default=1`, `auth_err=ok` and the like (pam.d(5))."""
    results = dict(re.findall(r"(\w+)=(\w+)", control.lower()))
    fails = [value for name, value in results.items() if name in ("default", "auth_err", "user_unknown", "perm_denied")]
    return kind.lower().lstrip("-") == "auth" and any(value.isdigit() or value in ("ok", "done") for value in fails)


def _came(line: str) -> Sentence:
    match = _LINE.search(line)
    if match is None:
        return Sentence(text=f"PAM now reads: {shown(line)}", attack=("T1556.003",), severity=Severity.MEDIUM)
    kind, control, module, words = match.groups()
    name = module.rpartition("/")[2]
    opens, passes = _lets_in(match), _failure_passes(kind, control)
    strange = module.startswith("/") and not re.match(r"/(usr/)?lib(/[^/]+-linux-gnu)?/security/", module)
    grave = opens or passes or strange or name in _STORES or any(word in words.split() for word in _DANGEROUS_WORDS)
    why = (
        " (lets everybody in)"
        if opens
        else " (runs a program)"
        if name in _STORES
        else " (from an unusual place)"
        if strange
        else " (goes on where it fails)"
        if passes
        else ""
    )
    text = f"PAM now asks {shown(module)} for {kind} ({shown(control)}){why}"
    if words:
        text += f" with {shown(words)}"
    return Sentence(text=text, attack=("T1556.003",), severity=Severity.HIGH if grave else Severity.MEDIUM)


def _went(line: str) -> Sentence:
    match = _LINE.search(line)
    what = f"{shown(match[3])} for {match[1]}" if match is not None else shown(line)
    refuses = match is not None and match[3].rpartition("/")[2] in _REFUSES
    why = " (nothing refuses any more)" if refuses else ""
    severity = Severity.HIGH if refuses else Severity.MEDIUM
    return Sentence(text=f"PAM no longer asks {what}{why}", attack=("T1556.003",), severity=severity)
