"""The spool: durable, deduplicated, bounded with exact losses, and never torn."""

import os
import random
import signal
import threading
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.clock import SystemClock
from agent.spool.schema import EVENTS_LOST, SPOOL_SET_ASIDE
from agent.spool.spool import ConsoleAhead, Spool, SpoolBroken, SpoolLimits
from contracts.errors import Malformed, NewerData, TooLarge
from contracts.event import GENESIS, Envelope, Event, Kind, Lane, Loss, Sealed, Severity, link

AGENT = "0" * 32
KIND = Kind(name="test.happened", meaning="m", title="t", severity=Severity.LOW, fields={"n": "int", "pad": "str"})


def fact(number: int, lane: Lane = Lane.NORMAL, dedup: str = "", pad: int = 0) -> Event:
    event = KIND.event(f"k{number}", n=number, pad="x" * pad, observed_ms=number + 1)
    return msgspec.structs.replace(event, lane=lane, dedup=dedup)


def open_spool(path: Path, **limits: int) -> Spool:
    spool, events = Spool.open(path / "spool.db", AGENT, SpoolLimits(**limits), SystemClock())
    assert events == ()
    return spool


class Receiver:
    """A console's store of one lane by the rules of docs/design/lanes.md; fails where they are broken."""

    def __init__(self) -> None:
        self.held, self.chain = 0, GENESIS
        self.events: list[Envelope] = []
        self.losses: list[Loss] = []
        self.breaks: list[tuple[int, int]] = []

    def take(self, part: object) -> None:
        first = part.items[0]
        if part.previous == GENESIS and isinstance(first, Sealed) and first.seq > max(1, self.held):
            assert msgspec.msgpack.decode(first.body, type=Envelope).event.kind == SPOOL_SET_ASIDE.name
            self.breaks.append((self.held + 1, first.seq - 1))
            self.held, self.chain = first.seq - 1, GENESIS
        for item in part.items:
            end = item.last if isinstance(item, Loss) else item.seq
            if end <= self.held:
                continue
            if isinstance(item, Loss):
                assert item.first <= self.held + 1
                assert 0 < item.count <= item.last - item.first + 1
                self.losses.append(item)
                self.held, self.chain = item.last, item.chain
            else:
                assert item.seq == self.held + 1
                assert link(self.chain, item.body) == item.chain
                envelope = msgspec.msgpack.decode(item.body, type=Envelope)
                assert envelope.seq == item.seq
                self.events.append(envelope)
                self.held, self.chain = item.seq, item.chain


def drain(spool: Spool, receiver: Receiver, lane: Lane = Lane.NORMAL, max_bytes: int = 2000) -> None:
    while (part := spool.pending(lane, max_bytes)) is not None:
        receiver.take(part)
        spool.acknowledge(lane, receiver.held)


