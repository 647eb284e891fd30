"""The snapshots a worker holds: they move only when the core says so."""

import msgspec
import pytest

from agent.snapshot_cache import SnapshotCache
from contracts.record import Record
from contracts.snapshot import Changes


class Row(Record):
    value: int
    note: str = ""


@pytest.fixture
def cache():
    made = SnapshotCache("x", Row)
    made.begin()
    made.take(3, {"a": msgspec.msgpack.encode(Row(value=1))}, 99, False)
    made.take(3, {"b": msgspec.msgpack.encode(Row(value=2))}, 99, True)
    return made


def test_pages_make_one_snapshot_that_nobody_can_write(cache):
    snapshot = cache.snapshot()
    assert (snapshot.revision, snapshot.at_ms, dict(snapshot.rows)) == (3, 99, {"a": Row(value=1), "b": Row(value=2)})
    assert cache.holds(3) and not cache.holds(4)
    with pytest.raises(TypeError):
        snapshot.rows["a"] = Row(value=9)


def test_changes_count_only_once_the_core_has_stored_them(cache):
    cache.propose(7, Changes(put={"c": Row(value=3)}, removed=("a",)), 100)
    assert set(cache.snapshot().rows) == {"a", "b"}
    cache.stored(6, 4)
    assert cache.holds(3)
    cache.stored(7, 4)
    assert cache.holds(4) and set(cache.snapshot().rows) == {"b", "c"} and cache.snapshot().at_ms == 100


def test_revision_nought_needs_no_snapshot_and_forgets_the_old_one(cache):
    assert cache.holds(0)
    assert cache.snapshot().first and not cache.snapshot().rows


def test_rows_of_another_version_are_named_not_dropped_unseen(cache):
    cache.begin()
    cache.take(
        4,
        {
            "old": b"\x81\xa5value\xa1x",
            "broken": b"\xc1",
            "mark": b"\x82\xa5value\x01\xa4note\xa1\xff",
            "b": msgspec.msgpack.encode(Row(value=2)),
        },
        1,
        True,
    )
    assert set(cache.unreadable) == {"old", "broken", "mark"} and set(cache.snapshot().rows) == {"b"}
    cache.propose(1, Changes(removed=("old", "broken", "mark")), 2)
    cache.stored(1, 5)
    assert cache.unreadable == ()
