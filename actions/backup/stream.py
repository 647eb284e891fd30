"""A byte stream into a repository as a file: cut, saved, and described by a node, in memory of a few chunks whatever its length."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from actions.backup.blobs import BlobType
from actions.backup.chunker import Chunker, Source
from actions.backup.go_text import quote
from actions.backup.node import Node, go_mode, group_name, user_name
from actions.backup.repository import Repository
from actions.backup.saver import Saver
from actions.backup.times import format_time
from actions.backup.tree import encode_tree


def save_stream(
    saver: Saver,
    chunker: Chunker,
    source: Source,
    node: Node,
    progress: Callable[[int], None] = lambda _: None,
) -> Node:
    """Save all of `source` as the content of `node` (see `file_node`), which is returned.

    Nothing refers to what is saved until the caller puts the node into a tree: he does that after he knows that the stream came to its
    proper end. Errors of the source and the store pass through. `progress` is told how many bytes each piece had.
    """
    content: list[str] = []
    size = 0
    for piece in chunker.chunks(source):
        content.append(saver.save(BlobType.DATA, piece)[0].hex())
        size += len(piece)
        progress(len(piece))
    node.content = content
    node.size = size
    return node


def file_node(name: bytes, time_ns: int, *, mode: int = 0o600, uid: int | None = None, gid: int | None = None) -> Node:
    """The node of a file that lies nowhere; it belongs to who runs this unless told otherwise."""
    return _node(name, time_ns, stat.S_IFREG | mode, uid, gid)


def directory_node(name: bytes, time_ns: int, subtree: str) -> Node:
    """The node of a directory that lies nowhere, open to its owner alone."""
    node = _node(name, time_ns, stat.S_IFDIR | 0o700, None, None)
    node.subtree = subtree
    return node


def _node(name: bytes, time_ns: int, mode: int, uid: int | None, gid: int | None) -> Node:
    uid = os.geteuid() if uid is None else uid
    gid = os.getegid() if gid is None else gid
    time = format_time(time_ns)
    node = Node(
        name=quote(name),
        type="dir" if stat.S_ISDIR(mode) else "file",
        mode=go_mode(mode),
        mtime=time,
        atime=time,
        ctime=time,
        uid=uid,
        gid=gid,
        user=user_name(uid),
        group=group_name(gid),
        links=0 if stat.S_ISDIR(mode) else 1,
        content=None,
    )
    _ = node.raw_name  # ValueError for what is not the name of a file
    return node


@dataclass(slots=True)
class _Folder:
    files: list[Node] = field(default_factory=list)
    folders: dict[bytes, "_Folder"] = field(default_factory=dict)


def save_folders(saver: Saver, files: Mapping[bytes, Node], time_ns: int) -> str:
    """Save the trees that hold `files` by their paths (parts joined by "/", without one at the beginning); returns the root's id."""
    root = _Folder()
    for path, node in files.items():
        *parts, name = path.split(b"/")
        if node.raw_name != name:
            raise ValueError(f"the node of {path!r} is called {node.raw_name!r}")
        folder = root
        for part in parts:
            folder = folder.folders.setdefault(part, _Folder())
        folder.files.append(node)
    return _save_folder(saver, root, time_ns)


def _save_folder(saver: Saver, folder: _Folder, time_ns: int) -> str:
    below = [directory_node(name, time_ns, _save_folder(saver, one, time_ns)) for name, one in folder.folders.items()]
    return saver.save(BlobType.TREE, encode_tree([*folder.files, *below]))[0].hex()


def load_stream(repository: Repository, node: Node) -> Iterator[bytes]:
    """The content of a file, blob by blob, each verified; Damaged or NoSuchBlob where it is not what was saved."""
    for id in node.content or ():
        yield repository.load_blob(BlobType.DATA, bytes.fromhex(id))


class Pieces:
    """Pieces of bytes as a `chunker.Source`."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer as far as one piece goes; 0 at the end."""
        while not self._rest:
            following = next(self._pieces, None)
            if following is None:
                return 0
            self._rest = memoryview(following)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