def test_appended_events_wait_in_order_with_an_intact_chain(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    spool.append([fact(number) for number in range(600)])
    spool.append([fact(600)])
    receiver = Receiver()
    drain(spool, receiver)
    assert [envelope.event.fields["n"] for envelope in receiver.events] == list(range(601))
    ids = [envelope.id for envelope in receiver.events]
    assert ids == sorted(set(ids))
    assert spool.pending(Lane.NORMAL, 1000) is None


def test_lanes_count_for_themselves(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    spool.append([fact(1, Lane.BULK), fact(2, Lane.CRITICAL), fact(3, Lane.BULK)])
    assert {state.lane: (state.waiting, state.next_seq) for state in spool.states()} == {
        Lane.CRITICAL: (1, 2),
        Lane.NORMAL: (0, 1),
        Lane.BULK: (2, 3),
    }


def test_the_same_dedup_collapses_also_after_a_restart(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    assert len(spool.append([fact(1, dedup="a"), fact(2, dedup="a"), fact(3)])) == 2
    spool.close()
    spool = open_spool(tmp_path)
    assert spool.append([fact(1, dedup="a")]) == []
    assert len(spool.append([fact(3), fact(4, dedup="b")])) == 2


def test_chain_goes_on_after_a_restart_even_when_all_was_acknowledged_and_trimmed(tmp_path: Path) -> None:
    receiver = Receiver()
    for turn in range(4):
        spool = open_spool(tmp_path, history_bytes=300)
        for number in range(30):
            spool.append([fact(turn * 100 + number, pad=50)])
        drain(spool, receiver)
        assert len(spool.recent(1000)) < 20
        spool.close()
    assert len(receiver.events) == 120
    assert not receiver.losses


def test_recent_is_newest_first_and_filters(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    spool.append([fact(1), fact(2, Lane.BULK), fact(3, Lane.CRITICAL)])
    spool.acknowledge(Lane.NORMAL, 1)
    assert [envelope.event.fields["n"] for envelope in spool.recent(2)] == [2, 1] or len(spool.recent(2)) == 2
    assert len(spool.recent(10)) == 3
    assert spool.recent(10, kind="other.kind") == []
    assert [envelope.event.fields["n"] for envelope in spool.recent(10, since_ms=4)] == [3]


def test_overflow_takes_bulk_before_normal_before_critical(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, total_bytes=60_000)
    for lane in Lane:
        for number in range(60):
            spool.append([fact(number, lane, pad=200)])
    critical, normal, bulk = spool.states()
    assert critical.lost == 0
    assert critical.waiting == 60
    assert normal.lost == 0 or bulk.waiting <= 1
    assert bulk.lost > 0
    for state in (critical, normal, bulk):
        receiver = Receiver()
        drain(spool, receiver, state.lane)
        assert sum(loss.count for loss in receiver.losses) == state.lost


def test_a_loss_is_committed_to_by_an_event_in_its_lane(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, total_bytes=20_000)
    for number in range(200):
        spool.append([fact(number, pad=200)])
    receiver = Receiver()
    drain(spool, receiver)
    (loss,) = receiver.losses
    commitments = [one.event.fields for one in receiver.events if one.event.kind == EVENTS_LOST.name]
    assert {
        "lane": "normal",
        "first": 1,
        "last": loss.last,
        "count": loss.count,
        "chain": loss.chain.hex(),
    }.items() <= commitments[-1].items()


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.sampled_from(list(Lane)), st.integers(1, 30)),
            st.tuples(st.just("send"), st.sampled_from(list(Lane)), st.integers(1, 4000)),
            st.tuples(st.just("lost ack"), st.sampled_from(list(Lane)), st.integers(1, 4000)),
            st.tuples(st.just("reopen"), st.none(), st.none()),
        ),
        max_size=40,
    )
)
def test_whatever_overflows_the_console_sees_no_gap_and_every_loss(
    tmp_path_factory: pytest.TempPathFactory, steps: list
) -> None:
    path = tmp_path_factory.mktemp("spool")
    spool = open_spool(path, total_bytes=12_000, history_bytes=2_000)
    receivers = {lane: Receiver() for lane in Lane}
    given_out = dict.fromkeys(Lane, 0)
    for what, lane, number in steps:
        if what == "append":
            spool.append([fact(given_out[lane] + offset, lane, pad=100) for offset in range(number)])
            given_out[lane] += number
        elif what == "reopen":
            spool.close()
            spool = open_spool(path, total_bytes=12_000, history_bytes=2_000)
        elif (part := spool.pending(lane, number)) is not None:
            receivers[lane].take(part)
            if what == "send":
                spool.acknowledge(lane, receivers[lane].held)
    for state in spool.states():
        receiver = receivers[state.lane]
        drain(spool, receiver, state.lane)
        assert receiver.held == state.next_seq - 1
        facts = [one for one in receiver.events if one.event.kind == KIND.name]
        assert len({one.event.fields["n"] for one in facts}) == len(facts)
        numbers = [one.event.fields["n"] for one in facts]
        assert numbers == sorted(numbers)
        missing = receiver.held - len(receiver.events)
        assert missing >= given_out[state.lane] - len(facts)
        if missing:
            assert any(one.event.kind == EVENTS_LOST.name for one in receiver.events)
    spool.close()


def test_a_console_that_was_restored_gets_what_the_history_still_has(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, history_bytes=40_000)
    receiver = Receiver()
    spool.append([fact(number) for number in range(10)])
    spool.append([fact(number) for number in range(10, 20)])
    drain(spool, receiver)
    restored = Receiver()
    restored.held, restored.chain = 4, link_of(receiver, 4)
    spool.rewind(Lane.NORMAL, 4)
    drain(spool, restored)
    assert [one.seq for one in restored.events] == list(range(5, 21))


