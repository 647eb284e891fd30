"""Restorer: a snapshot, or a part of it, back into a directory, with all metadata, each blob verified on the way.

Everything is created anew and relative to open directories without following links, so neither what a snapshot holds nor what others do in
the target meanwhile can lead outside of it. What takes the place of something is made whole under another name first and then renamed.
"""

import os
import secrets
import stat
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate

from actions.backup.archiver import Told
from actions.backup.blobs import BlobType
from actions.backup.errors import Damaged, NoSuchBlob
from actions.backup.ids import id_of
from actions.backup.links import Links
from actions.backup.metadata import seems_same, set_metadata
from actions.backup.nearby import load_nearby
from actions.backup.node import Node
from actions.backup.repository import Repository
from actions.backup.sparse import write_sparsely
from actions.backup.walking import Target
from contracts.errors import HoldfastError

_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_AHEAD = 3
"""So many blobs of a file are made ready while one is written."""

_BATCH = 64
_WAITING = 8
"""So many small files of a directory go to a thread together, and so many such batches may wait."""

_NOTHING: Mapping[bytes, bytes] = {}
_FEW = 4
_OPEN = 8
"""So many directories may be left behind open, while threads write their files; fewer files than `_FEW` are not worth a thread."""

_THREADS = max(2, min(4, os.cpu_count() or 1))


class Overwrite(StrEnum):
    """What becomes of what stands at the target already; directories that are there are always used.

    ALWAYS replaces it. IF_CHANGED replaces files whose size or time of change differ, and of the others sets the metadata alone. NEVER
    leaves it and counts it. REFUSE leaves it and reports it as failed, directories too.
    """

    ALWAYS = "always"
    IF_CHANGED = "if-changed"
    NEVER = "never"
    REFUSE = "refuse"


class NoSuchPath(HoldfastError):
    """The snapshot does not hold that path."""


@dataclass(slots=True)
class Restored:
    """What a restore did; `failed` names what is not there or not right, each with the reason.

    `files` and `others` were written, `unchanged` files were there already, `skipped` is what was left as it stood.
    """

    files: int = 0
    dirs: int = 0
    others: int = 0
    bytes: int = 0
    unchanged: int = 0
    skipped: int = 0
    failed: list[Told] = field(default_factory=list)


@dataclass(slots=True)
class _Frame:
    path: bytes
    descriptor: int
    node: Node | None
    entries: Iterator[tuple[bytes, Node]]
    wanted: dict[bytes, Target] | None = None
    gathered: list[tuple[bytes, Node, bytes]] = field(default_factory=list)
    under_way: deque[Future[None]] = field(default_factory=deque)
    """The small files of it that a thread is to write and that threads write; it is not left before they are there."""


