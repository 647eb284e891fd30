import struct

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dns import DNS, DNSQR, DNSRR

from collectors.traffic.protocols.dns import DnsTransaction
from tests.collectors.traffic.protocols.replay import talk
from tests.collectors.traffic.protocols.seeds import dns_message

NAMES = st.lists(st.text("abcdefghijklmnop-_0123456789", min_size=1, max_size=12), min_size=1, max_size=5).map(".".join)


def message(data: bytes, to_client: bool = True) -> DnsTransaction:
    (tx,) = talk("dns", (to_client, data), datagrams=True).conversation.transactions
    assert isinstance(tx, DnsTransaction)
    return tx


@given(NAMES, st.lists(NAMES, max_size=4), st.sampled_from(["A", "TXT", "CNAME"]))
def test_what_scapy_writes_is_read_back(name: str, answers: list[str], kind: str) -> None:
    records = [
        DNSRR(rrname=answer, type=kind, rdata="10.0.0.1" if kind == "A" else "x.example", ttl=5) for answer in answers
    ]
    tx = message(bytes(DNS(id=1, qr=1, rcode=3, qd=[DNSQR(qname=name, qtype=kind)], an=records)))
    assert tx.buffers("dns.query.name", True) == [name.encode()]
    assert tx.buffers("dns.answer.name", True) == [answer.encode() for answer in answers]
    assert tx.buffers("dns.response.rrname", True) == [one.encode() for one in (name, *answers)]
    assert tx.integers("dns.rcode", True) == [3] and tx.integers("dns.opcode", True) == [0]
    assert tx.integers("dns.rrtype", True)[0] == {"A": 1, "TXT": 16, "CNAME": 5}[kind]
    assert tx.events == [] and tx.done


def test_queries_alone_are_queries() -> None:
    query, answer = message(dns_message(response=False), False), message(dns_message())
    assert query.buffers("dns.query", False) == [b"www.example.org"]
    assert answer.buffers("dns.query", True) == [] and answer.buffers("dns.query", False) == []


def test_messages_over_tcp_are_cut_by_their_lengths_in_any_pieces() -> None:
    one = dns_message(b"a.example", response=False)
    stream = (len(one).to_bytes(2) + one) * 3
    found = talk("dns", *((False, stream[at : at + 7]) for at in range(0, len(stream), 7))).conversation.transactions
    assert [tx.buffers("dns.query", False) for tx in found] == [[b"a.example"]] * 3


def test_what_is_odd_is_told() -> None:
    assert message(b"short").events == ["malformed_data"]
    assert message(dns_message()[:-3]).events == ["malformed_data"]
    assert message(dns_message(), to_client=False).events == ["not_request"]
    assert message(dns_message(response=False)).events == ["not_response"]
    assert message(struct.pack(">HHHHHH", 1, 0x8040, 0, 0, 0, 0)).events == ["z_flag_set"]
    assert message(struct.pack(">HHHHHH", 1, 0x8000 | 9 << 11, 0, 0, 0, 0)).events == ["invalid_opcode"]
    assert message(struct.pack(">HHHHHH", 1, 0x8000, 1, 0, 0, 0) + b"\xc0\x0c\x00\x01\x00\x01").events == [
        "infinite_loop"
    ]


def test_a_name_of_pointers_in_a_ring_ends() -> None:
    ring = struct.pack(">HHHHHH", 1, 0x8000, 1, 0, 0, 0) + b"\x01a\xc0\x0c\x00\x01\x00\x01"
    assert "infinite_loop" in message(ring).events
