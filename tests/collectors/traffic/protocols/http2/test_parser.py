"""HTTP/2 from the bytes of both sides: generated conversations cut anywhere, a real curl and a real Apache, frames that break rules."""

import binascii
import gzip
import os
import random
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import brotli
import pytest

from collectors.traffic.protocols.http2 import frames
from collectors.traffic.protocols.http2.parser import Http2Parser
from collectors.traffic.protocols.http2.transaction import Http2Transaction
from collectors.traffic.protocols.news import Conversation
from collectors.traffic.protocols.parser import Facts, Limits, Parser
from collectors.traffic.protocols.registry import parser_of
from tests.collectors.traffic.protocols.http2.wire import (
    Deflater,
    answered,
    asked,
    data,
    frame,
    headers,
    settings,
)
from tests.collectors.traffic.protocols.replay import replay, talk
from tests.collectors.traffic.rules.engine.scene import Talk, capture, counts, request
from tests.free_port import free_port

MAGIC = frames.MAGIC


def _streams(parser: Parser) -> list[Http2Transaction]:
    found = [tx for tx in parser.conversation.transactions if isinstance(tx, Http2Transaction)]
    return [tx for tx in found if tx.stream]


def _one(*said: tuple[bool, bytes]) -> Http2Transaction:
    return _streams(talk("http2", *said))[0]


def _cut(said: bytes, chance: random.Random) -> Iterator[bytes]:
    while said:
        size = chance.choice((1, 3, 9, 10, 700, 20_000))
        yield said[:size]
        said = said[size:]


def _generated(chance: random.Random) -> tuple[bytes, bytes, dict[int, tuple[bytes, bytes, bytes]]]:
    """Return what both sides say, and by stream the target, the request's body and the answer's."""
    writers = (Deflater(), Deflater())
    said = [bytearray(MAGIC + settings((3, 100))), bytearray(settings((4, 65_535)))]
    meant: dict[int, tuple[bytes, bytes, bytes]] = {}
    left: list[list[list[bytes]]] = [[], []]
    for stream in range(1, 2 * chance.randrange(1, 8), 2):
        path = b"/%d?" % stream + binascii.hexlify(chance.randbytes(chance.randrange(60)))
        bodies = [chance.randbytes(chance.randrange(0, 30_000)) if chance.random() < 0.6 else b"" for _ in range(2)]
        meant[stream] = (path, bodies[0], bodies[1])
        for side, fields in enumerate((asked(path, b"POST"), answered(b"200", (b"x-odd", chance.randbytes(9))))):
            left[side].append(_frames(chance, stream, writers[side].block(fields), bodies[side]))
    for side in range(2):
        # Field blocks in the order in which they were compressed; bodies of several streams in between.
        for one in left[side]:
            said[side] += one.pop(0)
        while any(left[side]):
            said[side] += chance.choice([one for one in left[side] if one]).pop(0)
            if chance.random() < 0.2:
                said[side] += frame(frames.WINDOW_UPDATE, 0, b"\0\0\0\x05") + frame(frames.PING, 0, bytes(8))
    return bytes(said[0]), bytes(said[1]), meant


def _frames(chance: random.Random, stream: int, block: bytes, body: bytes) -> list[bytes]:
    """Return a message: its fields in one or several frames, padded or not, and its body in pieces."""
    cut = chance.randrange(len(block) + 1)
    first, rest = (block, b"") if chance.random() < 0.5 else (block[:cut], block[cut:])
    last = 0 if body else frames.END_STREAM
    flags = last | (0 if rest else frames.END_HEADERS)
    if chance.random() < 0.3:
        pad = chance.randrange(20)
        first, flags = bytes([pad]) + b"\0\0\0\0\x10" + first + bytes(pad), flags | frames.PADDED | frames.WITH_PRIORITY
    head = headers(stream, first, flags)
    if rest:
        head += frame(frames.CONTINUATION, stream, rest, frames.END_HEADERS)
    found = [head]
    while body:
        size = chance.randrange(1, 16_384)
        piece, body = body[:size], body[size:]
        flags = 0 if body else frames.END_STREAM
        if chance.random() < 0.3:
            pad = chance.randrange(256)
            piece, flags = bytes([pad]) + piece + bytes(pad), flags | frames.PADDED
        found.append(data(stream, piece, flags))
    return found


