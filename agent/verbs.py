"""What the control socket answers: each verb of the command line, from the core's parts. Everything here runs in the loop's thread."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec
from msgspec.structs import asdict

from agent.clock import Clock
from agent.control_server import Answer, Later, Peer, Verb
from agent.core import Core
from agent.coverage import DISK_FIX
from agent.responder import Deed
from agent.spool.spool import Spool
from agent.supervision import Look
from contracts.action import Command, Result
from contracts.errors import HoldfastError, Malformed, UsageError
from contracts.event import Envelope, Value
from contracts.frames import Advance
from contracts.outcome import Ok

MAX_EVENTS = 10_000
MAX_FOLLOWERS = 16


class Store(Protocol):
    """The part of the state that answers questions."""

    def subjects(self) -> dict[str, int]:
        """Return every subject with its revision."""

    def revision(self, subject: str) -> int:
        """Return the subject's revision."""

    def rows(self, subject: str) -> dict[str, bytes]:
        """Return its rows."""

    def at_ms(self, subject: str) -> int:
        """Return when they were last seen to hold."""

    def accepted(self, subject: str) -> tuple[int, dict[str, bytes]]:
        """Return the accepted baseline."""

    def accept(self, subject: str, who: str, at_ms: int, keys: Any = None) -> int:
        """Accept the rows as they are."""

    def ledger(self, day: str = "") -> Any:
        """Return the ledger."""


class Verbs:
    """Answers the verbs; `status`, `reload` and `deeds` come from the daemon, which alone knows how the whole is."""

    def __init__(
        self,
        core: Core,
        store: Store,
        spool: Spool,
        clock: Clock,
        text: Callable[[Envelope], str],
        deeds: Callable[[], Mapping[str, Deed]],
        new_id: Callable[[], str],
    ) -> None:
        self._core, self._store, self._spool, self._clock = core, store, spool, clock
        self._text, self._deeds, self._new_id = text, deeds, new_id
        self._followers = 0

    def table(self, status: Callable[[], Any], reload: Callable[[], Any]) -> dict[str, Verb]:
        """Return the verbs by name."""
        return {
            "status": lambda _, __: status(),
            "reload": lambda _, __: reload(),
            "coverage": lambda _, __: self._core.sight(),
            "ledger": self.ledger,
            "events": self.events,
            "subject": self.subject,
            "look": self.look,
            "accept": self.accept,
            "do": self.do,
        }

    def ledger(self, _: Peer, arguments: dict[str, Any]) -> Any:
        """Return the ledger of `day` (`2026-01-31`), or of today."""
        return self._store.ledger(_text(arguments, "day"))

    def events(self, _: Peer, arguments: dict[str, Any]) -> Any:
        """Return the newest events, oldest of them first; with `follow` go on with each as it comes."""
        limit = _number(arguments, "limit", 50, 0, MAX_EVENTS)
        kind, since_ms = _text(arguments, "kind"), _number(arguments, "since_ms", 0, 0, 1 << 62)
        everything = kind.endswith("*")
        found = (
            self._spool.recent(MAX_EVENTS if everything else limit, "" if everything else kind, since_ms)
            if limit
            else []
        )
        shown = (
            [self._shown(each) for each in reversed(found[:MAX_EVENTS]) if _matches(kind, each)][-limit:]
            if limit
            else []
        )
        if not arguments.get("follow"):
            return shown
        if self._followers >= MAX_FOLLOWERS:
            raise UsageError(f"{MAX_FOLLOWERS} commands follow the events already", advice="end one of them")
        return Later(lambda answer: self._follow(answer, kind, shown))

    def subject(self, _: Peer, arguments: dict[str, Any]) -> Any:
        """Return a subject's rows and what was accepted of it."""
        name = self._known(arguments)
        revision, accepted = self._store.accepted(name)
        return {
            "subject": name,
            "revision": self._store.revision(name),
            "at_ms": self._store.at_ms(name),
            "rows": _rows(self._store.rows(name)),
            "accepted": _rows(accepted) if revision else None,
        }

    def look(self, _: Peer, arguments: dict[str, Any]) -> Any:
        """Look at a subject now and answer how that ended."""
        name = _text(arguments, "subject", required=True)
        if self._core.intake.full:  # what it finds is told once it is stored: whoever asks would wait for the disk
            raise HoldfastError(f"a look cannot be stored: {self._core.intake.full}", advice=DISK_FIX, permanent=False)

        def start(answer: Answer) -> None:
            def done(look: Look) -> None:
                answer.send({"subject": name, "outcome": look.outcome, "events": len(look.events), "cost": look.cost})

            if not self._core.look(name, done):
                answer.fail(
                    UsageError(f'nothing looks at "{name}"', advice="see `holdfast coverage` for what is looked at")
                )

        return Later(start)

    def accept(self, peer: Peer, arguments: dict[str, Any]) -> Any:
        """Accept a subject (or `keys` of it) as it is; judges compare with that from now on."""
        name = self._known(arguments)
        keys = arguments.get("keys")
        if keys is not None and not (isinstance(keys, list) and all(isinstance(key, str) for key in keys)):
            raise Malformed("keys must be a list of texts")
        revision = self._store.accept(name, peer.user(), self._clock.now_ms(), keys)
        self._core.accepted(name)
        return {"subject": name, "revision": revision}

    def do(self, peer: Peer, arguments: dict[str, Any]) -> Any:
        """Carry out an action for a person; progress first, the result last."""
        name = _text(arguments, "action", required=True)
        deed = self._deeds().get(name)
        if deed is None:
            known = ", ".join(sorted(self._deeds())) or "none"
            raise UsageError(f'there is no action "{name}"', advice=f"name one of these: {known}")
        given = _fitting(deed, arguments.get("arguments", {}))
        command = Command(
            id=self._new_id(),
            action=name,
            arguments=given,
            who=peer.user(),
            dry_run=bool(arguments.get("dry_run", True)),
        )

        def start(answer: Answer) -> None:
            def progress(advance: Advance) -> None:
                answer.send({"progress": asdict(advance)}, last=False)

            self._core.do_for(deed, command, lambda result: answer.send(_told(result)), progress)

        return Later(start)

    def _known(self, arguments: dict[str, Any]) -> str:
        name = _text(arguments, "subject", required=True)
        known = self._store.subjects()
        if name not in known and not self._core.looks_at(name):
            advice = f"name one of these: {', '.join(sorted(known))}"
            raise UsageError(f'there is no subject "{name}"', advice=advice)
        return name

    def _follow(self, answer: Answer, kind: str, shown: list[dict[str, Any]]) -> None:
        def listener(envelope: Envelope) -> None:
            if _matches(kind, envelope):
                answer.send(self._shown(envelope), last=False)

        def closed() -> None:
            self._followers -= 1
            self._core.listeners.remove(listener)

        self._followers += 1
        self._core.listeners.append(listener)
        answer.on_close(closed)
        for each in shown:
            answer.send(each, last=False)

    def _shown(self, envelope: Envelope) -> dict[str, Any]:
        return {**msgspec.to_builtins(envelope), "text": self._text(envelope)}


