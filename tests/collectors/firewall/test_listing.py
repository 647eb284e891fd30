"""Everything the real nft prints of random rulesets parses, and what was parsed loads again to the same."""

import subprocess
import uuid
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from collectors.firewall.listing import parse
from contracts.errors import Malformed

PORT = st.integers(1, 65535).map(str)
ADDRESS = st.tuples(*[st.integers(1, 254)] * 4).map(lambda octets: ".".join(map(str, octets)))
MATCH = st.one_of(
    PORT.map(lambda port: f"tcp dport {port}"),
    st.lists(PORT, min_size=1, max_size=30, unique=True).map(lambda ports: f"udp dport {{ {', '.join(ports)} }}"),
    st.tuples(PORT, PORT).map(lambda pair: f"tcp sport {min(pair, key=int)}-{max(pair, key=int)}"),
    ADDRESS.map(lambda address: f"ip saddr {address}"),
    ADDRESS.map(lambda address: f"ip daddr != {address.rsplit('.', 1)[0]}.0/24"),
    st.sampled_from(
        [
            "ct state established,related",
            "ct state vmap { established : accept, invalid : drop }",
            'iifname "eth0"',
            "meta l4proto icmp",
            "icmp type echo-request",
            "icmpv6 type { nd-neighbor-solicit, nd-router-advert }",
            "ip6 saddr fe80::/10",
            "meta mark & 0xff == 0x10",
            "tcp flags & (fin | syn | rst | ack) == syn",
            "limit rate over 10/second burst 20 packets",
            "fib saddr type local",
            "ip saddr @office",
            "meta skuid 0",
            "ether saddr 02:00:00:00:00:01",
            "ip saddr . tcp dport { 192.0.2.1 . 22, 192.0.2.2 . 80 }",
            "add @seen { ip saddr timeout 5m }",
            "counter",
            'log prefix "x: " level warn',
        ]
    ),
)
VERDICT = st.sampled_from(
    [
        "accept",
        "drop",
        "reject",
        "reject with tcp reset",
        "jump other",
        "goto other",
        "return",
        "continue",
    ]
)
WORDS = st.text("abc xyz#{};/-_.:=äö'\\", min_size=1, max_size=20)
COMMENT = st.one_of(st.just(""), WORDS.map(lambda words: f' comment "{words}"'))


def _rule(matches: list[str], verdict: str, comment: str) -> str:
    if verdict == "reject with tcp reset":
        matches = ["meta l4proto tcp", *matches]
    return " ".join([*matches, verdict]) + comment


RULE = st.builds(_rule, st.lists(MATCH, max_size=3), VERDICT, COMMENT)


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    name = f"hf-list-{uuid.uuid4().hex[:10]}"
    subprocess.run(("ip", "netns", "add", name), check=True)
    yield name
    subprocess.run(("ip", "netns", "del", name), check=True)


def _nft(namespace: str, *arguments: str, stdin: str = "") -> str:
    argv = ("nsenter", f"--net=/run/netns/{namespace}", "nft", *arguments)
    done = subprocess.run(argv, input=stdin.encode(), capture_output=True, check=False)
    assume(b"conflicting protocols" not in done.stderr)
    assert done.returncode == 0, done.stderr.decode() + stdin
    return done.stdout.decode()


def _program(rules: list[str]) -> str:
    sets = "set office { type ipv4_addr; }\nset seen { type ipv4_addr; flags dynamic,timeout; }\n"
    lines = "\n".join(rules)
    return (
        f"flush ruleset\ntable inet filter {{\n{sets}chain other {{ }}\n"
        f"chain input {{ type filter hook input priority -7; policy drop;\n{lines}\n}}\n}}\n"
    )


@given(st.lists(RULE, max_size=6))
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
def test_whatever_nft_prints_parses_and_loads_again(namespace: str, rules: list[str]) -> None:
    _nft(namespace, "-f", "-", stdin=_program(rules))
    listing = _nft(namespace, "-s", "-t", "-y", "list", "ruleset")
    for quoted in (False, True):
        (table,) = parse(listing, quoted)
        chains = {chain.name: chain for chain in table.chains}
        assert len(chains["input"].rules) == len(rules)
        assert (chains["input"].hook, chains["input"].priority, chains["input"].policy) == ("input", -7, "drop")
        assert {part.name: part.fleeting for part in table.parts} == {"office": False, "seen": True}
    _nft(namespace, "-f", "-", stdin=_program(chains["input"].rules))
    assert _nft(namespace, "-s", "-t", "-y", "list", "ruleset") == listing


@given(st.text(st.sampled_from('table inet x{}\n\t"chain rule;#'), max_size=80), st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_text_parses_or_is_malformed(text: str, quoted: bool) -> None:
    try:
        parse(text, quoted)
    except Malformed:
        pass


def test_a_listing_that_breaks_off_is_malformed() -> None:
    with pytest.raises(Malformed):
        parse("table inet filter {\n\tchain input {\n\t\taccept\n")


def test_all_parts_of_a_table_are_told_apart() -> None:
    listing = """table inet u {
	comment "mine"
	flags dormant

	counter cc {
		packets 5 bytes 6
	}

	quota qq {
		over 10 mbytes used 3 bytes
	}

	ct helper ftp {
		type "ftp" protocol tcp
	}

	set ban {
		type ipv4_addr
		size 65535 # count 12
		flags dynamic,timeout
	}

	map vm {
		type inet_service : verdict
	}

	flowtable ft {
		hook ingress priority 0
		devices = { lo }
	}

	chain in {
		comment "the way in"
		type filter hook ingress device "lo" priority -5; policy accept;
		last used 5s accept
		last used never drop
	}
}
table ip empty {
}
"""
    table, empty = parse(listing)
    assert table.dormant
    assert not empty.chains
    assert [(part.sort, part.name) for part in table.parts] == [
        ("counter", "cc"),
        ("quota", "qq"),
        ("ct helper", "ftp"),
        ("set", "ban"),
        ("map", "vm"),
        ("flowtable", "ft"),
    ]
    assert table.parts[0].definition == ()
    assert table.parts[1].definition == ("over 10 mbytes",)
    assert table.parts[3].definition[1] == "size 65535"
    (chain,) = table.chains
    assert (chain.device, chain.priority) == ("lo", -5)
    assert chain.rules[0].endswith("accept")
    assert "5s" not in chain.rules[0]
