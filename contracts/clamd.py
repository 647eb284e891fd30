"""Asking clamd: one question and its answer, or a session in which descriptors of open files are scanned side by side (`clamd(8)`).

An address is `unix:/path` or `tcp:HOST:PORT`. The daemon is never given a path: it reads what this process has opened, with nobody's rights
but those under which it was opened.
"""

from contextlib import AbstractContextManager
from typing import Protocol

from contracts.record import Record

CLEAN, INFECTED, SKIPPED, FAILED = "clean", "infected", "skipped", "failed"


class Verdict(Record):
    """What clamd answered of one file: `state` is `clean`, `infected`, `skipped` (over a limit of its own) or `failed`.

    `signature` is the name of what was found, `detail` why it was not scanned.
    """

    state: str
    signature: str = ""
    detail: str = ""


class ClamdSession(Protocol):
    """Files being scanned side by side. For one thread."""

    @property
    def waiting(self) -> int:
        """How many verdicts have not come yet."""

    def submit(self, descriptor: int) -> int:
        """Have an open regular file scanned; return the number under which its verdict will come. The caller may close it afterwards."""

    def verdicts(self) -> list[tuple[int, Verdict]]:
        """Wait until there is one more verdict, and return all that came; empty when none is waited for.

        Raises `Unavailable` where the daemon goes silent or away: what was waited for then is not scanned.
        """


class Clamd(Protocol):
    """The daemon."""

    def ask(self, address: str, command: str, timeout_s: float = 10.0) -> str:
        """Return the answer to `VERSION`, `PING`, `STATS` or `RELOAD`; raises `Unavailable`."""

    def session(self, address: str, timeout_s: float = 300.0) -> AbstractContextManager[ClamdSession]:
        """Open a session, by descriptor passing; only for `unix:`. `timeout_s` bounds the wait for a verdict. Raises `Unavailable`."""

    def stream(self, address: str, descriptor: int, max_bytes: int, timeout_s: float = 300.0) -> Verdict:
        """Have an open file's content scanned by sending it (INSTREAM); more than `max_bytes` is `skipped`. Raises `Unavailable`."""
