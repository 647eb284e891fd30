"""Watchers in a worker: states, facts, gaps, and trying again."""

import errno
import queue
import socket
import threading
import time
from datetime import UTC, datetime

import msgspec
import pytest

from agent import watching
from agent.channel import Channel, Ending
from agent.framing import read_frame, worker_codec
from agent.watching import Watch
from contracts.coverage import Blind
from contracts.errors import Unavailable, Why
from contracts.event import Kind, Severity
from contracts.frames import PAGE_BYTES, Changed, Emitted, Fetch, Gap, Keep, Material, Retune, Watching
from contracts.options import CollectorOptions
from contracts.outcome import Failed, Ok

TICKED = Kind(name="t.ticked", meaning="It ticked.", title="tick", severity=Severity.LOW)
OTHER = Kind(name="t.other", meaning="Nobody declares it.", title="other", severity=Severity.LOW)


class Host:
    def now(self):
        return datetime.now(UTC)


@pytest.fixture
def watch(monkeypatch):
    """Start a watcher whose `watch` is the function given; returns a function that returns the next frame."""
    monkeypatch.setattr(watching, "SETTLE_S", 2.0)  # a thread may wait so long for its turn
    monkeypatch.setattr(watching, "RETRY_S", 0.05)
    ours, theirs = socket.socketpair()
    ours.settimeout(30)
    ending = Ending()

    def start(how):
        class Watcher:
            name, kinds = "t", (TICKED,)

            def watch(self, host, emit, stop):
                how(emit, stop)

        Watch("t", Watcher(), Host(), Channel(theirs), ending).start()

        def hear(wait_s=60):
            ours.settimeout(wait_s)
            return worker_codec().decode(read_frame(ours))

        return hear

    yield start
    ending.set()
    time.sleep(0.02)
    ours.close()
    theirs.close()


def test_one_that_neither_ends_nor_speaks_is_watching(watch):
    assert watch(lambda emit, stop: stop.wait(10))() == Watching(watcher="t", outcome=Ok())


def test_facts_have_time_and_a_key_of_their_own_and_come_after_the_state(watch):
    def how(emit, stop):
        emit.event(TICKED.event("a"))
        emit.event(TICKED.event("a"))
        stop.wait(10)

    hear = watch(how)
    assert isinstance(hear(), Watching)
    first, second = hear(), hear()
    assert isinstance(first, Emitted) and first.event.observed_ms > 0
    assert first.event.dedup and first.event.dedup != second.event.dedup


def test_one_that_cannot_watch_says_why_once_whatever_a_part_of_it_says_meanwhile(watch):
    tries = []

    def how(emit, stop):
        tries.append(1)
        emit.blind((Blind(what=f"half {len(tries)}", why=Why.OTHER),))
        if len(tries) < 4:
            raise Unavailable(Why.PERMISSION, "not allowed")
        stop.wait(10)

    hear = watch(how)
    assert hear().outcome == Ok()
    assert hear().outcome.why == Why.PERMISSION
    again = hear()
    assert len(tries) == 4
    assert again == Watching(watcher="t", outcome=Ok(), blind=(Blind(what="half 4", why=Why.OTHER),))


def test_one_that_watches_again_states_the_whole_gap_once(watch):
    tries = []

    def how(emit, stop):
        tries.append(1)
        if len(tries) < 3:
            raise Unavailable(Why.PERMISSION, "not allowed")
        stop.wait(10)

    hear = watch(how)
    assert hear().outcome.why == Why.PERMISSION
    assert hear() == Watching(watcher="t", outcome=Ok())
    gap = hear()
    assert isinstance(gap, Gap) and gap.seconds > 0.05


def test_one_that_breaks_or_just_returns_is_failed_not_silent(watch):
    def breaks(emit, stop):
        raise KeyError("broken")

    assert "KeyError" in watch(breaks)().outcome.error
    assert watch(lambda emit, stop: None)


def test_one_that_returns_is_failed(watch):
    assert watch(lambda emit, stop: None)().outcome == Failed(error="it stopped watching by itself")


def test_an_undeclared_kind_is_its_defect(watch):
    assert "undeclared kind t.other" in watch(lambda emit, stop: emit.event(OTHER.event("a")))().outcome.error


def test_bursts_of_changes_collapse_and_the_last_is_not_lost(watch, monkeypatch):
    monkeypatch.setattr(watching, "COLLAPSE_S", 3.0)  # longer than it takes to ask so often, on whatever machine
    done = queue.SimpleQueue()

    def how(emit, stop):
        for _ in range(1000):
            emit.changed("x")
        done.put(time.monotonic())
        stop.wait(60)

    hear = watch(how)
    assert isinstance(hear(), Watching)
    assert hear() == Changed(watcher="t", subject="x")
    last = done.get()
    assert hear() == Changed(watcher="t", subject="x") and time.monotonic() >= last, (
        "one more, after the last that asked"
    )
    with pytest.raises(TimeoutError):
        hear(0.3)


def test_blind_spots_are_part_of_its_state(watch):
    spots = (Blind(what="half", why=Why.OTHER),)

    def how(emit, stop):
        emit.blind(spots)
        emit.blind(spots)
        emit.gap("overflow", 1.5)
        stop.wait(10)

    hear = watch(how)
    assert hear() == Watching(watcher="t", outcome=Ok(), blind=spots)
    assert hear() == Gap(watcher="t", reason="overflow", seconds=1.5)


