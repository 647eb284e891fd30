"""A core for the sensor's tests: takes what is said, hands over what a test has put there."""

from collections.abc import Mapping

from contracts.collector import Fetched, Piece
from contracts.coverage import Blind
from contracts.event import Event
from contracts.options import CollectorOptions


class Told:
    """An `Emit` that remembers."""

    def __init__(self, materials: Mapping[str, Fetched] | None = None) -> None:
        self.events: list[Event] = []
        self.kept: dict[str, bytes] = {}
        self.spots: tuple[Blind, ...] = ()
        self.gaps: list[str] = []
        self.asked: list[str] = []
        """Subjects that a look is asked for."""
        self.materials = dict(materials or {})
        self.tuned: CollectorOptions | None = None
        self._asked: dict[str, str] = {}

    def event(self, event: Event) -> None:
        self.events.append(event)

    def changed(self, subject: str) -> None:
        self.asked.append(subject)

    def gap(self, reason: str, seconds: float) -> None:
        self.gaps.append(reason)

    def blind(self, spots: tuple[Blind, ...]) -> None:
        self.spots = spots

    def fetch(self, name: str, have: str = "") -> None:
        self._asked[name] = have

    def fetched(self, name: str) -> Fetched | None:
        if name not in self._asked:
            return None
        have, held = self._asked.pop(name), self.materials.get(name, Fetched(signature="", pieces=()))
        return Fetched(signature=held.signature) if have and have == held.signature else held

    def keep(self, what: str, name: str, data: bytes) -> None:
        self.kept[f"{what}/{name}"] = data

    def retuned(self) -> CollectorOptions | None:
        newest, self.tuned = self.tuned, None
        return newest

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


def rules(*texts: str, signature: str = "1") -> Fetched:
    """Return files of rules as the core hands them over."""
    pieces = [Piece(role="rules", path=f"{number}.rules", data=text.encode()) for number, text in enumerate(texts)]
    return Fetched(signature=signature, pieces=tuple(pieces))


KEY = Fetched(signature="1", pieces=(Piece(role="key", path="key", data=b"k" * 32),))
