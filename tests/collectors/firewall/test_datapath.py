"""The datapath as rows, from the real nftables, iptables and iproute2 in a namespace of their own."""

import itertools
import json
import os
import subprocess
import threading
from collections.abc import Callable
from typing import Any

import pytest

from collectors.firewall.datapath import DatapathCollector, Options
from collectors.firewall.datapath_rows import MAX_ROW
from contracts.collector import Report
from contracts.errors import Unavailable, Why
from contracts.frames import MAX_FRAME
from contracts.host import Completed
from contracts.snapshot import Snapshot, apply
from contracts.subjects.datapath import Row, Vantage

FILTER = """
table inet filter {
    counter seen { }
    quota much { over 10 mbytes }
    set office { type ipv4_addr; flags interval; elements = { 192.0.2.0/24, 198.51.100.1-198.51.100.9 } }
    set banned { type ipv4_addr; flags dynamic,timeout; timeout 1h; counter; elements = { 203.0.113.5 timeout 10m comment "why" } }
    map ports { type inet_service : verdict; elements = { 22 : accept, 23 : drop } }
    chain input {
        type filter hook input priority 0; policy drop;
        ct state established,related accept
        iifname "lo" counter accept comment "me, myself"
        ip saddr @banned drop
        tcp dport vmap @ports
    }
    chain other { counter name seen; }
}
"""


class Looks:
    """The collector and its snapshot; `again()` looks and keeps what changed."""

    def __init__(self, host: Any, options: Options | None = None) -> None:
        self.host = host
        self.collector = DatapathCollector(options or Options())
        self.snapshot: Snapshot[Row] = Snapshot(subject="datapath")

    def again(self) -> Report[Row]:
        report = self.collector.collect(self.host, self.snapshot)
        rows = apply(self.snapshot.rows, report.changes)
        self.snapshot = Snapshot(subject="datapath", revision=self.snapshot.revision + 1, rows=rows)
        return report

    def row(self, key: str) -> Row:
        return self.snapshot.rows[key]

    def document(self, key: str) -> Any:
        return json.loads(self.snapshot.rows[key].document)

    def keys(self, what: str) -> list[str]:
        return [key for key, row in self.snapshot.rows.items() if row.what == what]


@pytest.fixture
def looks(netns) -> Looks:
    return Looks(netns)


def test_a_ruleset_is_stated_in_structure(netns, looks) -> None:
    netns.nft(FILTER)
    report = looks.again()
    assert report.blind == ()
    order = looks.row("chain inet filter input").order
    assert len(order) == 4
    texts = [looks.row(f"rule inet filter input {handle}").text for handle in order]
    assert texts[1] == 'iifname "lo" counter accept comment "me, myself"'
    assert looks.document(f"rule inet filter input {order[1]}")["expr"][1] == {"counter": None}
    assert looks.document("chain inet filter input")["policy"] == "drop"
    assert looks.document("set inet filter office")["elem"] == [
        {"prefix": {"addr": "192.0.2.0", "len": 24}},
        {"range": ["198.51.100.1", "198.51.100.9"]},
    ]
    assert looks.document("map inet filter ports")["elem"] == [[22, {"accept": None}], [23, {"drop": None}]]
    assert "packets" not in looks.document("object inet filter counter seen")
    assert looks.document("object inet filter quota much")["bytes"] == 10 << 20
    assert looks.document("table inet filter")["name"] == "filter"


def test_what_packets_and_time_change_is_no_change(netns, looks) -> None:
    netns.nft(FILTER)
    netns.run("ip", "link", "set", "lo", "up")
    looks.again()
    netns.run("/usr/bin/python3", "-c", "import socket; socket.socket(2, 2).sendto(b'x', ('127.0.0.1', 9))")
    assert "packets 0 bytes 0 accept" not in netns.run("nft", "list", "chain", "inet", "filter", "input")
    assert not looks.again().changes


def test_an_element_of_a_dynamic_set_stands_by_its_value_alone(netns, looks) -> None:
    netns.nft(FILTER)
    looks.again()
    assert looks.document("set inet filter banned")["elem"] == ["203.0.113.5"]
    netns.run("nft", "add", "element", "inet", "filter", "banned", "{ 203.0.113.6 timeout 5m }")
    assert list(looks.again().changes.put) == ["set inet filter banned"]
    assert looks.document("set inet filter banned")["elem"] == ["203.0.113.5", "203.0.113.6"]


