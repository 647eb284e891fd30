"""A change can be read: what was, what is, which lines differ, in one line among many."""

import stat

from hypothesis import given
from hypothesis import strategies as st

from analysis.integrity.wording import before_and_after, common_folder, describe, line, text_diff
from contracts.file_change import CREATED, DELETED, MODIFIED, RENAMED, Change
from contracts.trees import Node


def node(mode: int = 0o644, content: bytes = b"\xab" * 32, **more: bytes) -> Node:
    return Node(b"x", stat.S_IFREG | mode, 1, 2, 1, 3, 10**18, 10**18, 7, 1, content=content, **more)


def test_only_what_differs_is_told_of_a_name_that_stays() -> None:
    before, after = before_and_after(Change(path=b"/x", kinds=("mode",), before=node(), after=node(mode=0o4755)))
    assert (before, after) == (["mode 0644"], ["mode 4755"])


def test_all_is_told_of_one_that_came() -> None:
    words = describe(node(target=b"a\n", attributes=b"\x01", capabilities=b"\x02"))
    assert {"type file", "owner 1:2", "size 3", f"hash {'ab' * 32}", "target a\n", "capabilities 02"} <= set(words)
    assert describe(None) == []


def test_lines_that_differ_are_shown_and_a_long_list_says_so() -> None:
    assert text_diff(b"a\nb\n", b"a\nc\n").splitlines()[3:6] == [" a", "-b", "+c"]
    assert text_diff(None, b"x") == "" and text_diff(b"x", None) == ""
    long = text_diff(b"", b"\n".join(b"%d" % n for n in range(1000)))
    assert long.endswith("lines in all") and len(long) < 20_000


def test_one_line_names_the_words_and_the_path() -> None:
    assert line(Change(path=b"/\xff", kinds=(DELETED,), before=node())) == "deleted /\\xff (abababababababab…)"
    assert line(Change(path=b"/b", kinds=(RENAMED,), former=b"/a", before=node(), after=node())) == "renamed /a -> /b"
    other = Change(path=b"/b", kinds=(MODIFIED,), before=node(), after=node(content=b"\xcd" * 32))
    assert line(other).startswith("modified /b (hash cdcd")
    assert line(Change(path=b"/b", kinds=(CREATED,), after=node(content=b""))) == "created /b"


def test_the_common_folder_is_above_all() -> None:
    assert common_folder([b"/a/b/c", b"/a/b/d"]) == b"/a/b"
    assert common_folder([b"/a/b", b"/c"]) == b"/"
    assert common_folder([b"/a"]) == b"/"


@given(st.binary(), st.binary())
def test_any_two_texts_can_be_compared(old: bytes, new: bytes) -> None:
    assert (text_diff(old, new) == "") == (old == new)
