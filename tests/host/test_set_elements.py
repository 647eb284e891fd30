"""Elements are added, read and deleted in the real kernel, and agree with what nft says of them."""

import ipaddress
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.netfilter import Element, NoSuchSet, Overlap
from host import set_elements
from host.nfnetlink import attributes, each
from tests.actions.block.conftest import Space

TABLE = """table inet t {
    set a4 { type ipv4_addr; flags interval, timeout; counter; }
    set a6 { type ipv6_addr; flags interval, timeout; }
}
"""


@pytest.fixture
def space() -> Iterator[Space]:
    made = Space(f"hfbl-{uuid.uuid4().hex[:6]}")
    made.nft(TABLE)
    yield made
    made.close()


def said_by_nft(space: Space, name: str) -> list[Any]:
    listing = json.loads(space.run("nft", "-j", "list", "set", "inet", "t", name))
    return listing["nftables"][1]["set"].get("elem", [])


def test_what_is_added_is_read_back_by_us_and_by_nft(space: Space) -> None:
    space.do(set_elements.add, "t", "a4", [Element(network="192.0.2.7", timeout_ms=60_000, comment="who|17|é|why")])
    space.do(set_elements.add, "t", "a4", [Element(network="10.0.0.0/8"), Element(network="255.255.255.255")])
    found = space.do(set_elements.elements, "t", "a4")
    assert [(one.network, one.comment) for one in found] == [
        ("10.0.0.0/8", ""),
        ("192.0.2.7", "who|17|é|why"),
        ("255.255.255.255", ""),
    ]
    assert found[1].timeout_ms == 60_000 and 50_000 < found[1].left_ms <= 60_000
    assert "who|17|é|why" in str(said_by_nft(space, "a4"))


def test_an_address_is_found_in_the_network_that_holds_it(space: Space) -> None:
    space.do(set_elements.add, "t", "a6", [Element(network="2001:db8::/64", comment="x")])
    held = space.do(set_elements.element, "t", "a6", "2001:db8::1234")
    assert held is not None and held.comment == "x"
    assert space.do(set_elements.element, "t", "a6", "2001:db8:0:1::") is None


def test_what_shares_addresses_is_refused_and_nothing_of_it_added(space: Space) -> None:
    space.do(set_elements.add, "t", "a4", [Element(network="192.0.2.0/24")])
    for network in ("192.0.2.0/24", "192.0.2.9", "192.0.0.0/16", "192.0.2.255"):
        with pytest.raises(Overlap):
            space.do(set_elements.add, "t", "a4", [Element(network="203.0.113.1"), Element(network=network)])
    assert [one.network for one in space.do(set_elements.elements, "t", "a4")] == ["192.0.2.0/24"]


def test_what_is_not_there_is_named(space: Space) -> None:
    for call in (
        lambda: set_elements.add("t", "nope", [Element(network="192.0.2.1")]),
        lambda: set_elements.delete("t", "a4", ["192.0.2.1"]),
        lambda: set_elements.element("t", "nope", "192.0.2.1"),
        lambda: set_elements.elements("nope", "a4"),
    ):
        with pytest.raises(NoSuchSet):
            space.do(call)
    assert space.do(set_elements.element, "t", "a4", "192.0.2.1") is None
    assert space.do(set_elements.elements, "t", "a4") == []


def test_an_element_is_deleted_and_another_with_it_or_none(space: Space) -> None:
    space.do(set_elements.add, "t", "a4", [Element(network="192.0.2.0/24"), Element(network="198.51.100.1")])
    with pytest.raises(NoSuchSet):
        space.do(set_elements.delete, "t", "a4", ["198.51.100.1", "203.0.113.1"])
    assert len(space.do(set_elements.elements, "t", "a4")) == 2
    space.do(set_elements.delete, "t", "a4", ["198.51.100.1", "192.0.2.0/24"])
    assert space.do(set_elements.elements, "t", "a4") == []


def test_thousands_are_added_in_one_transaction(space: Space) -> None:
    networks = [f"10.{number >> 8}.{number & 255}.1" for number in range(5000)]
    space.do(set_elements.add, "t", "a4", [Element(network=network) for network in networks])
    assert len(space.do(set_elements.elements, "t", "a4")) == 5000
    with pytest.raises(Overlap):
        space.do(set_elements.add, "t", "a4", [Element(network="11.0.0.1")] * 3000 + [Element(network="10.0.0.1")])
    assert len(space.do(set_elements.elements, "t", "a4")) == 5000


def test_packets_are_counted_by_element(space: Space) -> None:
    space.nft("table inet t { chain c { type filter hook input priority 0; ip saddr @a4 drop; }; }")
    space.do(set_elements.add, "t", "a4", [Element(network="127.0.0.0/30")])
    one = space.socket(2, "127.0.0.1")
    one.sendto(b"x", ("127.0.0.1", 9))
    one.close()
    held = space.do(set_elements.element, "t", "a4", "127.0.0.1")
    assert held is not None and held.packets == 1


def raw(network: str) -> list[dict[int, bytes]]:
    parts = b"".join(set_elements._interval(Element(network=network)))
    return [attributes(payload) for _, payload in each(parts)]


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), st.integers(0, 128))
def test_any_network_comes_back_from_its_two_elements(address: Any, length: int) -> None:
    network = ipaddress.ip_network((address, min(length, address.max_prefixlen)), strict=False)
    (found,) = set_elements.join(raw(str(network)))
    expected = str(network.network_address) if network.num_addresses == 1 else str(network)
    assert (found.network, found.last) == (expected, "")


def test_intervals_are_told_as_numbers_whatever_they_are(space: Space) -> None:
    ranges = [Element(network="10.0.0.0", last="10.0.0.9"), Element(network="255.255.255.0/24")]
    space.do(
        set_elements.change,
        "t",
        {},
        {"a4": ranges, "a6": [Element(network="::/128"), Element(network="2001:db8::/32")]},
    )
    ten, top = 10 << 24, (1 << 32) - 1
    assert space.do(set_elements.intervals, "t", "a4") == [(ten, ten + 9), (top - 255, top)]
    low, high = space.do(set_elements.intervals, "t", "a6")
    assert low == (0, 0) and high[1] - high[0] == (1 << 96) - 1
    first, _ = space.do(set_elements.elements, "t", "a4")
    assert (first.network, first.last) == ("10.0.0.0", "10.0.0.9")


def test_what_goes_and_what_comes_is_one_transaction(space: Space) -> None:
    space.do(set_elements.add, "t", "a4", [Element(network="192.0.2.1"), Element(network="192.0.2.2")])
    come = {"a4": [Element(network="192.0.2.0/24", comment="x")], "a6": [Element(network="::1")]}
    with pytest.raises(Overlap):
        space.do(set_elements.change, "t", {"a4": [Element(network="192.0.2.1")]}, come)
    assert len(space.do(set_elements.elements, "t", "a4")) == 2
    space.do(set_elements.change, "t", {"a4": space.do(set_elements.elements, "t", "a4")}, come)
    assert [one.network for one in space.do(set_elements.elements, "t", "a4")] == ["192.0.2.0/24"]
