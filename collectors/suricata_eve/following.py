"""Reading a file that grows, is renamed, emptied and written anew: whole lines from a place that was kept, nothing twice, losses named."""

import hashlib

from msgspec.structs import replace

from contracts.errors import Unavailable, Why
from contracts.host import Files, FileStat
from contracts.record import Record
from contracts.subjects.suricata_eve import Place

MARK_BYTES = 256
LONGEST_LINE = 4 << 20
"""A line that is longer is passed over, and counted."""
PACKED = (b".gz", b".xz", b".bz2", b".zst", b".lz4")


class Lines(Record):
    """What was read: whole lines, the place behind them, what was lost ("" for nothing), lines that were too long or stayed half, and when
    the file that was read last was written (Unix nanoseconds).
    """

    lines: list[bytes]
    place: Place
    lost: str = ""
    too_long: int = 0
    written_ns: int = 0


def begin(files: Files, path: str, at_end: bool) -> Place:
    """Return the place to begin at; raises `Unavailable`."""
    found, head = files.part(path, 0, MARK_BYTES)
    place = _at(found, head)
    if not at_end or not found.size:
        return place
    # The last line may be half written: what follows its beginning is read when it is whole.
    start = max(0, found.size - LONGEST_LINE)
    _, tail = files.part(path, start, found.size - start)
    return _moved(place, start + tail.rfind(b"\n") + 1)


def follow(files: Files, path: str, place: Place, most: int) -> Lines:
    """Return what was written behind a place, `most` bytes at most; raises `Unavailable` where the file cannot be read."""
    try:
        found, head = files.part(path, 0, MARK_BYTES)
    except Unavailable as error:
        # Renamed, and nothing in its place yet: the writer still has the former one open.
        former = _former(files, path, None, place) if error.why is Why.NOT_PRESENT else None
        if former is None:
            raise
        return _read(files, former, place, most)
    if _same(found, head, place):
        return _read(files, path, place, most)
    former = _former(files, path, found, place)
    if former is None:
        lost = "the file was replaced or emptied before it was read to its end, and no copy of it is there"
        return replace(_read(files, path, _at(found, head), most), lost=lost)
    read = _read(files, former, _of(files, former, place), most)
    following = _after(files, path, former)
    found, head = files.part(following, 0, MARK_BYTES)
    if read.lines or not found.size:
        return read
    # The former one is read to its end, and its writer writes elsewhere: half a line there stays one.
    fresh = _read(files, following, _at(found, head), most)
    return replace(fresh, too_long=fresh.too_long + bool(read.place.behind))


def _read(files: Files, path: str, place: Place, most: int) -> Lines:
    found, data = files.part(path, place.offset, most)
    end = data.rfind(b"\n") + 1
    too_long = 0
    if not end and len(data) >= min(most, LONGEST_LINE):
        end, too_long = len(data), 1
    lines = data[:end].splitlines()
    if place.marked < min(MARK_BYTES, found.size):
        _, head = files.part(path, 0, MARK_BYTES)
        place = Place(inode=place.inode, device=place.device, offset=place.offset, mark=_digest(head), marked=len(head))
    return Lines(
        lines=[] if too_long else lines,
        place=_moved(place, place.offset + end, max(0, found.size - place.offset - end)),
        too_long=too_long,
        written_ns=found.mtime_ns,
    )


def _same(found: FileStat, head: bytes, place: Place) -> bool:
    """Return whether the file at the path is the one that the place is in, and was not emptied since."""
    if (found.inode, found.device) != (place.inode, place.device) or found.size < place.offset:
        return False
    return _digest(head[: place.marked]) == place.mark


def _former(files: Files, path: str, now: FileStat | None, place: Place) -> str | None:
    """Return the path of the file that the place is in: renamed, or copied before it was emptied (`now` is what stands in its place)."""
    for name in _siblings(files, path):
        try:
            found, head = files.part(name, 0, MARK_BYTES)
        except Unavailable as error:
            if error.why is Why.NOT_PRESENT:
                continue  # rotated away between the two looks
            raise
        if found.size < place.offset or _digest(head[: place.marked]) != place.mark:
            continue
        is_it = (found.inode, found.device) == (place.inode, place.device)
        if is_it or (place.marked and now is not None and now.inode == place.inode):
            return name
    return None


def _after(files: Files, path: str, former: str) -> str:
    """Return the file that was written next after one that was rotated away."""
    known = {name: files.stat(name).mtime_ns for name in _siblings(files, path)}
    mine = known.get(former, 0)
    later = sorted((at, name) for name, at in known.items() if at > mine and name != former)
    return later[0][1] if later else path


def _siblings(files: Files, path: str) -> list[str]:
    """Return the files beside one whose names begin like its own: `eve.json.1`, `eve.json-20260101`, `eve-1.json`; no packed ones."""
    folder, _, own = path.rpartition("/")
    stem = own.partition(".")[0].encode()
    names = [name for name in files.names(folder or "/") if name.startswith(stem) and not name.endswith(PACKED)]
    return [f"{folder}/{name.decode('utf-8', 'surrogateescape')}" for name in sorted(names) if name != own.encode()]


def _of(files: Files, path: str, place: Place) -> Place:
    """Return the same place in the file at a path, which is that file or its copy."""
    found, _ = files.part(path, 0, 0)
    return replace(place, inode=found.inode, device=found.device)


def _at(found: FileStat, head: bytes) -> Place:
    return Place(inode=found.inode, device=found.device, offset=0, mark=_digest(head), marked=len(head))


def _moved(place: Place, offset: int, behind: int = 0) -> Place:
    return replace(place, offset=offset, behind=behind)


def _digest(head: bytes) -> str:
    return hashlib.blake2b(head, digest_size=8).hexdigest()
