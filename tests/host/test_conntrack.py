"""Tracked connections are found by their source and cut, in the real kernel."""

import socket
import uuid
from collections.abc import Iterator

import pytest

from host import conntrack
from tests.actions.block.conftest import Space

ADDRESSES = ("10.9.9.1", "10.9.9.2", "fd00::1", "fd00::2")


@pytest.fixture
def space() -> Iterator[Space]:
    made = Space(f"hfbl-{uuid.uuid4().hex[:6]}")
    for address in ADDRESSES:
        length, flags = ("128", ["nodad"]) if ":" in address else ("32", [])
        made.run("ip", "addr", "add", f"{address}/{length}", "dev", "lo", *flags)
    made.nft("table inet t { chain c { type filter hook input priority 0; ct state established accept; }; }")
    yield made
    made.close()


def connect(space: Space, source: str, target: str) -> list[socket.socket]:
    server = space.socket(socket.SOCK_STREAM, target, 0, listen=True)
    client = space.socket(socket.SOCK_STREAM, source, 0)
    client.connect(server.getsockname()[:2])
    held, _ = server.accept()
    return [server, client, held]


@pytest.mark.parametrize(
    ("source", "target", "network"), [("10.9.9.2", "10.9.9.1", "10.9.9.0/30"), ("fd00::2", "fd00::1", "fd00::/64")]
)
def test_a_flow_is_found_by_its_source_and_by_a_network_around_it(
    space: Space, source: str, target: str, network: str
) -> None:
    held = connect(space, source, target)
    for asked in (source, network):
        (entry,) = space.do(conntrack.flows, asked)
        assert (entry.flow.source, entry.flow.destination, entry.flow.protocol) == (source, target, 6)
        assert entry.flow.port == held[0].getsockname()[1] and entry.flow.replied and not entry.flow.offloaded
    assert space.do(conntrack.flows, target) == []
    for one in held:
        one.close()


@pytest.mark.parametrize(("source", "target"), [("10.9.9.2", "10.9.9.1"), ("fd00::2", "fd00::1")])
def test_only_the_source_s_flows_are_cut(space: Space, source: str, target: str) -> None:
    held = connect(space, source, target) + connect(space, target, source)
    entries = space.do(conntrack.flows, source)
    assert space.do(conntrack.delete, entries) == []
    assert space.do(conntrack.flows, source) == []
    assert len(space.do(conntrack.flows, target)) == 1
    for one in held:
        one.close()


def test_an_entry_that_is_gone_already_is_no_trouble(space: Space) -> None:
    held = connect(space, "10.9.9.2", "10.9.9.1")
    entries = space.do(conntrack.flows, "10.9.9.2")
    space.do(conntrack.delete, entries)
    assert space.do(conntrack.delete, entries) == []
    for one in held:
        one.close()


def test_an_offloaded_entry_is_told_apart() -> None:
    """IPS_OFFLOAD and IPS_HW_OFFLOAD of linux/netfilter/nf_conntrack_common.h; this kernel may have no flowtables to make one."""
    from host.nfnetlink import attribute, attributes, nested

    place = nested(
        1,
        nested(1, attribute(1, bytes([10, 0, 0, 1])), attribute(2, bytes([10, 0, 0, 2]))),
        nested(2, attribute(1, b"\x06")),
    )
    for status, expected in ((0x4000, True), (0x8000, True), (0x000E, False)):
        raw = attributes(place + attribute(3, status.to_bytes(4, "big")))
        entry = conntrack._entry(raw, 4, socket.AF_INET)
        assert entry is not None and entry.flow.offloaded is expected
