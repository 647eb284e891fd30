import pytest

from collectors.traffic.protocols.detect.udp import detect, dns, quic
from tests.collectors.traffic.protocols.seeds import dns_message

KNOWN = {
    "sip": b"OPTIONS sip:x SIP/2.0\r\n", "ssdp": b"M-SEARCH * HTTP/1.1\r\nHost: x\r\n", "stun": b"\0\x01\0\0\x21\x12\xa4\x42" + bytes(12),
    "bittorrent-dht": b"d1:ad2:id20:" + b"x" * 20, "dhcp": b"\x01\x01\x06\0" + bytes(232) + b"\x63\x82\x53\x63",
    "tftp": b"\0\x01file\0octet\0", "snmp": b"\x30\x26\x02\x01\x01\x04\x06public",
    "quic": b"\xc3\0\0\0\x01\x08" + bytes(1200), "wireguard": b"\x01\0\0\0" + bytes(144),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_datagrams_show_their_protocol_on_any_port(name: str) -> None:
    assert detect(KNOWN[name], False, 40_000, 31_337) == name


def test_dns_is_strict_away_from_its_port() -> None:
    message = dns_message(response=False)
    assert detect(message, False, 40_000, 53) == detect(message, False, 40_000, 31_337) == "dns"
    assert detect(message, False, 40_000, 5353) == "mdns"
    assert not dns(message + b"x", False) and dns(message + b"x", True)
    assert not dns(bytes(100), False)


def test_ntp_and_ike_need_their_port() -> None:
    assert detect(b"\x23" + bytes(47), False, 40_000, 123) == "ntp"
    assert detect(b"\x23" + bytes(47), False, 40_000, 124) == ""
    assert detect(b"12345678" + bytes(8) + b"\x21\x20\x22\x08" + bytes(4) + b"\0\0\x01\0", False, 500, 500) == "ike"


def test_short_headers_are_no_quic() -> None:
    assert not quic(b"\x40" + bytes(40)) and not quic(b"\xc3\0\0\0\x02\x08" + bytes(40))
