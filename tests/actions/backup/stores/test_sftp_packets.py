"""Packets: paramiko's own packetizer reads what ours writes and the other way round, and nothing that was changed is taken."""

import os
import socket
import threading
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st
from paramiko import Message, SSHException
from paramiko.packet import NeedRekeyException, Packetizer

from actions.backup.stores.sftp_packets import CHANNEL_DATA, FastPacketizer, Parts

KEY, IV = bytes(range(16)), bytes(range(12))
Pair = tuple[FastPacketizer, Packetizer]


@pytest.fixture
def pair() -> Iterator[Pair]:
    yield from joined()


def joined(iv: bytes = IV) -> Iterator[Pair]:
    one, other = socket.socketpair()
    for sock in (one, other):
        sock.settimeout(0.1)
    ours, theirs = FastPacketizer(one), Packetizer(other)
    for packetizer in (ours, theirs):
        packetizer.set_outbound_cipher(AESGCM(KEY), 16, None, 16, None, aead=True, iv_out=iv)
        packetizer.set_inbound_cipher(AESGCM(KEY), 16, None, 16, None, aead=True, iv_in=iv)
    try:
        yield ours, theirs
    finally:
        ours.close()
        theirs.close()


def message(body: bytes) -> Message:
    return Message(body)


@settings(max_examples=40, deadline=None)
@given(bodies=st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=8))
def test_messages_go_both_ways(bodies: list[bytes]) -> None:
    for ours, theirs in joined():
        for body in bodies:
            ours.send_message(message(body))
            type, read = theirs.read_message()
            assert bytes([type]) + read.asbytes() == body
            theirs.send_message(message(body))
            type, read = ours.read_message()
            assert bytes([type]) + read.asbytes() == body


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 70_000), min_size=1, max_size=6),
    max_data=st.integers(100, 33_000),
)
def test_channel_data_in_parts_arrives_as_one_stream(sizes: list[int], max_data: int) -> None:
    buffers = [os.urandom(size) for size in sizes]
    whole = b"".join(buffers)
    for ours, theirs in joined():
        got = bytearray()
        sizes_seen = []

        def read(theirs: Packetizer = theirs, got: bytearray = got, seen: list[int] = sizes_seen) -> None:
            while len(got) < len(whole):
                type, read = theirs.read_message()
                assert (type, read.get_int()) == (CHANNEL_DATA, 7)
                data = read.get_binary()
                seen.append(len(data))
                got.extend(data)

        reader = threading.Thread(target=read)
        reader.start()
        ours.send_data(7, Parts(buffers), len(whole), max_data)
        reader.join(60)
        assert bytes(got) == whole
        assert all(size <= max_data for size in sizes_seen)


def test_data_of_the_channel_goes_to_the_sink_and_all_else_does_not(pair: Pair) -> None:
    ours, theirs = pair
    got: list[bytes] = []
    ours.sink, ours.sink_channel = lambda data: got.append(bytes(data)), 5
    for channel, data in ((5, b"one"), (6, b"other"), (5, b"two")):
        sent = Message()
        sent.add_byte(bytes([CHANNEL_DATA]))
        sent.add_int(channel)
        sent.add_string(data)
        theirs.send_message(sent)
    theirs.send_message(message(b"\x50last"))
    assert ours.read_message()[1].get_int() == 6
    assert ours.read_message()[0] == 0x50
    assert got == [b"one", b"two"]


def test_packets_of_many_sizes_and_channels_keep_their_own_heads(pair: Pair) -> None:
    """Packets of one size are laid out once and used again."""
    ours, theirs = pair
    for channel in (1, 2, 1):
        for size in (1, 9, 70, 9, 300, 1000, 2000, 1):
            data = os.urandom(size)
            ours.send_data(channel, Parts([data]), size, 4000)
            type, read = theirs.read_message()
            assert (type, read.get_int(), read.get_binary()) == (CHANNEL_DATA, channel, data)


def test_the_counter_of_the_nonce_wraps() -> None:
    """RFC 5647 (7.1) counts modulo 2^64; paramiko's own counting overflows there."""
    one, other = socket.socketpair()
    ours = FastPacketizer(one)
    ours.set_outbound_cipher(AESGCM(KEY), 16, None, 16, None, aead=True, iv_out=IV[:4] + b"\xff" * 8)
    for nonce in (IV[:4] + b"\xff" * 8, IV[:4] + bytes(8)):
        ours.send_message(message(b"\x01x"))
        sealed = other.recv(100)
        assert AESGCM(KEY).decrypt(nonce, sealed[4:], sealed[:4])[1:3] == b"\x01x"
    ours.close()
    other.close()


def test_a_little_answer_is_acknowledged_at_once() -> None:
    """sshd leaves Nagle's algorithm on: its next answer would wait for a delayed acknowledgement."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as one:
        other, _ = server.accept()
        ours, theirs = FastPacketizer(one), FastPacketizer(other)
        ours.set_inbound_cipher(AESGCM(KEY), 16, None, 16, None, aead=True, iv_in=IV)
        theirs.set_outbound_cipher(AESGCM(KEY), 16, None, 16, None, aead=True, iv_out=IV)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        assert not one.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK)
        theirs.send_message(message(b"\x50little"))
        assert ours.read_message()[0] == 0x50
        assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK)
        ours.close()
        theirs.close()


@pytest.mark.parametrize("place", [0, 3, 4, 20, -1])
def test_a_changed_byte_ends_the_connection(place: int) -> None:
    one, other = socket.socketpair()
    one.settimeout(0.1)
    ours = FastPacketizer(one)
    ours.set_inbound_cipher(AESGCM(KEY), 16, None, 16, None, aead=True, iv_in=IV)
    length = (48).to_bytes(4, "big")
    sealed = bytearray(length + AESGCM(KEY).encrypt(IV, bytes([4]) + bytes(47), length))
    sealed[place] ^= 1
    other.sendall(sealed + bytes(1 << 17))
    with pytest.raises(SSHException):
        ours.read_message()
    ours.close()
    other.close()


def test_rekeying_begins_after_so_many_bytes_and_only_once(pair: Pair) -> None:
    ours, theirs = pair
    ours.REKEY_BYTES = 1000
    ours.send_data(1, Parts([bytes(900)]), 900, 500)
    assert not ours.need_rekey()
    theirs.send_message(message(b"\x50" + bytes(1200)))
    ours.read_message()
    assert ours.need_rekey()
    with pytest.raises(NeedRekeyException):
        ours.read_message()
    ours.set_outbound_cipher(AESGCM(KEY), 16, None, 16, None, aead=True, iv_out=IV)
    ours.set_inbound_cipher(AESGCM(KEY), 16, None, 16, None, aead=True, iv_in=IV)
    assert not ours.need_rekey()


def test_sending_to_nobody_gives_up() -> None:
    one, other = socket.socketpair()
    one.settimeout(0.05)
    ours = FastPacketizer(one)
    ours.patience_s = 0.3
    ours.set_outbound_cipher(AESGCM(KEY), 16, None, 16, None, aead=True, iv_out=IV)
    with pytest.raises(EOFError):
        ours.send_data(1, Parts([bytes(8 << 20)]), 8 << 20, 32000)
    ours.close()
    other.close()


def test_an_end_is_an_end(pair: Pair) -> None:
    ours, theirs = pair
    theirs.close()
    with pytest.raises(EOFError):
        ours.read_message()
