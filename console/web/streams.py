"""How many live streams are open, in all and per person, so that they stay bounded."""

from collections import Counter

MAX_STREAMS = 500
MAX_STREAMS_PER_USER = 24


class Streams:
    """Counts the open streams, so that they stay bounded."""

    def __init__(self, most: int = MAX_STREAMS, most_per_user: int = MAX_STREAMS_PER_USER) -> None:
        self._most = most
        self._most_per_user = most_per_user
        self._open: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._open.total()

    def full(self, user: str) -> bool:
        """Say whether `user` may open no further stream now."""
        return len(self) >= self._most or self._open[user] >= self._most_per_user

    def opened(self, user: str) -> None:
        """Count one more."""
        self._open[user] += 1

    def closed(self, user: str) -> None:
        """Count one less."""
        self._open[user] -= 1
        if self._open[user] <= 0:
            del self._open[user]
