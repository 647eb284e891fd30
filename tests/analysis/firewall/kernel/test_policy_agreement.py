"""Random policies in a real kernel: what is declared, what nft loaded and the evaluator makes of it, and what packets do are one."""

import os
import subprocess
import sys
from typing import Any

import msgspec
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from analysis.firewall.evaluate import evaluate
from analysis.firewall.policy import Expected, confirming, script
from analysis.firewall.policy_diff import OPEN, InForce, Target, compare, cuts, in_force
from analysis.firewall.policy_model import replaced
from analysis.firewall.probe import Probe, Verdict
from analysis.firewall.reading import read
from contracts.policy import Policy, Service, Zone, digest
from contracts.subjects.datapath import Row
from tests.analysis.firewall.kernel.probing import Prober, Shot
from tests.analysis.firewall.kernel.topology import ADDRESSES, INTERFACES, PORTS, SWITCHES, World

POLICIES = int(os.environ.get("HOLDFAST_POLICIES", "25"))
SENDERS = ("internet", "lan", "container")
NETWORKS = (
    "203.0.113.0/24", "203.0.113.5", "198.51.100.0/25", "10.1.0.0/24", "10.1.0.2", "172.18.0.0/16", "192.0.2.0/24",
    "2001:db8:77::/48", "2001:db8:77::5", "2001:db8::/32", "fd00:10::/64", "fd00:18::2", "0.0.0.0/0", "::/0",
)  # fmt: skip
ZONES = ("wan", "office", "backyard")
ECHO = """
import socket, struct, sys
six = ":" in sys.argv[1]
plug = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_RAW, 58 if six else 1)
plug.settimeout(1.0)
request, reply = (128, 129) if six else (8, 0)
plug.sendto(struct.pack("!BBHHH", request, 0, (~(request << 8) - 0x4846 - 1) & 0xFFFF, 0x4846, 1), (sys.argv[1], 0))
while True:
    packet = plug.recv(2000)
    packet = packet if six else packet[(packet[0] & 15) * 4:]
    if packet[0] == reply and packet[4:6] == b"HF":
        break
"""
"""Sends one echo request (RFC 792, RFC 4443) and waits a second for the answer; the kernel fills in the checksum of ICMPv6."""
_ranges = st.tuples(st.sampled_from(PORTS), st.integers(0, 3000)).map(
    lambda pair: str(pair[0]) if pair[1] % 3 else f"{pair[0]}-{min(65535, pair[0] + pair[1])}"
)


@st.composite
def policies(draw: Any) -> Policy:
    """Draw a sound policy about the world's interfaces and addresses."""
    zones: dict[str, Zone] = {}
    claimed: set[tuple[str, str]] = set()
    for name in draw(st.lists(st.sampled_from(ZONES), unique=True)):
        interfaces = tuple(draw(st.lists(st.sampled_from(("wan0", "lan0", "br0")), max_size=2, unique=True)))
        networks = tuple(draw(st.lists(st.sampled_from(NETWORKS), max_size=3, unique=True)))
        places = {(i, n) for i in interfaces or ("",) for n in networks or ("",)}
        if (interfaces or networks) and not places & claimed:
            claimed |= places
            zones[name] = Zone(interfaces=interfaces, networks=networks)
    services = {}
    for name in draw(st.lists(st.sampled_from(("ssh", "web", "db", "node-exporter")), min_size=1, unique=True)):
        choices = (*zones, *NETWORKS)
        services[name] = Service(
            ports=tuple(draw(st.lists(_ranges, min_size=1, max_size=3))),
            protocols=draw(st.sampled_from((("tcp",), ("udp",), ("tcp", "udp")))),
            sources=tuple(draw(st.lists(st.sampled_from(choices), max_size=3, unique=True))),
            rate=draw(st.sampled_from(("", "", "", "30/minute"))),
            burst=draw(st.integers(1, 50)),
        )
    return Policy(
        zones=zones,
        services=services,
        ping=draw(st.booleans()),
        dhcp=draw(st.booleans()),
        forward=draw(st.sampled_from(("accept", "drop"))),
    )


