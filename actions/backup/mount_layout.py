"""Mount layout: the folders above the snapshots of a mounted repository, named as restic's mount names them.

`ids/ID`, `snapshots/TIME`, `hosts/HOST/TIME`, `tags/TAG/TIME`, and in the last three a link `latest`. Source: restic's manual, "Restore
using mount", and what the stock restic shows.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from actions.backup.snapshot import Snapshot

SHORT = 8
_FRACTION = re.compile(r"\.\d+")


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link of the layout; `time_ns` is the time of the snapshot that it leads to."""

    target: bytes
    time_ns: int


@dataclass(frozen=True, slots=True)
class Root:
    """The place of a snapshot: what lies below it comes from the repository."""

    id: str
    tree: str
    time_ns: int


@dataclass(slots=True)
class Folder:
    """A folder of the layout; `path` tells it from the others."""

    path: bytes = b""
    entries: dict[bytes, "Folder | Link | Root"] = field(default_factory=dict)


def layout(snapshots: Iterable[tuple[str, Snapshot]]) -> Folder:
    """The top folder for `snapshots` (id and document), which are given with the oldest first."""
    ids, times, hosts, tags = (Folder(name) for name in (b"ids", b"snapshots", b"hosts", b"tags"))
    for id, snapshot in snapshots:
        root = Root(id, snapshot.tree, snapshot.time_ns)
        _place(ids, id[:SHORT].encode(), root)
        name = _FRACTION.sub("", snapshot.time, count=1).encode()
        places = [times, _below(hosts, snapshot.hostname)]
        places += [_below(tags, tag) for tag in dict.fromkeys(snapshot.tags)]
        for folder in places:
            folder.entries[b"latest"] = Link(_place(folder, name, root), root.time_ns)
    return Folder(b"", {b"hosts": hosts, b"ids": ids, b"snapshots": times, b"tags": tags})


def step(folder: Folder, name: bytes) -> "Folder | Link | Root | None":
    """What stands under a name of a folder, None for nothing."""
    return folder.entries.get(name)


def file_name(text: str) -> str:
    """The name of a folder for a host or tag: what no file can be called is written with underscores."""
    if text in {"", "."}:
        return "_"
    if text == "..":
        return "__"
    return text.replace("/", "_").replace("\0", "_")


def _below(folder: Folder, text: str) -> Folder:
    name = file_name(text).encode("utf-8", "surrogateescape")[:255]
    found = folder.entries.setdefault(name, Folder(folder.path + b"/" + name))
    assert isinstance(found, Folder)
    return found


def _place(folder: Folder, name: bytes, root: Root) -> bytes:
    """Put the snapshot under a name that is free: the wanted one, or with -1, -2 … behind it; returns it."""
    free, number = name, 0
    while _taken(folder.entries, free, root):
        number += 1
        free = b"%s-%d" % (name, number)
    folder.entries[free] = root
    return free


def _taken(entries: Mapping[bytes, "Folder | Link | Root"], name: bytes, root: Root) -> bool:
    there = entries.get(name)
    return there is not None and there != root
