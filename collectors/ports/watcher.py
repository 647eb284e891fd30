"""Asks for a look at the ports as soon as one was opened or closed. The kernel announces none, so this polls what is cheap to ask."""

import time
from collections import deque
from typing import ClassVar

from collectors.ports.options import Options
from contracts.collector import Emit
from contracts.event import Kind
from contracts.host import ReadOnlyHost, Stop
from contracts.subjects.ports import SUBJECT

_REST = 200
"""It sleeps at least so many times as long as it works: half a percent of one core at the most, far less where few sockets are."""
_COSTS = 3
"""The least of so many turns says how long it works: a machine that stood still in one of them may count that as work."""
_SHORT_S = 10.0
"""No rest is longer while fewer turns than that are known."""


class PortsWatcher:
    """Polls a fingerprint of this host's own namespace; other namespaces are looked at with every full look."""

    name: ClassVar[str] = SUBJECT
    kinds: ClassVar[tuple[Kind, ...]] = ()
    options: ClassVar[type[Options]] = Options

    def __init__(self, options: Options) -> None:
        self._options = options

    def watch(self, host: ReadOnlyHost, emit: Emit, stop: Stop) -> None:
        """Watch until `stop` is set; raises `Unavailable` when the kernel does not tell."""
        clients = not self._options.ignore_ephemeral_udp
        last = host.sockets.fingerprint(clients)
        # Whatever opened between the last full look and now would go unnoticed until the next one.
        emit.changed(SUBJECT)
        costs: deque[float] = deque(maxlen=_COSTS)
        while True:
            began = time.thread_time()
            now = host.sockets.fingerprint(clients)
            if now != last:
                last = now
                emit.changed(SUBJECT)
            costs.append(time.thread_time() - began)
            rest = min(costs) * _REST
            if len(costs) < _COSTS:
                rest = min(rest, _SHORT_S)
            if stop.wait(max(self._options.poll, rest)):
                return
