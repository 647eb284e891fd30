"""What a scheduled scan looks at first: files that integrity, the tripwire for web shells or a backup run saw change.

They are remembered until a scan has gone through them, over a restart, too; a bounded number, and the oldest give way. What gives way is
counted, and found by the ordinary walk where it lies below the paths of the scan.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

import msgspec
from msgspec import DecodeError, msgpack

from contracts.action import Command, Result
from contracts.event import Envelope, Event
from contracts.outcome import Ok
from contracts.record import Record

SCAN = "scan"
MOST = 4000
MOST_CHARS = 256 << 10
"""So many paths, of so many characters together: a command must fit into a frame."""
KEPT = "scan.first"
WRITE_S = 5.0
"""Changes that come together are written once."""
KINDS = (
    "integrity.created",
    "integrity.modified",
    "integrity.renamed",
    "integrity.timestomped",
    "integrity.setuid_changed",
    "integrity.capabilities_changed",
    "integrity.type_changed",
    "integrity.became_known",
    "integrity.webshell_found",
    "integrity.webshell_suspected",
    "integrity.transaction",
    "integrity.transaction_unproved",
    "integrity.many_changed",
)
"""Events of files whose content may be another one now."""
_TOLD = re.compile(r" \([^()]*\)$")


class Memory(Protocol):
    """Small facts that outlive the process (`agent.patient_memory`)."""

    def get(self, name: str) -> bytes | None:
        """Return what was put under `name`."""

    def put(self, name: str, value: bytes) -> None:
        """Keep `value` under `name`."""


class Waiting(Record):
    """As it is kept: the paths, the oldest first; how many gave way; and up to when events were taken (Unix ms)."""

    paths: tuple[str, ...] = ()
    beyond: int = 0
    until_ms: int = 0


class ScanFirst:
    """Keeps the paths (`contracts.text.escape` form). For the loop's thread."""

    def __init__(self, memory: Memory, later: Callable[[float, Callable[[], None]], object]) -> None:
        self._memory, self._later = memory, later
        kept = _decode(memory.get(KEPT))
        self._paths = dict.fromkeys(kept.paths, 0)
        """In the order in which they came; the number tells one that changed again from the one that a scan was given."""
        self._chars = sum(map(len, self._paths))
        self._beyond, self._until_ms, self._number = kept.beyond, kept.until_ms, 0
        self._given: dict[str, tuple[dict[str, int], int]] = {}
        self._unwritten = False

    @property
    def until_ms(self) -> int:
        """Up to when events were taken (Unix ms)."""
        return self._until_ms

    def resume(self, envelopes: Iterable[Envelope]) -> None:
        """Take what was stated before the start and not kept any more."""
        until_ms = self._until_ms
        for envelope in envelopes:
            if envelope.event.observed_ms > until_ms:
                self.take(envelope.event)

    def take(self, event: Event) -> None:
        """Remember what an event says changed."""
        if event.kind in KINDS:
            self._until_ms = max(self._until_ms, event.observed_ms)
            self._add(_paths(event.fields))
            self._write_soon()

    def prepare(self, command: Command) -> Command:
        """Return `command`, and for a scan of what changed with what it is to look at first."""
        arguments = command.arguments
        is_whole = command.action != SCAN or not arguments.get("delta") or command.dry_run
        if is_whole or arguments.get("paths") or arguments.get("path") or not (self._paths or self._beyond):
            return command
        self._given[command.id] = (dict(self._paths), self._beyond)
        more = {"first": list(self._paths), "beyond": self._beyond}
        return msgspec.structs.replace(command, arguments={**arguments, **more})

    def ended(self, command: Command, result: Result) -> None:
        """Take what a deed saw change, and forget what a scan has gone through."""
        if result.changed.paths or result.changed.beyond:
            self._beyond += result.changed.beyond
            self._add(result.changed.paths)
            self._write()  # no event says it a second time
        given, beyond = self._given.pop(command.id, ({}, 0))
        done = result.answer.get("first") if isinstance(result.outcome, Ok) else None
        if (not given and not beyond) or not isinstance(done, int):
            return
        for path, number in list(given.items())[:done]:
            if self._paths.get(path) == number:
                del self._paths[path]
                self._chars -= len(path)
        self._beyond -= beyond
        self._write()

    def _add(self, paths: Iterable[str]) -> None:
        self._number += 1
        for path in paths:
            if path in self._paths:
                del self._paths[path]
                self._chars -= len(path)
            self._paths[path] = self._number
            self._chars += len(path)
        while len(self._paths) > MOST or self._chars > MOST_CHARS:
            oldest = next(iter(self._paths))
            del self._paths[oldest]
            self._chars -= len(oldest)
            self._beyond += 1

    def _write_soon(self) -> None:
        if not self._unwritten:
            self._unwritten = True
            self._later(WRITE_S, self._write)

    def _write(self) -> None:
        self._unwritten = False
        kept = Waiting(paths=tuple(self._paths), beyond=self._beyond, until_ms=self._until_ms)
        self._memory.put(KEPT, msgpack.encode(kept))


def _decode(raw: bytes | None) -> Waiting:
    try:
        return msgpack.decode(raw, type=Waiting) if raw else Waiting()
    except DecodeError:
        return Waiting()  # of another version: the walk finds what changed


def _paths(fields: Mapping[str, object]) -> Iterator[str]:
    """Yield the paths that an event names."""
    path, paths, lines = fields.get("path"), fields.get("paths"), fields.get("changes")
    if isinstance(path, str):
        yield path
    yield from paths if isinstance(paths, list) else ()
    for line in lines if isinstance(lines, list) else ():
        # "modified mode /srv/a (mode 0644)", "renamed /srv/a -> /srv/b": see `analysis.integrity.wording.line`.
        _, slash, rest = str(line).rpartition(" -> /") if " -> /" in str(line) else str(line).partition(" /")
        if slash and not str(line).startswith("deleted "):
            yield "/" + rest
            short = _TOLD.sub("", "/" + rest)
            if short != "/" + rest:
                yield short
