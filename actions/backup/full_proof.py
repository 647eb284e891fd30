"""Full proof: whole snapshots restored into scratch space, read back, compared with what was saved to the last bit of metadata, and timed.

An unprivileged process proves content, names, times, permissions, links and its own extended attributes; ownership, device nodes, setuid
bits and attributes that only root may set are proved by the same as root.
"""

import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec

from actions.backup.archiver import Choices, Told
from actions.backup.databases.saving import PARTIAL
from actions.backup.databases.saving import TAG as DATABASE_TAG
from actions.backup.errors import Damaged, NoSuchBlob
from actions.backup.node import Node
from actions.backup.proving import Listed, Proof, compare_names, is_inside
from actions.backup.repository import Repository
from actions.backup.restorer import Overwrite, Restored, Restorer
from actions.backup.scratch import free_bytes, free_inodes, private_folder
from actions.backup.snapshot import Snapshot
from actions.backup.walk import walk
from contracts.errors import HoldfastError

MAX_FAILED = 1000
_ENTRY_BYTES = 4096
"""What an entry takes besides its content, about."""

_MAX_PATH = 4000
_OWN_ATTRIBUTES = ("user.", "system.posix_acl_")
_KINDS = {
    "file": stat.S_IFREG,
    "dir": stat.S_IFDIR,
    "symlink": stat.S_IFLNK,
    "dev": stat.S_IFBLK,
    "chardev": stat.S_IFCHR,
    "fifo": stat.S_IFIFO,
}


class NoRoom(HoldfastError):
    """The scratch space is too small: `needed` and `free` bytes. Nothing was restored."""

    permanent = False

    def __init__(self, where: str, needed: int, free: int, what: str = "bytes") -> None:
        super().__init__(
            f"{where} has {free} {what} to spare, the restore takes {needed}",
            advice="make room, or name a larger directory as its scratch space",
        )
        self.needed, self.free = needed, free


class TooSlow(HoldfastError):
    """It took longer than the limit and was given up."""

    permanent = False


class Need(NamedTuple):
    """What a snapshot takes once it is restored."""

    entries: int
    bytes: int


