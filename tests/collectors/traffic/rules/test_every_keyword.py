"""Keyword by keyword, as Suricata's manual has it: a small rule speaks on what is as it asks, and is silent on what is not."""

import hashlib
import struct
from base64 import b64encode
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_RR
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

from tests.collectors.traffic.oracle import ether
from tests.collectors.traffic.rules.engine.scene import SECOND, START, Talk, counts, request, response, udp, udp_back

BYTES: list[tuple[bytes, str, int]] = [
    (b"aBc", 'content:"ABC"; nocase', 1),
    (b"aBc", 'content:"ABC"', 0),
    (b"a\0\xffb", 'content:"a|00 FF|b"', 1),
    (b"..needle", 'content:"needle"; offset:2; depth:6', 1),
    (b"..needle", 'content:"needle"; depth:7', 0),
    (b"ab..cd", 'content:"ab"; content:"cd"; distance:2', 1),
    (b"ab..cd", 'content:"ab"; content:"cd"; distance:3', 0),
    (b"ab..cd", 'content:"ab"; content:"cd"; within:4', 1),
    (b"ab...cd", 'content:"ab"; content:"cd"; within:4', 0),
    (b"abxxxxcd", 'content:"ab"; content:!"cd"; within:4', 1),
    (b"cdab", 'content:"ab"; content:"cd"; distance:-4; within:2', 1),
    (b"abc", 'content:"bc"; endswith', 1),
    (b"abcd", 'content:"bc"; endswith', 0),
    (b"abcd", 'content:"bc"; startswith', 0),
    (b"XX\0\0\3\xe8", 'content:"XX"; byte_test:4,>,999,0,relative', 1),
    (b"XX\0\0\3\xe8", "byte_test:4,!=,1000,2", 0),
    (b"XX\xe8\3\0\0", 'content:"XX"; byte_test:4,=,1000,0,relative,little', 1),
    (b"len=123;", 'content:"len="; byte_test:3,=,123,0,relative,string,dec', 1),
    (b"len=7b;", 'content:"len="; byte_test:2,=,123,0,relative,string,hex', 1),
    (b"len=173;", 'content:"len="; byte_test:3,=,123,0,relative,string,oct', 1),
    (b"X\x81", 'content:"X"; byte_test:1,&,0x80,0,relative', 1),
    (b"X\xf0", 'content:"X"; byte_test:1,=,15,0,relative,bitmask 0xf0', 1),
    (b"XX\0", 'content:"XX"; byte_test:4,>=,0,0,relative', 0),
    (b"\0\3abcdef", 'byte_jump:2,0; content:"def"; within:3', 1),
    (b"\2abcdef", 'byte_jump:1,0,multiplier 2; content:"ef"; within:2', 1),
    (b"\3abcdef", 'content:"a"; byte_jump:1,0,from_beginning; content:"c"; within:1', 1),
    (b"\0abcdef", 'byte_jump:1,0,from_end,post_offset -2; content:"ef"; within:2', 1),
    (b"\1abcdef", 'byte_jump:1,0,post_offset 1; content:"c"; within:1', 1),
    (b"\3abcdef", 'byte_extract:1,0,n; content:"c"; offset:n', 1),
    (b"\3abcdef", 'byte_extract:1,0,n; content:"def"; depth:n', 0),
    (b"\2ab", "byte_extract:1,0,n; isdataat:n", 1),
    (b"\3ab", "byte_extract:1,0,n; isdataat:n", 0),
    (b"\2\6", "byte_math:bytes 1, offset 0, oper *, rvalue 3, result r; byte_test:1,=,r,1", 1),
    (b"\2\7", "byte_math:bytes 1, offset 0, oper *, rvalue 3, result r; byte_test:1,=,r,1", 0),
    (b"\1\x08", "byte_math:bytes 1, offset 0, oper <<, rvalue 3, result r; byte_test:1,=,r,1", 1),
    (b"12,\x18", "byte_math:bytes 2, offset 0, oper *, rvalue 2, result r, string dec; byte_test:1,=,r,3", 1),
    (b"\1\0\2", "byte_math:bytes 2, offset 0, oper +, rvalue 1, result r, endian little; byte_test:1,=,r,2", 1),
    (b"abcd", 'content:"cd"; isdataat:!1,relative', 1),
    (b"abcd", "dsize:3<>5", 1),
    (b"abcd", "dsize:!4", 0),
    (b"GET /abc1", 'pcre:"/ABC\\d$/i"', 1),
    (b"GET /abc1", 'content:"GET"; pcre:"/^ \\/abc/R"', 1),
    (b"GET /abc1", 'pcre:"/^abc/m"', 0),
    (b"x=" + b64encode(b"hello world"), 'content:"x="; base64_decode:relative; base64_data; content:"hello world"', 1),
    (b"x=" + b64encode(b"hello world"), 'base64_decode:bytes 4,offset 2; base64_data; content:"hello"', 0),
    (b"x", 'ip.src; content:"|0a 00 00 01|"; bsize:4', 1),
    (b"x", 'ip.dst; content:"|0a 00 00 01|"', 0),
]


