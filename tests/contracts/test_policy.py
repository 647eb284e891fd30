"""The declared policy checks itself, and says where it is wrong."""

from typing import Any

import msgspec
import pytest

from contracts.policy import Policy, Service, Zone, digest, endpoint, network, port_range, problems
from settings.errors import ConfigErrors
from settings.load import parse


def wrong(**parts: Any) -> str:
    with pytest.raises(ValueError) as caught:
        Policy(**parts)
    return str(caught.value)


SSH = Service(ports=("22",))


def test_a_sound_policy_is_taken_as_it_is() -> None:
    policy = Policy(
        zones={"office": Zone(networks=("198.51.100.0/24", "2001:db8::/32")), "lan": Zone(interfaces=("eth1",))},
        services={"ssh": Service(ports=("22", "2200-2210"), sources=("office", "lan", "192.0.2.7"), rate="10/minute")},
        protect=("192.0.2.20:22", "[2001:db8::20]:22"),
    )
    assert policy.declared
    assert list(problems(policy)) == []
    assert msgspec.json.decode(msgspec.json.encode(policy), type=Policy) == policy


def test_nothing_is_declared_by_default_and_nothing_is_enforced() -> None:
    assert not Policy().declared
    assert not Policy().enforce


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"zones": {"a": Zone(interfaces=("eth0",))}}, "services: none is declared"),
        ({"enforce": True}, "enforce: there is no policy to enforce"),
        ({"services": {"s": SSH}, "zones": {"a": Zone()}}, "zones.a: names neither"),
        ({"services": {"s": SSH}, "zones": {"a": Zone(interfaces=("lo",))}}, "zones.a.interfaces[0]: this host itself"),
        ({"services": {"s": SSH}, "zones": {"a": Zone(interfaces=('x"; drop',))}}, "zones.a.interfaces[0]:"),
        ({"services": {"s": SSH}, "zones": {"a": Zone(networks=("10.0.0.1/8",))}}, "write 10.0.0.0/8"),
        (
            {"services": {"s": SSH}, "zones": {"a": Zone(interfaces=("e0",)), "b": Zone(interfaces=("e1", "e0"))}},
            "zones.b.interfaces[1]: e0 belongs to the zone a already",
        ),
        (
            {"services": {"s": SSH}, "zones": {"a": Zone(networks=("::/0",)), "b": Zone(networks=("::/0",))}},
            "zones.b.networks[0]: ::/0 belongs to the zone a already",
        ),
        ({"services": {"s": Service(ports=("22:22",))}}, 'services.s.ports[0]: "22:22" is no port'),
        ({"services": {"s": Service(ports=("22", "0"))}}, "services.s.ports[1]:"),
        ({"services": {"s": Service(ports=("9-1",))}}, "write 1-9"),
        ({"services": {"s": Service(ports=("1",), protocols=("tcp", "tcp"))}}, "services.s.protocols: tcp stands"),
        ({"services": {"s": Service(ports=("1",), sources=("nowhere",))}}, "neither a zone nor a network"),
        ({"services": {"s": Service(ports=("1",), sources=("10.0.0.256",))}}, "is not a network"),
        ({"services": {"s": Service(ports=("1",), sources=("10.0.0.1",), family="ipv6")}}, "has no ipv6 network"),
        ({"services": {"s": SSH}, "protect": ("backup:22",)}, 'protect[0]: "backup:22" is no address'),
    ],
)
def test_what_is_wrong_is_named_with_its_place(parts: dict[str, Any], said: str) -> None:
    assert said in wrong(**parts)


def test_a_zone_of_an_interface_and_one_of_networks_behind_it_are_no_contradiction() -> None:
    zones = {"a": Zone(interfaces=("e0",), networks=("10.0.0.0/8",)), "b": Zone(interfaces=("e0",))}
    assert Policy(zones=zones, services={"s": SSH}).declared


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("services:\n  ssh: {ports: [22:22]}", ":2:17:", "is no port"),
        ("services:\n  ssh: {ports: [22]}\n  ssh: {ports: [23]}", ":3:3:", "stands here twice"),
        ("services:\n  ssh: {ports: []}", ":2:16:", "at least 1 item"),
        ("services:\n  ssh: {}", ":2:8:", "is required"),
        ("services:\n  Ssh: {ports: [22]}", ":2:3:", "write it like office"),
        ("services:\n  ssh: {ports: [22], sources: [x]}", ":2:22:", "unknown setting"),
        ("services:\n  ssh: {ports: [22], rate: often}", ":2:28:", "write it like 30/minute"),
        ("services:\n  ssh:\n    ports: [22]\n    from:\n      - elsewhere", ":5:9:", "neither a zone"),
        ("zones:\n  a: {networks: [nothing]}\nservices:\n  ssh: {ports: [22]}", ":2:18:", "is not a network"),
    ],
)
def test_a_mistake_in_a_file_is_found_at_its_line_and_column(text: str, place: str, said: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        parse(text.encode(), Policy, "p")
    assert f"p{place}" in str(caught.value)
    assert said in str(caught.value)


def test_the_digest_is_about_what_is_let_in() -> None:
    policy = Policy(services={"ssh": SSH})
    assert digest(policy) == digest(Policy(services={"ssh": SSH}, enforce=True, protect=("192.0.2.1:22",)))
    assert digest(policy) != digest(Policy(services={"ssh": SSH}, ping=False))


def test_ports_networks_and_endpoints_are_read_strictly() -> None:
    assert port_range("22") == (22, 22)
    assert port_range("1-65535") == (1, 65535)
    assert str(network("192.0.2.7")) == "192.0.2.7/32"
    assert endpoint("[2001:db8::1]:443") == ("2001:db8::1", 443)
    for text in ("192.0.2.1", "192.0.2.0/24:22", "2001:db8::1:443", "[192.0.2.1]:22", "192.0.2.1:0", "192.0.2.1:٣"):
        with pytest.raises(ValueError):
            endpoint(text)
    for text in ("", "٢٢", "22-", "-22", "1-2-3", "65536", "0x16"):
        with pytest.raises(ValueError):
            port_range(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("::ffff:192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.0/120", "192.0.2.0/24"), ("::ffff:0:0/96", "0.0.0.0/0")],
)
def test_a_network_that_only_arrives_as_ipv4_is_asked_for_as_such(text: str, wanted: str) -> None:
    with pytest.raises(ValueError, match=f"arrives as IPv4; write {wanted}$"):
        network(text)
