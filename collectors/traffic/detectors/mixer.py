"""Mixes columns into one word a row with a secret, so that nobody outside can choose keys that meet."""

import secrets

import numpy as np

from collectors.traffic.block import U64

_SHIFT = np.uint64(32)


class Mixer:
    """Call it with columns of one length (or a number among them); equal rows give equal words, others hardly ever."""

    def __init__(self, seed: bytes | None = None) -> None:
        words = np.frombuffer(seed or secrets.token_bytes(16), np.uint64)
        self._salt, self._factor = words[0], words[1] | np.uint64(1)

    def __call__(self, *parts: "U64 | int") -> U64:
        """Return the word of each row, never 0."""
        word: U64 = np.atleast_1d(np.asarray(self._salt))
        for part in parts:
            word = (word ^ (np.uint64(part) if isinstance(part, int) else part)) * self._factor
            word ^= word >> _SHIFT
        word = word * self._factor
        word ^= word >> _SHIFT
        return np.maximum(word, np.uint64(1))
