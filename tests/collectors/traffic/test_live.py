"""Live capture of several interfaces, which come and go."""

import socket
import statistics
import time

import pytest

from collectors.traffic.live import LiveSource
from collectors.traffic.ring import DOWN, NO_CARRIER, Ring, RingOptions
from tests.collectors.traffic.netns import alone, ip
from tests.collectors.traffic.test_ring import frame, send

FILTERED = RingOptions(filter="udp port 9", blocks=4)


def gather(source: LiveSource, count: int, seconds: float = 20.0) -> list[tuple[int, bytes]]:
    """Return interface number and packet of what comes, until there are `count` or the time is over."""
    found: list[tuple[int, bytes]] = []
    until = time.monotonic() + seconds
    for block in source.blocks(0.05):
        found += [(int(block.interface[index]), block.packet(index)) for index in range(len(block))]
        if len(found) >= count or time.monotonic() > until:
            break
    return found


def becomes(source: LiveSource, wanted: dict[str, str]) -> bool:
    """Return whether that stands still before long: the kernel notes carriers within a second."""
    for _ in range(1200):
        if source.standing_still() == wanted:
            return True
        time.sleep(0.05)
    return False


def test_packets_of_several_interfaces_carry_their_number() -> None:
    def body() -> None:
        source = LiveSource(["hfa", "hfb"], FILTERED)
        send("hfa", [frame(1)])
        found = gather(source, 2)
        assert sorted(found) == [(0, frame(1)), (1, frame(1))], "out of the one, in at the other"
        source.close()

    alone(body)


def test_an_idle_capture_says_so_and_costs_nearly_nothing() -> None:
    def body() -> None:
        source = LiveSource(["hfb"], FILTERED)
        costs, before = [], time.thread_time()
        for block in source.blocks(0.1):
            assert not len(block)
            now = time.thread_time()
            costs.append(now - before)
            before = now
            if len(costs) == 21:
                break
        # A virtual machine that is taken away may count as a turn's own time: that befalls few of them.
        assert statistics.median(costs) < 0.001, "under one percent of the tenth of a second"
        source.close()

    alone(body)


def test_an_interface_that_goes_and_comes_back_is_read_again() -> None:
    def body() -> None:
        source = LiveSource(["hfb"], FILTERED)
        ip("link", "del", "hfa")
        assert gather(source, 1, 0.3) == []
        assert source.missing() == ["hfb"]
        ip("link", "add", "hfa", "type", "veth", "peer", "name", "hfb")
        ip("link", "set", "hfa", "up")
        ip("link", "set", "hfb", "up")
        assert gather(source, 1, 0.3) == []
        assert source.missing() == []
        send("hfa", [frame(5)])
        assert gather(source, 1) == [(0, frame(5))]
        assert source.problem == ""
        source.close()

    alone(body)


def test_an_interface_that_goes_down_and_up_is_read_again() -> None:
    def body() -> None:
        source = LiveSource(["hfb"], FILTERED)
        ip("link", "set", "hfb", "down")
        assert gather(source, 1, 0.3) == []
        ip("link", "set", "hfb", "up")
        assert gather(source, 1, 0.5) == []
        send("hfa", [frame(6)])
        assert gather(source, 1) == [(0, frame(6))]
        source.close()

    alone(body)


def test_what_the_kernel_counts_is_there_by_interface() -> None:
    def body() -> None:
        source = LiveSource(["hfb", "hfb"], FILTERED)
        send("hfa", [frame(number) for number in range(20)])
        assert len(gather(source, 20)) == 20
        source.refresh()
        assert source.counts()["hfb"].seen == 20
        assert source.counts()["hfb"].dropped == 0
        source.stop()
        assert list(source.blocks()) == []
        source.close()

    alone(body)


def test_an_interface_that_is_down_or_has_no_carrier_is_named_as_such() -> None:
    def body() -> None:
        source = LiveSource(["hfa", "hfb", "hfnone"], FILTERED)
        assert becomes(source, {})
        ip("link", "set", "hfb", "down")
        # The other end of a pair that is down has no carrier.
        assert becomes(source, {"hfa": NO_CARRIER, "hfb": DOWN})
        ip("link", "set", "hfb", "up")
        assert becomes(source, {})
        ip("link", "del", "hfa")
        assert gather(source, 1, 0.3) == []
        assert source.standing_still() == {} and source.missing() == ["hfa", "hfb", "hfnone"]
        source.close()

    alone(body)


def test_an_interface_that_goes_between_look_up_and_bind_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def body() -> None:
        source = LiveSource(["hfnone"], FILTERED)
        monkeypatch.setattr(socket, "if_nametoindex", lambda name: 4711)
        assert gather(source, 1, 0.3) == []
        assert source.missing() == ["hfnone"]
        source.close()

    alone(body)


def test_a_ring_of_a_group_whose_interface_came_back_is_to_be_opened_anew() -> None:
    def body() -> None:
        options = RingOptions(filter="udp port 9", blocks=4, fanout=4712)
        source = LiveSource(["hfb"], options)
        ip("link", "del", "hfa")
        assert gather(source, 1, 0.3) == [] and source.missing() == ["hfb"]
        ip("link", "add", "hfa", "type", "veth", "peer", "name", "hfb")
        ip("link", "set", "hfa", "up")
        ip("link", "set", "hfb", "up")
        begin = time.monotonic()
        assert gather(source, 1) == []
        assert time.monotonic() - begin < 10, "it ended, so that it is opened anew"
        source.close()
        source = LiveSource(["hfb"], options)
        send("hfa", [frame(7)])
        assert gather(source, 1) == [(0, frame(7))]
        source.close()

    alone(body)


def test_what_a_socket_complains_of_stands_until_packets_come(monkeypatch: pytest.MonkeyPatch) -> None:
    def body() -> None:
        source, plain = LiveSource(["hfb"], FILTERED), Ring.problem
        monkeypatch.setattr(Ring, "problem", lambda ring: plain(ring) or "No buffer space available")
        ip("link", "set", "hfb", "down")
        assert gather(source, 1, 0.3) == []
        assert source.problems == {"hfb": "No buffer space available"}
        assert source.problem == "hfb: No buffer space available"
        ip("link", "set", "hfb", "up")
        assert gather(source, 1, 0.3) == []
        monkeypatch.undo()
        send("hfa", [frame(8)])
        assert gather(source, 1) == [(0, frame(8))]
        assert source.problem == ""
        source.close()

    alone(body)