def test_one_more_rule_is_one_more_row_and_its_chain(netns, looks) -> None:
    netns.nft(FILTER)
    looks.again()
    netns.run("nft", "insert", "rule", "inet", "filter", "input", "udp", "dport", "53", "accept")
    changes = looks.again().changes
    assert {row.what for row in changes.put.values()} == {"rule", "chain"}
    assert looks.row(f"rule inet filter input {looks.row('chain inet filter input').order[0]}").text == (
        "udp dport 53 accept"
    )


def test_chains_of_iptables_are_stated_in_its_words_beside_nfts(netns, looks) -> None:
    netns.run("iptables-nft", "-A", "INPUT", "-p", "tcp", "-m", "multiport", "--dports", "80,443", "-j", "ACCEPT")
    netns.run("iptables-nft", "-A", "INPUT", "-m", "recent", "--name", "x", "--set", "-j", "DROP")
    netns.run("iptables-nft", "-P", "INPUT", "DROP")
    netns.run("iptables-nft", "-N", "mine")
    assert looks.again().blind == ()
    row = looks.row("xtables ip filter INPUT")
    assert row.document == '{"policy":"DROP"}'
    first, second = row.text.split("\n")
    assert first == "-A INPUT -p tcp -m multiport --dports 80,443 -j ACCEPT"
    assert "--name x" in second
    assert len(looks.row("chain ip filter INPUT").order) == 2
    assert looks.row("xtables ip filter mine") == Row(what="xtables", document="{}")
    assert "xtables ip filter OUTPUT" not in looks.snapshot.rows, "nftables has no such chain"


def test_legacy_chains_are_stated(netns, looks) -> None:
    netns.run("iptables-legacy", "-A", "INPUT", "-p", "tcp", "--dport", "22", "-j", "ACCEPT")
    looks.again()
    assert looks.row("xtables legacy-ip filter INPUT").text == "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT"
    assert looks.row("xtables legacy-ip filter INPUT").document == '{"policy":"ACCEPT"}'


def test_links_routes_rules_and_switches_are_stated(netns, looks) -> None:
    netns.run("ip", "link", "add", "a0", "type", "veth", "peer", "name", "a1")
    netns.run("ip", "addr", "add", "192.0.2.1/24", "dev", "a0")
    netns.run("ip", "link", "set", "a0", "up")
    netns.run("ip", "link", "set", "a1", "up")
    netns.run("ip", "route", "add", "default", "via", "192.0.2.254")
    netns.run("ip", "rule", "add", "from", "192.0.2.7", "lookup", "100")
    netns.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    looks.again()
    addresses = [one["local"] for one in looks.document("link a0")["addr_info"]]
    assert "192.0.2.1" in addresses
    assert not any("life_time" in name for one in looks.document("link a0")["addr_info"] for name in one)
    (default,) = [key for key in looks.keys("route") if key.startswith("route 4 default")]
    assert looks.document(default)["gateway"] == "192.0.2.254"
    assert looks.row(default).text == "4"
    assert any(looks.document(key).get("src") == "192.0.2.7" for key in looks.keys("routing-rule"))
    assert looks.row("switch net.ipv4.ip_forward").text == "1"
    assert looks.row("switch net.ipv4.conf.a0.rp_filter").text in ("0", "1", "2")
    assert looks.row("switch net.ipv6.conf.all.disable_ipv6").text == "0"
    assert looks.keys("vantage")[0] == "vantage internet"
    assert looks.document("vantage internet") == {"name": "internet", "sources": ["0.0.0.0/0"], "interface": "a0"}


def test_configured_vantages_replace_the_derived_ones(netns) -> None:
    office = Vantage(name="office", sources=("192.0.2.0/24",), interface="eth0")
    looks = Looks(netns, Options(vantages=(office,)))
    looks.again()
    assert looks.keys("vantage") == ["vantage office"]


@pytest.mark.parametrize("source", ["eth0", "999.0.0.0/8", "192.0.2.7/24", "2001:db8::/200", ""])
def test_a_vantage_of_what_is_no_network_is_refused_with_its_setting(source: str) -> None:
    with pytest.raises(ValueError, match=r"^sources: .* write networks such as"):
        Vantage(name="office", sources=("192.0.2.0/24", source))


