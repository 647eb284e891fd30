"""Lists of values from files: what they hold, what is wrong with them, and rules that ask them from end to end."""

import base64
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.traffic.reading import Reading, ReadOptions
from collectors.traffic.rules.checking import check, compiled
from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.ruleset import Loader, Ruleset
from collectors.traffic.rules.lists import Lists, entries, handed_over, lookups, value_of, written
from contracts.collector import Piece
from tests.collectors.traffic.rules.engine import scene

BAD, GOOD = "bad.example", "good.example"


def _loaded(text: str, content: bytes) -> Ruleset:
    loader = Loader()
    loader.read(text.encode(), "a.rules")
    assert loader.ruleset.refused == []
    return compiled(loader.ruleset, lambda file, name: content)


def _reason(options: str, content: bytes) -> str:
    ruleset = _loaded(f"alert dns any any -> any any (dns.query; {options}; sid:1;)\n", content)
    assert ruleset.rules == []
    return ruleset.refused[0].reason


def _spoken(folder: Path, *rules: str) -> set[int]:
    """Return the sids that speak when a client asks the web server of each name."""
    path = folder / "a.rules"
    path.write_text("".join(f"{rule[:-1]} sid:{sid};)\n" for sid, rule in enumerate(rules, start=1)))
    ruleset = check([path])
    assert ruleset.refused == []
    talk = scene.Talk().ask(scene.request("/", BAD)).answer(scene.response(b"x"))
    reading = Reading(scene.capture(talk.close().packets), ruleset.rules, ReadOptions())
    return {alert.rule.sid for alert in reading.alerts()}


def test_a_list_beside_its_rule_is_asked(tmp_path: Path) -> None:
    (tmp_path / "bad.lst").write_bytes(base64.b64encode(BAD.encode()) + b"\r\n\n")
    (tmp_path / "good.lst").write_bytes(base64.b64encode(GOOD.encode()))
    head = "alert http any any -> any any (http.host; dataset:"
    assert _spoken(
        tmp_path,
        head + "isset,bad,type string,load bad.lst;)",
        head + "isnotset,bad;)",
        head + "isset,good,type string,load good.lst;)",
        head + "isnotset,good,type string;)",
        head + "unset,bad;)",
        head + "set,good;)",
    ) == {1, 4, 5, 6}


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_digests_are_asked_by_way_of_a_transform(tmp_path: Path, kind: str) -> None:
    (tmp_path / "d.lst").write_text(hashlib.new(kind, BAD.encode()).hexdigest().upper())
    rule = f"alert http any any -> any any (http.host; to_{kind}; dataset:is%sset,d,type {kind},load d.lst;)"
    assert _spoken(tmp_path, rule % "", rule % "not") == {1}


def test_a_reputation_is_compared(tmp_path: Path) -> None:
    (tmp_path / "r.rep").write_bytes(base64.b64encode(BAD.encode()) + b",200\n")
    head = "alert http any any -> any any (http.host; datarep:rep,"
    tail = ",type string,load r.rep;)"
    assert _spoken(tmp_path, *(head + test + tail for test in (">,199", ">,200", "==,200", "<,201", "<,200"))) == {
        1,
        3,
        4,
    }


def test_what_is_wrong_with_a_list_refuses_its_rule_and_names_the_line() -> None:
    isset = "dataset:isset,x,load x.lst,type "
    assert 'x.lst: line 2: "%%": not base64' in _reason(isset + "string", b"YQ==\n%%\n")
    assert "line 1" in _reason(isset + "md5", b"abc\n") and "64 hexadecimal" in _reason(isset + "sha256", b"ab\n")
    assert "line 1" in _reason(isset + "md5", b"z" * 32)
    assert "line 1" in _reason(isset + "ip", b"10.0.0.300\n") and "IPv4" in _reason(isset + "ipv4", b"2001:db8::1\n")
    datarep = "datarep:x,>,5,load x.lst,type string"
    assert "no reputation" in _reason(datarep, b"YQ==\n") and "65535" in _reason(datarep, b"YQ==,65536\n")
    assert "memcap" in _reason(isset + "string,memcap 100", base64.b64encode(bytes(50)))
    assert "no type" in _reason("dataset:isset,x", b"") and "no list" in _reason("datarep:x,>,5,type string", b"")