def pair(live=True):
    class Watcher:
        name, kinds, options = "t", (TICKED,), CollectorOptions

        def watch(self, host, emit, stop):
            stop.wait(10)

    ours, theirs = socket.socketpair()
    ours.settimeout(30)
    watch = Watch("t", Watcher(), Host(), Channel(theirs), Ending())
    return watch, lambda: worker_codec().decode(read_frame(ours))


def test_what_is_fetched_comes_in_pieces_and_is_given_once():
    watch, said = pair()
    watch.fetch("rules", "old")
    assert said() == Fetch(watcher="t", name="rules", have="old")
    assert watch.fetched("rules") is None
    for data, last in ((b"one ", False), (b"file", False)):
        watch.take(Material(watcher="t", name="rules", signature="s", role="rules", path="/a", data=data, last=last))
    watch.take(Material(watcher="t", name="rules", signature="s", role="rules", path="/b", problem="gone"))
    assert watch.fetched("rules") is None, "not yet whole"
    watch.take(Material(watcher="t", name="rules", signature="s", last=True))
    answer = watch.fetched("rules")
    assert [(one.path, one.data, one.problem) for one in answer.pieces] == [
        ("/a", b"one file", ""),
        ("/b", b"", "gone"),
    ]
    assert answer.signature == "s" and watch.fetched("rules") is None
    watch.fetch("rules", "s")
    watch.take(Material(watcher="t", name="rules", signature="s", unchanged=True, last=True))
    assert watch.fetched("rules").pieces is None
    watch.take(Material(watcher="t", name="other", signature="s", last=True))
    assert watch.fetched("other") is None, "nobody asked"


def test_what_is_to_be_kept_travels_in_pieces_and_settings_come_while_it_watches():
    watch, said = pair()
    # More than a socket holds: sending waits until the other side reads, as the core does.
    sending = threading.Thread(target=watch.keep, args=("evidence", "a.pcap", b"x" * (PAGE_BYTES + 1)), daemon=True)
    sending.start()
    first, second = said(), said()
    sending.join(30)
    assert (len(first.data), first.last, len(second.data), second.last) == (PAGE_BYTES, False, 1, True)
    watch.keep("evidence", "empty", b"")
    assert said() == Keep(watcher="t", what="evidence", name="empty", last=True)
    assert watch.retuned() is None
    for every in (5.0, 7.0):
        watch.take(Retune(watcher="t", options=msgspec.msgpack.encode(CollectorOptions(every=every))))
    assert watch.retuned() == CollectorOptions(every=7.0) and watch.retuned() is None


def held_back(within_s, last_word, keeps=True):
    """Return what a watcher that says its last word when `last_word` is set has got out `within_s` after the end, if so long is waited."""
    ours, theirs = socket.socketpair()
    ending = Ending()

    class Watcher:
        name, kinds = "t", (TICKED,)

        def watch(self, host, emit, stop):
            stop.wait(60)
            last_word.wait(120)
            emit.keep("flows", "last", b"word")

    if keeps:
        Watcher.keeps = classmethod(lambda kind, options: {})
    one = Watch("t", Watcher(), Host(), Channel(theirs), ending)
    one.start()
    ending.set()
    began = time.monotonic()
    one.hand_over(began + within_s)
    waited = time.monotonic() - began
    ours.setblocking(False)
    try:
        return [worker_codec().decode(read_frame(ours))], waited
    except BlockingIOError:
        return [], waited
    finally:
        last_word.set()
        one._thread.join(30)
        ours.close()
        theirs.close()


def test_the_end_waits_for_one_that_hands_over_what_it_holds_and_not_for_ever():
    last_word = threading.Event()
    threading.Timer(0.3, last_word.set).start()
    said, _ = held_back(60.0, last_word)
    assert said == [Keep(watcher="t", what="flows", name="last", data=b"word", last=True)]
    said, waited = held_back(0.05, threading.Event())
    assert said == [] and waited < 30
    said, waited = held_back(60.0, threading.Event(), keeps=False)
    assert said == [] and waited < 30, "nothing is kept for it: it holds nothing"


@pytest.mark.parametrize(("error", "longest"), [(OSError(errno.ENOSPC, "full"), 0.2), (OSError(errno.EIO, "bad"), 6.4)])
def test_one_that_lacks_room_on_the_disk_is_tried_again_often(watch, monkeypatch, error, longest):
    rests, through = [], threading.Event()
    monkeypatch.setattr(watching, "ROOM_RETRY_S", 0.2)

    def rest(self, delay_s):
        rests.append(delay_s)
        if len(rests) == 8:
            through.set()
        return through.wait(0.001 if len(rests) < 8 else 10)

    def how(emit, stop):
        raise Unavailable(Why.OTHER, "the book could not be written") from error

    monkeypatch.setattr(watching.Watch, "_rest", rest)
    monkeypatch.setattr(watching.random, "uniform", lambda low, high: high)
    watch(how)
    assert through.wait(30)
    assert rests[:8] == [min(0.05 * 2**turn, longest) for turn in range(8)]
