"""What the console remembers of its challenges to each agent: proofs it was given, what it asked, how it ended. One small file an agent.

The nonce of a proof is known to nobody but the console until it asks a second time, so the file is for the console's user alone.
"""

import os
from pathlib import Path

import msgspec

from contracts.codec import Codec
from contracts.errors import HoldfastError
from contracts.record import Record

FOLDER = "challenges"
MAX_BYTES = 1 << 20


class Reference(Record):
    """Proofs by path that an agent gave for a nonce, and when they came (Unix ms). Used once."""

    nonce: str
    learnt_ms: int
    proofs: dict[str, str]


class Asked(Record):
    """A challenge that waits for its answer; `expected` is empty where proofs are to be learnt."""

    id: str
    nonce: str
    asked_ms: int
    expected: dict[str, str] = {}
    learnt_ms: int = 0


class Differing(Record):
    """A file whose proof is another one than before; whether the host has told of a change is waited for since `since_ms`."""

    path: str
    learnt_ms: int
    since_ms: int


class Standing(Record):
    """How it stands with one agent.

    `outcome` of the last check: "" (none yet), held, told (differs as the host had told), unproved (a change that cannot be told
    apart), differs (not clear yet), failed, unanswered. `ended_ms` is when, `held_ms` when the last one held.
    """

    references: tuple[Reference, ...] = ()
    asked: tuple[Asked, ...] = ()
    differing: tuple[Differing, ...] = ()
    next_ms: int = 0
    outcome: str = ""
    detail: str = ""
    ended_ms: int = 0
    held_ms: int = 0


_CODEC: Codec[Standing] = Codec(Standing, MAX_BYTES)


class ChallengeBook:
    """Reads and writes the files below `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Standing] = {}

    def read(self, agent: str) -> Standing:
        """Return what is known of an agent; raises `HoldfastError` or `OSError` for a file that cannot be read or understood."""
        if agent not in self._known:
            try:
                with self._path(agent).open("rb") as file:
                    self._known[agent] = _CODEC.decode(file.read(MAX_BYTES + 1))
            except FileNotFoundError:
                self._known[agent] = Standing()
        return self._known[agent]

    def write(self, agent: str, standing: Standing) -> None:
        """Keep it: whole or not at all; raises `OSError`."""
        path = self._path(agent)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        fresh = path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_CODEC.encode(standing))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        self._known[agent] = standing

    def _path(self, agent: str) -> Path:
        if not (agent.isascii() and agent.isalnum()):
            raise HoldfastError(f"{agent!r} is not the id of an agent")
        return self._folder / agent


def changed(standing: Standing, **values: object) -> Standing:
    """Return `standing` with other values."""
    return msgspec.structs.replace(standing, **values)
