"""What the configuration declares, as a subject of its own: judges and commands read it like anything else that was seen."""

from typing import Protocol

import msgspec

from contracts.policy import Policy, digest
from contracts.snapshot import EncodedChanges
from contracts.subjects.policy import KEY, SUBJECT, Declared


class Store(Protocol):
    """The part of the state that is written here."""

    def rows(self, subject: str) -> dict[str, bytes]:
        """Return the subject's rows."""

    def apply(self, subject: str, changes: EncodedChanges, at_ms: int) -> int:
        """Store the changes and return the new revision."""


def declare(store: Store, policy: Policy, at_ms: int) -> bool:
    """Bring the subject `policy` up to date; return whether it changed. Without services nothing is declared, and there is no row."""
    before = store.rows(SUBJECT)
    row = msgspec.msgpack.encode(Declared(policy=policy, digest=digest(policy))) if policy.declared else None
    if row == before.get(KEY):
        return False
    put = {} if row is None else {KEY: row}
    store.apply(SUBJECT, EncodedChanges(put=put, removed=() if put else (KEY,)), at_ms)
    return True
