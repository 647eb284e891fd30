"""Sets of headers: what they say of a packet is what a plain set says."""

import ipaddress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.traffic.rules.engine.sets import AddressSet, HeaderSets, PortSet
from collectors.traffic.rules.language.groups import addresses, ports
from collectors.traffic.rules.language.rule import Addresses, Ports
from collectors.traffic.rules.language.values import packed
from tests.collectors.traffic.rules.engine import scene

SMALL = 40


def _ranges(members: set[int]) -> tuple[tuple[int, int], ...]:
    found: list[tuple[int, int]] = []
    for one in sorted(members):
        if found and found[-1][1] == one - 1:
            found[-1] = (found[-1][0], one)
        else:
            found.append((one, one))
    return tuple(found)


MEMBERS = st.sets(st.integers(0, SMALL - 1), max_size=12)
FAR = 1 << 96
"""IPv6 addresses of the tests lie from here on, so that both halves count."""


@st.composite
def headers(draw: Any) -> tuple[set[int], set[int], set[int]]:
    """Return the IPv4 addresses, IPv6 addresses and ports of a group."""
    return draw(MEMBERS), draw(MEMBERS), draw(MEMBERS)


def _values(group: tuple[set[int], set[int], set[int]]) -> tuple[Addresses, Ports]:
    v4, v6, numbers = group
    return (
        Addresses(False, _ranges(v4), packed(tuple((low + FAR, high + FAR) for low, high in _ranges(v6)))),
        Ports(False, _ranges(numbers)),
    )


PACKET = st.tuples(
    st.sampled_from([4, 6]), *(st.integers(0, SMALL - 1) for _ in range(4)), st.sampled_from([True, True, False])
)


@settings(max_examples=60, deadline=None)
@given(headers(), headers(), st.lists(PACKET, min_size=1, max_size=20))
def test_a_header_fits_the_packets_that_plain_sets_say(
    one: tuple[set[int], ...], other: tuple[set[int], ...], packets: list[tuple[int, int, int, int, int, bool]]
) -> None:
    sets = HeaderSets()
    source, sports = _values(one)  # type: ignore[arg-type]
    destination, dports = _values(other)  # type: ignore[arg-type]
    number = sets.add(source, sports, destination, dports)
    wanted = [
        ported and src in one[family == 6] and dst in other[family == 6] and sport in one[2] and dport in other[2]
        for family, src, dst, sport, dport, ported in packets
    ]
    single = []
    for family, src, dst, sport, dport, ported in packets:
        far = FAR if family == 6 else 0
        single.append(
            sets.holds(number, family, src + far, sport if ported else -1, dst + far, dport if ported else -1)
        )
    assert single == wanted


@given(headers())
def test_each_address_and_port_is_in_or_out(group: tuple[set[int], set[int], set[int]]) -> None:
    have, ports_of = AddressSet(_values(group)[0]), PortSet(_values(group)[1])
    wanted = [[one in members for one in range(SMALL)] for members in group]
    assert [have.has(4, one) for one in range(SMALL)] == wanted[0]
    assert [have.has(6, one + FAR) for one in range(SMALL)] == wanted[1]
    assert [ports_of.has(one) for one in range(SMALL)] == wanted[2]


def test_sets_that_were_kept_are_the_same_and_have_the_same_numbers() -> None:
    sets, again = HeaderSets(), HeaderSets()
    one, any_port = addresses("10.0.0.0/8", {}), ports("any", {})
    number = sets.add(one, any_port, addresses("any", {}), ports("80", {}))
    again.restore(list(sets.address_of), list(sets.port_of), sets.headers)
    assert again.add(one, any_port, addresses("any", {}), ports("80", {})) == number
    assert (len(again.addresses), len(again.ports), again.headers) == (2, 2, sets.headers)


@given(st.ip_addresses(v=6), st.ip_addresses(v=4))
def test_groups_with_holes_hold_what_lies_outside_the_holes(six: Any, four: Any) -> None:
    have = AddressSet(addresses("[10.0.0.0/8,!10.1.0.0/16,2001:db8::/32]", {}))
    inside4 = four in ipaddress.ip_network("10.0.0.0/8") and four not in ipaddress.ip_network("10.1.0.0/16")
    assert have.has(4, int(four)) == inside4
    assert have.has(6, int(six)) == (six in ipaddress.ip_network("2001:db8::/32"))


def test_the_edges_of_a_group_belong_to_it() -> None:
    have = AddressSet(addresses("[10.0.0.0/8,!10.1.0.0/16]", {}))
    asked = ["9.255.255.255", "10.0.0.0", "10.0.255.255", "10.1.0.0", "10.1.255.255", "10.2.0.0", "10.255.255.255"]
    numbers = [int(ipaddress.ip_address(one)) for one in [*asked, "11.0.0.0"]]
    assert [have.has(4, one) for one in numbers] == [False, True, True, False, False, True, True, False]


def test_any_port_is_also_no_port_and_a_list_is_not() -> None:
    sets = HeaderSets()
    everyone = addresses("any", {})
    anything = sets.add(everyone, ports("any", {}), everyone, ports("any", {}))
    listed = sets.add(everyone, ports("any", {}), everyone, ports("!80", {}))
    assert sets.holds(anything, 4, 1, -1, 2, -1) and not sets.holds(listed, 4, 1, -1, 2, -1)
    assert PortSet(ports("any", {})).has(65_535)
    have = PortSet(ports("[1024:,!2000:3000]", {}))
    assert [have.has(one) for one in (1023, 1024, 1999, 2000, 3000, 3001, 65_535)] == [0, 1, 1, 0, 0, 1, 1]


def test_equal_headers_are_one() -> None:
    sets = HeaderSets()
    group, port = addresses("10.0.0.0/8", {}), ports("80", {})
    first = sets.add(group, port, group, port)
    assert sets.add(addresses("10.0.0.0/8", {}), ports("80", {}), group, port) == first
    assert sets.add(group, port, group, ports("81", {})) != first
    assert (len(sets.addresses), len(sets.ports)) == (1, 2)


def test_rules_speak_about_the_packets_that_their_header_names() -> None:
    packets = [scene.udp(b"x", source=f"10.0.{host}.1", dport=port) for host in (0, 1) for port in (53, 9999)]
    found = scene.counts(
        packets,
        'alert udp 10.0.1.0/24 any -> any any (content:"x";)',
        'alert udp any any -> any !9999 (content:"x";)',
        'alert udp [10.0.0.0/16,!10.0.1.0/24] any -> 10.0.0.2 9000: (content:"x";)',
        'alert udp 10.0.0.2 any -> any any (content:"x";)',
        'alert udp 10.0.0.2 any <> any any (content:"x";)',
        'alert tcp any any -> any any (content:"x";)',
    )
    assert found == {1: 2, 2: 2, 3: 1, 5: 4}
