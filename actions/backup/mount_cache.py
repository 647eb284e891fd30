"""Mount cache: what was read lately, bounded by what it weighs; a thing that several threads want is read once."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_STRIPES = 64


class Cache(Generic[K, V]):
    """Holds values up to `limit` of their weights together; the one that was not asked for longest goes first.

    A value that weighs more than all that may be held is given, and not kept.
    """

    def __init__(self, limit: int, weight: Callable[[V], int]) -> None:
        self._limit, self._weight = limit, weight
        self._held: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()
        self._loading = [threading.Lock() for _ in range(_STRIPES)]
        self.weight = 0

    def get(self, key: K, load: Callable[[], V]) -> V:
        """The value of `key`, loaded if it is not held; what `load` raises passes through, and nothing is kept of it."""
        found = self._look(key)
        if found is not None:
            return found
        with self._loading[hash(key) % _STRIPES]:
            found = self._look(key)
            if found is not None:
                return found
            value = load()
            self._keep(key, value)
            return value

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._held.clear()
            self.weight = 0

    def _look(self, key: K) -> V | None:
        with self._lock:
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
            return found

    def _keep(self, key: K, value: V) -> None:
        weight = self._weight(value)
        if weight > self._limit:
            return
        with self._lock:
            if key in self._held:
                return
            self._held[key] = value
            self.weight += weight
            while self.weight > self._limit:
                _, gone = self._held.popitem(last=False)
                self.weight -= self._weight(gone)
