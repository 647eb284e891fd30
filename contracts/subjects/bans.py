"""The subject `bans`: who is blocked, by whom, why and until when, as the kernel's own sets hold it. Key: the network in canonical text."""

from contracts.record import Record

SUBJECT = "bans"


class Ban(Record, omit_defaults=True):
    """One blocked address or network. `until_ms` 0 means for good. `cause` is the id of the event that led to it, or ""."""

    network: str
    family: int
    since_ms: int = 0
    until_ms: int = 0
    who: str = ""
    reason: str = ""
    cause: str = ""
    packets: int = 0
    """Dropped so far; rounded down to a power of two in the snapshot, so that counting alone is no change."""
    allowed: bool = False
    """An entry of the allowlist, not a ban."""
