from tests.collectors.traffic.protocols.replay import talk
from tests.collectors.traffic.protocols.seeds import certificate_message, client_hello, record, server_hello

HELLOS = ((False, client_hello(b"host.example")), (True, server_hello()))


def test_both_hellos_are_read_in_pieces_of_one_byte() -> None:
    said = [(side, bytes([byte])) for side, text in HELLOS for byte in text]
    (tx,) = talk("tls", *said, close=False).conversation.transactions
    assert tx.buffers("tls.sni", False) == [b"host.example"]
    assert tx.buffers("tls.alpn", False) == [b"h2", b"http/1.1"]
    assert tx.buffers("ja3.string", False)[0].startswith(b"771,4865-49199,")
    assert tx.buffers("ja3s.string", True) == [b"771,49199,65281-11"]
    assert tx.buffers("tls.random", False) == [bytes(range(32))] and tx.buffers("tls.random_time", True) == [
        bytes(range(32, 36))
    ]
    assert (tx.integers("tls.version", False), tx.integers("tls.version", True)) == ([0x0304], [0x0303])
    assert (tx.request, tx.response, tx.events) == (1, 1, [])


def test_a_hello_over_several_records_is_put_together() -> None:
    body = client_hello(b"long.example")[5:]
    split = b"".join(record(22, body[at : at + 20]) for at in range(0, len(body), 20))
    assert talk("tls", (False, split)).conversation.transactions[0].buffers("tls.sni", False) == [b"long.example"]


def test_a_chain_is_counted_and_its_first_certificate_read() -> None:
    (tx,) = talk(
        "tls", *HELLOS, (True, certificate_message(b"\x30\x00", b"\x30\x00")), close=False
    ).conversation.transactions
    assert tx.buffers("tls.certs", True) == [b"\x30\x00", b"\x30\x00"] and tx.integers("tls.cert_chain_len", True) == [
        2
    ]
    assert tx.response == 2 and "invalid_certificate" in tx.events


def test_where_both_sides_cipher_the_conversation_is_over() -> None:
    change = record(20, b"\x01")
    parser = talk("tls", *HELLOS, (False, change), (True, change), (False, record(23, b"x" * 50)), close=False)
    assert parser.conversation.encrypted and parser.conversation.transactions[0].done


def test_what_is_odd_is_told() -> None:
    def told(*said: tuple[bool, bytes]) -> list[str]:
        return talk("tls", *said).conversation.transactions[0].events

    assert told((False, b"\x16\x04\x01\0\x01x")) == ["invalid_record_version", "invalid_ssl_record"]
    assert told((False, b"\x63\x03\x01\0\x01x")) == ["invalid_record_type", "invalid_ssl_record"]
    assert "overflow_heartbeat_message" in told(*HELLOS, (False, record(24, b"\x01\x40\x00")))
    assert "error_message_encountered" in told(*HELLOS, (True, record(21, b"\x02\x28")))
    assert "too_many_records_in_packet" in told(*HELLOS, (True, record(21, b"\x01\x00") * 300))
    assert "invalid_handshake_message" in told((False, record(22, b"\x63\0\0\0")))


def test_a_hole_ends_the_reading_of_its_side_alone() -> None:
    parser = talk("tls", HELLOS[0], close=False)
    parser.data(True, server_hello(), 5)
    assert parser.conversation.transactions[0].buffers("ja3s.string", True) == []
