"""What people and events write becomes one canonical network, or is refused in words."""

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.block.address import canonical, inside, overlap, parse
from actions.block.blocklist import Options as BlocklistOptions
from actions.block.options import Options
from contracts.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("203.0.113.7", "203.0.113.7"),
        (" 203.0.113.7 ", "203.0.113.7"),
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ],
)
def test_every_way_to_write_it_becomes_one(text: str, expected: str) -> None:
    assert canonical(parse(text)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "x", "1.2.3", "fe80::1%eth0", "1.2.3.4; flush ruleset", "1" * 500, "1.2.3.4/33", "\n"],
)
def test_what_is_no_network_is_refused_with_what_would_do(text: str) -> None:
    with pytest.raises(UsageError, match=r"is no address and no network; write 203\.0\.113\.7"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "network"), [("203.0.113.7/24", "203.0.113.0/24"), ("2001:db8::1/64", "2001:db8::/64")]
)
def test_bits_beyond_the_length_are_asked_about(text: str, network: str) -> None:
    with pytest.raises(UsageError, match=f"has bits beyond its length; write {network}, or {text.partition('/')[0]}"):
        parse(text)


@pytest.mark.parametrize("word", ["backup.example.org", "192.0.2.300", "", "192.0.2.0/33"])
def test_a_word_that_would_protect_nobody_is_refused_in_the_settings(word: str) -> None:
    for options in (Options, BlocklistOptions):
        with pytest.raises(ValueError, match=r"never: .* is no address and no network"):
            options(never={"198.51.100.0/24": "fine", word: "the backup target"})


@given(st.text(max_size=80))
def test_any_text_is_a_network_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except UsageError:
        return
    assert parse(canonical(found)) == found


@given(st.ip_addresses(), st.integers(0, 128))
def test_a_network_overlaps_and_holds_its_own_addresses(address: Any, length: int) -> None:
    network = ipaddress.ip_network((address, min(length, address.max_prefixlen)), strict=False)
    single = ipaddress.ip_network(address)
    assert overlap(network, single) and inside(single, network)


def test_networks_of_two_versions_share_nothing() -> None:
    assert not overlap(parse("0.0.0.0/0"), parse("::/0"))
    assert not inside(parse("10.0.0.1"), parse("::/0"))
