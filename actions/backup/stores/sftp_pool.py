"""A few SFTP sessions to one place, lent to one thread each; made when needed, thrown away when broken."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from actions.backup.stores.sftp_session import Session
from actions.backup.stores.store import StoreError


class Pool:
    """At most `size()` sessions that `make` makes."""

    def __init__(self, make: Callable[[], Session], size: Callable[[], int]) -> None:
        self._make = make
        self._size = size
        self._free: list[Session] = []
        self._count = 0
        self._closed = False
        self._changed = threading.Condition()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session for the calling thread; waits for one when all are lent. One that is not usable afterwards is closed."""
        session = self._take()
        try:
            yield session
        finally:
            with self._changed:
                if session.is_usable and not self._closed:
                    self._free.append(session)
                    session = None  # type: ignore[assignment]
                else:
                    self._count -= 1
                self._changed.notify()
            if session is not None:
                session.close()

    def close(self) -> None:
        """Close all that are free now; those that are lent are closed when they come back."""
        with self._changed:
            self._closed = True
            free, self._free = self._free, []
            self._count -= len(free)
            self._changed.notify_all()
        for session in free:
            session.close()

    def _take(self) -> Session:
        stale = []
        try:
            with self._changed:
                while True:
                    if self._closed:
                        raise StoreError("the store is closed")
                    while self._free:
                        session = self._free.pop()
                        if session.is_usable:
                            return session
                        stale.append(session)
                        self._count -= 1
                    if self._count < max(1, self._size()):
                        self._count += 1
                        break
                    self._changed.wait()
        finally:
            for session in stale:
                session.close()
        try:
            return self._make()
        except BaseException:
            with self._changed:
                self._count -= 1
                self._changed.notify()
            raise
