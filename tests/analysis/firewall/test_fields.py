"""What a first packet determines is known, what it leaves open is open, what it has not got is absent."""

import pytest

from analysis.firewall.cohort import Spread, constant
from analysis.firewall.fields import TRACKED, Packets
from analysis.firewall.model import Field, Link

TCP4, UDP6 = 0b01, 0b10


@pytest.fixture
def packets() -> Packets:
    made = Packets(0b11, six=UDP6, tcp=TCP4)
    made.put("th dport", Spread({80: TCP4, 53: UDP6}))
    made.put("th sport", constant(40000, 0b11))
    for name in ("ip saddr", "ip daddr", "ip6 saddr", "ip6 daddr"):
        made.put(name, constant(7, TCP4 if name.startswith("ip ") else UDP6))
    return made


@pytest.mark.parametrize(
    ("name", "value", "bits"),
    [
        ("tcp dport", 80, TCP4), ("udp dport", 53, UDP6), ("ip protocol", 6, TCP4), ("ip6 nexthdr", 17, UDP6), ("meta nfproto", 10, UDP6),
        ("tcp flags", 2, TCP4), ("meta mark", 0, 0b11), ("ct state", 1, 0b11), ("meta iif", "", 0b11), ("exthdr frag", 0, 0b11),
    ],
)  # fmt: skip
def test_known_fields(packets: Packets, name: str, value: object, bits: int) -> None:
    spread = packets.get(name)
    assert spread is not None
    assert spread.values[value] == bits


def test_open_absent_and_unheard_of_fields(packets: Packets) -> None:
    ttl, icmp = packets.get("ip ttl"), packets.get("icmp type")
    assert ttl is not None and icmp is not None
    assert (ttl.unknown, ttl.values) == (TCP4, {})
    assert icmp.present == 0
    assert packets.get("ct mark").present == 0  # type: ignore[union-attr]
    assert packets.get("meta flavour") is None


def test_a_port_is_one_field_by_all_its_names(packets: Packets) -> None:
    packets.put("tcp dport", constant(443, TCP4))
    assert packets.base["th dport"].values == {443: TCP4, 53: UDP6}
    assert packets.base["udp dport"].values == {53: UDP6}


def test_connection_tracking_sees_who_was_not_taken_out(packets: Packets) -> None:
    packets.assign(TRACKED, constant(1, UDP6), UDP6, UDP6)
    packets.track(0b11, 8, 0, 0)
    assert packets.base["ct state"].values == {8: TCP4, 64: UDP6}
    assert packets.base["ct mark"].values == {0: TCP4}
    assert packets.base["ct original ip saddr"].values == {7: TCP4}
    assert packets.base["ct original ip6 saddr"].present == 0


def test_an_interface_brings_what_is_known_of_it(packets: Packets) -> None:
    packets.enter(
        "iif", Spread({"eth0": TCP4, "gone": UDP6}), {"eth0": Link(name="eth0", group=5, type=1, kind="veth")}
    )
    assert packets.base["meta iifgroup"].values == {5: TCP4}
    assert packets.base["meta iifgroup"].unknown == UDP6
    assert packets.base["meta iifkind"].values == {"veth": TCP4}


def test_two_possible_pasts_leave_both_values(packets: Packets) -> None:
    before = packets.snapshot()
    packets.put("meta mark", constant(5, 0b11))
    packets.join(before)
    assert sorted(packets.base["meta mark"].at(TCP4)) == [0, 5]
    packets.restore(before)
    assert packets.base["meta mark"].at(TCP4) == [0]


def test_packets_go_back_to_a_former_moment_alone_or_with_what_they_are_now(packets: Packets) -> None:
    before = packets.snapshot()
    packets.assign("meta mark", constant(5, 0b11), 0b11, 0b11)
    packets.updates.append(("s", Field("meta mark"), constant(5, 0b11), 0b11, 0b11, False))
    packets.put("ct original zone", constant(3, 0b11))
    later = packets.snapshot()
    packets.take(before, TCP4)
    assert dict(packets.base["meta mark"].values) == {5: UDP6, 0: TCP4}
    assert dict(packets.base["ct original zone"].values) == {3: UDP6}
    assert [(sure, may) for _, _, _, sure, may, _ in packets.updates] == [(UDP6, UDP6)]
    packets.take(later, TCP4, keep=True)
    assert dict(packets.base["meta mark"].values) == {5: 0b11, 0: TCP4}


def test_a_zone_is_kept_until_tracking_and_not_changed_again(packets: Packets) -> None:
    packets.put_in_zone("ct reply zone", constant(5, 0b11), 0b11, 0b11)
    packets.put_in_zone("ct zone", constant(7, 0b11), 0b11, 0b11)
    assert dict(packets.base[TRACKED].values) == {4: 0b11}
    packets.track(0b11, 8, 0, 0)
    assert dict(packets.base[TRACKED].values) == {2: 0b11}
    zones = [dict(packets.base[f"ct {side}zone"].values) for side in ("", "original ", "reply ")]
    assert zones == [{5: 0b11}, {0: 0b11}, {5: 0b11}]
    packets.put_in_zone("ct zone", constant(9, 0b11), 0b11, 0b11)
    assert dict(packets.base["ct zone"].values) == {5: 0b11}
