"""What is left of many changes: pairs that cancel out, renames that follow from a folder's, and what differs from what was accepted."""

import stat
from collections.abc import Sequence

from msgspec.structs import replace

from analysis.integrity.compare import before_writing, differences, is_other_folder, join_renames, telling
from contracts.file_change import CREATED, DELETED, RENAMED, Change
from contracts.open_change import Open
from contracts.trees import Node


def collapse(changes: Sequence[Change]) -> list[Change]:
    """Return changes without what says nothing new.

    A name that went and came again is what differs between the two, or nothing. What moved with its folder, and is otherwise as it was,
    is said by the folder's renaming.
    """
    whole = _recombined(changes)
    moved = {
        change.path: change.former
        for change in whole
        if change.kinds[0] == RENAMED and change.after is not None and stat.S_ISDIR(change.after.mode)
    }
    return [change for change in whole if not _follows(change, moved)] if moved else whole


def in_order(changes: Sequence[Change]) -> Sequence[Change]:
    """Return changes with what is left of each name that went after it had come, or did either twice: pairs say nothing of those."""
    seen: set[tuple[bytes, str]] = set()
    often: set[bytes] = set()
    for change in changes:
        step = change.path, change.kinds[0]
        if step in seen or (change.kinds[0] == DELETED and (change.path, CREATED) in seen):
            often.add(change.path)
        seen.add(step)
    if not often:
        return changes
    left: dict[bytes, list[Change]] = {}
    for change in changes:
        if change.path in often:
            left.setdefault(change.path, []).append(change)
    return [
        *(change for change in changes if change.path not in often),
        *(one for each in left.values() for one in _ends(each)),
    ]


def net(changes: Sequence[Change]) -> list[Change]:
    """Return what is left of changes in the order in which they were seen: one a name, from what was first there to what is last."""
    steps: dict[bytes, list[Change]] = {}
    for change in changes:
        if change.kinds[0] == RENAMED and change.former:
            went = replace(change, path=change.former, kinds=(DELETED,), after=None, former=b"", new=None)
            _append(steps, went)
            kinds = (CREATED, *telling(change.after)) if change.after is not None else (CREATED,)
            change = replace(change, kinds=kinds, before=None, former=b"", old=None)
        _append(steps, change)
    return _recombined(join_renames([one for each in steps.values() for one in _ends(each)]))


def _append(steps: dict[bytes, list[Change]], change: Change) -> None:
    """Add a change to those of its name, which comes last then."""
    each = steps.pop(change.path, [])
    each.append(change)
    steps[change.path] = each


def _ends(steps: Sequence[Change]) -> list[Change]:
    """Return what is left of the changes of one name: nothing, one, or a folder that went and another one that came."""
    first, last = steps[0], steps[-1]
    if first is last:
        return [last]
    went = replace(last, kinds=(DELETED,), before=first.before, after=None, old=first.old, new=None)
    if last.after is None:
        return [went] if first.before is not None else []
    came = replace(last, kinds=(CREATED, *telling(last.after)), before=None, old=None)
    if first.before is None:
        return [came]
    if is_other_folder(first.before, last.after):
        return [went, came]  # it may have come by being renamed
    kinds = differences(first.before, last.after)
    return [replace(last, kinds=kinds, before=first.before, old=first.old)] if kinds else []


def _recombined(changes: Sequence[Change]) -> list[Change]:
    changes = _ended(changes)
    went = {change.path: change for change in changes if change.kinds[0] == DELETED}
    both = {change.path for change in changes if change.kinds[0] == CREATED and change.path in went}
    result = []
    for change in changes:
        if change.kinds[0] == DELETED and change.path in both:
            continue
        before = went[change.path].before if change.path in both and change.kinds[0] == CREATED else change.before
        if (change.path in both and change.kinds[0] == CREATED) or change.former == change.path:
            assert before is not None and change.after is not None
            kinds = differences(before, change.after)
            if kinds:
                result.append(replace(change, kinds=kinds, before=before, former=b""))
            continue
        result.append(change)
    return result


def _ended(changes: Sequence[Change]) -> Sequence[Change]:
    """Return changes with one coming or going, at most one of each, of a name that came and went several times: first and last count."""
    steps: dict[bytes, list[Change]] = {}
    for change in changes:
        if change.kinds[0] in (CREATED, DELETED):
            steps.setdefault(change.path, []).append(change)
    often = {path: each for path, each in steps.items() if len(each) > 2}
    if not often:
        return changes
    left: dict[int, list[Change]] = {}
    for each in often.values():
        first, last = each[0], each[-1]
        left |= {id(change): [] for change in each}
        if first.kinds[0] == DELETED:  # it was there
            went = replace(last, kinds=(DELETED,), before=first.before, after=None, new=None)
            left[id(last)] = [went] if last.kinds[0] == DELETED else [first, last]
        elif last.kinds[0] == CREATED:
            left[id(last)] = [last]
    return [one for change in changes for one in left.get(id(change), [change])]


def _follows(change: Change, moved: dict[bytes, bytes]) -> bool:
    """Say whether a rename is that of a folder above it, and nothing more."""
    if change.kinds != (RENAMED,):
        return False
    path = change.path
    while (path := path.rpartition(b"/")[0]) not in (b"", b"/"):
        former = moved.get(path)
        if former is not None:
            return change.former == former + change.path[len(path) :]
    return False


def waiting(
    held: Open | None, before: Node | None, after: Node | None, profile: str, found_by: str, at_ms: int
) -> Open | None:
    """Return what waits to be accepted at one path once `before` has become `after`; None for nothing any more.

    `held` is what waited there so far. Changes that take one another back leave nothing. A rename is what went here and what came there;
    `joined` makes one of them again.
    """
    written = before_writing(held, before, after) if before is not None and after is not None else None
    if held is not None:
        before = held.before
    if before is None and after is None:
        return None
    if before is not None and after is not None and not differences(before, after):
        return None
    return Open(
        before=before,
        after=after,
        profile=profile,
        found_by=found_by,
        first_ms=held.first_ms if held is not None else at_ms,
        last_ms=at_ms,
        written=written,
    )


def joined(waiting: Sequence[tuple[bytes, Open]]) -> list[Change]:
    """Return what waits as changes against what was accepted, with renames told as such."""
    return collapse(join_renames([_change(path, value) for path, value in waiting]))


def _change(path: bytes, value: Open) -> Change:
    if value.before is None:
        kinds: tuple[str, ...] = (CREATED,)
    elif value.after is None:
        kinds = (DELETED,)
    else:
        kinds = differences(value.before, value.after)
    return Change(
        path=path,
        kinds=kinds,
        before=value.before,
        after=value.after,
        found_by=value.found_by,
        at_ms=value.last_ms,
        profile=value.profile,
        author=value.author,
    )
