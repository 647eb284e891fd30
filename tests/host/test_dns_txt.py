"""The TXT record of a name, from a name server that the test is, honest or not."""

import socket
import struct
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import Unavailable
from host import dns_txt

TEXT = "0.103.12:62:27695:1751900000:0:90:49192:336"


def answer(question, texts, number=None, code=0):
    head = struct.pack(
        ">HHHHHH",
        number if number is not None else struct.unpack(">H", question[:2])[0],
        0x8180 | code,
        1,
        len(texts),
        0,
        0,
    )
    asked = question[12 : question.index(b"\0", 12) + 5]
    records = b""
    for text in texts:
        data = b"".join(bytes([len(part)]) + part for part in (text[:20].encode(), text[20:].encode()) if part)
        records += b"\xc0\x0c" + struct.pack(">HHIH", 16, 1, 60, len(data)) + data
    return head + asked + records


@pytest.fixture
def server():
    """`server(how)` answers one question by `how(question)` on loopback."""
    sockets = []

    def serve(how):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        sockets.append(sock)

        def run():
            question, peer = sock.recvfrom(4096)
            sock.sendto(how(question), peer)

        threading.Thread(target=run, daemon=True).start()
        return (("127.0.0.1", sock.getsockname()[1]),)

    yield serve
    for sock in sockets:
        sock.close()


def test_a_record_in_pieces_is_put_together(server):
    asked = server(lambda question: answer(question, [TEXT]))
    assert dns_txt.texts("current.cvd.clamav.net", asked) == (TEXT,)


@pytest.mark.parametrize(
    "how",
    [
        lambda question: answer(question, [TEXT], number=(struct.unpack(">H", question[:2])[0] + 1) % 65536),
        lambda question: answer(question, [], code=3),
        lambda question: answer(question, [TEXT])[:-10],
        lambda question: b"",
        lambda question: question,
    ],
    ids=["another number", "no such name", "cut off", "empty", "echo"],
)
def test_what_is_no_answer_is_not_taken_for_one(server, how):
    with pytest.raises(Unavailable):
        dns_txt.texts("current.cvd.clamav.net", server(how), timeout_s=1)


def test_a_silent_server_costs_its_time_alone():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        with pytest.raises(Unavailable, match="could not be asked"):
            dns_txt.texts("a.example", (("127.0.0.1", sock.getsockname()[1]),), timeout_s=0.2)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_an_error_that_is_known(raw):
    question = b"\1a\0\0\x10\0\1"
    for data in (raw, struct.pack(">HHHHHH", 7, 0x8180, 1, 3, 0, 0) + question + raw):
        try:
            dns_txt.parse(data, 7, question)
        except (dns_txt.NoAnswer, IndexError, struct.error):
            continue
