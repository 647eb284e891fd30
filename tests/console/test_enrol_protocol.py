"""The parser for clients without a certificate: one request, small and soon, and nothing else."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.enrol_protocol import REQUEST_LINE, EnrolLimits, EnrolProtocol, Gateway
from console.enrolment import Answer
from console.metrics import Metrics
from contracts.wire import MAX_ENROL_BYTES


class Transport:
    """Records what a protocol does to its connection."""

    def __init__(self) -> None:
        self.written, self.aborted, self.closed = b"", False, False

    def get_extra_info(self, _name: str) -> Any:
        return ("192.0.2.1", 1)

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.closed or self.aborted


async def talk(chunks: list[bytes], limits: EnrolLimits | None = None) -> tuple[Transport, list[bytes]]:
    bodies: list[bytes] = []

    async def enrol(body: bytes, _source: str) -> Answer:
        bodies.append(body)
        return Answer(status=200, body=b"welcome")

    transport = Transport()
    protocol = EnrolProtocol(Gateway(enrol, Metrics(), limits))
    protocol.connection_made(transport)  # type: ignore[arg-type]
    for chunk in chunks:
        protocol.data_received(chunk)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return transport, bodies


def test_a_request_is_answered_and_the_connection_closed() -> None:
    transport, bodies = asyncio.run(talk([REQUEST_LINE + b"Host: x\r\nContent-Length: 4\r\n\r\nbo", b"dy"]))
    assert bodies == [b"body"]
    assert transport.written.endswith(b"welcome")
    assert transport.closed


@given(st.integers(1, 60))
@settings(max_examples=30, deadline=None)
def test_however_it_is_cut_it_is_the_same_request(size: int) -> None:
    whole = REQUEST_LINE + b"Host: x\r\ncontent-length: 4\r\n\r\nbody"
    chunks = [whole[start : start + size] for start in range(0, len(whole), size)]
    assert asyncio.run(talk(chunks))[1] == [b"body"]


@pytest.mark.parametrize(
    "sent",
    [
        b"G",
        b"POST /v1/report HTTP/1.1\r\n",
        REQUEST_LINE + b"\r\n",
        REQUEST_LINE + b"content-length: 1\r\ncontent-length: 1\r\n\r\n",
        REQUEST_LINE + b"content-length: -1\r\n\r\n",
        REQUEST_LINE + b"content-length: %d\r\n\r\n" % (MAX_ENROL_BYTES + 1),
        REQUEST_LINE + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        REQUEST_LINE + b"content-length : 1\r\n\r\n",
        REQUEST_LINE + b" folded: 1\r\ncontent-length: 1\r\n\r\n",
        REQUEST_LINE + b"x: " + b"y" * 5000,
        REQUEST_LINE + b"content-length: 1\r\n\r\nxy",
    ],
)
def test_anything_else_is_cut_off_without_an_answer(sent: bytes) -> None:
    transport, bodies = asyncio.run(talk([sent]))
    assert (transport.aborted, transport.written, bodies) == (True, b"", [])


@given(
    st.lists(
        st.one_of(st.binary(max_size=40), st.just(REQUEST_LINE), st.just(b"content-length: 3\r\n\r\n")), max_size=6
    )
)
@settings(max_examples=150, deadline=None)
def test_nonsense_never_raises_and_is_never_kept_long(chunks: list[bytes]) -> None:
    transport, bodies = asyncio.run(talk(chunks))
    assert len(bodies) <= 1
    assert transport.aborted or not transport.written or bodies


def test_a_slow_client_is_cut_off() -> None:
    async def slow() -> tuple[Transport, int]:
        async def enrol(_body: bytes, _source: str) -> Answer:
            raise AssertionError("nothing was asked")

        gateway = Gateway(enrol, Metrics(), EnrolLimits(whole_s=5))
        transport = Transport()
        protocol = EnrolProtocol(gateway)
        protocol.connection_made(transport)  # type: ignore[arg-type]
        protocol.data_received(b"POST /v1/")
        now = asyncio.get_running_loop().time()
        gateway.sweep(now + 4)
        assert not transport.aborted
        gateway.sweep(now + 6)
        protocol.connection_lost(None)
        return transport, len(gateway.protocols)

    transport, left = asyncio.run(slow())
    assert transport.aborted
    assert left == 0


def test_one_source_cannot_take_all_places() -> None:
    async def many() -> list[bool]:
        async def enrol(_body: bytes, _source: str) -> Answer:
            raise AssertionError("nothing was asked")

        gateway = Gateway(enrol, Metrics(), EnrolLimits(max_per_source=2))
        transports = [Transport() for _ in range(3)]
        for transport in transports:
            EnrolProtocol(gateway).connection_made(transport)  # type: ignore[arg-type]
        return [transport.aborted for transport in transports]

    assert asyncio.run(many()) == [False, False, True]
