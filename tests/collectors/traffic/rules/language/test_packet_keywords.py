"""Headers of packets, their flags, and events."""

import pytest

from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.parser import Parser
from collectors.traffic.rules.language.rule import (
    EventTest,
    FieldTest,
    FlagsTest,
    IpProto,
    IpRep,
    Number,
    Rule,
    WordTest,
)


def rule(options: str) -> Rule:
    return Parser().rule(f"alert ip any any -> any any ({options} sid:1;)")


@pytest.mark.parametrize(
    ("options", "test"),
    [
        ("ttl:<5;", FieldTest("ttl", Number("<", 5))),
        ("tos:!8;", FieldTest("tos", Number("!=", 8))),
        ("tos:x1f;", FieldTest("tos", Number("=", 31))),
        ("tos:!X10;", FieldTest("tos", Number("!=", 16))),
        ("seq:0;", FieldTest("tcp.seq", Number("=", 0))),
        ("window:!55808;", FieldTest("tcp.window", Number("!=", 55808))),
        ("tcp.mss:536-1000;", FieldTest("tcp.mss", Number("in", 536, 1000))),
        ("itype:>10;", FieldTest("itype", Number(">", 10))),
        ("icmp_id:7;", FieldTest("icmp_id", Number("=", 7))),
        ("vlan.id:300,1;", FieldTest("vlan.id", Number("=", 300), "1")),
        ("flags:S;", FlagsTest("tcp.flags", "", 2)),
        ("flags:S,12;", FlagsTest("tcp.flags", "", 2, 192)),
        ("tcp.flags:FPU+;", FlagsTest("tcp.flags", "+", 41)),
        ("flags:*UP;", FlagsTest("tcp.flags", "*", 40)),
        ("flags:0;", FlagsTest("tcp.flags", "", 0)),
        ("fragbits:!D;", FlagsTest("fragbits", "!", 2)),
        ("ipopts:lsrr;", WordTest("ipopts", ("lsrr",))),
        ("sameip;", WordTest("sameip")),
        ("ip_proto:!TCP;", IpProto("!", 6)),
        ("ip_proto:>100;", IpProto(">", 100)),
        ("iprep:src,CnC,>,30;", IpRep("src", "CnC", ">", 30)),
        ("iprep:any,BadHosts,isset;", IpRep("any", "BadHosts", "isset", 0)),
        ("decode-event:ipv4.trunc_pkt;", EventTest("decode", "ipv4.trunc_pkt")),
        ("stream-event:3whs_ack_in_wrong_dir;", EventTest("stream", "3whs_ack_in_wrong_dir")),
        ("engine-event:decoder.tcp.pkt_too_small;", EventTest("decode", "tcp.pkt_too_small")),
        ("stream-event:est_synack_resend_with_different_ack;", EventTest("stream", "est_synack_resend_with_diff_ack")),
        ("rpc:100000,*,3;", WordTest("rpc", ("100000", "*", "3"))),
        ("udpv4-csum:invalid;", WordTest("udpv4-csum", ("invalid",))),
    ],
)
def test_every_word_becomes_its_test(options: str, test: object) -> None:
    assert rule(options).tests == [test]


@pytest.mark.parametrize(
    "options",
    [
        "ttl:256;",
        "flags:X;",
        "flags:!0;",
        "fragbits:X;",
        "ipopts:nothing;",
        "ip_proto:nothing;",
        "ip_proto:6; ip_proto:!17;",
        "iprep:src,CnC;",
        "iprep:src,CnC,>,200;",
        "vlan.id:0;",
        "vlan.id:5,9;",
        "rpc:x;",
        "udpv4-csum:odd;",
        "decode-event:a b;",
        "geoip:src,NL;",
    ],
)
def test_what_makes_no_sense_is_refused(options: str) -> None:
    with pytest.raises(Refused):
        rule(options)
