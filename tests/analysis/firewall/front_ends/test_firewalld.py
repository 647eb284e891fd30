"""The rulesets that firewalld really makes, with both of its back ends, as the kernel sees them."""

from collections.abc import Iterator

import pytest

from analysis.firewall.probe import Verdict
from tests.analysis.firewall.front_ends.judging import Bench, shots
from tests.analysis.firewall.front_ends.room import Room
from tests.analysis.firewall.kernel.topology import World

CHANGES = (
    ("--zone=public", "--add-interface=wan0"),
    ("--zone=internal", "--add-interface=lan0"),
    ("--zone=trusted", "--add-interface=br0"),
    ("--zone=public", "--add-port=80/tcp"),
    ("--zone=public", "--add-service=dns"),
    ("--zone=internal", "--add-port=3000-3010/tcp"),
    ("--zone=drop", "--add-source=203.0.113.200"),
    (
        "--zone=public",
        '--add-rich-rule=rule family="ipv4" source address="203.0.113.0/24" port port="5432" protocol="tcp" accept',
    ),
    ("--zone=public", '--add-rich-rule=rule family="ipv4" source ipset="staff" port port="9000" protocol="tcp" accept'),
    ("--zone=public", '--add-rich-rule=rule port port="123" protocol="udp" accept limit value="3/m"'),
    (
        "--zone=public",
        '--add-rich-rule=rule family="ipv6" port port="443" protocol="tcp" reject type="icmp6-adm-prohibited"',
    ),
    ("--zone=public", "--add-forward-port=port=8443:proto=tcp:toport=80"),
    ("--zone=public", "--add-forward-port=port=8080:proto=tcp:toport=80:toaddr=172.18.0.2"),
)


@pytest.fixture(scope="module", params=["nftables", "iptables"])
def firewalld(
    request: pytest.FixtureRequest, module_world: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    """The host with firewalld, which runs on a bus of its own, and `CHANGES`."""
    bench = Bench(module_world)
    bench.load()
    with Room(module_world, tmp_path_factory.mktemp("room")) as room:
        room.start("dbus-daemon", "--system", "--nofork", "--nopidfile")
        room.wait_for("socket", "sh", "-c", "test -S /run/dbus/system_bus_socket && echo socket")
        room.run(
            "sed", "-i", f"s/^FirewallBackend=.*/FirewallBackend={request.param}/", "/etc/firewalld/firewalld.conf"
        )
        room.run("firewall-offline-cmd", "--new-ipset=staff", "--type=hash:net")
        room.run("firewall-offline-cmd", "--ipset=staff", "--add-entry=198.51.100.0/24")
        room.start("firewalld", "--nofork", "--nopid")
        room.wait_for("running", "firewall-cmd", "--state")
        for change in CHANGES:
            room.run("firewall-cmd", *change)
        yield bench


def test_firewalld_is_decided_but_for_its_rate_limit_and_the_kernel_agrees(firewalld: Bench) -> None:
    picture = firewalld.judge(shots())
    picture.assert_only_rate_limits_are_uncertain()
    picture.assert_agreed()
    for family in (4, 6):
        assert picture.of("internet", "tcp", 22, family) is Verdict.REACHABLE
        assert picture.of("internet", "tcp", 80, family) is Verdict.REACHABLE
        assert picture.of("internet", "udp", 53, family) is Verdict.REACHABLE
        assert picture.of("internet", "udp", 123, family) is Verdict.UNCERTAIN
        assert picture.of("internet", "tcp", 443, family) is Verdict.BLOCKED
        assert picture.of("lan", "tcp", 3000, family) is Verdict.REACHABLE
        assert picture.of("internet", "tcp", 3000, family) is Verdict.BLOCKED
        assert picture.of("container", "tcp", 443, family) is Verdict.REACHABLE
        assert picture.of("host", "tcp", 443, family) is Verdict.REACHABLE


def test_sources_zones_and_ipsets_of_firewalld_are_decided(firewalld: Bench) -> None:
    sources = ("203.0.113.5", "203.0.113.200", "198.51.100.7", "2001:db8:77::5")
    picture = firewalld.judge(shots(senders=("internet",), sources=sources, ports=(22, 5432, 9000, 3000)))
    picture.assert_only_rate_limits_are_uncertain()
    picture.assert_agreed()
    verdicts = {
        (one.shot.probe.source, one.shot.probe.port): one.answer.verdict
        for one in picture.judged
        if one.shot.probe.protocol == "tcp"
    }
    assert verdicts["203.0.113.5", 5432] is Verdict.REACHABLE
    assert verdicts["203.0.113.200", 22] is Verdict.BLOCKED
    assert verdicts["198.51.100.7", 5432] is Verdict.BLOCKED
    assert verdicts["198.51.100.7", 9000] is Verdict.REACHABLE
    assert verdicts["203.0.113.5", 9000] is Verdict.BLOCKED


def test_forwarded_ports_of_firewalld_go_where_the_kernel_sends_them(firewalld: Bench) -> None:
    picture = firewalld.judge(shots(senders=("internet", "lan"), ports=(8080, 8443)))
    picture.assert_only_rate_limits_are_uncertain()
    picture.assert_agreed()
    assert picture.of("internet", "tcp", 8443) is Verdict.REACHABLE
    (to_container,) = (
        one.answer
        for one in picture.judged
        if (one.shot.sender, one.shot.probe.family, one.shot.probe.protocol, one.shot.probe.port)
        == ("internet", 4, "tcp", 8080)
    )
    assert to_container.verdict is Verdict.REACHABLE
    assert (to_container.forwarded, to_container.destination, to_container.port) == (True, "172.18.0.2", 80)
