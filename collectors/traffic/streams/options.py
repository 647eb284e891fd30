"""How TCP sessions are followed."""

from collectors.traffic.streams.policy import Policy
from contracts.record import Record


class StreamOptions(Record):
    """How TCP sessions are followed; the defaults are Suricata's stock configuration."""

    inline: bool = False
    """Bytes are given as they arrive, refused packets carry nothing (in-line); else when the receiver has acknowledged them."""
    midstream: bool = False
    """Sessions whose beginning was not seen are picked up."""
    async_oneside: bool = False
    """Sessions of which one side alone is seen are followed."""
    depth: int = 1024 * 1024
    """So many bytes of a direction are reassembled."""
    memory: int = 256 * 1024 * 1024
    """So many bytes of all sessions wait at most; beyond it segments are not kept, and counted."""
    merge: bool = True
    """What one side says without the other's data between it is one run of a block; else every packet that releases bytes makes one."""
    policy_v4: Policy = Policy.WINDOWS
    policy_v6: Policy = Policy.BSD
    """How receivers resolve what is ambiguous, as Suricata's stock `host-os-policy` has it."""
