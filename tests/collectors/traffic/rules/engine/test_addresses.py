"""Lists of addresses: the rules found are those whose list has the packet's address, alone or in a range."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import UDP
from scapy.layers.inet6 import IPv6

from collectors.traffic.rules.engine.addresses import AddressIndex, expand
from collectors.traffic.rules.engine.sets import HeaderSets
from collectors.traffic.rules.language.groups import addresses, ports
from tests.collectors.traffic.oracle import ether
from tests.collectors.traffic.rules.engine import scene

HOSTS = [f"10.0.{net}.{host}" for net in (0, 1) for host in (0, 1, 2, 255)]
ITEM = st.sampled_from([*HOSTS, "10.0.1.0/24", "10.0.0.1-10.0.0.2", "2001:db8::1"])
LIST = st.lists(ITEM, min_size=1, max_size=4).map(lambda items: f"[{','.join(items)}]")


def _index(lists: list[tuple[str, str]]) -> tuple[HeaderSets, AddressIndex]:
    sets, anything = HeaderSets(), ports("any", {})
    headers = [sets.add(addresses(one, {}), anything, addresses(other, {}), anything) for one, other in lists]
    return sets, AddressIndex(sets, list(enumerate(headers)))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(LIST, st.booleans()), min_size=1, max_size=6), st.lists(st.sampled_from(HOSTS), min_size=1))
def test_the_rules_found_are_those_that_list_the_address(lists: list[tuple[str, bool]], sources: list[str]) -> None:
    sets, index = _index([(one, "any") if source else ("any", one) for one, source in lists])
    raw = [scene.udp(b"x", source=source) for source in sources]
    rows, packets = scene.rows(scene.fed(raw)), scene.seen(*raw)
    found = index.find(rows, np.arange(len(raw)))
    wanted = {
        (row, rule)
        for row, packet in enumerate(packets)
        for rule in range(len(lists))
        if sets.holds(rule_header(sets, lists, rule), 4, packet.source, 1, packet.destination, 1)
    }
    assert set(zip(found[0].tolist(), found[1].tolist(), strict=True)) == wanted
    assert index.open == []


def rule_header(sets: HeaderSets, lists: list[tuple[str, bool]], rule: int) -> int:
    """Return the number of a rule's header."""
    one, source = lists[rule]
    anything, everyone = ports("any", {}), addresses("any", {})
    listed = addresses(one, {})
    return sets.add(listed, anything, everyone, anything) if source else sets.add(everyone, anything, listed, anything)


def test_ipv6_addresses_are_found_too() -> None:
    _, index = _index([("[2001:db8::/64,10.0.0.9]", "any")])
    raw = [
        bytes(ether() / IPv6(src=source, dst="2001:db8:9::1") / UDP(sport=5, dport=6))
        for source in ("2001:db8::7", "2001:db8:1::7")
    ]
    found = index.find(scene.rows(scene.fed(raw)), np.arange(2))
    assert [part.tolist() for part in found] == [[0], [0]]


def test_rules_without_a_list_are_left_open() -> None:
    _, index = _index([("any", "any"), ("!10.0.0.1", "any"), ("10.0.0.1", "!10.0.0.2")])
    assert index.open == [0, 1]
    assert set(index.found_by) == {2}


@given(st.lists(st.integers(0, 3), max_size=8))
def test_expanding_gives_each_item_its_list(keys: list[int]) -> None:
    lists = [[7], [], [8, 9], [1, 2, 3]]
    start = np.array([0, 1, 1, 3, 6])
    flat = np.array([one for those in lists for one in those])
    items, found = expand(np.arange(len(keys)), np.array(keys, np.int64), start, flat)
    assert list(zip(items.tolist(), found.tolist(), strict=True)) == [
        (item, one) for item, key in enumerate(keys) for one in lists[key]
    ]
