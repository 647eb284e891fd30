"""Lists of reputation: their formats, the addresses that a test means, and rules that ask them from end to end."""

from ipaddress import ip_address, ip_network
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.traffic.reading import Reading, ReadOptions
from collectors.traffic.rules.checking import check
from collectors.traffic.rules.engine.prepared import Prepared, prepare
from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.rule import IpRep, Rule
from collectors.traffic.rules.reputation import MOST_NOTES, Reputation
from tests.collectors.traffic.rules.engine import scene

CATEGORIES = b"1,CnC,servers that give orders\n# comment\n\n2,Good_Ones,known to be good\n"


def listed(test: str, scores: bytes) -> set[tuple[int, int, int]]:
    """Return the ranges, with the version of IP, of a test `side,category,op[,value]`."""
    reputation = Reputation()
    reputation.categories(CATEGORIES, "c")
    reputation.scores(scores, "s")
    assert reputation.notes == []
    (rule,) = read(f"alert ip any any -> any any (iprep:{test}; sid:1;)\n")
    reputation.resolve(rule)
    (found,) = rule.tests
    assert isinstance(found, IpRep) and found.listed is not None and not found.listed.any
    return {(4, *one) for one in found.listed.v4} | {(6, *one) for one in found.listed.v6}


def read(text: str) -> list[Rule]:
    from collectors.traffic.rules.language.ruleset import Loader

    loader = Loader()
    loader.read(text.encode(), "a.rules")
    assert loader.ruleset.refused == []
    return loader.ruleset.rules


def ends(network: str) -> tuple[int, int, int]:
    found = ip_network(network)
    return found.version, int(found.network_address), int(found.broadcast_address)


def test_an_address_counts_before_its_networks_and_a_narrow_network_before_a_wide_one() -> None:
    scores = b"ip,category,score\n10.0.0.0/8,1,10\n10.1.0.0/16,1,90\n10.1.2.3,1,5\n10.1.2.4,2,99\n2001:db8::/32,1,50\n"
    assert listed("src,CnC,>,80", scores) == {
        (4, int(ip_address("10.1.0.0")), int(ip_address("10.1.2.2"))),
        (4, int(ip_address("10.1.2.4")), int(ip_address("10.1.255.255"))),
    }
    assert listed("src,CnC,=,5", scores) == {ends("10.1.2.3/32")}
    assert listed("src,CnC,isset", scores) == {ends("10.0.0.0/8"), ends("2001:db8::/32")}
    assert listed("src,CnC,isnotset", scores) == listed("src,CnC,>=,0", scores)
    assert listed("src,Good_Ones,<=,99", scores) == {ends("10.1.2.4/32")}
    assert listed("src,Good_Ones,>,99", scores) == set()


@given(
    st.lists(
        st.tuples(st.integers(0, 255), st.sampled_from([24, 25, 28, 30, 31, 32, None]), st.integers(0, 127)),
        max_size=20,
    ),
    st.sampled_from([("=", "__eq__"), (">", "__gt__"), ("<=", "__le__")]),
    st.integers(0, 127),
)
def test_ranges_are_what_looking_through_the_lines_says(
    lines: list[tuple[int, int | None, int]], op: tuple[str, str], value: int
) -> None:
    text, hosts, networks = "", dict[int, int](), dict[tuple[int, int], int]()
    for last, prefix, score in lines:
        if prefix is None:
            text += f"192.0.2.{last},1,{score}\n"
            hosts[last] = score
        else:
            low = last & ~((1 << (32 - prefix)) - 1)
            text += f"192.0.2.{low}/{prefix},1,{score}\n"
            networks.setdefault((prefix, low), score)
    found = listed(f"dst,CnC,{op[0]},{value}", text.encode())
    base = int(ip_address("192.0.2.0"))
    for last in range(256):
        inside = [(prefix, s) for (prefix, low), s in networks.items() if low <= last < low + (1 << (32 - prefix))]
        score = hosts.get(last, max(inside)[1] if inside else None)
        wanted = score is not None and getattr(score, op[1])(value)
        assert any(low <= base + last <= high for _, low, high in found) == wanted, last


