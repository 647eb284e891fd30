"""Bodies that never end: they take little memory, what is cut is inspected and told, and whoever else talks is read as before."""

import gzip
import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from collectors.traffic.protocols.account import YOUNG_NS
from collectors.traffic.protocols.dispatch import MANY
from collectors.traffic.protocols.http.transaction import HttpTransaction
from collectors.traffic.rules.engine.waiting import MOST_BYTES, MOST_LATE
from tests.collectors.traffic.protocols import flood
from tests.collectors.traffic.protocols.flood import Line, Sensor, post
from tests.collectors.traffic.rules.engine import scene

MIB = 1 << 20
ROOT = Path(__file__).resolve().parents[4]
BUDGET = MIB
VICTIM = bytes([10, 3, 0, 9])
RULES = (
    'alert http any any -> any any (flow:to_server; http.request_body; content:"needle"; sid:1;)',
    'alert http any any -> any any (flow:to_client; file.data; content:"needle"; sid:2;)',
    'alert http any any -> any any (flow:to_server; file.data; content:"haystack"; sid:3;)',
)
LATER = 2 * YOUNG_NS


def _sensor(memory: int = BUDGET) -> Sensor:
    return Sensor(scene.rules(*RULES), memory)


def _sids(sensor: Sensor) -> list[int]:
    return sorted(alert.rule.sid for alert in sensor.alerts)


def _fill(sensor: Sensor, first: int, count: int, source: bytes = flood.ATTACKER, after_ns: int = 0) -> None:
    """Begin so many bodies of 20,000 bytes that cannot be made smaller."""
    for number in range(first, first + count, 25):
        packets = [one for at in range(25) for one in flood.unfinished("noise", number + at, source)]
        sensor.feed(packets, after_ns or 60_000_000)


def _of(sensor: Sensor) -> tuple[int, int]:
    account = sensor.pipeline.protocols.account
    return account.total, account.cut


@pytest.mark.parametrize(
    ("kind", "count", "most"),
    [("gzip", 1_500, 160), ("brotli", 300, 120), ("noise", 6_000, 260)],
)
def test_connections_that_end_nothing_take_bounded_memory(kind: str, count: int, most: int) -> None:
    run = [sys.executable, "-m", flood.__name__, kind, str(count)]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True)
    _, more, _ = map(int, done.stdout.split())
    assert more < most * MIB


