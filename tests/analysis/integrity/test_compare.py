"""Every difference between two looks has its word, and a rename is one change."""

import stat
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from analysis.integrity.compare import compare, differences, join_renames
from analysis.integrity.net import waiting
from contracts.file_change import Change
from contracts.open_change import Open
from contracts.trees import Node


def node(name: bytes = b"file", **values: Any) -> Node:
    fields: dict[str, Any] = {
        "mode": stat.S_IFREG | 0o644,
        "uid": 0,
        "gid": 0,
        "links": 1,
        "size": 4,
        "mtime_ns": 10**18,
        "ctime_ns": 10**18,
        "inode": 7,
        "device": 1,
        "content": b"a" * 32,
    }
    return Node(name=name, **{**fields, **values})


def kinds(before: list[Node], after: list[Node]) -> list[tuple[bytes, tuple[str, ...]]]:
    return [(change.path, change.kinds) for change in compare(b"/etc", before, after)]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"content": b"b" * 32, "mtime_ns": 2 * 10**18, "ctime_ns": 2 * 10**18}, ("modified",)),
        ({"content": b"b" * 32, "ctime_ns": 2 * 10**18}, ("modified", "timestomped")),
        ({"content": b"b" * 32, "mtime_ns": 5 * 10**17, "ctime_ns": 2 * 10**18}, ("modified", "timestomped")),
        ({"mode": stat.S_IFREG | 0o600}, ("mode",)),
        ({"mode": stat.S_IFREG | 0o4755}, ("setuid",)),
        ({"uid": 5}, ("owner",)),
        ({"gid": 5}, ("owner",)),
        ({"attributes": b"x"}, ("attributes",)),
        ({"attributes": b"x", "capabilities": b"y"}, ("capabilities",)),
        ({"mode": stat.S_IFIFO | 0o644, "content": b""}, ("type",)),
        ({"mtime_ns": 5}, ()),
        ({"links": 2, "inode": 9}, ()),
        ({"flaw": "Permission denied", "content": b""}, ("unknown",)),
    ],
)
def test_each_difference_has_its_word(values: dict[str, Any], words: tuple[str, ...]) -> None:
    assert differences(node(), node(**values)) == words


S = 10**9
NOW = 2 * 10**18
"""When `written` was written."""


def written(values: dict[str, Any]) -> Node:
    return node(**{"content": b"b" * 32, "mtime_ns": NOW, "ctime_ns": NOW, **values})


def dated(held: Open | None, former: Node, after: Node) -> tuple[str, ...]:
    """Return the words for a change seen while `held` waited to be accepted."""
    asked: list[bytes] = []
    found = list(compare(b"/etc", [former], [after], lambda path: asked.append(path) or held))  # type: ignore[func-returns-value]
    assert set(asked) <= {b"/etc/file"} and len(found) <= 1
    return found[0].kinds if found else ()


@pytest.mark.parametrize(
    ("former", "after", "words"),
    [
        ({}, {"mtime_ns": 10**18}, ("timestomped",)),
        ({}, {"mtime_ns": 5 * 10**17}, ("timestomped",)),
        ({}, {"mtime_ns": 10**18, "uid": 5}, ("owner", "timestomped")),
        ({}, {"mtime_ns": 15 * 10**17}, ()),
        ({}, {"mtime_ns": NOW + 5}, ()),
        ({"mtime_ns": 10**18}, {"mtime_ns": 5 * 10**17}, ()),
    ],
    ids=["as before", "earlier", "and another owner", "between", "later", "told already"],
)
def test_a_time_set_back_only_after_the_content_was_looked_at_shows(
    former: dict[str, Any], after: dict[str, Any], words: tuple[str, ...]
) -> None:
    """However late, as long as nobody has accepted the content."""
    seen, now = written(former), written({"ctime_ns": NOW + 10**15, **after})
    held = waiting(None, node(), seen, "p", "watch", 5)
    assert dated(held, seen, now) == words
    plain = tuple(word for word in words if word != "timestomped")
    assert dated(None, seen, now) == plain, "accepted"


