"""What an agent can and cannot see right now, and why. A failure to look is stated, never dropped."""

from contracts.errors import Why
from contracts.record import Record


class Blind(Record):
    """One thing that was not seen.

    `what` completes "cannot see …" (`the owners of other users' sockets`); `why` is from the closed list; `detail` says what was
    found; `fix` is one imperative sentence.
    """

    what: str
    why: Why
    detail: str = ""
    fix: str = ""


class Sight(Record):
    """The view of one subject: `state` is `seen`, `partial` (see `blind`), `unseen` or `unknown` (not yet looked)."""

    subject: str
    state: str
    blind: tuple[Blind, ...] = ()
    since_ms: int = 0
    last_ok_ms: int = 0
    rows: int = 0


class Coverage(Record):
    """Everything the agent says of its own sight."""

    sights: tuple[Sight, ...] = ()

    def unseen(self) -> tuple[Sight, ...]:
        """Return the subjects that are not wholly seen."""
        return tuple(sight for sight in self.sights if sight.state != "seen")
