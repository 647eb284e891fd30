"""Rows of iptables as tables, chains and rules: hooks, handles, parts, and what is not understood."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.firewall.evaluate import evaluate
from analysis.firewall.model import Base, Maybe, Nat, Rule, Unknown, Verdict
from analysis.firewall.probe import Probe
from analysis.firewall.probe import Verdict as Outcome
from analysis.firewall.reading import read
from analysis.firewall.xtables import MATCHES, Xtables
from analysis.firewall.xtables_lines import ONES
from contracts.subjects.datapath import Row
from tests.analysis.firewall.front_ends.judging import Bench, shots
from tests.analysis.firewall.xtables_rounds import script


def rows(*lines: str, family: str = "legacy-ip", policy: str = "ACCEPT", **others: str) -> dict[str, Row]:
    found = {
        f"xtables {family} filter INPUT": Row(
            what="xtables", document=f'{{"policy":"{policy}"}}', text="\n".join(f"-A INPUT {line}" for line in lines)
        )
    }
    for name, text in others.items():
        found[f"xtables {family} filter {name}"] = Row(what="xtables", document="{}", text=text)
    return found


def one(line: str, **others: str) -> Rule:
    (table,) = Xtables(rows(line, **others)).legacy()
    return table.chains["INPUT"].rules[0]


@pytest.mark.parametrize(
    ("table", "chain", "kind", "priority"),
    [
        ("raw", "PREROUTING", "filter", -300),
        ("mangle", "FORWARD", "filter", -150),
        ("mangle", "OUTPUT", "route", -150),
        ("nat", "PREROUTING", "nat", -100),
        ("nat", "OUTPUT", "nat", -100),
        ("nat", "INPUT", "nat", 100),
        ("nat", "POSTROUTING", "nat", 100),
        ("filter", "INPUT", "filter", 0),
        ("security", "OUTPUT", "filter", 50),
    ],
)
def test_legacy_chains_have_the_hooks_that_the_kernel_gives_them(
    table: str, chain: str, kind: str, priority: int
) -> None:
    row = Row(what="xtables", document='{"policy":"DROP"}', text="")
    (found,) = Xtables({f"xtables legacy-ip6 {table} {chain}": row}).legacy()
    assert (found.family, found.name) == ("legacy-ip6", table)
    assert found.chains[chain].base == Base(kind=kind, hook=chain.lower(), priority=priority, policy="drop")


def test_a_user_defined_chain_has_no_hook_and_is_jumped_to() -> None:
    (table,) = Xtables(rows("-j own", "-g own", own="-A own -j RETURN")).legacy()
    assert table.chains["own"].base is None
    assert [rule.statements for rule in table.chains["INPUT"].rules] == [
        (Verdict("jump", "own"),),
        (Verdict("goto", "own"),),
    ]


def test_names_that_are_quoted_in_keys_are_read() -> None:
    place = "xtables legacy-ip filter " + msgspec.json.encode('od"d name').decode()
    (table,) = Xtables({place: Row(what="xtables", document="{}", text='-A od"d name -j DROP')}).legacy()
    assert table.chains['od"d name'].rules[0].statements == (Verdict("drop"),)


def test_a_long_chain_comes_in_parts() -> None:
    place = "xtables legacy-ip filter INPUT"
    found = rows("-j ACCEPT") | {
        f"{place} 3": Row(what="xtables", document='{"part":3}', text="-A INPUT -j REJECT"),
        f"{place} 2": Row(what="xtables", document='{"part":2}', text="-A INPUT -j DROP"),
    }
    (table,) = Xtables(found).legacy()
    kinds = [rule.statements[0] for rule in table.chains["INPUT"].rules]
    assert kinds == [Verdict("accept"), Verdict("drop"), Verdict("reject")]


def test_a_rule_without_a_target_does_nothing() -> None:
    assert one("-p tcp -m recent --set --name x --rsource").statements == ()
    assert one('-p tcp -j LOG --log-prefix "x "').statements == ()


def test_the_backslashes_of_a_row_are_those_of_iptables_doubled() -> None:
    rule = one(r'-m comment --comment "say \\"hi\\" \\\\" -j DROP')
    assert rule.statements == (Verdict("drop"),)
    assert rule.text == r'-m comment --comment "say \"hi\" \\" -j DROP'


@pytest.mark.parametrize(
    "line",
    [
        "-m geoip --source-country CN -j ACCEPT",
        "-j TARPIT --tarpit",
        "-j gone",
        "-g gone",
        "-m tcp --dport 22:x -j DROP",
        "-m tcp --unheard 22 -j DROP",
        "-m addrtype --src-type NOWHERE -j DROP",
        "-m mac --mac-source 00:11 -j DROP",
        "-m mac --mac-source zz:11:22:33:44:55 -j DROP",
        "-m conntrack --ctstate MAYBE -j DROP",
        "-m conntrack --ctdir SIDEWAYS -j DROP",
        "-m iprange --src-range 9-1 -j DROP",
        "-m owner --uid-owner root -j DROP",
        "-m pkttype --pkt-type odd -j DROP",
        "-m rpfilter --fast -j DROP",
        "-m set -j DROP",
        "-s 300.1.2.3 -j DROP",
        "-p nonsense -j DROP",
        "-i odd* -j DROP",
        "-m multiport --dports 1,x -j DROP",
        '-m comment --comment "cut',
        "stray",
    ],
)
def test_what_is_not_understood_is_named_and_makes_uncertain(line: str) -> None:
    rule = one(line)
    unknown = [statement for statement in rule.statements if isinstance(statement, Unknown)]
    assert unknown and all(len(statement.text) < 400 for statement in unknown)
    links = {
        "link eth0": Row(
            what="link",
            document='{"ifname":"eth0","ifindex":2,"flags":["UP"],"link_type":"ether","addr_info":[{"family":"inet","local":"192.0.2.1","prefixlen":24,"scope":"global"}]}',
        )
    }
    probe = Probe(family=4, protocol="udp", source="192.0.2.9", destination="192.0.2.1", port=22, interface="eth0")
    answer = evaluate(read(rows(line) | links), [probe]).answer(0)
    assert answer.verdict is Outcome.UNCERTAIN
    assert answer.unknown


@pytest.mark.parametrize(
    "broken",
    [
        {"xtables": Row(what="xtables")},
        {'xtables ip "cut': Row(what="xtables")},
        {"xtables ip filter INPUT": Row(what="xtables", document="{")},
        {"xtables ip filter INPUT 2 3 4": Row(what="xtables", document="{}")},
    ],
)
def test_a_row_that_is_not_one_is_named(broken: dict[str, Row]) -> None:
    assert len(Xtables(broken).unread) == 1


def test_a_chain_that_was_not_read_says_so() -> None:
    row = Row(what="xtables", document='{"policy":"DROP"}', unread="too large to travel")
    (table,) = Xtables({"xtables legacy-ip filter INPUT": row}).legacy()
    assert table.chains["INPUT"].unread == "too large to travel"


def test_a_line_belongs_to_the_handle_at_its_place() -> None:
    found = Xtables(rows("-j ACCEPT", "-j DROP", family="ip"))
    assert found.legacy() == ()
    rule = found.rule("ip", "filter", "INPUT", (4, 7), 7)
    assert rule is not None and (rule.handle, rule.statements) == (7, (Verdict("drop"),))
    assert found.rule("ip", "filter", "INPUT", (4, 7, 9), 7) is None
    assert found.rule("ip", "filter", "INPUT", (4, 7), 9) is None
    assert found.rule("ip", "filter", "OTHER", (4, 7), 7) is None
    assert found.holds("ip", "filter", "INPUT") and not found.holds("ip", "nat", "INPUT")


def first_rule(found: Xtables) -> Rule:
    return found.legacy()[0].chains["INPUT"].rules[0]


def test_a_line_that_stayed_is_not_read_again() -> None:
    before = Xtables(rows("-p tcp -j DROP", "-p udp -j DROP"))
    rule = first_rule(before)
    after = Xtables(rows("-p tcp -j DROP", "-p udp -j ACCEPT"), before)
    assert first_rule(after) is rule
    assert after.legacy()[0].chains["INPUT"].rules[1].statements[-1] == Verdict("accept")
    assert first_rule(Xtables(rows("-p tcp -j DROP"), after)) is rule


def test_a_line_is_read_again_when_what_it_names_came_or_went() -> None:
    before = Xtables(rows("-j own"))
    assert isinstance(first_rule(before).statements[0], Unknown)
    after = Xtables(rows("-j own", own="-A own -j DROP"), before)
    assert first_rule(after).statements == (Verdict("jump", "own"),)
    asked = rows("-m set --match-set x src -j DROP")
    without = Xtables(asked)
    assert isinstance(first_rule(without).statements[0], Maybe)
    ipset = {"ipset x": Row(what="ipset", document='{"type":"hash:ip","family":"inet","elements":["192.0.2.1"]}')}
    found = Xtables(asked | ipset, without)
    assert not isinstance(first_rule(found).statements[0], Maybe)
    kept = found.ipsets()
    assert Xtables(asked | ipset, found).ipsets() is kept


def test_a_network_for_a_network_follows_the_hooks_that_lead_to_it() -> None:
    def lines(hook: str) -> dict[str, Row]:
        return {
            "xtables legacy-ip nat own": Row(what="xtables", document="{}", text="-A own -j NETMAP --to 192.0.2.0/24"),
            **{
                f"xtables legacy-ip nat {each}": Row(
                    what="xtables", document='{"policy":"ACCEPT"}', text=f"-A {each} -j own" if each == hook else ""
                )
                for each in ("PREROUTING", "POSTROUTING")
            },
        }

    before = Xtables(lines("PREROUTING"))
    (first,) = before.legacy()[0].chains["own"].rules[0].statements
    (then,) = Xtables(lines("POSTROUTING"), before).legacy()[0].chains["own"].rules[0].statements
    assert isinstance(first, Nat) and isinstance(then, Nat)
    assert (first.kind, then.kind) == ("dnat", "snat")


def test_what_is_taken_both_ways_is_asked_last() -> None:
    kinds = [type(statement) for statement in one("-m limit --limit 3/min -m mark --mark 0x1 -j DROP").statements]
    assert kinds[-2:] == [Maybe, Verdict]


def test_every_match_that_reads_options_is_in_the_table_of_options() -> None:
    assert {"dport", "ctstate", "match-set", "limit"} - ONES == {"match-set"}
    assert set(MATCHES) >= {"tcp", "conntrack", "set", "limit", "recent"}


def test_rules_that_nft_put_into_a_table_of_iptables_count_as_nft_states_them(bench: Bench) -> None:
    lines = ["filter -A INPUT -p tcp -m tcp --dport 53 -m addrtype --dst-type LOCAL -j DROP"]
    bench.load(("iptables-nft-restore", script(lines)))
    bench.world.run("host", "nft", "insert rule ip filter INPUT tcp dport { 22, 80 } drop")
    picture = bench.judge(shots(senders=("internet",), ports=(22, 53, 80, 443)))
    picture.assert_agreed()
    verdicts = {port: picture.of("internet", "tcp", port) for port in (22, 53, 80, 443)}
    assert verdicts == {22: Outcome.BLOCKED, 53: Outcome.BLOCKED, 80: Outcome.BLOCKED, 443: Outcome.REACHABLE}


def test_both_back_ends_stand_beside_each_other(bench: Bench) -> None:
    bench.load(
        ("iptables-nft-restore", script(["filter -A INPUT -p tcp -m tcp --dport 22 -j DROP"])),
        ("iptables-legacy-restore", script(["filter -A INPUT -p tcp -m tcp --dport 80 -j DROP"])),
    )
    picture = bench.judge(shots(senders=("internet",), ports=(22, 80, 443)))
    picture.assert_agreed()
    assert [picture.of("internet", "tcp", port) for port in (22, 80, 443)] == [
        Outcome.BLOCKED,
        Outcome.BLOCKED,
        Outcome.REACHABLE,
    ]


@given(st.lists(st.text(max_size=80), max_size=6), st.text(max_size=30))
@settings(max_examples=200, deadline=None)
def test_any_lines_are_read_or_named(lines: list[str], name: str) -> None:
    found = rows(*lines) | {
        f"xtables legacy-ip6 filter {name}": Row(what="xtables", document="{}", text="\n".join(lines))
    }
    tables = Xtables(found).legacy()
    assert all(
        rule.statements is not None for table in tables for chain in table.chains.values() for rule in chain.rules
    )
