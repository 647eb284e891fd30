"""What is left of many changes is what differs in the end, and nothing besides."""

import stat

from analysis.integrity.compare import join_renames
from analysis.integrity.net import collapse, in_order, joined, net, waiting
from contracts.file_change import CREATED, DELETED, MODIFIED, RENAMED, TIMESTOMPED, Change
from contracts.open_change import Open
from contracts.trees import Node


def file(name: bytes, inode: int = 1, content: bytes = b"a" * 32) -> Node:
    return Node(name, stat.S_IFREG | 0o644, 0, 0, 1, 1, 10**18, 10**18, inode, 1, content=content)


def folder(name: bytes, inode: int) -> Node:
    return Node(name, stat.S_IFDIR | 0o755, 0, 0, 2, 4096, 10**18, 10**18, inode, 1)


def went(path: bytes, node: Node) -> Change:
    return Change(path=path, kinds=(DELETED,), before=node)


def came(path: bytes, node: Node) -> Change:
    return Change(path=path, kinds=(CREATED,), after=node)


def told(changes: list[Change]) -> list[tuple[bytes, tuple[str, ...], bytes]]:
    return [(change.path, change.kinds, change.former) for change in collapse(join_renames(in_order(changes)))]


def test_what_moved_with_its_folder_is_said_by_the_folder() -> None:
    changes = [
        went(b"/a", folder(b"a", 1)),
        went(b"/a/x", file(b"x", 2)),
        went(b"/a/d", folder(b"d", 3)),
        went(b"/a/d/y", file(b"y", 4)),
        came(b"/b", folder(b"b", 1)),
        came(b"/b/x", file(b"x", 2)),
        came(b"/b/d", folder(b"d", 3)),
        came(b"/b/d/y", file(b"y", 4)),
    ]
    assert told(changes) == [(b"/b", (RENAMED,), b"/a")]


def test_what_changed_besides_is_still_told() -> None:
    changes = [
        went(b"/a", folder(b"a", 1)),
        went(b"/a/x", file(b"x", 2)),
        came(b"/b", folder(b"b", 1)),
        came(b"/b/z", file(b"z", 2)),
    ]
    assert told(changes) == [(b"/b", (RENAMED,), b"/a"), (b"/b/z", (RENAMED,), b"/a/x")]


def test_a_name_that_went_and_came_again_is_what_differs() -> None:
    same = [went(b"/x", file(b"x", 1)), came(b"/x", file(b"x", 2))]
    other = [went(b"/x", file(b"x", 1)), came(b"/x", file(b"x", 2, b"b" * 32))]
    assert told(same) == []
    assert [(path, kinds[0]) for path, kinds, _ in told(other)] == [(b"/x", MODIFIED)]


def test_a_name_that_came_and_went_several_times_is_what_it_was_first_and_is_last() -> None:
    one, two = file(b"x", 1, b"1" * 32), file(b"x", 2, b"2" * 32)
    created, deleted = (CREATED,), (DELETED,)
    whole: list[tuple[list[Change], list[tuple[tuple[str, ...], Node | None, Node | None]]]] = [
        ([came(b"/x", one), went(b"/x", one), came(b"/x", one)], [(created, None, one)]),
        ([came(b"/x", one), went(b"/x", one), came(b"/x", two)], [(created, None, two)]),
        ([went(b"/x", one), came(b"/x", two), went(b"/x", two)], [(deleted, one, None)]),
        ([went(b"/x", one), came(b"/x", one), went(b"/x", one), came(b"/x", one)], []),
        ([came(b"/x", one), went(b"/x", one), came(b"/x", two), went(b"/x", two)], []),
    ]
    for changes, left in whole:
        assert [(change.kinds, change.before, change.after) for change in collapse(changes)] == left
    (changed,) = collapse([went(b"/x", one), came(b"/x", one), went(b"/x", one), came(b"/x", two)])
    assert changed.kinds[0] == MODIFIED and (changed.before, changed.after) == (one, two)


def test_folders_that_changed_places_are_two_renames() -> None:
    changes = [
        went(b"/a", folder(b"a", 1)),
        came(b"/a", folder(b"a", 2)),
        went(b"/b", folder(b"b", 2)),
        came(b"/b", folder(b"b", 1)),
    ]
    assert sorted(told(changes)) == [(b"/a", (RENAMED,), b"/b"), (b"/b", (RENAMED,), b"/a")]