@pytest.mark.parametrize(("payload", "body", "wanted"), BYTES)
def test_of_one_payload(payload: bytes, body: str, wanted: int) -> None:
    assert counts([udp(payload)], f"alert udp any any -> any any ({body};)").get(1, 0) == wanted


def _hex(data: bytes) -> str:
    return f"|{data.hex(' ')}|"


TRANSFORMS: list[tuple[str, str, int]] = [
    ("Ab  c", 'strip_whitespace; content:"Abc"; bsize:3', 1),
    ("Ab  c", 'compress_whitespace; content:"Ab c"; bsize:4', 1),
    ("Ab", 'to_lowercase; content:"ab"', 1),
    ("Ab", 'to_uppercase; content:"AB"', 1),
    ("Ab", f'to_md5; content:"{_hex(hashlib.md5(b"Ab").digest())}"', 1),
    ("Ab", f'to_sha1; content:"{_hex(hashlib.sha1(b"Ab").digest())}"', 1),
    ("Ab", f'to_sha256; content:"{_hex(hashlib.sha256(b"Ab").digest())}"', 1),
    ("Ac", f'to_sha256; content:"{_hex(hashlib.sha256(b"Ab").digest())}"', 0),
    ("a%42+c", 'url_decode; content:"aB c"; bsize:4', 1),
    ("Ab", f'xor:"01"; content:"{_hex(bytes(byte ^ 1 for byte in b"Ab"))}"', 1),
    ("aGVsbG8=", 'from_base64; content:"hello"; bsize:5', 1),
    ("x=aGVsbG8=", 'from_base64:offset 2; content:"hello"; bsize:5', 1),
    ("key=val;", 'pcrexform:"key=(\\w+)"; content:"val"; bsize:3', 1),
    ("a.example.test", 'dotprefix; content:".a.example.test"; startswith', 1),
    ("a.example.co.uk", 'domain; content:"example.co.uk"; bsize:13', 1),
    ("a.example.co.uk", 'tld; content:"co.uk"; bsize:5', 1),
    ("A b", 'strip_whitespace; to_lowercase; content:"ab"; bsize:2', 1),
]


@pytest.mark.parametrize(("agent", "body", "wanted"), TRANSFORMS)
def test_of_a_transformed_buffer(agent: str, body: str, wanted: int) -> None:
    packets = Talk().ask(request("/a", more=f"User-Agent: {agent}\r\n")).close().packets
    assert counts(packets, f"alert http any any -> any any (http.user_agent; {body};)").get(1, 0) == wanted


def test_of_header_transforms() -> None:
    packets = Talk().ask(request("/a", more="X-AbC: DeF\r\n")).close().packets
    assert counts(packets, 'alert http any any -> any any (http.header; header_lowercase; content:"x-abc: DeF";)') == {
        1: 1
    }
    assert counts(packets, 'alert http any any -> any any (http.header; strip_pseudo_headers; content:"Host";)') == {
        1: 1
    }


