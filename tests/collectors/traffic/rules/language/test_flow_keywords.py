"""flow, bits, counters, thresholds and what else is remembered between packets."""

import pytest

from collectors.traffic.rules.language.parser import Parser
from collectors.traffic.rules.language.rule import (
    AppProtocol,
    FieldTest,
    Flow,
    FlowBits,
    FlowInt,
    Number,
    Rule,
    StreamSize,
    Tag,
    Threshold,
    WordTest,
    XBits,
)


def rule(options: str) -> Rule:
    return Parser().rule(f"alert tcp any any -> any any ({options} sid:1;)")


def test_flow_has_four_parts() -> None:
    assert rule("flow:from_client,established,only_stream,no_frag;").flow == Flow(
        "established", "to_server", "only_stream", "no_frag"
    )
    assert rule("flow:stateless;").flow == Flow("stateless")


def test_bits_of_flows_hosts_and_pairs() -> None:
    found = rule(
        "flowbits:isset,a|b; flowbits:set,c; xbits:set,x,track ip_src,expire 10; xbits:isset,x,track ip_pair,expire 9; "
        "hostbits:set,h,both,20; hostbits:isnotset,h,dst; flowbits:noalert;"
    )
    assert found.state == [
        FlowBits("isset", ("a", "b")),
        FlowBits("set", ("c",)),
        XBits("set", "x", "ip_src", 10),
        XBits("isset", "x", "ip_pair", 9),
        XBits("set", "h", "ip_both", 20),
        XBits("isnotset", "h", "ip_dst", 300),
    ]
    assert found.noalert


def test_counters_of_a_flow() -> None:
    assert rule("flowint:n,+,1; flowint:n,>,other; flowint:n,notset;").state == [
        FlowInt("n", "+", 1),
        FlowInt("n", ">", "other"),
        FlowInt("n", "isnotset"),
    ]


def test_thresholds_in_any_order() -> None:
    assert rule("threshold: seconds 60, count 5,type both , track by_both;").threshold == Threshold(
        "both", "by_both", 5, 60
    )
    assert rule("threshold:type backoff, track by_flow, count 1, multiplier 10;").threshold == Threshold(
        "backoff", "by_flow", 1, 0, 10
    )
    assert rule("detection_filter:track by_src, count 3, seconds 9;").detection_filter == Threshold(
        "detection_filter", "by_src", 3, 9
    )


def test_sizes_counts_and_tags() -> None:
    found = rule(
        "stream_size:both,>,5; flow.pkts_toclient:>3; flow.pkts:either,3; flow.bytes:toserver,<9; flow.age:>=2; flow.elephant:both; "
        'tag:session,5,packets; app-layer-protocol:!http,final; flowvar:v,"x";'
    )
    assert found.tests == [
        StreamSize("both", Number(">", 5)),
        FieldTest("flow.pkts", Number(">", 3), "toclient"),
        FieldTest("flow.pkts", Number("=", 3), "either"),
        FieldTest("flow.bytes", Number("<", 9), "toserver"),
        FieldTest("flow.age", Number(">=", 2)),
        WordTest("flow.elephant", ("both",)),
        AppProtocol("http", True, "final"),
        WordTest("flowvar", ("v", "x")),
    ]
    assert found.tag == Tag("session", 5, "packets")


@pytest.mark.parametrize(
    "options",
    [
        "flow:sideways;",
        "flowbits:isset;",
        "flowbits:set,a|b;",
        "flowbits:jump,a;",
        "flowint:n,%,1;",
        "xbits:set,x;",
        "xbits:unset,x,track tx;",
        "hostbits:isset,h,both;",
        "threshold:type limit, track by_src, seconds 60;",
        "threshold:type x, track by_src, count 1, seconds 60;",
        "threshold:type limit, track by_src, count 1, seconds 60; detection_filter:track by_src, count 3, seconds 9;",
        "detection_filter:track by_src, count 3, seconds 9, unique_on dst_port;",
        "stream_size:left,>,5;",
        "tag:host,5,packets;",
        "flow.pkts:5;",
        "app-layer-protocol:http; app-layer-protocol:dns;",
    ],
)
def test_what_makes_no_sense_is_refused(options: str) -> None:
    from collectors.traffic.rules.language.errors import Refused

    with pytest.raises(Refused):
        rule(options)