class Restorer:
    """Restores from one repository, whose index must be loaded.

    `verify` reads back and hashes what was written, and what is taken for unchanged. `excluded` is asked for each path, which begins with
    a slash at the tree that is restored. `adapt` may give another node in place of each, or None to leave it out. `pulse` is told after
    every entry how far it is.
    """

    def __init__(
        self,
        repository: Repository,
        *,
        verify: bool = False,
        overwrite: Overwrite = Overwrite.REFUSE,
        excluded: Callable[[bytes], bool] = lambda _: False,
        adapt: Callable[[Node], Node | None] = lambda node: node,
        pulse: Callable[[Restored], None] = lambda _: None,
    ) -> None:
        self._repository = repository
        self._verify = verify
        self._overwrite = overwrite
        self._excluded = excluded
        self._adapt = adapt
        self._pulse = pulse
        self._links: Links
        self._pool: ThreadPoolExecutor
        self._counting = threading.Lock()
        self.restored = Restored()

    def restore(self, tree: str, target: str | bytes, wanted: Target | None = None) -> Restored:
        """Restore the directory whose tree is `tree` as `target`, which is made when it is not there; of it only the steps `wanted`."""
        self.restored = Restored()
        root = os.fsencode(target)
        os.makedirs(root, mode=0o700, exist_ok=True)  # noqa: PTH103 (a path of bytes)
        self._root = os.open(root, _DIR)
        self._links = Links(self._root)
        try:
            with ThreadPoolExecutor(_THREADS, thread_name_prefix="restore") as self._pool:
                self._walk(tree, wanted.below if wanted is not None else None)
        finally:
            os.close(self._root)
            self.restored.failed.sort(key=lambda told: told.path.split(b"/"))  # threads are done in any order
        return self.restored

    def _walk(self, tree: str, wanted: dict[bytes, Target] | None) -> None:
        entries = self._entries(tree, b"", wanted)
        stack = [_Frame(b"", os.dup(self._root), None, entries, wanted)]
        behind: deque[_Frame] = deque()
        try:
            while stack:
                frame = stack[-1]
                for name, node in frame.entries:
                    below = self._entry(frame, name, node)
                    self._pulse(self.restored)
                    if below is not None:
                        stack.append(below)
                        break
                else:
                    if frame.under_way or len(frame.gathered) > _FEW:
                        self._hand_over(frame)
                    self._write_each(frame, frame.gathered)
                    behind.append(stack.pop())
                    self._leave_behind(behind, _OPEN if stack else 0)
        finally:
            for frame in (*stack, *behind):
                _give_up(frame)
                os.close(frame.descriptor)

    def _entries(
        self, tree: str | None, path: bytes, wanted: dict[bytes, Target] | None
    ) -> Iterator[tuple[bytes, Node]]:
        try:
            if tree is None:
                raise Damaged("tree", "the directory has no tree")
            nodes = self._repository.load_tree(bytes.fromhex(tree))
            if not wanted:
                return iter(nodes)
            for name in sorted(wanted.keys() - {name for name, _ in nodes}):
                self._fail(path + b"/" + name if path else name, NoSuchPath("the snapshot does not hold it"))
            return iter([(name, node) for name, node in nodes if name in wanted])
        except (Damaged, NoSuchBlob, ValueError) as error:
            self._fail(path, error)
            return iter(())

    def _entry(self, frame: _Frame, name: bytes, saved: Node) -> _Frame | None:
        path = frame.path + b"/" + name if frame.path else name
        step = frame.wanted.get(name) if frame.wanted else None
        node = self._adapt(saved)
        if node is None or self._excluded(b"/" + path):
            return None
        try:
            if node.type == "dir":
                below = self._directory(frame, name)
                if below is None:
                    return None
                self.restored.dirs += 1
                wanted = step.below if step is not None and step.below else None
                try:
                    return _Frame(path, below, node, self._entries(node.subtree, path, wanted), wanted)
                except BaseException:
                    os.close(below)
                    raise
            if step is not None and step.below:
                raise NoSuchPath("the snapshot holds no directory there")
        except (OSError, NoSuchPath) as error:
            self._fail(path, error)
            return None
        if node.type == "file" and node.links <= 1 and len(node.content or ()) <= 1:
            frame.gathered.append((name, node, path))
            if len(frame.gathered) >= _BATCH:
                self._hand_over(frame)
        else:
            self._write(frame, name, node, path)
        return None

    def _hand_over(self, frame: _Frame) -> None:
        """Have a thread write what was gathered; waits while too much is under way."""
        if frame.gathered:
            while len(frame.under_way) >= _WAITING:
                frame.under_way.popleft().result()
            frame.under_way.append(self._pool.submit(self._write_each, frame, frame.gathered))
            frame.gathered = []

    def _write_each(self, frame: _Frame, entries: Sequence[tuple[bytes, Node, bytes]]) -> None:
        near: dict[bytes, bytes] = {}
        if self._overwrite is Overwrite.REFUSE:  # else what is there may be enough
            ids = [bytes.fromhex(node.content[0]) for _, node, _ in entries if node.content]
            near = load_nearby(self._repository, BlobType.DATA, ids)
        for name, node, path in entries:
            self._write(frame, name, node, path, near)

    def _write(
        self, frame: _Frame, name: bytes, node: Node, path: bytes, near: Mapping[bytes, bytes] = _NOTHING
    ) -> None:
        """Write an entry that is no directory, where it may; what goes wrong with it is stated."""
        try:
            if self._may_write(frame, name, node, path):
                if node.type == "file":
                    self._file(frame, name, node, path, near)
                else:
                    self._other(frame, name, node, path)
        except (OSError, Damaged, NoSuchBlob, NoSuchPath, ValueError) as error:
            self._fail(path, error)

    def _directory(self, frame: _Frame, name: bytes) -> int | None:
        """A directory to restore into, opened: made, or the one that is there; None where something else stands there and is left."""
        try:
            os.mkdir(name, 0o700, dir_fd=frame.descriptor)
        except FileExistsError:
            if self._overwrite is Overwrite.REFUSE:
                raise
            if not stat.S_ISDIR(os.stat(name, dir_fd=frame.descriptor, follow_symlinks=False).st_mode):
                if self._overwrite is Overwrite.NEVER:
                    self.restored.skipped += 1
                    return None
                os.unlink(name, dir_fd=frame.descriptor)
                os.mkdir(name, 0o700, dir_fd=frame.descriptor)
        return os.open(name, _DIR, dir_fd=frame.descriptor)

    def _may_write(self, frame: _Frame, name: bytes, node: Node, path: bytes) -> bool:
        """Whether the entry is to be written; what stands there may be enough, or to be left."""
        if self._overwrite is Overwrite.REFUSE:
            return True
        try:
            status = os.stat(name, dir_fd=frame.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return True
        if self._overwrite is Overwrite.NEVER:
            with self._counting:
                self.restored.skipped += 1
            return False
        if self._overwrite is Overwrite.ALWAYS or not seems_same(node, status):
            return True
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=frame.descriptor)
        try:
            if self._verify and not holds_content(self._repository, descriptor, node):
                return True
            self._metadata(descriptor, None, node, path)
        finally:
            os.close(descriptor)
        self._links.keep(node, path, status.st_ino)
        with self._counting:
            self.restored.unchanged += 1
        return False

    def _file(self, frame: _Frame, name: bytes, node: Node, path: bytes, near: Mapping[bytes, bytes]) -> None:
        made = self._name_to_make(name)
        if self._links.make(node, frame.descriptor, made):
            self._publish(frame, made, name)
            with self._counting:
                self.restored.files += 1
            return
        descriptor = os.open(made, _NEW, 0o600, dir_fd=frame.descriptor)
        try:
            try:
                size = self._content(descriptor, node, near)
                self._metadata(descriptor, None, node, path)
                self._publish(frame, made, name)
            except BaseException:
                # A file that is not whole never stands under the name of one that is.
                with suppress(OSError):
                    os.unlink(made, dir_fd=frame.descriptor)
                raise
            self._links.keep(node, path, os.fstat(descriptor).st_ino)
        finally:
            os.close(descriptor)
        with self._counting:
            self.restored.files += 1
            self.restored.bytes += size

    def _name_to_make(self, name: bytes) -> bytes:
        """Under which name an entry is made: its own, or another where it may have to take the place of something."""
        if self._overwrite is Overwrite.REFUSE:
            return name
        return b".holdfast-" + secrets.token_hex(8).encode()

    def _publish(self, frame: _Frame, made: bytes, name: bytes) -> None:
        """Give what was made its own name; what bore it before is gone then."""
        if made == name:
            return
        os.rename(made, name, src_dir_fd=frame.descriptor, dst_dir_fd=frame.descriptor)
        with suppress(FileNotFoundError):  # two names of one file: rename(2) leaves both
            os.unlink(made, dir_fd=frame.descriptor)

    def _content(self, descriptor: int, node: Node, near: Mapping[bytes, bytes]) -> int:
        """Write the blobs of a file, some of which may be at hand, leaving holes where they are zero; returns its size."""
        position = 0
        ids = [bytes.fromhex(id) for id in node.content or ()]
        lengths = []
        for data in self._ahead(ids, near):
            write_sparsely(descriptor, data, position)
            position += len(data)
            lengths.append(len(data))
        os.ftruncate(descriptor, position)
        if position != node.size:
            raise Damaged(node.name, f"the blobs have {position} bytes, the file is said to have {node.size}")
        if self._verify:
            starts = [0, *accumulate(lengths)][:-1]

            def differs(id: bytes, start: int, length: int) -> bool:
                return id_of(os.pread(descriptor, length, start)) != id

            each = self._pool.map if len(ids) > 1 else map
            for start, bad in zip(starts, each(differs, ids, starts, lengths), strict=True):
                if bad:
                    raise Damaged(node.name, f"what was written at byte {start} does not read back the same")
        return position

    def _ahead(self, ids: Sequence[bytes], near: Mapping[bytes, bytes]) -> Iterator[bytes]:
        """The blobs of a file in turn; of several, the next ones are read, decrypted and hashed meanwhile."""
        if len(ids) == 1:
            yield near.get(ids[0]) or self._repository.load_blob(BlobType.DATA, ids[0])
            return
        under_way: deque[Future[bytes]] = deque()
        try:
            for id in ids:
                under_way.append(self._pool.submit(self._repository.load_blob, BlobType.DATA, id))
                if len(under_way) > _AHEAD:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()

    def _other(self, frame: _Frame, name: bytes, node: Node, path: bytes) -> None:
        made = self._name_to_make(name)
        if self._links.make(node, frame.descriptor, made):
            self._publish(frame, made, name)
            self.restored.others += 1
            return
        if node.type == "symlink":
            os.symlink(node.raw_target, made, dir_fd=frame.descriptor)
        elif node.type in {"dev", "chardev"}:
            kind = stat.S_IFBLK if node.type == "dev" else stat.S_IFCHR
            os.mknod(made, kind | 0o600, node.device, dir_fd=frame.descriptor)
        elif node.type == "fifo":
            os.mkfifo(made, 0o600, dir_fd=frame.descriptor)
        else:
            return  # a socket belongs to a process that is no more
        try:
            self._metadata(frame.descriptor, made, node, path)
            self._publish(frame, made, name)
        except BaseException:
            with suppress(OSError):
                os.unlink(made, dir_fd=frame.descriptor)
            raise
        self._links.keep(node, path, os.stat(name, dir_fd=frame.descriptor, follow_symlinks=False).st_ino)
        self.restored.others += 1

    def _leave_behind(self, behind: deque[_Frame], most: int) -> None:
        """Leave directories, the earliest first, until at most so many wait for their files; those without go at once."""
        while behind and (len(behind) > most or not behind[0].under_way):
            _finish(behind[0])
            self._leave(behind.popleft())
            self._pulse(self.restored)

    def _leave(self, frame: _Frame) -> None:
        try:
            if frame.node is not None:
                self._metadata(frame.descriptor, None, frame.node, frame.path)
        finally:
            os.close(frame.descriptor)

    def _metadata(self, descriptor: int, name: bytes | None, node: Node, path: bytes) -> None:
        try:
            set_metadata(descriptor, name, node)
        except (OSError, ValueError) as error:
            self._fail(path, error)

    def _fail(self, path: bytes, error: Exception) -> None:
        what = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        self.restored.failed.append(Told(path, what))