ECHO = bytes(
    ether() / IP(src="10.0.0.1", dst="10.0.0.2", ttl=7, tos=8, id=77) / ICMP(type=8, id=5, seq=9) / Raw(b"ping")
)
SYN = bytes(
    ether()
    / IP(src="10.0.0.1", dst="10.0.0.2", flags="DF", options=[IPOption_RR()])
    / TCP(sport=1, dport=2, flags="S", seq=123, window=555, options=[("MSS", 1460), ("WScale", 7)])
)
TOO_BIG = bytes(ether() / IPv6(src="2001:db8::1", dst="2001:db8::2") / ICMPv6PacketTooBig(mtu=1300) / Raw(b"x"))
TAGGED = bytes(Ether() / Dot1Q(vlan=9) / IP(src="10.0.0.1", dst="10.0.0.1") / UDP(sport=1, dport=2) / Raw(b"x"))
PIECE = bytes(ether() / IP(src="10.0.0.1", dst="10.0.0.2", frag=5, flags="MF", proto=17) / Raw(bytes(16)))
CLAIM = bytes(Ether(dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, psrc="10.0.0.1", pdst="10.0.0.2", hwsrc="02:00:00:00:00:01"))
HEADERS: list[tuple[bytes, str, str]] = [
    (
        ECHO,
        "icmp",
        "itype:8|icode:0|icmp_id:5|icmp_seq:9|ttl:7|ttl:<8|tos:8|id:77|ip_proto:icmp|itype:7<>9|l3_proto:ipv4",
    ),
    (
        SYN,
        "tcp",
        "flags:S|flags:S,12|flags:!A|seq:123|ack:0|window:555|tcp.mss:>1400|tcp.wscale:7|fragbits:D|ipopts:rr",
    ),
    (TOO_BIG, "icmpv6", "icmpv6.mtu:1300|itype:2"),
    (TAGGED, "ip", "vlan.id:9|vlan.layers:1|sameip"),
    (PIECE, "ip", "fragoffset:5|fragbits:M"),
]
SILENT: list[tuple[bytes, str, str]] = [
    (ECHO, "icmp", "itype:0|ttl:8|tos:!8|id:78|icmp_id:6|ip_proto:17|sameip"),
    (SYN, "tcp", "flags:A|flags:SA|flags:0|window:!555|tcp.mss:<1460|seq:124|fragbits:M|ipopts:ts"),
    (TAGGED, "ip", "vlan.id:8|vlan.layers:2"),
]


@pytest.mark.parametrize(
    ("packet", "protocol", "body", "wanted"),
    [
        (packet, protocol, body, wanted)
        for wanted, table in ((1, HEADERS), (0, SILENT))
        for packet, protocol, bodies in table
        for body in bodies.split("|")
    ],
)
def test_of_a_header(packet: bytes, protocol: str, body: str, wanted: int) -> None:
    assert counts([packet], f"alert {protocol} any any -> any any ({body};)").get(1, 0) == wanted


def test_headers_are_buffers() -> None:
    for packet, protocol, body in (
        (ECHO, "icmp", 'icmpv4.hdr; content:"|08 00|"; startswith'),
        (ECHO, "icmp", 'ipv4.hdr; content:"|45 08|"; startswith'),
        (SYN, "tcp", 'tcp.hdr; content:"|00 01 00 02|"; startswith'),
        (TOO_BIG, "icmpv6", 'icmpv6.hdr; content:"|02 00|"; startswith'),
        (TOO_BIG, "ip", 'ipv6.hdr; content:"|60|"; startswith'),
        (TOO_BIG, "ip", 'ip.src; content:"|20 01 0d b8|"; startswith; bsize:16'),
        (TAGGED, "udp", 'udp.hdr; content:"|00 01 00 02|"; startswith'),
        (CLAIM, "ether", 'ether.hdr; content:"|08 06|"; endswith'),
        (CLAIM, "arp", 'arp.hdr; content:"|00 01 08 00|"; startswith; bsize:28'),
    ):
        assert counts([packet], f"alert {protocol} any any -> any any ({body};)") == {1: 1}, body


def test_rules_on_arp_are_about_arp_alone() -> None:
    assert counts([CLAIM, udp(b"x"), ECHO, CLAIM], 'alert arp any any -> any any (msg:"any";)') == {1: 2}
    assert counts([CLAIM], 'alert ip any any -> any any (msg:"any";)') == {}


