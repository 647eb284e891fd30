"""Changes of the network ask for a look, one after another and not all at once."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from collectors.firewall import datapath_watcher
from collectors.firewall.datapath import Options
from collectors.firewall.datapath_watcher import DatapathWatcher
from contracts.errors import Unavailable, Why


class Emitted:
    def __init__(self) -> None:
        self.changes: list[tuple[str, float]] = []

    def changed(self, subject: str) -> None:
        self.changes.append((subject, time.monotonic()))


class Network:
    def __init__(self, words: list[str]) -> None:
        self.words = words

    def network_changes(self, stop: Any) -> Iterator[str]:
        yield from self.words


def test_every_change_asks_for_a_look_but_not_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datapath_watcher, "PAUSE_S", 0.2)
    said, words = Emitted(), ["changed", "overflow", "changed"]
    DatapathWatcher(Options()).watch(Network(words), said, threading.Event())  # type: ignore[arg-type]
    assert [subject for subject, _ in said.changes] == ["datapath"] * 3
    assert said.changes[2][1] - said.changes[0][1] >= 0.4


def test_it_stops_while_it_pauses() -> None:
    stop, said = threading.Event(), Emitted()
    stop.set()
    DatapathWatcher(Options()).watch(Network(["changed"] * 5), said, stop)  # type: ignore[arg-type]
    assert len(said.changes) == 1


def test_without_netlink_it_cannot_watch() -> None:
    class Deaf:
        def network_changes(self, stop: Any) -> Iterator[str]:
            raise Unavailable(Why.PERMISSION, "netlink refused")

    with pytest.raises(Unavailable):
        DatapathWatcher(Options()).watch(Deaf(), Emitted(), threading.Event())  # type: ignore[arg-type]
