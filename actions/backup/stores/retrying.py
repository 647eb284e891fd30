"""A store that tries again what failed in passing, with growing pauses, and knows what an unanswered call may have done."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

from actions.backup.stores.store import AlreadyThere, Buffer, FileType, Handle, NotThere, Store, StoreError

T = TypeVar("T")

FIRST_S = 0.5
LONGEST_S = 30.0


class RetryingStore:
    """Decorates a `Store`. A permanent error is raised at once; any other when the call did not succeed for `patience_s`.

    `stop` ends every pause: whoever cancels need not wait. The last error is raised then.
    """

    def __init__(
        self,
        store: Store,
        *,
        patience_s: float,
        stop: threading.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
        told: Callable[[StoreError], None] | None = None,
    ) -> None:
        self.store = store
        self._patience_s = patience_s
        self._stop = stop or threading.Event()
        self._clock = clock
        self._told = told
        self._dice = random.Random()

    @property
    def location(self) -> str:
        return self.store.location

    @property
    def connections(self) -> int:
        return self.store.connections

    @property
    def writers(self) -> int:
        return self.store.writers

    def create(self) -> None:
        self._try(self.store.create)

    def save(self, handle: Handle, parts: Sequence[Buffer]) -> None:
        failed = False

        def once() -> None:
            nonlocal failed
            try:
                self.store.save(handle, parts)
            except AlreadyThere:
                if not (failed and self._is_there(handle, parts)):
                    raise
            except StoreError:
                failed = True
                raise

        self._try(once)

    def load(self, handle: Handle, offset: int = 0, length: int | None = None) -> bytes:
        return self._try(lambda: self.store.load(handle, offset, length))

    def stat(self, handle: Handle) -> int:
        return self._try(lambda: self.store.stat(handle))

    def list(self, type: FileType) -> Iterator[tuple[str, int]]:
        yield from self._try(lambda: list(self.store.list(type)))

    def remove(self, handle: Handle) -> None:
        failed = False

        def once() -> None:
            nonlocal failed
            try:
                self.store.remove(handle)
            except NotThere:
                if not failed:
                    raise
            except StoreError:
                failed = True
                raise

        self._try(once)

    def close(self) -> None:
        self._stop.set()
        self.store.close()

    def sweep(self, older_than_s: float) -> int:
        """Remove leftovers where the store can: see its own `sweep`."""
        sweep: Callable[[float], int] | None = getattr(self.store, "sweep", None)
        return self._try(lambda: sweep(older_than_s)) if sweep is not None else 0

    def _is_there(self, handle: Handle, parts: Sequence[Buffer]) -> bool:
        """Whether the file under this name is what an unanswered call of ours was about to publish: byte for byte."""
        if self.store.stat(handle) != sum(len(part) for part in parts):
            return False
        whole = memoryview(self.store.load(handle))
        at = 0
        for part in parts:
            if whole[at : at + len(part)] != memoryview(part).cast("B"):
                return False
            at += len(part)
        return True

    def _try(self, call: Callable[[], T]) -> T:
        until = self._clock() + self._patience_s
        pause = FIRST_S
        while True:
            try:
                return call()
            except StoreError as error:
                if error.permanent or self._stop.is_set():
                    raise
                wait_s = pause * self._dice.uniform(0.5, 1.0)
                if self._clock() + wait_s > until:
                    raise
                if self._told is not None:
                    with suppress(Exception):
                        self._told(error)
                if self._stop.wait(wait_s):
                    raise
                pause = min(LONGEST_S, 2 * pause)
