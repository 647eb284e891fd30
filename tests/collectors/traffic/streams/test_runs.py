"""Runs of what is as expected."""

from collectors.traffic.streams.news import Run
from collectors.traffic.streams.options import StreamOptions
from collectors.traffic.streams.runs import Held, joined
from tests.collectors.traffic.streams.heard import CLIENT, OPENING, SERVER
from tests.collectors.traffic.streams.talk import ACK, PSH, Listener, packet


def test_what_waits_is_counted() -> None:
    held = Held({})
    held.put(4, b"abc")
    held.put(5, b"de")
    assert held.size == 5
    assert (held.take(4), held.take(4), held.size) == (b"abc", b"", 2)


def test_bytes_of_several_blocks_come_together_when_they_are_acknowledged_in_part() -> None:
    listener = Listener()
    listener.hear(OPENING)
    for number in range(4):
        listener.hear([packet(CLIENT, PSH | ACK, 101 + 4 * number, 901, b"%04d" % number)])
    assert listener.reassembler._held.size == 16
    assert listener.reassembler.careful == 0
    runs = listener.hear([packet(SERVER, ACK, 901, 107)]).runs
    assert [(run.offset, run.data, run.row) for run in runs] == [(0, b"000000", 0)]
    assert listener.reassembler._held.size == 10
    runs = listener.hear([packet(CLIENT, PSH | ACK, 117, 901, b"end"), packet(SERVER, ACK, 901, 120)]).runs
    assert [(run.offset, run.data, run.row) for run in runs] == [(6, b"0100020003end", 1)]


def test_what_lies_behind_the_depth_is_not_kept() -> None:
    listener = Listener(StreamOptions(depth=5))
    listener.hear([*OPENING, packet(CLIENT, PSH | ACK, 101, 901, b"0123456789")])
    assert listener.reassembler._held.size == 5


def run(offset: int, data: bytes, to_client: bool = False, gap: int = 0, row: int = 0, end: int = 0) -> Run:
    """Return a run of flow 1."""
    return Run(1, to_client, offset, data, gap, row, row * 10, end)


def test_runs_that_follow_each_other_are_joined_and_no_others() -> None:
    first = [run(0, b"ab"), run(2, b"cd", row=3), run(4, b"", row=4, end=1)]
    assert joined(first) == [run(0, b"abcd", row=4, end=1)]
    behind_gap, other, behind_end = run(9, b"x", gap=5), run(0, b"y", True), run(4, b"", row=9)
    for apart in (behind_gap, other, behind_end):
        assert joined([*first, apart]) == [*joined(first), apart]
