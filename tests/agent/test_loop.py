"""The core's event loop."""

import os
import signal
import socket
import threading
import time

import pytest

from agent.loop import Loop


@pytest.fixture
def loop():
    made = Loop()
    yield made
    made.close()


def test_timers_fire_in_order_of_their_time_and_then_of_their_making(loop):
    said = []
    loop.call_later(0.02, lambda: said.append("late"))
    loop.call_later(0.0, lambda: said.append("first"))
    loop.call_later(0.0, lambda: said.append("second"))
    loop.call_later(0.03, loop.stop)
    loop.run()
    assert said == ["first", "second", "late"]


def test_a_cancelled_timer_never_fires_even_when_cancelled_by_one_due_in_the_same_round(loop):
    said = []
    victim = loop.call_later(0.001, lambda: said.append("victim"))
    loop.call_later(0.0, victim.cancel)
    loop.call_later(0.01, loop.stop)
    time.sleep(0.005)
    loop.run()
    assert said == []
    assert not victim.pending


def test_readers_and_writers_are_called_and_can_be_removed(loop):
    left, right = socket.socketpair()
    said = []

    def writable():
        said.append("writable")
        loop.remove_writer(left.fileno())
        right.send(b"x")

    def readable():
        said.append(left.recv(10))
        loop.remove(left.fileno())
        loop.call_later(0.0, loop.stop)

    loop.add_reader(left.fileno(), readable)
    loop.add_writer(left.fileno(), writable)
    loop.run()
    assert said == ["writable", b"x"]
    loop.remove(left.fileno())
    left.close()
    right.close()


def test_a_descriptor_removed_in_a_round_is_not_called_in_that_round(loop):
    pairs = [socket.socketpair() for _ in range(2)]
    called = []

    def first_wins(mine):
        called.append(mine)
        for left, _ in pairs:
            loop.remove(left.fileno())
        loop.stop()

    for number, (left, right) in enumerate(pairs):
        right.send(b"x")
        loop.add_reader(left.fileno(), lambda number=number: first_wins(number))
    loop.run()
    assert len(called) == 1
    for pair in pairs:
        for end in pair:
            end.close()


def test_other_threads_and_signal_handlers_reach_the_loop_at_once(loop):
    said, heard = [], threading.Event()

    def other():
        loop.call_soon_threadsafe(lambda: (said.append("thread"), heard.set()))
        assert heard.wait(60)
        os.kill(os.getpid(), signal.SIGUSR1)

    def handler(*_):
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=other)
    before = signal.signal(signal.SIGUSR1, handler)
    loop.call_later(0.01, thread.start)
    started = time.monotonic()
    loop.run()
    signal.signal(signal.SIGUSR1, before)
    thread.join()
    assert said == ["thread"]
    assert time.monotonic() - started < 30


def test_every_round_ticks(loop):
    ticks = []
    loop.on_tick = lambda: ticks.append(1)
    loop.call_later(0.01, lambda: loop.call_later(0.01, loop.stop))
    loop.run()
    assert len(ticks) >= 2


def test_a_defect_in_a_callback_leaves_the_loop(loop):
    def broken():
        raise ZeroDivisionError

    loop.call_later(0.0, broken)
    with pytest.raises(ZeroDivisionError):
        loop.run()