def test_a_list_that_is_not_there_or_not_handed_over_refuses_its_rule(tmp_path: Path) -> None:
    path = tmp_path / "a.rules"
    path.write_text("alert dns any any -> any any (dns.query; dataset:isnotset,x,type string,load no.lst; sid:1;)\n")
    (refused,) = check([path]).refused
    assert (refused.line, refused.sid) == (1, 1) and "no.lst: no such file" in refused.reason
    loader = Loader()
    loader.read(path.read_bytes(), str(path))
    (refused,) = compiled(loader.ruleset, handed_over([])).refused
    assert f"no.lst: {tmp_path}/no.lst is not among the files of collectors.traffic.lists" in refused.reason


def test_lists_that_were_handed_over_are_found_by_where_their_rule_looks_for_them() -> None:
    rule = "alert dns any any -> any any (dns.query; dataset:isset,x,type string,load ../lists/x.lst; sid:1;)\n"
    pieces = [
        Piece(role="list", path="/etc/lists/x.lst", data=b"YQ==\n"),
        Piece(role="list", path="/etc/lists/y.lst", problem="permission denied"),
    ]

    def ruleset(text: str) -> Ruleset:
        loader = Loader()
        loader.read(text.encode(), "/etc/rules/a.rules")
        return compiled(loader.ruleset, handed_over(pieces))

    (match,) = lookups(ruleset(rule).rules[0])
    assert match.values == {b"a": 0}
    assert "y.lst: permission denied" in ruleset(rule.replace("x.lst", "y.lst")).refused[0].reason


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=8, unique=True), st.sampled_from(["string", "sha256", "ip"])
)
def test_a_set_that_is_written_is_read_as_it_was(values: list[bytes], kind: str) -> None:
    digests = {
        "string": lambda one: one,
        "sha256": lambda one: hashlib.sha256(one).digest(),
        "ip": lambda one: one[:1] * 4,
    }
    given_values = {digests[kind](one) for one in values}
    content = b"".join(written(kind, one) + b"\n" for one in given_values)
    assert {value for value, _ in entries(content, kind, rated=False)} == given_values


def test_a_set_kept_elsewhere_is_asked_only_where_a_rule_fills_it_or_its_file_is_there() -> None:
    ask = "alert dns any any -> any any (dns.query; dataset:isnotset,x,type string,state x.lst; sid:1;)\n"
    fill = "alert dns any any -> any any (dns.query; dataset:set,x,type string,state x.lst; sid:2;)\n"

    def ruleset(text: str) -> Ruleset:
        loader = Loader()
        loader.read(text.encode(), "a.rules")
        return compiled(loader.ruleset, handed_over([]))

    assert "no rule fills it" in ruleset(ask).refused[0].reason
    assert [rule.sid for rule in ruleset(ask + fill).rules] == [1, 2]
    (rule,) = _loaded(ask, b"YQ==").rules
    assert next(lookups(rule)).values == {b"a": 0}
    assert "base64" in _loaded(fill, b"%%").refused[0].reason, "a file that is there and is none"


@pytest.mark.parametrize("other", ["type md5", "type string,load y.lst", "type string,save y.lst"])
def test_one_name_is_one_set(other: str) -> None:
    rule = "alert dns any any -> any any (dns.query; dataset:isset,x,%s; sid:%d;)\n"
    ruleset = _loaded(rule % ("type string,load x.lst", 1) + rule % (other, 2), b"YQ==")
    assert [rule.sid for rule in ruleset.rules] == [1] and "by an earlier rule" in ruleset.refused[0].reason


@given(st.binary(max_size=40), st.sampled_from(["string", "md5", "sha256", "ip", "ipv4"]), st.booleans())
def test_any_content_is_read_or_refused(content: bytes, kind: str, rated: bool) -> None:
    loader = Loader()
    test = "datarep:x,>,5" if rated else "dataset:isset,x"
    loader.read(f"alert dns any any -> any any (dns.query; {test},type {kind},load x; sid:1;)".encode(), "a.rules")
    try:
        Lists(lambda file, name: content).resolve(loader.ruleset.rules[0])
    except Refused as refused:
        assert "line" in str(refused)


def test_an_address_of_version_4_is_one_value_however_it_is_written() -> None:
    four = bytes([10, 0, 0, 1])
    assert (
        value_of("ip", four) == value_of("ip", b"10.0.0.1") == value_of("ip", b"\0" * 10 + b"\xff\xff" + four) == four
    )
    assert value_of("ipv4", b"\x20" + bytes(15)) is None and value_of("ip", b"\x20" + bytes(15)) == b"\x20" + bytes(15)