def test_many_sets_are_read_in_two_runs_of_nft(netns, looks) -> None:
    sets = "\n".join(f"set s{n} {{ type ipv4_addr; elements = {{ 192.0.2.{n} }}; }}" for n in range(60))
    netns.nft(f"table ip t {{ {sets}\n map m {{ type inet_service : verdict; elements = {{ 22 : accept }}; }}\n }}")
    looks.again()
    assert looks.document("set ip t s59")["elem"] == ["192.0.2.59"]
    assert looks.document("map ip t m")["elem"] == [[22, {"accept": None}]]
    assert sum(argv[:4] == ("nft", "-j", "-s", "list") for argv in netns.asked) == 2


def test_one_large_set_among_many_is_not_read(netns) -> None:
    sets = "\n".join(f"set s{n} {{ type ipv4_addr; elements = {{ 192.0.2.{n} }}; }}" for n in range(20))
    netns.nft(f"table ip t {{ {sets}\n set big {{ type inet_service; elements = {{ 1, 2, 3 }}; }}\n }}")
    looks = Looks(netns, Options(max_elements=2))
    looks.again()
    assert looks.row("set ip t big").unread == "more than 2 elements"
    assert looks.document("set ip t s19")["elem"] == ["192.0.2.19"]


def test_a_set_larger_than_the_limit_is_not_read(netns) -> None:
    netns.nft(FILTER)
    looks = Looks(netns, Options(max_elements=1))
    report = looks.again()
    assert looks.row("set inet filter office").unread == "more than 1 elements"
    assert "elem" not in looks.document("set inet filter office")
    (spot,) = report.blind
    assert spot.why is Why.TOO_LARGE
    assert "set inet filter office" in spot.detail
    assert not any(argv[:5] == ("nft", "-j", "-s", "list", "set") and "office" in argv for argv in netns.asked)


def test_a_million_elements_cost_neither_time_nor_memory(netns, looks) -> None:
    part = ",".join(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(0, 1 << 17))
    for start in range(10, 18):
        body = part.replace("10.", f"{start}.", 1).replace(",10.", f",{start}.")
        head = "add table ip big; add set ip big s { type ipv4_addr; };"
        netns.nft(f"{head} add element ip big s {{ {body} }}")
    looks.again()
    assert looks.row("set ip big s").unread == "more than 20000 elements"
    assert not any("big" in argv for argv in netns.asked)


def test_an_anonymous_set_too_large_to_travel_is_one_unread_rule(netns, looks) -> None:
    ports = ",".join(f"10.{n >> 8}.{n & 255}.1" for n in range(0, 60_000))
    netns.nft(f"add table ip t; add chain ip t c; add rule ip t c ip saddr {{ {ports} }} drop; add rule ip t c accept")
    report = looks.again()
    first, second = looks.row("chain ip t c").order
    assert looks.row(f"rule ip t c {first}").unread.startswith("too large to travel")
    assert looks.row(f"rule ip t c {second}").text == "accept"
    assert any("too large to travel" in spot.what for spot in report.blind)
    assert MAX_ROW < MAX_FRAME


def test_a_long_chain_of_iptables_goes_on_in_another_row(netns, looks) -> None:
    lines = "\n".join(f"-A INPUT -s 10.0.{n >> 8}.{n & 255} -j DROP" for n in range(5001))
    netns.run("iptables-nft-restore", stdin=f"*filter\n:INPUT ACCEPT [0:0]\n{lines}\nCOMMIT\n")
    looks.again()
    assert len(looks.row("xtables ip filter INPUT").text.split("\n")) == 5000
    assert looks.document("xtables ip filter INPUT 2") == {"part": 2}
    assert looks.row("xtables ip filter INPUT 2").text == "-A INPUT -s 10.0.19.136/32 -j DROP"


def test_a_ruleset_that_changes_all_the_time_is_not_stated(netns, looks) -> None:
    netns.nft(FILTER)
    ask = netns.ask

    def restless(*argv: str, **limits: Any) -> Completed:
        answer = ask(*argv, **limits)
        if argv == ("nft", "-j", "-s", "-t", "list", "ruleset"):
            netns.nft("add rule inet filter other drop")
        return answer

    netns.ask = restless
    with pytest.raises(Unavailable, match="changed while it was read"):
        looks.again()


