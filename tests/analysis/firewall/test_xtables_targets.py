"""Targets of iptables, against the kernel: where packets end, and what later rules see of what earlier ones did."""

from collections.abc import Iterable

import pytest

from analysis.firewall.model import Constant, Lookup, Nat, Range, Unknown
from analysis.firewall.probe import Verdict
from analysis.firewall.xtables_lines import Option, Part, read_line
from analysis.firewall.xtables_matches import Place
from analysis.firewall.xtables_targets import TARGETS, statements
from analysis.firewall.xtables_values import IPV4, IPV6, Family
from tests.analysis.firewall.front_ends.judging import Bench, Picture, moot, shots
from tests.analysis.firewall.kernel.probing import Shot
from tests.analysis.firewall.xtables_rounds import TOOLS, script

NO_EFFECT = (
    'filter -A INPUT -j LOG --log-prefix "a \\"b\\" " --log-uid',
    "filter -A INPUT -j NFLOG --nflog-group 3 --nflog-prefix x",
    "filter -A INPUT -j AUDIT --type drop",
    "raw -A PREROUTING -j TRACE",
    "mangle -A PREROUTING -p tcp -m tcp --syn -j TCPMSS --set-mss 1400",
    "mangle -A PREROUTING -p tcp -j TCPOPTSTRIP --strip-options 8",
    "mangle -A POSTROUTING -p udp -j CHECKSUM --checksum-fill",
    "mangle -A POSTROUTING -j CLASSIFY --set-class 1:10",
    "mangle -A PREROUTING -j CONNSECMARK --save",
    "filter -A INPUT -j RATEEST --rateest-name r --rateest-interval 250ms --rateest-ewmalog 0.5s",
)
CHANGES = {
    "a mark in three ways": (
        "mangle -A PREROUTING -j MARK --set-xmark 0xf0/0xffffffff",
        "mangle -A PREROUTING -j MARK --or-mark 0x3",
        "mangle -A PREROUTING -j MARK --and-mark 0xfe",
        "mangle -A PREROUTING -i lan0 -j MARK --xor-mark 0xf2",
        "filter -A INPUT -p tcp -m tcp --dport 22 -m mark --mark 0xf2 -j DROP",
        "filter -A INPUT -p tcp -m tcp --dport 80 -m mark --mark 0x0 -j DROP",
    ),
    "the mark of a connection, saved and restored": (
        "mangle -A PREROUTING -i wan0 -j MARK --set-mark 0x123",
        "mangle -A PREROUTING -j CONNMARK --save-mark --nfmask 0xff --ctmask 0xff00",
        "mangle -A INPUT -j MARK --set-mark 0x0",
        "mangle -A INPUT -j CONNMARK --restore-mark --nfmask 0xffff --ctmask 0xff",
        "filter -A INPUT -p tcp -m tcp --dport 22 -m connmark --mark 0x23 -j DROP",
        "filter -A INPUT -p tcp -m tcp --dport 80 -m mark --mark 0x23 -j DROP",
    ),
    "no connection tracking": (
        "raw -A PREROUTING -p tcp -m tcp --dport 22 -j CT --notrack",
        "raw -A PREROUTING -p udp -m udp --dport 22 -j NOTRACK",
        "raw -A OUTPUT -p tcp -m tcp --sport 22 -j CT --notrack",
        "filter -A INPUT -m conntrack --ctstate UNTRACKED -j DROP",
    ),
    "a helper and a timeout change nothing": (
        "raw -A PREROUTING -p tcp -m tcp --dport 22 -j CT --helper ftp --ctevents new",
        "filter -A INPUT -p tcp -m tcp --dport 80 -j DROP",
    ),
    "jumps, gotos and returns": (
        "filter -A INPUT -p tcp -j ONE",
        "filter -A INPUT -p tcp -m tcp --dport 80 -j DROP",
        "filter -A INPUT -p udp -g TWO",
        "filter -A INPUT -p udp -m udp --dport 443 -j DROP",
        "filter -A ONE -p tcp -m tcp --dport 22 -j RETURN",
        "filter -A ONE -p tcp -m tcp --dport 53 -g TWO",
        "filter -A ONE -p tcp -m tcp --dport 53 -j DROP",
        "filter -A ONE -p tcp -m tcp --dport 123 -j DROP",
        "filter -A TWO -p udp -m udp --dport 80 -j DROP",
    ),
    "rejections": (
        "filter -A INPUT -p tcp -m tcp --dport 22 -j REJECT --reject-with tcp-reset",
        "filter -A INPUT -p udp -m udp --dport 22 -j REJECT",
    ),
    "the type of service and the hops": (
        "mangle -A PREROUTING -i wan0 -j DSCP --set-dscp 0x0a",
        "mangle -A PREROUTING -i lan0 -j TOS --set-tos 0x10",
        "mangle -A PREROUTING -i br0 -j TOS --set-tos 0x20/0xff",
        "mangle -A PREROUTING -i lo -j DSCP --set-dscp 0x00",
        "mangle -A PREROUTING -i br0 -j TOS --set-tos 0x10/0x30",
        "filter -A INPUT -p tcp -m tcp --dport 22 -m dscp --dscp 0x0a -j DROP",
        "filter -A INPUT -p tcp -m tcp --dport 80 -m tos --tos 0x10/0x3c -j DROP",
    ),
}
NAT = {
    "an address and a port": ("nat -A PREROUTING -p tcp -m tcp --dport 22 -j DNAT --to-destination {container}:80",),
    "a port alone": ("nat -A PREROUTING -p tcp -m tcp --dport 22 -j DNAT --to-destination :80",),
    "an address alone": ("nat -A PREROUTING -p udp -m udp --dport 53 -j DNAT --to-destination {bare}",),
    "a redirection": (
        "nat -A PREROUTING -p tcp -m tcp --dport 22 -j REDIRECT --to-ports 80",
        "nat -A OUTPUT -o lo -p tcp -m tcp --dport 22 -j REDIRECT --to-ports 443",
        "filter -A INPUT -p tcp -m tcp --dport 80 -j DROP",
    ),
    "masquerade and a source": (
        "nat -A POSTROUTING -o br0 -j MASQUERADE",
        "nat -A POSTROUTING -o lan0 -j SNAT --to-source {lan}",
        "nat -A PREROUTING -p tcp -m tcp --dport 22 -j DNAT --to-destination {container}:80",
        "filter -A FORWARD -i br0 -p tcp -m tcp --sport 443 -j DROP",
    ),
    "what a translation looks like behind it": (
        "nat -A PREROUTING -p tcp -m tcp --dport 22 -j DNAT --to-destination {container}:80",
        "filter -A FORWARD -m conntrack --ctstate DNAT --ctorigdstport 22 -i wan0 -j DROP",
    ),
    "a network for a network": ("nat -A PREROUTING -i wan0 -d {host} -j NETMAP --to {net}",),
}
WORDS = {
    4: {
        "container": "172.18.0.2",
        "bare": "172.18.0.2",
        "lan": "10.1.0.1",
        "host": "192.0.2.8/29",
        "net": "172.18.0.0/29",
    },
    6: {
        "container": "[fd00:18::2]",
        "bare": "fd00:18::2",
        "lan": "fd00:10::1",
        "host": "2001:db8:2::10/128",
        "net": "fd00:18::2/128",
    },
}


