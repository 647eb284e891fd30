"""Dumps that are text are whole when they begin and end as they should, and confess nothing in between."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.backup.databases.end_marker import EndMarker
from actions.backup.databases.pipe import NotWhole

TEXT = (
    b"-- MariaDB dump 10.19\n" + b"INSERT INTO t VALUES (1);\n" * 500 + b"-- Dump completed on 2026-01-01  1:02:03\n\n"
)


def judge(content: bytes, cuts: list[int] | None = None, **more: object) -> None:
    marker = EndMarker(r"-- Dump completed( on [\d: -]+)?", begins="-- MariaDB dump", **more)  # type: ignore[arg-type]
    places = sorted({0, *(cut % (len(content) + 1) for cut in cuts or []), len(content)})
    for one, other in itertools.pairwise(places):
        marker.feed(memoryview(content)[one:other])
    assert marker.finish() == ()


@given(st.lists(st.integers(0, 20_000), max_size=20))
def test_a_whole_one_passes_in_whatever_pieces(cuts: list[int]) -> None:
    judge(TEXT, cuts)


@given(st.integers(0, len(TEXT.rstrip()) - 1), st.lists(st.integers(0, 20_000), max_size=5))
def test_a_cut_one_passes_only_when_nothing_but_a_part_of_the_date_is_gone(length: int, cuts: list[int]) -> None:
    cut = TEXT[:length]
    if b"-- Dump completed" in cut and not cut.endswith(b" o"):
        return
    with pytest.raises(NotWhole):
        judge(cut, cuts)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "0 bytes"),
        (b"hello", "begins with b'hello'"),
        (TEXT + b"more", "end marker is missing"),
        (b"-- MariaDB dump\n-- Dump completed\n" + b"x" * 9000, "end marker is missing"),
    ],
)
def test_what_is_wrong_is_said(content: bytes, words: str) -> None:
    with pytest.raises(NotWhole, match=words):
        judge(content)


@given(st.lists(st.integers(0, 20_000), max_size=20))
def test_a_confession_is_found_wherever_it_is_cut(cuts: list[int]) -> None:
    half = len(TEXT) // 2
    at = TEXT.index(b"\n", half) + 1
    confessing = TEXT[:at] + b"-- insufficient privileges to SHOW CREATE FUNCTION `f`\n" + TEXT[at:]
    with pytest.raises(NotWhole, match="insufficient privileges"):
        judge(confessing, cuts, confessions=(b"-- insufficient privileges to",))
    within = TEXT[:at] + b"'text -- insufficient privileges to'\n" + TEXT[at:]
    judge(within, cuts, confessions=(b"-- insufficient privileges to",))


def test_a_size_can_be_asked_for() -> None:
    marker = EndMarker(min_size=10)
    marker.feed(memoryview(b"123456789"))
    with pytest.raises(NotWhole, match="9 bytes, at least 10"):
        marker.finish()
    marker.feed(memoryview(b"0"))
    assert marker.finish() == ()
