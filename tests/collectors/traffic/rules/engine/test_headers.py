"""Headers held against many packets at once say what they say of each packet alone."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6

from collectors.traffic.rules.engine.headers import MOST_ENDS, HeaderKinds
from collectors.traffic.rules.engine.sets import HeaderSets
from collectors.traffic.rules.language.groups import addresses, ports
from tests.collectors.traffic.oracle import ether
from tests.collectors.traffic.rules.engine import scene

V4 = ["10.0.0.1", "10.0.0.255", "10.1.0.0", "192.168.1.1", "255.255.255.255"]
V6 = ["2001:db8::1", "2001:db8:1::", "ffff::1"]
GROUPS = [
    "any",
    "10.0.0.0/8",
    "[10.0.0.0/8,!10.1.0.0/16]",
    "!192.168.1.1",
    "2001:db8::/48",
    "[255.255.255.255,ffff::/16]",
]
PORTS = ["any", "80", "[1:1023,8080]", "!80", "[65535,0]"]
HEADER = st.tuples(*(st.sampled_from(one) for one in (GROUPS, PORTS, GROUPS, PORTS)))
NUMBERS = st.sampled_from([0, 80, 1023, 8080, 65_535])
PACKET = st.one_of(
    st.tuples(st.sampled_from(V4), st.sampled_from(V4), NUMBERS, NUMBERS),
    st.tuples(st.sampled_from(V6), st.sampled_from(V6), NUMBERS, NUMBERS),
)


def _packet(ends: tuple[str, str, int, int], kind: Any) -> bytes:
    source, target, sport, dport = ends
    layer = IPv6(src=source, dst=target) if ":" in source else IP(src=source, dst=target)
    if kind is ICMP:
        return bytes(ether() / IP(src="10.0.0.1", dst="10.1.0.0") / ICMP())
    return bytes(ether() / layer / kind(sport=sport, dport=dport))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(HEADER, min_size=1, max_size=6),
    st.lists(st.tuples(PACKET, st.sampled_from([TCP, UDP, ICMP])), min_size=1, max_size=8),
)
def test_pair_by_pair(headers: list[tuple[str, ...]], packets: list[tuple[Any, Any]]) -> None:
    sets = HeaderSets()
    numbers = [
        sets.add(addresses(source, {}), ports(sport, {}), addresses(target, {}), ports(dport, {}))
        for source, sport, target, dport in headers
    ]
    raw = [_packet(ends, kind) for ends, kind in packets]
    kinds = HeaderKinds(sets, range(len(sets.addresses)), [numbers, numbers[:1]])
    rows = scene.rows(scene.fed(raw))
    every = np.arange(len(raw))
    pairs = [(number, at) for number in numbers for at in range(len(raw))]
    of_rows = kinds.of(rows, np.append(every, every))[: len(raw)]
    found = kinds.holds[of_rows[[at for _, at in pairs]], [one for one, _ in pairs]]
    seen = scene.seen(*raw)
    wanted = [
        sets.holds(number, seen[at].family, seen[at].source, seen[at].sport, seen[at].destination, seen[at].dport)
        for number, at in pairs
    ]
    assert found.tolist() == wanted
    held = np.array(wanted).reshape(len(numbers), -1)
    assert kinds.wanted[of_rows].T.tolist() == [held.any(axis=0).tolist(), held[0].tolist()]


def test_a_set_that_somebody_else_has_asked_holds_everything() -> None:
    sets = HeaderSets()
    anything = ports("any", {})
    number = sets.add(addresses("10.9.9.9", {}), anything, addresses("10.0.0.2", {}), anything)
    rows = scene.rows(scene.fed([scene.udp(b"x"), scene.udp_back(b"y")]))
    listed = sets.headers[number][0]
    kinds = HeaderKinds(sets, set(range(len(sets.addresses))) - {listed})
    assert kinds.holds[kinds.of(rows, np.arange(2)), number].tolist() == [True, False]


def test_a_group_is_narrow_unless_one_of_its_headers_holds_everything() -> None:
    sets = HeaderSets()
    everywhere, anything = addresses("any", {}), ports("any", {})
    whole = sets.add(everywhere, anything, everywhere, anything)
    parts = [
        sets.add(everywhere, anything, everywhere, ports("80", {})),
        sets.add(addresses("10.0.0.1", {}), anything, everywhere, anything),
    ]
    assert HeaderKinds(sets, range(len(sets.addresses)), [[whole], parts, [*parts, whole]]).narrow == [
        False,
        True,
        False,
    ]


def test_kinds_that_become_too_many_are_met_anew() -> None:
    sets = HeaderSets()
    everywhere, anything = addresses("any", {}), ports("any", {})
    every_port = list(range(1, MOST_ENDS + 10))
    numbers = [sets.add(everywhere, ports(str(port), {}), everywhere, anything) for port in every_port]
    kinds = HeaderKinds(sets, range(len(sets.addresses)), [numbers])
    for _ in range(2):
        rows = scene.rows(scene.fed([scene.udp(b"x", sport=port) for port in every_port]))
        kinds.begin()
        of_rows = kinds.of(rows, np.arange(len(rows)))
        assert kinds.holds[of_rows].tolist() == np.eye(len(numbers), dtype=bool).tolist()
    kinds.begin()
    assert len(kinds.holds) < len(numbers)
