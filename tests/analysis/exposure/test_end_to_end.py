"""Exposure judged from real rules, real listeners and real routes, and held against real connections from outside."""

from pathlib import Path

import msgspec

from analysis.exposure import ExposureJudge
from contracts.event import Severity
from contracts.judge import View
from contracts.snapshot import Snapshot, apply
from contracts.subjects.exposure import Exposure

ROOT = Path(__file__).resolve().parents[3]
UFW_AND_DOCKER = """*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:ufw-before-input - [0:0]
:ufw-user-input - [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A INPUT -j ufw-before-input
-A INPUT -j ufw-user-input
-A ufw-before-input -i lo -j ACCEPT
-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT
-A ufw-user-input -s 203.0.113.0/24 -p tcp -m tcp --dport 5432 -j ACCEPT
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER-USER -j RETURN
COMMIT
"""
NFT = """
table inet filter {
    set office { type ipv4_addr; flags interval; elements = { 203.0.113.0/24 }; }
    chain input {
        type filter hook input priority 0; policy drop;
        ct state established,related accept
        iifname "lo" accept
        meta l4proto ipv6-icmp accept
        tcp dport 443 accept
        ip saddr @office tcp dport 5432 accept
        tcp dport 6379 accept
    }
}
table ip nat {
    chain prerouting {
        type nat hook prerouting priority dstnat;
        tcp dport 16379 dnat to 127.0.0.1:6379
        tcp dport 443 redirect to :8443
        tcp dport 9999 redirect to :9998
    }
}
table inet opened {
    chain input { type filter hook input priority 10; tcp dport 8443 accept; }
}
"""
OUT = "198.51.100.5"


class Bench:
    """The judge with its memory, asked about what the collectors see now."""

    def __init__(self, scene) -> None:
        self.scene, self.judge = scene, ExposureJudge()
        self.before: Snapshot[Exposure] = Snapshot(subject="exposure")
        self.events = []

    def look(self) -> list[str]:
        """Look and judge; returns what was said that is not the first look's sum."""
        rows = self.scene.look()
        snapshots = {name: Snapshot(subject=name, revision=1, rows=rows[name]) for name in self.judge.subjects}
        report = self.judge.judge(View(snapshots=snapshots, accepted={}, now_ms=1), self.before)
        after = apply(self.before.rows, report.changes)
        self.before = Snapshot(subject="exposure", revision=self.before.revision + 1, rows=after)
        self.events = [event for event in report.events if event.kind != "firewall.exposure_first_look"]
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(after), type=dict[str, Exposure]) == after
        return [
            f"{event.kind.removeprefix('firewall.')} {event.fields['vantage']} {event.fields['port']}"
            for event in self.events
        ]

    def __getitem__(self, place: str) -> Exposure:
        return self.before.rows[f"internet tcp {place}"]

    def udp(self, place: str) -> Exposure:
        return self.before.rows[f"internet udp {place}"]


def test_a_container_port_past_ufw_is_called_out_at_the_first_look_and_when_it_ends(scene) -> None:
    scene.listen(scene.host, "0.0.0.0:22", "127.0.0.1:6379", ":::80", "0.0.0.0:5432")
    scene.listen(scene.inside, "0.0.0.0:80")
    scene.run(scene.host, "iptables-restore", UFW_AND_DOCKER)
    bench = Bench(scene)
    assert bench.look() == ["published_port_bypasses internet 8080", "published_port_bypasses network eth0 8080"]
    told = bench.events[0]
    assert told.severity is Severity.HIGH
    assert (told.fields["publisher"], told.fields["front_end"]) == ("Docker", "ufw")
    assert told.fields["delivered"] == "172.17.0.2:80"

    published = bench[f"{OUT} 8080"]
    assert (published.verdict, published.bypasses, published.chain) == ("reachable", "ufw", "ip filter DOCKER")
    assert scene.connect("9.9.9.9", OUT, 8080) == "reachable"
    assert bench[f"{OUT} 22"].verdict == scene.connect("9.9.9.9", OUT, 22) == "reachable"
    assert "dport 22" in bench[f"{OUT} 22"].why
    assert bench[f"{OUT} 5432"].verdict == scene.connect("9.9.9.9", OUT, 5432) == "blocked"
    assert bench[f"{OUT} 5432"].except_for == ("203.0.113.0/24 reachable",)
    assert scene.connect("203.0.113.7", OUT, 5432) == "reachable"
    assert bench[f"{OUT} 80"].verdict == scene.connect("9.9.9.9", OUT, 80) == "blocked"
    assert bench["2001:db8:1::5 80"].verdict == scene.connect("2001:db8:1::1", "2001:db8:1::5", 80) == "reachable"
    assert bench["127.0.0.1 6379"].verdict == "blocked"

    scene.run(
        scene.host, "iptables -I DOCKER-USER -i eth0 -j DROP; iptables -A ufw-user-input -p tcp --dport 80 -j ACCEPT"
    )
    assert bench.look() == [
        "exposure_opened internet 80",
        "exposure_opened network docker0 80",
        "exposure_opened network eth0 80",
        "exposure_closed internet 8080",
        "exposure_closed network eth0 8080",
        "published_port_bypass_ended internet 8080",
        "published_port_bypass_ended network eth0 8080",
    ]
    assert bench.events[0].severity is Severity.HIGH
    assert bench.events[1].severity is Severity.MEDIUM
    assert bench.events[0].fields["families"] == ["IPv4"]
    assert scene.connect("9.9.9.9", OUT, 8080) == bench[f"{OUT} 8080"].verdict == "blocked"
    assert scene.connect("9.9.9.9", OUT, 80) == bench[f"{OUT} 80"].verdict == "reachable"

    scene.run(scene.host, "iptables -P INPUT ACCEPT")
    assert "exposure_opened internet 5432" in bench.look()
    assert scene.connect("9.9.9.9", OUT, 5432) == bench[f"{OUT} 5432"].verdict == "reachable"


