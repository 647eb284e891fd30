"""Malformed, oversized and hostile reports: always an answer, never a crash, memory bounded; over real mutual TLS."""

import http.client
import json
import resource
import struct
import time
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.ingest import decompress, open_report
from console.parts import now_ms
from contracts.errors import Malformed, TooLarge
from contracts.wire import MAX_BATCH_RAW_BYTES, Ack, Batch, Problem, SubjectPart

HOSTILE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
def link(console: Any, agent: Any) -> Any:
    """A kept-open connection on which reports are posted."""
    client = http.client.HTTPSConnection("localhost", console.port, context=console.context(agent), timeout=60)

    def post(body: bytes) -> int:
        client.request("POST", "/v1/report", body)
        answer = client.getresponse()
        answer.read()
        return answer.status

    yield post
    client.close()


@HOSTILE
@given(body=st.binary(max_size=300))
def test_random_bytes_are_refused(link: Any, body: bytes) -> None:
    assert link(body) == 400


@HOSTILE
@given(data=st.data())
def test_damaged_reports_are_refused_or_harmless(link: Any, agent: Any, lanes: Any, beat: Any, data: Any) -> None:
    whole = Batch(
        agent=agent.name,
        heartbeat=beat(),
        lanes=(lanes(agent.name).part(1),),
        subjects=(SubjectPart(subject="ports", base=0, revision=1, put={"a": b"{}"}),),
    )
    raw = bytearray(msgspec.msgpack.encode(whole))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    assert link(zstandard.ZstdCompressor().compress(bytes(raw))) in (200, 400, 403, 409)


@HOSTILE
@given(row=st.one_of(st.binary(max_size=50), st.integers(1, 30_000).map(lambda depth: b"[" * depth)))
def test_rows_that_are_not_json_are_refused(row: bytes) -> None:
    part = SubjectPart(subject="ports", base=0, revision=1, put={"a": row})
    body = zstandard.ZstdCompressor().compress(msgspec.msgpack.encode(Batch(agent="a" * 32, subjects=(part,))))
    try:
        opened = open_report(body)
    except Malformed:
        with pytest.raises((ValueError, RecursionError)):
            json.loads(row.decode("utf-8"))
        return
    assert opened.subjects == (part,)


def test_a_bomb_is_not_unpacked(console: Any, agent: Any) -> None:
    bomb = zstandard.ZstdCompressor(level=19).compress(bytes(3 << 30 >> 4))
    liar = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(MAX_BATCH_RAW_BYTES * 4))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for body in (bomb, liar):
        status, _ = console.post("/v1/report", body, agent)
        assert status == 413
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < (MAX_BATCH_RAW_BYTES * 3) >> 10


def test_a_frame_that_lies_about_its_size_allocates_nothing() -> None:
    head = struct.pack("<IB", 0xFD2FB528, 0b11100000) + struct.pack("<Q", 1 << 50)
    with pytest.raises(TooLarge):
        decompress(head + b"\x01\x00\x00")
    with pytest.raises(Malformed):
        decompress(zstandard.ZstdCompressor().compress(b"x") + b"trailing")
    assert decompress(zstandard.ZstdCompressor().compress(b"")) == b""


@pytest.mark.parametrize(
    "part",
    [
        SubjectPart(subject="../etc", base=0, revision=1),
        SubjectPart(subject="ports", base=5, revision=1),
        SubjectPart(subject="ports", base=0, revision=2**63),
        SubjectPart(subject="ports", base=0, revision=1, put={"a\0": b"{}"}),
        SubjectPart(subject="ports", base=0, revision=1, put={"a": b'"' + b"x" * 70_000 + b'"'}),
        SubjectPart(subject="ports", base=0, revision=1, at_ms=-1),
    ],
)
def test_impossible_rows_are_refused_and_noted(console: Any, agent: Any, part: SubjectPart) -> None:
    refused = console.report(agent, Batch(agent=agent.name, subjects=(part,)))
    assert refused[0] == 400
    assert refused[1].permanent
    assert console.do(console.parts.store.findings(agent.name))[0].kind == "malformed"


def test_a_large_report_does_not_hold_up_heartbeats(console: Any, agent: Any, beat: Any) -> None:
    rows = {f"row {number}": json.dumps({"n": number, "t": "x" * 300}).encode() for number in range(20_000)}
    part = SubjectPart(subject="ports", base=0, revision=1, put=rows)
    ack = console.report(agent, Batch(agent=agent.name, heartbeat=beat(), subjects=(part,)))
    assert isinstance(ack, Ack)
    assert len(console.do(console.parts.store.subject(agent.name, "ports")).rows) == 20_000


def test_other_paths_and_methods_are_answered(console: Any, agent: Any) -> None:
    client = http.client.HTTPSConnection("localhost", console.port, context=console.context(agent), timeout=60)
    for method, path, status in (("GET", "/v1/report", 405), ("POST", "/v1/enrol", 404), ("DELETE", "/%ff", 404)):
        client.request(method, path, b"")
        answer = client.getresponse()
        assert (answer.status, msgspec.msgpack.decode(answer.read(), type=Problem).permanent) == (status, True)
    client.close()


def test_the_acknowledgement_says_how_often_to_report(console: Any, agent: Any, beat: Any) -> None:
    ack = console.report(agent, Batch(agent=agent.name, heartbeat=beat()))
    assert ack.interval_s == 1.0
    assert abs(ack.now_ms - now_ms()) < 30_000


def test_after_all_that_the_console_still_takes_a_report(console: Any, agent: Any, beat: Any) -> None:
    began = time.monotonic()
    assert isinstance(console.report(agent, Batch(agent=agent.name, heartbeat=beat())), Ack)
    assert time.monotonic() - began < 60
