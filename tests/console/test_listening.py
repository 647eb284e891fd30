"""Addresses to listen on, and what is said when one cannot be used."""

import socket

import pytest

from console.listening import CannotListen, address_of, listen, own_names
from contracts.errors import UsageError


def test_port_0_takes_a_free_one() -> None:
    with listen("127.0.0.1:0", "people") as one, listen("[::1]:0", "people") as two:
        assert address_of(one).startswith("127.0.0.1:")
        assert address_of(two).startswith("[::1]:")


def test_a_port_in_use_is_said() -> None:
    with listen("127.0.0.1:0", "people") as one, pytest.raises(CannotListen, match="in use"):
        listen(address_of(one), "agents")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.1:x", ":1", "127.0.0.1:70000"])
def test_what_is_not_an_address_is_said(address: str) -> None:
    with pytest.raises(UsageError, match="is not ADDRESS:PORT"):
        listen(address, "people")


def test_an_address_of_another_machine_is_said() -> None:
    with pytest.raises(CannotListen, match="cannot be used"):
        listen("192.0.2.1:8443", "people")


def test_names_hold_loopback_and_what_is_configured() -> None:
    names = own_names("192.0.2.1:8444", ("console.test", "localhost"))
    assert {"localhost", "127.0.0.1", "192.0.2.1", "console.test", socket.gethostname()} <= set(names)
    assert "0.0.0.0" not in own_names("0.0.0.0:8444", ())
