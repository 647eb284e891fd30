"""A dated record that something worked. Green requires one."""

from enum import StrEnum

from contracts.record import Record


class Verb(StrEnum):
    """What was proved."""

    RESTORED = "restored"
    FIRED = "fired"
    REFUSED = "refused"
    REACHED = "reached"


class Proof(Record):
    """`subject` did `verb` at `at_ms` (Unix ms); it counts for `valid_s` seconds. `numbers` holds what was measured."""

    subject: str
    verb: Verb
    at_ms: int
    valid_s: int
    numbers: dict[str, float] = {}
    detail: str = ""

    def holds(self, now_ms: int) -> bool:
        """Say whether the proof still counts at `now_ms`; one from the future does not."""
        return self.at_ms <= now_ms < self.at_ms + self.valid_s * 1000
