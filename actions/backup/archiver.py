"""Archiver: files and directories into a snapshot.

What an earlier snapshot (the parent) describes unchanged is not read again: a file whose type, size, mtime, ctime, inode and device are
the same is taken over with its node, for every change of metadata moves the ctime; a directory all of whose entries are taken over keeps
its tree.
"""

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from actions.backup.blobs import BlobType
from actions.backup.chunker import MIN_SIZE
from actions.backup.errors import Damaged, NoSuchBlob
from actions.backup.node import Node, group_name, node_of, same_source, user_name
from actions.backup.repository import Repository
from actions.backup.saver import Saved, Saver
from actions.backup.snapshot import Snapshot
from actions.backup.times import format_time
from actions.backup.tree import encode_tree
from contracts.errors import HoldfastError

PROGRAM = "holdfast"
_CHANGED = "changed while it was read"
_VANISHED = {errno.ENOENT, errno.ENOTDIR}


class NothingToSave(HoldfastError):
    """None of the paths could be read: no snapshot was made."""

    exit_code = 3


class Told(NamedTuple):
    """Something about one path that its owner should know."""

    path: bytes
    what: str


@dataclass(slots=True)
class Report:
    """What a run met: counts, bytes read, what is missing from the snapshot (`unreadable`) and what is in it with a doubt (`noted`)."""

    files_new: int = 0
    files_changed: int = 0
    files_unmodified: int = 0
    dirs: int = 0
    others: int = 0
    bytes_read: int = 0
    bytes_total: int = 0
    unreadable: list[Told] = field(default_factory=list)
    noted: list[Told] = field(default_factory=list)
    saved: Saved = field(default_factory=Saved)


@dataclass(frozen=True, slots=True)
class Choices:
    """What to leave out and how to judge. `excluded` is asked for each entry by its path and status before anything of it is read."""

    excluded: Callable[[bytes, os.stat_result], bool] = lambda *_: False
    one_file_system: bool = False
    with_atime: bool = False
    ignore_inode: bool = False
    ignore_ctime: bool = False


@dataclass(slots=True)
class _Frame:
    """A directory that is being walked."""

    path: bytes
    node: Node | None
    names: Iterator[bytes]
    device: int
    before: dict[bytes, Node]
    before_id: str | None
    nodes: list[Node] = field(default_factory=list)
    reused: int = 0
    wanted: dict[bytes, "_Target"] | None = None


@dataclass(slots=True)
class _Target:
    """A step on the way to the paths that are asked for; without steps below it is one of them."""

    below: dict[bytes, "_Target"] = field(default_factory=dict)


