"""What the protocols of all flows came to since the start."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class ProtocolCounts:
    """What happened since the start: conversations by protocol (Suricata's names, "failed" for those that nothing recognised).

    `bytes_encrypted` are those behind the point from which a conversation is encrypted; `bytes_unparsed` those of conversations that no
    parser reads, from where that was known on. No parser is given either.
    """

    conversations: Counter[str] = field(default_factory=Counter)
    transactions: Counter[str] = field(default_factory=Counter)
    encrypted: int = 0
    bytes_encrypted: int = 0
    bytes_unparsed: int = 0
    bytes_seen: int = 0
    parsers_broken: int = 0
    too_many_transactions: int = 0