def _matches(kind: str, envelope: Envelope) -> bool:
    name = envelope.event.kind
    if not kind:
        return True
    return name.startswith(kind[:-1]) if kind.endswith("*") else name == kind


def _rows(raw: Mapping[str, bytes]) -> dict[str, msgspec.Raw]:
    """Return the rows as JSON, one by one: all of them as objects at once would take many times the memory."""
    encode, decode = msgspec.json.Encoder().encode, msgspec.msgpack.Decoder().decode
    return {key: msgspec.Raw(encode(decode(row))) for key, row in raw.items()}


def _told(result: Result) -> dict[str, Any]:
    return {
        "ok": isinstance(result.outcome, Ok),
        "outcome": msgspec.to_builtins(result.outcome),
        "summary": result.summary,
        "answer": msgspec.to_builtins(result.answer),
    }


def _fitting(deed: Deed, given: Any) -> dict[str, Value]:
    """Return the arguments a person gave, if the action takes them."""
    if not isinstance(given, dict):
        raise Malformed("arguments must be an object")
    words: Mapping[str, Any] = {"str": str, "int": int, "float": (int, float), "bool": bool, "list": list}
    for name, value in given.items():
        wanted = deed.arguments.get(name)
        if wanted is None:
            takes = ", ".join(deed.arguments) or "nothing"
            raise UsageError(f'the action {deed.action} takes no "{name}"', advice=f"it takes {takes}")
        if not isinstance(value, words[wanted]) or (isinstance(value, bool) and wanted != "bool"):
            raise UsageError(f"{name} must be {wanted}, and {value!r} is not")
    return dict(given)


def _text(arguments: dict[str, Any], name: str, required: bool = False) -> str:
    value = arguments.get(name) or ""
    if not isinstance(value, str) or (required and not value):
        raise Malformed(f"{name} must be a text")
    return value


def _number(arguments: dict[str, Any], name: str, default: int, least: int, most: int) -> int:
    value = arguments.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise UsageError(f"{name} must be a whole number from {least} to {most}")
    return value
