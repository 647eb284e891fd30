"""Small blobs that lie near each other in packs, as those of one directory do, read in a few requests instead of one each."""

from collections.abc import Iterable, Iterator

from actions.backup.blobs import BlobType, Location
from actions.backup.errors import Damaged
from actions.backup.repository import Repository
from actions.backup.stores.store import FileType, Handle, StoreError

SMALL = 256 << 10
"""A larger blob is read by itself: a request costs little beside it."""
MOST = 1 << 20
"""So much is read at once."""
_GAP = 16 << 10
"""So many bytes between two blobs are read along: what a request costs on a local disk, and far less than one costs far away."""

_Wanted = tuple[Location, bytes]


def load_nearby(repository: Repository, type: BlobType, ids: Iterable[bytes]) -> dict[bytes, bytes]:
    """The plaintexts of those of these blobs that are small and as they were written, by id.

    What cannot be had so is left out: `Repository.load_blob` tries its other copies, and says what is the matter.
    """
    found: dict[bytes, bytes] = {}
    for wanted in _runs(repository, type, ids):
        first, last = wanted[0][0], wanted[-1][0]
        handle = Handle(FileType.PACK, first.pack.hex())
        try:
            read = memoryview(repository.store.load(handle, first.offset, last.offset + last.length - first.offset))
        except StoreError:
            continue
        for place, id in wanted:
            start = place.offset - first.offset
            sealed = read[start : start + place.length]
            try:
                found[id] = repository.open_blob(type, id, sealed, place.uncompressed_length, str(handle))
            except Damaged:
                continue
    return found


def _runs(repository: Repository, type: BlobType, ids: Iterable[bytes]) -> Iterator[list[_Wanted]]:
    """The small ones among the blobs, by pack and place, in stretches that are read at once; one alone is left out."""
    places = ((found[0], id) for id in dict.fromkeys(ids) if (found := repository.index.find(type, id)))
    run: list[_Wanted] = []
    end = 0
    for place, id in sorted(pair for pair in places if pair[0].length <= SMALL):
        near = run and place.pack == run[0][0].pack and 0 <= place.offset - end <= _GAP
        if not near or place.offset + place.length - run[0][0].offset > MOST:
            if len(run) > 1:
                yield run
            run = []
        run.append((place, id))
        end = place.offset + place.length
    if len(run) > 1:
        yield run
