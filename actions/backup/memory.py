"""What the worker remembers of a job between two runs: a small file of its own, without which everything is only done once more."""

from collections.abc import Mapping

import msgspec

from contracts.codec import UNDECODABLE
from contracts.errors import HoldfastError
from contracts.host import Files, Host

MAX_PROVED = 200
"""So many of the newest proved snapshots are remembered."""
MAX_HELD = 5000
"""Of so many dumps is remembered what they held."""


class Memory(msgspec.Struct):
    """Of one job: bytes of the last run; proved snapshots by id and when checked, pruned and its databases proved last (Unix ns)."""

    bytes_total: int = 0
    proved: dict[str, int] = {}
    checked_ns: int = 0
    pruned_ns: int = 0
    databases_ns: int = 0
    full_ns: int = 0
    """When all of it was restored last, and since when that is put off because others needed the disks."""
    full_postponed_ns: int = 0
    reminded_ns: int = 0
    """When the recovery key was spoken of last, and what was said."""
    reminded: str = ""
    held: dict[str, int] = {}
    """What each dump of a database held when it was proved last: rows, keys or bytes."""

    def hold(self, dumps: Mapping[str, int]) -> None:
        """Remember what dumps hold; of those that were not restored, what was known stays."""
        fullest = sorted({**self.held, **dumps}.items(), key=lambda pair: pair[1])[-MAX_HELD:]
        self.held = dict(sorted(fullest))

    def prove(self, snapshot: str, now_ns: int) -> None:
        """Remember that a snapshot was restored; the oldest beyond `MAX_PROVED` are forgotten."""
        proved = {**self.proved, snapshot: now_ns}
        newest = sorted(proved.items(), key=lambda pair: pair[1])[-MAX_PROVED:]
        self.proved = dict(newest)


def due(at_ns: int, every_s: float, now_ns: int) -> bool:
    """Whether something that was done at `at_ns` is to be done again; what was done in the future is."""
    return not 0 <= now_ns - at_ns < every_s * 1_000_000_000


def recall(host: Host, job: str) -> Memory:
    """What is remembered of `job`; nothing where the file is missing or not what was written."""
    return recall_in(host.files, host.state, job) or Memory()


def recall_in(files: Files, folder: str, job: str) -> Memory | None:
    """What the worker whose folder that is remembers of `job`; None where there is no such file, or it does not read."""
    try:
        return msgspec.json.decode(files.read(_path(folder, job)), type=Memory)
    except (HoldfastError, *UNDECODABLE):
        return None


def remember(host: Host, job: str, memory: Memory) -> None:
    """Keep it."""
    host.write(_path(host.state, job), msgspec.json.encode(memory))


def _path(folder: str, job: str) -> str:
    return f"{folder}/{job}.json"
