"""Networks: one address at a time and whole columns, against the standard library."""

import ipaddress

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.traffic.detectors.options import HOME
from collectors.traffic.detectors.prefixes import Prefixes

addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))
networks = st.builds(
    lambda address, bits: ipaddress.ip_network((address, min(bits, address.max_prefixlen)), strict=False),
    addresses,
    st.integers(0, 128),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(networks, max_size=6), st.lists(addresses, min_size=1, max_size=20))
def test_both_look_ups_say_what_ipaddress_says(given: list, asked: list) -> None:  # type: ignore[type-arg]
    prefixes = Prefixes(str(one) for one in given)
    asked += [one.network_address for one in given]
    expected = [any(one in network for network in given if network.version == one.version) for one in asked]
    assert [prefixes.has(str(one)) for one in asked] == expected
    family = np.array([one.version for one in asked], np.uint8)
    high = np.array([int(one) >> 64 for one in asked], np.uint64)
    low = np.array([int(one) & (1 << 64) - 1 for one in asked], np.uint64)
    assert prefixes.mask(family, high, low).tolist() == expected


def test_what_is_no_address_is_in_no_network() -> None:
    assert not Prefixes(HOME).has("02:00:00:00:00:01")
    assert not Prefixes().has("10.0.0.1") and len(Prefixes()) == 0
    assert len(Prefixes(("10.0.0.1", "10.0.0.2", "10.0.0.0/24"))) == 3
