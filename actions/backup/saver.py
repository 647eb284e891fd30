"""Saver: blobs in, packs and index files out, each blob once; compressing, encrypting and uploading happen in threads.

The caller's thread hashes (so an id is known at once and a duplicate costs nothing more), worker threads compress, encrypt, fill packs and
publish full ones. What waits is bounded by bytes. Packs are named in an index file soon after they are published; those that a kill left
unnamed are taken up by `Repository.adopt`.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from actions.backup.blobs import Blob, BlobType
from actions.backup.compression import compress, compress_each
from actions.backup.crypto import Key
from actions.backup.files import Files
from actions.backup.ids import id_of
from actions.backup.index import Index
from actions.backup.index_files import MAX_BLOBS, encode_index
from actions.backup.pack import PackBuilder
from actions.backup.stores.store import Buffer, FileType, Handle, draft_for

BUDGET = 12 << 20
"""Bytes of plaintext that may wait for a worker."""

INDEX_EVERY_S = 60.0
_BATCH = 256 << 10
_BATCH_BLOBS = 64


Job = tuple[BlobType, bytes, Buffer]
"""A blob that waits: its type, id and plaintext."""


@dataclass(slots=True)
class Saved:
    """What a saver did: blobs and plain bytes that were new, bytes as stored, blobs that were there already, packs and index files."""

    blobs: int = 0
    plain_bytes: int = 0
    stored_bytes: int = 0
    known: int = 0
    packs: int = 0
    indexes: int = 0


class Saver:
    """Saves blobs into one repository until `finish`; `save` is for one thread at a time.

    After an error of a worker every further call raises it; nothing that was published before is lost.
    """

    def __init__(self, files: Files, key: Key, index: Index, *, compressed: bool, workers: int | None = None) -> None:
        self._files = files
        self._key = key
        self._index = index
        self._compressed = compressed
        self.saved = Saved()
        self._pending: set[tuple[BlobType, bytes]] = set()
        self._jobs: deque[Job] = deque()
        self._waiting_bytes = 0
        self._queued_bytes = 0
        self._draining = False
        self._busy = 0
        self._closing = False
        self._error: BaseException | None = None
        self._state = threading.Condition()
        self._packing = threading.Lock()
        self._open: dict[BlobType, PackBuilder] = {}
        self._unnamed: list[tuple[bytes, Sequence[Blob]]] = []
        self._unnamed_blobs = 0
        self._named_at = time.monotonic()
        count = workers or max(2, min(8, os.cpu_count() or 1))
        self._threads = [
            threading.Thread(target=self._work, name=f"backup-saver-{n}", daemon=True) for n in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def save(self, type: BlobType, data: Buffer) -> tuple[bytes, bool]:
        """Take a blob, whose buffer must not change any more; returns its id and whether it is new. Waits while too much is under way."""
        id = id_of(data)
        with self._state:
            self._raise_error()
            if (type, id) in self._pending or self._index.has(type, id):
                self.saved.known += 1
                return id, False
            self._pending.add((type, id))
            while self._waiting_bytes >= BUDGET and self._error is None:
                self._state.wait()
            self._raise_error()
            self._jobs.append((type, id, data))
            self._waiting_bytes += len(data)
            self._queued_bytes += len(data)
            self.saved.blobs += 1
            self.saved.plain_bytes += len(data)
            if self._worth_while():
                self._state.notify()
        return id, True

    def flush(self) -> None:
        """Wait until everything that was saved is durable and named by an index file."""
        with self._state:
            self._draining = True
            self._state.notify_all()
            while (self._jobs or self._busy) and self._error is None:
                self._state.wait()
            self._draining = False
            self._raise_error()
        for type in BlobType:
            with self._packing:
                pack = self._open.pop(type, None)
            if pack is not None:
                self._publish(pack)
        with self._packing:
            batch = self._take_unnamed()
        self._write_index(batch)

    def finish(self) -> Saved:
        """Flush, and end the threads."""
        try:
            self.flush()
        finally:
            self.close()
        return self.saved

    def close(self) -> None:
        """End the threads; what is not flushed is given up, what is published stays."""
        with self._state:
            self._closing = True
            self._jobs.clear()
            self._state.notify_all()
        for thread in self._threads:
            thread.join()
        for pack in self._open.values():
            pack.discard()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error
        if self._closing:
            raise RuntimeError("the saver is closed")

    def _work(self) -> None:
        while (batch := self._take()) is not None:
            try:
                for (type, id, data), frame in zip(batch, self._frames(batch), strict=True):
                    self._store(type, id, data, frame)
            except BaseException as error:  # noqa: BLE001 (carried to the caller's thread)
                with self._state:
                    self._error = self._error or error
            finally:
                with self._state:
                    self._busy -= 1
                    self._waiting_bytes -= sum(len(data) for _, _, data in batch)
                    self._state.notify_all()

    def _take(self) -> list[Job] | None:
        """One big blob or some small ones; None when it is over."""
        with self._state:
            while not self._worth_while() and not self._closing and self._error is None:
                self._state.wait()
            if self._closing or self._error is not None:
                return None
            batch = [self._jobs.popleft()]
            size = len(batch[0][2])
            while self._jobs and size + len(self._jobs[0][2]) <= _BATCH:
                batch.append(self._jobs.popleft())
                size += len(batch[-1][2])
            self._queued_bytes -= size
            self._busy += 1
            return batch

    def _worth_while(self) -> bool:
        """Whether to wake a worker: not for each small blob, since a switch of threads costs more than it does."""
        return bool(self._jobs) and (self._draining or self._queued_bytes >= _BATCH or len(self._jobs) >= _BATCH_BLOBS)

    def _frames(self, batch: Sequence[Job]) -> Sequence[Buffer | None]:
        """Each blob compressed, None for what is stored as it is."""
        if not self._compressed:
            return [None] * len(batch)
        if len(batch) == 1:
            return [compress(batch[0][2]) if len(batch[0][2]) else None]
        frames = iter(compress_each([data for _, _, data in batch if len(data)]))
        return [next(frames) if len(data) else None for _, _, data in batch]

    def _store(self, type: BlobType, id: bytes, data: Buffer, frame: Buffer | None) -> None:
        uncompressed = 0
        stored: Buffer = data
        if frame is not None and len(frame) < len(data):
            stored, uncompressed = frame, len(data)
        sealed = self._key.seal(stored)
        with self._packing:
            pack = self._open.get(type)
            if pack is None:
                pack = self._open[type] = PackBuilder(type, draft_for(self._files.store))
            pack.add(id, sealed, uncompressed)
            if not pack.full:
                return
            del self._open[type]
        self._publish(pack)

    def _publish(self, pack: PackBuilder) -> None:
        """Pack first, then the memory index, then (when it is time) an index file: never named before it is there."""
        try:
            id, draft = pack.finish(self._key)
            self._files.store.save(Handle(FileType.PACK, id.hex()), draft)
        finally:
            pack.discard()
        self._index.add_pack(id, pack.blobs)
        with self._state:
            self._pending.difference_update((pack.type, blob.id) for blob in pack.blobs)
            self.saved.packs += 1
            self.saved.stored_bytes += pack.stored
        with self._packing:
            self._unnamed.append((id, pack.blobs))
            self._unnamed_blobs += len(pack.blobs)
            due = self._unnamed_blobs >= MAX_BLOBS or time.monotonic() - self._named_at > INDEX_EVERY_S
            batch = self._take_unnamed() if due else []
        self._write_index(batch)

    def _take_unnamed(self) -> list[tuple[bytes, Sequence[Blob]]]:
        batch, self._unnamed = self._unnamed, []
        self._unnamed_blobs = 0
        self._named_at = time.monotonic()
        return batch

    def _write_index(self, batch: Sequence[tuple[bytes, Sequence[Blob]]]) -> None:
        if batch:
            self._files.save(FileType.INDEX, encode_index(batch))
            with self._state:
                self.saved.indexes += 1