def judged(bench: Bench, tool: str, version: int, lines: Iterable[str], ipset: str = "") -> Picture:
    bench.load((f"{tool}-restore", script(lines, chains=("ONE", "TWO"))), ipset=ipset)
    found = shots(ports=(22, 53, 80, 123, 443)) + _behind()
    picture = bench.judge([shot for shot in found if shot.probe.family == version])
    open_ones = [one for one in picture.judged if one not in picture.decided and not moot(one.shot, one.answer)]
    assert not open_ones, f"{tool}: {open_ones[0]}"
    picture.assert_agreed()
    return picture


def _at(picture: Picture, version: int, port: int) -> Verdict:
    destination = "192.0.2.10" if version == 4 else "2001:db8:2::10"
    return picture.of("internet", "tcp", port, version, destination)


def _behind() -> list[Shot]:
    return shots(
        senders=("internet",), ports=(22, 443), destinations=("172.18.0.2", "fd00:18::2", "10.1.0.2", "fd00:10::2")
    )


@pytest.mark.parametrize("version", [4, 6])
def test_what_only_tells_or_polishes_changes_nothing(bench: Bench, version: int) -> None:
    for tool in TOOLS[version]:
        picture = judged(bench, tool, version, NO_EFFECT)
        assert {one.answer.verdict for one in picture.judged} == {Verdict.REACHABLE}