def shots() -> list[Shot]:
    """Return a probe from every address of every neighbour, for each family, protocol and port."""
    return [
        Shot(sender, Probe(family=family, protocol=protocol, source=source, destination=target, port=port,
                           interface=INTERFACES[sender]))
        for sender in SENDERS
        for family in (4, 6)
        for source in ADDRESSES[sender][family]
        for target in (_near(sender, family),)
        for protocol in ("tcp", "udp")
        for port in PORTS
    ]  # fmt: skip


def passing() -> list[Shot]:
    """Return probes through the host: from the internet to what is behind it, and between the networks behind it."""
    return [
        Shot(sender, Probe(family=family, protocol=protocol, source=ADDRESSES[sender][family][0],
                           destination=ADDRESSES[place][family][0], port=80, interface=INTERFACES[sender]))
        for sender, place in (("internet", "lan"), ("internet", "container"), ("container", "lan"), ("lan", "internet"))
        for family in (4, 6)
        for protocol in ("tcp", "udp")
    ]  # fmt: skip


def _near(sender: str, family: int) -> str:
    return {
        "internet": {4: "192.0.2.10", 6: "2001:db8:2::10"},
        "lan": {4: "10.1.0.1", 6: "fd00:10::1"},
        "container": {4: "172.18.0.1", 6: "fd00:18::1"},
    }[sender][family]


def loaded(world: World, program: str) -> dict[str, Row]:
    answer = world.loader.ask(do="load", nft=program, restores=[], ipset="", routing=[], switches=SWITCHES)
    assert "refused" not in answer, f"{answer}\n{program}"
    return {key: msgspec.convert(row, Row) for key, row in world.loader.ask(do="rows")["rows"].items()}


def told(datapath: Any, fired: list[Shot]) -> list[Verdict]:
    return list(evaluate(datapath, [shot.probe for shot in fired]).verdicts())


