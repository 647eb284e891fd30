"""Frames over a stream socket, whatever pieces they come in."""

import socket
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.framing import Splitter, core_codec, pack, read_frame, worker_codec, write_frame
from contracts.errors import Malformed, TooLarge
from contracts.frames import MAX_FRAME, Ping, Pong, ReportPage
from contracts.text import escape, unescape


@settings(max_examples=60)
@given(st.lists(st.binary(min_size=1, max_size=300), max_size=8), st.integers(1, 97))
def test_any_cut_of_the_stream_gives_the_same_frames(bodies, size):
    stream = b"".join(pack(body) for body in bodies)
    splitter = Splitter()
    got = [body for start in range(0, len(stream), size) for body in splitter.feed(stream[start : start + size])]
    assert got == bodies
    assert not splitter.partial


@settings(max_examples=60)
@given(st.binary(max_size=2000))
def test_arbitrary_bytes_are_frames_or_refused_and_nothing_else(stream):
    splitter, codec = Splitter(max_bytes=1000), worker_codec()
    try:
        for body in splitter.feed(stream):
            codec.decode(body)
    except Malformed:
        return
    assert len(splitter._held) <= 1004


@pytest.mark.parametrize("length", [0, MAX_FRAME + 1, 0xFFFFFFFF])
def test_a_length_nobody_agreed_to_is_refused_before_the_body_comes(length):
    with pytest.raises(TooLarge if length else Malformed):
        list(Splitter().feed(struct.pack(">I", length)))
    left, right = socket.socketpair()
    with left, right:
        left.sendall(struct.pack(">I", length))
        with pytest.raises(Malformed):
            read_frame(right)


def test_blocking_ends_read_what_was_written_and_none_at_the_end():
    left, right = socket.socketpair()
    with right:
        with left:
            write_frame(left, b"one")
            write_frame(left, b"two")
        assert [read_frame(right), read_frame(right), read_frame(right)] == [b"one", b"two", None]


@pytest.mark.parametrize("start", [b"\0\0", b"\0\0\0\5", b"\0\0\0\5abc"])
def test_a_stream_that_ends_inside_a_frame_is_malformed_not_an_orderly_end(start):
    left, right = socket.socketpair()
    with right:
        with left:
            left.sendall(start)
        with pytest.raises(Malformed):
            read_frame(right)


def test_each_side_decodes_only_what_the_other_side_says():
    body = worker_codec().encode(Pong(nonce=7))
    assert worker_codec().decode(body) == Pong(nonce=7)
    with pytest.raises(Malformed):
        core_codec().decode(body)
    assert core_codec().decode(core_codec().encode(Ping(nonce=7))) == Ping(nonce=7)


def test_names_that_are_not_utf8_travel_faithfully():
    name = b"/tmp/\xff\xfe\\n\n\xc3\xa4"
    page = worker_codec().decode(worker_codec().encode(ReportPage(id=1, removed=(escape(name),))))
    assert unescape(page.removed[0]) == name
    with pytest.raises(Malformed):
        worker_codec().encode(ReportPage(id=1, removed=("\udcff",)))
