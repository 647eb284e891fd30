"""How one run of a collector, judge or action ended, and what it cost: the ledger's row."""

from contracts.errors import Why
from contracts.record import Record


class Ok(Record, tag="ok"):
    """It looked, or did, everything that its `Blind` list does not except."""


class Unavailable(Record, tag="unavailable"):
    """It could not look: `why` from the closed list, `detail` for people, `fix` as one imperative sentence."""

    why: Why
    detail: str
    fix: str = ""


class Failed(Record, tag="failed"):
    """It broke: `error` names the condition, never a traceback."""

    error: str
    permanent: bool = False


Outcome = Ok | Unavailable | Failed


class Cost(Record):
    """What a run used: wall and CPU seconds, bytes read from commands and files, the worker's peak memory in bytes."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    read_bytes: int = 0
    peak_bytes: int = 0


class Run(Record):
    """One line of the ledger."""

    name: str
    started_ms: int
    outcome: Outcome
    cost: Cost = Cost()
    rows: int = 0
    """How many rows the subject has after the run."""
    events: int = 0
