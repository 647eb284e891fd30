"""A console that is killed at any moment has what it acknowledged, once, and takes up where it was."""

import http.client
import os
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from console.store.records import EventFilter
from contracts.event import GENESIS, Lane
from contracts.wire import Ack, Batch, LanePart, Problem
from tests.free_port import free_port

KILLS = 4


def _start(settings: Any, port: int) -> subprocess.Popen[bytes]:
    holdfast = str(Path(sys.executable).with_name("holdfast"))
    listening = ("--people", "127.0.0.1:0", "--agents", f"127.0.0.1:{port}", "--json")
    started = subprocess.Popen(
        [holdfast, "console", "serve", "--state-dir", settings.state, *listening],
        stdout=subprocess.PIPE,
        env={**os.environ, "HOLDFAST_CONSOLE_CONFIG": ""},
    )
    assert started.stdout is not None
    assert started.stdout.readline()
    return started


class Spool:
    """What an agent holds: records in order, sent again from the first one that is not acknowledged."""

    def __init__(self, agent: Any, lane: Any, context: ssl.SSLContext, port: int, pack: Any) -> None:
        self.agent, self.lane, self.context, self.port, self.pack = agent, lane, context, port, pack
        self.items: list[Any] = []
        self.acked = 0
        self.stop = threading.Event()
        self.odd: list[Any] = []

    def run(self) -> None:
        while not self.stop.is_set():
            client = http.client.HTTPSConnection("localhost", self.port, context=self.context, timeout=5)
            try:
                while not self.stop.is_set():
                    self.send(client)
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
            finally:
                client.close()

    def send(self, client: http.client.HTTPSConnection) -> None:
        while len(self.items) < self.acked + 20:
            self.items.append(self.lane.event())
        previous = self.items[self.acked - 1].chain if self.acked else GENESIS
        part = LanePart(lane=Lane.NORMAL, previous=previous, items=tuple(self.items[self.acked : self.acked + 20]))
        client.request("POST", "/v1/report", self.pack(Batch(agent=self.agent.name, lanes=(part,))))
        answer = client.getresponse()
        body = answer.read()
        if answer.status == 200:
            self.acked = msgspec.msgpack.decode(body, type=Ack).lanes[Lane.NORMAL]
        else:
            self.odd.append(msgspec.msgpack.decode(body, type=Problem))


def test_what_was_acknowledged_survives_sigkill_and_nothing_is_held_twice(
    run_console: Any, console_settings: Any, stranger: Any, lanes: Any, packed: Any
) -> None:
    first = run_console(console_settings)
    first.enrol(stranger)
    context = first.context(stranger)
    first.stop()
    port = free_port()
    spool = Spool(stranger, lanes(stranger.name), context, port, packed)
    sender = threading.Thread(target=spool.run, daemon=True)
    sender.start()
    for number in range(KILLS):
        before = spool.acked
        console = _start(console_settings, port)
        end = time.monotonic() + 150
        while spool.acked < before + 100 and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.013 * number)
        console.kill()
        console.wait()
    spool.stop.set()
    sender.join(30)
    last = run_console(console_settings)
    held = last.do(last.parts.store.agent(stranger.name, 1)).lanes[Lane.NORMAL]
    assert spool.acked >= 100 * KILLS
    assert spool.odd == []
    assert held >= spool.acked
    bodies: list[int] = []
    cursor = ""
    while True:
        page = last.do(last.parts.store.events(EventFilter(agent=stranger.name), limit=1000, cursor=cursor))
        bodies += [row.envelope.seq for row in page.events]
        cursor = page.next
        if not cursor:
            break
    assert sorted(bodies) == list(range(1, held + 1))
    assert last.do(last.parts.store.findings(stranger.name)) == ()
