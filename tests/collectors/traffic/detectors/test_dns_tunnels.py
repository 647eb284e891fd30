"""Names that carry data."""

import random

import pytest

from collectors.traffic.detectors.dns_tunnels import _MOST, registered
from tests.collectors.traffic.detectors.crowd import Listener, Packet, hear, lookup

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def names(count: int, size: int, kind: int = 1, domain: str = "example.org", gap: float = 0.2) -> list[Packet]:
    """Return questions for names that carry so many letters."""
    chance = random.Random(count)
    return [
        packet
        for number in range(count)
        for packet in lookup(
            "10.0.0.5", "10.0.0.2", number * gap, "".join(chance.choices(LETTERS, k=size)) + f".{domain}", kind
        )
    ]


def found(packets: list[Packet]) -> list[tuple[str, str]]:
    """Return domain and severity."""
    return [(one.subject, one.severity.name) for one in hear(packets) if "tunnel" in one.kind.name]


def test_many_long_names_are_a_tunnel() -> None:
    assert found(names(60, 55)) == [("example.org", "HIGH")]
    assert found(names(60, 55, domain="example.co.uk")) == [("example.co.uk", "HIGH")]


def test_shorter_names_are_one_when_the_answers_carry() -> None:
    assert found(names(60, 35)) == [("example.org", "MEDIUM")]
    assert found(names(60, 35, kind=16)) == [("example.org", "HIGH")]


def test_many_short_or_few_long_names_are_none() -> None:
    assert found(names(400, 14)) == []
    assert found(names(25, 60)) == []
    assert found(names(60, 55, gap=5.0)) == [], "over a long time"


def test_the_same_name_again_carries_nothing() -> None:
    assert (
        found([p for n in range(300) for p in lookup("10.0.0.5", "10.0.0.2", n * 0.1, "a" * 60 + ".example.org")]) == []
    )


def test_addresses_are_no_names() -> None:
    nibbles = ".".join("0123456789abcdef" * 2)
    packets = [
        p
        for n in range(200)
        for p in lookup("10.0.0.5", "10.0.0.2", n * 0.1, f"{n % 16:x}.{n:x}.{nibbles}.ip6.arpa", 12)
    ]
    assert found(packets) == []


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        (b"www.example.org", b"example.org"),
        (b"a.b.example.co.uk", b"example.co.uk"),
        (b"example.org", b"example.org"),
        (b"co.uk", b"co.uk"),
        (b"localhost", b""),
        (b"", b""),
        (b".", b""),
    ],
)
def test_the_registered_domain_by_form(name: bytes, domain: bytes) -> None:
    assert registered(name) == domain


def test_domains_beyond_the_bound_are_forgotten_and_counted() -> None:
    listener = Listener()
    packets = [
        p for n in range(_MOST + 100) for p in lookup("10.0.0.5", "10.0.0.2", n * 0.001, f"{'x' * 20}.d{n}.org")[:1]
    ]
    listener.hear(packets)
    assert listener.detectors.counts().evicted["tunnels"] == 100


def asked(names_: list[str], gap: float = 0.3) -> list[Packet]:
    """Return questions for these names."""
    return [p for n, name in enumerate(names_) for p in lookup("10.0.0.5", "10.0.0.2", n * gap, name)]


def test_names_that_say_much_the_same_each_time_carry_little() -> None:
    chance = random.Random(1)
    nibbles = [".".join(chance.choices("0123456789abcdef", k=32)) + ".bl.example.org" for _ in range(200)]
    assert found(asked(nibbles)) == [], "an IPv6 address at a blocklist"
    hosts = [f"host-203-0-{n % 100}-{n}.customers.frankfurt.dynamic.example.org" for n in range(200)]
    assert found(asked(hosts)) == [], "an address in a provider's names"
    clusters = [f"api-{n}.eu.example.com.prod.svc.corp.example.org" for n in range(200)]
    assert found(asked(clusters)) == [], "what a search list adds"


def test_data_in_short_labels_is_a_tunnel_all_the_same() -> None:
    chance = random.Random(2)
    pairs = [".".join("".join(chance.choices(LETTERS, k=2)) for _ in range(30)) + ".example.org" for _ in range(60)]
    assert found(asked(pairs)) == [("example.org", "HIGH")]


def test_lists_that_are_asked_for_digests_are_no_tunnels() -> None:
    digests = names(200, 40, domain="ebl.msbl.org")
    assert found(digests) == []
    assert found(names(200, 40, domain="msbl.org.example.org")) == [("example.org", "MEDIUM")]
