"""The subject `suricata_eve`: how far the output of a Suricata on this host was read, and what it says of itself.

Keys: `file PATH` and `stats PATH`.
"""

from contracts.record import Record

SUBJECT = "suricata_eve"


class Place(Record):
    """How far one file was read: of the file `inode` on `device` up to `offset`.

    `mark` is a digest of its first `marked` bytes, which tells a file that was emptied and written anew; `behind` is how many bytes were
    left to read.
    """

    inode: int
    device: int
    offset: int
    mark: str = ""
    marked: int = 0
    behind: int = 0


class Stats(Record):
    """What Suricata counted since it began, by its last record of statistics; `drop_share` in per cent, since the record before."""

    at_ms: int
    uptime_s: int = 0
    packets: int = 0
    dropped: int = 0
    drop_share: float = 0.0
    alerts: int = 0
    memory_refused: int = 0
    """Segments of streams that found no memory."""


class Row(Record, omit_defaults=True):
    """`what` is file or stats."""

    what: str
    place: Place | None = None
    stats: Stats | None = None