@pytest.mark.parametrize("seed", range(40))
def test_generated_conversations_cut_anywhere_are_read_as_they_were_meant(seed: int) -> None:
    chance = random.Random(seed)
    to_server, to_client, meant = _generated(chance)
    parser = talk("http2", close=False)
    sides = {False: _cut(to_server, chance), True: _cut(to_client, chance)}
    while sides:
        side = chance.choice(list(sides))
        piece = next(sides[side], None)
        if piece is None:
            del sides[side]
        else:
            parser.data(side, piece, 0)
    found = {tx.stream: tx for tx in _streams(parser)}
    assert sorted(found) == sorted(meant)
    for stream, (path, question, answer) in meant.items():
        tx = found[stream]
        assert tx.done and tx.events == []
        assert tx.buffers("http.uri.raw", False) == [path]
        assert tx.buffers("http.request_body", False) == ([question] if question else [])
        assert tx.buffers("http.response_body", True) == ([answer] if answer else [])
        assert tx.buffers("file.data", True) == ([answer] if answer else [])


def test_frames_of_the_connection_are_transactions_of_their_own() -> None:
    goaway = frame(frames.GOAWAY, 0, b"\0\0\0\x05\0\0\0\x0b")
    parser = talk(
        "http2",
        (False, MAGIC + settings((2, 0), (3, 100)) + settings() + frame(frames.WINDOW_UPDATE, 0, b"\0\0\x01\0")),
        (True, goaway + frame(frames.PRIORITY, 9, b"\0\0\0\0\x1f") + frame(77, 0, b"odd")),
    )
    numbers = [
        (name, side, value)
        for tx in parser.conversation.transactions
        for name in ("frametype", "settings", "window", "errorcode", "priority")
        for side in (False, True)
        for value in tx.integers(f"http2.{name}", side)
    ]
    assert numbers == [
        ("frametype", False, 4),
        ("settings", False, 2 << 32),
        ("settings", False, 3 << 32 | 100),
        ("frametype", False, 8),
        ("window", False, 256),
        ("frametype", True, 7),
        ("errorcode", True, 11),
        ("frametype", True, 2),
        ("priority", True, 31),
        ("frametype", True, 77),
    ]
    assert all(tx.done for tx in parser.conversation.transactions)


def test_an_interim_answer_is_not_the_answer() -> None:
    back = Deflater()
    said = headers(1, back.block(answered(b"103", (b"link", b"</x>"))), frames.END_HEADERS)
    said += headers(1, back.block(answered(b"200", (b"server", b"s"))), frames.END_HEADERS) + data(1, b"body")
    tx = _one((False, MAGIC + headers(1, Deflater().block(asked(b"/")))), (True, said))
    assert tx.buffers("http.stat_code", True) == [b"200"]
    assert b"link" not in tx.buffers("http.header", True)[0]


def test_fields_behind_a_body_are_seen() -> None:
    back = Deflater()
    said = headers(1, back.block(answered()), frames.END_HEADERS) + data(1, b"body", 0)
    said += headers(1, back.block([(b"x-late", b"evil")]))
    tx = _one((False, MAGIC + headers(1, Deflater().block(asked(b"/")))), (True, said))
    assert tx.done and b"x-late: evil\r\n" in tx.buffers("http.header", True)[0]


def test_a_pushed_request_is_one() -> None:
    back = Deflater()
    block = back.block(asked(b"/pushed"))
    push = frame(frames.PUSH_PROMISE, 1, b"\0\0\0\x02" + block[:5])
    push += frame(frames.CONTINUATION, 1, block[5:], frames.END_HEADERS)
    said = push + headers(2, back.block(answered()), frames.END_HEADERS) + data(2, b"unasked")
    parser = talk("http2", (False, MAGIC + headers(1, Deflater().block(asked(b"/")))), (True, said))
    tx = next(tx for tx in _streams(parser) if tx.stream == 2)
    assert tx.buffers("http.response_body", True) == [b"unasked"]
    assert tx.buffers("http.uri", False) == [b"/pushed"] and tx.buffers("http.stat_code", True) == [b"200"]
    assert tx.done and tx.events == []


def test_compressed_bodies_are_undone_and_a_bomb_is_not() -> None:
    request_ = MAGIC + headers(1, Deflater().block(asked(b"/")))

    def answer(coding: bytes, body: bytes) -> Http2Transaction:
        pieces = b"".join(data(1, body[at : at + 9000], 0) for at in range(0, len(body), 9000)) + data(1, b"")
        fields = headers(1, Deflater().block(answered(b"200", (b"content-encoding", coding))), frames.END_HEADERS)
        return _one((False, request_), (True, fields + pieces))

    assert answer(b"gzip", gzip.compress(b"evil" * 500)).buffers("file.data", True) == [b"evil" * 500]
    tx = answer(b"br", brotli.compress(bytes(30 << 20)))
    assert tx.events == ["failed_decompression"] and len(tx.response_message.body.kept.data) <= Limits().response_body
    assert tx.response_message.body.size < 3 << 20


