"""Used: which blobs the snapshots need, as one mark for each entry of the index, so that ten million blobs take ten megabytes."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import msgspec

from actions.backup.blobs import BlobType
from actions.backup.errors import Damaged
from actions.backup.ids import parse_id
from actions.backup.index import Index
from actions.backup.repository import Repository
from contracts.codec import UNDECODABLE
from contracts.errors import HoldfastError

_BATCH = 64


class Incomplete(HoldfastError):
    """Snapshots need blobs that are not there; to remove anything now could lose the means to bring them back."""


class _Entry(msgspec.Struct):
    content: list[str] | None = None
    subtree: str | None = None


class _Tree(msgspec.Struct):
    nodes: list[_Entry] | None = None


_DECODER = msgspec.json.Decoder(_Tree)


class Used:
    """The blobs that are needed. A blob with several entries in the index is marked at the first of them."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._marks = {type: bytearray(index.count(type)) for type in BlobType}
        self.missing: list[tuple[BlobType, bytes]] = []

    def mark(self, type: BlobType, id: bytes) -> bool:
        """Mark a blob; returns whether it is there and was not marked before. What is not there goes to `missing`."""
        numbers = self._index.numbers(type, id)
        if not numbers:
            self.missing.append((type, id))
            return False
        if self._marks[type][numbers[0]]:
            return False
        self._marks[type][numbers[0]] = 1
        return True

    def has(self, type: BlobType, id: bytes) -> bool:
        """Whether a blob is needed."""
        numbers = self._index.numbers(type, id)
        return bool(numbers) and bool(self._marks[type][numbers[0]])

    def marks(self, type: BlobType) -> bytearray:
        """One byte for each entry of the index of that type, 1 where marked; not to be changed."""
        return self._marks[type]

    def is_marked(self, type: BlobType, number: int) -> bool:
        """Whether the entry of that number carries the mark: only the first entry of a needed blob does."""
        return bool(self._marks[type][number])


def find_used(repository: Repository, trees: Iterable[str]) -> Used:
    """Mark all blobs below these trees; the index must be loaded. Damaged for a tree that is not what was written, Incomplete for holes."""
    used = Used(repository.index)
    waiting = [id for tree in trees if used.mark(BlobType.TREE, id := parse_id(tree))]
    workers = max(1, repository.store.connections)
    with ThreadPoolExecutor(workers, thread_name_prefix="backup-used") as pool:
        while waiting:
            batch, waiting = waiting[-_BATCH:], waiting[:-_BATCH]
            for entries in pool.map(lambda id: _read(repository, id), batch):
                for entry in entries:
                    for content in entry.content or ():
                        used.mark(BlobType.DATA, parse_id(content))
                    if entry.subtree and used.mark(BlobType.TREE, subtree := parse_id(entry.subtree)):
                        waiting.append(subtree)
    if used.missing:
        type, id = used.missing[0]
        raise Incomplete(
            f"{len(used.missing)} blobs that snapshots need are in no index, the first is {type.word} blob {id.hex()}",
            advice="run `holdfast backup check`, then `holdfast backup repair`; nothing was removed",
        )
    return used


def _read(repository: Repository, id: bytes) -> list[_Entry]:
    try:
        return _DECODER.decode(repository.load_blob(BlobType.TREE, id)).nodes or []
    except UNDECODABLE as error:
        raise Damaged(f"tree blob {id.hex()}", f"not a tree: {error}") from error