def test_state_between_packets() -> None:
    def twice(first: str, second: str, packets: list[bytes]) -> int:
        rules = (
            f'alert udp any any -> any any (content:"set"; {first}; noalert;)',
            f'alert udp any any -> any any (content:"use"; {second};)',
        )
        return counts(packets, *rules).get(2, 0)

    same, other = [udp(b"set"), udp(b"use")], [udp(b"set"), udp(b"use", sport=50_000)]
    back = [udp(b"set"), udp_back(b"use")]
    assert twice("flowbits:set,a", "flowbits:isset,a", same) == 1
    assert twice("flowbits:set,a", "flowbits:isset,a", other) == 0
    assert twice("flowbits:set,a", "flowbits:isset,b|a", same) == 1
    assert twice("flowbits:set,a", "flowbits:isnotset,a", same) == 0
    assert twice("flowint:n,+,2", "flowint:n,==,2", same) == 1
    assert twice("xbits:set,a,track ip_src,expire 10", "xbits:isset,a,track ip_src", other) == 1
    assert twice("xbits:set,a,track ip_pair,expire 10", "xbits:isset,a,track ip_pair", back) == 1
    assert twice("hostbits:set,a,dst", "hostbits:isset,a,src", back) == 1
    assert twice("hostbits:set,a,src", "hostbits:isset,a,src", back) == 0


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("threshold:type threshold,track by_src,count 3,seconds 60", 3),
        ("threshold:type limit,track by_src,count 2,seconds 60", 2),
        ("threshold:type both,track by_src,count 3,seconds 60", 1),
        ("detection_filter:track by_src,count 4,seconds 60", 6),
        ("threshold:type limit,track by_rule,count 2,seconds 60", 2),
        ("threshold:type limit,track by_both,count 1,seconds 60", 1),
        ("threshold:type backoff,track by_flow,count 1,multiplier 10", 2),
    ],
)
def test_how_often_a_rule_speaks(body: str, wanted: int) -> None:
    packets = [(START + number * SECOND // 10, udp(b"x")) for number in range(10)]
    assert counts(packets, f'alert udp any any -> any any (content:"x"; {body};)').get(1, 0) == wanted


def _download(body: bytes) -> list[bytes]:
    return Talk().ask(request("/dl/report.pdf")).answer(response(body)).close().packets


def test_files_by_name_size_kind_and_content() -> None:
    packets = _download(b"%PDF-1.7\n" + b"filebody" * 100)
    for body, wanted in (
        ('filename:"report"', 1),
        ('fileext:"pdf"', 1),
        ('fileext:"pd"', 0),
        ("filesize:809", 1),
        ("filesize:>809", 0),
        ('file.name; content:"/report.pdf"; endswith', 1),
        ('file.data; content:"filebody"', 1),
        ('filemagic:"PDF document"', 1),
        ('flow:to_client; file.magic; content:"PDF document"; startswith', 1),
        ('filemagic:"PNG image"', 0),
        ('flow:to_server; filemagic:"PDF document"', 0),
    ):
        assert counts(packets, f"alert http any any -> any any ({body};)").get(1, 0) == wanted, body


@pytest.mark.parametrize("name", ["md5", "sha1", "sha256"])
def test_files_by_digest(name: str, tmp_path: Path) -> None:
    body = b"filebody" * 100
    packets = _download(body)
    (tmp_path / "known").write_text(
        f"# as md5sum writes it\n{hashlib.new(name, body).hexdigest().upper()}  report.pdf\n\n"
    )
    (tmp_path / "other").write_text(hashlib.new(name, b"other").hexdigest() + "\n")
    for listed, wanted in (("known", 1), ("other", 0), ("!known", 0), ("!other", 1)):
        path = f"{'!' * listed.startswith('!')}{tmp_path / listed.strip('!')}"
        assert counts(packets, f"alert http any any -> any any (file{name}:{path};)").get(1, 0) == wanted, listed
    assert counts(
        packets, f"alert tcp any any -> any any (flow:to_client; filename:report; file{name}:{tmp_path / 'known'};)"
    ) == {1: 1}


def test_sets_of_addresses() -> None:
    rule = "alert udp any any -> any any (ip.{}; dataset:set,seen,type {};)"
    assert counts([udp(b"x"), udp(b"x"), udp(b"x", source="10.0.0.9")], rule.format("src", "ip")) == {1: 2}
    assert counts([udp(b"x"), udp(b"x"), udp(b"x", source="10.0.0.9")], rule.format("dst", "ipv4")) == {1: 1}


def test_numbers_of_flows_and_streams() -> None:
    packets: list[bytes] = [udp(b"x")] * 5
    assert counts(packets, "alert udp any any -> any any (flow.pkts_toserver:4;)") == {1: 1}
    long = [(START, udp(b"x")), (START + 5 * SECOND, udp(b"x"))]
    assert counts(long, "alert udp any any -> any any (flow.age:>3;)") == {1: 1}
    talk = Talk(dport=5555).ask(b"A" * 100).ask(b"need").ask(b"le").close().packets
    assert counts(talk, 'alert tcp any any -> any any (stream_size:server,<,10; flow:only_stream; content:"AAA";)') == {
        1: 1
    }
    assert counts(talk, 'alert tcp any any -> any any (stream_size:server,>,10; content:"AAA";)') == {}
    assert counts(talk, 'alert tcp any any -> any any (content:"needle"; flow:only_stream;)') == {1: 1}
    assert counts(talk, 'alert tcp any any -> any any (content:"needle"; flow:no_stream;)') == {}


def test_events() -> None:
    short = bytes(ether() / IP(src="10.0.0.1", dst="10.0.0.2", len=500) / UDP() / Raw(b"x"))
    assert counts([short], "alert pkthdr any any -> any any (decode-event:ipv4.trunc_pkt;)") == {1: 1}
    assert counts([udp(b"x")], "alert pkthdr any any -> any any (decode-event:ipv4.trunc_pkt;)") == {}
    bad = request("/", more="Content-Length: abc\r\n")
    rule = "alert http any any -> any any (app-layer-event:http.invalid_content_length_field_in_request;)"
    assert counts(Talk().ask(bad).close().packets, rule) == {1: 1}
    assert counts(Talk().ask(request("/")).close().packets, rule) == {}


def test_calls_of_remote_procedures() -> None:
    call = struct.pack("!6I", 7, 0, 2, 100_000, 2, 3)
    marked = struct.pack("!I", 0x8000_0000 | len(call)) + call
    for packets, protocol in (([udp(call)], "udp"), (Talk(dport=111).ask(marked).close().packets, "tcp")):
        for words, wanted in (
            ("100000,2,3", 1),
            ("100000,*,*", 1),
            ("100000", 1),
            ("100000,3,*", 0),
            ("100001,2,3", 0),
        ):
            assert counts(packets, f"alert {protocol} any any -> any any (rpc:{words};)").get(1, 0) == wanted, words
    assert counts([udp(call[:20])], "alert udp any any -> any any (rpc:*,*,*;)") == {}


def test_ftp_says_where_and_what() -> None:
    talk = Talk(dport=21).answer(b"220 hi\r\n").ask(b"PASV\r\n").answer(b"227 Passive (10,0,0,2,200,11)\r\n")
    talk.ask(b"STOR up.txt\r\n").answer(b"150 go\r\n")
    packets = [*talk.packets, *Talk(sport=50_000, dport=200 * 256 + 11).ask(b"root:x:0:0").close().packets]
    for rule, wanted in (
        ("ftp any any -> any any (ftp.mode:passive;)", 1),
        ("ftp any any -> any any (ftp.mode:active;)", 0),
        ("ftp any any -> any any (ftp.dynamic_port:51211;)", 1),
        ("ftp-data any any -> any any (ftpdata_command:stor;)", 1),
        ("ftp-data any any -> any any (ftpdata_command:retr;)", 0),
    ):
        assert counts(packets, f"alert {rule}").get(1, 0) == wanted, rule


def test_how_far_a_side_of_a_transaction_is() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\n"
    packets = Talk().ask(head).ask(b"\r\n").answer(response(b"hello")).close().packets
    for state, wanted in (
        ("<request_headers", 1),
        (">request_headers", 1),
        ("request_headers", 1),
        ("<request_started", 0),
    ):
        rule = f"alert http any any -> any any (app-layer-state:{state};)"
        assert counts(packets, rule, inline=True).get(1, 0) == wanted, state