BROKEN = [
    (headers(1, b"\x82", 4 | frames.PADDED), "invalid_frame_data"),
    (headers(1, b"\0\0", 4 | frames.WITH_PRIORITY), "invalid_frame_data"),
    (headers(0, b"\x82"), "invalid_frame_data"),
    (headers(1, b"\xff\xff\xff\xff\xff\xff\xff"), "header_integer_overflow"),
    (headers(1, b"\xf0"), "invalid_header"),
    (frame(frames.RST_STREAM, 1, b"\0\0\0"), "invalid_frame_length"),
    (frame(frames.WINDOW_UPDATE, 0, b"\0"), "invalid_frame_length"),
    (frame(frames.GOAWAY, 0, b"\0\0\0\0"), "invalid_frame_length"),
    (frame(frames.PRIORITY, 1, b"\0"), "invalid_frame_length"),
    (frame(frames.SETTINGS, 0, b"\0\0\0\0\0"), "invalid_frame_data"),
    (frame(frames.CONTINUATION, 1, b"\x82", 4), "invalid_frame_data"),
    (headers(1, b"\x82", 0) + data(1, b"x"), "invalid_frame_data"),
    (data(0, b"x"), "data_stream_zero"),
    (data(1, b"\xffabc", frames.PADDED), "invalid_frame_data"),
    (frame(frames.PING, 0, bytes(70_000)), "long_frame_data"),
    (headers(1, b"\x82", 0) + frame(frames.CONTINUATION, 1, bytes(60_000)) * 2, "reassembly_limit_reached"),
]


@pytest.mark.parametrize(("said", "event"), BROKEN)
def test_what_breaks_the_rules_is_told_and_what_follows_is_read(said: bytes, event: str) -> None:
    follows = headers(99, b"\x82\x84\x00\x01x\x01y")
    parser = talk("http2", (False, MAGIC + said + follows))
    assert event in {name for tx in parser.conversation.transactions for name in tx.events}
    last = next(tx for tx in _streams(parser) if tx.stream == 99)
    assert last.fields[0] == [(b":method", b"GET"), (b":path", b"/"), (b"x", b"y")]


def test_a_client_that_begins_otherwise_is_told() -> None:
    parser = talk("http2", (False, b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + settings((1, 1))))
    assert "invalid_client_magic" in {name for tx in parser.conversation.transactions for name in tx.events}


def test_a_hole_in_a_body_is_bridged_and_any_other_ends_that_side() -> None:
    parser = talk("http2", (False, MAGIC + headers(1, Deflater().block(asked(b"/a", b"PUT")), 4)), close=False)
    parser.data(False, data(1, b"x" * 100)[:59], 0)
    parser.data(False, b"x" * 30, 20)
    first = _streams(parser)[0]
    assert first.request_message.body.size == 80 and first.files[0].truncated
    parser.data(False, headers(3, b"\x82"), 0)
    assert len(_streams(parser)) == 2
    parser.data(False, headers(5, b"\x82"), 10)
    parser.data(False, headers(7, b"\x82"), 0)
    assert len(_streams(parser)) == 2


def test_what_is_kept_of_a_frame_that_never_ends_has_a_bound() -> None:
    for head in (b"\xff\xff\xff\x01\x04\0\0\0\1", b"\0\xff\xff\x01\x04\0\0\0\1", b"\xff\xff\xff\x00\x00\0\0\0\1"):
        parser = talk("http2", (False, MAGIC + head), close=False)
        assert isinstance(parser, Http2Parser)
        for _ in range(300):
            parser.data(False, b"x" * 1000, 0)
        assert len(parser._sides[0].buffer) < frames.MAX_FRAME + 10_000
        assert all(len(tx.request_message.body.kept.data) <= Limits().request_body for tx in _streams(parser))


# An Upgrade from HTTP/1


def _upgrade() -> Talk:
    ask = request(
        "/asked", more="Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAA\r\n"
    )
    back = Deflater()
    switched = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    answer = (
        settings((3, 100)) + headers(1, back.block(answered(b"200", (b"server", b"s"))), 4) + data(1, b"first answer")
    )
    talk_ = Talk().ask(ask).answer(switched + answer[:30])
    talk_.ask(MAGIC + settings((2, 0)) + headers(3, Deflater().block(asked(b"/second"))))
    return talk_.answer(answer[30:] + headers(3, back.block(answered(b"404")))).close()


