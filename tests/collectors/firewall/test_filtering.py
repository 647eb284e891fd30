"""What becomes of a packet that no rule names, for rulesets in nft's words."""

import pytest

from collectors.firewall.filtering import level, policy
from collectors.firewall.listing import parse
from collectors.firewall.ruleset import IPTABLES_NFT, Chain, Table


def _tables(*rules: str, policy: str = "accept", family: str = "inet", flags: str = "", rest: str = "") -> list[Table]:
    body = "".join(f"\t\t{rule}\n" for rule in rules)
    head = f"\tflags {flags}\n\n" if flags else ""
    base = f"\t\ttype filter hook input priority 0; policy {policy};\n"
    return parse(f"table {family} t {{\n{head}\tchain input {{\n{base}{body}\t}}\n{rest}}}\n")


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ([], "open"),
        (_tables(), "open"),
        (_tables(policy="drop"), "closed"),
        (_tables("accept", policy="drop"), "open"),
        (_tables("tcp dport 22 accept", policy="drop"), "closed"),
        (_tables("tcp dport 22 drop"), "partial"),
        (_tables("tcp dport 22 accept", "drop"), "closed"),
        (_tables('counter log prefix "drop " reject with icmpx admin-prohibited'), "closed"),
        (_tables('counter log prefix "drop "'), "open"),
        (_tables("meta nfproto ipv6 accept", "drop"), "closed"),
        (_tables("return", policy="drop"), "closed"),
        (_tables(policy="drop", flags="dormant"), "open"),
        (_tables("jump all", rest="\n\tchain all {\n\t\ticmp type echo-request accept\n\t\tdrop\n\t}\n"), "closed"),
        (_tables('iifname "eth0" jump all', rest="\n\tchain all {\n\t\tdrop\n\t}\n"), "partial"),
        (_tables("jump f2b-sshd", rest="\n\tchain f2b-sshd {\n\t\tip saddr 192.0.2.1 reject\n\t}\n"), "open"),
        (_tables("tcp dport vmap { 22 : accept, 23 : drop }"), "partial"),
        (_tables("jump a", rest="\n\tchain a {\n\t\tjump a\n\t}\n"), "open"),
        (_tables(policy="drop", family="ip6"), "open"),
    ],
)
def test_level_for_ipv4(tables: list[Table], expected: str) -> None:
    assert level(tables, 4) == expected


def test_the_families_are_told_apart() -> None:
    tables = _tables("meta nfproto ipv6 accept", "drop")
    assert (level(tables, 4), level(tables, 6)) == ("closed", "open")


def test_iptables_words_are_understood() -> None:
    rules = [
        "-p tcp -m tcp --dport 22 -j ACCEPT",
        '-m comment --comment "the \\"rest\\"" -j REJECT --reject-with icmp-port-unreachable',
    ]
    chain = Chain("INPUT", rules, type="filter", hook="input", priority=0, policy="accept")
    assert level([Table("ip", "filter", IPTABLES_NFT, chains=[chain])], 4) == "closed"


def test_the_strictest_policy_counts() -> None:
    assert policy([*_tables(), *_tables(policy="drop")], 4) == "drop"
    assert policy(_tables(), 6) == "accept"
    assert policy([], 4) == "none"