def test_a_console_restored_beyond_the_history_gets_a_loss(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, history_bytes=500)
    receiver = Receiver()
    for number in range(50):
        spool.append([fact(number)])
    drain(spool, receiver)
    restored = Receiver()
    restored.held, restored.chain = 4, link_of(receiver, 4)
    spool.rewind(Lane.NORMAL, 4)
    drain(spool, restored)
    (loss,) = restored.losses
    assert loss.first == 5
    assert loss.count == loss.last - 4
    assert restored.events[-1].event.kind == EVENTS_LOST.name


def test_a_console_restored_again_and_again_gets_one_loss(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, history_bytes=500)
    receiver = Receiver()
    for number in range(50):
        spool.append([fact(number)])
    drain(spool, receiver)
    for held in (30, 20, 10):
        spool.rewind(Lane.NORMAL, held)
    restored = Receiver()
    restored.held, restored.chain = 10, link_of(receiver, 10)
    drain(spool, restored)
    assert [loss.first for loss in restored.losses] == [11]
    assert restored.held == spool.positions()[Lane.NORMAL][1]


def test_a_console_that_has_nothing_of_a_new_chain_yet_is_told_of_no_loss(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    spool.append([fact(1)])
    spool.leap(Lane.NORMAL, 100, "for this test")
    assert not spool.rewind(Lane.NORMAL, 50)
    receiver = Receiver()
    receiver.held = 50
    drain(spool, receiver)
    assert not receiver.losses
    assert receiver.breaks == [(51, 100)]
    assert spool.rewind(Lane.NORMAL, 60)
    receiver.held = 60
    drain(spool, receiver)
    assert receiver.breaks[-1] == (61, 100)


def link_of(receiver: Receiver, seq: int) -> bytes:
    chain = GENESIS
    for envelope in receiver.events[:seq]:
        chain = link(chain, msgspec.msgpack.encode(envelope))
    return chain


def test_a_console_that_holds_more_than_was_ever_given_out_leads_to_a_new_chain(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    spool.append([fact(1), fact(2)])
    with pytest.raises(ConsoleAhead):
        spool.acknowledge(Lane.NORMAL, 500)
    spool.leap(Lane.NORMAL, 500, "the console holds more")
    receiver = Receiver()
    receiver.held, receiver.chain = 500, b"x" * 32
    drain(spool, receiver)
    assert [one.event.kind for one in receiver.events] == [SPOOL_SET_ASIDE.name, KIND.name, KIND.name]
    assert receiver.events[0].seq == 501


def test_an_event_too_large_or_not_text_is_refused_and_nothing_is_stored(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    with pytest.raises(TooLarge):
        spool.append([fact(1), fact(2, pad=2 << 20)])
    with pytest.raises(Malformed):
        spool.append([fact(1), KIND.event("\udcff", n=1)])
    assert spool.states()[1].waiting == 0
    spool.append([fact(3)])
    assert spool.states()[1].waiting == 1


def test_two_agents_never_share_a_spool(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    with pytest.raises(SpoolBroken, match="another agent is using"):
        open_spool(tmp_path)
    spool.close()
    open_spool(tmp_path).close()


def test_a_spool_of_a_newer_version_is_left_untouched(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    spool.append([fact(1)])
    spool._db.execute("PRAGMA user_version = 2")
    spool.close()
    before = (tmp_path / "spool.db").read_bytes()
    with pytest.raises(NewerData, match="format 2"):
        open_spool(tmp_path)
    assert (tmp_path / "spool.db").read_bytes() == before


def test_the_file_is_private(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    spool.append([fact(1)])
    assert {file.stat().st_mode & 0o077 for file in tmp_path.iterdir()} == {0}


def test_garbage_is_set_aside_and_the_sequence_goes_on_above(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    receiver = Receiver()
    spool.append([fact(number) for number in range(10)])
    drain(spool, receiver)
    spool.close()
    (tmp_path / "spool.db").write_bytes(os.urandom(20_000))
    spool, events = Spool.open(tmp_path / "spool.db", AGENT, SpoolLimits(), SystemClock())
    assert {event.kind for event in events} == {SPOOL_SET_ASIDE.name}
    assert spool.append(events) == []
    spool.append([fact(11)])
    drain(spool, receiver)
    assert receiver.events[-1].event.fields["n"] == 11
    assert len(receiver.breaks) == 1
    assert list(tmp_path.glob("spool.db.damaged-*"))


def test_a_deleted_spool_shows_as_a_break(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    spool.append([fact(1)])
    spool.close()
    for file in tmp_path.glob("spool.db*"):
        file.unlink()
    spool, events = Spool.open(tmp_path / "spool.db", AGENT, SpoolLimits(), SystemClock())
    assert events[0].fields["reason"] == "the spool file was gone"
    spool.close()
    assert Spool.open(tmp_path / "spool.db", AGENT, SpoolLimits(), SystemClock())[1] == ()


@pytest.mark.parametrize("seed", range(25))
def test_damage_anywhere_is_survived_and_what_reads_is_kept(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    spool = open_spool(tmp_path)
    for number in range(300):
        spool.append([fact(number, pad=100)])
    spool.close()
    file = tmp_path / "spool.db"
    content = bytearray(file.read_bytes())
    for _ in range(dice.randrange(1, 4)):
        start = dice.randrange(len(content) - 600)
        content[start : start + dice.randrange(1, 600)] = dice.randbytes(dice.randrange(1, 600))
    file.write_bytes(content)
    try:
        spool, _ = Spool.open(file, AGENT, SpoolLimits(), SystemClock())
    except NewerData:
        pytest.fail("torn bytes were taken for a newer version")
    spool.append([fact(1000)])
    receiver = Receiver()
    drain(spool, receiver)
    numbers = [one.event.fields["n"] for one in receiver.events if one.event.kind == KIND.name]
    assert numbers[-1] == 1000
    assert len(set(numbers)) == len(numbers)
    spool.close()


def test_damage_while_running_is_survived(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    for number in range(200):
        spool.append([fact(number, pad=300)])
    spool._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    spool._db.execute("PRAGMA shrink_memory")
    with (tmp_path / "spool.db").open("r+b") as file:
        file.seek(8192)
        file.write(os.urandom(40_000))
    spool._db.execute("PRAGMA cache_size = 0")
    receiver = Receiver()
    drain(spool, receiver)
    spool.append([fact(1000)])
    drain(spool, receiver)
    assert receiver.events[-1].event.fields["n"] == 1000
    assert any(one.event.kind == SPOOL_SET_ASIDE.name for one in receiver.events)


def test_appends_and_reads_from_two_threads_lose_nothing(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    receiver = Receiver()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            drain(spool, receiver)
            time.sleep(0.001)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(300):
        spool.append([fact(number)])
    done.set()
    reader.join()
    drain(spool, receiver)
    assert [one.event.fields["n"] for one in receiver.events] == list(range(300))


def test_kill_at_any_moment_loses_nothing_that_append_had_returned(tmp_path: Path) -> None:
    """120 times: a child appends and tells each returned number; it is killed; everything told is there, once, in order."""
    dice = random.Random(7)
    told: list[int] = []
    for _ in range(120):
        begin = told[-1] + 1000 if told else 0
        told += _append_until_killed(tmp_path, begin, dice.randrange(1, 14), dice.uniform(0, 0.004))
    spool, events = Spool.open(tmp_path / "spool.db", AGENT, SpoolLimits(), SystemClock())
    assert events == ()
    receiver = Receiver()
    drain(spool, receiver, max_bytes=100_000)
    numbers = [one.event.fields["n"] for one in receiver.events]
    assert len(numbers) == len(set(numbers))
    assert numbers == sorted(numbers)
    assert set(told) <= set(numbers)
    assert len(told) > 500
    assert not receiver.breaks
    assert not receiver.losses


def _append_until_killed(path: Path, begin: int, least: int, life_s: float) -> list[int]:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            spool = open_spool(path)
            number = begin
            os.write(writer, b"begun\n")
            while True:
                count = 1 + number % 5
                spool.append([fact(number + offset) for offset in range(count)])
                os.write(writer, "".join(f"{number + offset}\n" for offset in range(count)).encode())
                number += count
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        assert pipe.readline() == b"begun\n"
        told = [pipe.readline() for _ in range(least)]
        time.sleep(life_s)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return [int(line) for line in (*told, *pipe.read().split(b"\n")) if line]
