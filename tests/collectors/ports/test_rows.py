"""Keys and scopes of rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.ports.rows import key_ends, key_of, scope_of
from contracts.host import Socket


@pytest.mark.parametrize(
    ("socket", "key"),
    [
        (Socket(protocol="tcp", family=4, address="0.0.0.0", port=22, netns=1), "tcp/0.0.0.0:22"),
        (Socket(protocol="tcp", family=6, address="::", port=22, netns=1), "tcp/[::]:22"),
        (
            Socket(protocol="udp", family=6, address="fe80::1", port=546, interface="eth0", netns=1),
            "udp/[fe80::1]:546@eth0",
        ),
        (Socket(protocol="sctp", family=4, address="10.0.0.1", port=9, netns=5), "sctp/10.0.0.1:9#5"),
    ],
)
def test_a_key_names_the_place(socket: Socket, key: str) -> None:
    assert key_of(socket, home=1) == key


@given(st.ip_addresses(), st.integers(0, 65535), st.integers(0, 3))
def test_places_that_differ_have_keys_that_differ(address: object, port: int, netns: int) -> None:
    one = Socket(protocol="tcp", family=6 if ":" in str(address) else 4, address=str(address), port=port, netns=netns)
    head, tail = key_ends(one, 0)
    assert key_of(one, 0) == f"{head}{port}{tail}"
    assert ("#" in key_of(one, 0)) is (netns != 0)


@pytest.mark.parametrize(
    ("address", "scope"),
    [
        ("0.0.0.0", "any"),
        ("::", "any"),
        ("127.0.0.53", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("fe80::1", "link"),
        ("169.254.1.1", "link"),
        ("192.0.2.1", "host"),
        ("2001:db8::1", "host"),
    ],
)
def test_a_scope_says_who_can_reach_an_address(address: str, scope: str) -> None:
    assert scope_of(address) == scope
    assert scope_of(address, "eth0") == scope
    assert scope_of(address, "lo") == "loopback"
