"""RDB files are judged by their magic, their end and their checksum, whatever pieces they come in; no byte may change."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.backup.databases.pipe import NotWhole
from actions.backup.databases.rdb import Rdb
from tests.actions.backup.databases.test_redis import GOOD, _rdb


def judge(content: bytes, *cuts: int) -> Rdb:
    check = Rdb()
    places = sorted({0, *(cut % (len(content) + 1) for cut in cuts), len(content)})
    for one, other in itertools.pairwise(places):
        check.feed(memoryview(content)[one:other])
    return check


@given(st.lists(st.integers(0, 10_000), max_size=30))
def test_pieces_make_no_difference(cuts: list[int]) -> None:
    assert judge(GOOD, *cuts).finish() == ()


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255), st.lists(st.integers(0, 10_000), max_size=5))
def test_no_byte_may_change(at: int, change: int, cuts: list[int]) -> None:
    broken = bytearray(GOOD)
    broken[at] ^= change
    with pytest.raises(NotWhole):
        judge(bytes(broken), *cuts).finish()


@given(st.integers(0, len(GOOD) - 1))
def test_nothing_may_be_missing_at_the_end(length: int) -> None:
    with pytest.raises(NotWhole):
        judge(GOOD[:length]).finish()


def test_valkey_is_known_and_files_before_checksums_are_refused() -> None:
    assert judge(_rdb(b"\xfe\x00", magic=b"VALKEY080")).finish() == ()
    with pytest.raises(NotWhole, match="version 4"):
        judge(_rdb(b"\xfe\x00", magic=b"REDIS0004")).finish()
    (blind,) = judge(_rdb(b"\xfe\x00", checksum=False)).finish()
    assert "rdbchecksum" in blind.fix
