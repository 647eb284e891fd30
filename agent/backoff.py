"""How long to wait before the next attempt: exponential with jitter, capped, and forgotten after a stable time."""

import random


class Backoff:
    """Waits that double from `first_s` up to `cap_s`, each cut by up to half at random so that workers do not start in step."""

    def __init__(self, first_s: float = 0.25, cap_s: float = 15.0, stable_s: float = 10.0) -> None:
        self._first_s, self._cap_s, self._stable_s = first_s, cap_s, stable_s
        self._next_s = first_s

    def after(self, lived_s: float) -> float:
        """Return how long to wait after something that lived for `lived_s`."""
        if lived_s >= self._stable_s:
            self._next_s = self._first_s
        wait = self._next_s * random.uniform(0.5, 1.0)
        self._next_s = min(self._cap_s, self._next_s * 2)
        return wait
