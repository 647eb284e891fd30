"""A file of a repository in pieces, read when they are asked for and hashed on the way: what is copied is never held whole."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import overload

from actions.backup.replication_plan import Step
from actions.backup.stores.store import CONFIG, Buffer, NotThere, ShortFile, Store, StoreError
from contracts.errors import HoldfastError

PIECE = 4 * 255 * 1024
"""Four SFTP writes of the size OpenSSH takes, and just below 1 MiB, from where the allocator asks the kernel for each."""


class SourceGone(HoldfastError):
    """The file is not there any more: a prune went on beside."""


class SourceDamaged(HoldfastError):
    """The file at the source is not what its name says, or cannot be read; a copy of it would be as bad."""


class Pieces(Sequence[Buffer]):
    """The content of one file for `Store.save`. Going through all of it ends with SourceDamaged when it is not what its name says.

    So a file that rotted on the local disk is never published on a target where nobody could take it away again.
    """

    def __init__(self, source: Store, step: Step) -> None:
        self._source = source
        self._step = step

    def __len__(self) -> int:
        return (self._step.size + PIECE - 1) // PIECE

    @overload
    def __getitem__(self, place: int) -> bytes: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Buffer]: ...
    def __getitem__(self, place: int | slice) -> Buffer | Sequence[Buffer]:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self)))]
        if not 0 <= place < len(self):
            raise IndexError(place)
        start = place * PIECE
        try:
            return self._source.load(self._step.handle, start, min(PIECE, self._step.size - start))
        except NotThere as error:
            raise SourceGone(error.message) from error
        except ShortFile as error:
            raise SourceDamaged(f"became shorter: {error.message}") from error
        except StoreError as error:
            raise SourceDamaged(f"cannot be read at the source: {error.message}", advice=error.advice) from error

    def __iter__(self) -> Iterator[bytes]:
        digest = hashlib.sha256()
        with ThreadPoolExecutor(
            1, thread_name_prefix="replicate-hash"
        ) as hasher:  # beside the sending, which waits for the other side
            hashed: Future[None] | None = None
            for place in range(len(self)):
                piece = self[place]
                if hashed is not None:
                    hashed.result()
                hashed = hasher.submit(digest.update, piece)
                yield piece
        if self._step.handle != CONFIG and digest.hexdigest() != self._step.handle.name:
            raise SourceDamaged(
                f"is damaged in {self._source.location} itself and was not copied", advice="run `holdfast backup check`"
            )
