"""Slow connections are ended, answers travel in one piece."""

import asyncio
import time
from typing import Any

import pytest

from console.patient_protocol import Patience
from console.peer_protocol import Corked


class Transport:
    """Counts writes."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    get_extra_info = pause_reading = resume_reading = abort = close


def test_head_and_body_are_written_together() -> None:
    async def run() -> Transport:
        transport = Transport()
        corked = Corked(transport, asyncio.get_running_loop())  # type: ignore[arg-type]
        corked.write(b"head")
        corked.write(b"body")
        assert transport.written == []
        await asyncio.sleep(0)
        corked.write(b"last")
        corked.close()
        return transport

    transport = asyncio.run(run())
    assert transport.written == [b"headbody", b"last"]
    assert transport.closed


def test_a_slowloris_is_cut_off(run_console: Any, console_settings: Any, stranger: Any, monkeypatch: Any) -> None:
    # Longer than a machine may stand still in the middle of a request that is in order.
    monkeypatch.setattr("console.wiring.Patience", lambda **given: Patience(request_s=4.0, **given))
    console = run_console(console_settings)
    console.enrol(stranger)
    began = time.monotonic()
    with console.connect(stranger) as tls, pytest.raises(OSError):
        for _ in range(500):
            tls.sendall(b"POST /v1/report HTTP/1.1\r\n" if _ == 0 else b"x: y\r\n")
            time.sleep(0.05)
        raise AssertionError("it was never cut off")
    assert time.monotonic() - began < 60
