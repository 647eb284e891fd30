"""The subject `integrity`: what is watched, how far the baseline is, and how the last scans went. Changes themselves are events.

Keys: `book` for the baseline as a whole, `root PATH` for each watched path, `scan` for the last scan of everything.
"""

from contracts.record import Record

SUBJECT = "integrity"
BOOK = "book"


class Row(Record, omit_defaults=True):
    """One row; paths in `contracts.text.escape` form, times Unix ms.

    Of the book: `root` is the digest over all of it (hex), `position` how often it was written, `reported` up to which entry of its
    journal the core has everything, `ahead` up to which it has all but what waits for the end of a run of a package tool, `open` how many
    changes wait to be accepted, `watches` how many folders are watched of `limit` (0: not known), `unwatched` how many could not be. Of a
    root: which entry of the settings it belongs to, whether its baseline is made, and what the last scan saw; `flaws` counts what could
    not be looked at. Of a scan: why it was made, what it cost, how many changes it found.
    """

    kind: str
    name: str
    profile: str = ""
    state: str = ""
    root: str = ""
    position: int = 0
    reported: int = 0
    ahead: int = 0
    open: int = 0
    watches: int = 0
    limit: int = 0
    unwatched: int = 0
    folders: int = 0
    files: int = 0
    flaws: int = 0
    read_bytes: int = 0
    scanned_ms: int = 0
    seconds: float = 0.0
    changes: int = 0
    detail: str = ""
