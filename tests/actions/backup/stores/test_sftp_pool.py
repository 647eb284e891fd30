"""The pool: no more sessions than allowed, none lent twice, none given out that is broken."""

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from actions.backup.stores.sftp_pool import Pool
from actions.backup.stores.store import StoreError


class Sessions:
    """Makes sessions that only say whether they are usable."""

    def __init__(self) -> None:
        self.made: list[Any] = []

    def __call__(self) -> Any:
        session = SimpleNamespace(is_usable=True, closed=0)

        def close() -> None:
            session.closed += 1

        session.close = close
        self.made.append(session)
        return session


def test_a_session_is_used_again() -> None:
    make = Sessions()
    pool = Pool(make, lambda: 2)
    for _ in range(3):
        with pool.session() as session:
            assert session is make.made[0]
    assert len(make.made) == 1


def test_threads_share_no_more_than_allowed() -> None:
    make = Sessions()
    pool = Pool(make, lambda: 2)
    lent: set[int] = set()
    most = []
    together = threading.Barrier(2)

    def work() -> None:
        for turn in range(5):
            with pool.session() as session:
                if not turn:
                    together.wait(60)  # so that two are lent at once
                assert id(session) not in lent
                lent.add(id(session))
                most.append(len(lent))
                time.sleep(0.001)
                lent.discard(id(session))

    threads = [threading.Thread(target=work) for _ in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(make.made) == 2
    assert max(most) <= 2


def test_one_that_broke_while_lent_is_closed_and_another_made() -> None:
    make = Sessions()
    pool = Pool(make, lambda: 1)
    with pytest.raises(ZeroDivisionError), pool.session() as session:
        session.is_usable = False
        raise ZeroDivisionError
    with pool.session() as session:
        assert session is make.made[1]
    assert [one.closed for one in make.made] == [1, 0]


def test_one_that_broke_while_it_lay_is_not_lent() -> None:
    make = Sessions()
    pool = Pool(make, lambda: 1)
    with pool.session() as first:
        pass
    first.is_usable = False
    with pool.session() as second:
        assert second is not first
    assert make.made[0].closed == 1


def test_failing_to_make_one_keeps_the_place() -> None:
    answers: list[Any] = [StoreError("no"), Sessions()()]

    def make() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    pool = Pool(make, lambda: 1)
    with pytest.raises(StoreError), pool.session():
        pass
    with pool.session():
        pass


def test_closing_closes_all_even_those_that_come_back_later() -> None:
    make = Sessions()
    pool = Pool(make, lambda: 2)
    with pool.session() as lent:
        with pool.session():
            pass
        pool.close()
        assert [session.closed for session in make.made] == [0, 1]
    assert lent.closed == 1
    with pytest.raises(StoreError, match="closed"), pool.session():
        pass
