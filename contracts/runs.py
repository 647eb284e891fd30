"""The subject `agent.runs`: how each collector's last run ended, kept by the core for the judges."""

from contracts.record import Record

SUBJECT = "agent.runs"


class RunState(Record):
    """One collector: how often it should look, when it last managed to, and how its last run ended.

    `outcome` is `ok`, `unavailable`, `failed` or `never`.
    """

    collector: str
    every_s: float
    outcome: str = "never"
    detail: str = ""
    last_run_ms: int = 0
    last_ok_ms: int = 0
    since_ms: int = 0
    """When this collector was first due, so that one that never ran is noticed too."""