def test_declared_loaded_and_real_are_one(world: World, prober: Prober) -> None:
    tally = {verdict: 0 for verdict in Verdict}

    @seed(7)
    @settings(
        max_examples=POLICIES, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(policies(), st.randoms(use_true_random=False))
    def one(policy: Policy, chance: Any) -> None:
        empty = read(loaded(world, ""))
        every = [*shots(), *passing()]
        declared = Expected(policy)
        expected = [declared.of(shot.probe, forwarded=n >= len(shots())).verdict for n, shot in enumerate(every)]
        real = read(loaded(world, script(policy)))
        assert told(real, every) == expected
        assert told(replaced(empty, policy), every) == expected
        assert told(replaced(real, policy), every) == expected
        found = compare(policy, real)
        assert {each.change for each in found.differences} <= {"undecided"}, found
        decided = [n for n, verdict in enumerate(expected) if verdict is not Verdict.UNCERTAIN]
        sample = [*chance.sample(decided, 24), *range(len(shots()), len(every))]
        _, outcomes = prober.fire_twice([every[n] for n in sample])
        for number, outcome in zip(sample, outcomes, strict=True):
            wanted = expected[number] is Verdict.REACHABLE
            assert outcome.reachable == wanted, f"{every[number]}\n{outcome}\n{script(policy)}"
            tally[expected[number]] += 1

    one()
    assert tally[Verdict.REACHABLE] > POLICIES
    assert tally[Verdict.BLOCKED] > POLICIES


def test_a_trial_decides_while_it_lasts_and_what_was_confirmed_after_it(world: World) -> None:
    first, second = (Policy(services={"some": Service(ports=(port,))}) for port in ("22", "80"))
    probes = [shot for shot in shots() if shot.probe.port in (22, 80) and shot.probe.protocol == "tcp"]

    def declared(policy: Policy) -> list[Verdict]:
        return [Expected(policy).of(shot.probe).verdict for shot in probes]

    trial, over = script(first, second, 3600), "delete element inet holdfast trial { ipv4, ipv6 }\n"
    for program, wanted, held in (
        (trial, second, InForce(confirmed=digest(first), trial=digest(second))),
        (trial + over, first, InForce(confirmed=digest(first))),
        (trial + confirming(second), second, InForce(confirmed=digest(second))),
    ):
        datapath = read(loaded(world, program))
        assert told(datapath, probes) == declared(wanted)
        assert in_force(datapath) == held
    assert in_force(read(loaded(world, ""))) == InForce()


def test_an_open_host_differs_in_everything_that_is_not_declared(world: World) -> None:
    policy = Policy(services={"ssh": Service(ports=("22",), sources=("10.1.0.0/24",))})
    found = compare(policy, read(loaded(world, "")), listening={("tcp", 8080)})
    assert {each.change for each in found.differences} == {OPEN}
    internet = next(
        each for each in found.differences if (each.vantage, each.family, each.protocol) == ("internet", 4, "tcp")
    )
    assert internet.ports == (22, 8080)
    assert internet.others
    office = next(each for each in found.differences if (each.vantage, each.protocol) == ("10.1.0.0/24", "tcp"))
    assert office.ports == (8080,)


def test_a_published_port_is_a_difference_unless_a_service_names_it(world: World) -> None:
    program = "table ip nat {\n chain p {\n type nat hook prerouting priority dstnat; "
    program += "tcp dport 8080 dnat to 172.18.0.2:80; tcp dport 81 redirect to :80\n }\n}\n"
    for services, wanted in (
        ({"web": Service(ports=("80",))}, {("open", (8080,))}),  # what is redirected is the declared port itself
        ({"web": Service(ports=("80", "8080"))}, set()),
    ):
        policy = Policy(services=services)
        found = compare(policy, read(loaded(world, script(policy) + program)))
        four = {(each.change, each.ports) for each in found.differences if each.protocol == "tcp" and each.family == 4}
        assert four == wanted
    both = Policy(services={"web": Service(ports=("80", "8080"), family="ipv4")}, forward="drop")
    found = compare(both, read(loaded(world, script(both) + program)))
    assert {(each.change, each.ports, each.chain) for each in found.differences} == {
        ("closed", (8080,), "inet holdfast policy_forward")
    }


def test_what_ip_needs_goes_through_and_ping_as_declared(world: World) -> None:
    def answers(target: str) -> bool:
        argv = (*world.inside("lan"), sys.executable, "-c", ECHO, target)
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0

    neighbour = ("fd00:10::1", "lladdr", "02:00:00:00:02:01", "nud", "permanent", "dev", "eth0")
    for ping in (True, False):
        loaded(world, script(Policy(services={"ssh": Service(ports=("22",))}, ping=ping)))
        assert answers("10.1.0.1") is ping
        world.run("lan", "ip", "neighbour", "del", neighbour[0], "dev", "eth0")
        try:  # without the fixed entry the kernel asks for the neighbour first
            assert answers("fd00:10::1") is ping
            shown = world.run("lan", "ip", "neighbour", "show", neighbour[0])
            assert "lladdr" in shown and "FAILED" not in shown
        finally:
            world.run("lan", "ip", "neighbour", "replace", *neighbour)


def test_answers_that_conntrack_does_not_know_would_be_cut(world: World) -> None:
    program = "table ip raw {\n chain p {\n type filter hook prerouting priority raw; notrack\n }\n"
    program += " chain o {\n type filter hook output priority raw; notrack\n }\n}\n"
    console = Probe(family=4, protocol="tcp", source="192.0.2.10", destination="203.0.113.5", port=8444)
    session = Probe(family=4, protocol="tcp", source="203.0.113.5", destination="192.0.2.10", port=22, interface="wan0")
    targets = [Target(name="the console", probe=console), Target(name="ssh", probe=session)]
    policy = Policy(services={"ssh": Service(ports=("22",))})
    (cut,) = cuts(policy, read(loaded(world, program)), targets)
    assert (cut.name, cut.chain) == ("the console", "inet holdfast policy_input")
    assert cuts(policy, read(loaded(world, "")), targets) == ()
