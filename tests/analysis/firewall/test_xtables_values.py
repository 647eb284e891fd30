"""Addresses, ports, protocols, marks and interfaces as iptables writes them."""

import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.firewall.model import Binary, Field, Match, Name, Not, Span
from analysis.firewall.xtables_values import (
    IPV4,
    IPV6,
    address,
    address_range,
    bits,
    family_of,
    interface,
    is_address,
    is_masked,
    masked,
    network,
    number,
    opposite,
    ports,
    protocol,
    turned,
)
from contracts.errors import Malformed

ONE = Match(Field("meta mark"), "==", Span(1, 1))


def test_the_family_is_in_the_name_of_the_table_row() -> None:
    assert [family_of(name).version for name in ("ip", "legacy-ip", "ip6", "legacy-ip6")] == [4, 4, 6, 6]


@pytest.mark.parametrize(("text", "value"), [("12", 12), ("0x1F", 31), ("010", 8), ("0", 0)])
def test_numbers_are_those_of_strtoul(text: str, value: int) -> None:
    assert number(text) == value


@pytest.mark.parametrize("text", ["", "x", "-1", "0x", "09", "4294967296", "1 2"])
def test_what_is_no_number_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        number(text)


@pytest.mark.parametrize(("text", "low", "high"), [("22", 22, 22), ("1:9", 1, 9), (":9", 0, 9), ("9:", 9, 65535)])
def test_ports_and_ranges(text: str, low: int, high: int) -> None:
    assert ports(text) == Span(low, high)


@pytest.mark.parametrize("text", ["9:1", "65536", "a", ":", "1:2:3"])
def test_ports_that_are_none(text: str) -> None:
    if text == ":":
        assert ports(text) == Span(0, 65535)
        return
    with pytest.raises(Malformed):
        ports(text)


def test_protocols_are_known_by_the_names_of_this_machine() -> None:
    for line in Path("/etc/protocols").read_text().splitlines():
        name, number_, *_ = [*line.split("#")[0].split(), "", ""]
        if name and number_.isdigit() and name != "ip":
            assert protocol(name) == int(number_), name
    assert protocol("47") == 47
    with pytest.raises(Malformed):
        protocol("nonsense")


@given(st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_networks_are_those_of_the_library(value: int, length: int) -> None:
    expected = ipaddress.IPv4Network((value, length), strict=False)
    found = network(f"{ipaddress.IPv4Address(value)}/{length}", IPV4)
    assert found == Span(int(expected.network_address), int(expected.broadcast_address))
    assert network(f"{ipaddress.IPv4Address(value)}/{expected.netmask}", IPV4) == found


@given(st.integers(0, 2**128 - 1), st.integers(0, 128))
def test_networks_of_ipv6_too(value: int, length: int) -> None:
    expected = ipaddress.IPv6Network((value, length), strict=False)
    found = network(f"{ipaddress.IPv6Address(value)}/{length}", IPV6)
    assert found == Span(int(expected.network_address), int(expected.broadcast_address))


def test_a_mask_with_gaps_is_a_comparison_of_bits() -> None:
    found = is_address(Field("ip saddr"), "10.0.0.5/255.0.0.255", IPV4)
    assert isinstance(found.left, Binary)
    assert found.right == Span(0x0A000005, 0x0A000005)
    with pytest.raises(Malformed):
        network("10.0.0.5/255.0.0.255", IPV4)


@pytest.mark.parametrize("text", ["", "10.0.0", "10.0.0.0/33", "::1", "10.0.0.1/x", "10.0.0.9-10.0.0.1", "10.0.0.256"])
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(Malformed):
        address_range(text, IPV4) if "-" in text else is_address(Field("ip saddr"), text, IPV4)


def test_marks_have_masks() -> None:
    assert masked("0x3/0xff") == (3, 255)
    assert is_masked(Field("meta mark"), "0x3").left == Field("meta mark")
    assert isinstance(is_masked(Field("meta mark"), "0x3/0xff").left, Binary)


def test_interfaces_may_be_beginnings() -> None:
    assert interface("eth+") == Name("eth*")
    assert interface("eth0") == Name("eth0")
    with pytest.raises(Malformed):
        interface("odd*")


def test_flags_are_added_up() -> None:
    assert bits("syn,ACK", {"SYN": 2, "ACK": 16}) == 18
    with pytest.raises(Malformed):
        bits("FOO", {"SYN": 2})


def test_the_opposite_of_conditions_and_of_a_comparison_differ() -> None:
    assert turned(False, ONE) == (ONE,)
    assert turned(True, ONE) == (Not((ONE,)),)
    assert opposite(True, ONE) == Match(ONE.left, "!=", ONE.right)
    assert address("192.0.2.1", IPV4) == 0xC0000201
