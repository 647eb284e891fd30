"""Lists in every format come to the same intervals; hostile ones are refused with their line; differences are exact."""

import ipaddress
import itertools
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.block import blocklists
from actions.block.blocklists import Intervals, ListRefused

WIDEST = {4: 8, 6: 16}
INTERVAL = st.tuples(st.integers(0, 5000), st.integers(0, 60)).map(lambda one: (one[0], one[0] + one[1]))


def parsed(text: str | bytes, most: int = 1000) -> list[str]:
    found = blocklists.parse(text if isinstance(text, bytes) else text.encode(), most, WIDEST)
    return [blocklists.spelled(version, one) for version in (4, 6) for one in found[version]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# nothing\n; nor here\n\n", []),
        ("192.0.2.1\n192.0.2.1\r\n", ["192.0.2.1"]),
        ("192.0.2.0/25\n192.0.2.128/25\n", ["192.0.2.0/24"]),
        ("192.0.2.7/24 # with host bits\n", ["192.0.2.0/24"]),
        ("1.10.16.0/20 ; SBL256894\n1.19.0.0/16 ; SBL434604\n", ["1.10.16.0/20", "1.19.0.0/16"]),
        (
            '{"cidr":"1.10.16.0/20","sblid":"SBL256894","rir":"apnic"}\n{"type":"metadata","records":1}\n',
            ["1.10.16.0/20"],
        ),
        ("2001:db8::/32\n2001:DB8:0::1\n", ["2001:db8::/32"]),
        ("192.0.2.1\n192.0.2.2\n192.0.2.3\n", ["192.0.2.1-192.0.2.3"]),
        ("192.0.2.1 first seen 2026\n", ["192.0.2.1"]),
        ("\ufeff192.0.2.1\r\n192.0.2.3\r\n", ["192.0.2.1", "192.0.2.3"]),
        ("::ffff:192.0.2.1\n::ffff:198.51.100.0/120\n", ["192.0.2.1", "198.51.100.0/24"]),
    ],
)
def test_every_format_is_read(text: str, expected: list[str]) -> None:
    assert parsed(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("192.0.2.1\nnonsense\n", 'line 2: "nonsense" is no address'),
        ("192.0.2.300\n", "line 1"),
        ("1.2.3\n", "line 1"),
        ("192.0.2.1/33\n", "prefix length over 32"),
        ("0.0.0.0/0\n", "wider than /8"),
        ("::/0\n", "wider than /16"),
        ("192.0.2.1\n" * 3, ""),
        (b"\x00\x01\x02" * 50, "not text"),
        (b"\xff\xfe1.2.3.4", "not text"),
        ('{"cidr": 7}\n', "has no network"),
        ("{nonsense}\n", "is no JSON"),
        ("<html><body>404</body></html>\n", "line 1"),
        ("192.0.2.1; flush ruleset\n192.0.2.2 }\n", ""),
        ("192.0.2.1}\n", "line 1"),
        ("", "it is empty"),
        (" \n\r\n", "it is empty"),
        ("::ffff:0:0/96\n", "wider than /104"),
        ("1.1.1.1\n2.2.2.2\n" * 800, "more than 1000"),
    ],
)
def test_what_is_no_list_is_refused_with_its_line(text: str | bytes, message: str) -> None:
    if not message:
        assert parsed(text)
        return
    with pytest.raises(ListRefused, match=message):
        parsed(text)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_list_or_refused(content: bytes) -> None:
    try:
        blocklists.parse(content, 100, WIDEST)
    except ListRefused as error:
        assert error.message


@given(st.lists(INTERVAL, max_size=30))
def test_merged_intervals_hold_the_same_addresses(intervals: list[tuple[int, int]]) -> None:
    def addresses(each: list[tuple[int, int]]) -> set[int]:
        return {address for first, last in each for address in range(first, last + 1)}

    found = blocklists.merged(intervals)
    assert addresses(found) == addresses(intervals)
    assert all(one[1] + 1 < other[0] for one, other in itertools.pairwise(found))


@given(st.lists(INTERVAL, max_size=30), st.lists(INTERVAL, max_size=6))
def test_nothing_that_is_protected_is_left_in_a_list(
    intervals: list[tuple[int, int]], protected: list[tuple[int, int]]
) -> None:
    before: Intervals = {4: blocklists.merged(intervals), 6: []}
    kept, skipped = blocklists.without(before, [(4, *one) for one in protected])
    for first, last in protected:
        assert not any(one[0] <= last and first <= one[1] for one in kept[4])
    assert sorted(kept[4] + [one for _, one, _ in skipped]) == before[4]


@given(st.lists(INTERVAL, max_size=20), st.lists(INTERVAL, max_size=20))
def test_a_difference_names_what_goes_and_what_comes(old: list[tuple[int, int]], new: list[tuple[int, int]]) -> None:
    before, after = {4: blocklists.merged(old)}, {4: blocklists.merged(new)}
    gone, come = blocklists.difference(before, after)
    assert sorted((set(before[4]) - set(gone[4])) | set(come[4])) == after[4]
    assert not set(gone[4]) & set(come[4]) and (gone[6], come[6]) == ([], [])


@given(st.ip_addresses(), st.integers(8, 128))
def test_a_network_is_spelled_as_one(address, length: int) -> None:
    network = ipaddress.ip_network((address, min(length, address.max_prefixlen)), strict=False)
    interval = int(network.network_address), int(network.broadcast_address)
    assert ipaddress.ip_network(blocklists.spelled(network.version, interval)) == network


def test_what_was_saved_is_read_back() -> None:
    chance = random.Random(3)
    intervals = {
        version: blocklists.merged((n := chance.randrange(1 << 30), n + 5) for _ in range(50)) for version in (4, 6)
    }
    assert blocklists.restored(blocklists.saved(intervals)) == intervals
    assert json.dumps(blocklists.saved({}).decode()) == '"\\n"' or blocklists.saved({}) == b""