def test_behind_an_upgrade_the_first_stream_answers_the_request_that_asked_for_it() -> None:
    packets = _upgrade().packets
    rules = (
        'alert http any any -> any any (http.uri; content:"/asked";)',
        'alert http2 any any -> any any (http.uri; content:"/second";)',
        'alert http2 any any => any any (http.uri; content:"/asked"; http.response_body; content:"first answer";)',
        'alert http1 any any -> any any (http.stat_code; content:"101";)',
        'alert http2 any any -> any any (http.stat_code; content:"404";)',
        "alert http2 any any -> any any (http2.settings:SETTINGS_MAX_CONCURRENT_STREAMS=100; flow:to_server;)",
    )
    # The request is looked at as one of HTTP/1, and again as the first stream's, as in Suricata.
    assert counts(packets, *rules) == {1: 2, 2: 1, 3: 1, 4: 1, 5: 1, 6: 1}


def test_settings_of_an_upgrade_that_are_none_are_told() -> None:
    former = talk("http", (False, request("/", more="Upgrade: h2c\r\nHTTP2-Settings: !\r\n")), close=False)
    former.data(True, b"HTTP/1.1 101 Go\r\nUpgrade: h2c\r\n\r\n", 0)
    assert former.next_protocol == "http2"
    parser = parser_of("http2", Conversation(0), Facts(40_000, 80, (0, 1), (0, 2), False), Limits())
    parser.take_over(former)
    assert _streams(parser)[0].events == ["invalid_http1_settings"]


# Rules


def _talked(question: bytes, answer: bytes, **more: int) -> list[bytes]:
    return Talk(**more).ask(MAGIC + question).answer(answer).close().packets


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ('http any any -> any any (http.uri; content:"/evil";)', 1),
        ('http2 any any -> any any (http.uri; content:"/evil";)', 1),
        ('http1 any any -> any any (http.uri; content:"/evil";)', 0),
        ("tcp any any -> any any (app-layer-protocol:http2;)", 1),
        ("tcp any any -> any any (app-layer-protocol:http;)", 1),
        ('http any any -> any any (http.response_body; content:"<evil>";)', 1),
        ("http2 any any -> any any (http2.frametype:headers;)", 2),
        ("http2 any any -> any any (http2.frametype:headers; flow:to_client;)", 1),
        ("http2 any any -> any any (http2.frametype:ping;)", 0),
        ("http2 any any -> any any (http2.settings:SETTINGS_ENABLE_PUSH;)", 1),
        ("http2 any any -> any any (http2.settings:SETTINGS_ENABLE_PUSH=0;)", 1),
        ("http2 any any -> any any (http2.settings:SETTINGS_ENABLE_PUSH>0;)", 0),
        ("http2 any any -> any any (http2.settings:SETTINGS_INITIAL_WINDOW_SIZE;)", 0),
        ("http2 any any -> any any (http2.window:256;)", 1),
        ("http2 any any -> any any (http2.errorcode:refused_stream;)", 1),
        ("http2 any any -> any any (http2.errorcode:no_error;)", 0),
        ('http2 any any -> any any (http2.header_name; content:"x-evil"; bsize:6;)', 1),
        ("http2 any any -> any any (http2.size_update:0;)", 0),
        ('http any any -> any any (http.stat_code; content:"200"; filesize:6;)', 1),
    ],
)
def test_rules_on_a_conversation(rule: str, wanted: int) -> None:
    question = settings((2, 0)) + headers(1, Deflater().block(asked(b"/evil", b"GET", (b"x-evil", b"1"))))
    back = Deflater()
    answer = settings() + headers(1, back.block(answered()), 4) + data(1, b"<evil>")
    answer += frame(frames.WINDOW_UPDATE, 0, b"\0\0\x01\0") + frame(frames.RST_STREAM, 7, b"\0\0\0\x07")
    assert counts(_talked(question, answer, dport=8000), f"alert {rule}").get(1, 0) == wanted


def test_a_server_that_speaks_first_is_recognised(tmp_path: Path) -> None:
    back = Deflater()
    packets = Talk(dport=8000).answer(settings((3, 100))).ask(MAGIC + headers(1, Deflater().block(asked(b"/late"))))
    file = tmp_path / "h2.pcap"
    file.write_bytes(capture(packets.answer(headers(1, back.block(answered(b"204")))).close().packets).read())
    heard = replay(file)
    assert [talk_.protocol for talk_ in heard.conversations] == ["http2"]
    assert heard.conversations[0].events == []
    assert heard.buffers("http.stat_code", True) == [b"204"]