def test_what_is_stated_never_mixes_two_rulesets(netns, looks) -> None:
    over, started, pause_s = threading.Event(), threading.Event(), [0.2]

    def reload() -> None:
        for number in itertools.count():
            rules = "\n".join(f'tcp dport {port} accept comment "g{number}"' for port in range(1, 30 + number % 7))
            netns.nft(f"table inet t\ndelete table inet t\ntable inet t {{ chain c {{ {rules}\n }}\n }}")
            started.set()
            if over.wait(pause_s[0]):
                return

    thread = threading.Thread(target=reload)
    thread.start()
    assert started.wait(60)
    stated = 0
    for _ in range(25):
        try:
            looks.again()
        except Unavailable as error:
            assert "changed while" in error.message or "vanished" in error.message
            pause_s[0] *= 1.3  # where a look takes as long as rules stand, there is nothing to state
            continue
        stated += 1
        order = looks.row("chain inet t c").order
        rules = [f"rule inet t c {handle}" for handle in order]
        assert sorted(looks.keys("rule")) == sorted(rules)
        (generation,) = {looks.document(rule)["comment"] for rule in rules}
        assert all(looks.row(rule).text.endswith(f'comment "{generation}"') for rule in rules)
    over.set()
    thread.join()
    assert stated >= 3, stated


def test_one_change_while_it_is_read_is_read_again(netns, looks) -> None:
    netns.nft(FILTER)
    ask, changed = netns.ask, []

    def once(*argv: str, **limits: Any) -> Completed:
        answer = ask(*argv, **limits)
        if argv == ("nft", "-j", "-s", "-t", "list", "ruleset") and not changed:
            changed.append(netns.nft("delete table inet filter; add table inet late"))
        return answer

    netns.ask = once
    looks.again()
    assert looks.keys("table") == ["table inet late"]


def test_elements_that_come_while_the_ruleset_is_read_do_not_hold_it_up(netns, looks) -> None:
    netns.nft(FILTER)
    ask, count = netns.ask, iter(range(1, 200))

    def banning(*argv: str, **limits: Any) -> Completed:
        answer = ask(*argv, **limits)
        if argv == ("nft", "-j", "-s", "-t", "list", "ruleset"):
            netns.nft(f"add element inet filter banned {{ 203.0.113.{next(count) + 10} }}")
        return answer

    netns.ask = banning
    looks.again()
    assert looks.row("chain inet filter input").order
    assert netns.asked.count(("nft", "-j", "-s", "-t", "list", "ruleset")) == 1


@pytest.mark.parametrize(
    ("failure", "why"),
    [
        (
            Unavailable(Why.TOOL_MISSING, "nft is not installed", advice="install the package nftables"),
            Why.TOOL_MISSING,
        ),
        (Completed(argv=("nft",), code=1, stdout=b"", stderr=b"nft: invalid option -- 'j'"), Why.INCOMPATIBLE),
        (Completed(argv=("nft",), code=1, stdout=b"", stderr=b"Operation not permitted"), Why.PERMISSION),
    ],
)
def test_without_a_nft_of_use_nothing_is_claimed(netns, looks, failure, why) -> None:
    netns.broken["nft"] = failure
    with pytest.raises(Unavailable) as caught:
        looks.again()
    assert caught.value.why is why
    assert caught.value.advice


def test_without_iproute2_what_follows_is_named(netns, looks) -> None:
    netns.broken["ip"] = Unavailable(Why.TOOL_MISSING, "ip is not installed")
    report = looks.again()
    assert "links and addresses, so that exposure is uncertain" in [spot.what for spot in report.blind]
    assert all(spot.fix for spot in report.blind)
    assert looks.row("link").unread == "ip is not installed"
    assert looks.row("route 4").unread


def test_a_table_with_a_chain_whose_name_is_no_text_costs_only_that_table(netns, looks) -> None:
    netns.nft(FILTER)
    netns.run("/usr/bin/python3", "-c", NOT_UTF8)
    report = looks.again()
    assert looks.row("table ip odd").unread == "nft cannot state this table as JSON"
    assert len(looks.row("chain inet filter input").order) == 4
    (spot,) = report.blind
    assert spot.what.endswith("(ip odd)")
    assert spot.detail.startswith("nft broke off over a name in it that is not UTF-8")


