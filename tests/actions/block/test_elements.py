"""Networks get into the kernel's sets whatever is there already, and out again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.block import elements, table
from actions.block.address import canonical, parse
from actions.block.saved import Entry, Saved
from contracts.blocking import BANNED, TABLE
from contracts.netfilter import Element
from host.fake import FakeHost
from tests.actions.block.conftest import Net

NOW_MS = 1_800_000_000_000


def place(net: Net, network: str, seconds: float = 0.0) -> elements.Placed:
    entry = Entry(since_ms=NOW_MS, until_ms=NOW_MS + round(seconds * 1000) if seconds else 0, who="root", reason="x")
    return net.host.do(elements.place, net.machine, Saved(), BANNED, parse(network), entry, NOW_MS)


def held(net: Net) -> list[str]:
    return [one.network for one in net.host.do(net.machine.netfilter.elements, TABLE, "banned4")]


def test_the_table_is_loaded_where_it_is_not_there(net: Net) -> None:
    assert place(net, "203.0.113.7").loaded
    assert not place(net, "203.0.113.8").loaded
    assert held(net) == ["203.0.113.7", "203.0.113.8"]


@pytest.mark.parametrize(
    ("first", "second", "covered", "left"),
    [
        (("203.0.113.7", 0), ("203.0.113.7", 60), "203.0.113.7", ["203.0.113.7"]),
        (("203.0.113.7", 60), ("203.0.113.7", 0), "", ["203.0.113.7"]),
        (("203.0.113.7", 60), ("203.0.113.7", 600), "", ["203.0.113.7"]),
        (("203.0.113.0/24", 60), ("203.0.113.7", 0), "203.0.113.0/24", ["203.0.113.0/24"]),
        (("203.0.113.7", 60), ("203.0.113.0/24", 600), "", ["203.0.113.0/24"]),
        (("203.0.113.7", 0), ("203.0.113.0/24", 600), "", ["203.0.113.0/24"]),
    ],
)
def test_what_shares_addresses_is_covered_or_taken_in(
    net: Net, first: tuple[str, float], second: tuple[str, float], covered: str, left: list[str]
) -> None:
    place(net, *first)
    placed = place(net, *second)
    assert placed.covered_by == covered and held(net) == left
    (element,) = net.host.do(net.machine.netfilter.elements, TABLE, "banned4")
    longest = 0 if 0 in (first[1], second[1]) and not covered else max(first[1], second[1])
    if not covered:
        assert (element.timeout_ms == 0) is (longest == 0)


def test_removing_says_what_was_there(net: Net) -> None:
    place(net, "203.0.113.7")
    gone = net.host.do(
        elements.remove, net.machine, BANNED, [parse("203.0.113.7"), parse("203.0.113.8"), parse("2001:db8::1")]
    )
    assert gone == ["203.0.113.7"] and held(net) == []


def test_what_the_kernel_holds_is_saved_as_it_was_placed(net: Net) -> None:
    place(net, "203.0.113.7", 600)
    found = net.host.do(elements.entries, net.machine, BANNED, NOW_MS)
    entry = found["203.0.113.7"]
    assert (entry.who, entry.reason, entry.since_ms) == ("root", "x", NOW_MS)
    assert NOW_MS + 590_000 < entry.until_ms <= NOW_MS + 600_000


def test_without_a_table_nothing_overlaps(tmp_path) -> None:
    assert elements.overlapping(FakeHost(tmp_path), BANNED, parse("203.0.113.7")) == []
    assert elements.entries(FakeHost(tmp_path), BANNED, NOW_MS) == {}


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**20))
def test_an_interval_that_is_no_network_is_made_of_some(first: int, size: int) -> None:
    import ipaddress

    last = min(2**32 - 1, first + size)
    element = Element(network=str(ipaddress.ip_address(first)), last=str(ipaddress.ip_address(last)))
    parts = elements.parts(element)
    assert sum(one.num_addresses for one in parts) == last - first + 1
    assert int(parts[0].network_address) == first and int(parts[-1].broadcast_address) == last


def test_a_timeout_in_an_element_is_what_is_left() -> None:
    entry = Entry(since_ms=1, until_ms=NOW_MS + 1234)
    assert elements.as_element("203.0.113.7", entry, NOW_MS).timeout_ms == 1234
    assert elements.as_element("203.0.113.7", Entry(since_ms=1, until_ms=5), NOW_MS).timeout_ms == 1
    assert canonical(parse("203.0.113.7")) in table.element("203.0.113.7", entry, NOW_MS)