def test_lines_that_are_not_as_the_format_has_them_are_named_and_the_others_count() -> None:
    reputation = Reputation()
    reputation.categories(b"0,None,x\n60,Sixty,x\nx\n1,CnC,good\n", "c.txt")
    reputation.scores(
        b"10.0.0.1,1\n10.0.0.2,1,128\n10.0.0.3,x,1\nnowhere,1,1\n10.0.0.300/8,1,1\n10.0.0.9,1,9\n", "s.list"
    )
    assert [note.partition(": ")[0] for note in reputation.notes] == [
        *("c.txt:1", "c.txt:2", "c.txt:3"),
        *(f"s.list:{number}" for number in range(1, 6)),
    ]
    (rule,) = read("alert ip any any -> any any (iprep:src,CnC,=,9; sid:1;)\n")
    reputation.resolve(rule)
    assert rule.tests[0].listed.v4 == ((0x0A000009, 0x0A000009),)  # type: ignore[union-attr]
    many = Reputation()
    many.scores(b"bad\n" * (MOST_NOTES + 5), "s")
    assert len(many.notes) == MOST_NOTES + 1 and "5 more lines" in many.notes[-1]


def test_lists_that_are_too_long_and_categories_that_nobody_names_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    (rule,) = read("alert ip any any -> any any (iprep:src,Else,=,9; sid:1;)\n")
    reputation = Reputation()
    with pytest.raises(Refused, match=r"no file of categories names Else$"):
        reputation.resolve(rule)
    reputation.categories(CATEGORIES, "c")
    with pytest.raises(Refused, match="no file of categories names Else; known are CnC, Good_Ones"):
        reputation.resolve(rule)
    monkeypatch.setattr("collectors.traffic.rules.reputation.MOST", 2)
    with pytest.raises(ValueError, match="line 3: more than 2 addresses and networks"):
        reputation.scores(b"10.0.0.1,1,1\n10.0.0.0/8,1,1\n10.0.0.3,1,1\n", "s")


RULES = {
    "alert ip any any -> any any (iprep:src,CnC,>,30;": {1},
    "alert ip any any -> any any (iprep:dst,CnC,>,30;": {2},
    "alert ip any any -> any any (iprep:any,CnC,>,30;": {1, 2},
    "alert ip any any -> any any (iprep:both,CnC,>,30;": set(),
    "alert ip any any -> any any (iprep:both,CnC,isnotset;": {3},
    "alert ip any any -> any any (iprep:src,CnC,isnotset;": {2, 3},
    "alert ip any any -> any any (iprep:any,CnC,isnotset;": {1, 2, 3},
    "alert udp any any -> any any (iprep:src,CnC,isset; content:|22|word|22|;": {1},
    "alert udp any any -> any any (iprep:any,CnC,>,30; dsize:4;": {1, 2},
    "alert udp any any <> any 9999 (iprep:src,CnC,>,30; dsize:4;": {1},
    "alert udp 10.0.0.0/30 any -> any any (iprep:src,CnC,>,30; dsize:4;": set(),
    "alert udp any any -> any any (iprep:src,CnC,>,40; iprep:dst,Good_Ones,isset; dsize:4;": {1},
    "alert udp any any -> any any (iprep:dst,CnC,>,30; flow:to_client;": {2},
}


@pytest.mark.parametrize("travelled", [False, True])
def test_rules_ask_the_lists_for_both_ends_of_a_packet(tmp_path: Path, travelled: bool) -> None:
    (tmp_path / "categories.txt").write_bytes(CATEGORIES)
    (tmp_path / "reputation.list").write_text("10.9.0.0/16,1,50\n10.0.0.2,2,1\n")
    text = "".join(f"{rule.replace('|22|', chr(34))} sid:{sid};)\n" for sid, rule in enumerate(RULES, start=1))
    (tmp_path / "a.rules").write_text(text)
    found = check([tmp_path / "a.rules"], None, None, tmp_path / "categories.txt", [tmp_path / "reputation.list"])
    assert found.refused == []
    prepared = prepare(found.rules)
    if travelled:
        prepared = msgspec.msgpack.decode(msgspec.msgpack.encode(prepared), type=Prepared)
    bad = scene.udp(b"word", source="10.9.1.1")
    answer = scene.udp_back(b"back")
    packets = [bad, _back("10.9.1.1"), scene.udp(b"fine", source="10.0.0.9"), answer]
    reading = Reading(scene.capture(packets), prepared, ReadOptions())
    spoken: dict[int, set[int]] = {}
    for alert in reading.alerts():
        number = {b"word": 1, b"retu": 2, b"fine": 3, b"back": 4}[alert.packet.payload[:4]]
        spoken.setdefault(alert.rule.sid, set()).add(number)
    for sid, (rule, wanted) in enumerate(RULES.items(), start=1):
        assert spoken.get(sid, set()) - {4} == wanted, rule


def _back(to: str) -> bytes:
    from scapy.layers.inet import IP, UDP

    from tests.collectors.traffic.oracle import ether

    return bytes(ether() / IP(src=scene.SERVER, dst=to) / UDP(sport=9999, dport=40_000) / b"retu")
