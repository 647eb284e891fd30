"""A worker's way to the core."""

import select
import socket
import threading
import time

import pytest

from agent.channel import Channel, CoreGone, Ending
from agent.framing import core_codec, pack, read_frame, worker_codec, write_frame
from contracts.errors import Malformed
from contracts.frames import Ping, Pong


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_frames_of_many_threads_do_not_mix(ends):
    ours, theirs = ends
    channel = Channel(theirs)
    threads = [threading.Thread(target=lambda: [channel.send(Pong(nonce=n)) for n in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    nonces = [worker_codec().decode(read_frame(ours)).nonce for _ in range(800)]
    assert sorted(nonces) == sorted(list(range(200)) * 4)
    for thread in threads:
        thread.join()


def test_receiving_ends_by_time_by_the_end_and_by_the_cores_end(ends):
    ours, theirs = ends
    channel, ending = Channel(theirs), Ending()
    assert channel.receive(0.01, ending) is None
    write_frame(ours, core_codec().encode(Ping(nonce=1)))
    assert channel.receive(1, ending) == Ping(nonce=1)
    ours.sendall(pack(b"\xc1"))
    with pytest.raises(Malformed):
        channel.receive(1, ending)
    ours.close()
    with pytest.raises(CoreGone):
        channel.receive(1, ending)
    ending.set()
    assert channel.receive(None, ending) is None
    with pytest.raises(CoreGone):
        channel.send(Pong(nonce=1))
        channel.send(Pong(nonce=1))


def test_a_plug_ins_except_exception_does_not_hide_that_the_core_is_gone():
    assert not issubclass(CoreGone, Exception)


def test_the_end_wakes_who_waits_and_stays():
    ending = Ending()
    assert not ending.is_set() and not ending.wait(0.01)
    threading.Timer(0.05, ending.set).start()
    started = time.monotonic()
    assert ending.wait(60) and time.monotonic() - started < 30
    assert ending.is_set() and select.select([ending.fileno()], [], [], 0)[0]
