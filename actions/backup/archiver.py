"""Archiver: files and directories into a snapshot.

What an earlier snapshot (the parent) describes unchanged is not read again: a file whose type, size, mtime, ctime, inode and device are
the same is taken over with its node, for every change of metadata moves the ctime; a directory all of whose entries are taken over keeps
its tree. Directories are walked by descriptor (`actions.backup.walking`), so that no swap on the way leads elsewhere.
"""

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from actions.backup.ahead import ahead
from actions.backup.blobs import BlobType
from actions.backup.chunker import MIN_SIZE
from actions.backup.errors import Damaged, NoSuchBlob
from actions.backup.node import Node, group_name, node_of, same_source, user_name
from actions.backup.repository import Repository
from actions.backup.saver import Saved, Saver
from actions.backup.snapshot import Snapshot
from actions.backup.stores.store import Buffer
from actions.backup.times import format_time
from actions.backup.tree import encode_tree
from actions.backup.walking import Target, Way, steps, tag_in
from actions.backup.watched import Unwatched
from contracts.errors import HoldfastError

PROGRAM = "holdfast"
READ_AHEAD = 4 << 20
"""Of a file that has so many bytes, up to so many are read and cut in another thread while this one hashes."""
MAX_TOLD = 10_000
"""How many paths a report names; further ones are counted only."""

_CHANGED = "changed while it was read"
_VANISHED = {errno.ENOENT}


class NothingToSave(HoldfastError):
    """None of the paths could be read: no snapshot was made."""

    exit_code = 3


class Told(NamedTuple):
    """Something about one path that its owner should know."""

    path: bytes
    what: str


@dataclass(slots=True)
class Report:
    """What a run met: counts, bytes read, what is missing from the snapshot (`unreadable`) and what is in it with a doubt (`noted`).

    Both lists end after `MAX_TOLD` paths, `unreadable_count` and `noted_count` go on. `excluded` counts what the choices left out.
    """

    files_new: int = 0
    files_changed: int = 0
    files_unmodified: int = 0
    dirs: int = 0
    others: int = 0
    bytes_read: int = 0
    bytes_total: int = 0
    excluded: int = 0
    unreadable_count: int = 0
    noted_count: int = 0
    unreadable: list[Told] = field(default_factory=list)
    noted: list[Told] = field(default_factory=list)
    saved: Saved = field(default_factory=Saved)

    @property
    def files(self) -> int:
        """Regular files in the snapshot."""
        return self.files_new + self.files_changed + self.files_unmodified

    def miss(self, path: bytes, what: str) -> None:
        """State what is missing."""
        self.unreadable_count += 1
        if len(self.unreadable) < MAX_TOLD:
            self.unreadable.append(Told(path, what))

    def note(self, path: bytes, what: str) -> None:
        """State a doubt."""
        self.noted_count += 1
        if len(self.noted) < MAX_TOLD:
            self.noted.append(Told(path, what))


@dataclass(frozen=True, slots=True)
class Choices:
    """What to leave out and how to judge. `excluded` is asked for each entry by its path and status before anything of it is read.

    `tags` are names of files, each with how it must begin: of a directory that holds one, nothing but that file is kept.
    """

    excluded: Callable[[bytes, os.stat_result], bool] = lambda *_: False
    tags: tuple[tuple[bytes, bytes], ...] = ()
    one_file_system: bool = False
    with_atime: bool = False
    ignore_inode: bool = False
    ignore_ctime: bool = False


@dataclass(slots=True)
class _Frame:
    """A directory that is being walked; the way to it is `Archiver._way`."""

    path: bytes
    node: Node | None
    names: Iterator[bytes]
    device: int
    before: dict[bytes, Node]
    before_id: str | None
    nodes: list[Node] = field(default_factory=list)
    reused: int = 0
    wanted: dict[bytes, Target] | None = None
    tag: bytes | None = None


