"""What a long run of rpm changes is told as it is, and judged again when the run is over: a header is written after its package's files."""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from collectors.integrity.packages.store import PackageStore
from contracts.coverage import Blind
from contracts.errors import Why
from contracts.file_change import Change
from contracts.provenance import Level, Provenance

MOST = 20_000
"""So many changes wait to be judged again; more are judged at once."""
MOST_MS = 6 * 3_600_000
"""So long, and no longer, a run is believed to be under way: whoever holds rpm's lock for ever gains no more than that."""
_SINCE = "busy_since_ms"
_WAITS = "a run of rpm is under way and may bring it: it is judged again when that is over"
_DECODER = msgspec.msgpack.Decoder(Change)
_encode = msgspec.msgpack.Encoder().encode


class PutOff:
    """For one thread; kept in the file of packages, so that a restart forgets none."""

    def __init__(self, store: PackageStore) -> None:
        self._store = store

    def is_under_way(self, is_busy: bool, now_ms: int) -> bool:
        """Say whether a run is under way whose packages are not known yet."""
        since = self._store.fact(_SINCE)
        if not is_busy:
            if since:
                self._store.keep(_SINCE, "")
            return False
        if not since:
            self._store.keep(_SINCE, str(now_ms))
        return now_ms - int(since or now_ms) < MOST_MS

    def put_off(self, judged: Iterable[tuple[Change, Provenance]]) -> list[tuple[Change, Provenance]]:
        """Keep the changes that nothing accounts for yet; returns all of them with what can be said of them now."""
        room = MOST - self._store.count_put_off()
        told: list[tuple[Change, Provenance]] = []
        kept: list[bytes] = []
        for change, provenance in judged:
            if provenance.level is Level.NONE and len(kept) < room:
                kept.append(_encode(change))
                provenance = replace(provenance, basis=f"{provenance.basis}; {_WAITS}", contradicts=False)
            told.append((change, provenance))
        self._store.put_off(kept)
        return told

    def changes(self) -> list[Change]:
        """Return what is to be judged again, oldest first."""
        return [_DECODER.decode(body) for body in self._store.all_put_off()]

    def is_any(self) -> bool:
        """Say whether anything is."""
        return bool(self._store.count_put_off())

    def clear(self) -> None:
        """All of it was judged."""
        self._store.forget_put_off()

    def blind(self) -> tuple[Blind, ...]:
        """Return that it is not judged yet."""
        count = self._store.count_put_off()
        if not count:
            return ()
        return (
            Blind(
                what="what a run of rpm that is under way brings",
                why=Why.OTHER,
                detail=f"{count} changes were told as they are, and are judged again when it is over",
                fix="See which dnf or rpm holds the lock of rpm's database, and whether it should.",
            ),
        )


def left(
    rest: Sequence[tuple[Change, Provenance]], again: Sequence[Change], fresh: Sequence[Change]
) -> list[tuple[Change, Provenance]]:
    """Return what is to be told of changes that nothing accounts for: of those told before (`again`) only what contradicts a package."""
    known = {change.path for change in again} - {change.path for change in fresh}
    return [each for each in rest if each[0].path not in known or each[1].contradicts]
