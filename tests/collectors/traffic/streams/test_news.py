"""What streams hand on."""

from collectors.traffic.streams import news
from collectors.traffic.streams.news import News, Run, StreamEvent


def test_a_block_without_tcp_brings_nothing_and_refuses_nothing() -> None:
    brought = News(3)
    assert (brought.runs, brought.events) == ([], [])
    assert brought.accepted.tolist() == [True] * 3
    assert brought.established.tolist() == [False] * 3


def test_every_end_has_a_name() -> None:
    assert [news.ENDS[end] for end in (news.OPEN, news.FIN, news.RESET, news.TIMEOUT, news.DEPTH, news.GAP)] == [
        "",
        "fin",
        "reset",
        "timeout",
        "depth",
        "gap",
    ]


def test_a_run_and_an_event_are_plain_values() -> None:
    assert Run(1, False, 0, b"a", 0, 3, 9, news.OPEN) == (1, False, 0, b"a", 0, 3, 9, 0)
    assert StreamEvent(3, 1, "pkt_invalid_ack")._asdict() == {"row": 3, "slot": 1, "name": "pkt_invalid_ack"}
