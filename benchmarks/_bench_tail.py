"""A watcher for `ban_latency.py` alone: tails a file and states each line `offence ADDRESS` as an event, as a watcher of logs would."""

import ctypes
import os
import re
import select
from typing import ClassVar

from contracts.collector import Emit, Report
from contracts.event import Kind, Severity
from contracts.host import ReadOnlyHost, Stop
from contracts.options import CollectorOptions
from contracts.record import Record
from contracts.snapshot import Snapshot

OFFENCE = Kind(
    name="bench.offence",
    meaning="A line of the benchmark's log named a source.",
    title="{address} offended",
    severity=Severity.LOW,
    fields={"address": "str"},
)
_LINE = re.compile(r"offence from (\S+)$")
_IN_MODIFY = 2


class Nothing(Record):
    """No row is ever made."""


class Tail:
    """The collector that lends the watcher its name; sees nothing."""

    name: ClassVar[str] = "bench"
    kinds: ClassVar[tuple[Kind, ...]] = ()
    row = Nothing
    options = CollectorOptions

    def __init__(self, options: CollectorOptions) -> None:
        self._options = options

    def collect(self, host: ReadOnlyHost, before: Snapshot[Nothing]) -> Report[Nothing]:
        return Report()


class TailWatcher:
    """Follows the file that HOLDFAST_BENCH_LOG names."""

    name: ClassVar[str] = "bench"
    kinds: ClassVar[tuple[Kind, ...]] = (OFFENCE,)
    options = CollectorOptions

    def __init__(self, options: CollectorOptions) -> None:
        self._options = options

    def watch(self, host: ReadOnlyHost, emit: Emit, stop: Stop) -> None:
        path = os.environ["HOLDFAST_BENCH_LOG"]
        libc = ctypes.CDLL(None, use_errno=True)
        notices = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        libc.inotify_add_watch(notices, path.encode(), _IN_MODIFY)
        with open(path, encoding="ascii") as log:
            log.seek(0, os.SEEK_END)
            while not stop.is_set():
                ready, _, _ = select.select([notices, stop.fileno()], [], [])
                if notices in ready:
                    os.read(notices, 65536)
                for line in log:
                    match = _LINE.search(line)
                    if match is not None:
                        now_ms = int(host.now().timestamp() * 1000)
                        emit.event(OFFENCE.event(match[1], address=match[1], observed_ms=now_ms))
        os.close(notices)
