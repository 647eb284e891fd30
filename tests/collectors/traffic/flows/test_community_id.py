"""Community IDs that the specification's own implementations publish, in both directions."""

import ipaddress

import pytest

from collectors.traffic.flows.community_id import community_id

PUBLISHED = [
    ("128.232.110.120", "66.35.250.204", 6, 34855, 80, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
    ("192.168.1.52", "8.8.8.8", 17, 54585, 53, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
    ("192.168.170.8", "192.168.170.56", 132, 7, 7, "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="),
    (
        "2001:470:e5bf:dead:4957:2174:e82c:4887",
        "2607:f8b0:400c:c03::1a",
        6,
        63943,
        25,
        "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=",
    ),
]


def packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


@pytest.mark.parametrize(("source", "target", "protocol", "sport", "dport", "wanted"), PUBLISHED)
def test_published_ids_are_met_both_ways(
    source: str, target: str, protocol: int, sport: int, dport: int, wanted: str
) -> None:
    assert community_id(packed(source), packed(target), protocol, sport, dport) == wanted
    assert community_id(packed(target), packed(source), protocol, dport, sport) == wanted


def test_icmp_is_named_by_type_and_answer() -> None:
    one, other = packed("192.168.0.89"), packed("192.168.0.1")
    assert community_id(one, other, 1, 8, 0) == "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="
    assert community_id(other, one, 1, 0, 0) == "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="
    advertisement = community_id(packed("fe80::260:97ff:fe07:69ea"), packed("ff02::1"), 58, 134, 0)
    assert advertisement == "1:pkvHqCL88/tg1k4cPigmZXUtL00="


def test_a_seed_makes_other_names() -> None:
    one, other = packed("10.0.0.1"), packed("10.0.0.2")
    assert community_id(one, other, 6, 1, 2, seed=1) != community_id(one, other, 6, 1, 2)
