"""Packets that leave are counted by their source, whatever device they leave by; others are not."""

import socket
import uuid
from collections.abc import Iterator

import pytest

from host.departures import LeavingPackets, filter_for
from tests.actions.block.conftest import Space


@pytest.fixture
def space() -> Iterator[Space]:
    made = Space(f"hfbl-{uuid.uuid4().hex[:6]}")
    for address in ("10.9.9.1", "10.9.9.2", "10.9.8.2"):
        made.run("ip", "addr", "add", f"{address}/32", "dev", "lo")
    made.run("ip", "addr", "add", "fd00::2/128", "dev", "lo", "nodad")
    yield made
    made.close()


def send(space: Space, source: str, target: str, count: int) -> None:
    one = space.socket(socket.SOCK_DGRAM, source, 0)
    for _ in range(count):
        one.sendto(b"x", (target, 9))
    one.close()


@pytest.mark.parametrize("network", ["10.9.9.2", "10.9.9.2/31", "10.9.9.0/24"])
def test_packets_of_the_network_are_counted_and_no_others(space: Space, network: str) -> None:
    space.nft(
        "table inet t { chain c { type filter hook input priority 0; icmp type destination-unreachable drop; }; }"
    )
    tap = space.do(LeavingPackets, network)
    send(space, "10.9.9.2", "10.9.8.2", 7)
    send(space, "10.9.8.2", "10.9.8.2", 5)
    send(space, "fd00::2", "::1", 3)
    assert tap.count() >= 7
    # What bounces back (port unreachable) comes from the address that was written to, which is in no network here.
    assert tap.count() == 7
    tap.close()


def test_ipv6_is_counted(space: Space) -> None:
    tap = space.do(LeavingPackets, "fd00::/64")
    send(space, "fd00::2", "::1", 4)
    send(space, "10.9.9.2", "10.9.9.1", 4)
    assert tap.count() == 4
    tap.close()


def test_a_wide_network_needs_fewer_comparisons() -> None:
    assert len(filter_for("2001:db8::/32")) < len(filter_for("2001:db8::1"))
    assert len(filter_for("10.0.0.0/8")) % 8 == 0
