from tests.collectors.traffic.protocols.replay import talk
from tests.collectors.traffic.protocols.seeds import kex_init

BANNERS = ((False, b"SSH-2.0-OpenSSH_9.2 Debian\r\n"), (True, b"hello\r\nSSH-2.0-dropbear\r\n"))


def test_banners_are_read_in_pieces_of_one_byte() -> None:
    said = [(side, bytes([byte])) for side, text in BANNERS for byte in text]
    (tx,) = talk("ssh", *said, close=False).conversation.transactions
    assert (tx.buffers("ssh.proto", False), tx.buffers("ssh.software", False)) == ([b"2.0"], [b"OpenSSH_9.2"])
    assert tx.buffers("ssh.software", True) == [b"dropbear"] and (tx.request, tx.response) == (1, 1)


def test_hassh_takes_each_sides_own_lists() -> None:
    parser = talk("ssh", *BANNERS, (False, kex_init()), (True, kex_init()), close=False)
    (tx,) = parser.conversation.transactions
    assert tx.buffers("ssh.hassh.string", False) == [b"curve25519-sha256;aes128-ctr;hmac-sha2-256;none"]
    assert tx.buffers("ssh.hassh.server.string", True) == [b"curve25519-sha256;aes256-ctr;hmac-sha1;zlib"]
    assert len(tx.buffers("ssh.hassh", False)[0]) == 32 and not parser.conversation.encrypted


def test_behind_new_keys_nothing_is_read() -> None:
    new_keys = (12).to_bytes(4) + b"\x0a\x15" + bytes(10)
    parser = talk("ssh", *BANNERS, (False, new_keys), (True, new_keys), (False, b"\xff" * 99), close=False)
    assert parser.conversation.encrypted and parser.conversation.transactions[0].done
    assert parser.conversation.transactions[0].events == []


def test_what_is_odd_is_told() -> None:
    assert "long_banner" in talk("ssh", (False, b"SSH-2.0-" + b"a" * 400 + b"\r\n")).conversation.transactions[0].events
    assert "invalid_banner" in talk("ssh", (False, b"SSH-2\r\n")).conversation.transactions[0].events
    assert "invalid_record" in talk("ssh", BANNERS[0], (False, b"\xff" * 8)).conversation.transactions[0].events
