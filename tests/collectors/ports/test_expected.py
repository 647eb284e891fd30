"""What an admin writes in `ports.expected` means one thing or is refused with a sentence that helps."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.ports.expected import PROTOCOLS, Expectation, Expectations, parse
from collectors.ports.owners import Owner
from contracts.host import Socket

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/@=: \t\r\n", exclude_categories=["Z", "C"]),
    min_size=1,
    max_size=15,
)


@st.composite
def expectations(draw: st.DrawFn) -> Expectation:
    first = draw(st.integers(1, 65535))
    address = draw(st.none() | st.ip_addresses(v=4) | st.ip_addresses(v=6))
    text = "" if address is None else str(address)
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        text = f"::ffff:{address.ipv4_mapped}"
    assert not isinstance(address, IPv4Address) or ":" not in text
    return Expectation(
        protocol=draw(st.sampled_from(PROTOCOLS)),
        first=first,
        last=draw(st.integers(first, 65535)),
        address=text,
        interface=draw(st.just("") | NAMES),
        process=draw(st.just("") | NAMES | NAMES.map(lambda name: f"/usr/bin/{name}")),
    )


@given(expectations())
def test_what_is_written_is_read_back(entry: Expectation) -> None:
    assert parse(str(entry)) == entry


@given(st.text(max_size=40))
def test_anything_else_is_refused_with_a_sentence(text: str) -> None:
    try:
        assert parse(str(parse(text))) == parse(text)
    except ValueError as error:
        assert text in str(error)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("22", "is no port; write it like tcp/22"),
        ("http/80", '"http" is not one of tcp, udp'),
        ("TCP/80", '"TCP" is not one of'),
        ("tcp/", '"" is not a port from 1 to 65535'),
        ("tcp/0", '"0" is not a port'),
        ("tcp/65536", '"65536" is not a port'),
        ("tcp/http", '"http" is not a port'),
        ("tcp/ 22", '" 22" is not a port'),
        ("tcp/٢٢", "is not a port"),
        ("tcp/80-", '"" is not a port'),
        ("tcp/90-80", "write 80-90"),
        ("tcp/localhost:80", '"localhost" is no IP address'),
        ("tcp/::1:80", "is no port"),
        ("tcp/[127.0.0.1]:80", "IPv4 address without"),
        ("tcp/[fe80::1%eth0]:80", "the interface after @"),
        ("tcp/80@", '"" is no name of an interface'),
        ("tcp/80=", "after = comes the name"),
        ("tcp/80=bin/sshd", "absolute path"),
    ],
)
def test_a_mistake_is_named(text: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert words in str(caught.value)


SSHD = Owner(process="sshd", executable="/usr/sbin/sshd")


@pytest.mark.parametrize(
    ("entry", "allowed"),
    [
        ("tcp/22", True),
        ("tcp/20-25", True),
        ("tcp/*:22", True),
        ("tcp/127.0.0.1:22", True),
        ("tcp/22=sshd", True),
        ("tcp/22=/usr/sbin/sshd", True),
        ("udp/22", False),
        ("tcp/23-30", False),
        ("tcp/0.0.0.0:22", False),
        ("tcp/22@eth0", False),
        ("tcp/22=nginx", False),
        ("tcp/22=/tmp/sshd", False),
    ],
)
def test_an_entry_allows_what_it_names(entry: str, allowed: bool) -> None:
    socket = Socket(protocol="tcp", family=4, address="127.0.0.1", port=22)
    assert Expectations([entry]).allow(socket, SSHD) is allowed


def test_a_program_cannot_take_another_ones_name() -> None:
    socket = Socket(protocol="tcp", family=4, address="127.0.0.1", port=22)
    impostor = Owner(process="sshd", executable="/tmp/x")
    assert not Expectations(["tcp/22=sshd"]).allow(socket, impostor)


def test_an_owner_that_cannot_be_seen_is_not_held_against_the_port() -> None:
    socket = Socket(protocol="tcp", family=4, address="127.0.0.1", port=22)
    assert Expectations(["tcp/22=sshd"]).allow(socket, Owner(known=False))


def test_a_service_that_is_started_on_demand_counts_before_and_after_it_starts() -> None:
    socket = Socket(protocol="tcp", family=4, address="0.0.0.0", port=22)
    waiting = Owner(process="systemd", executable="/usr/lib/systemd/systemd", activated=True)
    serving = Owner(
        process="systemd", executable="/usr/lib/systemd/systemd", activated=True, served_by=("/usr/sbin/sshd",)
    )
    assert Expectations(["tcp/22=sshd"]).allow(socket, waiting)
    assert Expectations(["tcp/22=sshd"]).allow(socket, serving)
    assert not Expectations(["tcp/22=nginx"]).allow(socket, serving)
