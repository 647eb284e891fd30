"""The spool's tables and statements, and what it keeps in memory of each lane."""

import msgspec

from contracts.event import GENESIS, Kind, Lane, Severity

APPLICATION = 0x48465350  # "HFSP"

LANES = (Lane.CRITICAL, Lane.NORMAL, Lane.BULK)

UNKNOWN = b""
"""A chain value that is not known, because it lies within a loss; what follows is a loss again, which does not need it."""

ROW_OVERHEAD = 96
"""What a bundle takes besides its bodies: chain, numbers and SQLite's own bookkeeping, rounded up."""

# One row per append and lane, not per event: a bundle of `count` records that ends with seq `last`. `body` is a MessagePack list of encoded
# envelopes, `chain` the chain value of the last one; those within follow from the value before the bundle.
_BUNDLES = """CREATE TABLE {} (
    last INTEGER PRIMARY KEY,
    count INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    chain BLOB NOT NULL,
    body BLOB NOT NULL
)"""

STEPS = (
    (
        *(_BUNDLES.format(lane.value) for lane in LANES),
        # previous: the chain value of seq `acked`. floor: the highest seq no longer stored, with its chain value.
        """CREATE TABLE lanes (
            lane TEXT PRIMARY KEY,
            acked INTEGER NOT NULL,
            previous BLOB NOT NULL,
            floor INTEGER NOT NULL,
            floor_chain BLOB NOT NULL,
            lost INTEGER NOT NULL
        ) WITHOUT ROWID""",
        """CREATE TABLE losses (
            lane TEXT NOT NULL,
            first INTEGER NOT NULL,
            last INTEGER NOT NULL,
            count INTEGER NOT NULL,
            chain BLOB NOT NULL,
            PRIMARY KEY (lane, first)
        ) WITHOUT ROWID""",
    ),
)
"""One entry per version of the spool's format."""

EVENTS_LOST = Kind(
    name="agent.events_lost",
    meaning="Events were dropped before the console had acknowledged them, because the spool was full or its history was gone.",
    title="{count} events of the {lane} lane were lost ({first} to {last}): {reason}",
    severity=Severity.HIGH,
    fields={"lane": "str", "first": "int", "last": "int", "count": "int", "chain": "str", "reason": "str"},
    advice="Find out why the console was not reachable for so long, or give the spool more room.",
    ocsf_class=6008,
)

SPOOL_SET_ASIDE = Kind(
    name="agent.spool_set_aside",
    meaning="The queue of events could not go on with its chain and began a new one above all it had given out.",
    title="a new chain begins at {first} of the {lane} lane: {reason}",
    severity=Severity.HIGH,
    fields={"lane": "str", "first": "int", "reason": "str", "file": "str"},
    advice="Check the disk; keep the damaged file if you want to know what it held.",
    ocsf_class=6008,
)

KINDS = (EVENTS_LOST, SPOOL_SET_ASIDE)


INSERT = {lane: f"INSERT INTO {lane.value} (last, count, at_ms, chain, body) VALUES (?, ?, ?, ?, ?)" for lane in LANES}
"""Appends one bundle to a lane."""


class LaneBook(msgspec.Struct):
    """What the spool knows of one lane without asking the file; always rebuilt from the file after a failure.

    `head` is the last seq given out, `chain` its chain value. Records above `acked` wait; those at or below it are history;
    bytes are counted by whole bundles. `commitment` is `head` when that is an `agent.events_lost`, which speaks for all losses before it.
    """

    lane: Lane
    head: int = 0
    chain: bytes = GENESIS
    acked: int = 0
    previous: bytes = GENESIS
    floor: int = 0
    floor_chain: bytes = GENESIS
    lost: int = 0
    waiting: int = 0
    waiting_bytes: int = 0
    history_bytes: int = 0
    commitment: int = 0

    def resume(self, held: int) -> int:
        """Return where to go on for a console that holds `held`: one that has nothing of a new chain yet gets it from its beginning."""
        began_anew = self.floor > 0 and self.floor_chain == GENESIS
        return self.floor if began_anew and held < self.floor else held