def test_translation_to_loopback_and_redirects_lead_to_whom_they_lead(scene) -> None:
    scene.listen(scene.host, "127.0.0.1:6379", "0.0.0.0:443", "0.0.0.0:8443", "0.0.0.0:5432", "2001:db8:1::5:443")
    scene.run(scene.host, "nft -f -", NFT)
    scene.run(scene.host, "sysctl -q -w net.ipv4.conf.eth0.route_localnet=1")
    bench = Bench(scene)
    assert bench.look() == []

    hidden = bench[f"{OUT} 16379"]
    assert hidden.verdict == scene.connect("9.9.9.9", OUT, 16379) == "reachable"
    assert (hidden.delivered, hidden.listener) == ("127.0.0.1:6379", "tcp/127.0.0.1:6379")
    moved = bench[f"{OUT} 443"]
    assert moved.verdict == scene.connect("9.9.9.9", OUT, 443) == "blocked"
    assert bench["2001:db8:1::5 443"].verdict == scene.connect("2001:db8:1::1", "2001:db8:1::5", 443) == "reachable"
    assert bench[f"{OUT} 5432"].except_for == ("203.0.113.0/24 reachable",)
    assert bench[f"{OUT} 9999"].verdict == "blocked"

    scene.run(scene.host, "nft add rule inet filter input tcp dport 8443 accept")
    assert bench.look() == [
        "exposure_opened internet 443",
        "exposure_opened internet 8443",
        "exposure_opened network docker0 443",
        "exposure_opened network docker0 8443",
        "exposure_opened network eth0 443",
        "exposure_opened network eth0 8443",
    ]
    assert bench[f"{OUT} 443"].listener == "tcp/0.0.0.0:8443"
    assert scene.connect("9.9.9.9", OUT, 443) == bench[f"{OUT} 443"].verdict == "reachable"

    scene.run(scene.host, "sysctl -q -w net.ipv4.conf.eth0.route_localnet=0")
    assert "exposure_closed internet 16379" in bench.look()
    assert scene.connect("9.9.9.9", OUT, 16379) == bench[f"{OUT} 16379"].verdict == "blocked"


def test_without_any_rule_everything_that_listens_is_reachable_and_a_flush_says_so(scene) -> None:
    scene.listen(scene.host, "0.0.0.0:22", ":::443")
    scene.run(
        scene.host,
        "nft -f -",
        "table inet f { chain i { type filter hook input priority 0; policy drop; iif lo accept\n}\n}\n",
    )
    bench = Bench(scene)
    assert bench.look() == []
    scene.run(scene.host, "nft flush ruleset")
    said = bench.look()
    assert {"exposure_opened internet 22", "exposure_opened internet 443"} <= set(said)
    both = next(
        event for event in bench.events if event.fields["port"] == 443 and event.fields["vantage"] == "internet"
    )
    assert both.fields["families"] == ["IPv4", "IPv6"]
    assert scene.connect("9.9.9.9", OUT, 443) == "reachable"


