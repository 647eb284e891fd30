"""Matches of iptables that ask the kernel's knowledge of connections, marks, routes, sockets and sets: against that kernel."""

import pytest

from analysis.firewall.model import Maybe, Unknown
from analysis.firewall.probe import Verdict
from tests.analysis.firewall.front_ends.judging import Bench, shots
from tests.analysis.firewall.xtables_rounds import TOOLS, assert_decided, play, script

CONNECTIONS = (
    "-m conntrack --ctstate NEW",
    "-m conntrack ! --ctstate NEW",
    "-m conntrack --ctstate RELATED,ESTABLISHED",
    "-m conntrack --ctstate INVALID,UNTRACKED",
    "-m conntrack --ctstate DNAT",
    "-m conntrack ! --ctstate DNAT",
    "-m conntrack --ctstate NEW,DNAT --ctdir ORIGINAL",
    "-m conntrack --ctdir REPLY",
    "-m conntrack --ctproto 6",
    "-m conntrack ! --ctproto 6",
    "-m conntrack --ctorigdstport 80:443",
    "-m conntrack ! --ctorigdstport 80",
    "-m conntrack --ctreplsrcport 22",
    "-m conntrack --ctstatus NONE",
    "-m conntrack ! --ctstatus SEEN_REPLY",
    "-m conntrack --ctstatus EXPECTED,CONFIRMED",
    "-m conntrack --ctstate NEW ! --ctproto 17 --ctorigdstport 1000:",
    "-m state --state NEW",
    "-m state ! --state NEW",
    "-m state --state INVALID,UNTRACKED",
    "-m helper --helper ftp",
)
ADDRESSES = {
    4: (
        "-m conntrack --ctorigsrc 203.0.113.0/24",
        "-m conntrack ! --ctorigsrc 203.0.113.0/24",
        "-m conntrack --ctorigdst 192.0.2.11",
        "-m conntrack --ctreplsrc 192.0.2.10",
        "-m conntrack --ctrepldst 203.0.113.5",
        "-m addrtype --dst-type LOCAL",
        "-m addrtype ! --dst-type LOCAL",
        "-m addrtype --src-type LOCAL",
        "-m addrtype --src-type UNICAST ! --dst-type BROADCAST",
        "-m addrtype --dst-type LOCAL,MULTICAST",
        "-m addrtype --dst-type LOCAL --limit-iface-in",
        "-m addrtype --src-type BLACKHOLE,UNREACHABLE",
    ),
    6: (
        "-m conntrack --ctorigsrc 2001:db8:77::/64",
        "-m conntrack ! --ctorigsrc 2001:db8:77::/64",
        "-m conntrack --ctorigdst 2001:db8:2::11",
        "-m conntrack --ctrepldst 2001:db8:77::5",
        "-m addrtype --dst-type LOCAL",
        "-m addrtype ! --dst-type LOCAL",
        "-m addrtype --src-type UNICAST",
        "-m addrtype --src-type MULTICAST",
        "-m addrtype --src-type UNICAST ! --dst-type MULTICAST",
        "-m addrtype --dst-type LOCAL --limit-iface-in",
    ),
}
MARKING = (
    "mangle -A PREROUTING -i wan0 -j MARK --set-xmark 0x11/0xffffffff",
    "mangle -A PREROUTING -i lan0 -j CONNMARK --set-xmark 0x22/0xffffffff",
)
MARKS = (
    "-m mark --mark 0x11",
    "-m mark ! --mark 0x11",
    "-m mark --mark 0x1/0xf",
    "-m mark --mark 0x0",
    "-m connmark --mark 0x22",
    "-m connmark ! --mark 0x22/0xff",
    "-m connmark --mark 0x0 -m mark --mark 0x0",
)


@pytest.mark.parametrize("version", [4, 6])
def test_what_is_asked_of_a_connection(bench: Bench, version: int) -> None:
    assert_decided(bench, version, CONNECTIONS)


@pytest.mark.parametrize("version", [4, 6])
def test_what_is_asked_of_addresses_by_routes_and_connections(bench: Bench, version: int) -> None:
    assert_decided(bench, version, ADDRESSES[version])


