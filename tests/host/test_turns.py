"""One thread at a time has the turn, and disks count as slow while most folders had to be read from one."""

import threading

from host.turns import Turns


def test_only_one_has_the_turn() -> None:
    turns, order = Turns(), list[str]()
    turns.begin()

    def other() -> None:
        turns.begin()
        order.append("other")
        turns.end()

    thread = threading.Thread(target=other)
    thread.start()
    order.append("first")
    turns.end()
    thread.join(10)
    assert order == ["first", "other"]


def test_a_disk_may_be_supposed_until_some_folders_have_told() -> None:
    turns = Turns(suppose_slow=True)
    assert turns.is_slow()
    turns.looked(waited=False)  # the first one is in memory wherever anything was done
    assert turns.is_slow()
    for _ in range(9):
        turns.looked(waited=False)
    assert not turns.is_slow()


def test_disks_are_slow_when_most_folders_waited_for_one_and_not_because_of_one_among_many() -> None:
    turns = Turns()
    turns.looked(waited=True)
    assert not turns.is_slow()
    for _ in range(10):
        turns.looked(waited=True)
    assert turns.is_slow()
    for _ in range(30):
        turns.looked(waited=False)
    assert not turns.is_slow()
