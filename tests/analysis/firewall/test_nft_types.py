"""Every field has the data type by whose symbols it is compared."""

import pytest

from analysis.firewall.nft_types import of_fib, of_field
from analysis.firewall.values import NAMES, STRINGS


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ip saddr", "ipv4_addr"),
        ("ct original ip6 daddr", "ipv6_addr"),
        ("ct reply ip saddr", "ipv4_addr"),
        ("ct state", "ct_state"),
        ("meta l4proto", "inet_proto"),
        ("meta iifname", "ifname"),
        ("tcp flags", "tcp_flag"),
        ("tcp dport", "integer"),
        ("odd one", "integer"),
    ],
)
def test_of_fields(name: str, kind: str) -> None:
    assert of_field(name) == kind


def test_symbols_of_a_type_are_numbers_or_the_type_is_text() -> None:
    assert NAMES[of_fib("type")]["local"] == 2
    assert NAMES[of_field("ct status")]["dnat"] == 32
    assert of_fib("oifname") in STRINGS
    assert of_fib("present") == "boolean"