class Archiver:
    """Makes snapshots in one repository, whose index must be loaded; the caller holds a lock.

    `pulse` is called between any two entries and pieces of a file, with the report so far; it may wait, and what it raises ends the run.
    `watched` is told of every file that is read.
    """

    def __init__(
        self,
        repository: Repository,
        choices: Choices | None = None,
        pulse: Callable[[Report], None] = lambda _: None,
        watched: Unwatched | None = None,
    ) -> None:
        self._repository = repository
        self._choices = choices or Choices()
        self._chunker = repository.chunker()
        self._pulse = pulse
        self._watched = watched or Unwatched()
        self._saver: Saver
        self._way = Way()
        self.report = Report()

    def snapshot(
        self,
        paths: Sequence[str | bytes],
        *,
        hostname: str,
        parent: tuple[str, Snapshot] | None = None,
        tags: Sequence[str] = (),
        partial_tag: str = "",
        excludes: Sequence[str] = (),
        time_ns: int | None = None,
        workers: int | None = None,
        sure: Callable[[], None] = lambda: None,
    ) -> tuple[str, Report]:
        """Save the absolute `paths` and publish a snapshot of them; returns its id and what was met.

        What cannot be read is reported and left out, and the snapshot then bears `partial_tag` besides. NothingToSave when not one of the
        paths is there. `sure` is called when everything is stored and before the snapshot is. Errors of it and of the store pass through,
        and no snapshot is made then.
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
            tree = self._walk(steps(there), parent[1].tree if parent else None)
            self.report.saved = self._saver.finish()
            sure()
        finally:
            self._way.close()
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
            tags=[*tags, partial_tag] if partial_tag and self.report.unreadable_count else list(tags),
            program_version=PROGRAM,
            summary=_summary(self.report, began_ns),
        )
        return self._repository.save_snapshot(snapshot), self.report

    def _walk(self, wanted: Target, parent_tree: str | None) -> str:
        """Save everything below the root that is wanted, depth first without recursion; returns the id of the root tree."""
        root = self._enter(b"", None, self._way.open_directory(b""), parent_tree, wanted)
        if root is None:
            raise NothingToSave(f"nothing could be read: {self.report.unreadable[0].what}")
        stack = [root]
        while True:
            frame = stack[-1]
            for name in frame.names:
                self._pulse(self.report)
                below = self._visit(frame, name)
                if below is not None:
                    stack.append(below)
                    break
            else:
                stack.pop()
                self._go_up(stack)
                tree = self._leave(frame)
                if not stack:
                    return tree
                assert frame.node is not None
                frame.node.subtree = tree
                self._add(stack[-1], frame.node)

    def _go_up(self, stack: list[_Frame]) -> None:
        try:
            self._way.leave()
        except OSError as error:
            self._unreadable(stack[-1].path, error)
            stack[-1].names = iter(())

    def _visit(self, frame: _Frame, name: bytes) -> _Frame | None:
        """Save one entry, or return the frame of a directory to walk first."""
        path = frame.path + b"/" + name
        step = frame.wanted.get(name) if frame.wanted else None
        on_the_way = step is not None and bool(step.below)
        try:
            status = os.stat(name, dir_fd=self._way.here, follow_symlinks=on_the_way)
            if not on_the_way and self._left_out(frame, name, path, status, asked_for=step is not None):
                return None
            if stat.S_ISDIR(status.st_mode):
                return self._visit_dir(frame, name, path, step)
            if stat.S_ISREG(status.st_mode):
                self._visit_file(frame, name, path, status)
            elif not stat.S_ISSOCK(status.st_mode):
                self._add(frame, self._node(name, self._way.place(name), path, status))
                self.report.others += 1
        except OSError as error:
            if step is not None or error.errno not in _VANISHED:
                self._unreadable(path, error)
        return None

    def _left_out(self, frame: _Frame, name: bytes, path: bytes, status: os.stat_result, *, asked_for: bool) -> bool:
        if (frame.tag is not None and name != frame.tag) or (
            self._choices.one_file_system
            and not asked_for
            and status.st_dev != frame.device
            and not stat.S_ISDIR(status.st_mode)
        ):
            out = True
        else:
            out = self._choices.excluded(path, status)
        if out:
            self.report.excluded += 1
            if asked_for:
                self.report.note(path, "is asked for, and what is to be excluded leaves it out")
        return out

    def _visit_dir(self, frame: _Frame, name: bytes, path: bytes, step: Target | None) -> _Frame | None:
        before = frame.before.get(name)
        subtree = before.subtree if before is not None and before.type == "dir" else None
        descriptor = self._way.open_directory(name, follow=step is not None and bool(step.below))
        try:
            status = os.fstat(descriptor)
            node = self._node(name, descriptor, path, status)
        except BaseException:
            os.close(descriptor)
            raise
        if self._choices.one_file_system and step is None and status.st_dev != frame.device:
            os.close(descriptor)  # restic keeps the mount point, empty
            node.subtree = self._save_tree([])
            self._add(frame, node)
            return None
        found = self._enter(path, node, descriptor, subtree, step)
        if found is not None:
            self.report.dirs += 1
        return found

    def _enter(
        self, path: bytes, node: Node | None, descriptor: int, before_id: str | None, step: Target | None
    ) -> _Frame | None:
        """Go down into an open directory and return its frame, None when it cannot be listed; closes it then."""
        wanted = step.below if step is not None and step.below else None
        try:
            names = sorted(wanted) if wanted else sorted(os.fsencode(name) for name in os.listdir(descriptor))
            device = os.fstat(descriptor).st_dev
            tag = tag_in(descriptor, self._choices.tags)
        except OSError as error:
            os.close(descriptor)
            self._unreadable(path, error)
            return None
        self._way.enter(descriptor)
        return _Frame(path, node, iter(names), device, self._before(before_id), before_id, wanted=wanted, tag=tag)

    def _before(self, tree: str | None) -> dict[bytes, Node]:
        """The entries of a directory in the parent snapshot; none when it is not there or damaged: then everything is read."""
        if tree is None:
            return {}
        try:
            return dict(self._repository.load_tree(bytes.fromhex(tree)))
        except (Damaged, NoSuchBlob) as error:
            self.report.note(b"", f"the parent snapshot cannot be used here: {error.message}")
            return {}

    def _leave(self, frame: _Frame) -> str:
        """The id of the tree of a directory whose entries are all done."""
        same = frame.before_id is not None and frame.reused == len(frame.nodes) == len(frame.before)
        if same and frame.before_id and self._repository.index.has(BlobType.TREE, bytes.fromhex(frame.before_id)):
            return frame.before_id
        self._watched.directory(frame.path, frame.before, frame.nodes)
        return self._save_tree(frame.nodes)

    def _save_tree(self, nodes: Sequence[Node]) -> str:
        return self._saver.save(BlobType.TREE, encode_tree(nodes))[0].hex()

    def _add(self, frame: _Frame, node: Node) -> None:
        frame.nodes.append(node)
        before = frame.before.get(node.raw_name) if frame.before else None
        if before is node or before == node:
            frame.reused += 1

    def _visit_file(self, frame: _Frame, name: bytes, path: bytes, status: os.stat_result) -> None:
        before = frame.before.get(name)
        if before is not None and self._unchanged(before, status):
            self.report.files_unmodified += 1
            self.report.bytes_total += status.st_size
            self._add(frame, self._taken_over(before, name, path, status))
            return
        node = self._read_file(name, path, status)
        self._watched.file(path, before, node)
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
            node = self._node(name, self._way.place(name), path, status)
        except OSError:
            return before
        node.content = before.content
        return node

    def _read_file(self, name: bytes, path: bytes, status: os.stat_result) -> Node:
        """Read a file into blobs. The node carries the metadata from before the reading, so that a later change is seen next time."""
        descriptor = self._way.open_file(name, status)
        try:
            opened = os.fstat(descriptor)
            if not stat.S_ISREG(opened.st_mode) or (opened.st_dev, opened.st_ino) != (status.st_dev, status.st_ino):
                raise OSError(errno.ESTALE, "another file took its place while it was opened")
            node = self._node(name, descriptor, path, opened)
            node.content = []
            self._watched.begin()
            node.size = 0
            for piece in self._pieces(descriptor, opened.st_size):
                id, new = self._saver.save(BlobType.DATA, piece)
                self._watched.piece(piece, new=new)
                node.content.append(id.hex())
                node.size += len(piece)
                self.report.bytes_read += len(piece)
                self._pulse(self.report)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if (after.st_mtime_ns, after.st_size) != (opened.st_mtime_ns, opened.st_size) or node.size != opened.st_size:
            self.report.note(path, _CHANGED)
        return node

    def _pieces(self, descriptor: int, size: int) -> Iterator[Buffer]:
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
            cut = self._chunker.chunks(source)
            with closing(ahead(cut, READ_AHEAD) if size >= READ_AHEAD else cut) as pieces:
                yield from pieces

    def _node(self, name: bytes, place: bytes | int, path: bytes, status: os.stat_result) -> Node:
        return node_of(
            name,
            place,
            status,
            with_atime=self._choices.with_atime,
            trouble=lambda what: self.report.note(path, what),
        )

    def _is_there(self, path: bytes) -> bool:
        try:
            os.lstat(path)
        except OSError as error:
            self._unreadable(path, error)
            return False
        return True

    def _unreadable(self, path: bytes, error: OSError) -> None:
        self.report.miss(path or b"/", error.strerror or str(error))


def _summary(report: Report, began_ns: int) -> dict[str, Any]:
    """What newer versions of restic note of a run in its snapshot, in their words; retention looks at the bytes."""
    return {
        "backup_start": format_time(began_ns),
        "backup_end": format_time(max(began_ns, time.time_ns())),
        "files_new": report.files_new,
        "files_changed": report.files_changed,
        "files_unmodified": report.files_unmodified,
        "data_added": report.saved.plain_bytes,
        "data_added_packed": report.saved.stored_bytes,
        "total_files_processed": report.files,
        "total_bytes_processed": report.bytes_total,
    }
