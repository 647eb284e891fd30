"""The eyes of a worker: three questions to a process of their own."""

import contextlib
import os
import signal
import socket
import sys
import threading
import time

import msgspec
import pytest

from agent.execute import settle
from agent.eyes import Describe, Eyes, FarSighted, Question
from contracts.coverage import Blind
from contracts.errors import HoldfastError, Unavailable, Why
from contracts.host import Process, Processes, Sender, Senders, Socket, Sockets
from contracts.outcome import Ok

# The deadline's exception may be raised inside a collector callback of another plug-in, where it is lost; it comes again a second later.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Tables:
    """Sockets and processes as a host shows them; answers say which process they come from."""

    def listening(self, owners=True, ports=()):
        if not owners:
            raise Unavailable(Why.PERMISSION, "not allowed", advice="Ask.")
        sockets = tuple(
            Socket(protocol="tcp", family=4, address="::", port=n % 65536, pids=(os.getpid(),)) for n in range(20_000)
        )
        if ports:
            sockets = tuple(one for one in sockets if one.port in ports)
        return Sockets(sockets=sockets, blind=(Blind(what="some", why=Why.OTHER),))

    def sending(self, at_least, most):
        one = Sender(
            protocol="tcp", address="::1", port=1, peer="::1", peer_port=2, bytes_sent=at_least, pids=(os.getpid(),)
        )
        return Senders(connections=(one,) * most, left_out=most)

    def fingerprint(self, ephemeral_udp=True):
        return b"with" if ephemeral_udp else b"without"

    def describe(self, pids):
        if 666 in pids:
            raise ZeroDivisionError("a defect")
        if 13 in pids:
            os.kill(os.getpid(), signal.SIGKILL)
        if 99 in pids:
            time.sleep(1)
        return Processes(by_pid={pid: Process(pid=pid, name="x") for pid in pids})


class Host:
    files = commands = packages = netfilter = nftables = programs = trees = clamd = openings = change = write = None
    dry = False
    state = ""
    sockets = processes = Tables()
    read_bytes = 7

    def capabilities(self):
        return frozenset({"CAP_DAC_READ_SEARCH"})


@pytest.fixture
def eyes():
    core, other = socket.socketpair()
    made = Eyes.open(Host(), core)
    yield made
    made._sock.close()
    core.close()
    other.close()
    os.wait()


def test_they_see_what_the_host_sees_in_a_process_of_their_own(eyes):
    seen = eyes.listening()
    assert len(seen.sockets) == 20_000 and seen.blind[0].what == "some"
    assert seen.sockets[0].pids != (os.getpid(),)
    assert [one.port for one in eyes.listening(ports=[22, 80]).sockets] == [22, 80]
    assert set(eyes.describe([1, 2]).by_pid) == {1, 2}
    assert eyes.cpu_s > 0


def test_what_they_cannot_see_and_where_they_break_is_said_here(eyes):
    with pytest.raises(Unavailable) as refused:
        eyes.listening(owners=False)
    assert (refused.value.why, refused.value.message, refused.value.advice) == (Why.PERMISSION, "not allowed", "Ask.")
    with pytest.raises(HoldfastError, match="ZeroDivisionError: a defect"):
        eyes.describe([666])
    assert set(eyes.describe([1]).by_pid) == {1}


def test_an_answer_that_comes_after_its_deadline_is_not_taken_for_the_next(eyes):
    outcome, _ = settle(lambda: eyes.describe([99]), 0.2)
    assert "timeout" in outcome.error
    outcome, seen = settle(lambda: eyes.describe([7]), None)
    assert outcome == Ok() and set(seen.by_pid) == {7}


def test_a_deadline_in_the_middle_of_a_large_answer_spoils_nothing(eyes):
    for delay_s in (0.02, 0.05, 0.08, 0.11):
        settle(eyes.listening, delay_s)
        assert set(eyes.describe([5]).by_pid) == {5}


@pytest.mark.parametrize("calls", range(1, 8))
def test_a_deadline_right_after_a_part_arrived_spoils_nothing(eyes, calls):
    """Wherever the interpreter may let a signal in; it does so after every call of its own."""

    class Struck(Exception):
        pass

    left = calls

    def strike(_frame, event, called):
        nonlocal left
        left -= event == "c_return" and called.__name__ in ("recv", "extend")
        if left == 0:
            sys.setprofile(None)
            raise Struck

    sys.setprofile(strike)
    with contextlib.suppress(Struck):
        for _ in range(calls):  # an answer may come in fewer parts than there are calls to strike after
            eyes.listening()
    sys.setprofile(None)
    assert left == 0
    assert set(eyes.describe([5]).by_pid) == {5}


def test_several_threads_may_ask_at_once(eyes):
    wrong = []

    def ask(number):
        for _ in range(30):
            if set(eyes.describe([number]).by_pid) != {number}:
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=[number]) for number in range(200, 204)]
    for thread in threads:
        thread.start()
    assert len(eyes.listening().sockets) == 20_000
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_host_that_sees_through_them_says_so_and_is_itself_otherwise(eyes):
    host = FarSighted(Host(), eyes)
    assert host.capabilities() == {"CAP_DAC_READ_SEARCH", "CAP_SYS_PTRACE"}
    assert host.read_bytes == 7 and host.dry is False
    before = host.cpu_s
    host.sockets.listening()
    assert host.cpu_s > before
    assert host.sockets.fingerprint(ephemeral_udp=False) == b"without", "asked of the host itself"


def test_without_eyes_a_worker_ends_rather_than_see_less():
    pid = os.fork()
    if pid == 0:
        core, _other = socket.socketpair()
        Eyes.open(Host(), core).describe([13])
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 70


def test_they_say_which_connections_sent_much(eyes):
    found = FarSighted(Host(), eyes).sockets.sending(5, 1)
    assert [(one.bytes_sent, one.pids != (os.getpid(),)) for one in found.connections] == [(5, True)], "seen elsewhere"
    assert found.left_out == 1


def test_there_are_three_questions_and_no_more():
    decoder = msgspec.msgpack.Decoder(Question)
    assert decoder.decode(msgspec.msgpack.encode(Describe(id=1, pids=(1,)))) == Describe(id=1, pids=(1,))
    for other in ({"type": "read", "id": 1, "path": "/etc/shadow"}, {"type": "describe", "id": 1, "pids": ["/etc"]}):
        with pytest.raises(msgspec.ValidationError):
            decoder.decode(msgspec.msgpack.encode(other))