def test_a_rule_over_which_nft_breaks_off_costs_only_its_table_and_is_named(netns, looks) -> None:
    """nft 1.0.6 takes the two comparisons for one range of ports, which is too wide for it to be stated."""
    netns.nft(FILTER + "table inet odd {\n chain c {\n  ip daddr < 192.0.2.10 th dport > 443 accept\n }\n}\n")
    report = looks.again()
    assert looks.row("table inet odd").unread == "nft cannot state this table as JSON"
    assert len(looks.row("chain inet filter input").order) == 4
    (spot,) = report.blind
    assert spot.what == "what the tables hold that nft cannot state as JSON (inet odd)"
    assert spot.detail.startswith("nft broke off over a rule in it (nft: ")
    assert "range" in spot.fix


@pytest.mark.parametrize("comment", ['a "quote"\n\t\tdrop', 'lone "\n\t\taccept', "}\n\t}\n}\ntable ip u {\n"])
def test_comments_with_quotes_and_line_breaks_stay_comments(netns, looks, comment: str) -> None:
    chain = {"family": "ip", "table": "t"}
    rules = [{"expr": [{"accept": None}], "comment": comment}, {"expr": [{"drop": None}]}]
    parts: list[dict[str, Any]] = [{"table": {"family": "ip", "name": "t"}}, {"chain": {**chain, "name": "c"}}]
    parts += [{"rule": {**chain, "chain": "c", **rule}} for rule in rules]
    netns.run("nft", "-j", "-f", "-", stdin=json.dumps({"nftables": [{"add": part} for part in parts]}))
    looks.again()
    first, second = looks.row("chain ip t c").order
    assert looks.document(f"rule ip t c {first}")["comment"] == comment
    assert looks.document(f"rule ip t c {second}")["expr"] == [{"drop": None}]
    assert looks.row(f"rule ip t c {second}").text in ("drop", ""), "words that are not certain are not stated"
    assert looks.keys("table") == ["table ip t"]


@pytest.mark.parametrize("name", [rb'a "b', rb"a\nb", rb"x {\n\t\tdrop\n\t}\n}", rb"\\", rb"b c; flush ruleset"])
def test_chains_of_any_name_are_stated(netns, looks, name: bytes) -> None:
    raw = name.decode("unicode_escape").encode()
    netns.run("/usr/bin/python3", "-c", NOT_UTF8.replace(r'b"x\xff\0"', repr(raw + b"\0")))
    looks.again()
    assert looks.keys("table") == ["table ip odd"]
    (chain,) = looks.keys("chain")
    assert looks.document(chain)["name"] == raw.decode()


def test_ten_thousand_rules_are_read_in_about_twice_the_time_of_nft_alone(netns, looks) -> None:
    rules = "\n".join(f"add rule inet t c ip saddr 10.1.{n >> 8}.{n & 255} tcp dport {n} accept" for n in range(10_000))
    netns.nft(f"add table inet t\nadd chain inet t c {{ type filter hook input priority 0; }}\n{rules}\n")
    looks.again()
    assert len(looks.keys("rule")) == 10_000
    alone = min(seconds(lambda: netns.ask("nft", "-j", "list", "ruleset")) for _ in range(3))
    look = min(seconds(looks.again) for _ in range(3))
    assert look < 3 * alone, f"{look:.2f} s beside {alone:.2f} s"
    assert not looks.again().changes


def seconds(work: Callable[[], object]) -> float:
    """Return the CPU time of `work` and the commands it ran: what others do on this machine does not count."""
    started = sum(os.times()[:4])
    work()
    return sum(os.times()[:4]) - started


NOT_UTF8 = r"""
import socket, struct
def a(kind, value): return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
def m(kind, flags, body, family=2):
    return struct.pack("=IHHII", 20 + len(body), kind, flags, 1, 0) + struct.pack("!BBH", family, 0, 0) + body
def edge(kind): return struct.pack("=IHHII", 20, kind, 1, 1, 0) + struct.pack("!BBH", 0, 0, 10)
s = socket.socket(16, 3, 12)
s.bind((0, 0))
s.send(edge(16) + m(10 << 8, 0x405, a(1, b"odd\0")) + m(10 << 8 | 3, 0x405, a(1, b"odd\0") + a(3, b"x\xff\0")) + edge(17))
for _ in range(2):
    assert struct.unpack_from("=i", s.recv(4096), 16)[0] == 0
"""


def test_the_test_for_odd_names_makes_one(netns) -> None:
    netns.run("/usr/bin/python3", "-c", NOT_UTF8)
    listed = subprocess.run(
        ("nsenter", f"--net=/run/netns/{netns.name}", "nft", "list", "ruleset"), capture_output=True, check=True
    )
    assert b"chain x\xff" in listed.stdout
