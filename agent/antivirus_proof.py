"""Follows a proof of detection: a test file was written; is it found, and does the report reach the console, and how long does that take?

The file is written by a deed, found by the watcher of changed files, stated like any malware, and acknowledged by the console like any
event: nothing on the way knows that it is a test, except that the report carries the proof's id instead of an alarm.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from agent.responder import Deed
from contracts.action import Command, Result
from contracts.event import Envelope, Event, Kind, Lane, Severity, Value
from contracts.frames import Advance
from contracts.record import Record
from contracts.subjects.antivirus import FOUND, MISSED, PLANTED, PROVED

PROOF_PROVED = Kind(
    name=PROVED,
    meaning="A harmless test file in a watched folder was found, and its report went the whole way.",
    title="A test file was detected after {detected_ms:.0f} ms; {detail}",
    severity=Severity.INFORMATIONAL,
    fields={"path": "str", "proof": "str", "detected_ms": "float", "reached_ms": "float", "detail": "str"},
    ocsf_class=6002,
)
PROOF_MISSED = Kind(
    name=MISSED,
    meaning="A harmless test file in a watched folder was not found in time, or its report did not reach the console: nor would malware.",
    title="A test file was missed: {detail}",
    severity=Severity.CRITICAL,
    fields={"path": "str", "proof": "str", "detail": "str"},
    attack=("T1562.001",),
    advice="See `holdfast antivirus status` and `holdfast coverage`: the daemon, the watcher and the way to the console.",
    ocsf_class=6008,
)
KINDS = (PROOF_PROVED, PROOF_MISSED)
POLL_S = 0.05
ACTION = "antivirus_prove"
WHO = "proof"
_REMEMBERED = 20


class Loop(Protocol):
    """The part of the event loop that calls back."""

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> object:
        """Call back once."""


class Positions(Protocol):
    """The part of the spool that knows what the console has."""

    def positions(self) -> Mapping[Lane, tuple[int, int]]:
        """Per lane what is acknowledged and the last seq."""


class Doer(Protocol):
    """The part of the core that carries out a command."""

    def do_for(
        self, deed: Deed, command: Command, done: Callable[[Result], None], progress: Callable[[Advance], None]
    ) -> None:
        """Carry it out."""


class Found(Record):
    """When a test file was found, and where its report stands in the spool."""

    at_ms: int
    lane: Lane
    seq: int


class Proof(Record):
    """One proof under way."""

    id: str
    path: str
    planted_ms: int
    until: float


class AntivirusProof:
    """Takes every event that has become durable; at most a few of them matter."""

    def __init__(
        self,
        core: Doer,
        spool: Positions,
        loop: Loop,
        monotonic: Callable[[], float],
        now_ms: Callable[[], int],
        state: Callable[[Event], None],
        deeds: Callable[[], Mapping[str, Deed]],
        new_id: Callable[[], str],
        console: Callable[[], bool],
    ) -> None:
        self._core, self._spool, self._loop = core, spool, loop
        self._monotonic, self._now_ms, self._state = monotonic, now_ms, state
        self._deeds, self._new_id, self._console = deeds, new_id, console
        self._found: dict[str, Found] = {}
        self._under_way: dict[str, Proof] = {}

    def take(self, envelope: Envelope) -> None:
        """Note a test file that was written or found; they come in either order."""
        event = envelope.event
        if event.kind == FOUND and event.drill:
            self._found[event.drill] = Found(at_ms=event.observed_ms, lane=envelope.lane, seq=envelope.seq)
            while len(self._found) > _REMEMBERED:
                del self._found[next(iter(self._found))]
        elif event.kind == PLANTED:
            proof = Proof(
                id=str(event.fields.get("proof", "")),
                path=str(event.fields.get("path", "")),
                planted_ms=event.observed_ms,
                until=self._monotonic() + _seconds(event.fields.get("within_s")),
            )
            self._under_way[proof.id] = proof
            self._look(proof)

    def _look(self, proof: Proof) -> None:
        found = self._found.get(proof.id)
        reached = found is not None and (not self._console() or self._acknowledged(found))
        if found is not None and reached:
            self._prove(proof, found)
        elif self._monotonic() >= proof.until:
            self._miss(proof, found)
        else:
            self._loop.call_later(POLL_S, lambda: self._look(proof))

    def _acknowledged(self, found: Found) -> bool:
        acked, _ = self._spool.positions().get(found.lane, (0, 0))
        return acked >= found.seq

    def _prove(self, proof: Proof, found: Found) -> None:
        detected_ms = float(max(0, found.at_ms - proof.planted_ms))
        numbers: dict[str, Value] = {"detected_ms": detected_ms}
        reached_ms, detail = None, "there is no console to report to"
        if self._console():
            reached_ms = float(max(0, self._now_ms() - proof.planted_ms))
            numbers["reached_ms"] = reached_ms
            detail = f"the console had the report after {reached_ms:.0f} ms"
        self._state(
            PROOF_PROVED.event(
                proof.path,
                path=proof.path,
                proof=proof.id,
                detected_ms=detected_ms,
                reached_ms=reached_ms,
                detail=detail,
            )
        )
        self._end(proof, numbers)

    def _miss(self, proof: Proof, found: Found | None) -> None:
        detail = "it was not found in time"
        if found is not None:
            after_ms = max(0, found.at_ms - proof.planted_ms)
            detail = f"it was found after {after_ms} ms, but the console does not have the report"
        self._state(PROOF_MISSED.event(proof.path, path=proof.path, proof=proof.id, detail=detail))
        self._end(proof, {})

    def _end(self, proof: Proof, numbers: Mapping[str, Value]) -> None:
        """Have the file taken away."""
        self._found.pop(proof.id, None)
        self._under_way.pop(proof.id, None)
        deed = self._deeds().get(ACTION)
        if deed is None:
            return  # switched off meanwhile: the next proof takes away what is left
        arguments: dict[str, Value] = {"step": "clean", "proof": proof.id, **numbers}
        command = Command(id=self._new_id(), action=ACTION, arguments=arguments, who=WHO, dry_run=False)
        self._core.do_for(deed, command, lambda _: None, lambda _: None)


def _seconds(value: Value) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 60.0
