"""Matches of iptables that ask the packet itself, against the kernel; and what a probe cannot have."""

import pytest

from analysis.firewall.model import AnyOf, Maybe, Unknown
from analysis.firewall.probe import Verdict
from analysis.firewall.xtables_lines import Option, Part
from analysis.firewall.xtables_matches import Place, addresses, extension_headers, icmp, words_of
from analysis.firewall.xtables_values import IPV4, IPV6, NEVER
from contracts.errors import Malformed
from tests.analysis.firewall.front_ends.judging import Bench, shots
from tests.analysis.firewall.xtables_rounds import TOOLS, assert_decided, script

BOTH = (
    '-m comment --comment "it\'s \\"so\\" -j ACCEPT"',
    "-i wan0",
    "! -i wan0",
    "-i w+",
    "! -i l+",
    "-m pkttype --pkt-type unicast",
    "-m pkttype ! --pkt-type multicast",
    "-m policy --dir in --pol none",
    "-m policy --dir in --pol ipsec",
    "-m recent --name x --set",
)
OWN = {
    4: (
        "-s 203.0.113.0/24",
        "! -s 203.0.113.0/24",
        "-s 203.0.0.5/255.255.0.255",
        "-d 192.0.2.11",
        "! -d 192.0.2.10/31",
        "-m iprange --src-range 203.0.113.5-203.0.113.199",
        "-m iprange ! --src-range 203.0.113.5-203.0.113.199 --dst-range 192.0.2.0-192.0.2.11",
        "! -f",
        "-f",
    ),
    6: (
        "-s 2001:db8:77::/64",
        "! -s 2001:db8:77::5",
        "-d 2001:db8:2::11/128",
        "-m iprange --src-range 2001:db8:77::5-2001:db8:77::199",
        "-m frag --fragid 0:99",
        "-m rt ! --rt-type 1",
        "-m hbh --hbh-len 8",
        "-m ipv6header --header hop-by-hop --soft",
        "-m ipv6header ! --header hop-by-hop --soft",
        "-m ipv6header --header protocol",
        "-m ipv6header ! --header protocol",
    ),
}
TRANSPORT = (
    "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN",
    "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN",
    "-p tcp -m tcp --tcp-flags SYN,ACK ACK",
    "-p tcp -m tcp --tcp-flags ALL NONE",
    "-p tcp -m tcp ! --syn --dport 22",
    "-p tcp -m tcp --sport 1:29999 --dport 22:",
    "-p udp -m udp ! --sport 30000:49999",
    "-p udp -m udp ! --dport 1:443",
    "-p tcp -m multiport --dports 22,80:443,9000",
    "-p udp -m multiport ! --dports 22,80:443,9000",
    "-p tcp -m multiport --sports 30000:49999",
    "-p udp -m multiport --ports 53,30000:49999",
    "-p udp -m multiport ! --ports 53,1:2",
    "! -p tcp",
    "! -p udp -i wan0",
    "-p sctp -m sctp --dport 22",
    "-p 47",
    "-p tcp -m tcp -m ecn ! --ecn-tcp-ece --ecn-tcp-cwr",
)


@pytest.mark.parametrize("version", [4, 6])
def test_what_is_asked_of_any_packet(bench: Bench, version: int) -> None:
    assert_decided(bench, version, BOTH + OWN[version])


@pytest.mark.parametrize("version", [4, 6])
def test_what_is_asked_of_tcp_and_udp(bench: Bench, version: int) -> None:
    for tool in TOOLS[version]:
        for condition in TRANSPORT:
            bench.load((f"{tool}-restore", script([f"filter -A INPUT {condition} -j DROP"])))
            found = [
                shot
                for shot in shots(senders=("internet", "host"), ports=(22, 53, 443, 9000))
                if shot.probe.family == version
            ]
            picture = bench.judge(found)
            assert picture.decided == picture.judged, f"{tool} {condition}"
            picture.assert_agreed()


