"""What Docker makes of published ports (by iptables of three generations, and by nftables), as the kernel sees it; and beside ufw.

The fixtures are what dockerd makes of a user-defined network 172.18.0.0/16 with one container, 172.18.0.2, whose port 80 is published as
8080, port 53 (udp) as 53, and port 3000 on 127.0.0.1:9000 alone; a user's rule in DOCKER-USER drops one address.
"""

from collections.abc import Callable

import pytest

from analysis.firewall.probe import Verdict
from tests.analysis.firewall.front_ends.judging import Bench, Judged, Picture, shots
from tests.analysis.firewall.front_ends.room import Room

BRIDGE = "br-6f1c9e2b7a40"
GENERATIONS = ("docker-27.v4", "docker-28.0.v4", "docker-28.v4", "docker-28-noproxy.v4")
RULESETS = [(name, tool) for name in GENERATIONS for tool in ("nft", "legacy")] + [("docker-29.nft", "")]
PORTS = (22, 53, 80, 3000, 8080, 9000)
HOST, CONTAINER, LOOPBACK = "192.0.2.10", "172.18.0.2", "127.0.0.1"


@pytest.fixture(params=RULESETS, ids=lambda each: " ".join(each).strip())
def docker(request: pytest.FixtureRequest, bench: Bench, fixture_text: Callable[[str], str]) -> str:
    """Docker's ruleset around the world's bridge; returns the fixture's name."""
    name, tool = request.param
    place(bench, name, tool, fixture_text)
    return str(name)


def place(bench: Bench, name: str, tool: str, text: Callable[[str], str]) -> None:
    switches = {"net.ipv4.conf.br0.route_localnet": "1"} if "noproxy" in name else {}
    rules = text(name).replace(BRIDGE, "br0")
    ipset = text("docker-28.0.ipset") if "28.0" in name else ""
    if name.endswith(".nft"):
        bench.load(nft=rules, switches=switches)
        return
    restores = [(f"iptables-{tool}-restore", rules)]
    if "noproxy" not in name:
        restores.append((f"ip6tables-{tool}-restore", text("docker-28.v6").replace(BRIDGE, "br0")))
    bench.load(*restores, ipset=ipset, switches=switches)


def one(picture: Picture, sender: str, protocol: str, port: int, destination: str) -> Judged:
    (found,) = (
        each
        for each in picture.judged
        if (each.shot.sender, each.shot.probe.protocol, each.shot.probe.port, each.shot.probe.destination)
        == (sender, protocol, port, destination)
    )
    return found


def where(judged: Judged) -> tuple[Verdict, bool, str, int]:
    answer = judged.answer
    return answer.verdict, answer.forwarded, answer.destination, answer.port


def test_published_ports_lead_to_the_container_and_nothing_is_uncertain(bench: Bench, docker: str) -> None:
    picture = bench.judge(shots(ports=PORTS))
    assert picture.decided == picture.judged, next(map(str, (x for x in picture.judged if x not in picture.decided)))
    picture.assert_agreed()
    for port, protocol, inside in ((8080, "tcp", 80), (53, "udp", 53)):
        found = one(picture, "internet", protocol, port, HOST)
        assert where(found) == (Verdict.REACHABLE, True, CONTAINER, inside)
        assert found.answer.interface == "br0"
    assert where(one(picture, "internet", "tcp", 9000, HOST))[1] is False
    assert where(one(picture, "internet", "tcp", 22, HOST)) == (Verdict.REACHABLE, False, HOST, 22)


def test_the_container_itself_is_open_to_its_neighbours_only_as_far_as_docker_says(bench: Bench, docker: str) -> None:
    picture = bench.judge(shots(senders=("internet", "lan"), ports=PORTS, destinations=(CONTAINER, "fd00:18::2")))
    assert picture.decided == picture.judged
    picture.assert_agreed()
    direct = one(picture, "lan", "tcp", 80, CONTAINER).answer.verdict
    assert direct is (Verdict.REACHABLE if docker == "docker-27.v4" else Verdict.BLOCKED)
    assert one(picture, "internet", "tcp", 22, CONTAINER).answer.verdict is Verdict.BLOCKED


def test_what_the_host_sends_to_its_own_published_ports(bench: Bench, docker: str) -> None:
    picture = bench.judge(shots(senders=("host",), ports=PORTS, destinations=(HOST, LOOPBACK)))
    assert picture.decided == picture.judged
    picture.assert_agreed()
    assert where(one(picture, "host", "tcp", 8080, HOST))[2:] == (CONTAINER, 80)
    here, inside = (LOOPBACK, 8080), (CONTAINER, 80)
    assert where(one(picture, "host", "tcp", 8080, LOOPBACK))[2:] == (inside if "noproxy" in docker else here)
    assert one(picture, "host", "tcp", 9000, LOOPBACK).answer.verdict is Verdict.REACHABLE


def test_a_container_gets_out_and_back_to_what_it_publishes(bench: Bench, docker: str) -> None:
    picture = bench.judge(shots(senders=("container",), ports=PORTS, destinations=("203.0.113.5", HOST, "172.18.0.1")))
    assert picture.decided == picture.judged
    picture.assert_agreed()
    assert where(one(picture, "container", "tcp", 22, "203.0.113.5"))[:2] == (Verdict.REACHABLE, True)


def test_whom_the_user_drops_does_not_reach_the_published_port(bench: Bench, docker: str) -> None:
    if docker == "docker-29.nft":
        bench.world.run("host", "nft", "insert rule ip docker-bridges filter-FORWARD ip saddr 203.0.113.200 drop")
    picture = bench.judge(shots(senders=("internet",), ports=(8080,), sources=("203.0.113.200", "203.0.113.5")))
    picture.assert_agreed()
    verdicts = {
        each.shot.probe.source: each.answer.verdict for each in picture.judged if each.shot.probe.protocol == "tcp"
    }
    assert verdicts == {"203.0.113.200": Verdict.BLOCKED, "203.0.113.5": Verdict.REACHABLE}


def test_a_published_port_passes_by_ufw(bench: Bench, room: Room, fixture_text: Callable[[str], str]) -> None:
    place(bench, "docker-28.v4", "nft", fixture_text)
    room.run("ufw", "--force", "enable")
    room.run("ufw", "allow", "22/tcp")
    picture = bench.judge(shots(senders=("internet",), ports=(22, 80, 8080)))
    picture.assert_only_rate_limits_are_uncertain()
    picture.assert_agreed()
    assert picture.of("internet", "tcp", 80) is Verdict.BLOCKED
    assert where(one(picture, "internet", "tcp", 8080, HOST)) == (Verdict.REACHABLE, True, CONTAINER, 80)
