import pytest

from collectors.traffic.protocols.detect.tcp import detect
from tests.collectors.traffic.protocols.seeds import client_hello, dns_message, server_hello

TO_SERVER = {
    "http": b"GET / HTTP/1.1\r\n", "tls": client_hello(), "ssh": b"SSH-2.0-x\r\n", "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "smtp": b"EHLO x\r\n", "smb": b"\0\0\0\x54\xffSMBr", "rfb": b"RFB 003.008\n", "mqtt": b"\x10\x10\0\x04MQTT\x04", "ftp": b"USER x\r\n",
    "redis": b"*1\r\n$4\r\nPING\r\n", "telnet": b"\xff\xfd\x03", "bittorrent": b"\x13BitTorrent protocol", "imap": b"a1 LOGIN x y\r\n",
    "rdp": b"\x03\x00\x00\x13\x0e\xe0\0\0", "pop3": b"CAPA\r\n", "sip": b"REGISTER sip:x SIP/2.0\r\n", "dnp3": b"\x05\x64\x05\xc0",
    "ldap": b"\x30\x0c\x02\x01\x01\x60\x07", "pgsql": b"\0\0\0\x20\0\x03\0\0user\0x\0", "xmpp": b"<?xml version='1.0'?><stream:stream ",
    "dcerpc": b"\x05\x00\x0b\x03\x10\x00\x00\x00", "nfs": b"\x80\0\0\x28xxxx\0\0\0\0\0\0\0\x02\0\x01\x86\xa3",
}  # fmt: skip
TO_CLIENT = {
    "http": b"HTTP/1.0 200 OK\r\n", "tls": server_hello(), "ssh": b"SSH-2.0-x\r\n",
    "smtp": b"220 host ESMTP\r\n", "ftp": b"220 (vsFTPd)\r\n",
    "pop3": b"+OK ready\r\n", "imap": b"* OK ready\r\n", "mysql": b"\x4a\0\0\0\x0a8.0.36\0", "rfb": b"RFB 003.008\n",
}  # fmt: skip


@pytest.mark.parametrize("name", TO_SERVER)
def test_what_clients_say_first_shows_the_protocol_on_any_port(name: str) -> None:
    assert detect(TO_SERVER[name], False, 31_337)[0] == name


@pytest.mark.parametrize("name", TO_CLIENT)
def test_what_servers_say_first_shows_the_protocol_on_any_port(name: str) -> None:
    assert detect(TO_CLIENT[name], True, 31_337)[0] == name


def test_dns_over_tcp_is_known_by_its_length_and_header() -> None:
    message = dns_message(response=False)
    assert detect(len(message).to_bytes(2) + message, False, 53) == ("dns", False)


def test_little_waits_for_more_and_much_of_nothing_gives_up() -> None:
    assert detect(b"\x16\x03", False, 1) == ("", True)
    assert detect(bytes(range(128, 228)), False, 1) == ("", False)
    assert detect(b"x" * 600, False, 1) == ("", False)


def test_the_port_decides_only_what_the_content_leaves_open() -> None:
    assert detect(b"220 welcome\r\n", True, 21)[0] == "ftp"
    assert detect(b"220 welcome\r\n", True, 25)[0] == "smtp"
    assert detect(b"220 welcome\r\n", True, 9999)[0] == ""
    assert detect(b"GET / HTTP/1.1\r\n", False, 25)[0] == "http"
