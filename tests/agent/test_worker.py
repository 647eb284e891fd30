"""A real worker process: handshake, looks, and every way in which it ends."""

import os
import signal
import socket
import time

import msgspec
import pytest

from agent.framing import core_codec, read_frame, worker_codec, write_frame
from contracts.errors import Why
from contracts.frames import (
    PROTOCOL,
    Collect,
    Done,
    Goodbye,
    Hello,
    NeedSnapshot,
    Ping,
    Pong,
    Ready,
    ReportPage,
    SnapshotPage,
    Stored,
)
from contracts.outcome import Failed, Ok, Unavailable


class Core:
    """The core's side of one worker's socket."""

    def __init__(self, sock, script=""):
        self.sock = sock
        sock.settimeout(60)
        options = {"probe": msgspec.msgpack.encode({"script": script})} if isinstance(script, str) else script
        self.say(Hello(protocol=PROTOCOL, options=options))
        self.ready = self.hear()
        self.runs = 0

    def say(self, frame):
        write_frame(self.sock, core_codec().encode(frame))

    def hear(self):
        body = read_frame(self.sock)
        return None if body is None else worker_codec().decode(body)

    def collect(self, revision=0, deadline_s=30.0, subject="probe"):
        self.runs += 1
        self.say(Collect(id=self.runs, subject=subject, revision=revision, deadline_s=deadline_s))
        return self.rest()

    def rest(self):
        pages = []
        while isinstance(frame := self.hear(), ReportPage):
            pages.append(frame)
        return frame, pages


@pytest.fixture
def core(launch, script):
    script(rows={"a": "1"})
    made = Core(launch().connect("reader"), script.path)
    yield made
    made.sock.close()


def gone(pid, within_s=60.0):
    until = time.monotonic() + within_s
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < until:
        time.sleep(0.02)
    return not os.path.exists(f"/proc/{pid}")


def test_it_says_who_it_is(core):
    assert isinstance(core.ready, Ready)
    assert (core.ready.worker, core.ready.protocol) == ("reader", PROTOCOL)
    assert os.path.exists(f"/proc/{core.ready.pid}")


def test_it_asks_for_the_snapshot_it_does_not_hold_and_only_for_that(core, script):
    done, _ = core.collect(revision=0)
    assert done.outcome == Ok()
    core.say(Stored(id=1, subject="probe", revision=1))
    done, pages = core.collect(revision=1)
    assert isinstance(done, Done) and not pages
    needed, _ = core.collect(revision=5)
    assert needed == NeedSnapshot(id=3, subject="probe")
    row = msgspec.msgpack.encode({"value": "0"})
    core.say(SnapshotPage(id=3, subject="probe", revision=5, rows={"a": row}, at_ms=1, last=False))
    core.say(SnapshotPage(id=3, subject="probe", revision=5, rows={"z": row}, at_ms=1, last=True))
    done, pages = core.rest()
    assert (set(pages[0].put), pages[0].removed) == ({"a"}, ("z",))


def test_without_the_cores_word_it_does_not_move_on(core):
    core.collect(revision=0)
    needed, _ = core.collect(revision=1)
    assert isinstance(needed, NeedSnapshot)


def test_rows_of_another_version_are_replaced_and_it_says_so(core):
    core.collect(revision=2)
    core.say(
        SnapshotPage(
            id=1, subject="probe", revision=2, rows={"old": msgspec.msgpack.encode({"size": 3})}, at_ms=1, last=True
        )
    )
    done, pages = core.rest()
    assert done.blind[0].why == Why.MALFORMED and pages[-1].removed == ("old",)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("crash", "ZeroDivisionError"),
        ("system_exit", "SystemExit"),
        ("nothing", "not a Report"),
        ("undeclared", "undeclared kind"),
        ("surrogate", "cannot be encoded"),
        ("huge_row", "cannot be encoded"),
    ],
)
def test_a_look_that_breaks_is_failed_and_the_worker_goes_on(core, script, how, said):
    script(how=how)
    done, _ = core.collect()
    assert isinstance(done.outcome, Failed) and said in done.outcome.error
    script(rows={})
    assert core.collect()[0].outcome == Ok()


def test_what_it_cannot_see_is_carried(core, script):
    script(how="unavailable")
    assert core.collect()[0].outcome == Unavailable(
        why=Why.TOOL_MISSING, detail="nft is not there", fix="Install nftables."
    )
    script(how="blind")
    assert core.collect()[0].blind[0].what == "half of it"
    assert core.collect(subject="weather")[0].outcome.why == Why.DISABLED


def test_two_events_of_one_name_in_one_look_stay_two(core, script):
    script(how="twice")
    _, pages = core.collect()
    assert len({event.dedup for event in pages[0].events}) == 2


def test_settings_that_do_not_fit_are_failed_for_good(launch):
    core = Core(launch().connect("reader"), {"probe": msgspec.msgpack.encode({"every": "often"})})
    done, _ = core.collect()
    assert isinstance(done.outcome, Failed) and done.outcome.permanent and "settings of probe" in done.outcome.error


def test_it_answers_a_ping_with_its_memory_while_a_look_is_at_work(core, script):
    script(how="sleep")
    core.say(Collect(id=1, subject="probe", revision=0, deadline_s=5.0))
    core.say(Ping(nonce=5))  # heard long before the look is over
    pong = core.hear()
    # This worker is a fork of the test runner, whose memory it shares and counts.
    assert isinstance(pong, Pong) and pong.nonce == 5 and 1 << 20 < pong.pss_bytes < 1 << 36
    assert "timeout" in core.hear().outcome.error


def test_it_ends_with_the_core_even_while_a_look_is_at_work(core, script):
    script(how="loop")
    core.say(Collect(id=1, subject="probe", revision=0, deadline_s=60))
    time.sleep(0.2)
    core.sock.close()
    assert gone(core.ready.pid)


@pytest.mark.parametrize("farewell", ["goodbye", "end of stream", "sigterm"])
def test_it_ends_in_an_orderly_way(core, farewell):
    if farewell == "goodbye":
        core.say(Goodbye())
    elif farewell == "sigterm":
        os.kill(core.ready.pid, signal.SIGTERM)
    else:
        core.sock.shutdown(socket.SHUT_WR)
    assert core.hear() is None
    assert gone(core.ready.pid)


def test_ctrl_c_is_not_for_the_worker(core):
    os.kill(core.ready.pid, signal.SIGINT)
    assert core.collect()[0].outcome == Ok()


@pytest.mark.parametrize("bytes_said", [b"\xff\xff\xff\xff", b"\0\0\0\x01\xc1"])
def test_it_ends_when_the_core_says_what_is_no_frame(core, bytes_said):
    core.sock.sendall(bytes_said)
    assert core.hear() is None
    assert gone(core.ready.pid)


def test_another_protocol_is_answered_and_then_it_ends(launch):
    sock = launch().connect("reader")
    write_frame(sock, core_codec().encode(Hello(protocol=PROTOCOL + 1, options={})))
    ready = worker_codec().decode(read_frame(sock))
    assert ready.protocol == PROTOCOL
    assert read_frame(sock) is None