def test_a_body_that_comes_in_two_halves_is_read_while_the_account_is_full_of_others() -> None:
    sensor = _sensor()
    _fill(sensor, 0, 200)
    _, cut = _of(sensor)
    assert cut > 0
    line = Line(VICTIM, 5_000)
    body = random.Random(1).randbytes(40_000) + b"nee" + b"dle" + bytes(100)
    said = post(body, length=len(body))
    half = said.index(b"needle") + 3
    sensor.feed([*line.open(), *line.say(said[:half])])
    _fill(sensor, 1_000, 400)
    sensor.feed(line.say(said[half:]), LATER)
    sensor.feed(line.say(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"))
    assert _sids(sensor) == [1] and _of(sensor)[1] > cut


@pytest.mark.parametrize("same_address", [False, True])
def test_a_body_that_is_over_soon_is_read_even_if_those_who_fill_the_account_are_many_or_share_its_address(
    same_address: bool,
) -> None:
    sensor = _sensor()
    said = post(b"x" * 30_000 + b"needle" + b"x" * 30_000, length=60_006)
    line = Line(VICTIM, 5_000)
    for number in range(60):
        source = VICTIM if same_address else bytes([10, 9, number, 1])
        sensor.feed(flood.unfinished("noise", number, source), LATER // 30)
    assert _of(sensor)[1] > 0
    sensor.feed([*line.open(), *line.say(said[:20_000])])
    for number in range(60, 80):
        sensor.feed(flood.unfinished("noise", number, VICTIM if same_address else bytes([10, 9, number, 1])))
    sensor.feed(line.say(said[20_000:]))
    sensor.feed(line.say(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"))
    assert _sids(sensor) == [1]


def test_what_is_cut_is_inspected_as_far_as_it_has_come_and_no_further() -> None:
    sensor = _sensor()
    line, other = Line(flood.ATTACKER, 900), Line(flood.ATTACKER, 901)
    # Rules would see nothing of it before 32 KiB were there.
    sensor.feed([*line.open(), *line.say(post(random.Random(1).randbytes(9_000) + b"needle"))])
    coded = gzip.compress(random.Random(2).randbytes(9_000) + b"haystack" + random.Random(3).randbytes(9_000))
    sensor.feed([*other.open(), *other.say(post(coded[:14_000], b"Content-Encoding: gzip\r\n"))])
    assert _sids(sensor) == []
    _fill(sensor, 0, 200)
    sensor.feed([], LATER)
    assert _sids(sensor) == [1, 3]
    before = _of(sensor)[0]
    sensor.feed([*line.say(b"needle" * 2_000), *other.say(coded[14_000:])])
    assert _sids(sensor) == [1, 3] and before <= BUDGET


def test_what_comes_behind_a_body_that_was_cut_is_read() -> None:
    sensor = _sensor()
    line = Line(flood.ATTACKER, 900)
    sensor.feed([*line.open(), *line.say(post(bytes(9_000), length=10_000))])
    _fill(sensor, 0, 200)
    assert _of(sensor)[1] > 0
    sensor.feed(
        [
            *line.say(bytes(1_000) + post(b"needle", length=6)),
            *line.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" * 2, 1),
        ],
        LATER,
    )
    sensor.feed(line.say(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"))
    assert _sids(sensor) == [1]


def test_all_that_was_held_is_given_back_when_the_flows_end() -> None:
    sensor = _sensor()
    _fill(sensor, 0, 150)
    sensor.feed([])
    assert 0 < _of(sensor)[0] <= BUDGET
    sensor.feed([], 3_600 * flood.SECOND)
    sensor.feed([])
    assert _of(sensor)[0] == 0 and not sensor.pipeline.protocols._talks


def test_open_requests_without_answers_are_ended_and_the_newest_are_answered_still() -> None:
    sensor = _sensor()
    for number in range(8):
        sensor.feed(flood.unfinished("pipelined", number))
    line = Line(VICTIM, 77)
    sensor.feed([*line.open(), *line.say(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n" * 3)])
    assert _of(sensor)[1] > 0
    sensor.feed(line.say(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nneedle" * 3, 1))
    sensor.feed(line.say(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"))
    sensor.feed(line.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 1))
    assert _sids(sensor) == [2] * 3
    open_now = [len(talk.conversation.transactions) for talk in sensor.pipeline.protocols._talks.values()]
    assert sum(open_now) < 8 * 500


def test_answers_that_wait_for_the_next_packet_of_a_server_are_looked_at_without_it_when_they_are_many() -> None:
    sensor = _sensor(64 * MIB)
    line = Line(VICTIM, 77)
    count = MOST_LATE + 10
    sensor.feed([*line.open(), *line.say(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n" * count)])
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"
    said = (answer + b"needle") + (answer + b"others") * (count - 2) + (answer + b"needle")
    # One packet, behind which the server says nothing more.
    sensor.feed([line._put(1, flood.PUSH, said), line._put(0, flood.ACK)])
    assert _sids(sensor) == [2] * 2


def test_finished_answers_that_wait_for_a_packet_are_looked_at_without_it_when_all_hold_too_much() -> None:
    sensor = _sensor(64 * MIB)
    size = 50_000
    said = flood.ANSWER % (size, bytes(size - 6) + b"needle")
    for number in range(MOST_BYTES // size + 20):
        line = Line(flood.ATTACKER, 1024 + number)
        asked = [*line.open(), *line.say(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")]
        # One packet: with several in a block, rules would look at all that the block brought by the second.
        sensor.feed([*asked, line._put(1, flood.PUSH, said), line._put(0, flood.ACK)])
        if number == 100:
            assert _sids(sensor) == [], "each waits for its server's next packet"
    assert 20 < len(_sids(sensor)) < 200 and set(_sids(sensor)) == {2}
    assert _of(sensor)[1] == 0, "nothing was cut"
    sensor.feed([], 3_600 * flood.SECOND)
    assert len(_sids(sensor)) == MOST_BYTES // size + 20, "each was looked at once"


def test_questions_from_everywhere_take_little_and_answers_are_known_still() -> None:
    sensor = Sensor(
        scene.rules('alert dns any any -> any any (flow:to_client; dns.answer.name; content:"needle"; sid:1;)')
    )
    count = 3 * MANY
    for first in range(0, count, 2_000):
        sensor.feed([flood.query(number) for number in range(first, min(first + 2_000, count))], flood.SECOND // 100)
    protocols = sensor.pipeline.protocols
    assert len(protocols._talks) < MANY + 2_000 and protocols.counts.conversations == {"dns": count}
    head = struct.pack("!HHHHHH", 7, 0x8180, 0, 1, 0, 0)
    answer = head + b"\x06needle\x02de\x00\0\1\0\1\0\0\0\1\0\4\1\2\3\4"
    source = bytes([10, 1, 0, 1])
    sensor.feed([flood.datagram(flood.SERVER, 53, source, 10_000 + number, answer) for number in (5, 6)])
    assert _sids(sensor) == [1, 1] and sensor.said == {(1, 10_005): 1, (1, 10_006): 1}
    talks = [protocols._talks[slot] for slot in list(protocols._talks)[-2:]]
    assert [talk.parser.count for talk in talks if talk.parser is not None] == [2, 2], "they go on counting"
    assert protocols.counts.conversations == {"dns": count}


@pytest.mark.parametrize("seed", range(12))
def test_what_is_made_small_and_grows_again_is_read_as_if_it_had_not_been(seed: int) -> None:
    chance = random.Random(seed)
    text = b"".join(chance.choice((b"abc ", b"needle ", b"haystack ", chance.randbytes(3))) for _ in range(9_000))
    coded = chance.random() < 0.7
    body = gzip.compress(text) if coded else text
    said = post(body, b"Content-Encoding: gzip\r\n" if coded else b"", len(body))
    seen = []
    for small in (False, True):
        chance.seed(seed)
        sensor, line = _sensor(64 * MIB), Line(VICTIM, 77)
        sensor.feed(line.open())
        for at in range(0, len(said), 2_000):
            sensor.feed(line.say(said[at : at + 2_000]))
            if small and chance.random() < 0.3:
                for talk in sensor.pipeline.protocols._talks.values():
                    assert talk.parser is not None
                    talk.parser.shrink()
        (talk,) = sensor.pipeline.protocols._talks.values()
        (tx,) = talk.conversation.transactions
        assert isinstance(tx, HttpTransaction)
        shown = tx.buffers("http.request_body", False), tx.buffers("file.data", False)
        seen.append((shown, tx.events, tx.files[0].size, _sids(sensor)))
    assert seen[0] == seen[1] and seen[0][0] == ([text[:102_400]],) * 2


def test_an_undetected_conversation_is_given_up_when_it_holds_too_much() -> None:
    sensor = _sensor()
    for number in range(60):
        line = Line(flood.ATTACKER, 2_000 + number, 9_999)
        # The server's side stays silent, so that detection goes on.
        sensor.feed([*line.open(), *line.say(b"\x99" * 40_000)])
    sensor.feed([], LATER)
    counts = sensor.pipeline.protocols.counts
    assert _of(sensor)[0] <= BUDGET and counts.conversations["failed"] >= _of(sensor)[1]
