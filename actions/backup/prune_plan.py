"""Prune plan: which packs stay, which are packed anew, which go, with the numbers, decided as restic decides; nothing is changed here.

Source: restic's `cmd/restic/cmd_prune.go`. What differs: of duplicates, prune reads the copy that stays before the others go.
"""

import re
from array import array
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import NamedTuple

from actions.backup.blobs import Blob, BlobType
from actions.backup.crypto import OVERHEAD
from actions.backup.errors import Damaged
from actions.backup.pack import TARGET_SIZE
from actions.backup.repository import Repository
from actions.backup.stores.store import FileType
from actions.backup.used import Incomplete, Used, find_used
from contracts.errors import UsageError

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*", re.IGNORECASE | re.ASCII)
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_HEADER, _PLAIN_ENTRY, _COMPRESSED_ENTRY = OVERHEAD + 4, 37, 41
_NONE, _MIXED = 255, 254
_TINY = TARGET_SIZE // 25
_SMALL = TARGET_SIZE // 5 * 4
_ENOUGH_SMALL = 10


def parse_size(text: str) -> int:
    """Bytes, with the suffixes k, m, g and t (powers of 1024); UsageError for anything else."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is not a size", advice="give bytes, or a number with k, m, g or t, such as 500m")
    return int(float(match[1]) * (1 << _UNITS[match[2].lower()]))


@dataclass(frozen=True, slots=True)
class MaxUnused:
    """How much unused data may stay: a share of what remains, so many bytes, or (neither) without limit."""

    percent: float | None = 5.0
    bytes: int | None = None

    def allowed(self, used: int) -> int | None:
        """Bytes that may stay beside `used` bytes; None without limit."""
        if self.bytes is not None:
            return self.bytes
        return None if self.percent is None else int(self.percent / (100 - self.percent) * used)


def parse_max_unused(text: str) -> MaxUnused:
    """Read "5%", "500m" or "unlimited"; UsageError for anything else."""
    word = text.strip()
    if word == "unlimited":
        return MaxUnused(None)
    if not word.endswith("%"):
        return MaxUnused(None, parse_size(word))
    try:
        percent = float(word[:-1])
    except ValueError:
        percent = -1.0
    if not 0 <= percent < 100:
        raise UsageError(
            f"{text!r} is not a share of unused data", advice="give 0% to below 100%, a size, or unlimited"
        )
    return MaxUnused(percent)


def _nothing(_: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class PruneOptions:
    """How far to go. `spare` is asked for each pack that no index names whether it must stay (a replication may just be adding it)."""

    max_unused: MaxUnused = MaxUnused()
    max_repack_bytes: int | None = None
    repack_small: bool = False
    repack_uncompressed: bool = False
    repack_cacheable_only: bool = False
    spare: Callable[[str], bool] = _nothing


@dataclass(slots=True)
class Count:
    """Blobs and their bytes as stored."""

    blobs: int = 0
    bytes: int = 0

    def add(self, blobs: int, size: int) -> None:
        """Count more."""
        self.blobs += blobs
        self.bytes += size


@dataclass(slots=True)
class Numbers:
    """The numbers of a plan, as restic counts them: what there is, what is packed anew (and of it left out), what is removed."""

    used: Count = field(default_factory=Count)
    duplicate: Count = field(default_factory=Count)
    unused: Count = field(default_factory=Count)
    remove: Count = field(default_factory=Count)
    repack: Count = field(default_factory=Count)
    repack_remove: Count = field(default_factory=Count)
    unnamed_bytes: int = 0
    packs_used: int = 0
    packs_partly_used: int = 0
    packs_unused: int = 0
    packs_keep: int = 0

    @property
    def total_bytes(self) -> int:
        """Bytes of blobs and unnamed packs now."""
        return self.used.bytes + self.duplicate.bytes + self.unused.bytes + self.unnamed_bytes

    @property
    def freed_bytes(self) -> int:
        """Bytes that the whole prune gives back."""
        return self.remove.bytes + self.repack_remove.bytes + self.unnamed_bytes

    @property
    def unused_after_bytes(self) -> int:
        """Bytes that stay though nothing needs them."""
        return self.duplicate.bytes + self.unused.bytes - self.remove.bytes - self.repack_remove.bytes


@dataclass(slots=True)
class Plan:
    """What a prune does with which packs (ids), in the order of doing; `missing` are packs that are gone and that nothing needs."""

    unnamed: list[str]
    repack: set[bytes]
    remove: set[bytes]
    missing: set[bytes]
    duplicates: list[tuple[BlobType, bytes]]
    used: Used
    numbers: Numbers

    @property
    def dropped(self) -> set[bytes]:
        """Every pack that the index forgets."""
        return self.repack | self.remove | self.missing

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.unnamed or self.dropped)


class _Candidate(NamedTuple):
    number: int
    type: int
    used: int
    unused: int
    must_compress: bool

    @property
    def size(self) -> int:
        return self.used + self.unused


class _Packs:
    """For each pack by its number: blobs and bytes that are used and that are not, its type, whether something in it is not compressed."""

    def __init__(self, count: int) -> None:
        self.used_blobs = array("L", bytes(8 * count))
        self.unused_blobs = array("L", bytes(8 * count))
        self.used_bytes = array("Q", [_HEADER]) * count
        self.unused_bytes = array("Q", bytes(8 * count))
        self.type = bytearray([_NONE]) * count
        self.uncompressed = bytearray(count)

    def describe(self, pack: int, blob: Blob) -> None:
        """Note type and form of a blob, and its entry in the header, which counts as used."""
        self.type[pack] = blob.type if self.type[pack] in (_NONE, blob.type) else _MIXED
        self.uncompressed[pack] |= not blob.uncompressed_length
        self.used_bytes[pack] += _COMPRESSED_ENTRY if blob.uncompressed_length else _PLAIN_ENTRY

    def add(self, pack: int, size: int, *, used: bool) -> None:
        if used:
            self.used_blobs[pack] += 1
            self.used_bytes[pack] += size
        else:
            self.unused_blobs[pack] += 1
            self.unused_bytes[pack] += size


def plan_prune(repository: Repository, options: PruneOptions, without: Collection[str] = ()) -> Plan:
    """Plan a prune as if the snapshots `without` were gone; load the index before, and hold an exclusive lock when it is to be carried out.

    Damaged or Incomplete when something that is needed is not there or not right: nothing may be removed then.
    """
    trees = [snapshot.tree for id, snapshot in repository.snapshots() if id not in without]
    used = find_used(repository, trees)
    numbers = Numbers()
    packs, duplicates = _count(repository, used, numbers)
    plan = Plan([], set(), set(), set(), duplicates, used, numbers)
    _Chooser(repository, options, packs, plan).choose()
    return plan


def _count(repository: Repository, used: Used, numbers: Numbers) -> tuple[_Packs, list[tuple[BlobType, bytes]]]:
    """Count every entry of the index to its pack. Of the copies of a needed blob one counts as used: where others are, if there is such."""
    index = repository.index
    packs = _Packs(len(index.packs()))
    copies: dict[tuple[BlobType, bytes], list[tuple[int, int]]] = {}
    for type in BlobType:
        for number, (pack, blob) in enumerate(index.numbered(type)):
            places = index.numbers(type, blob.id)
            needed = used.is_marked(type, places[0])
            packs.describe(pack, blob)
            if not needed:
                numbers.unused.add(1, blob.length)
            else:
                (numbers.used if places[0] == number else numbers.duplicate).add(1, blob.length)
            if needed and len(places) > 1:
                copies.setdefault((type, blob.id), []).append((pack, blob.length))
            else:
                packs.add(pack, blob.length, used=needed)
    for found in copies.values():
        chosen = max(range(len(found)), key=lambda at: packs.used_blobs[found[at][0]] > 0)
        for at, (pack, size) in enumerate(found):
            packs.add(pack, size, used=at == chosen)
    return packs, list(copies)


class _Chooser:
    """Decides what becomes of each pack, and writes it to the plan."""

    def __init__(self, repository: Repository, options: PruneOptions, packs: _Packs, plan: Plan) -> None:
        self._repository = repository
        self._options = options
        self._packs = packs
        self._plan = plan
        self._candidates: list[_Candidate] = []
        self._small: list[_Candidate] = []
        self._small_below = _SMALL if options.repack_small else _TINY

    def choose(self) -> None:
        sizes = dict(self._repository.store.list(FileType.PACK))
        ids = self._repository.index.packs()
        for number, pack in enumerate(ids):
            self._pack(number, pack, sizes.pop(pack.hex(), None))
        for name in sorted(sizes):
            if not self._options.spare(name):
                self._plan.unnamed.append(name)
                self._plan.numbers.unnamed_bytes += sizes[name]
        if len(self._small) < _ENOUGH_SMALL:
            self._plan.numbers.packs_keep += len(self._small)  # or a few of them would be packed anew each time
        else:
            self._candidates += self._small
        self._repack(ids)

    def _pack(self, number: int, pack: bytes, size: int | None) -> None:
        packs, numbers = self._packs, self._plan.numbers
        if not packs.used_blobs[number]:
            (self._plan.missing if size is None else self._plan.remove).add(pack)
            numbers.packs_unused += size is not None
            numbers.remove.add(packs.unused_blobs[number], packs.unused_bytes[number])
            return
        if size is None:
            raise Incomplete(
                f"data/{pack.hex()}: the pack is gone, and {packs.used_blobs[number]} blobs in it are needed",
                advice="run `holdfast backup repair`; nothing was removed",
            )
        if packs.used_bytes[number] + packs.unused_bytes[number] != size:
            known = packs.used_bytes[number] + packs.unused_bytes[number]
            raise Damaged(
                f"data/{pack.hex()}",
                f"has {size} bytes, where the index knows of {known}",
                advice="run `holdfast backup repair`; nothing was removed",
            )
        self._needed_pack(number)

    def _needed_pack(self, number: int) -> None:
        packs, options, numbers = self._packs, self._options, self._plan.numbers
        type = packs.type[number]
        must_compress = (
            self._repository.config.version >= 2
            and bool(packs.uncompressed[number])
            and (type == BlobType.TREE or options.repack_uncompressed)
        )
        candidate = _Candidate(number, type, packs.used_bytes[number], packs.unused_bytes[number], must_compress)
        if packs.unused_blobs[number]:
            numbers.packs_partly_used += 1
        else:
            numbers.packs_used += 1
        if options.repack_cacheable_only and type == BlobType.DATA:
            numbers.packs_keep += 1
        elif packs.unused_blobs[number] or type == _MIXED or must_compress:
            self._candidates.append(candidate)
        elif candidate.size < self._small_below:
            self._small.append(candidate)
        else:
            numbers.packs_keep += 1

    def _repack(self, ids: list[bytes]) -> None:
        """Take candidates (trees, small ones, the emptiest first) until few enough bytes are unused or the limit is reached."""
        numbers = self._plan.numbers
        allowed = self._options.max_unused.allowed(numbers.used.bytes)
        limit = self._options.max_repack_bytes
        small = self._small_below
        self._candidates.sort(key=lambda c: (c.type == BlobType.DATA, c.size >= small, -c.unused / c.size, c.number))
        for candidate in self._candidates:
            left = numbers.unused.bytes - numbers.remove.bytes - numbers.repack_remove.bytes
            enough = allowed is None or left < allowed
            forced = candidate.type != BlobType.DATA or candidate.must_compress or candidate.size < small
            too_much = limit is not None and numbers.repack.bytes + candidate.size >= limit
            if too_much or (enough and not forced):
                numbers.packs_keep += 1
                continue
            self._plan.repack.add(ids[candidate.number])
            unused_blobs = self._packs.unused_blobs[candidate.number]
            numbers.repack.add(self._packs.used_blobs[candidate.number] + unused_blobs, candidate.size)
            numbers.repack_remove.add(unused_blobs, candidate.unused)