PUBLISHED_PAST_FIREWALLD = """
table ip docker {
    chain prerouting {
        type nat hook prerouting priority dstnat - 1;
        tcp dport 8080 dnat to 172.17.0.2:80
    }
}
add rule inet firewalld nat_PRE_public_allow tcp dport 8081 dnat ip to 172.17.0.2:80
"""


def test_a_port_past_firewalld_is_called_out_and_one_that_firewalld_forwards_itself_is_not(scene) -> None:
    scene.listen(scene.host, "0.0.0.0:22", "0.0.0.0:5432")
    scene.listen(scene.inside, "0.0.0.0:80")
    scene.run(scene.host, "nft -f -", (ROOT / "tests/fixtures/firewall/firewalld.nft").read_text())
    scene.run(scene.host, "nft -f -", PUBLISHED_PAST_FIREWALLD)
    bench = Bench(scene)
    networks = ("internet", "network docker0", "network eth0")
    assert bench.look() == [f"published_port_bypasses {network} 8080" for network in networks]
    assert bench[f"{OUT} 8080"].bypasses == "firewalld"
    assert (bench[f"{OUT} 8081"].verdict, bench[f"{OUT} 8081"].bypasses) == ("reachable", "")
    for port, verdict in ((22, "reachable"), (5432, "blocked"), (8080, "reachable"), (8081, "reachable")):
        assert bench[f"{OUT} {port}"].verdict == scene.connect("9.9.9.9", OUT, port) == verdict


DATAGRAMS = """
table inet filter {
    set office { type ipv4_addr; flags interval; elements = { 203.0.113.0/24 }; }
    chain input {
        type filter hook input priority 0; policy drop;
        ct state established,related accept
        meta l4proto ipv6-icmp accept
        udp dport 53 accept
        ip saddr @office udp dport 161 accept
        udp dport 5000 accept
    }
}
table ip nat {
    chain prerouting {
        type nat hook prerouting priority dstnat;
        udp dport 500 redirect to :5000
        udp dport 5060 dnat to 172.17.0.2:5060
        tcp dport 514 redirect to :5000
    }
}
"""


def test_datagrams_arrive_where_they_are_said_to_and_nowhere_else(scene) -> None:
    scene.listen_udp(scene.host, "0.0.0.0:53", ":::54", "0.0.0.0:161", "0.0.0.0:5000", "127.0.0.1:123", f"{OUT}:69")
    scene.listen_udp(scene.inside, "0.0.0.0:5060")
    scene.run(scene.host, "nft -f -", DATAGRAMS)
    bench = Bench(scene)
    assert bench.look() == []

    expected = {53: "reachable", 161: "blocked", 500: "reachable", 5000: "reachable", 5060: "reachable", 69: "blocked"}
    for port, verdict in expected.items():
        assert bench.udp(f"{OUT} {port}").verdict == scene.send("9.9.9.9", OUT, port) == verdict, port
    assert bench.udp(f"{OUT} 161").except_for == ("203.0.113.0/24 reachable",)
    assert scene.send("203.0.113.7", OUT, 161) == "reachable"
    assert (bench.udp(f"{OUT} 5060").delivered, bench.udp(f"{OUT} 500").listener) == (
        "172.17.0.2:5060",
        "udp/0.0.0.0:5000",
    )
    assert bench.udp("127.0.0.1 123").verdict == "blocked"
    assert bench.udp("2001:db8:1::5 54").verdict == scene.send("2a00::9", "2001:db8:1::5", 54) == "blocked"

    scene.run(
        scene.host,
        "nft add rule inet filter input udp dport 54 accept; nft add rule inet filter input udp dport 69 accept",
    )
    said = bench.look()
    assert {"exposure_opened internet 54", "exposure_opened internet 69"} <= set(said)
    assert bench.udp("2001:db8:1::5 54").verdict == scene.send("2a00::9", "2001:db8:1::5", 54) == "reachable"
    assert bench.udp(f"{OUT} 69").verdict == scene.send("9.9.9.9", OUT, 69) == "reachable"

    scene.run(scene.host, "nft insert rule inet filter input udp dport 53 reject")
    assert "exposure_closed internet 53" in bench.look()
    assert bench.udp(f"{OUT} 53").verdict == scene.send("9.9.9.9", OUT, 53) == "blocked"


