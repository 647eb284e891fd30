"""authorized_keys: whose keys were let in or out, by fingerprint, with what they may do (sshd(8), AUTHORIZED_KEYS FILE FORMAT)."""

import base64
import binascii
import hashlib
import re

from analysis.integrity.semantic.sentence import Sentence, differing, shown
from contracts.event import Severity

_TYPE = re.compile(r"(?:^|\s)((?:sk-)?(?:ssh|ecdsa)-[A-Za-z0-9@.-]+)\s+([A-Za-z0-9+/=]+)\s*(.*)$")


def explain(old: str, new: str) -> list[Sentence]:
    """Return keys that came, went, or may do something else."""
    found = []
    for key, was, now in differing(parse(old), parse(new)):
        if was is None and now is not None:
            options, comment = now
            limited = f", limited to {shown(options)}" if options else ""
            what = "an authority whose certificates are let in" if _is_authority(options) else "a key"
            text = f"{what} may log in: {key}{_by(comment)}{limited}"
            found.append(Sentence(text=text, attack=("T1098.004",), severity=Severity.HIGH))
        elif now is None and was is not None:
            text = f"a key may no longer log in: {key}{_by(was[1])}"
            found.append(Sentence(text=text, attack=("T1098.004",), severity=Severity.LOW))
        elif was is not None and now is not None and was[0] != now[0]:
            text = f"what {key}{_by(now[1])} may do: {shown(was[0]) or 'everything'} -> {shown(now[0]) or 'everything'}"
            grave = Severity.HIGH if was[0] and not now[0] else Severity.MEDIUM
            found.append(Sentence(text=text, attack=("T1098.004",), severity=grave))
    return found


def parse(text: str) -> dict[str, tuple[str, str]]:
    """Return options and comment by type and fingerprint (SHA-256, as ssh-keygen -l shows it).

    A key that stands in several lines may do what any of them lets it do: one without options lets it do everything.
    """
    found: dict[str, tuple[str, str]] = {}
    for line in text.splitlines():
        plain = line.strip()
        if not plain or plain.startswith("#"):
            continue
        match = _TYPE.search(plain)
        if match is None:
            found.setdefault(f"a line that is no key ({shown(plain)[:40]})", ("", ""))
            continue
        options = plain[: match.start(1)].strip()
        key = f"{match[1]} {fingerprint(match[2])}"
        held = found.get(key)
        if held is not None and held[0] != options:
            options = f"{held[0]} | {options}" if held[0] and options else ""
        found[key] = (options, match[3].strip())
    return found


def fingerprint(blob: str) -> str:
    """Return the fingerprint of a key in base64, or say that it is damaged."""
    try:
        raw = base64.b64decode(blob + "=" * (-len(blob) % 4), validate=True)
    except binascii.Error:
        return "(damaged)"
    return "SHA256:" + base64.b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")


def _by(comment: str) -> str:
    return f" ({shown(comment)})" if comment else ""


def _is_authority(options: str) -> bool:
    return "cert-authority" in options.split(",")
