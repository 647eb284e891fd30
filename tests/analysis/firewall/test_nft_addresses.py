"""The short way to an address or network says what the long one says."""

import pytest

from analysis.firewall.model import Span
from analysis.firewall.nft_addresses import address_key
from analysis.firewall.nft_json import elements

TEN = {"prefix": {"addr": "10.0.0.0", "len": 8}}


@pytest.mark.parametrize(
    ("item", "key"),
    [
        ("10.0.0.1", Span(0x0A000001, 0x0A000001)),
        (TEN, Span(0x0A000000, 0x0AFFFFFF)),
        ({"elem": {"val": TEN, "timeout": 5}}, Span(0x0A000000, 0x0AFFFFFF)),
        ({"elem": {"val": "::1", "comment": "x"}}, Span(1, 1)),
        ({"prefix": {"addr": "2001:db8::", "len": 128}}, Span(0x20010DB8 << 96, 0x20010DB8 << 96)),
    ],
)
def test_addresses_and_networks(item: object, key: Span) -> None:
    assert address_key(item) == key


@pytest.mark.parametrize(
    "item", ["*", "host", {"range": ["10.0.0.1", "10.0.0.9"]}, {"concat": ["10.0.0.1", 5]}, 7, None]
)
def test_everything_else_goes_the_long_way(item: object) -> None:
    assert address_key(item) is None


def test_an_impossible_network_is_named() -> None:
    with pytest.raises(ValueError, match="40 bits"):
        elements([{"prefix": {"addr": "10.0.0.0", "len": 40}}], ["ipv4_addr"], [])
    assert [one.key for one in elements([TEN, {"range": ["10.0.0.1", "10.0.0.9"]}], ["ipv4_addr"], [])][1] == Span(
        0x0A000001, 0x0A000009
    )
