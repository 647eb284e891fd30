"""The logs of apt and dpkg, with what logrotate put aside: a run stands in the former log when that changed before the run was told."""

import io
from collections.abc import Callable, Iterator, Sequence

from collectors.integrity.packages.compressed import BROKEN, opened
from contracts.errors import Unavailable
from contracts.host import ReadOnlyHost
from contracts.provenance import Transaction
from contracts.record import Record

_TAIL = 512 << 10
_MOST = 32 << 20
_PACKED = (".gz", ".xz", ".bz2", ".zst", ".lzma")
_FORMER = 24
"""So many former logs at most: two years of Debian's."""

Parse = Callable[[str], list[Transaction]]
Stamp = tuple[int, ...]


class _Read(Record):
    """What was read of one log: `formers` are the former logs that were read besides, as they lay there."""

    stamp: Stamp
    since_ms: int
    formers: tuple[tuple[str, Stamp], ...] | None
    runs: list[Transaction]


class Logs:
    """Reads logs, again when they have changed."""

    def __init__(self, host: ReadOnlyHost) -> None:
        self._files = host.files
        self._held: dict[str, _Read] = {}

    def stamp(self, path: str) -> Stamp:
        """Return a mark of a log, another one after each line that is written there; () where there is none."""
        try:
            found = self._files.stat(path)
        except Unavailable:
            return ()
        return found.mtime_ns, found.inode, found.size

    def runs(self, path: str, since_ms: int, parse: Parse) -> Sequence[Transaction]:
        """Return the runs that a log tells of, oldest first, back to a time and beyond.

        Where the log itself does not go back so far, former ones are read before it: as one text, because a run may stand in both.
        """
        stamp, held = self.stamp(path), self._held.get(path)
        is_known = held is not None and held.stamp == stamp and held.since_ms <= since_ms
        if held is not None and is_known and held.formers in (None, tuple(self._formers(path))):
            return held.runs
        left_out, text = self._end(path, _TAIL)
        runs, formers = parse(text), None
        if left_out and not _reaches(runs, since_ms):
            left_out, text = self._end(path, _MOST)
            runs = parse(text)
        if not left_out and not _reaches(runs, since_ms):
            formers = tuple(self._formers(path))
            for before in self._texts(formers):
                text = f"{before}\n\n{text}"
                runs = parse(text)
                if _reaches(runs, since_ms):
                    break
        self._held[path] = _Read(stamp=stamp, since_ms=since_ms, formers=formers, runs=runs)
        return runs

    def _end(self, path: str, max_bytes: int) -> tuple[int, str]:
        try:
            left_out, content = self._files.end(path, max_bytes)
        except Unavailable:
            return 0, ""  # apt makes a new one with its next run
        return left_out, _text(content)

    def _formers(self, path: str) -> Iterator[tuple[str, Stamp]]:
        """Yield the former logs, the newest first (`logrotate(8)`: `.1`, `.1.gz`, with `dateext` `-20260101.gz`)."""
        folder, _, base = path.rpartition("/")
        try:
            names = [name.decode("utf-8", "surrogateescape") for name in self._files.names(folder)]
        except Unavailable:
            return
        found = [(f"{folder}/{name}", self.stamp(f"{folder}/{name}")) for name in names if _is_former(name, base)]
        found.sort(key=lambda pair: (pair[1][:1], not pair[0].endswith(_PACKED)), reverse=True)
        yield from found[:_FORMER]

    def _texts(self, formers: Sequence[tuple[str, Stamp]]) -> Iterator[str]:
        """Yield what stands in former logs; one that is being compressed lies there twice, and counts once."""
        read = set()
        for path, _ in formers:
            plain = _plain(path)
            if plain not in read and (text := self._former(path)):
                read.add(plain)
                yield text

    def _former(self, path: str) -> str:
        """Return a former log, "" for one that cannot be read as a whole: half compressed, or gone by now."""
        try:
            packed = io.BytesIO(self._files.read(path, _MOST))
            return _text(opened(packed, path).read(_MOST))
        except BROKEN:
            return ""


def _is_former(name: str, base: str) -> bool:
    rest = _plain(name.removeprefix(base))
    return name.startswith(base) and rest[:1] in (".", "-") and rest[1:].replace("-", "").isdigit()


def _plain(name: str) -> str:
    stem, dot, ending = name.rpartition(".")
    return stem if dot + ending in _PACKED else name


def _reaches(runs: Sequence[Transaction], since_ms: int) -> bool:
    return bool(runs) and runs[0].started_ms < since_ms


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")
