"""One folder of a walk: how it is opened and listed, and what is taken over of a name that is as it was.

What is opened is compared with what its parent listed (device and inode), so that a folder swapped for a link on the way is a flaw,
not a way out.
"""

import errno
import os
import queue
import stat
import sys
from collections.abc import Iterator
from operator import itemgetter
from typing import NamedTuple

from contracts.trees import GONE, SWAPPED, Directory, Node, Place, TreePlan
from host.file_digest import Reader, why

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
FIRST = itemgetter(0)
_ENCODING, _ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
Found = list[tuple[Place, Directory]]
Done = queue.SimpleQueue[Found | BaseException]


class Task(NamedTuple):
    """One folder to look at: where, and its nodes as last seen."""

    place: Place
    before: tuple[Node, ...]


def open_folder(path: bytes) -> int:
    """Open a folder name by name, so that no link on the way is followed; raises `OSError`."""
    descriptor = os.open(b"/", FOLDER)
    for name in path.split(b"/"):
        if name in (b"", b"."):
            continue
        try:
            below = os.open(name, FOLDER, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor


def flaw_of(error: OSError) -> str:
    """Return the flaw of a folder that could not be opened."""
    return GONE if error.errno == errno.ENOENT else why(error)


def enter(place: Place, plan: TreePlan) -> tuple[Place, int] | Directory:
    """Open a folder; returns it with its descriptor, or with its flaw as what the walk found of it."""
    try:
        descriptor = os.open(place.path, FOLDER) if place.inode else open_folder(place.path)
    except OSError as error:
        return Directory(place.path, (), flaw_of(error))
    try:
        opened = os.fstat(descriptor)
        if place.inode and (opened.st_ino, opened.st_dev) != (place.inode, place.device):
            os.close(descriptor)
            return Directory(place.path, (), SWAPPED)
        place = Place(place.path, opened.st_dev, opened.st_ino)
        if plan.entering is not None:
            plan.entering(place, descriptor)
    except OSError as error:
        os.close(descriptor)
        return Directory(place.path, (), why(error))
    except BaseException:
        os.close(descriptor)
        raise
    return place, descriptor


def look(task: Task, reader: Reader) -> tuple[Place, Directory]:
    """Look at a folder and all that is in it."""
    entered = enter(task.place, reader.plan)
    if isinstance(entered, Directory):
        return task.place, entered
    place, descriptor = entered
    try:
        return place, Directory(place.path, tuple(_nodes(task, descriptor, reader)))
    except OSError as error:
        return place, Directory(place.path, (), why(error))
    finally:
        os.close(descriptor)


def below(path: bytes) -> bytes:
    """Return what the paths below one begin with."""
    return path if path.endswith(b"/") else path + b"/"


def encoded(entry: "os.DirEntry[str]") -> bytes:
    """Return the name of an entry as `os.fsencode` does, in half the time."""
    return entry.name.encode(_ENCODING, _ERRORS)


def _nodes(task: Task, descriptor: int, reader: Reader) -> Iterator[Node]:
    before = {node.name: node for node in task.before}
    base = below(task.place.path)
    excluded = reader.plan.excluded
    with os.scandir(descriptor) as listing:
        entries = [
            (entry.name.encode(_ENCODING, _ERRORS), entry) for entry in listing
        ]  # as `encoded`, without a call for each
    entries.sort(key=FIRST)
    for name, entry in entries:
        try:
            found = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        if excluded is not None and excluded(base + name, stat.S_ISDIR(found.st_mode)):
            continue
        yield node_of(reader, descriptor, name, found, before.get(name))


def node_of(reader: Reader, folder: int, name: bytes, found: os.stat_result, before: Node | None) -> Node:
    """Return what is known of a name where nothing about it differs, else what is there now."""
    node = taken_over(reader, found, before)
    return node if node is not None else reader.complete(name, found, folder)


def taken_over(reader: Reader, found: os.stat_result, before: Node | None) -> Node | None:
    """Return what is known of a name where nothing about it differs, None where it has to be looked at."""
    if (
        before is None
        or reader.plan.read_again
        or before.flaw
        or before.ctime_ns != found.st_ctime_ns
        or before.mtime_ns != found.st_mtime_ns
        or before.size != found.st_size
        or before.inode != found.st_ino
        or before.mode != found.st_mode
        or before.device != found.st_dev
        or before.uid != found.st_uid
        or before.gid != found.st_gid
    ):
        return None
    if not before.content and reader.wanted(found.st_mode, found.st_size):  # hashing was switched on meanwhile
        return None
    return before if before.links == found.st_nlink else _with_links(before, found.st_nlink)


def _with_links(node: Node, links: int) -> Node:
    fields = [getattr(node, name) for name in Node.__struct_fields__]
    fields[Node.__struct_fields__.index("links")] = links
    return Node(*fields)
