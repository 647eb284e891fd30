"""Key reminder: whether the recovery key of a job's repository was proved, stated when it changes and again while it was not."""

import time
from collections.abc import Iterator

import msgspec

from actions.backup import kinds
from actions.backup.key_admin import key_list
from actions.backup.memory import Memory, due
from actions.backup.recovery_key import RecoveryState, nag
from actions.backup.repository import Repository
from contracts.codec import UNDECODABLE
from contracts.errors import Unavailable, Why
from contracts.event import Event
from contracts.host import Files

STATES = "recovery.json"
"""The file beside the passwords that says which recovery keys were proved."""

EVERY_S = 7 * 86400.0
"""While it is not proved, it is stated again so often."""

_PROVED = "proved"
_MAX_FILE = 1 << 20


def reminder(job: str, repository: Repository, memory: Memory, files: Files, path: str) -> Iterator[Event]:
    """State what is known of the recovery key, when it is another thing than before, and weekly while it is not proved."""
    why = why_unproved(repository, files, path)
    told = why or _PROVED
    if told == memory.reminded and (not why or not due(memory.reminded_ns, EVERY_S, time.time_ns())):
        return
    memory.reminded, memory.reminded_ns = told, time.time_ns()
    if why:
        yield kinds.RECOVERY_KEY_UNPROVED.event(job, job=job, detail=why)
    else:
        yield kinds.RECOVERY_KEY_PROVED.event(job, job=job)


def why_unproved(repository: Repository, files: Files, path: str) -> str:
    """Why its owner must be reminded of the recovery key, "" when it was proved; Unavailable when the file `path` cannot be read."""
    keys = frozenset(row.id for row in key_list(repository) if not row.damaged)
    return nag(_state(files, path, repository.config.id), keys, time.time_ns())


def _state(files: Files, path: str, repository_id: str) -> RecoveryState | None:
    try:
        states = msgspec.json.decode(files.read(path, _MAX_FILE), type=dict[str, RecoveryState])
    except Unavailable as error:
        if error.why is Why.NOT_PRESENT:
            return None
        raise
    except UNDECODABLE as error:
        raise Unavailable(
            Why.MALFORMED, f"{path}: {error}", advice="remove it and prove the recovery key again"
        ) from error
    return states.get(repository_id)
