"""Names that notices told of are looked at once they rest, and none is lost."""

import pytest

from collectors.integrity import dirty
from collectors.integrity.dirty import SETTLE_S, WRITING_S, Dirty
from contracts.trees import CLOSE_WRITE, CREATE, DELETE, IS_FOLDER, MODIFY, MOVED_FROM, MOVED_TO

LONG = 1000.0


def test_what_is_being_written_waits_for_its_end_but_not_for_ever() -> None:
    names = Dirty()
    names.add([(b"/a", b"x", CREATE, 0), (b"/a", b"x", MODIFY, 0)], 0.0)
    assert names.take(SETTLE_S, 10) == {}
    assert names.take(WRITING_S, 10) == {b"/a": {b"x"}}
    names.add([(b"/a", b"y", CREATE, 0), (b"/a", b"y", CLOSE_WRITE, 0)], 1.0)
    assert names.take(1.0 + SETTLE_S, 10) == {b"/a": {b"y"}}


def test_folders_and_deletions_are_looked_at_soon() -> None:
    names = Dirty()
    names.add([(b"/a", b"d", CREATE | IS_FOLDER, 0), (b"/a", b"x", DELETE, 0), (b"/a", b"", 0x400, 0)], 0.0)
    assert names.take(SETTLE_S, 10) == {b"/a": {b"d", b"x"}}
    assert not names.pending()


def test_a_name_that_never_rests_is_looked_at_less_often_and_at_last_once_more() -> None:
    names, looks, now = Dirty(), 0, 0.0
    while now < 60.0:
        names.add([(b"/a", b"log", CLOSE_WRITE, 0)], now)
        looks += bool(names.take(now, 10))
        now += 0.05
    assert 5 < looks < 15
    assert names.take(now + dirty.MOST_BACK_OFF_S, 10) == {b"/a": {b"log"}}


def test_a_name_is_followed_while_it_waits_for_one_of_its_first_looks() -> None:
    names = Dirty()
    names.name(b"/a", b"x", 0.0)
    assert names.follows(b"/a/x")
    for look in range(1, dirty.CALM_LOOKS + 2):
        assert names.take(float(look), 10) == {b"/a": {b"x"}} and not names.follows(b"/a/x"), "it waits for nothing"
        names.name(b"/a", b"x", look + 0.5)
        assert names.follows(b"/a/x") == (look <= dirty.CALM_LOOKS)
    assert not names.follows(b"/a/y") and not names.follows(b"/b/x")


def test_a_folder_that_moved_takes_its_names_along() -> None:
    names = Dirty()
    names.add([(b"/a/b", b"x", DELETE, 0), (b"/ab", b"x", DELETE, 0)], 0.0)
    names.whole(b"/a", 0.0)
    names.move(b"/a", b"/c")
    assert names.take(LONG, 10) == {b"/c": None, b"/c/b": {b"x"}, b"/ab": {b"x"}}


def test_a_folder_that_is_gone_is_not_looked_at() -> None:
    names = Dirty()
    names.add([(b"/a/b", b"x", DELETE, 0), (b"/ab", b"x", DELETE, 0)], 0.0)
    names.whole(b"/a", 0.0)
    names.drop([b"/a"])
    assert names.take(LONG, 10) == {b"/ab": {b"x"}}


def test_a_flood_of_names_becomes_whole_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dirty, "MOST_NAMES", 5)
    names = Dirty()
    names.add([(b"/a", b"%d" % n, DELETE, 0) for n in range(10)], 0.0)
    assert names.take(LONG, 10)[b"/a"] is None


def test_a_scan_knows_what_changed_behind_its_back() -> None:
    names = Dirty()
    names.watching_scan = True
    names.add([(b"/a", b"x", CLOSE_WRITE, 0)], 5.0)
    names.take(LONG, 10)
    assert names.changed_since(b"/a", 4.0) and not names.changed_since(b"/a", 6.0)
    assert not names.changed_since(b"/b", 0.0)
    names.forget_recent()
    assert not names.changed_since(b"/a", 4.0)


def test_overflows_are_counted_and_a_wake_before_the_wait_is_not_lost() -> None:
    names = Dirty()
    names.overflow()
    names.wait(0.0, LONG)
    assert names.overflows() == 1 and names.overflows() == 0
    names.wake()
    names.wait(0.0, LONG)


def test_what_is_hurried_is_due_at_once_also_a_name_that_never_rests() -> None:
    names, now = Dirty(), 0.0
    for _ in range(40):
        names.add([(b"/a", b"log", CLOSE_WRITE, 0)], now)
        names.take(now, 10)
        now += 0.05
    names.add([(b"/a", b"log", CLOSE_WRITE, 0), (b"/a", b"new", CREATE, 0)], now)
    assert names.take(now, 10) == {} and not names.is_due(now)
    names.hurry(now)
    assert names.is_due(now) and names.take(now, 10) == {b"/a": {b"log", b"new"}} and not names.is_due(now)


def test_other_names_of_a_renamed_file_are_taken_with_it_whether_they_are_due_or_not() -> None:
    names = Dirty()
    for now in (0.0, 1.0, 2.0, 3.0, 4.0, 5.0):
        names.add([(b"/b", b"hot", CLOSE_WRITE, 0)], now)
        names.take(now + 0.5, 10)
    names.add([(b"/a", b"x", MOVED_FROM, 7), (b"/b", b"hot", MOVED_TO, 7), (b"/a", b"other", DELETE, 0)], 6.0)
    assert names.take(6.0 + SETTLE_S, 10) == {b"/a": {b"x", b"other"}}
    assert names.together([b"/a/x", b"/a/other"], 6.1) == {b"/b": {b"hot"}}
    assert names.together([b"/a/x"], 6.1) == {} and not names.pending()