def test_ports_of_a_bridge_are_asked_of_what_comes_by_a_bridge_alone(bench: Bench) -> None:
    for tool in TOOLS[4]:
        lines = [
            f"filter -A INPUT -p tcp -m tcp --dport {port} -m physdev {no} --physdev-in vethc -j DROP"
            for port, no in ((22, ""), (80, "!"))
        ]
        bench.load((f"{tool}-restore", script(lines)))
        picture = bench.judge(shots(ports=(22, 53, 80)))
        picture.assert_agreed()
        assert {one.shot.sender for one in picture.judged if one not in picture.decided} == {"container"}
        assert picture.of("internet", "tcp", 22) is Verdict.REACHABLE
        assert picture.of("internet", "tcp", 80) is Verdict.BLOCKED


def test_what_a_probe_leaves_open_is_both_ways(bench: Bench) -> None:
    lines = [
        "filter -A INPUT -p tcp -m tcp --dport 22 --tcp-option 8 -j DROP",
        "filter -A INPUT -p udp -m udp --dport 22 -m length --length 1:20 -j DROP",
        "filter -A INPUT -p udp -m udp --dport 53 -m ttl --ttl-lt 3 -j DROP",
        "filter -A INPUT -p tcp -m tcp --dport 53 -m mac --mac-source 02:00:00:00:01:02 -j DROP",
    ]
    for tool in TOOLS[4]:
        bench.load((f"{tool}-restore", script(lines)))
        picture = bench.judge(shots(senders=("internet",), ports=(22, 53, 80)))
        picture.assert_agreed()
        unsure = [one for one in picture.judged if one.shot.probe.family == 4 and one not in picture.decided]
        assert {(one.shot.probe.protocol, one.shot.probe.port) for one in unsure} <= {
            ("tcp", 22),
            ("udp", 22),
            ("tcp", 53),
            ("udp", 53),
        }
        assert ("tcp", 22) in {(one.shot.probe.protocol, one.shot.probe.port) for one in unsure}
        assert all(one.answer.unknown for one in unsure)


def test_a_type_of_icmp_is_read() -> None:
    place = Place(IPV4)
    for text in ("8", "3/4", "any", "3/0:5"):
        found = icmp("icmp")(Part("icmp", [Option("icmp-type", (text,))]), place)
        assert not any(isinstance(one, Maybe | Unknown) for one in found)
    (named,) = icmp("icmp")(Part("icmp", [Option("icmp-type", ("echo-request",))]), place)
    assert isinstance(named, Maybe)


def test_other_fragments_never_come_first() -> None:
    assert addresses(Part("", [Option("fragment")]), Place(IPV4)) == (NEVER,)
    assert addresses(Part("", [Option("fragment", negated=True)]), Place(IPV4)) == ()
    assert isinstance(NEVER, AnyOf) and NEVER.options == ()


def test_extension_headers_of_a_packet_without_any() -> None:
    def asked(value: str, soft: bool = False, negated: bool = False) -> bool:
        options = [Option("header", (value,), negated), *([Option("soft")] if soft else [])]
        return extension_headers(Part("ipv6header", options), Place(IPV6)) == ()

    assert [asked("proto"), asked("route"), asked("proto,route")] == [True, False, False]
    assert [asked("proto", negated=True), asked("route", negated=True)] == [False, True]
    assert [asked("route", soft=True), asked("route", soft=True, negated=True), asked("proto", soft=True)] == [
        False,
        True,
        True,
    ]


def test_an_option_nobody_knows_is_said() -> None:
    with pytest.raises(Malformed, match="no --fwmark"):
        addresses(Part("", [Option("fwmark", ("1",))]), Place(IPV4))


def test_the_words_of_a_match_are_short() -> None:
    part = Part("limit", [Option("limit", ("3/min",)), Option("limit-burst", ("5",), True)])
    assert words_of(part) == "-m limit --limit 3/min ! --limit-burst 5"
    assert len(words_of(Part("string", [Option("string", ("x" * 70_000,))]))) == 160
