"""Compares two looks at a folder: which names came, went, moved, and what of the others differs."""

import stat
from collections.abc import Callable, Iterable, Iterator

from msgspec.structs import replace

from contracts.file_change import (
    ATTRIBUTES,
    CAPABILITIES,
    CREATED,
    DELETED,
    KNOWN,
    MODE,
    MODIFIED,
    OWNER,
    RENAMED,
    SETUID,
    TARGET,
    TIMESTOMPED,
    TYPE,
    UNKNOWN,
    Change,
)
from contracts.open_change import Open
from contracts.trees import Node

SPECIAL = stat.S_ISUID | stat.S_ISGID
SLACK_NS = 2_000_000_000
"""How far behind its last change (ctime) the time of a modified content (mtime) may honestly lie."""
WRITING_NS = 60_000_000_000
"""Changes to a file that lie no further apart are one writing, however many looks saw it."""


def compare(
    folder: bytes,
    before: Iterable[Node],
    after: Iterable[Node],
    opened: Callable[[bytes], Open | None] = lambda _: None,
) -> Iterator[Change]:
    """Yield what differs between two looks at one folder, by name; a folder's own size, links and times are no change.

    A folder that is another one than before went and came, and so did a folder that stands where none stood, or none where one did: it, and
    what was in it, may have moved. The empty folder holds whole paths. `opened` tells what waits to be accepted at a path: with that a time
    that was set back is judged by what was there before the writing, whether a look fell into it or not.
    """
    base = folder if folder.endswith(b"/") else folder + b"/"
    old = {node.name: node for node in before}
    for node in after:
        former = old.pop(node.name, None)
        if former is node:
            continue
        if former is not None and is_other_folder(former, node):
            yield Change(path=base + node.name, kinds=(DELETED,), before=former)
            yield Change(path=base + node.name, kinds=(CREATED, *telling(node)), after=node)
            continue
        kinds = differences(former, node) if former is not None else (CREATED, *telling(node))
        if former is not None and (TIMESTOMPED in kinds or node.mtime_ns < former.mtime_ns):
            kinds = _dated(kinds, opened(base + node.name), former, node)
        if kinds:
            yield Change(path=base + node.name, kinds=kinds, before=former, after=node)
    for name, former in old.items():
        yield Change(path=base + name, kinds=(DELETED,), before=former)


def is_other_folder(before: Node, after: Node) -> bool:
    """Say whether one of the two is a folder that the other is not."""
    is_folder = stat.S_ISDIR(before.mode)
    if is_folder != stat.S_ISDIR(after.mode):
        return True
    return is_folder and (before.device, before.inode) != (after.device, after.inode)


def before_writing(held: Open | None, before: Node, after: Node) -> Node | None:
    """Return what was there before the writing of which a change is a part, None where the file came with it.

    `held` is what waited to be accepted at its path when the change was seen.
    """
    if MODIFIED in differences(before, after):
        if held is None or after.ctime_ns - before.ctime_ns > WRITING_NS:
            return before
        return held.written or (before if held.before is not None else None)
    return held.written if held is not None else None


def _dated(kinds: tuple[str, ...], held: Open | None, before: Node, after: Node) -> tuple[str, ...]:
    """Return the words for a change with the right one for its time, which may have been set back only after a look at the content."""
    first = before_writing(held, before, after)
    words = tuple(word for word in kinds if word != TIMESTOMPED)
    if first is None or TIMESTOMPED not in differences(first, after):
        return words
    is_told = MODIFIED not in words and TIMESTOMPED in differences(first, before)
    return words if is_told else (*words, TIMESTOMPED)


def differences(before: Node, after: Node) -> tuple[str, ...]:
    """Return the words for what differs between two looks at one name, () for nothing."""
    if stat.S_IFMT(before.mode) != stat.S_IFMT(after.mode) or before.special != after.special:
        return (TYPE, *telling(after))
    words = [*_content(before, after), *_permissions(before, after)]
    if bool(before.flaw) != bool(after.flaw):
        words.append(UNKNOWN if after.flaw else KNOWN)
    return tuple(words)


def _content(before: Node, after: Node) -> Iterator[str]:
    if stat.S_ISLNK(after.mode):
        if before.target != after.target:
            yield TARGET
        return
    if not stat.S_ISREG(after.mode):
        return
    both = bool(before.content and after.content)
    other = before.content != after.content if both else not after.flaw and _touched(before, after)
    if other:
        yield MODIFIED
        # Written within the look's own time, yet dated as before: no editor or package tool does so.
        if after.mtime_ns == before.mtime_ns or after.mtime_ns + SLACK_NS < min(before.mtime_ns, after.ctime_ns):
            yield TIMESTOMPED


def _touched(before: Node, after: Node) -> bool:
    """Say whether a content that is not hashed looks changed."""
    return before.size != after.size or before.mtime_ns != after.mtime_ns


def _permissions(before: Node, after: Node) -> Iterator[str]:
    if after.mode != before.mode:
        yield SETUID if (after.mode ^ before.mode) & SPECIAL and not stat.S_ISDIR(after.mode) else MODE
    if (after.uid, after.gid) != (before.uid, before.gid):
        yield OWNER
    if after.capabilities != before.capabilities:
        yield CAPABILITIES
    elif after.attributes != before.attributes:
        yield ATTRIBUTES


def telling(node: Node) -> Iterator[str]:
    """Yield what deserves a word about something new."""
    if stat.S_ISREG(node.mode) and node.mode & SPECIAL:
        yield SETUID
    if node.capabilities:
        yield CAPABILITIES
    if node.flaw:
        yield UNKNOWN


def join_renames(changes: Iterable[Change]) -> list[Change]:
    """Make one change of what was deleted in one place and created in another: same inode, device, kind and content.

    Several links to one file stay as they are: a new name beside an old one is no rename. Order is kept; the pair stands where its
    creation stood.
    """
    listed = list(changes)
    gone: dict[tuple[int, int], list[Change]] = {}
    for change in listed:
        if change.kinds[0] == DELETED and change.before is not None:
            gone.setdefault((change.before.device, change.before.inode), []).append(change)
    taken: set[int] = set()
    moved: dict[int, Change] = {}
    for change in listed:
        if change.kinds[0] != CREATED or change.after is None:
            continue
        former = next(iter(gone.get((change.after.device, change.after.inode), ())), None)
        if former is None or former.before is None or not _one_file(former.before, change.after):
            continue
        gone[change.after.device, change.after.inode].remove(former)
        taken.add(id(former))
        kinds = (RENAMED, *differences(former.before, change.after))
        moved[id(change)] = replace(change, kinds=kinds, before=former.before, former=former.path)
    return [moved.get(id(change), change) for change in listed if id(change) not in taken]


def _one_file(before: Node, after: Node) -> bool:
    """Say whether two nodes of one inode are the same file, not a number used again."""
    if stat.S_IFMT(before.mode) != stat.S_IFMT(after.mode):
        return False
    if stat.S_ISDIR(before.mode):
        return True  # what it holds is compared by itself
    if before.content and after.content:
        return before.content == after.content
    return before.mtime_ns == after.mtime_ns and before.size == after.size
