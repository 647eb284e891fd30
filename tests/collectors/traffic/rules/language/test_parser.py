"""One rule's text becomes the rule it says, or is refused with the reason."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.keywords import KEYWORDS
from collectors.traffic.rules.language.parser import Parser
from collectors.traffic.rules.language.rule import Bsize, Content, FlowBits, Number, Pcre, Rule

PARSER = Parser()


def rule(options: str, header: str = "alert http any any -> any any") -> Rule:
    return PARSER.rule(f"{header} ({options} sid:1;)")


def test_a_rule_of_the_open_ruleset_is_read_whole() -> None:
    found = PARSER.rule(
        'alert http $HOME_NET any -> $EXTERNAL_NET 80 (msg:"ET \\"X\\" \\; Y"; flow:established,to_server; http.method; content:"POST"; '
        'http.uri; content:"/a|3a 20|b"; nocase; startswith; fast_pattern; content:!"c"; distance:1; within:9; pcre:"/x\\/y/Ri"; bsize:>4; '
        "flowbits:set,a.b; flowbits:noalert; reference:url,example.org/x; reference:cve,2020-1; classtype:trojan-activity; "
        "sid:2000001; rev:7; "
        "metadata:created_at 2020_01_01, tag Phish; target:dest_ip;)"
    )
    assert (found.msg, found.sid, found.rev, found.classtype) == ('ET "X" ; Y', 2000001, 7, "trojan-activity")
    assert (found.app_protocol, found.target, found.noalert) == ("http", "dest_ip", True)
    assert found.references == (("url", "example.org/x"), ("cve", "2020-1"))
    assert found.metadata == (("created_at", "2020_01_01"), ("tag", "Phish"))
    assert found.flow is not None and (found.flow.state, found.flow.direction) == ("established", "to_server")
    method, uri = found.buffers
    assert (method.buffer, method.direction) == ("http.method", "to_server")
    first, second, third, fourth = uri.matches
    assert first == Content(
        b"/a: b", nocase=True, offset=0, depth=5, startswith=True, fast_pattern=True, next_relative=True
    )
    assert second == Content(b"c", negated=True, distance=1, within=9, next_relative=True)
    assert third == Pcre(rb"x\/y", "i", relative=True)
    assert fourth == Bsize(Number(">", 4))
    assert found.state == [FlowBits("set", ("a.b",))]
    assert found.destination_ports.ranges == ((80, 80),)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("distance:1;", "no content"),
        ('content:"a"; depth:1; distance:1;', "cannot have both"),
        ('content:"ab"; depth:1;', "less than"),
        ('content:"a"; startswith; offset:1;', "startswith"),
        ('content:"";', "empty"),
        ('content:"|0|";', "hexadecimal"),
        ('content:"a|00";', "missing"),
        ('content:"a"b";', "without a backslash"),
        ("content:abc;", "double quotes"),
        ('content:"abc;', "not closed"),
        ("http.uri;", "nothing is tested"),
        ('http.uri; pkt_data; content:"a";', "nothing is tested"),
        ("sid:2;", "twice"),
        ('http.uri; content:"a"; http_header;', "sticky"),
        ('content:"a"; http_uri; dsize:5;', "dsize"),
        ("flow:established,not_established;", "stands with"),
        ("flow:to_server,to_client;", "stands with"),
        ("flowbits:isset,a; flowbits:isnotset,a;", "exclude"),
        ("flowbits:set,a b;", "not a name"),
        ('flow:to_client; http.uri; content:"a";', "other side"),
        ('http.uri; content:"a"; http.stat_code; content:"200";', "both sides"),
        ('dns.query; content:"a";', "is for dns"),
        ('pcre:"/a/R";', "follows another match"),
        ('pcre:"/a/QU";', "both"),
        ('pcre:"a";', "begin with /"),
        ('content:"a"; fast_pattern:only; content:"b"; distance:0;', "fast_pattern:only"),
        ('content:"a"; fast_pattern:1,5;', "goes beyond"),
        ('content:"a"; fast_pattern; content:"b"; fast_pattern;', "twice"),
        ('content:!"a"; offset:1; fast_pattern;', "negated"),
        ("bogus;", "not a keyword"),
        ("nocase:1;", "no argument"),
        ("content;", "missing"),
        ('sid:"5";', "quotes"),
        ("threshold:type limit, track by_src, count 1;", "seconds"),
        ("threshold:type limit, track by_src, count 0, seconds 1;", "between"),
        ("priority:x;", "not a number"),
        ("lua:x.lua;", "no scripts"),
        ("geoip:src,RU;", "database"),
        ("requires:version >= 9;", "does not hold"),
        ("requires:keyword nonsense;", "not known"),
        ("requires:feature geoip;", "not there"),
        ('http.host; content:"Example";', "lower case"),
        ("http.uri; bsize:3; absent;", "directly behind"),
        ('http.uri; content:"abcd"; bsize:3;', "no room"),
        ("byte_test:9,=,1,0;", "9 bytes"),
        ("byte_test:1,=,n,0;", "not extracted"),
        ("byte_jump:1,0,from_end,from_beginning;", "exclude"),
        ("dsize:5<>5;", "between"),
        ("dsize:1; dsize:2;", "twice"),
        ('http.uri; content:"a"; to_md5; content:"b"; to_sha1;', "directly behind"),
        ('base64_data; content:"a";', "base64_decode"),
        ("app-layer-event:nothing.x;", "no protocol"),
        ("dataset:isset,a,type string;", "sticky"),
    ],
)
def test_what_suricata_refuses_is_refused_with_the_reason(options: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        rule(options)


def test_a_rule_without_sid_end_or_options_is_refused() -> None:
    for text in (
        "alert tcp any any -> any any",
        "alert tcp any any -> any any ()",
        "alert tcp any any -> any any (sid:1)",
        "alert tcp any any -> any (sid:1;)",
        "accept tcp any any -> any any (sid:1;)",
        "alert nothing any any -> any any (sid:1;)",
        "alert tcp any any >> any any (sid:1;)",
    ):
        with pytest.raises(Refused):
            PARSER.rule(text)


def test_requirements_that_hold_do_not_hinder() -> None:
    rule("requires:version >= 7.0.4 < 8, version >= 8, keyword http.uri;".replace("version >= 7.0.4 < 8, ", ""))
    rule("requires:version >= 7.0.4 < 8 | >= 8.0.3;")


def test_rules_travel_as_they_are() -> None:
    found = rule(
        'http.uri; content:"a"; byte_test:1,>,2,0; pcre:"/a/"; flowbits:isset,a|b; ttl:>5; '
        "threshold:type both, track by_src, count 1, seconds 2;"
    )
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=Rule) == found


@given(
    st.lists(st.sampled_from(sorted(KEYWORDS)), max_size=6),
    st.lists(st.text(st.characters(codec="latin-1"), max_size=12), max_size=6),
)
def test_no_words_raise_anything_but_refused(names: list[str], arguments: list[str]) -> None:
    options = "".join(
        f"{name}:{argument};" if argument else f"{name};"
        for name, argument in zip(names, [*arguments, *[""] * 6], strict=False)
    )
    try:
        rule(options)
    except Refused as refused:
        assert str(refused)


@given(st.text(max_size=80))
def test_no_line_raises_anything_but_refused(text: str) -> None:
    try:
        PARSER.rule(text.encode("latin-1", "ignore").decode("latin-1"))
    except Refused as refused:
        assert str(refused)


@pytest.mark.parametrize(
    ("options", "header", "reason"),
    [
        (
            'tls.sni; content:"a";',
            "alert tls:client_hello any any -> any any",
            "a hook of tls; they are .*client_hello_done",
        ),
        ("dns.rrtype:A,AAAA;", "alert dns any any -> any any", '"A,AAAA" is a list'),
        (
            'http.uri; xor:"offset 4,0a0b"; content:"a";',
            "alert http any any -> any any",
            "of versions after Suricata 8",
        ),
        (
            "flags:S; detection_filter:track by_dst, count 10, seconds 60, unique_on dst_port;",
            "alert tcp any any -> any any",
            "unique_on came after Suricata 8",
        ),
    ],
)
def test_what_is_not_understood_is_refused_with_its_reason(options: str, header: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        rule(options, header)
