"""Addresses and numbers in text are what Python's own library says they are, or nothing."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.firewall.values import address, network, number, written


@given(st.ip_addresses())
def test_an_address_is_its_number_and_back(known: object) -> None:
    text = str(known)
    found = address(text)
    assert found == (ip_address(text).version, int(ip_address(text)))
    assert written(*found) == text


@pytest.mark.parametrize(
    "text", ["", "1.2.3", "1.2.3.256", "1.2.3.4.5", "1.2.3.-4", "١.2.3.4", "::g", "1.2.3.4/8", "host", "0001.2.3.4"]
)
def test_what_is_no_address_is_none(text: str) -> None:
    assert address(text) is None


@pytest.mark.parametrize(("text", "value"), [("7", 7), ("0x1F", 31), ("x", None), ("", None)])
def test_numbers_in_both_notations(text: str, value: int | None) -> None:
    assert number(text) == value


def test_a_network_is_its_first_and_last_address() -> None:
    assert network(0x0A010203, 8, 32) == (0x0A000000, 0x0AFFFFFF)
    with pytest.raises(ValueError, match="33 bits"):
        network(0, 33, 32)