def test_a_folder_that_took_the_place_of_another_by_several_steps_is_still_a_rename() -> None:
    """All that lies in it is told by its rename alone."""
    first, second = folder(b"x", 1), folder(b"y", 2)
    gone = went(b"/x", first)
    moves = [came(b"/x", second), went(b"/y", second), went(b"/x", second), came(b"/z", second), went(b"/z", second)]
    assert told([gone, *moves, came(b"/x", second)]) == [(b"/x", (DELETED,), b""), (b"/x", (RENAMED,), b"/y")]
    assert told([gone, came(b"/x", second), went(b"/x", second), came(b"/x", first)]) == []
    renamed = Change(path=b"/x", kinds=(RENAMED,), before=second, after=second, former=b"/y")
    assert [(one.path, one.kinds, one.former) for one in net([gone, renamed])] == [
        (b"/x", (DELETED,), b""),
        (b"/x", (RENAMED,), b"/y"),
    ]
    assert net([gone, came(b"/x", second)]) == [], "another folder of the same name, with what is in it told by itself"


def test_what_is_taken_back_waits_for_nobody() -> None:
    first, second = file(b"x"), file(b"x", content=b"b" * 32)
    held = waiting(None, first, second, "p", "scan", 5)
    assert held == Open(before=first, after=second, profile="p", found_by="scan", first_ms=5, last_ms=5, written=first)
    assert waiting(held, second, first, "p", "scan", 6) is None
    gone = waiting(held, second, None, "p", "scan", 7)
    assert gone is not None and (gone.before, gone.after, gone.first_ms, gone.last_ms) == (first, None, 5, 7)
    assert waiting(waiting(None, None, first, "", "", 1), first, None, "", "", 2) is None


def test_what_waits_is_shown_with_its_renames() -> None:
    node = file(b"x")
    changes = joined([(b"/a", Open(before=node)), (b"/b", Open(after=node)), (b"/c", Open(after=file(b"c", 9)))])
    assert [(change.path, change.kinds[0], change.former) for change in changes] == [
        (b"/b", RENAMED, b"/a"),
        (b"/c", CREATED, b""),
    ]


def seen(*steps: Change) -> list[tuple[str, tuple[str, ...]]]:
    return [(change.path.decode(), change.kinds) for change in net(steps)]


def test_what_dpkg_does_to_a_name_is_one_change() -> None:
    old, new = file(b"x", 1, b"1" * 32), file(b"x", 2, b"2" * 32)
    written = Change(path=b"/x.dpkg-new", kinds=(CREATED,), after=new)
    gone = Change(path=b"/x.dpkg-new", kinds=(DELETED,), before=new)
    over = Change(path=b"/x", kinds=(MODIFIED,), before=old, after=new)
    assert seen(written, over, gone) == [("/x", (MODIFIED,))]
    moved = Change(path=b"/x", kinds=(RENAMED,), before=new, after=new, former=b"/x.dpkg-new")
    assert seen(written, moved) == [("/x", (CREATED,))]
    assert seen(written, gone) == []


def test_what_was_put_back_is_none_and_what_was_there_first_is_kept() -> None:
    one, two, three = file(b"x", 1, b"1" * 32), file(b"x", 2, b"2" * 32), file(b"x", 3, b"3" * 32)
    there = Change(path=b"/x", kinds=(MODIFIED,), before=one, after=two, old=b"1")
    back = Change(path=b"/x", kinds=(MODIFIED,), before=two, after=one)
    on = Change(path=b"/x", kinds=(MODIFIED,), before=two, after=three, new=b"3")
    assert seen(there, back) == []
    (left,) = net([there, on])
    assert (left.before, left.after, left.old, left.new) == (one, three, b"1", b"3")


def test_a_rename_that_nothing_follows_stays_one_and_a_deletion_undone_is_a_change() -> None:
    one, two = file(b"x", 1, b"1" * 32), file(b"x", 2, b"2" * 32)
    assert seen(Change(path=b"/b", kinds=(RENAMED,), before=one, after=one, former=b"/a")) == [("/b", (RENAMED,))]
    assert seen(went(b"/x", one), came(b"/x", two)) == [("/x", (MODIFIED, TIMESTOMPED))], "dated alike"


def test_a_name_that_came_and_went_and_came_is_new_and_one_that_went_twice_is_gone() -> None:
    one, two = file(b"x", 1), file(b"x", 2, b"b" * 32)
    assert told(list(in_order([came(b"/x", one), went(b"/x", one), came(b"/x", one)]))) == [(b"/x", (CREATED,), b"")]
    (left,) = in_order([went(b"/x", one), came(b"/x", two), went(b"/x", two)])
    assert (left.kinds, left.before) == ((DELETED,), one)
    pair = [went(b"/x", one), came(b"/x", two), came(b"/y", one)]
    assert in_order(pair) is pair
