"""What outlives a reboot: bans, the allowlist and what else the room remembers, in `bans.json` of the worker's own state folder.

The kernel is the truth while it runs; this file brings it back. Times are absolute, in Unix milliseconds; `until_ms` 0 means for good.
"""

from collections.abc import Mapping

import msgspec

from contracts.errors import Unavailable, Why
from contracts.host import Host, ReadOnlyHost
from contracts.record import Record

FILE = "bans.json"
VERSION = 1
MAX_BYTES = 64 << 20


class Entry(Record, omit_defaults=True):
    """One network in a set: since when and until when, by whom and why. `owner` is of an allowed one."""

    since_ms: int
    until_ms: int = 0
    who: str = ""
    reason: str = ""
    cause: str = ""
    owner: str = ""

    def lasts(self, now_ms: int) -> bool:
        """Say whether it still holds."""
        return not self.until_ms or self.until_ms > now_ms

    def left_ms(self, now_ms: int) -> int:
        """Return how long it still holds, 0 for good: never longer than it was meant to, whatever became of the clock since."""
        if not self.until_ms:
            return 0
        return max(1, min(self.until_ms - now_ms, self.until_ms - self.since_ms))


class Offences(Record):
    """How often a source was banned, and when last."""

    count: int
    last_ms: int


class Saved(Record, omit_defaults=True):
    """Everything, by canonical network. `begun_ms` is when this room was first used; `reject` and `limit` shape the table."""

    version: int = VERSION
    begun_ms: int = 0
    bans: dict[str, Entry] = {}
    limited: dict[str, Entry] = {}
    unbanned: dict[str, Entry] = {}
    allowed: dict[str, Entry] = {}
    offences: dict[str, Offences] = {}
    reject: bool = False
    limit: int = 10

    @property
    def holds_any(self) -> bool:
        """Whether the kernel has to hold anything."""
        return any((self.bans, self.limited, self.unbanned, self.allowed))


def read(host: ReadOnlyHost, folder: str) -> Saved:
    """Return what is saved in `folder`, nothing when there is no such file; raises `Unavailable` for one that does not read."""
    path = f"{folder}/{FILE}"
    try:
        return decode(host.files.read(path, MAX_BYTES))
    except Unavailable as error:
        if error.why is Why.NOT_PRESENT:
            return Saved()
        raise
    except ValueError as error:
        advice = f"move {path} away: bans and allowlist begin anew then"
        raise Unavailable(Why.MALFORMED, f"{path} is not what Holdfast wrote ({error})", advice=advice) from error


def decode(content: bytes) -> Saved:
    """Return the content of the file; raises `ValueError` (`msgspec.DecodeError` is one)."""
    saved = msgspec.json.decode(content, type=Saved)
    if saved.version != VERSION:
        raise ValueError(f"version {saved.version}, this program knows {VERSION}")
    return saved


def write(host: Host, folder: str, saved: Saved) -> None:
    """Replace the file; without a folder nothing is kept over a restart but what the kernel holds."""
    if folder:
        host.write(f"{folder}/{FILE}", msgspec.json.encode(saved), 0o600)


def pruned(saved: Saved, now_ms: int, forget_ms: int) -> Saved:
    """Return `saved` without what is over."""
    return msgspec.structs.replace(
        saved,
        bans=_lasting(saved.bans, now_ms),
        limited=_lasting(saved.limited, now_ms),
        unbanned=_lasting(saved.unbanned, now_ms),
        allowed=_lasting(saved.allowed, now_ms),
        offences={network: one for network, one in saved.offences.items() if one.last_ms + forget_ms > now_ms},
    )


def _lasting(entries: Mapping[str, Entry], now_ms: int) -> dict[str, Entry]:
    return {network: entry for network, entry in entries.items() if entry.lasts(now_ms)}
