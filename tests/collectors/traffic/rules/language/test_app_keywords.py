"""Application protocols: numbers with names, TLS words, DCERPC, events, and old keywords that are short for a content."""

import pytest

from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.parser import Parser
from collectors.traffic.rules.language.rule import (
    BufferTest,
    Content,
    DceIface,
    DceOpnum,
    EventTest,
    FieldTest,
    Modbus,
    Number,
    Rule,
    WordTest,
)


def rule(options: str, protocol: str = "ip") -> Rule:
    return Parser().rule(f"alert {protocol} any any -> any any ({options} sid:1;)")


@pytest.mark.parametrize(
    ("options", "protocol", "test"),
    [
        ("dns.opcode:!4;", "dns", FieldTest("dns.opcode", Number("!=", 4))),
        ("dns.rcode:nxdomain;", "dns", FieldTest("dns.rcode", Number("=", 3))),
        ("dns.rrtype:AAAA;", "dns", FieldTest("dns.rrtype", Number("=", 28))),
        ("dns.rrtype:https;", "dns", FieldTest("dns.rrtype", Number("=", 65))),
        ("mqtt.type:PUBLISH;", "mqtt", FieldTest("mqtt.type", Number("=", 3))),
        ("websocket.opcode:!ping;", "websocket", FieldTest("websocket.opcode", Number("!=", 9))),
        ("tls.cert_chain_len:>3;", "tls", FieldTest("tls.cert_chain_len", Number(">", 3))),
        (
            "ldap.responses.operation:search_result_done,0;",
            "ldap",
            FieldTest("ldap.responses.operation", Number("=", 5), "0"),
        ),
        ("ftp.mode:passive;", "ftp", FieldTest("ftp.mode", Number("=", 1))),
        ("ftp.reply_received:yes;", "ftp", FieldTest("ftp.reply_received", Number("=", 1))),
        ("tls.version:1.2;", "tls", WordTest("tls.version", ("1.2",))),
        ("ssl_version:!tls1.0,!tls1.1;", "tls", WordTest("ssl_version", ("tls1.0", "tls1.1"), True)),
        ("ssl_state:client_hello|!server_hello;", "tls", WordTest("ssl_state", ("client_hello", "!server_hello"))),
        ("tls_cert_expired;", "tls", WordTest("tls_cert_expired")),
        ("ftpbounce;", "ftp", WordTest("ftpbounce")),
        ("tls_cert_notbefore:<2015-10-22 23:59:59;", "tls", FieldTest("tls_cert_notbefore", Number("<", 1445558399))),
        (
            "tls_cert_notafter:1970-01-02T00<>1970-02;",
            "tls",
            FieldTest("tls_cert_notafter", Number("in", 86400, 2678400)),
        ),
        ("dcerpc.opnum:1-3,5;", "dcerpc", DceOpnum(((1, 3), (5, 5)))),
        (
            "dce_iface:367ABB81-9844-35F1-AD32-98F038001003,>1,any_frag;",
            "dcerpc",
            DceIface("367abb81-9844-35f1-ad32-98f038001003", Number(">", 1), True),
        ),
        ("modbus:function 21;", "modbus", Modbus("function", "function 21")),
        ("http2.settings:SETTINGS_ENABLE_PUSH;", "http2", WordTest("http2.settings", ("settings_enable_push", ""))),
        (
            "http2.settings:SETTINGS_MAX_FRAME_SIZE > 16384;",
            "http2",
            WordTest("http2.settings", ("settings_max_frame_size", "> 16384")),
        ),
        (
            "app-layer-event:http.invalid_response_chunk_len;",
            "http1",
            EventTest("app-layer", "http.invalid_response_chunk_len"),
        ),
        (
            "app-layer-event:applayer_mismatch_protocol_both_directions;",
            "",
            EventTest("app-layer", "applayer_mismatch_protocol_both_directions"),
        ),
    ],
)
def test_every_word_becomes_its_test_and_names_its_protocol(options: str, protocol: str, test: object) -> None:
    found = rule(options)
    assert found.tests == [test] and found.app_protocol == protocol


def test_old_keywords_are_a_content_of_a_buffer() -> None:
    assert rule('tls.subject:!"CN=a";').buffers == [BufferTest("tls.cert_subject", matches=[Content(b"CN=a", True)])]
    assert rule('ssh.softwareversion:"PuTTY";').buffers[0].buffer == "ssh.software"
    assert rule("ssh.protoversion:2_compat;").buffers[0].buffer == "ssh.proto"
    (fingerprint,) = rule('tls.fingerprint:"' + ":".join(["AB"] * 20) + '";').buffers
    assert fingerprint.matches[0].pattern == b":".join([b"ab"] * 20)  # type: ignore[union-attr]


def test_a_state_needs_a_protocol() -> None:
    assert rule("app-layer-state:>request_headers;", "http1").tests == [
        WordTest("app-layer-state", (">", "request_headers"))
    ]
    with pytest.raises(Refused):
        rule("app-layer-state:request_headers;")


@pytest.mark.parametrize(
    "options",
    [
        "dns.rcode:nonsense;",
        "http2.settings:nonsense;",
        "http2.settings:SETTINGS_ENABLE_PUSH=many;",
        "tls.version:9;",
        "tls_cert_notafter:tomorrow;",
        "ssl_version:tls9;",
        "ssl_version:!tls1.0,tls1.1;",
        "ssl_state:asleep;",
        "dcerpc.opnum:5-1;",
        "dce_iface:nothing;",
        "modbus:nothing;",
        "dns.opcode:1; tls.version:1.2;",
    ],
)
def test_what_makes_no_sense_is_refused(options: str) -> None:
    with pytest.raises(Refused):
        rule(options)
