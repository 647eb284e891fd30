"""Addresses as numbers and back."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.firewall import addresses


@given(st.ip_addresses())
def test_an_address_survives_the_way_to_a_number_and_back(address) -> None:
    family, value = addresses.number(str(address))
    if getattr(address, "ipv4_mapped", None) is None:
        assert (family, addresses.text(family, value)) == (address.version, str(address))
    else:
        assert addresses.text(family, value) == str(address.ipv4_mapped)


@given(st.ip_addresses(v=4), st.integers(0, 32))
def test_a_network_is_written_as_a_network_again(address, length) -> None:
    network = ip_network((int(address), length), strict=False)
    written = addresses.span_text(*addresses.span(str(network)))
    assert written == (str(network.network_address) if length == 32 else str(network))


def test_what_is_no_network_is_written_from_first_to_last() -> None:
    low = int(ip_address("10.0.0.5"))
    assert addresses.span_text(4, low, low + 4) == "10.0.0.5-10.0.0.9"


def test_a_zone_is_no_part_of_the_number() -> None:
    assert addresses.number("fe80::1%eth0") == addresses.number("fe80::1")


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match="not-one"):
        addresses.number("not-one")


@pytest.mark.parametrize(
    ("address", "word"),
    [
        ("127.0.0.1", "a loopback address"),
        ("fe80::7", "a link-local address"),
        ("169.254.3.4", "a link-local address"),
        ("192.168.3.4", "a private address"),
        ("fd00::7", "a private address"),
    ],
)
def test_what_no_router_carries_is_named(address, word) -> None:
    family, value = addresses.number(address)
    assert not addresses.is_public(family, value)
    assert addresses.why_not_routed(family, value) == word
    assert addresses.is_loopback(family, value) == (word == "a loopback address")
    assert addresses.is_link_local(family, value) == (word == "a link-local address")


def test_groups_and_everybody_are_told_apart_from_single_hosts() -> None:
    several = ("224.0.0.251", "ff02::fb", "255.255.255.255")
    assert [addresses.is_multicast(*addresses.number(address)) for address in several] == [True] * 3
    assert not addresses.is_multicast(*addresses.number("8.8.8.8"))