def holds_content(repository: Repository, descriptor: int, node: Node) -> bool:
    """Whether an open file has exactly the blobs of the node."""
    position = 0
    for id in node.content or ():
        length = repository.index.plain_length(BlobType.DATA, bytes.fromhex(id))
        if length is None or id_of(os.pread(descriptor, length, position)).hex() != id:
            return False
        position += length
    return position == node.size


def find_tree(repository: Repository, tree: str, path: str | bytes) -> str:
    """The id of the tree of the directory `path` within the tree of a snapshot; NoSuchPath."""
    for part in os.fsencode(path).split(b"/"):
        if part:
            node = dict(repository.load_tree(bytes.fromhex(tree))).get(part)
            if node is None or node.type != "dir" or node.subtree is None:
                raise NoSuchPath(f"{os.fsdecode(path)}: the snapshot holds no such directory")
            tree = node.subtree
    return tree


def _finish(frame: _Frame) -> None:
    """Wait for the files that threads write into a directory; what ended one of them ends the restore."""
    while frame.under_way:
        frame.under_way.popleft().result()


def _give_up(frame: _Frame) -> None:
    """Begin no further file of a directory, and wait for those at work: its descriptor is theirs, too."""
    for future in frame.under_way:
        future.cancel()
    wait(frame.under_way)