@pytest.mark.parametrize("name", CHANGES)
def test_what_changes_for_later_rules(bench: Bench, name: str) -> None:
    for version in (4, 6):
        for tool in TOOLS[version]:
            picture = judged(bench, tool, version, CHANGES[name])
            assert {one.answer.verdict for one in picture.judged} == {Verdict.REACHABLE, Verdict.BLOCKED}, (
                tool,
                version,
            )


@pytest.mark.parametrize("name", NAT)
def test_where_a_translation_leads(bench: Bench, name: str) -> None:
    for version in (4, 6):
        for tool in TOOLS[version]:
            picture = judged(bench, tool, version, [line.format(**WORDS[version]) for line in NAT[name]])
            moved = [
                one
                for one in picture.judged
                if (one.answer.destination, one.answer.port) != (one.shot.probe.destination, one.shot.probe.port)
            ]
            assert moved or "source" in name, (tool, version)


def test_hops_that_were_set_are_known_to_later_rules(bench: Bench) -> None:
    for version, target, match in ((4, "TTL --ttl-set", "ttl --ttl-eq"), (6, "HL --hl-set", "hl --hl-eq")):
        lines = (
            f"mangle -A PREROUTING -j {target} 77",
            f"filter -A INPUT -p tcp -m tcp --dport 22 -m {match} 77 -j DROP",
            f"filter -A INPUT -p tcp -m tcp --dport 80 -m {match.replace('eq', 'gt')} 77 -j DROP",
        )
        for tool in TOOLS[version]:
            picture = judged(bench, tool, version, lines)
            assert _at(picture, version, 80) is Verdict.REACHABLE


def test_a_range_of_ports_is_shifted_as_the_kernel_shifts_it(bench: Bench) -> None:
    lines = ["nat -A PREROUTING -i wan0 -p tcp -m tcp --dport 22 -j DNAT --to-destination 172.18.0.2:79-111/21"]
    for tool in TOOLS[4]:
        picture = judged(bench, tool, 4, lines)
        (one,) = (
            each
            for each in picture.judged
            if (each.shot.sender, each.shot.probe.destination) == ("internet", "192.0.2.10")
            and each.shot.probe.port == 22
            and each.shot.probe.protocol == "tcp"
        )
        assert (one.answer.destination, one.answer.port) == ("172.18.0.2", 80)


def test_what_a_rule_adds_to_a_set_is_found_there_by_the_next(bench: Bench) -> None:
    lines = (
        "filter -A INPUT -p tcp -m tcp --dport 22 -j SET --add-set seen src",
        "filter -A INPUT -p tcp -m tcp --dport 22 -m set --match-set seen src -j DROP",
        "filter -A INPUT -p tcp -m tcp --dport 80 -m set --match-set never src -j DROP",
    )
    for tool in TOOLS[4]:
        bench.load((f"{tool}-restore", script(lines)), ipset="create seen hash:ip\ncreate never hash:ip\n")
        picture = bench.judge(shots(senders=("internet",), ports=(22, 80)))
        picture.assert_agreed()
        assert picture.of("internet", "tcp", 22) is Verdict.BLOCKED
        assert picture.of("internet", "tcp", 80) is Verdict.REACHABLE


@pytest.mark.parametrize(
    "line",
    [
        "filter -A INPUT -p tcp -m tcp --dport 22 -j NFQUEUE --queue-num 3 --queue-bypass",
        "mangle -A PREROUTING -p tcp -m tcp --dport 22 -j TPROXY --on-port 80 --tproxy-mark 0x1/0x1",
        "filter -A INPUT -p tcp -m tcp --dport 22 -j SYNPROXY --mss 1460",
        "mangle -A PREROUTING -p tcp -m tcp --dport 22 -j HMARK --hmark-tuple src --hmark-mod 10 --hmark-rnd 4",
    ],
)
def test_what_is_handed_to_somebody_else_is_uncertain_and_named(bench: Bench, line: str) -> None:
    asked = ["filter -A INPUT -p tcp -m tcp --dport 22 -m mark --mark 0x3 -j DROP"] if "HMARK" in line else []
    for tool in TOOLS[4]:
        bench.load((f"{tool}-restore", script([line, *asked])))
        picture = bench.judge(shots(senders=("internet",), ports=(22, 80)))
        picture.assert_agreed()
        (open_one,) = (one for one in picture.judged if one.answer.verdict is Verdict.UNCERTAIN)
        assert (open_one.shot.probe.port, open_one.shot.probe.protocol) == (22, "tcp")
        assert open_one.answer.unknown