def test_a_copy_that_takes_its_time_is_judged_by_what_was_there_before_it() -> None:
    """It is looked at half written, and ends with the date of what it was copied from."""
    half = written({"size": 2})
    whole = written({"content": b"c" * 32, "ctime_ns": NOW + 5 * S, "mtime_ns": 15 * 10**17})
    later = replace(whole, ctime_ns=NOW + 100 * S)
    came = waiting(None, None, half, "p", "watch", 5)
    over = waiting(None, node(), half, "p", "watch", 5)
    assert dated(came, half, whole) == dated(over, half, whole) == ("modified",)
    assert dated(over, half, replace(whole, mtime_ns=10**18)) == ("modified", "timestomped"), "as old as what was there"
    assert dated(over, half, later) == dated(None, half, whole) == ("modified", "timestomped"), "another writing"
    once_more = waiting(over, half, replace(half, content=b"d" * 32), "p", "watch", 6)
    assert once_more is not None and once_more.written == node() and once_more.before == node()


def test_a_link_that_points_elsewhere_is_told() -> None:
    link = {"mode": stat.S_IFLNK | 0o777, "content": b""}
    assert differences(node(**link, target=b"a"), node(**link, target=b"b")) == ("target",)


def test_a_special_file_with_another_number_is_another_type() -> None:
    assert differences(node(mode=stat.S_IFCHR, special=1), node(mode=stat.S_IFCHR, special=2)) == ("type",)


def test_contents_that_are_not_hashed_are_judged_by_size_and_time() -> None:
    assert differences(node(content=b""), node(content=b"", mtime_ns=3 * 10**18, ctime_ns=3 * 10**18)) == ("modified",)
    assert differences(node(content=b""), node(content=b"")) == ()


def test_names_come_and_go() -> None:
    assert kinds([node(b"a")], [node(b"b", mode=stat.S_IFREG | 0o4755)]) == [
        (b"/etc/b", ("created", "setuid")),
        (b"/etc/a", ("deleted",)),
    ]


def test_a_folder_where_a_file_stood_came_and_may_have_moved_there() -> None:
    moved = node(b"a", mode=stat.S_IFDIR | 0o755, inode=7)
    there = replace(moved, name=b"file")
    changes = list(compare(b"/", [moved, node(b"file", inode=8)], [there]))
    told = [(change.path, change.kinds, change.former) for change in join_renames(changes)]
    assert told == [(b"/file", ("deleted",), b""), (b"/file", ("renamed",), b"/a")]
    back = list(compare(b"/", [there], [node(b"file", inode=8)]))
    assert [change.kinds for change in back] == [("deleted",), ("created",)]


def test_a_rename_across_folders_is_one_change() -> None:
    changes = [
        *compare(b"/a", [node(b"x")], []),
        *compare(b"/b", [], [node(b"y", mode=stat.S_IFREG | 0o600, ctime_ns=3 * 10**18)]),
    ]
    (change,) = join_renames(changes)
    assert (change.path, change.former, change.kinds) == (b"/b/y", b"/a/x", ("renamed", "mode"))


def test_an_inode_used_again_is_no_rename() -> None:
    changes = [*compare(b"/a", [node(b"x")], []), *compare(b"/b", [], [node(b"y", content=b"b" * 32)])]
    assert [change.kinds[0] for change in join_renames(changes)] == ["deleted", "created"]


_NAMES = st.sampled_from([b"a", b"b", b"c"])
_NODES = st.builds(
    node, name=_NAMES, inode=st.integers(1, 3), uid=st.integers(0, 1), content=st.sampled_from([b"1" * 32, b"2" * 32])
)
_LOOKS = st.lists(_NODES, max_size=3, unique_by=lambda found: found.name)


@given(before=_LOOKS, after=_LOOKS)
def test_changes_lead_from_one_look_to_the_other(before: list[Node], after: list[Node]) -> None:
    """Applying the joined changes to the first look gives the names and contents of the second."""
    state = {b"/f/" + found.name: found for found in before}
    changes: list[Change] = join_renames(compare(b"/f", before, after))
    for change in changes:
        if change.former:
            del state[change.former]
        elif change.kinds[0] == "deleted":
            del state[change.path]
    for change in changes:
        if change.after is not None:
            state[change.path] = change.after
    said = {path: (found.content, found.uid) for path, found in state.items()}
    assert said == {b"/f/" + found.name: (found.content, found.uid) for found in after}


@given(look=_LOOKS)
def test_a_look_equals_itself(look: list[Node]) -> None:
    assert list(compare(b"/f", look, list(look))) == []
