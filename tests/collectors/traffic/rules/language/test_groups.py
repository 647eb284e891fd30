"""Address and port groups are the sets that their words say."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.groups import addresses, ports
from collectors.traffic.rules.language.ranges import contains
from collectors.traffic.rules.language.variables import Variables

STOCK = Variables()


def has(group: str, address: str) -> bool:
    found = addresses(group, STOCK.addresses)
    value = ipaddress.ip_address(address)
    return contains(found.v4 if value.version == 4 else found.v6, int(value))


@pytest.mark.parametrize(
    ("group", "address", "expected"),
    [
        ("any", "1.2.3.4", True),
        ("any", "::1", True),
        ("$HOME_NET", "10.1.2.3", True),
        ("$HOME_NET", "::1", False),
        ("$EXTERNAL_NET", "10.1.2.3", False),
        ("$EXTERNAL_NET", "2001:db8::1", True),
        ("!$EXTERNAL_NET", "10.0.0.1", True),
        ("[10.0.0.0/8,!10.1.0.0/16]", "10.1.0.1", False),
        ("[10.0.0.0/8, [192.168.0.0/16, !10.1.0.0/16]]", "10.1.0.1", False),
        ("[!10.0.0.0/8,!11.0.0.0/8]", "12.0.0.1", True),
        ("10.0.0.1-10.0.0.9", "10.0.0.5", True),
        ("10.0.0.1/255.255.0.0", "10.0.9.9", True),
        ("[2001:db8::/32]", "2001:db8::5", True),
        ("1.2.3.4", "1.2.3.5", False),
    ],
)
def test_addresses(group: str, address: str, expected: bool) -> None:
    assert has(group, address) is expected


@pytest.mark.parametrize(
    "group",
    [
        "!any",
        "[1.1.1.1,!1.1.1.1]",
        "$NOTHING",
        "[1.1.1.1",
        "1.1.1.1]",
        "1.1.1.300",
        "[]",
        "[1.1.1.1,]",
        "[[1.1.1.1],2",
        "9.9.9.9-1.1.1.1",
        "a-b-c",
    ],
)
def test_groups_that_are_none_are_refused(group: str) -> None:
    with pytest.raises(Refused):
        addresses(group, STOCK.addresses)


def test_variables_that_name_each_other_end() -> None:
    with pytest.raises(Refused, match="nested too deeply"):
        addresses("$A", {"A": "$B", "B": "$A"})


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 65535), st.integers(0, 50)), min_size=1, max_size=5),
    st.integers(0, 65535),
)
def test_ports_are_taken_and_left_out(items: list[tuple[bool, int, int]], port: int) -> None:
    words = [f"{'!' if out else ''}{low}:{min(low + more, 65535)}" for out, low, more in items]
    taken = [range(low, low + more + 1) for out, low, more in items if not out] or [range(65536)]
    holes = [range(low, low + more + 1) for out, low, more in items if out]
    expected = any(port in one for one in taken) and not any(port in one for one in holes)
    try:
        found = ports(f"[{','.join(words)}]", STOCK.ports)
    except Refused:
        assert not expected
    else:
        assert contains(found.ranges, port) is expected


@pytest.mark.parametrize(
    ("group", "ranges"),
    [
        ("any", ((0, 65535),)),
        ("1024:", ((1024, 65535),)),
        (":80", ((0, 80),)),
        ("[80,81]", ((80, 81),)),
        ("!80", ((0, 79), (81, 65535))),
    ],
)
def test_port_words(group: str, ranges: tuple[tuple[int, int], ...]) -> None:
    assert ports(group, STOCK.ports).ranges == ranges


@pytest.mark.parametrize("group", ["!any", "70000", "90:80", "x", "[80,!80]", "-1"])
def test_ports_that_are_none_are_refused(group: str) -> None:
    with pytest.raises(Refused):
        ports(group, STOCK.ports)