def test_what_is_asked_of_an_untracked_packet_is_no_but_for_its_state(bench: Bench) -> None:
    untracked = ("raw -A PREROUTING -j CT --notrack", "raw -A OUTPUT -j CT --notrack")
    conditions = (
        *CONNECTIONS,
        "-m conntrack --ctstate UNTRACKED --ctproto 17",
        "-m connmark --mark 0x0",
        "-m connmark ! --mark 0x1",
    )
    assert_decided(bench, 4, conditions, *untracked)


@pytest.mark.parametrize("version", [4, 6])
def test_marks_of_packets_and_connections(bench: Bench, version: int) -> None:
    assert_decided(bench, version, MARKS, *MARKING)


@pytest.mark.parametrize(
    "options", ["", "--invert", "--loose --invert", "--validmark --invert", "--accept-local --invert"]
)
def test_whether_the_way_back_is_the_same(bench: Bench, options: str) -> None:
    for version in (4, 6):
        for tool in TOOLS[version]:
            bench.load((f"{tool}-restore", script([f"raw -A PREROUTING -m rpfilter {options} -j DROP"])))
            spoofed = shots(senders=("lan",), ports=(22,), sources=("203.0.113.66", "2001:db8:77::66"))
            picture = bench.judge(shots(ports=(22,)) + spoofed)
            picture.assert_agreed()
            unsure = {one.shot.probe.protocol for one in picture.judged if one not in picture.decided}
            assert unsure <= {"tcp"}, tool  # whose answers leave by another interface than they came


def test_the_owner_of_a_socket_is_asked_of_own_packets_alone(bench: Bench) -> None:
    lines = ["filter -A OUTPUT -o lo -p tcp -m tcp --dport 22 -m owner ! --uid-owner 4242 -j DROP"]
    for tool in TOOLS[4]:
        bench.load((f"{tool}-restore", script(lines)))
        picture = bench.judge(shots(ports=(22, 80)))
        picture.assert_agreed()
        assert picture.of("internet", "tcp", 22) is Verdict.REACHABLE
        assert picture.of("host", "tcp", 22) is not Verdict.REACHABLE
        assert picture.of("host", "tcp", 80) is Verdict.REACHABLE


def test_groups_of_interfaces(bench: Bench) -> None:
    bench.world.run("host", "ip", "link", "set", "lan0", "group", "7")
    try:
        assert_decided(
            bench,
            4,
            ("-m devgroup --src-group 0x7", "-m devgroup ! --src-group 0x7", "-m devgroup --src-group 0x3/0x3"),
        )
    finally:
        bench.world.run("host", "ip", "link", "set", "lan0", "group", "default")


UNDECIDED = (
    "-m limit --limit 3/min",
    "-m hashlimit --hashlimit-upto 5/sec --hashlimit-name x --hashlimit-mode srcip",
    "-m connlimit --connlimit-above 3",
    "-m quota --quota 100000",
    "-m recent --name y --rcheck --seconds 60",
    "-m statistic --mode random --probability 0.5",
    "-m time --timestart 01:00 --timestop 02:00",
    "-m string --algo bm --string GET",
    '-m bpf --bytecode "1,6 0 0 0"',
    '-m u32 --u32 "0>>24=0x45"',
)


def test_what_nobody_knows_beforehand_is_both_ways_and_named(bench: Bench) -> None:
    for tool, ports, picture in play(bench, 4, ("-m comment --comment all", *UNDECIDED)):
        for condition, port in ports.items():
            if condition not in UNDECIDED:
                continue
            answers = [one.answer for one in picture.judged if one.shot.probe.port == port]
            assert {answer.verdict for answer in answers} == {Verdict.UNCERTAIN}, (tool, condition)
            name = condition.split()[1]
            assert all(any(name in text for text in answer.unknown) for answer in answers), (tool, answers[0].unknown)


def test_the_two_ways_of_not_knowing_are_told_apart() -> None:
    from analysis.firewall.xtables_lines import Part
    from analysis.firewall.xtables_matches import Place, undecided
    from analysis.firewall.xtables_values import IPV4

    (condition,) = undecided(Part("limit"), Place(IPV4))
    assert isinstance(condition, Maybe) and not isinstance(condition, Unknown)
