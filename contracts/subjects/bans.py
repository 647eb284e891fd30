"""The subject `bans`: who is blocked, by whom, why and until when, as the kernel's own sets hold it.

Key: the network in canonical text for a ban; `allowed NETWORK`, `limited NETWORK` and `unbanned NETWORK` for what is none.
"""

from contracts.record import Record

SUBJECT = "bans"


class Ban(Record, omit_defaults=True):
    """One blocked address or network. `until_ms` 0 means for good. `cause` is the id of the event that led to it, or ""."""

    network: str
    family: int
    since_ms: int = 0
    until_ms: int = 0
    who: str = ""
    """Who placed it; of an allowed one its owner."""
    reason: str = ""
    cause: str = ""
    packets: int = 0
    """Dropped so far; rounded down to a power of two in the snapshot, so that counting alone is no change."""
    leaked: int = 0
    """Packets that reached the end of a hook all the same, rounded likewise."""
    allowed: bool = False
    """An entry of the allowlist, not a ban."""
    limited: bool = False
    """Limited in packets per second, not banned, because its address may be forged."""
    unbanned: bool = False
    """Unbanned by a person; until then nothing but a person bans it."""
