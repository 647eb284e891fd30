"""The policy as nft and in words: what is rendered, and what it says of single probes."""

import pytest

from analysis.firewall.policy import REMOVE, Expected, allowances, confirming, script
from analysis.firewall.probe import Probe, Verdict
from contracts.policy import Policy, Service, Zone, digest

SSH = Service(ports=("22",))


def declared(**services: Service) -> Policy:
    zones = {
        "office": Zone(networks=("198.51.100.0/24", "198.51.100.0/25", "2001:db8::/32")),
        "lan": Zone(interfaces=("eth1",), networks=("10.0.0.0/8",)),
        "guests": Zone(interfaces=("eth2",)),
    }
    return Policy(zones=zones, services=services)


def probe(source: str, port: int, interface: str = "eth0", protocol: str = "tcp", source_port: int = 40000) -> Probe:
    family = 6 if ":" in source else 4
    target = "2001:db8:1::1" if family == 6 else "192.0.2.1"
    return Probe(
        family=family, protocol=protocol, source=source, destination=target, port=port, interface=interface,
        source_port=source_port,
    )  # fmt: skip


def rules(policy: Policy) -> list[str]:
    return [line.strip() for line in script(policy).splitlines() if "comment" in line and "service" in line]


def test_everything_is_one_transaction_that_replaces_the_table() -> None:
    text = script(declared(ssh=SSH))
    assert text.startswith("add table inet holdfast\ndelete table inet holdfast\ntable inet holdfast {")
    assert script(None) == REMOVE


def test_a_service_for_anybody_is_one_rule_for_both_families() -> None:
    assert rules(declared(ssh=SSH)) == ['tcp dport 22 accept comment "service ssh"']


def test_sources_become_one_rule_per_family_without_overlaps() -> None:
    assert rules(declared(ssh=Service(ports=("22",), sources=("office", "192.0.2.7")))) == [
        'ip saddr 192.0.2.7/32 tcp dport 22 accept comment "service ssh"',
        'ip saddr 198.51.100.0/24 tcp dport 22 accept comment "service ssh"',
        'ip6 saddr 2001:db8::/32 tcp dport 22 accept comment "service ssh"',
    ]


def test_ports_that_touch_or_overlap_are_one_range() -> None:
    (allow,) = allowances(declared(web=Service(ports=("8005-8020", "80", "8000-8010", "81"))))
    assert allow.ports == ((80, 81), (8000, 8020))


def test_one_family_alone_is_said_so() -> None:
    assert rules(declared(old=Service(ports=("1",), family="ipv4"))) == [
        'meta nfproto ipv4 tcp dport 1 accept comment "service old"'
    ]


def test_a_rate_is_counted_per_source_and_family() -> None:
    text = script(declared(ssh=Service(ports=("22",), rate="10/minute", burst=3)))
    assert "update @policy_rate_ssh_4 { ip saddr limit rate over 10/minute burst 3 packets } drop" in text
    assert "update @policy_rate_ssh_6 { ip6 saddr & ffff:ffff:ffff:ffff:: limit rate over 10/minute" in text
    assert "set policy_rate_ssh_6 {\n\t\ttype ipv6_addr" in text


def test_without_ping_what_ip_needs_is_still_let_in() -> None:
    text = script(Policy(services={"ssh": SSH}, ping=False))
    assert "echo-request" not in text
    assert "packet-too-big" in text and "nd-neighbor-solicit" in text and "destination-unreachable" in text


def test_a_trial_is_reached_only_while_its_elements_live() -> None:
    first, second = declared(ssh=SSH), declared(web=Service(ports=("80",)))
    text = script(first, second, 90)
    assert "elements = { ipv4 timeout 90s, ipv6 timeout 90s }" in text
    assert f'meta nfproto @trial goto trial_input comment "trial {digest(second)}"' in text
    assert text.index("goto trial_input") < text.index("goto policy_input")
    assert confirming(second).startswith("delete element inet holdfast trial { ipv4, ipv6 }\nadd table")


def test_forwarding_is_left_alone_unless_it_is_to_be_dropped() -> None:
    keep, drop = Policy(services={"ssh": SSH}), Policy(services={"ssh": SSH}, forward="drop")
    assert "hook forward" not in script(keep)
    assert "goto policy_forward" in script(drop)
    assert 'meta nfproto @trial accept comment "trial' in script(drop, keep, 60)
    there = probe("203.0.113.1", 80)
    assert Expected(keep).of(there, forwarded=True).verdict is Verdict.REACHABLE
    assert Expected(drop).of(there, forwarded=True).verdict is Verdict.BLOCKED


@pytest.mark.parametrize(
    ("asked", "verdict"),
    [
        (probe("198.51.100.9", 22), Verdict.REACHABLE),
        (probe("2001:db8:9::1", 22), Verdict.REACHABLE),
        (probe("203.0.113.9", 22), Verdict.BLOCKED),
        (probe("198.51.100.9", 23), Verdict.BLOCKED),
        (probe("198.51.100.9", 22, protocol="udp"), Verdict.BLOCKED),
        (probe("10.1.1.1", 22, interface="eth1"), Verdict.REACHABLE),
        (probe("10.1.1.1", 22, interface="eth0"), Verdict.BLOCKED),
        (probe("203.0.113.9", 5353, interface="eth2", protocol="udp"), Verdict.REACHABLE),
        (probe("fe80::1", 5353, interface="eth2", protocol="udp"), Verdict.REACHABLE),
        (probe("203.0.113.9", 80), Verdict.UNCERTAIN),
        (probe("203.0.113.9", 9, interface="lo"), Verdict.REACHABLE),
        (probe("192.0.2.1", 9, interface=""), Verdict.REACHABLE),
        (probe("203.0.113.9", 68, protocol="udp", source_port=67), Verdict.REACHABLE),
        (probe("203.0.113.9", 68, protocol="udp"), Verdict.BLOCKED),
        (probe("fe80::1", 546, protocol="udp", source_port=547), Verdict.REACHABLE),
        (probe("2001:db8:9::1", 546, protocol="udp", source_port=547), Verdict.BLOCKED),
    ],
)
def test_what_the_policy_says_of_a_probe(asked: Probe, verdict: Verdict) -> None:
    policy = declared(
        ssh=Service(ports=("22",), sources=("office", "lan")),
        mdns=Service(ports=("5353",), protocols=("udp",), sources=("guests",)),
        web=Service(ports=("80",), rate="5/second"),
    )
    assert Expected(policy).of(asked).verdict is verdict


def test_the_reason_names_service_rule_and_chain() -> None:
    said = Expected(declared(ssh=SSH)).of(probe("203.0.113.9", 22))
    assert (said.service, said.chain) == ("ssh", "inet holdfast policy_input")
    assert said.why == 'tcp dport 22 accept comment "service ssh"'
