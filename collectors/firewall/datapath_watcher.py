"""Watches the network: asks for a look at the datapath when links, addresses, routes, rules, switches or filters of tc change."""

from typing import ClassVar

from collectors.firewall.datapath import Options
from contracts.collector import Emit
from contracts.event import Kind
from contracts.host import ReadOnlyHost, Stop
from contracts.subjects.datapath import SUBJECT

PAUSE_S = 1.0
"""After one change the next is heard so much later: the table of a router changes many times a second, and a look reads it all."""


class DatapathWatcher:
    """Asks for a look whenever the network changes; changes of the ruleset are watched by the firewall's watcher."""

    name: ClassVar[str] = SUBJECT
    kinds: ClassVar[tuple[Kind, ...]] = ()
    options: ClassVar[type[Options]] = Options

    def __init__(self, options: Options) -> None:
        self._options = options

    def watch(self, host: ReadOnlyHost, emit: Emit, stop: Stop) -> None:
        """Watch until `stop`; raises `Unavailable` where netlink may not be listened to.

        A notice that the kernel dropped is no gap: the look that follows reads everything anew.
        """
        for _ in host.network_changes(stop):
            emit.changed(SUBJECT)
            if stop.wait(PAUSE_S):
                return
