"""How an event looks outside: as OCSF and as one line of text; and what an output says of itself."""

from collections.abc import Callable, Mapping
from typing import Any

from contracts.event import Envelope, Kind
from contracts.host import Facts
from contracts.ocsf import to_ocsf
from contracts.record import Record
from contracts.title import title


class OutputState(Record):
    """How an output is: events written and lost since the start, and what is wrong right now ("" when nothing is)."""

    name: str
    written: int = 0
    lost: int = 0
    problem: str = ""


class Rendering:
    """Renders envelopes with the kinds that are declared and the facts of this machine."""

    def __init__(self, kinds: Mapping[str, Kind], facts: Callable[[], Facts], version: str) -> None:
        self._kinds, self._facts, self._version = kinds, facts, version

    def ocsf(self, envelope: Envelope) -> dict[str, Any]:
        """Return the event as OCSF."""
        return to_ocsf(envelope, self._kind(envelope), self._facts(), version=self._version)

    def text(self, envelope: Envelope) -> str:
        """Return the event as one line."""
        return title(self._kind(envelope), envelope.event)

    def _kind(self, envelope: Envelope) -> Kind:
        """Return the kind, or a stand-in for one that an older or newer part declared: an event is never left out for its name."""
        event = envelope.event
        known = self._kinds.get(event.kind)
        return known or Kind(
            name=event.kind, meaning=f"{event.kind}.", title=f"{event.kind}: {{key}}", severity=event.severity
        )
