"""nmap from a neighbouring namespace sees what the evaluator says."""

import re

import msgspec
import pytest

from analysis.firewall.evaluate import evaluate
from analysis.firewall.probe import Probe, Verdict
from analysis.firewall.reading import read
from contracts.subjects.datapath import Row
from tests.analysis.firewall.kernel.topology import PORTS, SWITCHES, World

SILENT = (7, 81, 8081)
"""Ports on which nothing listens."""

RULESET = """
table inet filter {
 set clients { type ipv4_addr; flags interval; elements = { 203.0.113.0/24 }; }
 chain input {
  type filter hook input priority 0; policy drop;
  ct state established,related accept
  icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
  tcp dport { 22, 7 } accept
  ip saddr @clients tcp dport { 443, 8443, 81 } accept
  ip6 saddr 2001:db8:77::/48 tcp dport 443 accept
  tcp dport 5432 reject with tcp reset
  tcp dport 9000 reject with icmpx admin-prohibited
  iifname "lan0" tcp dport 3000-8081 accept
 }
}
table inet nat {
 chain prerouting {
  type nat hook prerouting priority -100;
  iifname != "br0" tcp dport 80 dnat ip to 172.18.0.2:8080
  tcp dport 8080 redirect to :22
 }
}
"""
STATE = re.compile(r"^(\d+)/tcp\s+(open|closed|filtered)", re.MULTILINE)


def scan(world: World, sender: str, source: str, destination: str, ports: list[int]) -> dict[int, str]:
    """Return what nmap says of `ports`."""
    six = ["-6"] if ":" in destination else []
    said = world.run(
        sender, "nmap", *six, "-sS", "-Pn", "-n", "-S", source, "-e", "eth0", "--max-retries", "2", "-T4",
        "-p", ",".join(map(str, ports)), destination,
    )  # fmt: skip
    return {int(port): state for port, state in STATE.findall(said)}


@pytest.mark.parametrize(
    ("sender", "interface", "source", "destination"),
    [
        ("internet", "wan0", "203.0.113.5", "192.0.2.10"),
        ("internet", "wan0", "198.51.100.7", "192.0.2.11"),
        ("internet", "wan0", "2001:db8:77::5", "2001:db8:2::10"),
        ("lan", "lan0", "10.1.0.2", "10.1.0.1"),
        ("container", "br0", "172.18.0.3", "172.18.0.1"),
    ],
)
def test_nmap_gives_the_same_picture(world: World, sender: str, interface: str, source: str, destination: str) -> None:
    assert world.loader.ask(do="load", nft=RULESET, restores=[], ipset="", routing=[], switches=SWITCHES) == {}
    rows = msgspec.convert(world.loader.ask(do="rows")["rows"], dict[str, Row])
    ports = [*PORTS, *SILENT]
    family = 6 if ":" in source else 4
    probes = [
        Probe(family=family, protocol="tcp", source=source, destination=destination, port=port, interface=interface)
        for port in ports
    ]
    answers = evaluate(read(rows), probes)
    seen = scan(world, sender, source, destination, ports)
    expected = {}
    for number, port in enumerate(ports):
        answer = answers.answer(number)
        causes = " ".join(cause.text for cause in answer.causes)
        if answer.verdict is Verdict.REACHABLE:
            expected[port] = "open" if answer.port in PORTS else "closed"
        else:
            assert answer.verdict is Verdict.BLOCKED
            expected[port] = "closed" if "tcp reset" in causes else "filtered"
    assert seen == expected
    assert set(seen.values()) == {"open", "closed", "filtered"}