@dataclass(slots=True)
class FullProof:
    """What came of it. `seconds` is the time of restoring and reading back, without `paused_s`, in which it waited for others.

    `age_s` is how old the oldest of the newest snapshots was when it began, `gap_s` the longest time between two of the last month.
    """

    snapshots: list[str] = field(default_factory=list)
    files: int = 0
    bytes: int = 0
    entries: int = 0
    seconds: float = 0.0
    paused_s: float = 0.0
    age_s: float = 0.0
    gap_s: float = 0.0
    privileged: bool = False
    not_proved: int = 0
    problems: int = 0
    failed: list[Told] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether something was restored and all of it was right."""
        return bool(self.snapshots) and self.entries > 0 and not self.problems

    def fail(self, told: Told) -> None:
        """Note what is not there or not right; the first `MAX_FAILED` are named."""
        self.problems += 1
        if len(self.failed) < MAX_FAILED:
            self.failed.append(told)


@dataclass(slots=True)
class Prover:
    """Proves snapshots of `repository`, whose index is loaded, in a new folder of `scratch`. `wait` lets others go first; returns seconds.

    `reserve` bytes stay free. TooSlow after `time_limit_s`; `tell` hears how many bytes are done.
    """

    repository: Repository
    scratch: str
    reserve: int = 0
    time_limit_s: float = 0.0
    privileged: bool = field(default_factory=lambda: os.geteuid() == 0)
    wait: Callable[[], float] = lambda: 0.0
    tell: Callable[[int], None] = lambda _: None
    choices: Choices | None = None
    """What the job leaves out: with them, names that the snapshot lacks are found, too."""

    def prove(self, snapshots: Sequence[str]) -> FullProof:
        """Restore each snapshot (by its whole id), compare it and wipe it; NoRoom before anything is written."""
        proof = FullProof(privileged=self.privileged)
        trees = {id: self.repository.load_snapshot(id) for id in snapshots}
        self.make_sure([snapshot.tree for snapshot in trees.values()])
        proof.age_s = max((time.time_ns() - each.time_ns) / 1e9 for each in trees.values()) if trees else 0.0
        for id, snapshot in trees.items():
            with private_folder(self.scratch) as folder:
                began = time.monotonic()
                paused, known = proof.paused_s, len(proof.failed)
                self._restore(snapshot.tree, folder, proof, began)
                proof.seconds += time.monotonic() - began - (proof.paused_s - paused)
                self._compare(snapshot.tree, folder, proof, {told.path for told in proof.failed[known:]})
            if self.choices is not None and not {DATABASE_TAG, PARTIAL} & set(snapshot.tags):
                self._look_for_missing(snapshot, self.choices, proof)
            proof.snapshots.append(id)
        return proof

    def make_sure(self, trees: Sequence[str]) -> Need:
        """The largest need of the trees; NoRoom where the scratch space does not have it."""
        needs = [self._need(tree) for tree in trees]
        largest = Need(max((need.entries for need in needs), default=0), max((need.bytes for need in needs), default=0))
        free = free_bytes(self.scratch) - self.reserve
        if largest.bytes > free:
            raise NoRoom(self.scratch, largest.bytes, max(free, 0))
        inodes = free_inodes(self.scratch)
        if inodes is not None and largest.entries > inodes:
            raise NoRoom(self.scratch, largest.entries, inodes, "inodes")
        return largest

    def _need(self, tree: str) -> Need:
        entries = size = 0
        seen: set[tuple[int, int]] = set()
        for entry in walk(self.repository, tree, trouble=lambda *_: None):  # what is damaged is found by restoring
            node = entry.node
            entries += 1
            size += _ENTRY_BYTES
            if node.type != "file":
                continue
            if node.links > 1 and node.inode:
                if (node.device_id, node.inode) in seen:
                    continue
                seen.add((node.device_id, node.inode))
            size += node.size
        return Need(entries, size)

    def _restore(self, tree: str, folder: str, proof: FullProof, began: float) -> None:
        base = proof.bytes
        start_paused = proof.paused_s

        def pulse(done: Restored) -> None:
            proof.paused_s += self.wait()
            self.tell(base + done.bytes)
            spent = time.monotonic() - began - (proof.paused_s - start_paused) + proof.seconds
            if 0 < self.time_limit_s < spent:
                raise TooSlow(f"it was not done after {spent:.0f} s", advice="raise proof.full.time_limit")

        restorer = Restorer(
            self.repository,
            verify=True,
            overwrite=Overwrite.REFUSE,
            adapt=_same if self.privileged else plain_node,
            pulse=pulse,
        )
        done = restorer.restore(tree, folder)
        for told in done.failed:
            proof.fail(Told(b"/" + told.path, told.what))
        proof.files += done.files
        proof.bytes += done.bytes

    def _compare(self, tree: str, folder: str, proof: FullProof, known: set[bytes]) -> None:
        """Every entry of the snapshot is there and as it was; what is `known` to have failed is not noted again."""
        root = os.fsencode(folder)
        inodes: dict[tuple[int, int], int] = {}
        for entry in walk(self.repository, tree, trouble=lambda *_: None):
            node = entry.node if self.privileged else plain_node(entry.node)
            proof.entries += 1
            if node is None or node is not entry.node:
                proof.not_proved += 1
            if node is None or node.type not in _KINDS or len(root) + len(entry.path) > _MAX_PATH:
                continue
            if entry.path in known or any(entry.path.startswith(path + b"/") for path in known):
                continue
            for what in self._differences(node, root + entry.path, inodes):
                proof.fail(Told(entry.path, what))

    def _look_for_missing(self, snapshot: Snapshot, choices: Choices, proof: FullProof) -> None:
        """Directories that are what they were must be in the snapshot to the last name, as the daily proof has it for some."""
        for entry in walk(self.repository, snapshot.tree, trouble=lambda *_: None):
            if entry.node.type != "dir" or entry.node.subtree is None or not is_inside(entry.path, snapshot.paths):
                continue
            try:
                nodes = self.repository.load_tree(bytes.fromhex(entry.node.subtree))
            except (Damaged, NoSuchBlob):
                continue  # restoring it has failed, and was told
            found = Proof()
            compare_names(Listed(entry.path, entry.node, frozenset(name for name, _ in nodes)), choices, found)
            for told in found.failed:
                proof.fail(told)

    def _differences(self, node: Node, place: bytes, inodes: dict[tuple[int, int], int]) -> Iterator[str]:
        try:
            status = os.lstat(place)
        except OSError as error:
            yield f"it was not restored: {error.strerror}"
            return
        if stat.S_IFMT(status.st_mode) != _KINDS[node.type]:
            yield f"it was a {node.type} and is none"
            return
        if node.type != "symlink" and stat.S_IMODE(status.st_mode) != node.permissions:
            yield f"its mode is {stat.S_IMODE(status.st_mode):04o}, it was {node.permissions:04o}"
        if status.st_mtime_ns != node.mtime_ns:
            yield f"its time of change is {status.st_mtime_ns}, it was {node.mtime_ns}"
        if node.type == "file" and status.st_size != node.size:
            yield f"it has {status.st_size} bytes, it had {node.size}"
        if node.type == "symlink" and os.readlink(place) != node.raw_target:  # noqa: PTH115
            yield "it leads elsewhere"
        if self.privileged and (status.st_uid, status.st_gid) != (node.uid, node.gid):
            yield f"it belongs to {status.st_uid}:{status.st_gid}, it belonged to {node.uid}:{node.gid}"
        if self.privileged and node.type in {"dev", "chardev"} and status.st_rdev != node.device:
            yield f"it is device {status.st_rdev}, it was {node.device}"
        if node.type == "file" and node.links > 1 and node.inode:
            first = inodes.setdefault((node.device_id, node.inode), status.st_ino)
            if first != status.st_ino:
                yield "it was another name of a file, and is a file of its own"
        yield from _attributes(node, place)


def plain_node(node: Node) -> Node | None:
    """What a process without privileges can restore of an entry, None for nothing; the very same node where that is all of it."""
    if node.type in {"dev", "chardev"}:
        return None
    own = [each for each in node.extended_attributes if each.name.startswith(_OWN_ATTRIBUTES)]
    mode = node.mode & ~((1 << 23) | (1 << 22))  # setuid and setgid, in Go's words
    if node.type == "dir":
        mode |= 0o700  # or it could not be entered again to compare what is in it
    if len(own) == len(node.extended_attributes) and mode == node.mode:
        return node
    return msgspec.structs.replace(node, mode=mode, extended_attributes=own)


def _same(node: Node) -> Node:
    return node


def _attributes(node: Node, place: bytes) -> Iterator[str]:
    for each in node.extended_attributes:
        try:
            value = os.getxattr(place, each.name, follow_symlinks=False)
        except OSError as error:
            yield f"its attribute {each.name} is not there: {error.strerror}"
            continue
        if value != (each.value or b""):
            yield f"its attribute {each.name} is another"


def longest_gap(repository: Repository, hostname: str, job: str, sheet_tag: str, now_ns: int) -> float:
    """The longest time in seconds between two snapshots of a job in 31 days, or since the last: what a disaster may have cost."""
    since_ns = now_ns - 31 * 86400 * 1_000_000_000
    times = sorted(
        snapshot.time_ns
        for _, snapshot in repository.snapshots()
        if snapshot.hostname == hostname and job in snapshot.tags and sheet_tag not in snapshot.tags
    )
    times = [ns for ns in times if since_ns <= ns <= now_ns]
    return max((after - before for before, after in zip(times, [*times[1:], now_ns], strict=False)), default=0) / 1e9


def usable(folder: str) -> bool:
    """Whether the scratch space can be written by this process."""
    return Path(folder).is_dir() and os.access(folder, os.W_OK | os.X_OK)
