"""What clamd answers, read strictly: it scans hostile files, and names of signatures come from databases that anybody may have made.

Answers end with NUL when the command began with `z` (`clamd(8)`). In a session each begins with its number: `1: fd[10]: OK`.
"""

import re

from contracts.clamd import CLEAN, FAILED, INFECTED, SKIPPED, Verdict
from contracts.errors import Malformed

MAX_REPLY = 64 << 10
"""No answer to one file is longer; a daemon that says more is not believed."""
_NUMBERED = re.compile(rb"(\d{1,10}): (.*)", re.DOTALL)
_EXCEEDED = "Heuristics.Limits.Exceeded"
_CLEAN = Verdict(state=CLEAN)
_OVER = ("size limit exceeded", "exceeded")


def verdict(reply: bytes) -> Verdict:
    """Return what one answer (without NUL and number) says of a file; raises `Malformed`.

    `Heuristics.Limits.Exceeded…` is no finding: it is how clamd with AlertExceedsMax says that it did not look at all of the file.
    """
    _, _, end = reply.partition(b": ")
    if end == b"OK":
        return _CLEAN
    text = reply.decode("utf-8", "backslashreplace").strip()
    _, _, said = text.partition(": ")
    said = said or text
    if said == "OK":
        return _CLEAN
    if said.endswith(" FOUND"):
        name = plain(said.removesuffix(" FOUND"))
        if _EXCEEDED in name:
            return Verdict(state=SKIPPED, signature=name, detail=f"over a limit of clamd ({name})")
        return Verdict(state=INFECTED, signature=name)
    if said.endswith("ERROR"):
        detail = plain(said.removesuffix("ERROR").rstrip(" ."))
        over = any(word in detail.lower() for word in _OVER)
        return Verdict(state=SKIPPED if over else FAILED, detail=detail or "clamd could not scan it")
    raise Malformed(f"clamd answers what is no verdict: {reply[:80]!r}")


def numbered(reply: bytes) -> tuple[int, bytes]:
    """Split the number off an answer within a session; raises `Malformed`."""
    found = _NUMBERED.fullmatch(reply)
    if found is None:
        raise Malformed(f"clamd answers without a number: {reply[:80]!r}")
    return int(found[1]), found[2]


class Splitter:
    """Cuts what comes from the daemon into answers; `feed` raises `Malformed` for one without an end."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the answers that are whole now."""
        *whole, self._rest = (self._rest + data).split(b"\0")
        if len(self._rest) > MAX_REPLY or any(len(each) > MAX_REPLY for each in whole):
            raise Malformed(f"an answer of clamd is longer than {MAX_REPLY} bytes")
        return whole


def plain(text: str) -> str:
    """Return text that is short and cannot drive a terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)[:200]