def test_an_answer_that_is_dropped_stops_connections_and_no_datagrams(scene) -> None:
    scene.listen(scene.host, "0.0.0.0:53")
    scene.listen_udp(scene.host, "0.0.0.0:53")
    dropping = "table ip t { chain o { type filter hook output priority 0; policy drop; }; }"
    scene.run(scene.host, "nft -f -", dropping)
    bench = Bench(scene)
    bench.look()
    assert bench[f"{OUT} 53"].verdict == scene.connect("9.9.9.9", OUT, 53) == "blocked"
    assert bench.udp(f"{OUT} 53").verdict == scene.send("9.9.9.9", OUT, 53) == "reachable"


def test_an_ipsec_policy_that_blocks_is_named_where_it_may_decide(scene) -> None:
    scene.listen(scene.host, "0.0.0.0:80")
    scene.listen_udp(scene.host, "0.0.0.0:53", ":::54")
    scene.run(scene.host, "ip xfrm policy add dir in src 0.0.0.0/0 dst 0.0.0.0/0 proto udp action block")
    bench = Bench(scene)
    assert bench.look() == []
    hidden = bench.udp(f"{OUT} 53")
    assert (hidden.verdict, scene.send("9.9.9.9", OUT, 53)) == ("uncertain", "blocked")
    assert "IPsec policy: src 0.0.0.0/0 dst 0.0.0.0/0 proto udp dir in action block" in str(hidden.unknown)
    assert bench[f"{OUT} 80"].verdict == scene.connect("9.9.9.9", OUT, 80) == "reachable"
    assert bench.udp("2001:db8:1::5 54").verdict == scene.send("2a00::9", "2001:db8:1::5", 54) == "reachable"

    scene.run(scene.host, "ip xfrm policy flush")
    assert "exposure_opened internet 53" in bench.look()
    assert bench.udp(f"{OUT} 53").verdict == scene.send("9.9.9.9", OUT, 53) == "reachable"


STATELESS = """
table ip old {
    chain input {
        type filter hook input priority 0; policy drop;
        udp sport 53 accept
        tcp sport 1024-65535 tcp dport 22 accept
        tcp sport 39000-41000 tcp dport 80 accept
    }
}
"""


def test_what_only_a_chosen_source_port_reaches_is_called_out(scene) -> None:
    scene.listen(scene.host, "0.0.0.0:22", "0.0.0.0:80")
    scene.listen_udp(scene.host, "0.0.0.0:161")
    scene.run(scene.host, "nft -f -", STATELESS)
    bench = Bench(scene)
    assert bench.look() == []
    hole = bench.udp(f"{OUT} 161")
    assert (hole.verdict, hole.except_for) == ("blocked", ("source port 53 reachable",))
    assert scene.send("9.9.9.9", OUT, 161) == "blocked"
    assert scene.send("9.9.9.9", OUT, 161, source_port=53) == "reachable"
    assert (bench[f"{OUT} 22"].verdict, bench[f"{OUT} 22"].except_for) == (
        "reachable",
        ("source port 53 blocked", "source port 1023 blocked"),
    )
    assert scene.connect("9.9.9.9", OUT, 22) == "reachable"
    assert scene.connect("9.9.9.9", OUT, 22, source_port=1023) == "blocked"
    narrow = bench[f"{OUT} 80"]
    assert (narrow.verdict, narrow.except_for) == ("blocked", ("source port 39000 reachable",))
    assert scene.connect("9.9.9.9", OUT, 80, source_port=50000) == "blocked"
    assert scene.connect("9.9.9.9", OUT, 80, source_port=39000) == "reachable"


ONLY_WEB = """
table inet f {
    chain i {
        type filter hook input priority 0; policy drop;
        tcp dport 80 accept
    }
}
"""


def test_who_lets_a_port_in_and_no_neighbour_discovery_is_told_so(scene) -> None:
    scene.listen(scene.host, ":::80")
    scene.run(scene.host, "nft -f -", ONLY_WEB)
    bench = Bench(scene)
    bench.look()
    six, four = bench["2001:db8:1::5 80"], bench[f"{OUT} 80"]
    assert (six.verdict, four.verdict) == ("reachable", "reachable")
    assert six.except_for == ("neighbours that have to find it first blocked: policy drop of chain i",)
    assert four.except_for == ()
    assert scene.connect("2001:db8:1::1", "2001:db8:1::5", 80) == "blocked"
    assert scene.connect("9.9.9.9", OUT, 80) == "reachable"

    scene.run(scene.host, "nft add rule inet f i icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept")
    assert bench.look() == []
    assert bench["2001:db8:1::5 80"].except_for == ()
    assert scene.connect("2001:db8:1::1", "2001:db8:1::5", 80) == "reachable"