def made(line: str, family: Family = IPV4, hooks: Iterable[str] = ()) -> tuple[object, ...]:
    target = read_line(line, "X").target
    assert target is not None
    return statements(target, Place(family, {}, frozenset(hooks)))


@pytest.mark.parametrize(
    ("line", "address", "port"),
    [
        ("-j DNAT --to-destination 192.0.2.1", Constant(0xC0000201), None),
        ("-j DNAT --to-destination 192.0.2.1-192.0.2.3:80-90 --random", Range(0xC0000201, 0xC0000203), Range(80, 90)),
        ("-j DNAT --to-destination :80", None, Constant(80)),
    ],
)
def test_where_to_is_read(line: str, address: object, port: object) -> None:
    (nat,) = made(line)
    assert isinstance(nat, Nat)
    assert (nat.address, nat.port) == (address, port)


def test_where_to_is_read_for_ipv6() -> None:
    for text, port in (("[2001:db8::1]:80", Constant(80)), ("2001:db8::1", None), ("[2001:db8::1]", None)):
        (nat,) = made(f"-j DNAT --to-destination {text}", IPV6)
        assert isinstance(nat, Nat)
        assert (nat.address, nat.port) == (Constant(0x20010DB8 << 96 | 1), port)
    (nat,) = made("-j SNAT --to-source [2001:db8::1]-[2001:db8::9]:1-5", IPV6)
    assert isinstance(nat, Nat)
    assert (nat.address, nat.port) == (Range(0x20010DB8 << 96 | 1, 0x20010DB8 << 96 | 9), Range(1, 5))


def test_ports_outside_the_shifted_range_go_to_any_of_it() -> None:
    (nat,) = made("-j DNAT --to-destination 192.0.2.1:80-81/1000")
    assert isinstance(nat, Nat) and isinstance(nat.port, Lookup)


@pytest.mark.parametrize(
    "line",
    [
        "-j DNAT",
        "-j DNAT --to-destination nonsense",
        "-j DNAT --to-destination 192.0.2.9-192.0.2.1",
        "-j DNAT --to-destination 192.0.2.1:99999",
        "-j MARK",
        "-j MARK --set-xmark x",
        "-j CONNMARK --save-mark --left-shift-mark 3",
        "-j CT --zone high",
        "-j CLASSIFY --set-class x:y",
        "-j NETMAP",
        "-j NETMAP --to 192.0.2.0/24",
        "-j TARPIT",
        "-j DNPT --src-pfx 2001:db8::/64",
    ],
)
def test_a_target_that_is_not_understood_may_do_anything_and_is_named(line: str) -> None:
    (statement,) = made(line)
    assert isinstance(statement, Unknown)
    assert line.split()[1] in statement.text


def test_a_network_for_a_network_turns_with_the_hook() -> None:
    for hooks, kind in (({"PREROUTING"}, "dnat"), ({"OUTPUT", "PREROUTING"}, "dnat"), ({"POSTROUTING"}, "snat")):
        (nat,) = made("-j NETMAP --to 192.0.2.0/24", hooks=hooks)
        assert isinstance(nat, Nat) and (nat.kind, nat.netmap) == (kind, True)
    assert isinstance(made("-j NETMAP --to 192.0.2.0/24", hooks={"OUTPUT", "POSTROUTING"})[0], Unknown)


def test_every_target_is_made_without_its_options_or_says_why_not() -> None:
    for name in TARGETS:
        for options in ([], [Option("to-destination"), Option("to-ports", ("x",))]):
            assert isinstance(statements(Part(name, options), Place(IPV4)), tuple)