class Archiver:
    """Makes snapshots in one repository, whose index must be loaded; the caller holds a lock."""

    def __init__(self, repository: Repository, choices: Choices | None = None) -> None:
        self._repository = repository
        self._choices = choices or Choices()
        self._chunker = repository.chunker()
        self._saver: Saver
        self.report = Report()

    def snapshot(
        self,
        paths: Sequence[str | bytes],
        *,
        hostname: str,
        parent: tuple[str, Snapshot] | None = None,
        tags: Sequence[str] = (),
        excludes: Sequence[str] = (),
        time_ns: int | None = None,
        workers: int | None = None,
    ) -> tuple[str, Report]:
        """Save the absolute `paths` and publish a snapshot of them; returns its id and what was met.

        What cannot be read is reported and left out. NothingToSave when not one of the paths is there. Errors of the store pass
        through, and no snapshot is made then.
        """
        absolute = [os.path.normpath(os.fsencode(path)) for path in paths]
        if not absolute or any(not path.startswith(b"/") for path in absolute):
            raise NothingToSave("give absolute paths to save")
        self.report = Report()
        there = [path for path in absolute if self._is_there(path)]
        if not there:
            raise NothingToSave(
                f"{os.fsdecode(absolute[0])}: {self.report.unreadable[0].what}; none of the paths can be saved"
            )
        began_ns = time.time_ns() if time_ns is None else time_ns
        self._saver = self._repository.saver(workers)
        try:
            tree = self._walk(_steps(there), parent[1].tree if parent else None)
            self.report.saved = self._saver.finish()
        finally:
            self._saver.close()
        snapshot = Snapshot(
            time=format_time(began_ns),
            parent=parent[0] if parent else None,
            tree=tree,
            paths=sorted({os.fsdecode(path).encode("utf-8", "replace").decode() for path in absolute}),
            hostname=hostname,
            username=user_name(os.geteuid()),
            uid=os.geteuid(),
            gid=os.getegid(),
            excludes=list(excludes),
            tags=list(tags),
            program_version=PROGRAM,
        )
        return self._repository.save_snapshot(snapshot), self.report

    def _walk(self, wanted: _Target, parent_tree: str | None) -> str:
        """Save everything below the root that is wanted, depth first without recursion; returns the id of the root tree."""
        device = 0 if wanted.below else Path("/").stat().st_dev
        root = self._enter(b"", None, device, parent_tree, wanted.below)
        if root is None:
            raise NothingToSave(f"nothing could be read: {self.report.unreadable[0].what}")
        stack = [root]
        while True:
            frame = stack[-1]
            for name in frame.names:
                below = self._visit(frame, name)
                if below is not None:
                    stack.append(below)
                    break
            else:
                stack.pop()
                tree = self._leave(frame)
                if not stack:
                    return tree
                assert frame.node is not None
                frame.node.subtree = tree
                self._add(stack[-1], frame.node)

    def _visit(self, frame: _Frame, name: bytes) -> _Frame | None:
        """Save one entry, or return the frame of a directory to walk first."""
        path = frame.path + b"/" + name
        step = frame.wanted.get(name) if frame.wanted else None
        on_the_way = step is not None and bool(step.below)
        try:
            status = os.stat(path) if on_the_way else os.lstat(path)  # noqa: PTH116 (a path of bytes)
        except OSError as error:
            if step is not None or error.errno not in _VANISHED:
                self._unreadable(path, error)
            return None
        if step is None and self._left_out(frame, path, status):
            return None
        if stat.S_ISDIR(status.st_mode):
            return self._visit_dir(frame, name, path, status, step)
        if stat.S_ISREG(status.st_mode):
            self._visit_file(frame, name, path, status)
        elif not stat.S_ISSOCK(status.st_mode):
            try:
                self._add(frame, self._node(name, path, status))
                self.report.others += 1
            except OSError as error:
                self._unreadable(path, error)
        return None

    def _left_out(self, frame: _Frame, path: bytes, status: os.stat_result) -> bool:
        if (
            self._choices.one_file_system
            and frame.device
            and status.st_dev != frame.device
            and not stat.S_ISDIR(status.st_mode)
        ):
            return True
        return self._choices.excluded(path, status)

    def _visit_dir(
        self, frame: _Frame, name: bytes, path: bytes, status: os.stat_result, step: _Target | None
    ) -> _Frame | None:
        before = frame.before.get(name)
        subtree = before.subtree if before is not None and before.type == "dir" else None
        try:
            node = self._node(name, path, status)
        except OSError as error:
            self._unreadable(path, error)
            return None
        foreign = (
            self._choices.one_file_system and step is None and bool(frame.device) and status.st_dev != frame.device
        )
        if foreign:  # restic keeps the mount point, empty
            node.subtree = self._save_tree([])
            self._add(frame, node)
            return None
        below = step.below if step is not None and step.below else None
        found = self._enter(path, node, status.st_dev, subtree, below)
        if found is not None:
            self.report.dirs += 1
        return found

    def _enter(
        self, path: bytes, node: Node | None, device: int, before_id: str | None, wanted: dict[bytes, _Target] | None
    ) -> _Frame | None:
        """The frame of a directory, None when it cannot be listed."""
        if wanted:
            names = sorted(wanted)
        else:
            try:
                names = sorted(os.listdir(path or b"/"))  # noqa: PTH208 (a path of bytes)
            except OSError as error:
                self._unreadable(path, error)
                return None
        return _Frame(path, node, iter(names), device, self._before(before_id), before_id, wanted=wanted)

    def _before(self, tree: str | None) -> dict[bytes, Node]:
        """The entries of a directory in the parent snapshot; none when it is not there or damaged: then everything is read."""
        if tree is None:
            return {}
        try:
            return dict(self._repository.load_tree(bytes.fromhex(tree)))
        except (Damaged, NoSuchBlob) as error:
            self.report.noted.append(Told(b"", f"the parent snapshot cannot be used here: {error.message}"))
            return {}

    def _leave(self, frame: _Frame) -> str:
        """The id of the tree of a directory whose entries are all done."""
        same = frame.before_id is not None and frame.reused == len(frame.nodes) == len(frame.before)
        if same and frame.before_id and self._repository.index.has(BlobType.TREE, bytes.fromhex(frame.before_id)):
            return frame.before_id
        return self._save_tree(frame.nodes)

    def _save_tree(self, nodes: Sequence[Node]) -> str:
        return self._saver.save(BlobType.TREE, encode_tree(nodes))[0].hex()

    def _add(self, frame: _Frame, node: Node) -> None:
        frame.nodes.append(node)
        before = frame.before.get(node.raw_name)
        if before is node or before == node:
            frame.reused += 1

    def _visit_file(self, frame: _Frame, name: bytes, path: bytes, status: os.stat_result) -> None:
        before = frame.before.get(name)
        if before is not None and self._unchanged(before, status):
            self.report.files_unmodified += 1
            self.report.bytes_total += status.st_size
            self._add(frame, self._taken_over(before, name, path, status))
            return
        try:
            node = self._read_file(name, path, status)
        except OSError as error:
            if error.errno not in _VANISHED:
                self._unreadable(path, error)
            return
        if before is None:
            self.report.files_new += 1
        else:
            self.report.files_changed += 1
        self.report.bytes_total += node.size
        self._add(frame, node)

    def _unchanged(self, before: Node, status: os.stat_result) -> bool:
        """Whether a file need not be read: it is the same, and all of its content is in the repository."""
        if not same_source(
            before, status, ignore_inode=self._choices.ignore_inode, ignore_ctime=self._choices.ignore_ctime
        ):
            return False
        has = self._repository.index.has
        return before.content is not None and all(has(BlobType.DATA, bytes.fromhex(id)) for id in before.content)

    def _taken_over(self, before: Node, name: bytes, path: bytes, status: os.stat_result) -> Node:
        """The node of an unchanged file: the old one where the ctime vouches for the metadata, else a new one with the old content."""
        exact = (
            not (self._choices.ignore_inode or self._choices.ignore_ctime or self._choices.with_atime)
            and before.device_id == status.st_dev
            and before.user == user_name(status.st_uid)
            and before.group == group_name(status.st_gid)
        )
        if exact:
            return before
        try:
            node = self._node(name, path, status)
        except OSError:
            return before
        node.content = before.content
        return node

    def _read_file(self, name: bytes, path: bytes, status: os.stat_result) -> Node:
        """Read a file into blobs. The node carries the metadata from before the reading, so that a later change is seen next time."""
        descriptor = _open(path)
        try:
            opened = os.fstat(descriptor)
            if not stat.S_ISREG(opened.st_mode) or (opened.st_dev, opened.st_ino) != (status.st_dev, status.st_ino):
                raise OSError(errno.ESTALE, "another file took its place while it was opened")
            node = self._node(name, path, opened)
            node.content = []
            node.size = 0
            for piece in self._pieces(descriptor, opened.st_size):
                node.content.append(self._saver.save(BlobType.DATA, piece)[0].hex())
                node.size += len(piece)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        self.report.bytes_read += node.size
        if (after.st_mtime_ns, after.st_size) != (opened.st_mtime_ns, opened.st_size) or node.size != opened.st_size:
            self.report.noted.append(Told(path, _CHANGED))
        return node

    def _pieces(self, descriptor: int, size: int) -> Iterator[bytes]:
        """The content of a file in blobs; one read for a small file."""
        if size < MIN_SIZE:
            data = os.read(descriptor, size + 1)
            while len(data) < size and (more := os.read(descriptor, size + 1 - len(data))):
                data += more
            if len(data) <= size:
                if data:
                    yield data
                return
            os.lseek(descriptor, 0, os.SEEK_SET)  # it grows
        with open(descriptor, "rb", buffering=0, closefd=False) as source:
            yield from self._chunker.chunks(source)

    def _node(self, name: bytes, path: bytes, status: os.stat_result) -> Node:
        return node_of(
            name,
            path,
            status,
            with_atime=self._choices.with_atime,
            trouble=lambda what: self.report.noted.append(Told(path, what)),
        )

    def _is_there(self, path: bytes) -> bool:
        try:
            os.lstat(path)
        except OSError as error:
            self._unreadable(path, error)
            return False
        return True

    def _unreadable(self, path: bytes, error: OSError) -> None:
        self.report.unreadable.append(Told(path, error.strerror or str(error)))


def _steps(paths: Sequence[bytes]) -> _Target:
    """The paths as steps from the root; a path below another one that is asked for adds nothing."""
    root = _Target()
    whole: set[bytes] = set(paths)
    for path in sorted(whole):
        parts = [part for part in path.split(b"/") if part]
        if any(b"/" + b"/".join(parts[:count]) in whole for count in range(len(parts))):
            continue
        step = root
        for part in parts:
            step = step.below.setdefault(part, _Target())
    return root


def _open(path: bytes) -> int:
    """Open for reading without following a link, waiting for a FIFO, or touching the access time where that is ours to say."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(path, flags | os.O_NOATIME)
    except PermissionError:
        return os.open(path, flags)
