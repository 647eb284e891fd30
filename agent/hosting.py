"""What a worker hosts: classes that the composition root has loaded, made with settings that the core has sent."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from contracts.action import Action
from contracts.collector import Collector, Watcher
from contracts.host import Host
from contracts.record import Record


class Hosting(Record):
    """The classes one worker hosts, by name, and how it comes by its host.

    `make_host` is called once, after the privileges were dropped; `make_dry` wraps that host so that nothing changes.
    """

    make_host: Callable[[], Host]
    make_dry: Callable[[Host], Host]
    collectors: Mapping[str, type[Collector[Any]]] = {}
    watchers: Mapping[str, type[Watcher]] = {}
    actions: Mapping[str, type[Action]] = {}


def make(kind: type[Any], encoded: bytes | None) -> Any:
    """Return an instance of `kind` with its settings, the defaults when none were sent.

    Raises `msgspec.ValidationError` for settings that are not of its type.
    """
    options = kind.options() if encoded is None else msgspec.msgpack.decode(encoded, type=kind.options)
    return kind(options)
