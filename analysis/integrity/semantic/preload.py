"""ld.so.preload and ld.so.conf: libraries that every program loads, and folders where libraries are sought (ld.so(8))."""

from analysis.integrity.semantic.sentence import Sentence, shown
from contracts.event import Severity


def preload(old: str, new: str) -> list[Sentence]:
    """Explain /etc/ld.so.preload, which lists libraries apart by spaces or colons."""
    before, after = _words(old), _words(new)
    grave = Severity.CRITICAL
    found = [
        Sentence(text=f"every program now loads {shown(one)}", attack=("T1574.006",), severity=grave)
        for one in after
        if one not in before
    ]
    return found + [
        Sentence(text=f"{shown(one)} is no longer loaded by every program") for one in before if one not in after
    ]


def folders(old: str, new: str) -> list[Sentence]:
    """Explain /etc/ld.so.conf and its parts."""
    before, after = old.splitlines(), new.splitlines()
    found = []
    for line in after:
        if line.strip() and not line.startswith("#") and line not in before:
            text = f"libraries are now sought in {shown(line)}"
            found.append(Sentence(text=text, attack=("T1574.006",), severity=Severity.MEDIUM))
    return found + [
        Sentence(text=f"libraries are no longer sought in {shown(line)}")
        for line in before
        if line.strip() and not line.startswith("#") and line not in after
    ]


def _words(text: str) -> list[str]:
    return [word for line in text.splitlines() for word in line.partition("#")[0].replace(":", " ").split()]
