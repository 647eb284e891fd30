"""A file of a repository in pieces, read when they are asked for and checked on the way: what is copied is never held whole."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, overload

from actions.backup.crypto import Key
from actions.backup.pack import BadPack, read_header
from actions.backup.pack_seal import SealedPack, worth_while
from actions.backup.replication_plan import Step
from actions.backup.stores.store import CONFIG, Buffer, FileType, NotThere, ShortFile, Store, StoreError
from contracts.errors import HoldfastError

PIECE = 4 * 255 * 1024
"""Four SFTP writes of the size OpenSSH takes, and just below 1 MiB, from where the allocator asks the kernel for each."""


class SourceGone(HoldfastError):
    """The file is not there any more: a prune went on beside."""


class SourceDamaged(HoldfastError):
    """The file at the source is not what its name says, or cannot be read; a copy of it would be as bad."""


class _Check(Protocol):
    """Told the pieces of a file in their order, knows at the end whether they are what was written."""

    def update(self, piece: bytes) -> None: ...

    def holds(self) -> bool: ...


class Pieces(Sequence[Buffer]):
    """The content of one file for `Store.save`. Going through all of it ends with SourceDamaged when it is not what was written.

    So a file that rotted on the local disk is never published on a target where nobody could take it away again. Packs are judged by
    their own codes where the repository's `key` is at hand, everything else by the digest that is its name.
    """

    def __init__(self, source: Store, step: Step, key: Key | None = None) -> None:
        self._source = source
        self._step = step
        self._key = key

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
        return self._load(start, min(PIECE, self._step.size - start))

    def __iter__(self) -> Iterator[bytes]:
        with self._check() as check:
            for place in range(len(self)):
                piece = self[place]
                check.update(piece)
                yield piece
            if not check.holds():
                raise SourceDamaged(
                    f"is damaged in {self._source.location} itself and was not copied",
                    advice="run `holdfast backup check`",
                )

    def _load(self, offset: int, length: int) -> bytes:
        try:
            return self._source.load(self._step.handle, offset, length)
        except NotThere as error:
            raise SourceGone(error.message) from error
        except ShortFile as error:
            raise SourceDamaged(f"became shorter: {error.message}") from error
        except StoreError as error:
            raise SourceDamaged(f"cannot be read at the source: {error.message}", advice=error.advice) from error

    @contextmanager
    def _check(self) -> Iterator[_Check]:
        handle, size = self._step
        if handle == CONFIG:
            yield _Unchecked()
            return
        if self._key is not None and handle.type is FileType.PACK:
            try:
                blobs = read_header(self._load, size, self._key)
            except BadPack as error:
                raise SourceDamaged(
                    f"is damaged in {self._source.location} itself and was not copied: {error.message}",
                    advice="run `holdfast backup check`",
                ) from error
            if worth_while(blobs, size):
                yield SealedPack(blobs, size, self._key)
                return
        # beside the sending, which waits for the other side
        with ThreadPoolExecutor(1, thread_name_prefix="replicate-hash") as hasher:
            yield _Digest(handle.name, hasher)


class _Unchecked:
    """The config, which names itself by nothing; the target's own is compared with it."""

    def update(self, piece: bytes) -> None:
        """Nothing is known of it."""

    def holds(self) -> bool:
        """Always."""
        return True


class _Digest:
    """The SHA-256 of a file against its name, computed in another thread, one piece behind."""

    def __init__(self, name: str, hasher: ThreadPoolExecutor) -> None:
        self._name = name
        self._hasher = hasher
        self._digest = hashlib.sha256()
        self._under_way: Future[None] | None = None

    def update(self, piece: bytes) -> None:
        if self._under_way is not None:
            self._under_way.result()
        self._under_way = self._hasher.submit(self._digest.update, piece)

    def holds(self) -> bool:
        if self._under_way is not None:
            self._under_way.result()
        return self._digest.hexdigest() == self._name