# The real ones


class _Tap:
    """Stands between a client and a server, and keeps what each connection said."""

    def __init__(self, server: int) -> None:
        self._server = server
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.said: list[list[tuple[bool, bytes]]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server))
            kept: list[tuple[bool, bytes]] = []
            self.said.append(kept)
            for side, (come, go) in enumerate(((client, server), (server, client))):
                threading.Thread(target=self._copy, args=(bool(side), come, go, kept), daemon=True).start()

    @staticmethod
    def _copy(side: bool, come: socket.socket, go: socket.socket, kept: list[tuple[bool, bytes]]) -> None:
        try:
            while piece := come.recv(65_536):
                kept.append((side, piece))
                go.sendall(piece)
            go.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def entered() -> Iterator[Path]:
    """A folder that every user may enter: pytest's own is closed anew by any other run of pytest that begins meanwhile."""
    with tempfile.TemporaryDirectory(prefix="holdfast-h2-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def tap(entered: Path) -> Iterator[_Tap]:
    """A tap before a real Apache that speaks HTTP/2 without encryption."""
    port, modules = free_port(), "/usr/lib/apache2/modules"
    user = "" if os.geteuid() else "User nobody\nGroup nogroup\n"
    root = entered / "www"
    root.mkdir()
    (root / "index.html").write_text("hello http2 world")
    (root / "big.txt").write_text("evil " * 12_000)
    loads = ("mpm_event", "http2", "authz_core", "dir", "deflate", "filter", "mime")
    (entered / "apache.conf").write_text(
        f"ServerRoot {entered}\nServerName h2\nListen 127.0.0.1:{port}\nPidFile {entered}/pid\nMutex file:{entered}\n"
        + "".join(f"LoadModule {name}_module {modules}/mod_{name}.so\n" for name in loads)
        + f"TypesConfig /etc/mime.types\nSetOutputFilter DEFLATE\nProtocols h2c http/1.1\nDocumentRoot {root}\nErrorLog {entered}/error\n"
        + user
    )
    server = subprocess.Popen(["/usr/sbin/apache2", "-f", f"{entered}/apache.conf", "-DFOREGROUND"])
    try:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        found = _Tap(port)
        yield found
        found.close()
    finally:
        server.terminate()
        server.wait(20)


def _curl(*words: str) -> None:
    subprocess.run(["curl", "-s", "-o", os.devnull, "-m", "20", *words], check=True)


def test_what_curl_and_apache_say_to_each_other(tap: _Tap) -> None:
    where = f"http://127.0.0.1:{tap.port}"
    _curl("--http2-prior-knowledge", "-A", "odd-agent", "-d", "a=1&b=or 1=1", f"{where}/index.html?q=1")
    _curl("--http2-prior-knowledge", "--compressed", f"{where}/big.txt")
    first, second = (_streams(talk("http2", *said))[0] for said in tap.said)
    wanted: dict[str, tuple[bool, bytes]] = {
        "http.method": (False, b"POST"),
        "http.uri": (False, b"/index.html?q=1"),
        "http.user_agent": (False, b"odd-agent"),
        "http.request_body": (False, b"a=1&b=or 1=1"),
        "http.stat_code": (True, b"200"),
        "http.response_body": (True, b"hello http2 world"),
        "http.content_type": (True, b"text/html"),
    }
    assert {name: first.buffers(name, side) for name, (side, _) in wanted.items()} == {
        name: [value] for name, (_, value) in wanted.items()
    }
    assert second.message(True).headers.get(b"content-encoding") == b"gzip"
    assert second.buffers("file.data", True) == [b"evil " * 12_000]
    assert first.done and second.done and first.events == second.events == []


def test_what_curl_and_apache_say_behind_an_upgrade(tap: _Tap) -> None:
    _curl("--http2", "-A", "up-agent", f"http://127.0.0.1:{tap.port}/index.html?up=1")
    said = tap.said[0]
    former = talk("http", *said[:1], close=False)
    rest = said[1:]
    while rest and not former.next_protocol:
        former.data(*rest.pop(0), 0)
    assert former.next_protocol == "http2"
    parser = parser_of("http2", former.conversation, former.facts, Limits())
    parser.take_over(former)
    for side, piece in [(True, former.rest), *rest]:
        parser.data(side, piece, 0)
    tx = _streams(parser)[0]
    assert tx.buffers("http.uri", False) == [b"/index.html?up=1"]
    assert tx.buffers("http.user_agent", False) == [b"up-agent"]
    assert tx.buffers("http.response_body", True) == [b"hello http2 world"]
